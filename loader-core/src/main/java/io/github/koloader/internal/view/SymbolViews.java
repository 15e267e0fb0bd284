package io.github.koloader.internal.view;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.ModuleState;
import io.github.koloader.SymbolPlace;
import io.github.koloader.Viewer;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.ExportIndex;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.memory.Address;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Names of addresses: {@code /proc/kallsyms}, and what oopses and live patches look up.
 *
 * @kernel kernel/kallsyms.c; kernel/module/kallsyms.c
 */
public final class SymbolViews {
    private SymbolViews() {}

    /** {@code /proc/kallsyms}; nothing without CONFIG_KALLSYMS. */
    public static String kallsyms(KernelState kernel, Viewer viewer) {
        StringBuilder text = new StringBuilder();
        if (!kernel.config.kallsyms()) {
            return "";
        }
        KernelSymbolTable symbols = kernel.kernelSymbols;
        for (int i = 0; i < symbols.count(); i++) {
            addAddress(kernel, viewer, symbols.address(i).value(), text);
            text.append(symbols.letter(i)).append(' ').append(symbols.name(i)).append('\n');
        }
        for (LoadedModule module : ProcModules.newestFirst(kernel)) {
            addSymbols(kernel, module, viewer, text);
        }
        return text.toString();
    }

    /** The lines of one module in {@code /proc/kallsyms}; none before it is formed. */
    public static String kallsyms(KernelState kernel, LoadedModule module, Viewer viewer) {
        StringBuilder text = new StringBuilder();
        if (module.state != ModuleState.UNFORMED) {
            addSymbols(kernel, module, viewer, text);
        }
        return text.toString();
    }

    private static void addSymbols(
            KernelState kernel, LoadedModule module, Viewer viewer, StringBuilder text) {
        SymbolsInMemory symbols = SymbolsInMemory.of(module);
        if (symbols == null) {
            return;
        }
        SymbolTable table = symbols.table;
        Map<String, Long> plainExports = plainExports(module);
        int nameLimit = nameLimit(kernel);
        for (int i = 0; i < table.count(); i++) {
            String name = symbols.name(i, nameLimit);
            if (name.isEmpty()) {
                continue;
            }
            long value = table.value(i);
            addAddress(kernel, viewer, value, text);
            Long exported = plainExports.get(name);
            String letter = String.valueOf(symbols.letter(i));
            text.append(
                            exported != null && exported == value
                                    ? letter.toUpperCase(Locale.ROOT)
                                    : letter.toLowerCase(Locale.ROOT))
                    .append(' ')
                    .append(name)
                    .append("\t[")
                    .append(module.name)
                    .append("]\n");
        }
    }

    /** Characters of a name that the kernel's buffer holds. */
    private static int nameLimit(KernelState kernel) {
        return kernel.config.atLeast(6, 1) ? 511 : 127;
    }

    private static Map<String, Long> plainExports(LoadedModule module) {
        if (module.findableExports.isEmpty()) {
            return Map.of();
        }
        Map<String, Long> exports = new HashMap<>();
        for (ExportIndex.Export export : module.findableExports) {
            if (!export.gplOnly) {
                exports.put(export.name(), export.address);
            }
        }
        return exports;
    }

    private static void addAddress(
            KernelState kernel, Viewer viewer, long address, StringBuilder text) {
        int wordSize = kernel.architecture.encoding().wordSize();
        text.append(Memory.hex(viewer == Viewer.ROOT ? address : 0, wordSize)).append(' ');
    }

    /** The module that an address lies in, or {@code null}. */
    public static @Nullable LoadedModule moduleAt(KernelState kernel, Address address) {
        LoadedModule module =
                kernel.memory
                        .regionAt(address)
                        .map(region -> kernel.modules.get(region.owner()))
                        .orElse(null);
        return module == null
                        || module.state == ModuleState.UNFORMED
                        || module.placement.find(address.value(), 1) == null
                ? null
                : module;
    }

    /** Whether an address lies in code of a module. */
    public static boolean isModuleText(KernelState kernel, Address address) {
        LoadedModule module = moduleAt(kernel, address);
        return module != null && Memory.isText(module, address.value());
    }

    /** The symbol that an address lies in. */
    public static Optional<SymbolPlace> placeOf(KernelState kernel, Address address) {
        Optional<SymbolPlace> place = kernel.kernelSymbols.placeOf(address);
        if (place.isPresent()) {
            return place;
        }
        LoadedModule module = moduleAt(kernel, address);
        return module == null ? Optional.empty() : placeIn(kernel, module, address.value());
    }

    private static Optional<SymbolPlace> placeIn(
            KernelState kernel, LoadedModule module, long address) {
        SymbolsInMemory symbols = SymbolsInMemory.of(module);
        if (symbols == null) {
            return Optional.empty();
        }
        SymbolTable table = symbols.table;
        int best = 0;
        long bestValue = 0;
        long next = Memory.textEnd(module, address);
        for (int i = 1; i < table.count(); i++) {
            if (!symbols.defined(i)) {
                continue;
            }
            long value = table.value(i);
            boolean below = Long.compareUnsigned(value, address) <= 0;
            boolean nearer =
                    below
                            ? Long.compareUnsigned(value, bestValue) > 0
                            : Long.compareUnsigned(value, next) < 0;
            if (!nearer || isMark(symbols.name(i, 3))) {
                continue;
            }
            if (below) {
                best = i;
                bestValue = value;
            } else {
                next = value;
            }
        }
        if (best == 0) {
            return Optional.empty();
        }
        return Optional.of(
                new SymbolPlace(
                        symbols.name(best, nameLimit(kernel)),
                        address - bestValue,
                        next - bestValue,
                        Optional.of(module.name)));
    }

    /**
     * Whether a symbol whose name begins so has none, or one that assemblers give to places of no
     * interest: {@code .L…}, {@code $a}, {@code $d}, {@code $t}, {@code $x} and those with a dot
     * behind.
     */
    private static boolean isMark(String start) {
        return start.isEmpty()
                || start.startsWith(".L")
                || start.length() >= 2
                        && start.charAt(0) == '$'
                        && "axtd".indexOf(start.charAt(1)) >= 0
                        && (start.length() == 2 || start.charAt(2) == '.');
    }

    /**
     * The address of a symbol of the kernel, or of a module: {@code name} or {@code module:name}.
     */
    public static Optional<Address> addressOf(KernelState kernel, String name) {
        Optional<Address> found = kernel.kernelSymbols.address(name);
        if (found.isPresent() && !found.get().isNull()) {
            return found;
        }
        int colon = name.indexOf(':');
        if (colon >= 0) {
            LoadedModule module = kernel.modules.get(name.substring(0, colon));
            return module == null || module.state == ModuleState.UNFORMED
                    ? Optional.empty()
                    : addressIn(module, name.substring(colon + 1));
        }
        for (LoadedModule module : ProcModules.newestFirst(kernel)) {
            Optional<Address> address = addressIn(module, name);
            if (address.isPresent()) {
                return address;
            }
        }
        return Optional.empty();
    }

    private static Optional<Address> addressIn(LoadedModule module, String name) {
        SymbolsInMemory symbols = SymbolsInMemory.of(module);
        if (symbols == null || name.isEmpty()) {
            return Optional.empty();
        }
        for (int i = 0; i < symbols.table.count(); i++) {
            if (symbols.defined(i) && symbols.table.isNamed(i, name)) {
                Address address = new Address(symbols.table.value(i));
                return address.isNull() ? Optional.empty() : Optional.of(address);
            }
        }
        return Optional.empty();
    }
}

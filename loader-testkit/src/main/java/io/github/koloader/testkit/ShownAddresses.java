package io.github.koloader.testkit;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Layout.Block;
import io.github.koloader.memory.MemoryType;
import io.github.koloader.testkit.GuardedAllocator.Shown;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a recorded module was, going by lines of {@code /proc/modules} and {@code /proc/kallsyms}
 * and by addresses of its sections: the module is loaded once on trial, and what is shown is held
 * against where its parts are in relation to each other. One address tells a block's base; all
 * others remain to be compared.
 */
final class ShownAddresses {
    private static final Pattern MODULES =
            Pattern.compile("(\\S+) \\d+ \\d+ \\S+ \\S+ 0x([0-9a-f]{1,16})\\b.*");
    private static final Pattern SYMBOL =
            Pattern.compile("([0-9a-f]{1,16}) (\\S) (.*)\t\\[(.*)\\]");

    private final Map<String, Address> bases = new HashMap<>();
    private final Map<String, Map<String, Address>> symbols = new HashMap<>();
    private final Map<String, Map<String, Address>> sections = new HashMap<>();

    /** Takes note of a line of {@code /proc/modules} or {@code /proc/kallsyms}. */
    void line(String line) {
        Matcher module = MODULES.matcher(line);
        if (module.matches()) {
            bases.putIfAbsent(module.group(1), address(module.group(2)));
        }
        Matcher symbol = SYMBOL.matcher(line);
        if (symbol.matches()) {
            symbols.computeIfAbsent(symbol.group(4), key -> new HashMap<>())
                    .merge(
                            symbol.group(3),
                            address(symbol.group(1)),
                            (a, b) -> a.equals(b) ? a : Address.NULL);
        }
    }

    /** Takes note of the address of a section. */
    void section(String module, String section, Address address) {
        sections.computeIfAbsent(module, key -> new HashMap<>()).put(section, address);
    }

    private static Address address(String digits) {
        return new Address(Long.parseUnsignedLong(digits, 16));
    }

    /**
     * What is shown of a module's blocks.
     *
     * @param facts its kernel
     * @param config that kernel's options
     * @param image the module
     */
    Shown of(KernelFacts facts, KernelConfig config, ModuleImage image) {
        Shown[] found = {Shown.NOTHING};
        Kernel trial =
                Kernel.builder(facts.architecture())
                        .config(
                                config.toBuilder()
                                        .checkVermagic(false)
                                        .sigEnforce(false)
                                        .lockdown(false)
                                        .modulesDisabled(false)
                                        .build())
                        .observer(
                                (point, module) -> {
                                    if (point == Point.RESOLVED) {
                                        found[0] = compare(module, image);
                                    }
                                })
                        .build();
        try {
            trial.load(image, "");
        } catch (LoadException e) {
            return found[0]; // the real load will say so
        }
        return found[0];
    }

    private Shown compare(Module module, ModuleImage image) {
        String name = module.name();
        Map<MemoryType, AddressRange> blocks = new EnumMap<>(MemoryType.class);
        List<Block> parts = module.layout().blocks();
        Address base = bases.get(name);
        if (base != null && !base.isNull()) {
            AddressRange range = new AddressRange(base, parts.get(0).size());
            parts.get(0).types().forEach(type -> blocks.put(type, range));
        }
        Map<String, Address> shownSections = sections.getOrDefault(name, Map.of());
        for (LoadedSection section : module.sections()) {
            Address shown = shownSections.get(section.name());
            if (shown != null) {
                put(module, parts, blocks, section.address(), shown);
            }
        }
        Optional<AddressRange> perCpu = Optional.empty();
        Map<String, Address> shownSymbols = symbols.getOrDefault(name, Map.of());
        SymbolTable table = image.symbols();
        long[] values = module.symbolValues();
        for (int i = 1; i < Math.min(values.length, table.count()); i++) {
            Address shown = shownSymbols.get(table.name(i));
            int section = table.sectionIndex(i);
            if (shown == null
                    || shown.isNull()
                    || section == SymbolTable.UNDEF
                    || section >= SymbolTable.LORESERVE
                    || isAmbiguous(table, i)) {
                continue;
            }
            if (module.perCpuBase().isPresent()
                    && image.section(section).name().equals(".data..percpu")) {
                Address start = shown.plus(module.perCpuBase().get().value() - values[i]);
                perCpu = Optional.of(new AddressRange(start, module.perCpuRegions().get(0).size()));
            } else {
                put(module, parts, blocks, new Address(values[i]), shown);
            }
        }
        return new Shown(blocks, perCpu);
    }

    private static boolean isAmbiguous(SymbolTable table, int index) {
        String name = table.name(index);
        for (int i = 1; i < table.count(); i++) {
            if (i != index && table.isNamed(i, name)) {
                return true;
            }
        }
        return false;
    }

    private static void put(
            Module module,
            List<Block> parts,
            Map<MemoryType, AddressRange> blocks,
            Address trial,
            Address shown) {
        for (int i = 0; i < parts.size(); i++) {
            Address base = module.blockAddresses().get(i);
            long offset = trial.value() - base.value();
            if (!base.isNull() && offset >= 0 && offset < parts.get(i).size()) {
                AddressRange range = new AddressRange(shown.plus(-offset), parts.get(i).size());
                parts.get(i).types().forEach(type -> blocks.putIfAbsent(type, range));
            }
        }
    }
}

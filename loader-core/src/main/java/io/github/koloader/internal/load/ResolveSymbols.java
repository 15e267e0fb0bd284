package io.github.koloader.internal.load;

import static java.util.Objects.requireNonNull;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.ExportIndex.Export;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.SymbolFacts;
import io.github.koloader.internal.Warnings;
import io.github.koloader.internal.load.CheckImage.CheckedImage;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Gives every symbol its final value: those of the module by where their sections went, undefined
 * ones by the exports of the kernel and of other modules. Names every symbol that cannot be
 * resolved before it fails.
 *
 * @kernel kernel/module/main.c, simplify_symbols(), resolve_symbol()
 */
final class ResolveSymbols {
    /** Lines that the exception keeps; all of them are in the log. */
    private static final int COMPLAINTS = 10_000;

    /** What a namespace begins with that is a list of the modules that may use it. */
    private static final String FOR_MODULES = "module:";

    private static final int FOUND = 0;
    private static final int NOT_FOUND = -1;

    private final KernelState kernel;
    private final CheckedImage checked;
    private final LoadedModule module;
    private final Placement placement;
    private final SymbolTable symbols;
    private final CheckVersions versions;
    private final SymbolFacts facts;
    private final List<LogLine> complaints = new ArrayList<>();
    private @Nullable Set<String> importedNamespaces;
    private @Nullable Errno lastError;
    private int imports;

    private ResolveSymbols(KernelState kernel, CheckedImage checked, LoadedModule module) {
        this.kernel = kernel;
        this.checked = checked;
        this.module = module;
        this.placement = module.placement;
        this.symbols = checked.image().symbols();
        this.versions =
                new CheckVersions(
                        kernel,
                        checked.image(),
                        checked.request(),
                        checked.infoName(),
                        module.name,
                        module.taints);
        this.facts = new SymbolFacts(kernel, module.name);
        versions.tell(facts);
    }

    /**
     * Resolves all symbols of a module.
     *
     * @param perCpu index of the per-CPU section, or 0
     * @return their values by index
     * @throws LoadException with the error of the last symbol that could not be resolved, and the
     *     lines of all
     */
    static long[] run(KernelState kernel, CheckedImage checked, LoadedModule module, int perCpu) {
        return new ResolveSymbols(kernel, checked, module).run(perCpu);
    }

    private long[] run(int perCpu) {
        int count = symbols.count();
        long[] values = new long[count];
        long[] bases = new long[placement.sections().size()];
        for (int i = 1; i < bases.length; i++) {
            bases[i] = i == perCpu ? module.perCpuBase : placement.address(i);
        }
        long mask = symbols.encoding().wide() ? -1L : 0xffff_ffffL;
        for (int i = 1; i < count; i++) {
            int section = symbols.sectionIndex(i);
            if (section == SymbolTable.UNDEF) {
                values[i] = undefined(i);
            } else if (section < bases.length) {
                values[i] = symbols.value(i) + bases[section] & mask;
            } else {
                values[i] = reserved(i, section, bases.length);
            }
        }
        if (lastError != null) {
            throw Failures.unresolved(lastError, complaints, facts);
        }
        module.importCount = imports;
        return values;
    }

    private long reserved(int symbol, int section, int sectionCount) {
        switch (section) {
            case SymbolTable.ABS, SymbolTable.LIVEPATCH -> {
                return symbols.value(symbol);
            }
            case SymbolTable.COMMON -> {
                if (!symbols.name(symbol).startsWith("__gnu_lto")) {
                    lastError = Errno.ENOEXEC;
                    say(Warnings.common(module.name));
                    facts.common(symbols, symbol);
                }
            }
            default -> {
                lastError = Errno.ENOEXEC;
                facts.badSectionIndex(symbols, symbol, section);
                say(
                        Warnings.badSectionIndex(
                                module.name, symbols.name(symbol), section, sectionCount - 1));
            }
        }
        return symbols.value(symbol);
    }

    /** Logs a line about a symbol that cannot be resolved, and keeps it for the exception. */
    private void say(LogLine line) {
        kernel.log.add(line);
        if (complaints.size() < COMPLAINTS) {
            complaints.add(line);
        }
    }

    /** The value of an undefined symbol; complains if it has none and needs one. */
    private long undefined(int symbol) {
        int hash = symbols.nameHash(symbol);
        boolean gplAllowed = !module.taints.contains(Taint.PROPRIETARY_MODULE);
        Export export = kernel.exports.find(symbols, symbol, hash, gplAllowed);
        int result = export == null ? NOT_FOUND : use(export, symbol, hash);
        if (export != null && result == FOUND) {
            imports++;
            return export.address;
        }
        String name = symbols.name(symbol);
        if (export == null && (gplAllowed || kernel.exports.find(name) == null)) {
            Optional<Address> stub = kernel.stubs.find(name);
            if (stub.isPresent()) {
                imports++;
                return stub.get().value();
            }
        }
        boolean excused =
                symbols.isWeak(symbol)
                        || kernel.architecture.toleratesUndefined(kernel.config, name);
        if (result != NOT_FOUND || !excused) {
            boolean silent = result == NOT_FOUND && !kernel.config.atLeast(4, 19);
            Errno errno = result == NOT_FOUND ? Errno.ENOENT : requireNonNull(Errno.of(result));
            int shown = silent ? 0 : -errno.number();
            lastError = errno;
            if (export == null) {
                explain(symbol, name, gplAllowed);
            }
            say(Warnings.unknownSymbol(module.name, name, shown));
        }
        return symbols.value(symbol);
    }

    /** Tells people why nobody exports a symbol. */
    private void explain(int symbol, String name, boolean gplAllowed) {
        Export hidden = gplAllowed ? null : kernel.exports.find(name);
        if (hidden == null) {
            facts.unknown(symbols, symbol);
        } else {
            facts.license(checked.modinfo().firstRaw("license").orElse(""));
            facts.gplOnly(symbols, symbol, hidden);
        }
    }

    /**
     * Checks whether the module may use an export, and takes a reference on its owner.
     *
     * @return {@link #FOUND}, {@link #NOT_FOUND}, or an error number
     */
    private int use(Export export, int symbol, int hash) {
        if (export.gplOnly) {
            module.usesGplOnly = true;
        }
        if (export.gplFuture && module.taints.contains(Taint.PROPRIETARY_MODULE)) {
            kernel.log.add(Warnings.gplOnlySoon(symbols.name(symbol)));
        }
        if (!inheritsTaint(export, symbol)) {
            return NOT_FOUND;
        }
        if (!versions.agrees(export, symbol, hash)) {
            versions.complaints().forEach(this::say);
            versions.complaints().clear();
            return Errno.EINVAL.number();
        }
        if (!export.namespace.isEmpty()
                && kernel.config.atLeast(5, 4)
                && !importsNamespace(export, symbol)) {
            return Errno.EINVAL.number();
        }
        return export.owner == null ? FOUND : reference(export.owner, symbol);
    }

    /**
     * Whether the licence allows the use of a symbol of a proprietary module; if so, its taint is
     * inherited.
     */
    private boolean inheritsTaint(Export export, int symbol) {
        LoadedModule owner = export.owner;
        if (owner == null
                || !owner.taints.contains(Taint.PROPRIETARY_MODULE)
                || !kernel.config.atLeast(5, 9)) {
            return true;
        }
        if (module.usesGplOnly) {
            facts.ofProprietary(symbols, symbol, owner.name);
            say(Warnings.gplUsesProprietary(module.name, symbols.name(symbol), owner.name));
            return false;
        }
        if (module.taints.add(Taint.PROPRIETARY_MODULE)) {
            kernel.log.add(Warnings.inheritsTaint(module.name, symbols.name(symbol), owner.name));
        }
        return true;
    }

    private boolean importsNamespace(Export export, int symbol) {
        boolean forNamedModules =
                export.namespace.startsWith(FOR_MODULES) && kernel.config.atLeast(6, 16);
        if (forNamedModules
                ? names(export.namespace.substring(FOR_MODULES.length()), module.name)
                : importedNamespaces().contains(export.namespace)) {
            return true;
        }
        boolean allowed = kernel.config.allowMissingNamespaceImports();
        say(
                Warnings.namespaceNotImported(
                        allowed, module.name, symbols.name(symbol), export.namespace));
        if (!allowed) {
            facts.namespace(symbols, symbol, export);
        }
        return allowed;
    }

    private Set<String> importedNamespaces() {
        Set<String> names = importedNamespaces;
        if (names == null) {
            names = new HashSet<>(checked.modinfo().allRaw("import_ns"));
            importedNamespaces = names;
        }
        return names;
    }

    /**
     * Whether a list such as {@code a,b-*} names a module: a star at the end of an item stands for
     * any rest, and dashes are underscores. Empty items at the end are none.
     *
     * @kernel kernel/module/main.c, verify_module_namespace()
     */
    static boolean names(String list, String module) {
        String wanted = module.replace('-', '_');
        for (String item : list.replace('-', '_').split(",", 0)) {
            if (item.endsWith("*")
                    ? wanted.startsWith(item.substring(0, item.length() - 1))
                    : wanted.equals(item)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Takes a reference on the module that owns a symbol, once for each pair of modules.
     *
     * @return {@link #FOUND}, or an error number
     * @kernel kernel/module/main.c, ref_module()
     */
    private int reference(LoadedModule owner, int symbol) {
        if (module.uses.contains(owner)) {
            return FOUND;
        }
        if (owner.state == ModuleState.COMING) {
            // One thread: nobody can finish that init while this load waits, so the 30 seconds are
            // over at once.
            facts.ownerNotLive(symbols, symbol, owner);
            say(Warnings.initAwaited(module.name, owner.name));
            return Errno.EBUSY.number();
        }
        if (owner.state == ModuleState.GOING || owner.references == 0) {
            facts.ownerNotLive(symbols, symbol, owner);
            return Errno.ENOENT.number();
        }
        owner.references++;
        owner.users.add(module);
        module.uses.add(owner);
        return FOUND;
    }
}

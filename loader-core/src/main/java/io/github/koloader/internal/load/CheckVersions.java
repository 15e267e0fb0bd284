package io.github.koloader.internal.load;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadRequest;
import io.github.koloader.LogLine;
import io.github.koloader.Taint;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.image.VersionTable;
import io.github.koloader.internal.ExportIndex;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.SymbolFacts;
import io.github.koloader.internal.Warnings;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Compares the CRCs a module was built against with those of the exports it finds. Names are found
 * through a hash table, so that a module with thousands of imports costs no more for each.
 *
 * @kernel kernel/module/version.c, check_version()
 */
final class CheckVersions {
    private final KernelState kernel;
    private final SymbolTable symbols;
    private final String infoName;
    private final String name;
    private final Set<Taint> taints;
    private final boolean present;
    private final VersionTable versions;
    private final @Nullable ExtendedVersions extended;
    private final List<LogLine> complaints = new ArrayList<>();
    private @Nullable SymbolFacts symbolFacts;
    private int symbolIndex;
    private String facts = "";
    private int[] slots = {};
    private int[] hashes = {};

    CheckVersions(
            KernelState kernel,
            ModuleImage image,
            LoadRequest request,
            String infoName,
            String name,
            Set<Taint> taints) {
        this.kernel = kernel;
        this.symbols = image.symbols();
        this.infoName = infoName;
        this.name = name;
        this.taints = taints;
        boolean ignored = request.ignoreModversions() || !kernel.config.modversions();
        this.present = !ignored && image.allocatedSectionIndex("__versions") != 0;
        this.versions = present ? image.versions() : VersionTable.EMPTY;
        this.extended = ignored ? null : ExtendedVersions.of(kernel.config, image);
    }

    /** What was said about symbols that do not agree. */
    List<LogLine> complaints() {
        return complaints;
    }

    /** The fact about what did not agree, for people; empty if there is none. */
    String facts() {
        return facts;
    }

    /** From now on, what does not agree is also told to these. */
    void tell(SymbolFacts newFacts) {
        this.symbolFacts = newFacts;
    }

    /** Whether a symbol of the module agrees with the export it was resolved to. */
    boolean agrees(ExportIndex.Export export, int symbol, int hash) {
        if (!kernel.config.modversions() || !export.hasCrc) {
            return true;
        }
        symbolIndex = symbol;
        if (extended != null) {
            return agrees(extended, export, symbols.name(symbol));
        }
        if (!present) {
            return kernel.tryToForceLoad(taints, name, symbols.name(symbol));
        }
        int entry = find(symbol, hash);
        return entry < 0
                ? acceptsMissing(symbols.name(symbol))
                : accepts(entry, export, () -> symbols.name(symbol));
    }

    /** Whether the module agrees with an export that none of its symbols refers to. */
    boolean agrees(ExportIndex.Export export, String symbol) {
        if (!kernel.config.modversions() || !export.hasCrc) {
            return true;
        }
        if (extended != null) {
            return agrees(extended, export, symbol);
        }
        if (!present) {
            return kernel.tryToForceLoad(taints, name, symbol);
        }
        int entry = versions.indexOf(symbol);
        return entry < 0 ? acceptsMissing(symbol) : accepts(entry, export, () -> symbol);
    }

    /** Extended versions, where a module has them, are all that is looked at. */
    private boolean agrees(ExtendedVersions all, ExportIndex.Export export, String symbol) {
        Integer crc = all.crc(symbol);
        if (crc == null) {
            return acceptsMissing(symbol);
        }
        if (crc == export.crc) {
            return true;
        }
        refused(symbol, export, Integer.toUnsignedLong(crc));
        return false;
    }

    private void refused(String symbol, ExportIndex.Export export, long crc) {
        complaints.add(Warnings.otherVersion(infoName, symbol));
        if (symbolFacts == null) {
            facts = SymbolFacts.otherCrc(symbol, export, crc);
        } else {
            symbolFacts.otherCrc(symbolIndex, symbol, export, crc);
        }
    }

    private boolean accepts(
            int entry, ExportIndex.Export export, java.util.function.Supplier<String> symbol) {
        if (versions.crc(entry) == Integer.toUnsignedLong(export.crc)) {
            return true;
        }
        refused(symbol.get(), export, versions.crc(entry));
        return false;
    }

    private boolean acceptsMissing(String symbol) {
        LogLine line = Warnings.noVersion(infoName, symbol);
        if (kernel.config.missingVersion() == KernelConfig.MissingVersion.WARN_ONCE) {
            if (kernel.once("no symbol version")) {
                kernel.log.add(line);
            }
            return true;
        }
        complaints.add(line);
        if (symbolFacts == null) {
            facts = SymbolFacts.noCrc(name);
        } else {
            symbolFacts.noCrc(symbolIndex, name);
        }
        return false;
    }

    /** Index of the first entry with the name of a symbol, or −1. */
    private int find(int symbol, int hash) {
        if (slots.length == 0) {
            index();
        }
        int mask = slots.length - 1;
        for (int slot = mix(hash) & mask; slots[slot] != 0; slot = slot + 1 & mask) {
            int entry = slots[slot] - 1;
            if (hashes[slot] == hash && versions.sameName(entry, symbols, symbol)) {
                return entry;
            }
        }
        return -1;
    }

    private static int mix(int hash) {
        return hash ^ hash >>> 15;
    }

    private void index() {
        int count = versions.count();
        slots = new int[Math.max(2, Integer.highestOneBit(Math.max(1, count)) * 4)];
        hashes = new int[slots.length];
        int mask = slots.length - 1;
        for (int entry = 0; entry < count; entry++) {
            int hash = versions.nameHash(entry);
            int slot = mix(hash) & mask;
            while (slots[slot] != 0) {
                slot = slot + 1 & mask;
            }
            slots[slot] = entry + 1;
            hashes[slot] = hash;
        }
    }
}

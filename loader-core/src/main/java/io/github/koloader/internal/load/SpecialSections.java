package io.github.koloader.internal.load;

import io.github.koloader.KernelConfig;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import java.util.ArrayList;
import java.util.List;

/**
 * Indexes of the sections that the loader knows by name: of each the first that takes memory, or 0.
 *
 * @kernel kernel/module/main.c, find_module_sections()
 */
final class SpecialSections {
    /**
     * A table of exports.
     *
     * @param table index of the table
     * @param crcs index of its CRCs, or 0
     * @param gplOnly whether only GPL-compatible modules find what is in it
     * @param gplFuture whether others are told that they will not find it for long
     */
    record ExportTable(int table, int crcs, boolean gplOnly, boolean gplFuture) {}

    private static final int MODINFO = 0;
    private static final int VERSIONS = 1;
    private static final int PER_CPU = 2;
    private static final int EXCEPTION_TABLE = 3;
    private static final int OBSOLETE_PARAMETERS = 4;
    private static final int CTORS = 5;
    private static final int INIT_ARRAY = 6;
    private static final int EXTENDED_CRCS = 7;
    private static final int EXTENDED_NAMES = 8;
    private static final int PARAMETERS = 9;
    private static final int KSYMTAB = 10; // five tables, and as many with CRCs behind them
    private static final int TABLES = 5;

    private final int[] found = new int[KSYMTAB + 2 * TABLES];

    private SpecialSections() {}

    static SpecialSections find(List<Section> sections) {
        SpecialSections special = new SpecialSections();
        for (int i = 1; i < sections.size(); i++) {
            Section section = sections.get(i);
            int slot =
                    (section.flags().bits() & SectionFlags.ALLOC) == 0 ? -1 : slot(section.name());
            if (slot >= 0 && special.found[slot] == 0) {
                special.found[slot] = i;
            }
        }
        return special;
    }

    private static int slot(String name) {
        return switch (name) {
            case ".modinfo" -> MODINFO;
            case "__versions" -> VERSIONS;
            case ".data..percpu" -> PER_CPU;
            case "__ex_table" -> EXCEPTION_TABLE;
            case "__obsparm" -> OBSOLETE_PARAMETERS;
            case "__param" -> PARAMETERS;
            case ".ctors" -> CTORS;
            case ".init_array" -> INIT_ARRAY;
            case ExtendedVersions.CRCS -> EXTENDED_CRCS;
            case ExtendedVersions.NAMES -> EXTENDED_NAMES;
            case "__ksymtab" -> KSYMTAB;
            case "__ksymtab_gpl" -> KSYMTAB + 1;
            case "__ksymtab_gpl_future" -> KSYMTAB + 2;
            case "__ksymtab_unused" -> KSYMTAB + 3;
            case "__ksymtab_unused_gpl" -> KSYMTAB + 4;
            case "__kcrctab" -> KSYMTAB + TABLES;
            case "__kcrctab_gpl" -> KSYMTAB + TABLES + 1;
            case "__kcrctab_gpl_future" -> KSYMTAB + TABLES + 2;
            case "__kcrctab_unused" -> KSYMTAB + TABLES + 3;
            case "__kcrctab_unused_gpl" -> KSYMTAB + TABLES + 4;
            default -> -1;
        };
    }

    int perCpu() {
        return found[PER_CPU];
    }

    int exceptionTable() {
        return found[EXCEPTION_TABLE];
    }

    int parameters() {
        return found[PARAMETERS];
    }

    int obsoleteParameters() {
        return found[OBSOLETE_PARAMETERS];
    }

    int ctors() {
        return found[CTORS];
    }

    int initArray() {
        return found[INIT_ARRAY];
    }

    /** Those that are read in the file and take no memory; versions that are ignored stay. */
    int[] readInTheFile(KernelConfig config, boolean ignoreVersions) {
        int versions = ignoreVersions ? 0 : found[VERSIONS];
        boolean extended = !ignoreVersions && config.atLeast(6, 14);
        return new int[] {
            found[MODINFO],
            versions,
            extended ? found[EXTENDED_CRCS] : 0,
            extended ? found[EXTENDED_NAMES] : 0
        };
    }

    /**
     * The tables of exports that the module has, in the order of a search. Three classes of them
     * were given up in 5.12, of which two were an option.
     */
    List<ExportTable> exportTables(KernelConfig config) {
        boolean old = !config.atLeast(5, 12);
        boolean unused = old && config.kconfig("CONFIG_UNUSED_SYMBOLS", false);
        int known = unused ? TABLES : old ? 3 : 2;
        List<ExportTable> tables = new ArrayList<>(known);
        for (int i = 0; i < known; i++) {
            if (found[KSYMTAB + i] != 0) {
                boolean gplOnly = i == 1 || i == 4;
                int crcs = found[KSYMTAB + TABLES + i];
                tables.add(new ExportTable(found[KSYMTAB + i], crcs, gplOnly, i == 2));
            }
        }
        return tables;
    }
}

package io.github.koloader.arch;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;

/**
 * How many PLT entries an AArch64 module may need: branches to other sections, each target once,
 * for which relocations are put into an order in which equal ones are neighbours; with the
 * workaround for erratum 843419 also {@code adrp} instructions that may come to lie at the end of a
 * page, unless aligning their section prevents that.
 *
 * @kernel arch/arm64/kernel/module-plts.c, module_frob_arch_sections()
 */
final class AArch64Plan {
    private static final long PLT_FLAGS = SectionFlags.ALLOC | SectionFlags.EXECINSTR;
    private static final int CACHE_LINE = 64;
    private static final int PAGE = 4096;

    private final Architecture architecture;
    private final ModuleImage image;
    private final KernelConfig config;
    private final String name;
    private final boolean randomized;
    private final boolean erratum;
    private final ModuleImage.Builder planned;
    private SymbolTable symbols = SymbolTable.EMPTY;

    AArch64Plan(Architecture architecture, ModuleImage image, KernelConfig config, String name) {
        this.architecture = architecture;
        this.image = image;
        this.config = config;
        this.name = name;
        this.randomized = config.kconfig("CONFIG_RANDOMIZE_BASE", true);
        this.erratum = AArch64Plt.avoidsErratum(config);
        this.planned = image.toBuilder();
    }

    SectionPlan run() {
        int core = SectionPlan.lastNamed(image, AArch64Plt.CORE);
        int init = SectionPlan.lastNamed(image, AArch64Plt.INIT);
        if (core == 0 || init == 0) {
            throw missing("module PLT section(s) missing");
        }
        symbols = lastSymbols();
        long coreEntries = 0;
        long initEntries = 0;
        for (RelocationTable table : image.relocations()) {
            int target = table.target();
            if (!table.hasAddends() || !SectionPlan.isExecutable(image, target)) {
                continue;
            }
            long entries = plan(table);
            if (SectionPlan.isInit(architecture, config, image.section(target).name())) {
                initEntries += entries;
            } else {
                coreEntries += entries;
            }
        }
        resize(core, coreEntries);
        resize(init, initEntries);
        if (AArch64.tracesFunctions(config)) {
            makeTrampolines(AArch64.TRAMPOLINE);
            if (config.atLeast(6, 12)) {
                makeTrampolines(AArch64.INIT_TRAMPOLINE);
            }
        }
        return new SectionPlan(planned.build(), 0);
    }

    private LoadException missing(String what) {
        return new LoadException(Errno.ENOEXEC, new LogLine(LogLevel.ERR, name + ": " + what));
    }

    /**
     * The last symbol table, where all else takes the first; one with the name of a section that is
     * to be sized is no symbol table.
     */
    private SymbolTable lastSymbols() {
        for (int i = image.sections().size() - 1; i > 0; i--) {
            Section section = image.section(i);
            if (section.type().code() == SectionType.SYMTAB.code() && !isSized(section.name())) {
                return new SymbolTable(section.contents(), Bytes.EMPTY, image.encoding());
            }
        }
        throw missing("module symtab section missing");
    }

    private boolean isSized(String section) {
        return switch (section) {
            case AArch64Plt.CORE, AArch64Plt.INIT -> true;
            case AArch64.TRAMPOLINE -> AArch64.tracesFunctions(config);
            case AArch64.INIT_TRAMPOLINE ->
                    AArch64.tracesFunctions(config) && config.atLeast(6, 12);
            default -> false;
        };
    }

    private void resize(int section, long entries) {
        planned.replace(
                section,
                SectionPlan.space(
                        image.section(section),
                        PLT_FLAGS,
                        CACHE_LINE,
                        (entries + 1) * AArch64Plt.entrySize(config)));
    }

    private void makeTrampolines(String section) {
        int index = SectionPlan.lastNamed(image, section);
        if (index != 0) {
            int size = AArch64.trampolines(config).size() * AArch64Plt.entrySize(config);
            planned.replace(index, SectionPlan.space(image.section(index), PLT_FLAGS, 4, size));
        }
    }

    /** Puts a table into its order and returns how many entries it may need. */
    private long plan(RelocationTable table) {
        RelocationOrder order = new RelocationOrder(table);
        if (randomized) {
            int branches = branchesFirst(order);
            order.sort(
                    branches,
                    (entries, i) ->
                            (long) (entries.type(i) - AArch64.JUMP26) << 30
                                    | entries.symbolIndex(i),
                    RelocationTable::addend);
            if (order.changed()) {
                int index = table.section();
                Section section = planned.get(index);
                planned.replace(index, section.withContents(order.table().entries()));
            }
        }
        return count(order.table());
    }

    /**
     * Brings the branches to other sections to the front and returns how many are known to be
     * there: the last one that is looked at is not counted.
     */
    private int branchesFirst(RelocationOrder order) {
        int front = 0;
        int back = order.table().count() - 1;
        while (front < back) {
            if (leavesSection(order.table(), front)) {
                front++;
            } else if (leavesSection(order.table(), back)) {
                order.swap(front, back);
            } else {
                back--;
            }
        }
        return front;
    }

    private static boolean isBranch(int type) {
        return type == AArch64.JUMP26 || type == AArch64.CALL26;
    }

    /** Whether an entry is a branch to a symbol of another section, or of none. */
    private boolean leavesSection(RelocationTable table, int entry) {
        if (!isBranch(table.type(entry))) {
            return false;
        }
        int symbol = table.symbolIndex(entry);
        if (symbol < 0 || symbol >= symbols.count()) {
            throw noSuchSymbol(table, entry);
        }
        return symbols.sectionIndex(symbol) != table.target();
    }

    private LoadException noSuchSymbol(RelocationTable table, int entry) {
        return architecture.rejection(
                new RelocationFailure(
                        Kind.NO_SUCH_SYMBOL,
                        config,
                        name,
                        table.section(),
                        entry,
                        table.type(entry),
                        "",
                        0,
                        table.addend(entry),
                        0,
                        0,
                        table.offset(entry),
                        image.section(table.target()).size()));
    }

    private static int compare(RelocationTable table, int i, int j) {
        int types = Integer.compareUnsigned(table.type(i), table.type(j));
        if (types != 0) {
            return types;
        }
        int targets = Integer.compareUnsigned(table.symbolIndex(i), table.symbolIndex(j));
        return targets != 0 ? targets : Long.compare(table.addend(i), table.addend(j));
    }

    private long count(RelocationTable table) {
        long entries = 0;
        for (int i = 0; i < table.count(); i++) {
            int type = table.type(i);
            if (isBranch(type)) {
                boolean repeats = table.addend(i) == 0 && i > 0 && compare(table, i, i - 1) == 0;
                entries += randomized && leavesSection(table, i) && !repeats ? 1 : 0;
            } else if (erratum
                    && (type == AArch64.ADR_PREL_PG_HI21 || type == AArch64.ADR_PREL_PG_HI21_NC)) {
                entries += alignAway(table.target(), table.offset(i)) ? 0 : 1;
            }
        }
        // Room for the slots that are left out because their own adrp would end a page.
        int perPage = PAGE / AArch64Plt.entrySize(config);
        return erratum ? entries + (entries + perPage - 1) / perPage : entries;
    }

    /**
     * Aligns a section so that the place at {@code offset} cannot be one of the last two words of a
     * page; {@code false} if that would take more than a page.
     */
    private boolean alignAway(int index, long offset) {
        int lowestZero = Long.numberOfTrailingZeros(~(offset | 7));
        if (lowestZero >= 12) {
            return false;
        }
        Section section = planned.get(index);
        long alignment = 2L << lowestZero;
        if (Long.compareUnsigned(section.alignment(), alignment) < 0) {
            planned.replace(index, section.withAlignment(alignment));
        }
        return true;
    }
}

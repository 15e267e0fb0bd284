package io.github.koloader.internal.load;

import static io.github.koloader.memory.MemoryType.DATA;
import static io.github.koloader.memory.MemoryType.INIT_DATA;
import static io.github.koloader.memory.MemoryType.INIT_RODATA;
import static io.github.koloader.memory.MemoryType.INIT_TEXT;
import static io.github.koloader.memory.MemoryType.RODATA;
import static io.github.koloader.memory.MemoryType.RO_AFTER_INIT;
import static io.github.koloader.memory.MemoryType.TEXT;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.load.CheckImage.CheckedImage;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.Layout.Block;
import io.github.koloader.memory.Layout.Kallsyms;
import io.github.koloader.memory.Layout.Part;
import io.github.koloader.memory.MemoryType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Gives every section that takes memory a block and an offset, and the symbol tables room behind
 * them.
 *
 * <p>Sections are taken in passes over the file's order: code, read-only data, data that is
 * read-only after init, writable data. Up to 6.3 the core block takes its passes and then the init
 * block, each pass ending on a page; since 6.4 each pass fills a block of its own.
 *
 * @kernel kernel/module/main.c, __layout_sections(); kernel/module/kallsyms.c, layout_symtab()
 */
final class LayOut {
    private static final int PASSES = 4;

    /** What a block may end at: it becomes one array, and is rounded up to pages. */
    private static final long LIMIT = Integer.MAX_VALUE - 0x10000;

    private static final MemoryType[] CORE = {TEXT, RODATA, RO_AFTER_INIT, DATA};
    private static final MemoryType[] INIT = {INIT_TEXT, INIT_RODATA, INIT_DATA, INIT_DATA};

    private final KernelConfig config;
    private final Architecture architecture;
    private final CheckedImage checked;
    private final List<Section> sections;
    private final long[] flags;
    private final int perCpu;
    private final int textPrefix;
    private final boolean[] init;
    private final int[] blocks;
    private final long[] offsets;
    private final MemoryType[] types;

    private LayOut(
            KernelConfig config,
            Architecture architecture,
            CheckedImage checked,
            List<Section> sections,
            long[] flags,
            int perCpu,
            int textPrefix) {
        this.textPrefix = textPrefix;
        this.config = config;
        this.architecture = architecture;
        this.checked = checked;
        this.sections = sections;
        this.flags = flags;
        this.perCpu = perCpu;
        this.init = new boolean[sections.size()];
        this.blocks = new int[sections.size()];
        this.offsets = new long[sections.size()];
        this.types = new MemoryType[sections.size()];
        Arrays.fill(types, DATA);
        Arrays.fill(blocks, -1);
        for (int i = 1; i < init.length; i++) {
            String name = sections.get(i).name();
            init[i] =
                    architecture.isInitSection(name)
                            || !config.modUnload() && architecture.isExitSection(name);
        }
    }

    /**
     * Lays a module out.
     *
     * @param flags flags of each section as the loader has changed them; the symbol table's and its
     *     strings' get ALLOC
     * @param perCpu index of the per-CPU section, or 0
     * @param textPrefix bytes to leave free before the first section
     * @throws LoadException ENOMEM if it is larger than any memory
     */
    static Layout run(
            KernelConfig config,
            Architecture architecture,
            CheckedImage checked,
            List<Section> sections,
            long[] flags,
            int perCpu,
            int textPrefix) {
        LayOut layOut =
                new LayOut(config, architecture, checked, sections, flags, perCpu, textPrefix);
        return config.atLeast(6, 4) ? layOut.sevenBlocks() : layOut.twoBlocks();
    }

    /** Whether a section belongs to pass {@code pass}. */
    private boolean belongs(int section, int pass) {
        long sectionFlags = flags[section];
        if ((sectionFlags & SectionFlags.ALLOC) == 0 || blocks[section] >= 0) {
            return false;
        }
        return switch (pass) {
            case 0 -> (sectionFlags & SectionFlags.EXECINSTR) != 0;
            case 1 -> (sectionFlags & SectionFlags.WRITE) == 0;
            case 2 -> (sectionFlags & SectionFlags.RO_AFTER_INIT) != 0 && config.atLeast(4, 6);
            default -> true;
        };
    }

    /** Places all sections of a pass from {@code from} on, and returns where they end. */
    private long place(boolean ofInit, int pass, int block, long from) {
        long end = from;
        for (int i = 1; i < blocks.length; i++) {
            if (init[i] == ofInit && belongs(i, pass)) {
                end = place(i, block, ofInit ? INIT[pass] : CORE[pass], end);
            }
        }
        return end;
    }

    private long place(int section, int block, MemoryType type, long from) {
        Section placed = sections.get(section);
        types[section] = type;
        offsets[section] = align(from, placed.alignment());
        blocks[section] = block;
        return checkSize(offsets[section], placed.size());
    }

    private long checkSize(long offset, long size) {
        if (size < 0 || offset < 0 || offset > LIMIT || size > LIMIT - offset) {
            throw Failures.noMemory(checked.name(), size);
        }
        return offset + size;
    }

    private static long align(long offset, long alignment) {
        return alignment <= 1 ? offset : offset + alignment - 1 & -alignment;
    }

    private long page(long offset) {
        return config.strictModuleRwx() ? align(offset, architecture.pageSize()) : offset;
    }

    // ---- up to 6.3 ----

    private Layout twoBlocks() {
        long[] core = new long[PASSES];
        long coreEnd = passes(false, 0, core);
        long[] initial = new long[PASSES];
        long initEnd = passes(true, 1, initial);
        Kallsyms kallsyms = Kallsyms.NONE;
        if (config.kallsyms()) {
            SymbolRoom room = symbols(0, coreEnd, 1, initEnd);
            kallsyms = room.kallsyms;
            coreEnd = page(room.coreEnd);
            initEnd = page(room.initEnd);
        }
        core[PASSES - 1] = coreEnd;
        initial[PASSES - 1] = initEnd;
        return new Layout(
                List.of(block(core, CORE), block(initial, INIT)), blocks, offsets, types, kallsyms);
    }

    /** Takes all passes over one block; {@code ends} gets the end of each. */
    private long passes(boolean ofInit, int block, long[] ends) {
        long end = ofInit ? 0 : textPrefix;
        for (int pass = 0; pass < PASSES; pass++) {
            end = place(ofInit, pass, block, end);
            if (pass != 2 || !ofInit) {
                end = page(end);
            }
            ends[pass] = end;
        }
        return end;
    }

    private static Block block(long[] ends, MemoryType[] types) {
        List<Part> parts = new ArrayList<>();
        long start = 0;
        for (int pass = 0; pass < ends.length; pass++) {
            if (pass + 1 < ends.length && types[pass] == types[pass + 1]) {
                continue;
            }
            parts.add(new Part(types[pass], start, ends[pass] - start));
            start = ends[pass];
        }
        return new Block(start, parts);
    }

    // ---- since 6.4 ----

    private Layout sevenBlocks() {
        MemoryType[] all = MemoryType.values();
        long[] ends = new long[all.length];
        ends[TEXT.ordinal()] = textPrefix;
        for (int pass = 0; pass < PASSES; pass++) {
            int type = CORE[pass].ordinal();
            ends[type] = place(false, pass, type, ends[type]);
        }
        for (int pass = 0; pass < PASSES; pass++) {
            if (pass != 2) { // init has no data that is read-only later
                int type = INIT[pass].ordinal();
                ends[type] = place(true, pass, type, ends[type]);
            }
        }
        Kallsyms kallsyms = Kallsyms.NONE;
        if (config.kallsyms()) {
            int core = DATA.ordinal();
            int initial = INIT_DATA.ordinal();
            SymbolRoom room = symbols(core, ends[core], initial, ends[initial]);
            kallsyms = room.kallsyms;
            ends[core] = room.coreEnd;
            ends[initial] = room.initEnd;
        }
        List<Block> parts = new ArrayList<>();
        for (MemoryType type : all) {
            long size = align(ends[type.ordinal()], architecture.pageSize());
            parts.add(new Block(size, List.of(new Part(type, 0, size))));
        }
        return new Layout(parts, blocks, offsets, types, kallsyms);
    }

    // ---- symbol tables ----

    private record SymbolRoom(Kallsyms kallsyms, long coreEnd, long initEnd) {}

    /**
     * Room for the full tables at the end of init, and for those of the symbols that stay at the
     * end of core.
     */
    private SymbolRoom symbols(int coreBlock, long coreFrom, int initBlock, long initFrom) {
        int symtab = checked.image().symbolSection();
        int strtab = sections.get(symtab).link();
        flags[symtab] |= SectionFlags.ALLOC;
        init[symtab] = true;
        long initEnd = place(symtab, initBlock, INIT_DATA, initFrom);

        SymbolTable table = checked.image().symbols();
        boolean[] stays = CoreSymbols.sectionsOf(config, architecture, flags, init, perCpu);
        int count = 0;
        long stringSize = 0;
        for (int i = 0; i < table.count(); i++) {
            if (CoreSymbols.stays(table, i, stays, checked.livepatch())) {
                count++;
                stringSize += table.nameLength(i) + 1;
            }
        }
        long symbolsAt = align(coreFrom, sections.get(symtab).alignment());
        long stringsAt = checkSize(symbolsAt, (long) count * table.encoding().symbolSize());
        long typesAt = checkSize(stringsAt, stringSize);
        long coreEnd = checkSize(typesAt, count);

        flags[strtab] |= SectionFlags.ALLOC;
        init[strtab] = true;
        if (strtab != symtab) {
            initEnd = place(strtab, initBlock, INIT_DATA, initEnd);
        }
        int wordSize = architecture.encoding().wordSize();
        long recordAt = align(initEnd, wordSize);
        long initTypesAt = checkSize(recordAt, 4L * wordSize);
        initEnd = checkSize(initTypesAt, table.count());
        Kallsyms kallsyms =
                new Kallsyms(
                        coreBlock,
                        symbolsAt,
                        stringsAt,
                        typesAt,
                        count,
                        stringSize,
                        initBlock,
                        recordAt,
                        initTypesAt);
        return new SymbolRoom(kallsyms, coreEnd, initEnd);
    }
}

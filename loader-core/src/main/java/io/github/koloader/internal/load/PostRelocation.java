package io.github.koloader.internal.load;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.ExceptionTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.KernelSort;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.internal.Words;
import io.github.koloader.internal.load.CheckImage.CheckedImage;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout.Kallsyms;
import io.github.koloader.memory.Region;
import java.util.List;

/**
 * What follows on relocation: the exception table is sorted, per-CPU data copied to every
 * processor, and the symbols are laid down for kallsyms.
 *
 * @kernel kernel/module/main.c, post_relocation(); kernel/module/kallsyms.c, add_kallsyms()
 */
final class PostRelocation {
    private final KernelState kernel;
    private final CheckedImage checked;
    private final LoadedModule module;
    private final Placement placement;
    private final boolean bigEndian;

    private PostRelocation(KernelState kernel, CheckedImage checked, LoadedModule module) {
        this.kernel = kernel;
        this.checked = checked;
        this.module = module;
        this.placement = module.placement;
        this.bigEndian = kernel.architecture.encoding().bigEndian();
    }

    /**
     * Does all of it.
     *
     * @param exceptionSection index of {@code __ex_table}, or 0
     * @param perCpu index of the per-CPU section, or 0
     */
    static void run(
            KernelState kernel,
            CheckedImage checked,
            LoadedModule module,
            int exceptionSection,
            int perCpu) {
        PostRelocation post = new PostRelocation(kernel, checked, module);
        boolean empty =
                placementContents(module, exceptionSection).contents().isEmpty()
                        && module.image().relocationsFor(exceptionSection).isEmpty();
        if (exceptionSection != 0 && !empty) {
            post.sortExceptionTable(exceptionSection);
        }
        if (perCpu != 0) {
            post.copyPerCpu(placementContents(module, perCpu));
        }
        if (module.layout().kallsyms().present()) {
            post.addKallsyms(perCpu);
        }
    }

    private static Section placementContents(LoadedModule module, int section) {
        return module.placement.sections().get(section);
    }

    // ---- exception table ----

    private void sortExceptionTable(int section) {
        ExceptionTable form = kernel.architecture.exceptionTable(kernel.config);
        byte[] array = placement.blockOf(section).array;
        int start = placement.start(section);
        int entrySize = form.entrySize();
        int count = (int) (placement.sections().get(section).size() / entrySize);
        boolean absolute = form == ExceptionTable.ABSOLUTE32 || form == ExceptionTable.ABSOLUTE64;
        long addressMask = kernel.architecture.encoding().wide() ? -1L : 0xffff_ffffL;
        KernelSort.sort(
                count,
                new KernelSort.Elements() {
                    @Override
                    public int compare(int i, int j) {
                        return Long.compareUnsigned(instruction(i), instruction(j));
                    }

                    private long instruction(int i) {
                        int at = start + i * entrySize;
                        if (absolute) {
                            return Words.readWord(array, at, entrySize / 2, bigEndian);
                        }
                        long field = placement.address(section) + (long) i * entrySize;
                        return field + Words.readInt(array, at, bigEndian) & addressMask;
                    }

                    @Override
                    public void swap(int i, int j) {
                        int delta = absolute ? 0 : (j - i) * entrySize;
                        for (int field = 0; field < entrySize; field += 4) {
                            boolean relative = field < 8;
                            int atI = start + i * entrySize + field;
                            int atJ = start + j * entrySize + field;
                            int old = Words.readInt(array, atI, bigEndian);
                            int moved = relative ? delta : 0;
                            Words.writeInt(
                                    array,
                                    atI,
                                    Words.readInt(array, atJ, bigEndian) + moved,
                                    bigEndian);
                            Words.writeInt(array, atJ, old - moved, bigEndian);
                        }
                    }
                });
    }

    // ---- per-CPU data ----

    private void copyPerCpu(Section section) {
        for (Region region : module.perCpuRegions) {
            kernel.memory.write(region.base(), section.contents().toByteArray());
        }
    }

    /** Regions for the per-CPU data of a module, one a processor. */
    static List<Region> mapPerCpu(KernelState kernel, String name, long base, int size, Undo undo) {
        Region[] regions = new Region[kernel.config.cpus()];
        for (int cpu = 0; cpu < regions.length; cpu++) {
            Address address = new Address(kernel.architecture.perCpuOffset(cpu) + base);
            Region region =
                    new Region(
                            address,
                            new byte[size],
                            0,
                            size,
                            io.github.koloader.memory.Rights.READ_WRITE,
                            name,
                            "percpu cpu" + cpu);
            Allocate.map(kernel, region);
            undo.add(() -> kernel.memory.unmap(region));
            regions[cpu] = region;
        }
        return List.of(regions);
    }

    // ---- kallsyms ----

    private void addKallsyms(int perCpu) {
        KernelConfig config = kernel.config;
        Kallsyms room = module.layout().kallsyms();
        SymbolTable symbols = checked.image().symbols();
        int symtab = checked.image().symbolSection();
        int strtab = placement.sections().get(symtab).link();
        long[] flags = new long[placement.sections().size()];
        boolean[] init = new boolean[flags.length];
        for (int i = 1; i < flags.length; i++) {
            flags[i] = placement.flags(i);
            init[i] = placement.layout().blockOf(i) >= 0 && placement.layout().isInit(i);
        }
        byte[] letters = letters(flags, perCpu);
        boolean[] stays = CoreSymbols.sectionsOf(config, kernel.architecture, flags, init, perCpu);

        PlacedBlock initBlock = placement.blocks()[room.initBlock()];
        PlacedBlock coreBlock = placement.blocks()[room.coreBlock()];
        byte[] initArray = initBlock.array;
        byte[] coreArray = coreBlock.array;
        int count = symbols.count();
        int entrySize = symbols.encoding().symbolSize();
        int initTypes = (int) room.initTypes();
        int coreEntry = (int) room.coreSymbols();
        int coreStrings = (int) room.coreStrings();
        int coreTypes = (int) room.coreTypes();
        int coreName = 0;
        boolean livepatch = checked.livepatch();
        for (int i = 0; i < count; i++) {
            byte letter = letter(symbols, i, letters);
            initArray[initTypes + i] = letter;
            if (CoreSymbols.stays(symbols, i, stays, livepatch)) {
                coreArray[coreTypes++] = letter;
                symbols.copyEntry(i, coreArray, coreEntry, module.symbolValues[i], coreName);
                coreName += symbols.copyName(i, coreArray, coreStrings + coreName);
                coreEntry += entrySize;
            }
        }

        int wordSize = symbols.encoding().wordSize();
        int record = (int) room.initRecord();
        Words.writeWord(initArray, record, placement.address(symtab), wordSize, bigEndian);
        Words.writeInt(initArray, record + wordSize, count, bigEndian);
        Words.writeWord(
                initArray, record + 2 * wordSize, placement.address(strtab), wordSize, bigEndian);
        Words.writeWord(
                initArray,
                record + 3 * wordSize,
                initBlock.base + room.initTypes(),
                wordSize,
                bigEndian);
    }

    /**
     * The type letter that symbols of each section have.
     *
     * @kernel kernel/module/kallsyms.c, elf_type()
     */
    private byte[] letters(long[] flags, int perCpu) {
        byte[] letters = new byte[flags.length];
        for (int i = 0; i < flags.length; i++) {
            Section section = placement.sections().get(i);
            letters[i] = (byte) letter(section, flags[i]);
        }
        if (perCpu != 0) {
            letters[perCpu] = 'a';
        }
        letters[0] = 'U';
        return letters;
    }

    private static char letter(Section section, long flags) {
        if ((flags & SectionFlags.EXECINSTR) != 0) {
            return 't';
        }
        boolean noBits = section.type().equals(SectionType.NOBITS);
        if ((flags & SectionFlags.ALLOC) != 0 && !noBits) {
            return (flags & SectionFlags.WRITE) == 0 ? 'r' : 'd';
        }
        if (noBits) {
            return 'b';
        }
        return section.name().startsWith(".debug") ? 'n' : '?';
    }

    private static byte letter(SymbolTable symbols, int symbol, byte[] letters) {
        if (symbols.isWeak(symbol)) {
            return (byte) (symbols.type(symbol) == Symbol.OBJECT ? 'v' : 'w');
        }
        int section = symbols.sectionIndex(symbol);
        if (section == SymbolTable.ABS) {
            return 'a';
        }
        return section < letters.length ? letters[section] : (byte) '?';
    }
}

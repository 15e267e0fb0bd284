package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.signed;
import static io.github.koloader.arch.DataField.unsigned;
import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.OWN;
import static io.github.koloader.arch.Formula.PC_RELATIVE;
import static io.github.koloader.arch.Refusal.refuse;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.Words;
import io.github.koloader.memory.AddressRange;
import java.util.List;

/**
 * s390x: 64-bit, big-endian, RELA only. What is odd: a module brings no sections for GOT and PLT;
 * the loader puts both before its first section, with one slot a symbol, whatever the addend.
 * Branches count in halfwords.
 *
 * <p>Of the configuration it asks for {@code CONFIG_EXPOLINE}, not set as Debian has it: whether
 * indirect branches go through a thunk (built in, and not switched off by {@code nospec}).
 *
 * @kernel arch/s390/kernel/module.c, module_frob_arch_sections(), apply_rela()
 * @psabi ELF Application Binary Interface, s390x Supplement, Relocation
 */
final class S390 implements Architecture {
    private static final int EM_S390 = 22;

    /** The number that was used before {@code EM_S390} was given out. */
    private static final int EM_S390_OLD = 0xa390;

    private static final long THUNK_EXRL = 0xc60000000005L; // exrl %r0,.+10
    private static final int THUNK_STOP = 0xa7f40000; // j .
    private static final int THUNK_BRANCH = 0x07f1; // br %r1

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(0, "R_390_NONE", NONE, DataField.NONE),
                    new RelocationType(1, "R_390_8", ABSOLUTE, unsigned(8)),
                    new RelocationType(2, "R_390_12", ABSOLUTE, new Displacement12()),
                    new RelocationType(3, "R_390_16", ABSOLUTE, unsigned(16)),
                    new RelocationType(4, "R_390_32", ABSOLUTE, unsigned(32)),
                    new RelocationType(5, "R_390_PC32", PC_RELATIVE, signed(32)),
                    new RelocationType(6, "R_390_GOT12", OWN, new Displacement12()),
                    new RelocationType(7, "R_390_GOT32", OWN, unsigned(32)),
                    new RelocationType(8, "R_390_PLT32", OWN, unsigned(32)),
                    new RelocationType(13, "R_390_GOTOFF32", OWN, unsigned(32)),
                    new RelocationType(14, "R_390_GOTPC", OWN, signed(32)),
                    new RelocationType(15, "R_390_GOT16", OWN, unsigned(16)),
                    new RelocationType(16, "R_390_PC16", PC_RELATIVE, signed(16)),
                    new RelocationType(17, "R_390_PC16DBL", PC_RELATIVE, new Halfwords(2)),
                    new RelocationType(18, "R_390_PLT16DBL", OWN, new Halfwords(2)),
                    new RelocationType(19, "R_390_PC32DBL", PC_RELATIVE, new Halfwords(4)),
                    new RelocationType(20, "R_390_PLT32DBL", OWN, new Halfwords(4)),
                    new RelocationType(21, "R_390_GOTPCDBL", OWN, new Halfwords(4)),
                    new RelocationType(22, "R_390_64", ABSOLUTE, word(64)),
                    new RelocationType(23, "R_390_PC64", PC_RELATIVE, word(64)),
                    new RelocationType(24, "R_390_GOT64", OWN, word(64)),
                    new RelocationType(25, "R_390_PLT64", OWN, word(64)),
                    new RelocationType(26, "R_390_GOTENT", OWN, new Halfwords(4)),
                    new RelocationType(27, "R_390_GOTOFF16", OWN, unsigned(16)),
                    new RelocationType(28, "R_390_GOTOFF64", OWN, word(64)),
                    new RelocationType(29, "R_390_GOTPLT12", OWN, new Displacement12()),
                    new RelocationType(30, "R_390_GOTPLT16", OWN, unsigned(16)),
                    new RelocationType(31, "R_390_GOTPLT32", OWN, unsigned(32)),
                    new RelocationType(32, "R_390_GOTPLT64", OWN, word(64)),
                    new RelocationType(33, "R_390_GOTPLTENT", OWN, new Halfwords(4)),
                    new RelocationType(34, "R_390_PLTOFF16", OWN, unsigned(16)),
                    new RelocationType(35, "R_390_PLTOFF32", OWN, unsigned(32)),
                    new RelocationType(36, "R_390_PLTOFF64", OWN, word(64)),
                    new RelocationType(57, "R_390_20", ABSOLUTE, new Displacement20()),
                    new RelocationType(58, "R_390_GOT20", OWN, new Displacement20()),
                    new RelocationType(59, "R_390_GOTPLT20", OWN, new Displacement20()));

    @Override
    public String name() {
        return "s390x";
    }

    @Override
    public int elfMachine() {
        return EM_S390;
    }

    @Override
    public boolean accepts(FileHeader header) {
        return header.machine() == EM_S390 || header.machine() == EM_S390_OLD;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF64_MSB;
    }

    /**
     * The 2 GiB below the top of a three-level address space, less the first MiB, so that modules
     * begin where they usually do.
     */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(AddressRange.between(0x3ff_80000000L, 0x3ff_fff00000L));
    }

    /** The vmalloc area below. */
    @Override
    public AddressRange imageArea() {
        return AddressRange.between(0x3e0_00000000L, 0x3ff_00000000L);
    }

    @Override
    public AddressRange kernelText() {
        return AddressRange.between(0x100000, 0x2000000);
    }

    /** A place of our choice behind the kernel's text. */
    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0x2000000, 0x2002000);
    }

    /** Areas of 1 MiB, one behind the other, in real memory. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0x7c000000L + cpu * 0x100000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return withAddends;
    }

    @Override
    public boolean livepatch(KernelConfig config) {
        return true;
    }

    @Override
    public boolean keepsBuiltInExit() {
        return true;
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return false;
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return config.atLeast(5, 18) ? ExceptionTable.RELATIVE_WITH_DATA : ExceptionTable.RELATIVE;
    }

    /** Whether PLT entries branch through a thunk. */
    static boolean expoline(KernelConfig config) {
        return config.atLeast(4, 16) && config.kconfig("CONFIG_EXPOLINE", false);
    }

    // ---- before layout ----

    @Override
    public SectionPlan planSections(ModuleImage image, KernelConfig config, String name) {
        int symtab = symbolSection(image);
        if (symtab == 0) {
            throw refuse(Errno.ENOEXEC, "module %s: no symbol table", name);
        }
        SectionPlan.checkTables(image, name);
        S390Slots slots = S390Slots.of(image, config, name);
        if (slots.size() > Integer.MAX_VALUE) {
            throw Failures.noMemory(name, slots.size());
        }
        ModuleImage planned =
                image.toBuilder().replace(symtab, withDefinedGot(image, symtab)).build();
        return new SectionPlan(planned, (int) slots.size());
    }

    /** Index of the last symbol table, the one whose symbols get slots, or 0. */
    static int symbolSection(ModuleImage image) {
        for (int i = image.sections().size() - 1; i > 0; i--) {
            if (image.section(i).type().equals(SectionType.SYMTAB)) {
                return i;
            }
        }
        return 0;
    }

    /** The symbol table in which the GOT's own symbol is not undefined but absolute. */
    private static Section withDefinedGot(ModuleImage image, int symtab) {
        Section section = image.section(symtab);
        int link = section.link();
        Bytes strings =
                link > 0 && link < image.sections().size()
                        ? image.section(link).contents()
                        : Bytes.EMPTY;
        SymbolTable symbols = new SymbolTable(section.contents(), strings, image.encoding());
        byte[] bytes = section.contents().toByteArray();
        for (int i = 0; i < symbols.count(); i++) {
            if (symbols.sectionIndex(i) == SymbolTable.UNDEF
                    && symbols.isNamed(i, "_GLOBAL_OFFSET_TABLE_")) {
                int at = i * image.encoding().symbolSize() + 6;
                Words.writeShort(bytes, at, SymbolTable.ABS, image.encoding().bigEndian());
            }
        }
        return section.withContents(Bytes.wrap(bytes));
    }

    // ---- relocation and after ----

    @Override
    public Relocator relocator(PlacedModule module) {
        return new S390Relocator(this, module);
    }

    /** Fills the thunk that PLT entries branch through. */
    @Override
    public void finalizeModule(PlacedModule module) {
        if (!expoline(module.config())) {
            return;
        }
        S390Slots slots = S390Slots.of(module.image(), module.config(), module.name());
        PlacedSection prefix = module.textPrefix();
        if (slots.hasThunk() && prefix.holds(slots.thunk(), S390Slots.PLT_ENTRY)) {
            long thunk = slots.thunk();
            prefix.write(thunk, 2, THUNK_EXRL >>> 32);
            prefix.writeInt(thunk + 2, (int) THUNK_EXRL);
            prefix.writeInt(thunk + 6, THUNK_STOP);
            prefix.write(thunk + 10, 2, THUNK_BRANCH);
        }
    }

    // ---- words ----

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    isOfSharedObject(failure.type())
                            ? LoadException.silent(
                                    Errno.ENOEXEC,
                                    "%s: relocation type %d of a shared object"
                                            .formatted(failure.module(), failure.type()))
                            : refuse(
                                    Errno.ENOEXEC,
                                    "module %s: unknown relocation: %s",
                                    failure.module(),
                                    Integer.toUnsignedString(failure.type()));
            case OVERFLOW ->
                    refuse(
                            Errno.ENOEXEC,
                            "module %s: relocation error for symbol %s (r_type %d, value 0x%x)",
                            failure.module(),
                            failure.symbol(),
                            failure.type(),
                            failure.value());
            case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Failures.relocation(failure);
        };
    }

    /** COPY, GLOB_DAT, JMP_SLOT, RELATIVE: refused without a word. */
    private static boolean isOfSharedObject(int type) {
        return type >= 9 && type <= 12;
    }

    // ---- fields ----

    /** An unsigned displacement: the low 12 bits of a halfword, behind a register. */
    private record Displacement12() implements Field {
        @Override
        public int size() {
            return 2;
        }

        @Override
        public long mask() {
            return 0xfff;
        }

        @Override
        public boolean fits(long value) {
            return (value & ~0xfffL) == 0;
        }

        @Override
        public long insert(long old, long value) {
            return old & 0xf000 | value & 0xfff;
        }

        @Override
        public long implicitAddend(long old) {
            return old & 0xfff;
        }
    }

    /** A signed displacement of 20 bits: the low 12 come first, then the high eight. */
    private record Displacement20() implements Field {
        @Override
        public int size() {
            return 4;
        }

        @Override
        public long mask() {
            return 0x0fffff00;
        }

        @Override
        public boolean fits(long value) {
            return value == value << 44 >> 44;
        }

        @Override
        public long insert(long old, long value) {
            return old & 0xf00000ffL | (value & 0xfff) << 16 | (value & 0xff000) >> 4;
        }

        @Override
        public long implicitAddend(long old) {
            return (old >> 16 & 0xfff | (old & 0xff00) << 4) << 44 >> 44;
        }
    }

    /** A distance in halfwords; a field of {@code size} bytes, signed. */
    private record Halfwords(int size) implements Field {
        @Override
        public long mask() {
            return -1L >>> 64 - 8 * size;
        }

        @Override
        public boolean fits(long value) {
            int spare = 64 - 8 * size;
            long halfwords = value >> 1;
            return (value & 1) == 0 && halfwords == halfwords << spare >> spare;
        }

        @Override
        public long insert(long old, long value) {
            return value >> 1 & mask();
        }

        @Override
        public long implicitAddend(long old) {
            int spare = 64 - 8 * size;
            return (old << spare >> spare) * 2;
        }
    }
}

package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.signed;
import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.OWN;
import static io.github.koloader.arch.Formula.PC_RELATIVE;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.image.VersionTable;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.Words;
import io.github.koloader.memory.AddressRange;
import java.util.List;

/**
 * 64-bit PowerPC, little-endian, ELFv2. RELA only. What is odd: data is reached through r2, which
 * points 32 KiB into the module's TOC, so all code of a module shares one TOC and there is no init
 * memory; a call that leaves the module goes through a stub, which saves r2, and the NOP behind the
 * call becomes the instruction that loads it again; names of undefined symbols lose a leading dot;
 * relocations are applied in descending order of symbol and type.
 *
 * <p>Of the configuration it asks for {@code CONFIG_MPROFILE_KERNEL}, {@code CONFIG_RELOCATABLE},
 * {@code CONFIG_DYNAMIC_FTRACE} and {@code CONFIG_DYNAMIC_FTRACE_WITH_REGS}, all set as Debian sets
 * them, and for these addresses of the kernel:
 *
 * <ul>
 *   <li>{@value #KERNEL_TOC}: what r2 holds in the kernel itself; {@code 0xc000000001c08000}
 *       otherwise
 *   <li>{@value #PACA_KERNEL_TOC}: offset of that number in the paca, what r13 points to; 16
 *       otherwise
 *   <li>{@value #FTRACE_CALLER} and {@value #FTRACE_REGS_CALLER}: the tracer's entries; without
 *       them their stubs stay zero
 * </ul>
 *
 * @kernel arch/powerpc/kernel/module_64.c, module_frob_arch_sections(), apply_relocate_add()
 * @psabi Power Architecture 64-Bit ELF V2 ABI Specification, Relocation Types
 */
final class PowerPc64 implements Architecture {
    static final String KERNEL_TOC = "kernel_toc";
    static final String PACA_KERNEL_TOC = "paca.kernel_toc";
    static final String FTRACE_CALLER = "ftrace_caller";
    static final String FTRACE_REGS_CALLER = "ftrace_regs_caller";

    static final String STUBS = ".stubs";
    static final int STUB_SIZE = 40;

    static final int REL24 = 10;
    static final int TOC = 51;
    static final int ENTRY = 118;

    private static final int EM_PPC64 = 21;
    private static final String TOC_SECTION = ".toc";
    private static final int TOC_ALIGNMENT = 8;

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(1, "R_PPC64_ADDR32", ABSOLUTE, word(32)),
                    new RelocationType(REL24, "R_PPC64_REL24", OWN, new BranchField()),
                    new RelocationType(26, "R_PPC64_REL32", PC_RELATIVE, signed(32)),
                    new RelocationType(38, "R_PPC64_ADDR64", ABSOLUTE, word(64)),
                    new RelocationType(44, "R_PPC64_REL64", PC_RELATIVE, word(64)),
                    new RelocationType(47, "R_PPC64_TOC16", OWN, signed(16)),
                    new RelocationType(48, "R_PPC64_TOC16_LO", OWN, word(16)),
                    new RelocationType(50, "R_PPC64_TOC16_HA", OWN, new HighAdjustedField()),
                    new RelocationType(TOC, "R_PPC64_TOC", OWN, word(64)),
                    new RelocationType(63, "R_PPC64_TOC16_DS", OWN, new DsField(true)),
                    new RelocationType(64, "R_PPC64_TOC16_LO_DS", OWN, new DsField(false)),
                    new RelocationType(109, "R_PPC64_TOCSAVE", NONE, DataField.NONE),
                    new RelocationType(ENTRY, "R_PPC64_ENTRY", OWN, word(64)),
                    new RelocationType(250, "R_PPC64_REL16_LO", PC_RELATIVE, word(16)),
                    new RelocationType(
                            252, "R_PPC64_REL16_HA", PC_RELATIVE, new HighAdjustedField()));

    /** Linux 4.5 took ENTRY, 4.6 the halves of a distance; ELFv2 and REL32 came before. */
    private static final RelocationTypes BEFORE_4_6 = TYPES.without(250, 252);

    private static final RelocationTypes BEFORE_4_5 = TYPES.without(250, 252, ENTRY);
    private static final RelocationTypes BEFORE_3_16 = TYPES.without(250, 252, ENTRY, 26);

    @Override
    public String name() {
        return "ppc64le";
    }

    @Override
    public List<String> aliases() {
        return List.of("ppc64el");
    }

    @Override
    public int elfMachine() {
        return EM_PPC64;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF64_LSB;
    }

    /** As Debian configures it; 4 KiB is possible. */
    @Override
    public int pageSize() {
        return 0x10000;
    }

    /** The lower part of the vmalloc area, which modules share; the upper is {@link #imageArea}. */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(AddressRange.between(0xc0080000_00000000L, 0xc0090000_00000000L));
    }

    @Override
    public AddressRange imageArea() {
        return AddressRange.between(0xc0090000_00000000L, 0xc00a0000_00000000L);
    }

    @Override
    public AddressRange kernelText() {
        return AddressRange.between(0xc0000000_00000000L, 0xc0000000_01800000L);
    }

    /** A place of our choice behind the kernel's text. */
    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0xc0000000_01800000L, 0xc0000000_01802000L);
    }

    /** Areas of 1 MiB, one behind the other, in the linear map. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0x3fe000000L + cpu * 0x100000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public RelocationTypes relocationTypes(KernelConfig config) {
        if (config.atLeast(4, 6)) {
            return TYPES;
        }
        return config.atLeast(4, 5) ? BEFORE_4_6 : recent(config) ? BEFORE_4_5 : BEFORE_3_16;
    }

    /** Whether this kernel knows ELFv2; before, the rules of 3.10 count. */
    static boolean recent(KernelConfig config) {
        return config.atLeast(3, 16);
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return withAddends;
    }

    @Override
    public String vermagicSuffix(KernelConfig config) {
        return (profilesEntries(config) ? "mprofile-kernel " : "")
                + (config.kconfig("CONFIG_RELOCATABLE", true) ? "relocatable " : "");
    }

    /** Whether functions call {@code _mcount} first thing, before they have a frame. */
    static boolean profilesEntries(KernelConfig config) {
        return recent(config) && config.kconfig("CONFIG_MPROFILE_KERNEL", true);
    }

    private static boolean traces(KernelConfig config) {
        return config.kconfig("CONFIG_DYNAMIC_FTRACE", true);
    }

    private static boolean tracesRegisters(KernelConfig config) {
        return traces(config) && config.kconfig("CONFIG_DYNAMIC_FTRACE_WITH_REGS", true);
    }

    /** None: all code shares one TOC. */
    @Override
    public boolean isInitSection(String name) {
        return false;
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
        return config.atLeast(4, 10) ? ExceptionTable.RELATIVE : ExceptionTable.ABSOLUTE64;
    }

    // ---- before layout ----

    /** Room for stubs, and a TOC, which every module that a compiler made has. */
    @Override
    public List<Section> scriptSections(KernelConfig config) {
        long data = SectionFlags.ALLOC | SectionFlags.WRITE;
        return List.of(
                Section.nobits(STUBS, SectionFlags.ALLOC | SectionFlags.EXECINSTR, 8, 0),
                Section.progbits(TOC_SECTION, data, TOC_ALIGNMENT, Bytes.wrap(new byte[8])));
    }

    @Override
    public SectionPlan planSections(ModuleImage image, KernelConfig config, String name) {
        SectionPlan.checkTables(image, name);
        ModuleImage.Builder builder = image.toBuilder();
        for (int i = 1; i < image.sections().size(); i++) {
            Section section = image.section(i);
            if (section.name().equals(TOC_SECTION)) {
                if (Long.compareUnsigned(section.alignment(), TOC_ALIGNMENT) < 0) {
                    builder.replace(i, section.withAlignment(TOC_ALIGNMENT));
                }
            } else if (section.name().equals("__versions") && section.type().hasContents()) {
                builder.replace(i, section.withContents(undottedVersions(section.contents())));
            }
            if (section.type().equals(SectionType.SYMTAB)) {
                builder.replace(i, section.withContents(undottedSymbols(image, section)));
            }
        }
        int stubs = SectionPlan.lastNamed(image, STUBS);
        if (stubs == 0) {
            throw noStubs(name);
        }
        for (int section : new int[] {stubs, tocSection(image)}) {
            if (!image.section(section).flags().alloc()) {
                throw outsideModule(name, image.section(section).name());
            }
        }
        long count = 1L + (traces(config) ? 1 : 0) + (tracesRegisters(config) ? 1 : 0);
        for (RelocationTable table : image.relocations()) {
            if (table.hasAddends()) {
                RelocationTable sorted = sort(table);
                count += callees(sorted);
                Section section = builder.get(table.section());
                builder.replace(table.section(), section.withContents(sorted.entries()));
            }
        }
        Section section = builder.get(stubs);
        builder.replace(
                stubs,
                SectionPlan.space(
                        section, section.flags().bits(), section.alignment(), count * STUB_SIZE));
        if (!recent(config)) {
            hideInit(builder);
        }
        return SectionPlan.asIs(builder.build());
    }

    /** The section whose address r2 is made of: {@code .toc}, else that of the stubs. */
    static int tocSection(ModuleImage image) {
        int toc = SectionPlan.lastNamed(image, TOC_SECTION);
        return toc != 0 ? toc : SectionPlan.lastNamed(image, STUBS);
    }

    /** The table of versions with names that have lost a leading dot. */
    private Bytes undottedVersions(Bytes contents) {
        byte[] bytes = contents.toByteArray();
        for (int at = 0; at <= bytes.length - VersionTable.ENTRY_SIZE; ) {
            int name = at + encoding().wordSize();
            at += VersionTable.ENTRY_SIZE;
            if (bytes[name] == '.') {
                System.arraycopy(bytes, name + 1, bytes, name, at - name - 1);
                bytes[at - 1] = 0;
            }
        }
        return Bytes.wrap(bytes);
    }

    /**
     * The symbol table with names of undefined symbols that have lost a leading dot; the TOC itself
     * becomes absolute, for the loader to give it its value.
     */
    private static Bytes undottedSymbols(ModuleImage image, Section section) {
        int link = section.link();
        Bytes strings =
                link > 0 && link < image.sections().size()
                        ? image.section(link).contents()
                        : Bytes.EMPTY;
        SymbolTable symbols = new SymbolTable(section.contents(), strings, image.encoding());
        byte[] bytes = section.contents().toByteArray();
        boolean big = image.encoding().bigEndian();
        for (int i = 1; i < symbols.count(); i++) {
            int offset = symbols.nameOffset(i);
            if (symbols.sectionIndex(i) != SymbolTable.UNDEF
                    || offset < 0
                    || offset >= strings.size()
                    || strings.get(offset) != '.') {
                continue;
            }
            int at = i * image.encoding().symbolSize();
            Words.writeInt(bytes, at, offset + 1, big);
            if (symbols.isNamed(i, ".TOC.")) {
                Words.writeShort(bytes, at + 6, SymbolTable.ABS, big);
            }
        }
        return Bytes.wrap(bytes);
    }

    /** Entries in descending order of symbol and type, then addend, as the kernel's sort has it. */
    private static RelocationTable sort(RelocationTable table) {
        RelocationOrder order = new RelocationOrder(table);
        order.sort(
                table.count(),
                isSmall(table)
                        ? (entries, i) ->
                                Integer.MAX_VALUE - (entries.symbolIndex(i) << 8 | entries.type(i))
                        : (entries, i) ->
                                ~((long) entries.symbolIndex(i) << 32
                                        | Integer.toUnsignedLong(entries.type(i))),
                (entries, i) -> ~entries.addend(i));
        return order.table();
    }

    /** Whether symbols and types are such as compilers make them: keys of 31 bits sort faster. */
    private static boolean isSmall(RelocationTable table) {
        int symbols = 0;
        int types = 0;
        for (int i = 0; i < table.count(); i++) {
            symbols |= table.symbolIndex(i);
            types |= table.type(i);
        }
        return symbols >>> 23 == 0 && types >>> 8 == 0;
    }

    /**
     * Different targets of calls in a sorted table. The kernel remembers the last addend as an
     * unsigned 32-bit number, so a negative one always counts.
     */
    private static long callees(RelocationTable table) {
        long count = 0;
        int symbol = 0;
        long addend = 0;
        for (int i = 0; i < table.count(); i++) {
            if (table.type(i) == REL24
                    && (table.symbolIndex(i) != symbol || table.addend(i) != addend)) {
                count++;
                symbol = table.symbolIndex(i);
                addend = table.addend(i) & 0xffff_ffffL;
            }
        }
        return count;
    }

    /** Up to 3.15 what would be init loses its name. */
    private static void hideInit(ModuleImage.Builder builder) {
        for (int i = 1; i < builder.nextIndex(); i++) {
            Section section = builder.get(i);
            int at = section.name().indexOf(".init");
            if (at >= 0) {
                String name = section.name();
                builder.replace(
                        i, renamed(section, name.substring(0, at) + "_" + name.substring(at + 1)));
            }
        }
    }

    private static Section renamed(Section section, String name) {
        return new Section(
                name,
                section.type(),
                section.flags(),
                section.offset(),
                section.size(),
                section.alignment(),
                section.link(),
                section.info(),
                section.entrySize(),
                section.contents());
    }

    // ---- relocation and after ----

    @Override
    public Relocator relocator(PlacedModule module) {
        return new PowerPc64Relocator(this, module);
    }

    /** Makes the stubs that lead to the tracer. */
    @Override
    public void finalizeModule(PlacedModule module) {
        KernelConfig config = module.config();
        PowerPc64Stubs stubs = new PowerPc64Stubs(module);
        if (traces(config)) {
            config.kernelAddress(FTRACE_CALLER)
                    .ifPresent(to -> stubs.find(to.value(), FTRACE_CALLER));
        }
        if (tracesRegisters(config)) {
            config.kernelAddress(FTRACE_REGS_CALLER)
                    .ifPresent(to -> stubs.find(to.value(), FTRACE_REGS_CALLER));
        }
    }

    // ---- words ----

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    refuse(
                            Errno.ENOEXEC,
                            "%s: Unknown ADD relocation: %s",
                            failure.module(),
                            Integer.toUnsignedString(failure.type()));
            case OVERFLOW -> overflow(failure);
            case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Failures.relocation(failure);
        };
    }

    private static LoadException overflow(RelocationFailure failure) {
        RelocationType row = TYPES.byCode(failure.type());
        String type = row == null ? "" : row.name().substring("R_PPC64_".length());
        return switch (type) {
            case "REL24", "REL32" ->
                    refuse(
                            Errno.ENOEXEC,
                            "%s: %s %d out of range!",
                            failure.module(),
                            type,
                            failure.value());
            case "TOC16", "TOC16_DS", "TOC16_LO_DS" ->
                    refuse(
                            Errno.ENOEXEC,
                            "%s: bad %s relocation (%s)",
                            failure.module(),
                            type,
                            recent(failure.config())
                                    ? "0x" + Long.toHexString(failure.value())
                                    : Long.toUnsignedString(failure.value()));
            default -> Failures.relocation(failure);
        };
    }

    static LoadException noStubs(String module) {
        return refuse(Errno.ENOEXEC, "%s: doesn't contain .stubs.", module);
    }

    /** Ours: Linux would take the address of the section in its temporary copy of the file. */
    private static LoadException outsideModule(String module, String section) {
        return refuse(Errno.ENOEXEC, "%s: section %s takes no memory", module, section);
    }

    static LoadException refuse(Errno errno, String format, Object... arguments) {
        return Refusal.refuse(errno, "module_64: " + format, arguments);
    }

    // ---- fields ----

    /** The high half of a 32-bit number whose low half is added as a signed one. */
    private record HighAdjustedField() implements Field {
        @Override
        public int size() {
            return 2;
        }

        @Override
        public long mask() {
            return 0xffff;
        }

        @Override
        public boolean fits(long value) {
            return true;
        }

        @Override
        public long insert(long old, long value) {
            return highAdjusted(value);
        }

        @Override
        public long implicitAddend(long old) {
            return (old << 48) >> 32;
        }
    }

    /** {@code ha(x)} of the psABI. */
    static long highAdjusted(long x) {
        return (x + 0x8000 >> 16) & 0xffff;
    }

    /** {@code lo(x)} of the psABI. */
    static long low(long x) {
        return x & 0xffff;
    }

    /** A displacement whose low two bits belong to the instruction. */
    private record DsField(boolean checked) implements Field {
        @Override
        public int size() {
            return 2;
        }

        @Override
        public long mask() {
            return 0xfffc;
        }

        @Override
        public boolean fits(long value) {
            return (value & 3) == 0 && (!checked || value == (short) value);
        }

        @Override
        public long insert(long old, long value) {
            return old & 3 | value & 0xfffc;
        }

        @Override
        public long implicitAddend(long old) {
            return (short) (old & 0xfffc);
        }
    }

    /** The distance of a branch: 26 bits, of which the low two are zero. */
    private record BranchField() implements Field {
        private static final long MASK = 0x03fffffc;

        @Override
        public int size() {
            return 4;
        }

        @Override
        public long mask() {
            return MASK;
        }

        @Override
        public boolean fits(long value) {
            return value >= -0x2000000 && value < 0x2000000 && (value & 3) == 0;
        }

        @Override
        public long insert(long old, long value) {
            return old & ~MASK | value & MASK;
        }

        @Override
        public long implicitAddend(long old) {
            return (old & MASK) << 38 >> 38;
        }
    }
}

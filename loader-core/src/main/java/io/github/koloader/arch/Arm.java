package io.github.koloader.arch;

import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.OWN;
import static io.github.koloader.arch.Formula.PC_RELATIVE;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.List;

/**
 * 32-bit Arm, little-endian, on an ARMv7 processor, with 3 GiB of user space. REL only. What is
 * odd: a kernel is either all ARM or all Thumb-2 code (4 bytes an instruction, or 2 and 4, and bit
 * 0 of a function's address is set), and calls between the two are refused, not mended. A branch
 * reaches 32 MiB, in Thumb-2 code 16 MiB; farther ones go through veneers, which is why modules can
 * also lie beyond the module area. Places and symbol indexes are checked before anything else, as
 * on no other architecture.
 *
 * <p>Options of {@link KernelConfig#kconfig}, and what counts where they are not set:
 *
 * <ul>
 *   <li>{@code CONFIG_THUMB2_KERNEL}: whether {@link KernelConfig#vermagicHas vermagic has} the
 *       word {@code thumb2}.
 *   <li>{@code CONFIG_ARM_MODULE_PLTS}: yes. Veneers as they are since 4.9; the other ones of 4.1
 *       to 4.8 are not modelled, kernels of these versions have none.
 *   <li>{@code CONFIG_DYNAMIC_FTRACE}: yes. Since 5.14 the first two veneers lead to the {@link
 *       KernelConfig#kernelAddress} of {@code ftrace_caller} and of {@code __gnu_mcount_nc}.
 *       Unknown, that is where the module's own {@code __gnu_mcount_nc} is resolved to, or the last
 *       32 bytes of {@link #kernelText}.
 *   <li>{@code CONFIG_ARM_L1_CACHE_SHIFT_6}: yes, so cache lines are of 64 bytes. Else, with {@code
 *       CONFIG_ARM_L1_CACHE_SHIFT_7}, 128, or 32.
 *   <li>{@code CONFIG_HIGHMEM}: yes. The 2 MiB below the kernel are then not for modules.
 *   <li>{@code CONFIG_CPU_32v4}, {@code CONFIG_CPU_32v5}, {@code CONFIG_CPU_32v6}: no. The lowest
 *       one is the version in vermagic, else 7.
 *   <li>{@code CONFIG_ARM_PATCH_PHYS_VIRT}: yes; {@code p2v8} in vermagic.
 * </ul>
 *
 * <p>What {@code module_finalize()} does is left out: it registers unwind tables, which changes no
 * byte, patches {@code .pv_table} by where the machine's memory lies, and {@code .alt.smp.init}
 * where the processor, not the number of processors, is made for one.
 *
 * @kernel arch/arm/kernel/module.c, apply_relocate()
 * @psabi ELF for the Arm Architecture, Relocation
 */
final class Arm implements Architecture {
    /** A function that the first veneer leads to. */
    static final String FTRACE = "ftrace_caller";

    /** A function that the second veneer leads to. */
    static final String MCOUNT = "__gnu_mcount_nc";

    private static final int EM_ARM = 40;

    private static final int EABI_VERSION = 0xff00_0000;
    private static final int APCS_26 = 0x08;

    private static final AddressRange KERNEL_TEXT =
            AddressRange.between(0xc030_0000L, 0xc130_0000L);
    private static final AddressRange IMAGES = AddressRange.between(0xfc00_0000L, 0xff80_0000L);

    private static final int PC24 = 1;
    private static final int THM_CALL = 10;
    private static final int CALL = 28;
    private static final int JUMP24 = 29;
    private static final int THM_JUMP24 = 30;

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(0, "R_ARM_NONE", NONE, DataField.NONE),
                    new RelocationType(PC24, "R_ARM_PC24", OWN, ArmField.BRANCH),
                    new RelocationType(2, "R_ARM_ABS32", ABSOLUTE, DataField.word(32)),
                    new RelocationType(3, "R_ARM_REL32", PC_RELATIVE, DataField.word(32)),
                    new RelocationType(THM_CALL, "R_ARM_THM_CALL", OWN, ArmField.THUMB_BRANCH),
                    new RelocationType(CALL, "R_ARM_CALL", OWN, ArmField.BRANCH),
                    new RelocationType(JUMP24, "R_ARM_JUMP24", OWN, ArmField.BRANCH),
                    new RelocationType(THM_JUMP24, "R_ARM_THM_JUMP24", OWN, ArmField.THUMB_BRANCH),
                    new RelocationType(38, "R_ARM_TARGET1", ABSOLUTE, DataField.word(32)),
                    new RelocationType(40, "R_ARM_V4BX", OWN, ArmField.BX),
                    new RelocationType(42, "R_ARM_PREL31", PC_RELATIVE, ArmField.PREL31),
                    new RelocationType(43, "R_ARM_MOVW_ABS_NC", ABSOLUTE, ArmField.MOVW),
                    new RelocationType(44, "R_ARM_MOVT_ABS", ABSOLUTE, ArmField.MOVT),
                    new RelocationType(45, "R_ARM_MOVW_PREL_NC", PC_RELATIVE, ArmField.MOVW),
                    new RelocationType(46, "R_ARM_MOVT_PREL", PC_RELATIVE, ArmField.MOVT),
                    new RelocationType(47, "R_ARM_THM_MOVW_ABS_NC", ABSOLUTE, ArmField.THUMB_MOVW),
                    new RelocationType(48, "R_ARM_THM_MOVT_ABS", ABSOLUTE, ArmField.THUMB_MOVT),
                    new RelocationType(
                            49, "R_ARM_THM_MOVW_PREL_NC", PC_RELATIVE, ArmField.THUMB_MOVW),
                    new RelocationType(50, "R_ARM_THM_MOVT_PREL", PC_RELATIVE, ArmField.THUMB_MOVT),
                    new RelocationType(57, "R_ARM_ALU_PC_G0_NC", PC_RELATIVE, ArmField.ALU_G0),
                    new RelocationType(59, "R_ARM_ALU_PC_G1_NC", PC_RELATIVE, ArmField.ALU_G1),
                    new RelocationType(63, "R_ARM_LDR_PC_G2", PC_RELATIVE, ArmField.LDR_G2));

    private static final RelocationTypes BEFORE_4_1 =
            RelocationTypes.of(
                    new RelocationType(0, "R_ARM_NONE", NONE, DataField.NONE),
                    new RelocationType(PC24, "R_ARM_PC24", OWN, ArmField.ALIGNED_BRANCH),
                    new RelocationType(2, "R_ARM_ABS32", ABSOLUTE, DataField.word(32)),
                    new RelocationType(THM_CALL, "R_ARM_THM_CALL", OWN, ArmField.THUMB_BRANCH),
                    new RelocationType(CALL, "R_ARM_CALL", OWN, ArmField.ALIGNED_BRANCH),
                    new RelocationType(JUMP24, "R_ARM_JUMP24", OWN, ArmField.ALIGNED_BRANCH),
                    new RelocationType(THM_JUMP24, "R_ARM_THM_JUMP24", OWN, ArmField.THUMB_BRANCH),
                    new RelocationType(38, "R_ARM_TARGET1", ABSOLUTE, DataField.word(32)),
                    new RelocationType(40, "R_ARM_V4BX", OWN, ArmField.BX),
                    new RelocationType(42, "R_ARM_PREL31", PC_RELATIVE, ArmField.UNCHECKED_PREL31),
                    new RelocationType(43, "R_ARM_MOVW_ABS_NC", ABSOLUTE, ArmField.MOVW),
                    new RelocationType(44, "R_ARM_MOVT_ABS", ABSOLUTE, ArmField.MOVT),
                    new RelocationType(47, "R_ARM_THM_MOVW_ABS_NC", ABSOLUTE, ArmField.THUMB_MOVW),
                    new RelocationType(48, "R_ARM_THM_MOVT_ABS", ABSOLUTE, ArmField.THUMB_MOVT));

    private static final RelocationTypes BEFORE_5_18 = TYPES.without(57, 59, 63);
    private static final RelocationTypes BEFORE_5_11 = BEFORE_5_18.without(45, 46, 49, 50);
    private static final RelocationTypes BEFORE_5_0 = BEFORE_5_11.without(3);

    /** What kernels of Thumb-2 code take, the newest first; see {@link #age}. */
    private static final List<RelocationTypes> THUMB_KERNELS =
            List.of(TYPES, BEFORE_5_18, BEFORE_5_11, BEFORE_5_0, BEFORE_4_1);

    private static final List<RelocationTypes> ARM_KERNELS =
            THUMB_KERNELS.stream()
                    .map(types -> types.without(THM_CALL, THM_JUMP24, 47, 48, 49, 50))
                    .toList();

    /** What the options of a kernel come to. */
    record Options(KernelConfig config) {
        boolean thumb() {
            return config.kconfig("CONFIG_THUMB2_KERNEL", config.vermagicHas("thumb2"));
        }

        boolean hasPlts() {
            return config.atLeast(4, 9) && config.kconfig("CONFIG_ARM_MODULE_PLTS", true);
        }

        /** Veneers that each of the two sections begins with. */
        int fixedVeneers() {
            return config.atLeast(5, 14) && config.kconfig("CONFIG_DYNAMIC_FTRACE", true) ? 2 : 0;
        }

        /** Bytes of a cache line. */
        int cacheLine() {
            return config.kconfig("CONFIG_ARM_L1_CACHE_SHIFT_6", true)
                    ? 64
                    : config.kconfig("CONFIG_ARM_L1_CACHE_SHIFT_7", false) ? 128 : 32;
        }

        /** The instruction that loads the program counter from one cache line further on. */
        int veneerLoad() {
            if (thumb()) {
                int halfwords = 0xf8df_f000 + cacheLine() - 4;
                return halfwords << 16 | halfwords >>> 16;
            }
            return 0xe59f_f000 + cacheLine() - 8;
        }

        Address unknownFtrace() {
            return function(-32);
        }

        Address unknownMcount() {
            return function(-16);
        }

        private Address function(long fromEnd) {
            return KERNEL_TEXT.end().plus(fromEnd + (thumb() ? 1 : 0));
        }
    }

    static boolean isBranch(int type) {
        return type == CALL || type == PC24 || type == JUMP24 || isThumbBranch(type);
    }

    static boolean isThumbBranch(int type) {
        return type == THM_CALL || type == THM_JUMP24;
    }

    @Override
    public String name() {
        return "arm";
    }

    @Override
    public List<String> aliases() {
        return List.of("armhf");
    }

    @Override
    public int elfMachine() {
        return EM_ARM;
    }

    /**
     * The processor is taken to have Thumb and VFP, and no 26-bit modes, as all of ARMv7 with VFP
     * do. An entry point with bit 0 set is Thumb code.
     */
    @Override
    public boolean accepts(FileHeader header) {
        if (header.machine() != EM_ARM || (header.entry() & 3) == 2) {
            return false;
        }
        boolean unknownEabi = (header.flags() & EABI_VERSION) == 0;
        return !unknownEabi || (header.flags() & APCS_26) == 0;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF32_LSB;
    }

    /**
     * The 16 MiB (Thumb-2: 8 MiB) below the kernel; with veneers also most of the vmalloc area of a
     * machine whose memory fills all of low memory.
     */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        Options options = new Options(config);
        AddressRange near =
                AddressRange.between(
                        options.thumb() ? 0xbf80_0000L : 0xbf00_0000L,
                        config.kconfig("CONFIG_HIGHMEM", true) ? 0xbfe0_0000L : 0xc000_0000L);
        return options.hasPlts()
                ? List.of(near, AddressRange.between(0xf080_0000L, IMAGES.start().value()))
                : List.of(near);
    }

    /**
     * The end of the vmalloc area. The kernel has no such border: there, modules and images take
     * what comes first.
     */
    @Override
    public AddressRange imageArea() {
        return IMAGES;
    }

    @Override
    public AddressRange kernelText() {
        return KERNEL_TEXT;
    }

    /**
     * Offsets are addresses of the kernel's own copy of its per-CPU data: a page behind it, and the
     * 8 KiB that a kernel keeps for modules.
     */
    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0xc133_5000L, 0xc133_5000L + 0x2000);
    }

    /** Areas of 64 KiB, one behind the other, in low memory. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0x0700_0000L + cpu * 0x1_0000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public RelocationTypes relocationTypes(KernelConfig config) {
        return (new Options(config).thumb() ? THUMB_KERNELS : ARM_KERNELS).get(age(config));
    }

    private static int age(KernelConfig config) {
        if (config.atLeast(5, 0)) {
            return config.atLeast(5, 18) ? 0 : config.atLeast(5, 11) ? 1 : 2;
        }
        return config.atLeast(4, 1) ? 3 : 4;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return !withAddends;
    }

    @Override
    public String vermagicSuffix(KernelConfig config) {
        int version =
                config.kconfig("CONFIG_CPU_32v4", false)
                        ? 4
                        : config.kconfig("CONFIG_CPU_32v5", false)
                                ? 5
                                : config.kconfig("CONFIG_CPU_32v6", false) ? 6 : 7;
        return "ARMv"
                + version
                + " "
                + (new Options(config).thumb() ? "thumb2 " : "")
                + (config.kconfig("CONFIG_ARM_PATCH_PHYS_VIRT", true) ? "p2v8 " : "");
    }

    /** Unwind tables go with the code that they are about. */
    @Override
    public boolean isInitSection(String name) {
        return name.startsWith(".init")
                || name.startsWith(".ARM.extab.init")
                || name.startsWith(".ARM.exidx.init");
    }

    @Override
    public boolean isExitSection(String name) {
        return name.startsWith(".exit")
                || name.startsWith(".ARM.extab.exit")
                || name.startsWith(".ARM.exidx.exit");
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return false;
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return ExceptionTable.ABSOLUTE32;
    }

    /** Sections of one byte, so that the linker does not drop them. */
    @Override
    public List<Section> scriptSections(KernelConfig config) {
        return new Options(config).hasPlts()
                ? List.of(
                        SectionPlan.placeholder(
                                ".plt", SectionFlags.ALLOC | SectionFlags.EXECINSTR),
                        SectionPlan.placeholder(".init.plt", SectionFlags.ALLOC))
                : List.of();
    }

    @Override
    public SectionPlan planSections(ModuleImage image, KernelConfig config, String name) {
        return new Options(config).hasPlts()
                ? ArmPlt.plan(this, image, config, name)
                : SectionPlan.asIs(image);
    }

    @Override
    public Relocator relocator(PlacedModule module) {
        return new ArmRelocator(this, module);
    }

    private static final class ArmRelocator extends Relocator {
        private final ArmPlt plt;
        private final boolean namesInterworking;

        ArmRelocator(Arm architecture, PlacedModule module) {
            super(architecture, module);
            this.plt = new ArmPlt(module);
            this.namesInterworking = module.config().atLeast(4, 1);
        }

        @Override
        protected void apply(RelocationEntry entry) {
            checkBounds(entry);
            RelocationType row = row(entry);
            if (isBranch(row.code())) {
                branch(row.field(), entry);
            } else if (row.formula() == OWN) {
                entry.write(4, row.field().insert(entry.read(4), 0));
            } else if (row.formula() != NONE) {
                applyRow(row, entry);
            }
        }

        /**
         * A section of less than 4 bytes passes, as its size less 4 is a huge number then; what
         * would be written into it is refused later, which the kernel does not do. A symbol just
         * behind the last one, which the kernel reads, is refused here.
         */
        private static void checkBounds(RelocationEntry entry) {
            if (!entry.hasSymbol()) {
                throw entry.rejected(Kind.NO_SUCH_SYMBOL, 0);
            }
            int last = entry.section().size() - 4;
            if (Integer.compareUnsigned((int) entry.offset(), last) > 0) {
                throw entry.rejected(Kind.OUTSIDE_SECTION, 0);
            }
        }

        private void branch(Field field, RelocationEntry entry) {
            entry.checkPlace(4);
            int s = (int) entry.s();
            int p = (int) entry.p();
            long old = entry.read(4);
            boolean thumb = isThumbBranch(entry.type());
            boolean function = module().symbols().type(entry.symbol()) == Symbol.FUNC;
            if (namesInterworking && (thumb ? function && (s & 1) == 0 : (s & 3) != 0)) {
                throw refuse(
                        "%s: section %d reloc %d sym '%s': unsupported interworking call (%s)",
                        module().name(),
                        entry.table().section(),
                        entry.index(),
                        entry.symbolName(),
                        thumb ? "Thumb -> ARM" : "ARM -> Thumb");
            }
            int value = s + (int) field.implicitAddend(old) - p;
            if (!field.fits(value)) {
                int pipeline = thumb ? 4 : 8; // what the processor adds to P
                Address veneer = plt.veneer(entry, value + p + pipeline).orElse(null);
                if (veneer != null) {
                    value = (int) veneer.value() - p - pipeline;
                }
            }
            boolean intoArm = !namesInterworking && thumb && function && (value & 1) == 0;
            if (!field.fits(value) || intoArm) {
                throw entry.rejected(Kind.OVERFLOW, value);
            }
            entry.write(4, field.insert(old, value));
        }
    }

    @Override
    public LoadException rejection(RelocationFailure failure) {
        String name = failure.module();
        int section = failure.relocationSection();
        int entry = failure.entry();
        return switch (failure.kind()) {
            case UNKNOWN_TYPE -> refuse("%s: unknown relocation: %d", name, failure.type());
            case OVERFLOW ->
                    refuse(
                            "%s: section %d reloc %d sym '%s': relocation %d out of range (%s -> %s)",
                            name,
                            section,
                            entry,
                            failure.symbol(),
                            failure.type(),
                            hex(failure.p()),
                            hex(failure.s()));
            case OUTSIDE_SECTION ->
                    refuse(
                            "%s: section %d reloc %d sym '%s': out of bounds relocation, offset %d size %d",
                            name,
                            section,
                            entry,
                            failure.symbol(),
                            (int) failure.offset(),
                            failure.sectionSize());
            case NO_SUCH_SYMBOL ->
                    refuse(
                            "%s: section %d reloc %d: bad relocation sym offset",
                            name, section, entry);
            case PLACE_NOT_ZERO -> Failures.relocation(failure);
        };
    }

    /** As the kernel prints numbers of 32 bits with {@code %#x}. */
    private static String hex(long value) {
        return (int) value == 0 ? "0" : "0x" + Integer.toHexString((int) value);
    }

    static LoadException refuse(String format, Object... arguments) {
        return Refusal.refuse(Errno.ENOEXEC, format, arguments);
    }
}

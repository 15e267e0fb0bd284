package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.signed;
import static io.github.koloader.arch.DataField.unsigned;
import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.PAGE_RELATIVE;
import static io.github.koloader.arch.Formula.PC_RELATIVE;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.arch.AArch64Fields.Adr;
import io.github.koloader.arch.AArch64Fields.Branch;
import io.github.koloader.arch.AArch64Fields.LooseWord;
import io.github.koloader.arch.AArch64Fields.Move;
import io.github.koloader.arch.AArch64Fields.MoveSigned;
import io.github.koloader.arch.AArch64Fields.PageOffset;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.List;

/**
 * 64-bit Arm. RELA only. Instructions are 4 bytes, always little-endian. A branch reaches 128 MiB:
 * what lies farther away is reached over an entry of a PLT, {@link AArch64Plt}. The bits that a
 * field shifts out are dropped unseen, so a misaligned branch target is no error.
 *
 * <p>Of {@link KernelConfig#kconfig} it asks for these, all set by default, as Debian has them:
 * {@code CONFIG_RANDOMIZE_BASE} (branches are counted for the PLT), {@code
 * CONFIG_RANDOMIZE_MODULE_REGION_FULL}, {@code CONFIG_ARM64_MODULE_PLTS} (until 6.4; there always
 * since), {@code CONFIG_ARM64_ERRATUM_843419}, {@code CONFIG_DYNAMIC_FTRACE}, {@code
 * CONFIG_DYNAMIC_FTRACE_WITH_REGS} (5.5 to 6.1). The workaround for the erratum is active if {@link
 * KernelConfig#cpuCapability} has {@code ARM64_WORKAROUND_843419}. Capabilities that alternatives
 * ask for go by number, see {@link AArch64Alternatives}.
 *
 * <p>Of {@link KernelConfig#kernelAddress} it asks for {@code ftrace_caller} and {@code
 * ftrace_regs_caller}, and for {@code _stext}, {@code _etext} and {@code _end}: a kernel whose
 * {@code _stext} is not where it was linked is one that KASLR moved, and its modules lie
 * accordingly. The random part of their base counts as 0.
 *
 * @kernel arch/arm64/kernel/module.c, apply_relocate_add(); arch/arm64/kernel/module-plts.c
 * @psabi ELF for the Arm 64-bit Architecture, Relocation
 */
final class AArch64 implements Architecture {
    private static final int EM_AARCH64 = 183;

    static final int ADR_PREL_PG_HI21 = 275;
    static final int ADR_PREL_PG_HI21_NC = 276;
    static final int JUMP26 = 282;
    static final int CALL26 = 283;

    static final String TRAMPOLINE = ".text.ftrace_trampoline";
    static final String INIT_TRAMPOLINE = ".init.text.ftrace_trampoline";

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(0, "R_ARM_NONE", NONE, DataField.NONE),
                    new RelocationType(256, "R_AARCH64_NONE", NONE, DataField.NONE),
                    new RelocationType(257, "R_AARCH64_ABS64", ABSOLUTE, word(64)),
                    new RelocationType(258, "R_AARCH64_ABS32", ABSOLUTE, unsigned(32)),
                    new RelocationType(259, "R_AARCH64_ABS16", ABSOLUTE, unsigned(16)),
                    new RelocationType(260, "R_AARCH64_PREL64", PC_RELATIVE, word(64)),
                    new RelocationType(261, "R_AARCH64_PREL32", PC_RELATIVE, signed(32)),
                    new RelocationType(262, "R_AARCH64_PREL16", PC_RELATIVE, signed(16)),
                    new RelocationType(263, "R_AARCH64_MOVW_UABS_G0", ABSOLUTE, new Move(0, true)),
                    new RelocationType(
                            264, "R_AARCH64_MOVW_UABS_G0_NC", ABSOLUTE, new Move(0, false)),
                    new RelocationType(265, "R_AARCH64_MOVW_UABS_G1", ABSOLUTE, new Move(16, true)),
                    new RelocationType(
                            266, "R_AARCH64_MOVW_UABS_G1_NC", ABSOLUTE, new Move(16, false)),
                    new RelocationType(267, "R_AARCH64_MOVW_UABS_G2", ABSOLUTE, new Move(32, true)),
                    new RelocationType(
                            268, "R_AARCH64_MOVW_UABS_G2_NC", ABSOLUTE, new Move(32, false)),
                    new RelocationType(
                            269, "R_AARCH64_MOVW_UABS_G3", ABSOLUTE, new Move(48, false)),
                    new RelocationType(270, "R_AARCH64_MOVW_SABS_G0", ABSOLUTE, new MoveSigned(0)),
                    new RelocationType(271, "R_AARCH64_MOVW_SABS_G1", ABSOLUTE, new MoveSigned(16)),
                    new RelocationType(272, "R_AARCH64_MOVW_SABS_G2", ABSOLUTE, new MoveSigned(32)),
                    new RelocationType(
                            273, "R_AARCH64_LD_PREL_LO19", PC_RELATIVE, new Branch(19, 5)),
                    new RelocationType(
                            274, "R_AARCH64_ADR_PREL_LO21", PC_RELATIVE, new Adr(0, true)),
                    new RelocationType(
                            ADR_PREL_PG_HI21,
                            "R_AARCH64_ADR_PREL_PG_HI21",
                            PAGE_RELATIVE,
                            new Adr(12, true)),
                    new RelocationType(
                            ADR_PREL_PG_HI21_NC,
                            "R_AARCH64_ADR_PREL_PG_HI21_NC",
                            PAGE_RELATIVE,
                            new Adr(12, false)),
                    new RelocationType(
                            277, "R_AARCH64_ADD_ABS_LO12_NC", ABSOLUTE, new PageOffset(0)),
                    new RelocationType(
                            278, "R_AARCH64_LDST8_ABS_LO12_NC", ABSOLUTE, new PageOffset(0)),
                    new RelocationType(279, "R_AARCH64_TSTBR14", PC_RELATIVE, new Branch(14, 5)),
                    new RelocationType(280, "R_AARCH64_CONDBR19", PC_RELATIVE, new Branch(19, 5)),
                    new RelocationType(JUMP26, "R_AARCH64_JUMP26", PC_RELATIVE, new Branch(26, 0)),
                    new RelocationType(CALL26, "R_AARCH64_CALL26", PC_RELATIVE, new Branch(26, 0)),
                    new RelocationType(
                            284, "R_AARCH64_LDST16_ABS_LO12_NC", ABSOLUTE, new PageOffset(1)),
                    new RelocationType(
                            285, "R_AARCH64_LDST32_ABS_LO12_NC", ABSOLUTE, new PageOffset(2)),
                    new RelocationType(
                            286, "R_AARCH64_LDST64_ABS_LO12_NC", ABSOLUTE, new PageOffset(3)),
                    new RelocationType(
                            287, "R_AARCH64_MOVW_PREL_G0", PC_RELATIVE, new MoveSigned(0)),
                    new RelocationType(
                            288, "R_AARCH64_MOVW_PREL_G0_NC", PC_RELATIVE, new Move(0, false)),
                    new RelocationType(
                            289, "R_AARCH64_MOVW_PREL_G1", PC_RELATIVE, new MoveSigned(16)),
                    new RelocationType(
                            290, "R_AARCH64_MOVW_PREL_G1_NC", PC_RELATIVE, new Move(16, false)),
                    new RelocationType(
                            291, "R_AARCH64_MOVW_PREL_G2", PC_RELATIVE, new MoveSigned(32)),
                    new RelocationType(
                            292, "R_AARCH64_MOVW_PREL_G2_NC", PC_RELATIVE, new Move(32, false)),
                    new RelocationType(
                            293, "R_AARCH64_MOVW_PREL_G3", PC_RELATIVE, new MoveSigned(48)),
                    new RelocationType(
                            299, "R_AARCH64_LDST128_ABS_LO12_NC", ABSOLUTE, new PageOffset(4)));

    /** Linux 5.3 began to tell signed data from unsigned. */
    private static final RelocationTypes BEFORE_5_3 =
            RelocationTypes.of(
                    TYPES.stream().map(AArch64::withLooseData).toArray(RelocationType[]::new));

    private static final RelocationTypes BEFORE_4_6 = BEFORE_5_3.without(ADR_PREL_PG_HI21_NC);

    private static RelocationType withLooseData(RelocationType row) {
        return row.field() instanceof DataField field && (field.size() == 2 || field.size() == 4)
                ? new RelocationType(
                        row.code(), row.name(), row.formula(), new LooseWord(field.size()))
                : row;
    }

    @Override
    public String name() {
        return "arm64";
    }

    @Override
    public List<String> aliases() {
        return List.of("aarch64");
    }

    @Override
    public int elfMachine() {
        return EM_AARCH64;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF64_LSB;
    }

    // ---- memory ----

    private static final long MIB = 1 << 20;
    private static final long GIB = 1 << 30;

    /** Where the linear map began until 4.5, with addresses of 39 bits. */
    private static final long PAGE_OFFSET_39 = 0xffffffc0_00000000L;

    private static final long MODULES_START = 0xffff8000_00000000L;

    /** Bytes between the start of a kernel image and its text. */
    private static final long HEAD = 0x10000;

    /** Where a kernel lies that nothing has moved, and how large Debian's is. */
    private enum Image {
        LINUX_3_10(PAGE_OFFSET_39 + 0x80000, 0xc00000, 0x1000000, 0x1200000),
        LINUX_6_1(MODULES_START + 128 * MIB, 0xd00000, 0x18184a8, 0x2030000),
        LINUX_6_12(MODULES_START + 2 * GIB, 0x1000000, 0x1f6ac58, 0x2b30000);

        final long start;
        final long textEnd;
        final long perCpuEnd;
        final long end;

        Image(long start, long textSize, long perCpuEnd, long size) {
            this.start = start;
            this.textEnd = start + textSize;
            this.perCpuEnd = start + perCpuEnd;
            this.end = start + size;
        }

        static Image of(KernelConfig config) {
            return config.atLeast(6, 5)
                    ? LINUX_6_12
                    : config.atLeast(4, 6) ? LINUX_6_1 : LINUX_3_10;
        }
    }

    /** Where a kernel lies, be it moved or not. */
    private record Placed(long start, long textEnd, long perCpuEnd, long end, boolean moved) {
        static Placed of(KernelConfig config) {
            Image image = Image.of(config);
            long linked = image.start + HEAD;
            long text = config.kernelAddress("_stext").map(Address::value).orElse(linked);
            long delta = text - linked;
            return new Placed(
                    image.start + delta,
                    config.kernelAddress("_etext")
                            .map(Address::value)
                            .orElse(image.textEnd + delta),
                    image.perCpuEnd + delta,
                    config.kernelAddress("_end").map(Address::value).orElse(image.end + delta),
                    delta != 0 && config.kconfig("CONFIG_RANDOMIZE_BASE", true));
        }
    }

    private static long pageDown(long address) {
        return address & -4096;
    }

    /**
     * Until 4.5 below the linear map; until 6.4 the 128 MiB that can reach the kernel's text, then
     * with PLTs what lies within 2 GiB; since 6.5 likewise with the whole image. A kernel that was
     * moved with {@code RANDOMIZE_MODULE_REGION_FULL} has its modules anywhere in the 2 GiB.
     *
     * @kernel arch/arm64/kernel/kaslr.c, kaslr_module_init(); arch/arm64/kernel/module.c,
     *     module_alloc(), module_init_limits()
     */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        if (!config.atLeast(4, 6)) {
            return List.of(AddressRange.between(PAGE_OFFSET_39 - 64 * MIB, PAGE_OFFSET_39));
        }
        Placed kernel = Placed.of(config);
        boolean anywhere =
                kernel.moved && config.kconfig("CONFIG_RANDOMIZE_MODULE_REGION_FULL", true);
        List<AddressRange> areas = new ArrayList<>();
        if (config.atLeast(6, 5)) {
            long end = pageDown(kernel.end + 4095);
            long far = end - 2 * GIB;
            long near = anywhere ? end : end - 128 * MIB;
            addOutside(areas, kernel, near, end);
            addOutside(areas, kernel, far, near);
            return List.copyOf(areas);
        }
        long base =
                anywhere
                        ? higher(pageDown(kernel.end) - 2 * GIB, MODULES_START)
                        : pageDown(kernel.textEnd) - 128 * MIB;
        addOutside(areas, kernel, base, base + 128 * MIB);
        if (AArch64Plt.builtIn(config)) {
            addOutside(areas, kernel, base + 128 * MIB, base + 2 * GIB);
        }
        return List.copyOf(areas);
    }

    private static long higher(long one, long other) {
        return Long.compareUnsigned(one, other) > 0 ? one : other;
    }

    private static long lower(long one, long other) {
        return Long.compareUnsigned(one, other) < 0 ? one : other;
    }

    /** Adds what of [from, to) is not the kernel's image. */
    private static void addOutside(List<AddressRange> areas, Placed kernel, long from, long to) {
        add(areas, from, lower(to, kernel.start));
        add(areas, higher(from, pageDown(kernel.end + 4095)), to);
    }

    private static void add(List<AddressRange> areas, long from, long to) {
        if (Long.compareUnsigned(from, to) < 0) {
            areas.add(AddressRange.between(from, to));
        }
    }

    @Override
    public AddressRange imageArea() {
        return imageArea(KernelConfig.linux6_1());
    }

    /** A part of the vmalloc area in which no module can lie. */
    @Override
    public AddressRange imageArea(KernelConfig config) {
        return config.atLeast(4, 6)
                ? AddressRange.between(0xffff8001_00000000L, 0xffff9000_00000000L)
                : AddressRange.between(0xffffff80_00000000L, 0xffffffbb_ffff0000L);
    }

    @Override
    public AddressRange kernelText() {
        return kernelText(KernelConfig.linux6_1());
    }

    /** From {@code _stext} to {@code _etext}. */
    @Override
    public AddressRange kernelText(KernelConfig config) {
        Placed kernel = Placed.of(config);
        return AddressRange.between(kernel.start + HEAD, kernel.textEnd);
    }

    @Override
    public AddressRange perCpuArea() {
        return perCpuArea(KernelConfig.linux6_1());
    }

    /**
     * The 8 KiB that a kernel keeps for modules, behind its own per-CPU data. The offsets count
     * from where that lies in the image, so they look like addresses near the image's end.
     */
    @Override
    public AddressRange perCpuArea(KernelConfig config) {
        return new AddressRange(new Address(Placed.of(config).perCpuEnd), 0x2000);
    }

    /** Areas of 128 KiB, one behind the other, in the linear map. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0x3fd00000L - 0x8000_00000000L + cpu * 0x20000L;
    }

    // ---- formats ----

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public RelocationTypes relocationTypes(KernelConfig config) {
        return config.atLeast(5, 3) ? TYPES : config.atLeast(4, 6) ? BEFORE_5_3 : BEFORE_4_6;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return withAddends;
    }

    @Override
    public String vermagicSuffix(KernelConfig config) {
        return "aarch64";
    }

    @Override
    public boolean keepsBuiltInExit() {
        return true;
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return config.atLeast(4, 19);
    }

    /** Since 5.16 an entry has a type and data of 16 bits each. */
    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return config.atLeast(5, 16)
                ? ExceptionTable.RELATIVE_WITH_DATA
                : config.atLeast(4, 6) ? ExceptionTable.RELATIVE : ExceptionTable.ABSOLUTE64;
    }

    /** Debian sets it in 6.12, not in 6.1. */
    @Override
    public boolean kallsymsAll(KernelConfig config) {
        return config.atLeast(6, 12);
    }

    // ---- loading ----

    @Override
    public List<Section> scriptSections(KernelConfig config) {
        List<String> names = new ArrayList<>();
        if (AArch64Plt.builtIn(config)) {
            names.addAll(List.of(AArch64Plt.CORE, AArch64Plt.INIT, TRAMPOLINE));
            if (config.atLeast(6, 12)) {
                names.add(INIT_TRAMPOLINE);
            }
        }
        return names.stream()
                .map(
                        name ->
                                SectionPlan.placeholder(
                                        name, SectionFlags.ALLOC | SectionFlags.EXECINSTR))
                .toList();
    }

    @Override
    public SectionPlan planSections(ModuleImage image, KernelConfig config, String name) {
        return AArch64Plt.builtIn(config)
                ? new AArch64Plan(this, image, config, name).run()
                : SectionPlan.asIs(image);
    }

    @Override
    public Relocator relocator(PlacedModule module) {
        return new AArch64Plt(this, module);
    }

    /**
     * Applies alternatives if the processor is known, then fills the trampolines of function
     * tracing, as far as the addresses of what they lead to are known.
     *
     * @kernel arch/arm64/kernel/module.c, module_finalize(), module_init_ftrace_plt()
     */
    @Override
    public void finalizeModule(PlacedModule module) {
        AArch64Alternatives.apply(module);
        KernelConfig config = module.config();
        if (!AArch64Plt.builtIn(config) || !tracesFunctions(config) || !config.atLeast(5, 5)) {
            return;
        }
        if (module.image().sectionIndex(TRAMPOLINE) == 0) {
            throw LoadException.silent(
                    Errno.ENOEXEC, module.name() + " has no section " + TRAMPOLINE);
        }
        fillTrampolines(module, TRAMPOLINE);
        if (config.atLeast(6, 12)) {
            fillTrampolines(module, INIT_TRAMPOLINE);
        }
    }

    private static void fillTrampolines(PlacedModule module, String name) {
        PlacedSection section = module.section(module.image().sectionIndex(name));
        if (section == null) {
            return;
        }
        KernelConfig config = module.config();
        int size = AArch64Plt.entrySize(config);
        List<String> targets = trampolines(config);
        if (section.size() < targets.size() * size) { // a namesake of the one that was sized
            throw new LoadException(
                    Errno.ENOEXEC,
                    new LogLine(
                            LogLevel.ERR,
                            "%s: section %s is too small for its trampolines"
                                    .formatted(module.name(), name)));
        }
        for (int i = 0; i < targets.size(); i++) {
            int slot = i;
            config.kernelAddress(targets.get(i))
                    .ifPresent(
                            target ->
                                    AArch64Plt.writeEntry(
                                            config, section, (long) slot * size, target.value()));
        }
    }

    /** What the trampolines of a module lead to, in order. */
    static List<String> trampolines(KernelConfig config) {
        boolean withRegisters =
                config.atLeast(5, 5)
                        && !config.atLeast(6, 2)
                        && config.kconfig("CONFIG_DYNAMIC_FTRACE_WITH_REGS", true);
        return withRegisters
                ? List.of("ftrace_caller", "ftrace_regs_caller")
                : List.of("ftrace_caller");
    }

    static boolean tracesFunctions(KernelConfig config) {
        return config.kconfig("CONFIG_DYNAMIC_FTRACE", true);
    }

    // ---- failures ----

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    refuse(
                            failure,
                            "module %s: unsupported RELA relocation: %s",
                            failure.module(),
                            Integer.toUnsignedString(failure.type()));
            case OVERFLOW ->
                    refuse(
                            failure,
                            "module %s: overflow in relocation type %d val %x",
                            failure.module(),
                            failure.type(),
                            failure.s() + failure.a());
            case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Failures.relocation(failure);
        };
    }

    private static LoadException refuse(
            RelocationFailure failure, String format, Object... arguments) {
        String prefix = failure.config().atLeast(6, 5) ? "Modules: " : "";
        return Refusal.refuse(Errno.ENOEXEC, prefix + format, arguments);
    }
}

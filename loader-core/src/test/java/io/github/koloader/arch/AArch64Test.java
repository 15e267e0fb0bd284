package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import io.github.koloader.Errno;
import io.github.koloader.Images;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class AArch64Test extends ArchitectureContract {
    private static final long PLACE = 0xffff8000_01001000L;
    private static final int SIZE = 16;
    private static final KernelConfig LINUX_6_1 = KernelConfig.linux6_1();
    private static final KernelConfig LINUX_6_12 = KernelConfig.linux6_12();
    private static final KernelConfig WITH_ERRATUM = withErratum(LINUX_6_1);
    private static final long CODE = SectionFlags.ALLOC | SectionFlags.EXECINSTR;

    private static final int FAULT = 0xd4202000;

    @Override
    Architecture architecture() {
        return Architectures.AARCH64;
    }

    static KernelConfig withErratum(KernelConfig config) {
        return config.toBuilder().cpuCapability("ARM64_WORKAROUND_843419", true).build();
    }

    private static KernelConfig without(String option) {
        return LINUX_6_1.toBuilder().kconfig(option, false).build();
    }

    // ---- one relocation on its own ----

    /**
     * Applies relocations to these bytes, at {@link #PLACE}; the symbol has index 1 and value
     * {@code s}. There is no PLT.
     */
    private static void apply(
            byte[] bytes, KernelConfig config, long s, Relocation... relocations) {
        ImageBuilder builder = new ImageBuilder(183, Encoding.ELF64_LSB, true).name("m");
        int section = builder.section(Section.nobits("x", 2, 1, SIZE));
        builder.symbol(Symbol.undefined("f"));
        ModuleImage image = builder.relocate(section, relocations).build();
        PlacedModule module =
                PlacedModule.ofSection(
                        config,
                        image,
                        new long[] {0, s},
                        section,
                        new PlacedSection(bytes, 4, SIZE, PLACE, false));
        Architectures.AARCH64.relocator(module).apply(image.relocationsFor(section).get(0));
    }

    private static ByteBuffer le(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static byte[] holding(int instruction) {
        byte[] bytes = new byte[SIZE + 8];
        le(bytes).putInt(4, instruction);
        return bytes;
    }

    /** What becomes of an instruction at {@link #PLACE}. */
    private static int relocated(int instruction, int type, long s) {
        return relocated(LINUX_6_1, instruction, type, s);
    }

    private static int relocated(KernelConfig config, int instruction, int type, long s) {
        byte[] bytes = holding(instruction);
        apply(bytes, config, s - 0x10, new Relocation(0, type, 1, 0x10));
        assertThat(le(bytes).getInt(0)).isZero();
        assertThat(le(bytes).getInt(8)).isZero();
        return le(bytes).getInt(4);
    }

    private static LoadException refusal(KernelConfig config, int type, long s) {
        return refusal(config, new Relocation(0, type, 1, 0), s);
    }

    private static LoadException refusal(KernelConfig config, Relocation relocation, long s) {
        byte[] bytes = holding(0x14000000);
        byte[] before = bytes.clone();
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class, () -> apply(bytes, config, s, relocation));
        assertThat(refusal).as("type %d, %x", relocation.type(), s).isNotNull();
        assertThat(bytes).as("untouched").isEqualTo(before);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
        return refusal;
    }

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code, RelocationType::name)
                .containsExactly(
                        tuple(0, "R_ARM_NONE"),
                        tuple(256, "R_AARCH64_NONE"),
                        tuple(257, "R_AARCH64_ABS64"),
                        tuple(258, "R_AARCH64_ABS32"),
                        tuple(259, "R_AARCH64_ABS16"),
                        tuple(260, "R_AARCH64_PREL64"),
                        tuple(261, "R_AARCH64_PREL32"),
                        tuple(262, "R_AARCH64_PREL16"),
                        tuple(263, "R_AARCH64_MOVW_UABS_G0"),
                        tuple(264, "R_AARCH64_MOVW_UABS_G0_NC"),
                        tuple(265, "R_AARCH64_MOVW_UABS_G1"),
                        tuple(266, "R_AARCH64_MOVW_UABS_G1_NC"),
                        tuple(267, "R_AARCH64_MOVW_UABS_G2"),
                        tuple(268, "R_AARCH64_MOVW_UABS_G2_NC"),
                        tuple(269, "R_AARCH64_MOVW_UABS_G3"),
                        tuple(270, "R_AARCH64_MOVW_SABS_G0"),
                        tuple(271, "R_AARCH64_MOVW_SABS_G1"),
                        tuple(272, "R_AARCH64_MOVW_SABS_G2"),
                        tuple(273, "R_AARCH64_LD_PREL_LO19"),
                        tuple(274, "R_AARCH64_ADR_PREL_LO21"),
                        tuple(275, "R_AARCH64_ADR_PREL_PG_HI21"),
                        tuple(276, "R_AARCH64_ADR_PREL_PG_HI21_NC"),
                        tuple(277, "R_AARCH64_ADD_ABS_LO12_NC"),
                        tuple(278, "R_AARCH64_LDST8_ABS_LO12_NC"),
                        tuple(279, "R_AARCH64_TSTBR14"),
                        tuple(280, "R_AARCH64_CONDBR19"),
                        tuple(282, "R_AARCH64_JUMP26"),
                        tuple(283, "R_AARCH64_CALL26"),
                        tuple(284, "R_AARCH64_LDST16_ABS_LO12_NC"),
                        tuple(285, "R_AARCH64_LDST32_ABS_LO12_NC"),
                        tuple(286, "R_AARCH64_LDST64_ABS_LO12_NC"),
                        tuple(287, "R_AARCH64_MOVW_PREL_G0"),
                        tuple(288, "R_AARCH64_MOVW_PREL_G0_NC"),
                        tuple(289, "R_AARCH64_MOVW_PREL_G1"),
                        tuple(290, "R_AARCH64_MOVW_PREL_G1_NC"),
                        tuple(291, "R_AARCH64_MOVW_PREL_G2"),
                        tuple(292, "R_AARCH64_MOVW_PREL_G2_NC"),
                        tuple(293, "R_AARCH64_MOVW_PREL_G3"),
                        tuple(299, "R_AARCH64_LDST128_ABS_LO12_NC"));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 256})
    void noneWritesNothingEvenOutsideItsSection(int type) {
        byte[] bytes = holding(0x55555555);
        byte[] before = bytes.clone();
        apply(bytes, LINUX_6_1, 0x1234, new Relocation(1L << 40, type, 1, 5));
        assertThat(bytes).isEqualTo(before);
    }

    @Test
    void dataIsOverwrittenWhateverItWas() {
        byte[] bytes = holding(-1);
        apply(bytes, LINUX_6_1, PLACE, new Relocation(0, 257, 1, -4));
        assertThat(le(bytes).getLong(4)).isEqualTo(PLACE - 4);
        apply(bytes, LINUX_6_1, PLACE + 0x100, new Relocation(0, 260, 1, -8));
        assertThat(le(bytes).getLong(4)).isEqualTo(0xf8);
        apply(bytes, LINUX_6_1, 0x89abcdefL, new Relocation(4, 258, 1, 0));
        assertThat(le(bytes).getLong(4)).isEqualTo(0x89abcdef_000000f8L);
        apply(bytes, LINUX_6_1, PLACE - 2, new Relocation(0, 262, 1, 0));
        assertThat(le(bytes).getLong(4)).isEqualTo(0x89abcdef_0000fffeL);
    }

    /** Smallest and largest value, and whether the place counts. */
    @ParameterizedTest
    @CsvSource({
        "258, 0, 0xffffffff, false",
        "259, 0, 0xffff, false",
        "261, -0x80000000, 0x7fffffff, true",
        "262, -0x8000, 0x7fff, true",
        "263, 0, 0xffff, false",
        "265, 0, 0xffffffff, false",
        "267, 0, 0xffffffffffff, false",
        "270, -0x10000, 0xffff, false",
        "271, -0x100000000, 0xffffffff, false",
        "272, -0x1000000000000, 0xffffffffffff, false",
        "273, -0x100000, 0xfffff, true",
        "274, -0x100000, 0xfffff, true",
        "279, -0x8000, 0x7fff, true",
        "280, -0x100000, 0xfffff, true",
        "282, -0x8000000, 0x7ffffff, true",
        "283, -0x8000000, 0x7ffffff, true",
        "287, -0x10000, 0xffff, true",
        "289, -0x100000000, 0xffffffff, true",
        "291, -0x1000000000000, 0xffffffffffff, true"
    })
    void valuesUpToTheBoundsAreTakenAndTheirNeighboursRejected(
            int type, String least, String most, boolean relative) {
        long p = relative ? PLACE : 0;
        long smallest = Long.decode(least) + p;
        long largest = Long.decode(most) + p;
        relocated(0, type, smallest);
        relocated(0, type, largest);
        for (long beyond : new long[] {smallest - 1, largest + 1}) {
            assertThat(refusal(LINUX_6_1, type, beyond).dmesg())
                    .isEqualTo(
                            "module m: overflow in relocation type %d val %x"
                                    .formatted(type, beyond));
            assertThat(refusal(LINUX_6_12, type, beyond).dmesg())
                    .isEqualTo(
                            "Modules: module m: overflow in relocation type %d val %x"
                                    .formatted(type, beyond));
        }
    }

    @Test
    void pagesReachFourGibibytesEitherWay() {
        assertThat(relocated(0x90000009, 275, PLACE + 0xffff_ffffL)).isEqualTo(0xf07fffe9);
        assertThat(relocated(0x90000009, 275, PLACE - 0x1_0000_0000L)).isEqualTo(0x90800009);
        refusal(LINUX_6_1, 275, PLACE + 0x1_0000_0000L);
        refusal(LINUX_6_1, 275, PLACE - 0x1_0000_0001L);
        assertThat(relocated(0x90000009, 276, PLACE + 0x1_0000_0000L)).isEqualTo(0x90800009);
    }

    @ParameterizedTest
    @ValueSource(ints = {264, 266, 268, 269, 276, 277, 278, 284, 285, 286, 288, 290, 292, 293, 299})
    void typesThatAreNotCheckedTakeEverything(int type) {
        for (long s : new long[] {0, -1, Long.MIN_VALUE, Long.MAX_VALUE, PLACE}) {
            relocated(0, type, s);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "282, 0x14000000, 0x17ffffff, -4",
        "283, 0x94000000, 0x94000040, 0x100",
        "280, 0x54000001, 0x54ffffe1, -4",
        "279, 0xb6280003, 0xb6280803, 0x100",
        "273, 0x58000005, 0x58000805, 0x100",
        "274, 0x10000005, 0x70ffffe5, -1",
        "275, 0x90000009, 0xb0000009, 0x1fff"
    })
    void distancesGoWhereTheInstructionHasThem(int type, String old, String now, String distance) {
        assertThat(relocated(Long.decode(old).intValue(), type, PLACE + Long.decode(distance)))
                .isEqualTo(Long.decode(now).intValue());
    }

    /** The bits that are shifted out are not looked at. */
    @ParameterizedTest
    @ValueSource(ints = {273, 279, 280, 282, 283})
    void aMisalignedTargetIsNoError(int type) {
        assertThat(relocated(0, type, PLACE + 0x103)).isEqualTo(relocated(0, type, PLACE + 0x100));
    }

    @ParameterizedTest
    @CsvSource({"277, 0xfff", "278, 0xfff", "284, 0x7ff", "285, 0x3ff", "286, 0x1ff", "299, 0xff"})
    void offsetsInAPageCountInUnitsOfTheAccess(int type, String largest) {
        assertThat(relocated(0xffffffff, type, PLACE + 0xfff))
                .isEqualTo(0xffc003ff | Integer.decode(largest) << 10);
    }

    @ParameterizedTest
    @CsvSource({"264, 0xcdef", "266, 0x89ab", "268, 0x4567", "269, 0x0123"})
    void plainMovesTakeSixteenBitsAndStayWhatTheyAre(int type, String part) {
        assertThat(relocated(0xf2a00003, type, 0x01234567_89abcdefL))
                .isEqualTo((0xf2a00003 & ~(0xffff << 5)) | Integer.decode(part) << 5);
    }

    @ParameterizedTest
    @CsvSource({"270, 0x1234", "271, 0x12345678", "272, 0x123456789abc"})
    void signedMovesBecomeMovzOrMovn(int type, String value) {
        int shift = (type - 270) * 16;
        long x = Long.decode(value);
        int part = (int) (x >> shift);
        int movz = 0xd2800003 | part << 5;
        int movn = 0x92800003 | part << 5;
        for (int opcode : new int[] {0x92800003, 0xd2800003, 0xf2800003}) {
            assertThat(relocated(opcode, type, x)).isEqualTo(movz);
            assertThat(relocated(opcode, type, ~x)).isEqualTo(movn);
        }
        assertThat(relocated(0x52800003, type, x)).as("32 bits").isEqualTo(movz & 0x7fffffff);
    }

    @Test
    void theLastSignedMoveTakesTheHighestBits() {
        assertThat(relocated(0xd2800003, 293, PLACE + 0x0123_0000_0000_0000L))
                .isEqualTo(0xd2800003 | 0x123 << 5);
        assertThat(relocated(0xd2800003, 293, PLACE - 0x0123_0000_0000_0001L))
                .isEqualTo(0x92800003 | 0x123 << 5);
    }

    /** {@code brk #0x100} stands for an instruction that could not be made. */
    @ParameterizedTest
    @ValueSource(
            ints = {263, 264, 265, 269, 270, 273, 274, 275, 276, 277, 279, 280, 282, 283, 284, 299})
    void aFaultInstructionTakesNoImmediate(int type) {
        long near = type <= 272 ? 0x1234 : PLACE + 0x1234;
        assertThat(relocated(FAULT, type, near)).isEqualTo(FAULT);
    }

    @Test
    void aSignedMoveLooksForTheFaultOnceItIsMovzOrMovn() {
        assertThat(relocated(0x94202000, 270, 0x1234)).isEqualTo(FAULT);
        assertThat(relocated(FAULT, 270, -1)).isEqualTo(0x94200000);
    }

    @ParameterizedTest
    @CsvSource({
        "1, 1",
        "255, 255",
        "281, 281",
        "294, 294",
        "298, 298",
        "300, 300",
        "311, 311",
        "314, 314",
        "1024, 1024",
        "-1, 4294967295"
    })
    void anUnknownTypeIsRejected(int type, String shown) {
        assertThat(refusal(LINUX_6_1, type, PLACE).dmesg())
                .isEqualTo("module m: unsupported RELA relocation: " + shown);
        assertThat(refusal(KernelConfig.forRelease("6.4.0"), type, PLACE).dmesg())
                .isEqualTo("module m: unsupported RELA relocation: " + shown);
        assertThat(refusal(KernelConfig.forRelease("6.5.0"), type, PLACE).dmesg())
                .isEqualTo("Modules: module m: unsupported RELA relocation: " + shown);
    }

    @ParameterizedTest
    @CsvSource({"257, 9", "258, 13", "259, 15", "283, 13", "275, -4", "283, 9223372036854775807"})
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        assertThat(refusal(LINUX_6_1, new Relocation(offset, type, 1, 0), 0).dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 patches offset 0x"
                                + Long.toHexString(offset)
                                + ", which is outside its section");
    }

    @Test
    void aSymbolThatIsNotThereIsRejected() {
        byte[] bytes = holding(0);
        ImageBuilder builder = new ImageBuilder(183, Encoding.ELF64_LSB, true).name("m");
        int section = builder.section(Section.nobits("x", 2, 1, SIZE));
        int symbol = builder.symbol(Symbol.undefined("f"));
        ModuleImage image = builder.relocate(section, new Relocation(0, 257, symbol, 0)).build();
        PlacedModule module =
                PlacedModule.ofSection(
                        LINUX_6_1,
                        image,
                        new long[] {0},
                        section,
                        new PlacedSection(bytes, 4, SIZE, PLACE, false));
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                architecture()
                                        .relocator(module)
                                        .apply(image.relocationsFor(section).get(0)));
        assertThat(refusal.dmesg()).endsWith("refers to a symbol that is not in the symbol table");
        assertThat(bytes).isEqualTo(holding(0));
    }

    // ---- older kernels ----

    @Test
    void before53DataTakesSignedAndUnsignedNumbers() {
        KernelConfig old = KernelConfig.forRelease("5.2.0");
        KernelConfig recent = KernelConfig.forRelease("5.3.0");
        for (int[] row : new int[][] {{258, 32}, {259, 16}, {261, 32}, {262, 16}}) {
            long p = row[0] > 260 ? PLACE : 0;
            long least = -(1L << row[1] - 1) + p;
            long most = (1L << row[1]) - 1 + p;
            relocated(old, 0, row[0], least);
            relocated(old, 0, row[0], most);
            refusal(old, row[0], least - 1);
            refusal(old, row[0], most + 1);
            refusal(recent, row[0], p == 0 ? least : most);
        }
        assertThat(relocated(old, 0, 258, -1)).isEqualTo(-1);
        assertThat(relocated(old, 0, 259, -1)).isEqualTo(0xffff);
    }

    @Test
    void uncheckedPagesAreKnownSince46() {
        refusal(KernelConfig.linux3_10(), 276, PLACE);
        refusal(KernelConfig.forRelease("4.5.0"), 276, PLACE);
        relocated(KernelConfig.forRelease("4.6.0"), 0, 276, PLACE);
        relocated(KernelConfig.linux3_10(), 0, 275, PLACE);
    }

    // ---- modules with code and PLTs ----

    /** A module with {@code .text} of {@code words} words, in which each relocation is a branch. */
    static final class Code {
        final ImageBuilder builder = new ImageBuilder(183, Encoding.ELF64_LSB, true).name("m");
        final int text;
        final List<Integer> symbols = new ArrayList<>(List.of(0));

        Code(String name, int words, long alignment) {
            byte[] code = new byte[4 * words];
            for (int i = 0; i < words; i++) {
                le(code).putInt(4 * i, 0x94000000);
            }
            text = builder.section(Section.progbits(name, CODE, alignment, Bytes.wrap(code)));
        }

        Code undefined(int count) {
            for (int i = 0; i < count; i++) {
                symbols.add(builder.symbol(Symbol.undefined("f" + i)));
            }
            return this;
        }

        Code branch(long offset, int symbol, long addend) {
            return relocate(offset, AArch64.CALL26, symbol, addend);
        }

        Code relocate(long offset, int type, int symbol, long addend) {
            builder.relocate(text, new Relocation(offset, type, symbols.get(symbol), addend));
            return this;
        }

        ModuleImage build() {
            for (String name : new String[] {".plt", ".init.plt", AArch64.TRAMPOLINE}) {
                script(name);
            }
            return builder.build();
        }

        Code script(String name) {
            builder.section(Section.progbits(name, CODE, 1, Bytes.wrap(new byte[1])));
            return this;
        }
    }

    private static Code code(int words) {
        return new Code(".text", words, 4);
    }

    private static ModuleImage plan(ModuleImage image, KernelConfig config) {
        SectionPlan plan = Architectures.AARCH64.planSections(image, config, "m");
        assertThat(plan.textPrefix()).isZero();
        return plan.image();
    }

    private static LoadException planRefusal(ModuleImage image, KernelConfig config) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> plan(image, config));
        assertThat(refusal).isNotNull();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
        return refusal;
    }

    private static long entries(ModuleImage planned, String plt) {
        Section section = planned.section(plt).orElseThrow();
        assertThat(section.size() % 12).isZero();
        return section.size() / 12 - 1;
    }

    private static List<Long> offsets(ModuleImage image, int section) {
        RelocationTable table = image.relocationsFor(section).get(0);
        List<Long> offsets = new ArrayList<>();
        for (int i = 0; i < table.count(); i++) {
            offsets.add(table.offset(i));
        }
        return offsets;
    }

    @Test
    void sectionsOfThePltAreMadeOfZerosAndAligned() {
        ModuleImage image = code(4).undefined(1).branch(0, 1, 0).branch(4, 1, 0).build();
        ModuleImage planned = plan(image, LINUX_6_1);
        for (String name : new String[] {".plt", ".init.plt", AArch64.TRAMPOLINE}) {
            Section section = planned.section(name).orElseThrow();
            assertThat(section.type()).isEqualTo(SectionType.NOBITS);
            assertThat(section.flags().bits()).isEqualTo(CODE);
            assertThat(section.alignment()).isEqualTo(name.endsWith("plt") ? 64 : 4);
            assertThat(section.contents()).isEqualTo(Bytes.EMPTY);
        }
        assertThat(planned.section(".plt").orElseThrow().size()).isEqualTo(24);
        assertThat(planned.section(".init.plt").orElseThrow().size()).isEqualTo(12);
        assertThat(planned.section(AArch64.TRAMPOLINE).orElseThrow().size()).isEqualTo(24);
        assertThat(planned.sections()).hasSameSizeAs(image.sections());
    }

    @Test
    void trampolinesHaveOneSlotSince62OrWithoutRegisters() {
        ModuleImage image = code(1).build();
        for (KernelConfig config :
                List.of(
                        KernelConfig.forRelease("6.2.0"),
                        LINUX_6_12,
                        KernelConfig.forRelease("5.4.0"),
                        without("CONFIG_DYNAMIC_FTRACE_WITH_REGS"))) {
            assertThat(plan(image, config).section(AArch64.TRAMPOLINE).orElseThrow().size())
                    .isEqualTo(12);
        }
        assertThat(
                        plan(image, KernelConfig.forRelease("5.5.0"))
                                .section(AArch64.TRAMPOLINE)
                                .orElseThrow()
                                .size())
                .isEqualTo(24);
        assertThat(plan(image, without("CONFIG_DYNAMIC_FTRACE")).section(AArch64.TRAMPOLINE))
                .isEqualTo(image.section(AArch64.TRAMPOLINE));
    }

    @Test
    void initHasTrampolinesOfItsOwnIn612() {
        ModuleImage image = code(1).script(AArch64.INIT_TRAMPOLINE).build();
        assertThat(plan(image, LINUX_6_12).section(AArch64.INIT_TRAMPOLINE).orElseThrow().size())
                .isEqualTo(12);
        assertThat(plan(image, LINUX_6_1).section(AArch64.INIT_TRAMPOLINE))
                .isEqualTo(image.section(AArch64.INIT_TRAMPOLINE));
    }

    @ParameterizedTest
    @ValueSource(strings = {".plt", ".init.plt"})
    void aModuleWithoutPltIsRefused(String missing) {
        ModuleImage image = Images.withRenamed(code(1).build(), missing, "x");
        for (KernelConfig config : List.of(LINUX_6_1, LINUX_6_12)) {
            assertThat(planRefusal(image, config).dmesg())
                    .isEqualTo("m: module PLT section(s) missing");
        }
    }

    @Test
    void aModuleWithoutSymbolTableIsRefused() {
        ModuleImage image = Images.withType(code(1).build(), ".symtab", SectionType.PROGBITS);
        assertThat(planRefusal(image, LINUX_6_1).dmesg())
                .isEqualTo("m: module symtab section missing");
    }

    @Test
    void aSymbolTableThatIsNamedAsAPltIsNone() {
        for (String name : new String[] {".plt", ".init.plt", AArch64.TRAMPOLINE}) {
            ModuleImage image = Images.withRenamed(code(1).build(), ".symtab", name);
            for (KernelConfig config : List.of(Images.quiet6_1(), Images.quiet6_12())) {
                LoadException refusal =
                        catchThrowableOfType(
                                LoadException.class,
                                () ->
                                        Kernel.builder(architecture())
                                                .config(config)
                                                .build()
                                                .load(image, ""));
                assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
                assertThat(refusal.dmesg()).isEqualTo("m: module symtab section missing");
            }
        }
    }

    /** Linux reads its names from a temporary copy; here they are gone. */
    @Test
    void stringsThatAreNamedAsAPltBecomeOne() {
        ModuleImage image =
                Images.withRenamed(code(2).undefined(1).branch(0, 1, 0).build(), ".strtab", ".plt");
        ModuleImage planned = plan(image, LINUX_6_1);
        assertThat(planned.section(planned.section(planned.symbolSection()).link()).size())
                .isEqualTo(24);
        Kernel kernel = Kernel.builder(architecture()).config(Images.quiet6_1()).build();
        assertThat(kernel.load(image, "").name()).isEqualTo("m");
    }

    @Test
    void withoutPltsNothingIsPlanned() {
        ModuleImage image = code(4).undefined(2).branch(0, 2, 0).branch(4, 1, 0).build();
        for (KernelConfig config :
                List.of(
                        KernelConfig.linux3_10(),
                        KernelConfig.forRelease("4.4.0"),
                        without("CONFIG_ARM64_MODULE_PLTS"))) {
            assertThat(plan(image, config)).isSameAs(image);
        }
        KernelConfig always =
                KernelConfig.forRelease("6.5.0").toBuilder()
                        .kconfig("CONFIG_ARM64_MODULE_PLTS", false)
                        .build();
        assertThat(entries(plan(image, always), ".plt")).isEqualTo(2);
        KernelConfig last =
                KernelConfig.forRelease("6.4.0").toBuilder()
                        .kconfig("CONFIG_ARM64_MODULE_PLTS", false)
                        .build();
        assertThat(plan(image, last)).isSameAs(image);
    }

    @Test
    void theLastSectionOfANameIsTheOneThatIsSized() {
        Code code = code(1);
        code.script(".plt");
        ModuleImage planned = plan(code.build(), LINUX_6_1);
        assertThat(planned.section(".plt").orElseThrow().size()).isEqualTo(1);
        assertThat(planned.section(SectionPlan.lastNamed(planned, ".plt")).size()).isEqualTo(12);
    }

    @Test
    void branchesIntoTheirOwnSectionNeedNoEntry() {
        Code code = code(4);
        code.symbols.add(code.builder.symbol(Symbol.function("here", code.text, 8, 4)));
        ModuleImage image = code.branch(0, 1, 0).branch(4, 1, 0).build();
        ModuleImage planned = plan(image, LINUX_6_1);
        assertThat(entries(planned, ".plt")).isZero();
        assertThat(offsets(planned, code.text)).containsExactly(0L, 4L);
    }

    @Test
    void branchesToAnotherSectionOfTheModuleNeedOne() {
        Code code = code(4);
        int other = code.builder.section(Images.code(".text.unlikely", 16));
        code.symbols.add(code.builder.symbol(Symbol.function("there", other, 8, 4)));
        ModuleImage image = code.branch(0, 1, 0).branch(4, 1, 4).branch(8, 1, 4).build();
        assertThat(entries(plan(image, LINUX_6_1), ".plt")).isEqualTo(3);
    }

    @Test
    void equalBranchesWithoutAddendShareAnEntry() {
        ModuleImage image =
                code(8).undefined(2)
                        .branch(0, 1, 0)
                        .branch(4, 2, 0)
                        .branch(8, 1, 0)
                        .branch(12, 2, 0)
                        .relocate(16, AArch64.JUMP26, 1, 0)
                        .build();
        assertThat(entries(plan(image, LINUX_6_1), ".plt")).isEqualTo(3);
    }

    @Test
    void equalBranchesWithAddendAreCountedEach() {
        ModuleImage image = code(4).undefined(1).branch(0, 1, 8).branch(4, 1, 8).build();
        assertThat(entries(plan(image, LINUX_6_1), ".plt")).isEqualTo(2);
    }

    @Test
    void relocationsAreSortedByTypeSymbolAndAddendWithBranchesFirst() {
        Code code = code(8).undefined(3);
        code.relocate(0, AArch64.ADR_PREL_PG_HI21, 1, 0)
                .branch(4, 3, 0)
                .branch(8, 1, 4)
                .branch(12, 1, -4)
                .relocate(16, AArch64.JUMP26, 2, 0)
                .relocate(20, 277, 1, 0)
                .branch(24, 2, 0);
        ModuleImage planned = plan(code.build(), LINUX_6_1);
        assertThat(offsets(planned, code.text)).containsExactly(16L, 12L, 8L, 24L, 4L, 20L, 0L);
    }

    /** The search ends where both ends meet, and does not look at what is there. */
    @Test
    void theBranchThatIsMetLastIsCountedButNotSorted() {
        Code code = code(4).undefined(2).branch(0, 2, 0).branch(4, 1, 0);
        ModuleImage planned = plan(code.build(), LINUX_6_1);
        assertThat(offsets(planned, code.text)).containsExactly(0L, 4L);
        assertThat(entries(planned, ".plt")).isEqualTo(2);

        Code again = code(4).undefined(2).branch(0, 2, 0).branch(4, 1, 0).branch(8, 2, 0);
        planned = plan(again.build(), LINUX_6_1);
        assertThat(offsets(planned, again.text)).containsExactly(4L, 0L, 8L);
        assertThat(entries(planned, ".plt")).isEqualTo(2);
    }

    /**
     * Tables of many kinds of relocations: offset, type, symbol, addend; the symbols before {@code
     * |} are those of the code's own section.
     */
    @ParameterizedTest
    @CsvSource({
        "false, 4, '|1 2 3 4 5 6 7 8 9', '2828:282:1:0 3672:283:5:0 5476:257:5:0 6536:282:4:-4"
                + " 7328:261:5:8 8624:283:7:0 9168:275:5:0 11768:283:3:-4 12264:257:4:0',"
                + " 2828 6536 11768 3672 8624 7328 9168 5476 12264, 4, 5",
        "true, 64, '|1 2 3', '268:283:2:0 628:277:2:0 960:257:1:4 1604:283:1:0 1808:283:2:0"
                + " 2620:283:2:0 4480:257:2:0 5112:275:3:0 7720:276:2:-4 7808:283:1:8"
                + " 8048:282:2:0 8476:282:1:0 14328:275:2:0 16380:275:2:0', 8476 8048 1604 7808"
                + " 2620 1808 268 5112 7720 4480 960 628 14328 16380, 4096, 7",
        "true, 16, '1 6 7|2 3 4 5 8 9 10', '560:277:1:0 1200:282:1:0 3136:261:6:0 5404:282:8:0"
                + " 6080:257:5:-4 6128:283:2:0 7152:276:2:0 10312:276:9:8 11288:283:1:8', 5404"
                + " 6128 3136 1200 6080 560 7152 10312 11288, 32, 3",
        "false, 4, '3|1 2 4 5 6', '2180:261:4:4 2808:283:5:0 3020:283:3:0', 2808 2180 3020, 4, 1"
    })
    void tablesAreOrderedAndCounted(
            boolean erratum,
            int alignment,
            String symbols,
            String table,
            String order,
            int newAlignment,
            int entries) {
        Code code = new Code(".text", 4096, alignment);
        String[] sides = symbols.split("\\|");
        List<String> own = List.of(sides[0].split(" "));
        int count = own.size() + sides[1].split(" ").length;
        for (int i = 1; i <= count; i++) {
            code.symbols.add(
                    code.builder.symbol(
                            own.contains(String.valueOf(i))
                                    ? Symbol.function("own" + i, code.text, 0, 4)
                                    : Symbol.undefined("other" + i)));
        }
        for (String entry : table.split(" ")) {
            String[] parts = entry.split(":");
            code.relocate(
                    Long.parseLong(parts[0]),
                    Integer.parseInt(parts[1]),
                    Integer.parseInt(parts[2]),
                    Long.parseLong(parts[3]));
        }
        ModuleImage planned = plan(code.build(), erratum ? WITH_ERRATUM : LINUX_6_1);
        assertThat(offsets(planned, code.text))
                .isEqualTo(Arrays.stream(order.split(" ")).map(Long::valueOf).toList());
        assertThat(planned.section(code.text).alignment()).isEqualTo(newAlignment);
        assertThat(entries(planned, ".plt")).isEqualTo(entries);
    }

    @Test
    void withoutRandomisationBranchesAreNeitherSortedNorCounted() {
        Code code = code(4).undefined(2).branch(0, 2, 0).branch(4, 1, 0);
        ModuleImage planned = plan(code.build(), without("CONFIG_RANDOMIZE_BASE"));
        assertThat(entries(planned, ".plt")).isZero();
        assertThat(offsets(planned, code.text)).containsExactly(0L, 4L);
    }

    @ParameterizedTest
    @CsvSource({
        ".text, true, 1, 0",
        ".init.text, true, 0, 1",
        ".initial, true, 0, 1",
        ".exit.text, true, 1, 0",
        ".exit.text, false, 0, 1"
    })
    void entriesAreCountedForTheMemoryThatTheSectionLiesIn(
            String section, boolean unload, int core, int init) {
        ModuleImage image = new Code(section, 1, 4).undefined(1).branch(0, 1, 0).build();
        ModuleImage planned = plan(image, LINUX_6_1.toBuilder().modUnload(unload).build());
        assertThat(entries(planned, ".plt")).isEqualTo(core);
        assertThat(entries(planned, ".init.plt")).isEqualTo(init);
    }

    @Test
    void relocationsForDataNeedNoEntries() {
        Code code = code(1).undefined(1);
        int data = code.builder.section(Images.data(".data", 16));
        code.builder.relocate(data, new Relocation(0, AArch64.CALL26, code.symbols.get(1), 0));
        assertThat(entries(plan(code.build(), LINUX_6_1), ".plt")).isZero();
    }

    @Test
    void aBranchToASymbolThatIsNotThereIsRefused() {
        ModuleImage image = code(2).undefined(1).branch(0, 1, 0).branch(4, 1, 0).build();
        int table = image.relocations().get(0).section();
        byte[] bytes = image.section(table).contents().toByteArray();
        for (int symbol : new int[] {-1, Integer.MIN_VALUE, image.symbols().count()}) {
            le(bytes).putInt(24 + 12, symbol);
            ModuleImage broken =
                    image.toBuilder()
                            .replace(table, image.section(table).withContents(Bytes.copyOf(bytes)))
                            .build();
            assertThat(planRefusal(broken, LINUX_6_1).dmesg())
                    .isEqualTo(
                            "m: relocation 1 of section %d refers to a symbol that is not in the symbol table"
                                    .formatted(table));
        }
    }

    @Test
    void tablesForSectionsThatAreNotThereAreLeftAlone() {
        ModuleImage image = code(1).undefined(1).branch(0, 1, 0).build();
        int table = image.relocations().get(0).section();
        Section old = image.section(table);
        for (int target : new int[] {-1, 1000}) {
            Section astray =
                    new Section(
                            old.name(),
                            old.type(),
                            old.flags(),
                            old.offset(),
                            old.size(),
                            old.alignment(),
                            old.link(),
                            target,
                            old.entrySize(),
                            old.contents());
            ModuleImage planned = plan(image.toBuilder().replace(table, astray).build(), LINUX_6_1);
            assertThat(entries(planned, ".plt")).isZero();
        }
    }

    // ---- erratum 843419, before layout ----

    @ParameterizedTest
    @CsvSource({
        "0x0, 16",
        "0x8, 32",
        "0x18, 64",
        "0xff0, 16",
        "0x3f8, 2048",
        "0x7f8, 4096",
        "0xbf8, 2048"
    })
    void aSectionIsAlignedSoThatNoAdrpCanEndAPage(String offset, int alignment) {
        ModuleImage image =
                new Code(".text", 1024, 4)
                        .undefined(1)
                        .relocate(Long.decode(offset), AArch64.ADR_PREL_PG_HI21, 1, 0)
                        .build();
        ModuleImage planned = plan(image, WITH_ERRATUM);
        assertThat(planned.section(".text").orElseThrow().alignment()).isEqualTo(alignment);
        assertThat(entries(planned, ".plt")).isZero();
        assertThat(plan(image, LINUX_6_1).section(".text")).isEqualTo(image.section(".text"));
    }

    @ParameterizedTest
    @ValueSource(ints = {275, 276})
    void anAdrpThatEndsAPageOfItsSectionNeedsAnEntry(int type) {
        ModuleImage image =
                new Code(".text", 1024, 4).undefined(1).relocate(0xff8, type, 1, 0).build();
        ModuleImage planned = plan(image, WITH_ERRATUM);
        assertThat(planned.section(".text").orElseThrow().alignment()).isEqualTo(4);
        assertThat(entries(planned, ".plt")).as("one, and one for it").isEqualTo(2);
        assertThat(entries(plan(image, LINUX_6_1), ".plt")).isZero();
        assertThat(
                        entries(
                                plan(
                                        image,
                                        WITH_ERRATUM.toBuilder()
                                                .kconfig("CONFIG_ARM64_ERRATUM_843419", false)
                                                .build()),
                                ".plt"))
                .isZero();
    }

    @Test
    void anAlignmentIsNeverLowered() {
        ModuleImage image =
                new Code(".text", 4, 256)
                        .undefined(1)
                        .relocate(8, AArch64.ADR_PREL_PG_HI21, 1, 0)
                        .build();
        assertThat(plan(image, WITH_ERRATUM).section(".text").orElseThrow().alignment())
                .isEqualTo(256);
    }

    /** Of 341 entries in a page one may have to be left out. */
    @ParameterizedTest
    @CsvSource({"0, 0", "1, 2", "341, 342", "342, 344"})
    void withTheErratumThereIsRoomForEntriesThatAreLeftOut(int branches, int entries) {
        Code code = code(1024).undefined(branches);
        for (int i = 0; i < branches; i++) {
            code.branch(4 * i, i + 1, 0);
        }
        assertThat(entries(plan(code.build(), WITH_ERRATUM), ".plt")).isEqualTo(entries);
    }

    // ---- after layout ----

    /** Planned, placed and relocated, with all memory at chosen addresses. */
    static final class Placed {
        final ModuleImage image;
        final PlacedModule module;
        final Map<Integer, PlacedSection> sections = new TreeMap<>();

        Placed(
                ModuleImage given,
                KernelConfig config,
                Map<String, Long> addresses,
                long... values) {
            SectionPlan plan = Architectures.AARCH64.planSections(given, config, "m");
            image = plan.image();
            for (int i = 1; i < image.sections().size(); i++) {
                Section section = image.section(i);
                Long address = addresses.get(section.name());
                if (address != null) {
                    byte[] bytes =
                            Arrays.copyOf(section.contents().toByteArray(), (int) section.size());
                    sections.put(i, new PlacedSection(bytes, 0, bytes.length, address, false));
                }
            }
            module =
                    new PlacedModule(
                            config,
                            "m",
                            plan,
                            Arrays.copyOf(values, image.symbols().count()),
                            sections::get,
                            address -> address >>> 28 == 0xffff8000_4L,
                            new PlacedSection(new byte[0], 0, 0, 0, false));
        }

        Placed relocate() {
            Relocator relocator = Architectures.AARCH64.relocator(module);
            for (RelocationTable table : image.relocations()) {
                if (sections.containsKey(table.target())) {
                    relocator.apply(table);
                }
            }
            return this;
        }

        PlacedSection section(String name) {
            return sections.get(SectionPlan.lastNamed(image, name));
        }

        LoadException refusal() {
            LoadException refusal = catchThrowableOfType(LoadException.class, this::relocate);
            assertThat(refusal).isNotNull();
            assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
            return refusal;
        }

        /** Where a branch leads, through an entry if it leads to one. */
        long target(String name, long offset) {
            PlacedSection from = section(name);
            long p = from.address() + offset;
            long target = p + ((long) from.readInt(offset) << 38 >> 36);
            for (String plt : new String[] {".plt", ".init.plt"}) {
                PlacedSection section = section(plt);
                if (section.holds(target - section.address(), 12)) {
                    return entryTarget(section, target - section.address());
                }
            }
            return target;
        }
    }

    /** What an entry adds up to. */
    static long entryTarget(PlacedSection plt, long slot) {
        assertThat(plt.readInt(slot) & 0x9f00001f).isEqualTo(0x90000010);
        assertThat(plt.readInt(slot + 4) & 0xffc003ff).isEqualTo(0x91000210);
        assertThat(plt.readInt(slot + 8)).isEqualTo(0xd61f0200);
        long page = AArch64Fields.adrpTarget(plt.address() + slot, plt.readInt(slot));
        return page + (plt.readInt(slot + 4) >>> 10 & 0xfff);
    }

    private static final Map<String, Long> ADDRESSES =
            Map.of(
                    ".text",
                    PLACE,
                    ".plt",
                    0xffff8000_01003000L,
                    ".init.text",
                    0xffff8000_40001000L,
                    ".init.plt",
                    0xffff8000_40003000L,
                    AArch64.TRAMPOLINE,
                    0xffff8000_01004000L);

    private static final long FAR = 0xffff8000_10081234L;

    private static String hex(PlacedSection section, long offset, int words) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < words; i++) {
            text.append("%08x ".formatted(section.readInt(offset + 4 * i)));
        }
        return text.toString().strip();
    }

    @Test
    void aBranchWithinReachGoesThereItself() {
        Placed placed =
                new Placed(
                                code(1).undefined(1).branch(0, 1, 0).build(),
                                LINUX_6_1,
                                ADDRESSES,
                                0,
                                PLACE + 0x7fffffc)
                        .relocate();
        assertThat(placed.section(".text").readInt(0)).isEqualTo(0x95ffffff);
        assertThat(hex(placed.section(".plt"), 0, 6))
                .isEqualTo("00000000 00000000 00000000 00000000 00000000 00000000");
    }

    @ParameterizedTest
    @ValueSource(ints = {282, 283})
    void aBranchOutOfReachGoesOverThePlt(int type) {
        Placed placed =
                new Placed(
                                code(2).undefined(1).relocate(4, type, 1, 4).build(),
                                LINUX_6_1,
                                ADDRESSES,
                                0,
                                FAR - 4)
                        .relocate();
        assertThat(placed.section(".text").readInt(4)).isEqualTo(0x94000000 | 0x1ffc / 4);
        assertThat(hex(placed.section(".plt"), 0, 3)).isEqualTo("d00783f0 9108d210 d61f0200");
        assertThat(entryTarget(placed.section(".plt"), 0)).isEqualTo(FAR);
    }

    @Test
    void otherInstructionsGetNoEntry() {
        Placed placed =
                new Placed(
                        code(1).undefined(1).relocate(0, 280, 1, 0).build(),
                        LINUX_6_1,
                        ADDRESSES,
                        0,
                        FAR);
        assertThat(placed.refusal().dmesg())
                .isEqualTo("module m: overflow in relocation type 280 val ffff800010081234");
    }

    @Test
    void withoutPltsABranchOutOfReachIsAnOverflow() {
        for (KernelConfig config :
                List.of(KernelConfig.forRelease("4.4.0"), without("CONFIG_ARM64_MODULE_PLTS"))) {
            Placed placed =
                    new Placed(
                            code(1).undefined(1).branch(0, 1, 4).build(),
                            config,
                            ADDRESSES,
                            0,
                            FAR - 4);
            assertThat(placed.refusal().dmesg())
                    .isEqualTo("module m: overflow in relocation type 283 val ffff800010081234");
        }
    }

    @Test
    void codeOfInitHasEntriesInInit() {
        Placed placed =
                new Placed(
                                new Code(".init.text", 1, 4).undefined(1).branch(0, 1, 0).build(),
                                LINUX_6_1,
                                ADDRESSES,
                                0,
                                FAR)
                        .relocate();
        assertThat(entryTarget(placed.section(".init.plt"), 0)).isEqualTo(FAR);
        assertThat(placed.section(".plt").readInt(0)).isZero();
    }

    @Test
    void equalTargetsInARowShareAnEntryAndTheTriedOneIsOverwritten() {
        Placed placed =
                new Placed(
                                code(4).undefined(2)
                                        .branch(0, 1, 0)
                                        .branch(4, 1, 0)
                                        .branch(8, 2, 0)
                                        .branch(12, 2, 0)
                                        .build(),
                                LINUX_6_1,
                                ADDRESSES,
                                0,
                                FAR,
                                FAR + 0x1000)
                        .relocate();
        PlacedSection plt = placed.section(".plt");
        assertThat(plt.size()).isEqualTo(36);
        assertThat(entryTarget(plt, 0)).isEqualTo(FAR);
        assertThat(entryTarget(plt, 12)).isEqualTo(FAR + 0x1000);
        assertThat(entryTarget(plt, 24)).as("tried, not taken").isEqualTo(FAR + 0x1000);
        assertThat(placed.section(".text").readInt(0) - 1)
                .isEqualTo(placed.section(".text").readInt(4));
        assertThat(placed.target(".text", 12)).isEqualTo(FAR + 0x1000);
    }

    /** A PLT over more than a page: the same target then takes another {@code adrp}. */
    @Test
    void entriesInTwoPagesAreComparedByWhereTheyLead() {
        Code code = code(3).undefined(2);
        code.branch(0, 1, 0).branch(4, 2, 0).branch(8, 2, 0);
        Map<String, Long> addresses = new TreeMap<>(ADDRESSES);
        addresses.put(".plt", 0xffff8000_01002fe8L);
        Placed placed =
                new Placed(code.build(), LINUX_6_1, addresses, 0, FAR, FAR + 0x1000).relocate();
        PlacedSection plt = placed.section(".plt");
        assertThat(plt.readInt(12)).isNotEqualTo(plt.readInt(24));
        assertThat(entryTarget(plt, 12)).isEqualTo(entryTarget(plt, 24));
        assertThat(placed.section(".text").readInt(4) - 1)
                .isEqualTo(placed.section(".text").readInt(8));
    }

    @Test
    void anEntryWhosePageIsOutOfReachBeginsWithAFault() {
        Placed placed =
                new Placed(
                                code(1).undefined(1).branch(0, 1, 0).build(),
                                LINUX_6_1,
                                ADDRESSES,
                                0,
                                FAR + (1L << 33))
                        .relocate();
        assertThat(hex(placed.section(".plt"), 0, 3)).isEqualTo("d4202000 9108d210 d61f0200");
        assertThat(AArch64Fields.adrp(PLACE, PLACE + (1L << 44), 16)).isEqualTo(0x90000010);
        assertThat(AArch64Fields.adrp(PLACE, PLACE + (1L << 32) - 1, 0)).isNotEqualTo(FAULT);
        assertThat(AArch64Fields.adrp(PLACE, PLACE + (1L << 32), 0)).isEqualTo(FAULT);
        assertThat(AArch64Fields.adrp(PLACE, PLACE - (1L << 32), 0)).isNotEqualTo(FAULT);
        assertThat(AArch64Fields.adrp(PLACE, PLACE - (1L << 32) - 1, 0)).isEqualTo(FAULT);
    }

    @Test
    void aPltThatIsOutOfReachItselfIsAnOverflowOfItsAddress() {
        Map<String, Long> addresses = new TreeMap<>(ADDRESSES);
        addresses.put(".plt", PLACE + (1L << 28));
        Placed placed =
                new Placed(
                        code(1).undefined(1).branch(0, 1, 0).build(),
                        LINUX_6_1,
                        addresses,
                        0,
                        FAR << 1);
        assertThat(placed.refusal().dmesg())
                .isEqualTo("module m: overflow in relocation type 283 val ffff800011001000");
        assertThat(placed.section(".text").readInt(0)).isEqualTo(0x94000000);
    }

    @Test
    void moreEntriesThanCountedAreRefusedWithoutALine() {
        // Without randomisation nothing is counted, though branches may be out of reach all the
        // same.
        Placed placed =
                new Placed(
                        code(1).undefined(1).branch(0, 1, 0).build(),
                        without("CONFIG_RANDOMIZE_BASE"),
                        ADDRESSES,
                        0,
                        FAR);
        assertThat(placed.refusal().lines()).isEmpty();
        assertThat(placed.section(".text").readInt(0)).isEqualTo(0x94000000);
    }

    @Test
    void from45To420AnEntryHasFourInstructions() {
        for (String release : new String[] {"4.5.0", "4.20.0"}) {
            Placed placed =
                    new Placed(
                                    code(4).undefined(2)
                                            .branch(0, 1, 0)
                                            .branch(4, 1, 0)
                                            .branch(8, 2, 0)
                                            .branch(12, 2, 0)
                                            .build(),
                                    KernelConfig.forRelease(release),
                                    ADDRESSES,
                                    0,
                                    FAR,
                                    FAR + 1)
                            .relocate();
            PlacedSection plt = placed.section(".plt");
            assertThat(plt.size()).isEqualTo(48);
            assertThat(hex(plt, 0, 4)).isEqualTo("929db970 f2a20110 f2d00010 d61f0200");
            assertThat(hex(plt, 16, 1)).isEqualTo("929db950");
            assertThat(placed.section(".text").readInt(8) - 1)
                    .isEqualTo(placed.section(".text").readInt(12));
        }
    }

    // ---- erratum 843419 ----

    private static Placed withAdrp(int type, long offset, long s, Map<String, Long> addresses) {
        Code code = new Code(".text", 0x2000 / 4, 4).undefined(1).relocate(offset, type, 1, 0);
        Placed placed = new Placed(code.build(), WITH_ERRATUM, addresses, 0, s);
        placed.section(".text").writeInt(offset, 0x9000001d);
        return placed;
    }

    @ParameterizedTest
    @CsvSource({"275, 0xff8", "275, 0xffc", "276, 0x1ff8"})
    void anAdrpAtTheEndOfAPageBecomesAnAdr(int type, String offset) {
        long at = Long.decode(offset);
        long p = PLACE + at;
        for (long target : new long[] {p - 0x100000 + 0xfff & ~0xfffL, p + 0xfffff & ~0xfffL}) {
            Placed placed = withAdrp(type, at, target + 0x123, ADDRESSES).relocate();
            int word = placed.section(".text").readInt(at);
            assertThat(word & 0x9f00001f).isEqualTo(0x1000001d);
            assertThat((long) ((word >>> 5 & 0x7ffff) << 2 | word >>> 29 & 3) << 43 >> 43)
                    .isEqualTo(target - p);
            assertThat(placed.section(".plt").readInt(0)).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {0x0, 0xff4, 0x1000, 0x1ff4})
    void anAdrpElsewhereStaysOne(long offset) {
        Placed placed = withAdrp(275, offset, PLACE + 0x5123, ADDRESSES).relocate();
        assertThat(placed.section(".text").readInt(offset) & 0x9f00001f).isEqualTo(0x9000001d);
    }

    @Test
    void withoutTheErratumAnAdrpMayEndAPage() {
        Code code = new Code(".text", 0x1000 / 4, 4).undefined(1).relocate(0xff8, 275, 1, 0);
        Placed placed = new Placed(code.build(), LINUX_6_1, ADDRESSES, 0, PLACE + 0x5123);
        placed.section(".text").writeInt(0xff8, 0x9000001d);
        assertThat(placed.relocate().section(".text").readInt(0xff8)).isEqualTo(0xb000003d);
    }

    @Test
    void anAdrpAtTheEndOfAPageWithAFarTargetBecomesABranchToAnEntry() {
        long target = 0xffff8000_40123456L;
        Placed placed = withAdrp(275, 0xff8, target, ADDRESSES).relocate();
        PlacedSection plt = placed.section(".plt");
        long veneer = plt.address();
        long p = PLACE + 0xff8;
        assertThat(placed.section(".text").readInt(0xff8))
                .isEqualTo(0x14000000 | (int) (veneer - p) / 4);
        assertThat(AArch64Fields.adrpTarget(veneer, plt.readInt(0))).isEqualTo(target & ~0xfffL);
        assertThat(plt.readInt(0) & 31).isEqualTo(29);
        assertThat(plt.readInt(4)).as("the page alone").isEqualTo(0x910003bd);
        assertThat(plt.readInt(8)).isEqualTo(AArch64Fields.branch(veneer + 8, p + 4));
    }

    @Test
    void anEntryIsNotPlacedAtTheEndOfAPage() {
        Map<String, Long> addresses = new TreeMap<>(ADDRESSES);
        addresses.put(".plt", 0xffff8000_01003ff8L);
        Placed veneer = withAdrp(275, 0xff8, 0xffff8000_40123456L, addresses).relocate();
        assertThat(veneer.section(".plt").readInt(0)).isZero();
        assertThat(veneer.section(".plt").readInt(12) & 31).isEqualTo(29);

        Code code = code(2).undefined(1).branch(0, 1, 0);
        Placed branch = new Placed(code.build(), WITH_ERRATUM, addresses, 0, FAR).relocate();
        assertThat(branch.section(".plt").readInt(0)).isZero();
        assertThat(branch.target(".text", 0)).isEqualTo(FAR);

        Placed anyway =
                new Placed(
                                code(2).undefined(1).branch(0, 1, 0).build(),
                                LINUX_6_1,
                                addresses,
                                0,
                                FAR)
                        .relocate();
        assertThat(entryTarget(anyway.section(".plt"), 0)).isEqualTo(FAR);
    }

    @Test
    void moreVeneersThanCountedAreRefusedWithoutALine() {
        // Two in a row at places that no alignment of the file's section has promised to avoid.
        Map<String, Long> addresses = new TreeMap<>(ADDRESSES);
        addresses.put(".text", PLACE + 0xff8);
        Placed placed = withAdrp(275, 0, 0xffff8000_40123456L, addresses);
        assertThat(placed.section(".plt").size()).isEqualTo(12);
        assertThat(placed.refusal().lines()).isEmpty();
        assertThat(placed.section(".text").readInt(0)).isEqualTo(0x9000001d);
    }

    @Test
    void aVeneerThatCannotReachBackFaults() {
        assertThat(AArch64Fields.branch(PLACE, PLACE + 0x7fffffc)).isEqualTo(0x15ffffff);
        assertThat(AArch64Fields.branch(PLACE, PLACE + 0x8000000)).isEqualTo(FAULT);
        assertThat(AArch64Fields.branch(PLACE, PLACE - 0x8000000)).isEqualTo(0x16000000);
        assertThat(AArch64Fields.branch(PLACE, PLACE - 0x8000004)).isEqualTo(FAULT);
    }

    // ---- trampolines ----

    private static KernelConfig withTracers(KernelConfig config) {
        return config.toBuilder()
                .kernelAddress("ftrace_caller", new Address(FAR))
                .kernelAddress("ftrace_regs_caller", new Address(FAR + 0x100))
                .build();
    }

    @Test
    void trampolinesLeadToTheTracersOnceTheModuleIsFinalised() {
        Placed placed = new Placed(code(1).build(), withTracers(LINUX_6_1), ADDRESSES).relocate();
        PlacedSection slots = placed.section(AArch64.TRAMPOLINE);
        assertThat(hex(slots, 0, 6)).isEqualTo("00000000 ".repeat(6).strip());
        Architectures.AARCH64.finalizeModule(placed.module);
        assertThat(entryTarget(slots, 0)).isEqualTo(FAR);
        assertThat(entryTarget(slots, 12)).isEqualTo(FAR + 0x100);
    }

    @Test
    void in612InitHasATrampolineToo() {
        Map<String, Long> addresses = new TreeMap<>(ADDRESSES);
        addresses.put(AArch64.INIT_TRAMPOLINE, 0xffff8000_40004000L);
        Placed placed =
                new Placed(
                        code(1).script(AArch64.INIT_TRAMPOLINE).build(),
                        withTracers(LINUX_6_12),
                        addresses);
        Architectures.AARCH64.finalizeModule(placed.module);
        assertThat(placed.section(AArch64.TRAMPOLINE).size()).isEqualTo(12);
        assertThat(entryTarget(placed.section(AArch64.TRAMPOLINE), 0)).isEqualTo(FAR);
        assertThat(entryTarget(placed.section(AArch64.INIT_TRAMPOLINE), 0)).isEqualTo(FAR);
    }

    @Test
    void trampolinesToUnknownTracersStayEmpty() {
        Placed placed = new Placed(code(1).build(), LINUX_6_1, ADDRESSES);
        Architectures.AARCH64.finalizeModule(placed.module);
        assertThat(hex(placed.section(AArch64.TRAMPOLINE), 0, 6))
                .isEqualTo("00000000 ".repeat(6).strip());
    }

    @Test
    void aModuleWithoutTrampolinesIsRefusedWithoutALineIfFunctionsAreTraced() {
        ModuleImage image = Images.withRenamed(code(1).build(), AArch64.TRAMPOLINE, "x");
        for (KernelConfig config :
                List.of(LINUX_6_1, LINUX_6_12, KernelConfig.forRelease("5.5.0"))) {
            LoadException refusal =
                    catchThrowableOfType(
                            LoadException.class,
                            () ->
                                    Architectures.AARCH64.finalizeModule(
                                            new Placed(image, config, ADDRESSES).module));
            assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
            assertThat(refusal.lines()).isEmpty();
            assertThat(refusal).hasMessageContaining("has no section .text.ftrace_trampoline");
        }
        for (KernelConfig config :
                List.of(
                        without("CONFIG_DYNAMIC_FTRACE"),
                        without("CONFIG_ARM64_MODULE_PLTS"),
                        KernelConfig.forRelease("5.4.0"),
                        KernelConfig.linux3_10())) {
            Architectures.AARCH64.finalizeModule(new Placed(image, config, ADDRESSES).module);
        }
    }

    @Test
    void aNamesakeTooSmallForTrampolinesIsRefused() {
        Code code = code(1).script(AArch64.TRAMPOLINE);
        Placed placed = new Placed(code.build(), LINUX_6_1, ADDRESSES);
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () -> Architectures.AARCH64.finalizeModule(placed.module));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo("m: section .text.ftrace_trampoline is too small for its trampolines");
    }

    // ---- where things are ----

    private static KernelConfig at(KernelConfig config, long text) {
        return config.toBuilder().kernelAddress("_stext", new Address(text)).build();
    }

    private static List<String> ranges(KernelConfig config) {
        return Architectures.AARCH64.moduleAreas(config).stream()
                .map(area -> "%x-%x".formatted(area.start().value(), area.end().value()))
                .toList();
    }

    @Test
    void modulesLieBelowTheLinearMapUntil45() {
        for (String release : new String[] {"3.10.0", "4.5.0"}) {
            assertThat(ranges(KernelConfig.forRelease(release)))
                    .containsExactly("ffffffbffc000000-ffffffc000000000");
        }
    }

    @Test
    void modulesLieWithinReachOfTheTextThenWithin2GibUntil64() {
        for (String release : new String[] {"4.6.0", "6.1.0", "6.4.0"}) {
            assertThat(ranges(KernelConfig.forRelease(release)))
                    .containsExactly(
                            "ffff800000d00000-ffff800008000000",
                            "ffff80000a030000-ffff800080d00000");
        }
        assertThat(ranges(without("CONFIG_ARM64_MODULE_PLTS")))
                .containsExactly("ffff800000d00000-ffff800008000000");
    }

    @Test
    void since65TheyLieWithinReachOfTheImage() {
        for (String release : new String[] {"6.5.0", "6.12.0"}) {
            assertThat(ranges(KernelConfig.forRelease(release)))
                    .containsExactly(
                            "ffff80007ab30000-ffff800080000000",
                            "ffff800002b30000-ffff80007ab30000");
        }
    }

    @Test
    void whereTheKernelEndsCounts() {
        KernelConfig config =
                LINUX_6_1.toBuilder()
                        .kernelAddress("_etext", new Address(0xffff8000_08e00010L))
                        .kernelAddress("_end", new Address(0xffff8000_0a100010L))
                        .build();
        assertThat(ranges(config))
                .containsExactly(
                        "ffff800000e00000-ffff800008000000", "ffff80000a101000-ffff800080e00000");
        assertThat(
                        ranges(
                                LINUX_6_12.toBuilder()
                                        .kernelAddress("_end", new Address(0xffff8000_82b2f001L))
                                        .build()))
                .isEqualTo(ranges(LINUX_6_12));
    }

    @Test
    void theModulesOfAMovedKernelLieAnywhereWithin2Gib() {
        KernelConfig moved = at(LINUX_6_1, 0xffffc1e7_12e10000L);
        assertThat(ranges(moved))
                .containsExactly(
                        "ffffc1e694e30000-ffffc1e69ce30000", "ffffc1e69ce30000-ffffc1e712e00000");
        assertThat(ranges(at(LINUX_6_12, 0xffffb704_c4610000L)))
                .containsExactly("ffffb70447130000-ffffb704c4600000");
    }

    @Test
    void aMovedKernelWithoutTheFullRegionKeepsThemWithinReach() {
        KernelConfig moved =
                at(LINUX_6_1, 0xffffc1e7_12e10000L).toBuilder()
                        .kconfig("CONFIG_RANDOMIZE_MODULE_REGION_FULL", false)
                        .build();
        assertThat(ranges(moved).get(0)).isEqualTo("ffffc1e70bb00000-ffffc1e712e00000");
        assertThat(ranges(at(without("CONFIG_RANDOMIZE_BASE"), 0xffffc1e7_12e10000L)))
                .isEqualTo(ranges(moved));
        KernelConfig recent =
                at(LINUX_6_12, 0xffffb704_c4610000L).toBuilder()
                        .kconfig("CONFIG_RANDOMIZE_MODULE_REGION_FULL", false)
                        .build();
        assertThat(ranges(recent))
                .containsExactly(
                        "ffffb704bf130000-ffffb704c4600000", "ffffb70447130000-ffffb704bf130000");
    }

    /** A kernel moved by little: the 2 GiB would begin below the area of all modules. */
    @Test
    void theAreaOfAllModulesIsNotLeft() {
        assertThat(ranges(at(LINUX_6_1, 0xffff8000_08210000L)).get(0))
                .startsWith("ffff800000000000-");
    }

    @Test
    void theTextMovesWithTheKernel() {
        AddressRange text = architecture().kernelText(at(LINUX_6_1, 0xffffc1e7_12e10000L));
        assertThat(text.start().value()).isEqualTo(0xffffc1e7_12e10000L);
        assertThat(text.size()).isEqualTo(architecture().kernelText().size());
        assertThat(architecture().kernelText(LINUX_6_12).start().value())
                .isEqualTo(0xffff8000_80010000L);
        assertThat(architecture().imageArea()).isEqualTo(architecture().imageArea(LINUX_6_1));
        assertThat(architecture().perCpuArea(LINUX_6_12).start().value())
                .isEqualTo(0xffff8000_81f6ac58L);
        assertThat(architecture().perCpuArea().start().value()).isEqualTo(0xffff8000_098184a8L);
    }

    @Test
    void everyModuleReachesTheTextAndThePerCpuDataOfItsKernel() {
        for (KernelConfig config : KERNELS) {
            AddressRange modules = architecture().moduleAreas(config).get(0);
            long text = architecture().kernelText(config).start().value();
            assertThat(Math.abs(text - modules.start().value())).isLessThan(1L << 27);
            long perCpu = architecture().perCpuArea(config).start().value();
            assertThat(Math.abs(perCpu - modules.start().value())).isLessThan(1L << 31);
        }
    }

    @Test
    void aModuleOfAMovedKernelCallsItOverThePlt() {
        KernelConfig moved = Images.quiet(at(LINUX_6_1, 0xffffc1e7_12e10000L));
        Code code = code(2).undefined(1).branch(0, 1, 0).branch(4, 1, 0);
        Kernel kernel = Kernel.builder(architecture()).config(moved).build();
        io.github.koloader.Module module = kernel.load(code.build(), "");
        Address plt = module.section(".plt").orElseThrow().address();
        Address text = module.section(".text").orElseThrow().address();
        assertThat(kernel.memory().readInt(text)).isEqualTo(0x94000000 | (int) plt.minus(text) / 4);
        Address target = kernel.stubs().get("f0");
        assertThat(kernel.memory().readInt(plt))
                .isEqualTo(AArch64Fields.adrp(plt.value(), target.value(), 16));
    }

    // ---- formats ----

    @Test
    void onlyRelaIsTaken() {
        assertThat(architecture().acceptsRelocations(true)).isTrue();
        assertThat(architecture().acceptsRelocations(false)).isFalse();
    }

    @Test
    void vermagicEndsInTheMachineWithoutABlank() {
        assertThat(LINUX_6_1.vermagic(architecture()))
                .isEqualTo("6.1.0 SMP mod_unload modversions aarch64");
    }

    @Test
    void exportsAreRelativeSince419() {
        assertThat(architecture().relativeExports(KernelConfig.forRelease("4.18.0"))).isFalse();
        assertThat(architecture().relativeExports(KernelConfig.forRelease("4.19.0"))).isTrue();
    }

    @Test
    void exceptionTableEntriesHaveATypeSince516() {
        assertThat(architecture().exceptionTable(KernelConfig.linux3_10()))
                .isEqualTo(ExceptionTable.ABSOLUTE64);
        assertThat(architecture().exceptionTable(KernelConfig.forRelease("5.15.0")))
                .isEqualTo(ExceptionTable.RELATIVE);
        assertThat(architecture().exceptionTable(LINUX_6_1))
                .isEqualTo(ExceptionTable.RELATIVE_WITH_DATA);
    }

    @Test
    void namesOfDataAreKeptIn612() {
        assertThat(LINUX_6_1.kallsymsAll(architecture())).isFalse();
        assertThat(LINUX_6_12.kallsymsAll(architecture())).isTrue();
    }

    @Test
    void theLinkerScriptsSectionsAreThoseThatThePlanSizes() {
        assertThat(architecture().scriptSections(LINUX_6_1))
                .extracting(Section::name)
                .containsExactly(".plt", ".init.plt", AArch64.TRAMPOLINE);
        assertThat(architecture().scriptSections(LINUX_6_12))
                .extracting(Section::name)
                .containsExactly(".plt", ".init.plt", AArch64.TRAMPOLINE, AArch64.INIT_TRAMPOLINE);
        assertThat(architecture().scriptSections(KernelConfig.linux3_10())).isEmpty();
    }

    @Test
    void itGoesByTheNameOfUnameToo() {
        assertThat(Architectures.named("aarch64")).contains(Architectures.AARCH64);
        assertThat(Architectures.forMachine(183)).contains(Architectures.AARCH64);
    }
}

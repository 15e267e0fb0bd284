package io.github.koloader.arch;

import static io.github.koloader.arch.ArmModules.ARM;
import static io.github.koloader.arch.ArmModules.THUMB;
import static io.github.koloader.arch.ArmModules.code;
import static io.github.koloader.arch.ArmModules.symbol;
import static io.github.koloader.arch.ArmModules.withPlts;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.arch.ArmModules.Placed;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
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
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ArmTest extends ArchitectureContract {
    private static final int P = 0xbf001000;
    private static final int SIZE = 16;
    private static final KernelConfig OLD = KernelConfig.linux3_10();
    private static final KernelConfig OLD_THUMB =
            OLD.toBuilder().kconfig("CONFIG_THUMB2_KERNEL", true).build();

    /** BL to its symbol. */
    private static final int BL = 0xebfffffe;

    /** Thumb-2 BL to its symbol: f7ff fffe. */
    private static final int THUMB_BL = 0xfffef7ff;

    private static final long FAR = 0xc0400000L;
    private static final Address FTRACE = new Address(0xc0312a38L);
    private static final Address MCOUNT = new Address(0xc0312a2cL);

    @Override
    Architecture architecture() {
        return Architectures.ARM;
    }

    // ---- one relocation

    /** Applies relocations to 16 bytes at {@link #P}, which lie in a larger array. */
    private static void apply(
            KernelConfig config,
            byte[] bytes,
            int size,
            int symbolType,
            int s,
            Relocation... relocations) {
        ImageBuilder builder = ArmModules.builder();
        int section = builder.section(Section.nobits("x", 2, 1, size));
        builder.symbol(symbol("sym", symbolType, new Symbol.Undefined(), 0));
        ModuleImage image = builder.relocate(section, relocations).build();
        PlacedModule module =
                PlacedModule.ofSection(
                        config,
                        image,
                        new long[] {0, Integer.toUnsignedLong(s)},
                        section,
                        new PlacedSection(bytes, 4, size, Integer.toUnsignedLong(P), false));
        Architectures.ARM.relocator(module).apply(image.relocationsFor(section).get(0));
    }

    private static byte[] bytes(int word) {
        return ByteBuffer.allocate(SIZE + 8).order(ByteOrder.LITTLE_ENDIAN).putInt(4, word).array();
    }

    private static int word(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(4);
    }

    /** What the word at {@link #P} becomes. */
    private static int relocated(KernelConfig config, int type, int symbolType, int word, int s) {
        byte[] bytes = bytes(word);
        apply(config, bytes, SIZE, symbolType, s, new Relocation(0, type, 1, 0));
        byte[] expected = bytes(word(bytes));
        assertThat(bytes).as("bytes beside the place").isEqualTo(expected);
        return word(bytes);
    }

    private static int relocated(KernelConfig config, int type, int word, int s) {
        return relocated(config, type, Symbol.FUNC, word, s);
    }

    private static int relocated(int type, int word, int s) {
        return relocated(ARM, type, word, s);
    }

    private static LoadException refusal(ThrowingCallable load) {
        LoadException refusal = catchThrowableOfType(LoadException.class, load);
        assertThat(refusal).isNotNull();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).hasSize(1).allMatch(line -> line.level() == LogLevel.ERR);
        return refusal;
    }

    /** The line of a refusal that leaves all bytes as they were. */
    private static String refused(
            KernelConfig config, int symbolType, int size, int word, int s, Relocation relocation) {
        byte[] bytes = bytes(word);
        byte[] before = bytes.clone();
        String line = refusal(() -> apply(config, bytes, size, symbolType, s, relocation)).dmesg();
        assertThat(bytes).as("untouched").isEqualTo(before);
        return line;
    }

    private static String refused(KernelConfig config, int type, int word, int s) {
        return refused(config, Symbol.FUNC, SIZE, word, s, new Relocation(0, type, 1, 0));
    }

    private static String outOfRange(int type, String s) {
        return "m: section 4 reloc 0 sym 'sym': relocation "
                + type
                + " out of range (0xbf001000 -> "
                + s
                + ")";
    }

    // ---- the table

    private static List<Integer> codes(KernelConfig config) {
        return Architectures.ARM.relocationTypes(config).stream()
                .map(RelocationType::code)
                .toList();
    }

    private static KernelConfig release(String release, boolean thumb) {
        return KernelConfig.forRelease(release).toBuilder()
                .kconfig("CONFIG_THUMB2_KERNEL", thumb)
                .build();
    }

    @Test
    void anArmKernelTakesNoThumbTypes() {
        assertThat(codes(ARM))
                .containsExactly(0, 1, 2, 3, 28, 29, 38, 40, 42, 43, 44, 45, 46, 57, 59, 63);
    }

    @Test
    void aThumbKernelTakesAllTypes() {
        assertThat(codes(THUMB))
                .containsExactly(
                        0, 1, 2, 3, 10, 28, 29, 30, 38, 40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 57,
                        59, 63)
                .isEqualTo(
                        architecture().relocationTypes().stream()
                                .map(RelocationType::code)
                                .toList());
    }

    @Test
    void olderKernelsTakeFewerTypes() {
        assertThat(codes(OLD)).containsExactly(0, 1, 2, 28, 29, 38, 40, 42, 43, 44);
        assertThat(codes(OLD_THUMB))
                .containsExactly(0, 1, 2, 10, 28, 29, 30, 38, 40, 42, 43, 44, 47, 48);
        assertThat(codes(release("4.20.0", true))).isEqualTo(codes(OLD_THUMB));
        assertThat(codes(release("5.0.0", true))).contains(3).doesNotContain(45, 46, 49, 50);
        assertThat(codes(release("5.10.0", true))).isEqualTo(codes(release("5.0.0", true)));
        assertThat(codes(release("5.11.0", true))).contains(45, 46, 49, 50).doesNotContain(57);
        assertThat(codes(release("5.17.0", false))).doesNotContain(49, 50, 57, 59, 63);
        assertThat(codes(release("5.18.0", false))).contains(57, 59, 63);
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 10, 26, 30, 41, 47, 48, 49, 50, 51, 58, 102, 255})
    void aTypeThatTheKernelLacksIsRefused(int type) {
        assertThat(refused(ARM, type, BL, 0x20)).isEqualTo("m: unknown relocation: " + type);
    }

    // ---- bounds

    @Test
    void aSymbolThatIsNotThereIsRefusedBeforeTheTypeIsLookedAt() {
        for (int type : new int[] {0, 2, 200}) {
            for (int beyond : new int[] {2, 3, 0xffffff}) {
                byte[] bytes = bytes(7);
                ModuleImage image = withRawEntry(type, beyond);
                PlacedModule module =
                        PlacedModule.ofSection(
                                ARM,
                                image,
                                new long[] {0, 1},
                                1,
                                new PlacedSection(
                                        bytes, 4, SIZE, Integer.toUnsignedLong(P), false));
                Relocator relocator = Architectures.ARM.relocator(module);
                RelocationTable table = image.relocationsFor(1).get(0);
                assertThat(refusal(() -> relocator.apply(table)).dmesg())
                        .isEqualTo("m: section 4 reloc 0: bad relocation sym offset");
                assertThat(bytes).isEqualTo(bytes(7));
            }
        }
    }

    /** A relocation whose symbol index no builder writes. */
    private static ModuleImage withRawEntry(int type, int symbolIndex) {
        ImageBuilder builder = ArmModules.builder();
        int section = builder.section(Section.nobits("x", 2, 1, SIZE));
        builder.symbol(Symbol.undefined("sym"));
        ModuleImage image = builder.relocate(section, new Relocation(0, 0, 1, 0)).build();
        byte[] entry = new byte[8];
        ByteBuffer.wrap(entry).order(ByteOrder.LITTLE_ENDIAN).putInt(4, symbolIndex << 8 | type);
        int index = image.relocations().get(0).section();
        return image.toBuilder()
                .replace(index, image.section(index).withContents(Bytes.wrap(entry)))
                .build();
    }

    @ParameterizedTest
    @CsvSource({"13, 13", "16, 16", "2147483648, -2147483648", "4294967292, -4"})
    void aPlaceOutsideItsSectionIsRefusedBeforeTheTypeIsLookedAt(long offset, String shown) {
        for (int type : new int[] {0, 2, 28, 200}) {
            assertThat(refused(ARM, Symbol.FUNC, SIZE, 7, 0x20, new Relocation(offset, type, 1, 0)))
                    .isEqualTo(
                            "m: section 4 reloc 0 sym 'sym': out of bounds relocation, offset "
                                    + shown
                                    + " size 16");
        }
    }

    @Test
    void theLastPlaceThatFitsIsPatched() {
        byte[] bytes = bytes(0);
        apply(ARM, bytes, SIZE, Symbol.FUNC, 0x20, new Relocation(12, 2, 1, 0));
        assertThat(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(16))
                .isEqualTo(0x20);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3})
    void inASectionOfLessThanAWordOnlyWhatWritesNothingPasses(int size) {
        byte[] bytes = bytes(7);
        apply(ARM, bytes, size, Symbol.FUNC, 0x20, new Relocation(1000, 0, 1, 0));
        assertThat(bytes).isEqualTo(bytes(7));
        for (int type : new int[] {1, 2, 40, 43}) {
            assertThat(refused(ARM, Symbol.FUNC, size, 7, P, new Relocation(0, type, 1, 0)))
                    .isEqualTo(
                            "m: section 4 reloc 0 sym 'sym': out of bounds relocation, offset 0 size "
                                    + size);
        }
    }

    /** Its size less 4 is a huge number, and only what is still larger is caught. */
    @Test
    void inASectionOfLessThanAWordTheLimitWrapsAround() {
        byte[] bytes = bytes(7);
        apply(ARM, bytes, 3, Symbol.FUNC, 0x20, new Relocation(0xffff_ffffL, 0, 1, 0));
        apply(ARM, bytes, 2, Symbol.FUNC, 0x20, new Relocation(0xffff_fffeL, 0, 1, 0));
        assertThat(bytes).isEqualTo(bytes(7));
        assertThat(refused(ARM, Symbol.FUNC, 2, 7, P, new Relocation(0xffff_ffffL, 0, 1, 0)))
                .endsWith("out of bounds relocation, offset -1 size 2");
    }

    @Test
    void theEntryInQuestionIsNamed() {
        byte[] bytes = bytes(0);
        assertThat(
                        refusal(
                                        () ->
                                                apply(
                                                        ARM,
                                                        bytes,
                                                        SIZE,
                                                        Symbol.FUNC,
                                                        5,
                                                        new Relocation(0, 2, 1, 0),
                                                        new Relocation(4, 28, 1, 0)))
                                .dmesg())
                .isEqualTo(
                        "m: section 4 reloc 1 sym 'sym': unsupported interworking call (ARM -> Thumb)");
        assertThat(word(bytes)).as("the entry before stays applied").isEqualTo(5);
    }

    // ---- data

    @Test
    void noneWritesNothing() {
        assertThat(relocated(0, 0x12345678, 0x20)).isEqualTo(0x12345678);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 38})
    void wordsGetSymbolPlusAddend(int type) {
        assertThat(relocated(type, -4, 0xc0100000)).isEqualTo(0xc00ffffc);
        assertThat(relocated(type, 0x7fffffff, 0x80000002)).as("cut off").isEqualTo(1);
        assertThat(relocated(type, 0, 0xc0100001)).as("Thumb bit").isEqualTo(0xc0100001);
    }

    @Test
    void rel32GetsTheDistance() {
        assertThat(relocated(3, 4, P + 0x100)).isEqualTo(0x104);
        assertThat(relocated(3, -8, P)).isEqualTo(-8);
        assertThat(relocated(3, 0, (int) (P + 0x80000000L))).as("cut off").isEqualTo(0x80000000);
    }

    @Test
    void prel31KeepsItsFlag() {
        assertThat(relocated(42, 0x80000000, P - 8)).isEqualTo(0xfffffff8);
        assertThat(relocated(42, 0, P - 8)).isEqualTo(0x7ffffff8);
        assertThat(relocated(42, 0x7ffffffc, P)).as("addend of -4").isEqualTo(0x7ffffffc);
    }

    @Test
    void prel31ReachesOneGibibyte() {
        assertThat(relocated(42, 0, P + 0x3fffffff)).isEqualTo(0x3fffffff);
        assertThat(relocated(42, 0, (int) (P - 0x40000000L))).isEqualTo(0x40000000);
        assertThat(refused(ARM, 42, 0, P + 0x40000000)).isEqualTo(outOfRange(42, "0xff001000"));
        assertThat(refused(ARM, 42, 0, (int) (P - 0x40000001L)))
                .isEqualTo(outOfRange(42, "0x7f000fff"));
        assertThat(refused(ARM, 42, 0, 0)).isEqualTo(outOfRange(42, "0"));
    }

    @Test
    void before41Prel31IsNotCheckedAndLosesItsFlag() {
        assertThat(relocated(OLD, 42, 0, P + 0x40000000)).isEqualTo(0x40000000);
        assertThat(relocated(OLD, 42, 0x80000000, P - 8)).isEqualTo(0x7ffffff8);
        assertThat(relocated(release("4.1.0", false), 42, 0x80000000, P)).isEqualTo(0x80000000);
    }

    // ---- MOVW and MOVT

    @ParameterizedTest
    @CsvSource({
        // type, word, s, result
        "43, e3000000, c0123456, e3030456",
        "43, e30f0ffc, c0123456, e3030452", // addend of -4
        "43, e3001001, 0000ffff, e3001000",
        "44, e3400000, c0123456, e34c0012",
        "44, e34f0ffc, c0120003, e34c0011", // addend of -4, not shifted
        "44, e3400001, c012ffff, e34c0013",
        "45, e3000000, bf001ffe, e3000ffe",
        "46, e3400000, bf111000, e3400011",
        "46, e3400000, bf000fff, e34f0fff",
        "43, 12345678, 00000000, 12345678",
        "43, ffffffff, 00000001, fff0f000"
    })
    void armImmediates(int type, String word, String s, String result) {
        assertThat(
                        Integer.toHexString(
                                relocated(
                                        type,
                                        Integer.parseUnsignedInt(word, 16),
                                        Integer.parseUnsignedInt(s, 16))))
                .isEqualTo(result);
    }

    /** Words as in memory: the second halfword comes first here. */
    @ParameterizedTest
    @CsvSource({
        "47, 0000f240, c0123456, 4056f243",
        "47, 0000f240, 00000800, 0000f640",
        "47, 70fff64f, 00000001, 0000f240", // addend of -1
        "48, 0000f2c0, c0123456, 0012f2cc",
        "48, 70fcf6cf, c0120003, 0011f2cc", // addend of -4, not shifted
        "49, 0f00f240, bf001ffe, 7ffef640",
        "50, 0000f2c0, bf111000, 0011f2c0"
    })
    void thumbImmediates(int type, String word, String s, String result) {
        int old = Integer.parseUnsignedInt(word, 16);
        int value = relocated(THUMB, type, old, Integer.parseUnsignedInt(s, 16));
        assertThat("%08x".formatted(value & 0x70ff040f))
                .isEqualTo("%08x".formatted(Integer.parseUnsignedInt(result, 16) & 0x70ff040f));
        assertThat(value & ~0x70ff040f).isEqualTo(old & ~0x70ff040f);
    }

    // ---- V4BX

    @ParameterizedTest
    @CsvSource({"e12fff1e, e1a0f00e", "012fff13, 01a0f003", "ffffffff, f1a0f00f"})
    void bxBecomesAMove(String word, String result) {
        int bx = Integer.parseUnsignedInt(word, 16);
        for (KernelConfig config : List.of(ARM, THUMB, OLD)) {
            assertThat(Integer.toHexString(relocated(config, 40, bx, 0x13)))
                    .isEqualTo(result.replaceFirst("^0+", ""));
        }
    }

    // ---- ARM branches

    @ParameterizedTest
    @ValueSource(ints = {1, 28, 29})
    void armBranchesReachAlmost32Mebibytes(int type) {
        assertThat(relocated(type, BL, P)).isEqualTo(0xebfffffe);
        assertThat(relocated(type, 0xeb000000, P + 0x1fffffc)).isEqualTo(0xeb7fffff);
        assertThat(relocated(type, 0x0a000000, P - 0x1fffffc)).isEqualTo(0x0a800001);
        assertThat(relocated(type, 0xeb000001, P + 8)).as("addend of 4").isEqualTo(0xeb000003);
        assertThat(refused(ARM, type, 0xeb000000, P + 0x2000000))
                .isEqualTo(outOfRange(type, "0xc1001000"));
        assertThat(refused(ARM, type, 0xeb000000, P - 0x2000000))
                .as("which the instruction could encode")
                .isEqualTo(outOfRange(type, "0xbd001000"));
        assertThat(refused(ARM, type, 0xebfffffe, 0)).isEqualTo(outOfRange(type, "0"));
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "28, 1", "28, 2", "28, 3", "29, 1"})
    void anArmBranchToThumbCodeIsRefused(int type, int low) {
        for (int symbolType : new int[] {Symbol.FUNC, Symbol.NOTYPE}) {
            assertThat(
                            refused(
                                    ARM,
                                    symbolType,
                                    SIZE,
                                    BL,
                                    0x7000_0000 + low,
                                    new Relocation(0, type, 1, 0)))
                    .isEqualTo(
                            "m: section 4 reloc 0 sym 'sym': unsupported interworking call (ARM -> Thumb)");
        }
    }

    @Test
    void theLowBitsOfADistanceAreDropped() {
        byte[] bytes = new byte[SIZE + 8];
        apply(ARM, bytes, SIZE, Symbol.FUNC, P + 0x100, new Relocation(2, 28, 1, 0));
        assertThat(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(6))
                .isEqualTo(0xfe >> 2);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 28, 29})
    void before41ADistanceHasToBeAMultipleOfFour(int type) {
        assertThat(refused(OLD, type, BL, P + 2)).isEqualTo(outOfRange(type, "0xbf001002"));
        assertThat(refused(OLD, type, BL, P + 1)).isEqualTo(outOfRange(type, "0xbf001001"));
        assertThat(relocated(OLD, type, 0xeb000000, P - 0x1fffffc)).isEqualTo(0xeb800001);
        assertThat(refused(OLD, type, 0xeb000000, P - 0x2000000))
                .isEqualTo(outOfRange(type, "0xbd001000"));
        byte[] bytes = new byte[SIZE + 8];
        assertThat(
                        refusal(
                                        () ->
                                                apply(
                                                        OLD,
                                                        bytes,
                                                        SIZE,
                                                        Symbol.FUNC,
                                                        P,
                                                        new Relocation(2, type, 1, 0)))
                                .dmesg())
                .endsWith("out of range (0xbf001002 -> 0xbf001000)");
    }

    // ---- Thumb branches

    private static final int THUMB_B = 0x9000f000; // b.w with an addend of +0xc00000

    @ParameterizedTest
    @ValueSource(ints = {10, 30})
    void thumbBranchesReach16Mebibytes(int type) {
        int zero = 0xf800f000; // bl, addend 0
        assertThat(relocated(THUMB, type, THUMB_BL, P | 1)).isEqualTo(THUMB_BL);
        assertThat(Integer.toHexString(relocated(THUMB, type, zero, P + 0xffffff)))
                .isEqualTo("d7fff3ff");
        assertThat(Integer.toHexString(relocated(THUMB, type, zero, P - 0xffffff)))
                .as("-2^24 + 1: the farthest back")
                .isEqualTo("d000f400");
        assertThat(refused(THUMB, type, zero, P + 0x1000001))
                .isEqualTo(outOfRange(type, "0xc0001001"));
        assertThat(refused(THUMB, type, zero, P - 0x1000001))
                .isEqualTo(outOfRange(type, "0xbe000fff"));
        assertThat(
                        refused(
                                THUMB,
                                Symbol.NOTYPE,
                                SIZE,
                                zero,
                                P - 0x1000000,
                                new Relocation(0, type, 1, 0)))
                .isEqualTo(outOfRange(type, "0xbe001000"));
    }

    @Test
    void blBlxAndBStayWhatTheyAre() {
        assertThat(relocated(THUMB, 10, 0xe800f000, P + 0x1001) & 0xd000f800)
                .as("blx")
                .isEqualTo(0xc000f000);
        assertThat(relocated(THUMB, 10, 0xf800f000, P + 0x1001) & 0xd000f800)
                .as("bl")
                .isEqualTo(0xd000f000);
        assertThat(relocated(THUMB, 30, 0xb800f000, P + 0x1001) & 0xd000f800)
                .as("b.w")
                .isEqualTo(0x9000f000);
    }

    @Test
    void theAddendOfAThumbBranchHasItsTopBitsInverted() {
        assertThat(ArmField.THUMB_BRANCH.implicitAddend(THUMB_BL & 0xffffffffL)).isEqualTo(-4);
        assertThat(ArmField.THUMB_BRANCH.implicitAddend(0xf800f000L)).isZero();
        assertThat(ArmField.THUMB_BRANCH.implicitAddend(THUMB_B & 0xffffffffL)).isEqualTo(0xc00000);
        assertThat(ArmField.THUMB_BRANCH.implicitAddend(0xd000f400L)).isEqualTo(-0x1000000);
    }

    @ParameterizedTest
    @ValueSource(ints = {10, 30})
    void aThumbBranchToAnArmFunctionIsRefused(int type) {
        assertThat(refused(THUMB, type, THUMB_BL, P + 0x100))
                .isEqualTo(
                        "m: section 4 reloc 0 sym 'sym': unsupported interworking call (Thumb -> ARM)");
        assertThat(relocated(THUMB, type, Symbol.NOTYPE, THUMB_BL, P + 0x100))
                .as("no function")
                .isEqualTo(0xf87ef000);
    }

    @ParameterizedTest
    @ValueSource(ints = {10, 30})
    void before41AThumbBranchToAnArmFunctionIsOutOfRange(int type) {
        assertThat(refused(OLD_THUMB, type, THUMB_BL, P + 0x100))
                .isEqualTo(outOfRange(type, "0xbf001100"));
        assertThat(relocated(OLD_THUMB, type, Symbol.NOTYPE, THUMB_BL, P + 0x100))
                .isEqualTo(relocated(OLD_THUMB, type, THUMB_BL, P + 0x101));
    }

    // ---- groups

    @ParameterizedTest
    @CsvSource({
        "57, e28f0000, bf001000, e28f0000", // add 0
        "57, e28f0000, bf0010ff, e28f00ff",
        "57, e28f0000, bf001100, e28f0f40",
        "57, e28f0000, bf001fff, e28f0eff", // first group of 0xfff: 0xff0
        "57, e28f0000, bf000fff, e24f0001", // sub 1
        "57, e24f0008, bf001000, e24f0008", // addend of -8
        "57, e28f0fff, bf001000, e28f0fff", // addend of 0xff << 2
        "57, e28f0000, 3f001000, e24f0480", // -2^31 has no positive counterpart
        "59, e28f0000, bf001fff, e28f000f", // second group of 0xfff
        "59, e28f0000, bf0010ff, e28f0000", // none
        "59, e24f0000, bf101234, e28f0f8d",
        "63, e59f0000, bf001fff, e59f0000",
        "63, e51f0004, bf001000, e51f0000", // -4: the first group takes all
        "63, e59f0000, bffd9234, e59f0034"
    })
    void groups(int type, String word, String s, String result) {
        assertThat(
                        Integer.toHexString(
                                relocated(
                                        type,
                                        Integer.parseUnsignedInt(word, 16),
                                        Integer.parseUnsignedInt(s, 16))))
                .isEqualTo(result);
    }

    @Test
    void whatTwoGroupsLeaveHasToFitIntoTwelveBits() {
        assertThat(relocated(63, 0xe59f0000, P + 0x0ffffff0 + 0xf)).isEqualTo(0xe59f0fff);
        assertThat(refused(ARM, 63, 0xe59f0000, P + 0x3fffffff))
                .isEqualTo(outOfRange(63, "0xff000fff"));
        assertThat(relocated(63, 0xe59f0000, P - 0x0fffffff)).isEqualTo(0xe51f0fff);
        assertThat(refused(ARM, 63, 0xe51f0000, (int) (P - 0x3fffffffL)))
                .isEqualTo(outOfRange(63, "0x7f001001"));
    }

    // ---- veneers: before layout

    private static long size(ModuleImage image, String name) {
        return image.section(SectionPlan.lastNamed(image, name)).size();
    }

    private static ModuleImage plan(ImageBuilder builder, KernelConfig config) {
        return Architectures.ARM.planSections(builder.build(), config, "m").image();
    }

    @Test
    void bothSectionsForVeneersAreNeeded() {
        for (String only : new String[] {".plt", ".init.plt", ".text"}) {
            ImageBuilder builder = ArmModules.builder();
            builder.section(Section.nobits(only, SectionFlags.ALLOC, 1, 1));
            ModuleImage image = builder.build();
            assertThat(refusal(() -> Architectures.ARM.planSections(image, ARM, "m")).dmesg())
                    .isEqualTo("m: module PLT section(s) missing");
            assertThat(Architectures.ARM.planSections(image, OLD, "m").image()).isSameAs(image);
            KernelConfig without = ARM.toBuilder().kconfig("CONFIG_ARM_MODULE_PLTS", false).build();
            assertThat(Architectures.ARM.planSections(image, without, "m").image()).isSameAs(image);
        }
    }

    @Test
    void aSymbolTableIsNeeded() {
        ModuleImage image =
                ModuleImage.builder(40, Encoding.ELF32_LSB)
                        .section(Section.nobits(".plt", 2, 1, 1))
                        .section(Section.nobits(".init.plt", 2, 1, 1))
                        .build();
        assertThat(refusal(() -> Architectures.ARM.planSections(image, ARM, "m")).dmesg())
                .isEqualTo("m: module symtab section missing");
    }

    @Test
    void aSymbolTableInThePlaceOfVeneersIsNone() {
        ImageBuilder builder = ArmModules.builder();
        builder.section(Section.nobits(".plt", 2, 1, 1));
        ModuleImage image = builder.build();
        int symtab = image.symbolSection();
        Section old = image.section(symtab);
        ModuleImage renamed =
                image.toBuilder()
                        .replace(
                                symtab,
                                new Section(
                                        ".init.plt",
                                        SectionType.SYMTAB,
                                        old.flags(),
                                        old.offset(),
                                        old.size(),
                                        old.alignment(),
                                        old.link(),
                                        old.info(),
                                        old.entrySize(),
                                        old.contents()))
                        .build();
        assertThat(refusal(() -> Architectures.ARM.planSections(renamed, ARM, "m")).dmesg())
                .isEqualTo("m: module symtab section missing");
    }

    @Test
    void sectionsForVeneersBecomeExecutableSpaceOfWholeGroups() {
        ModuleImage image = plan(withPlts(), ARM);
        for (String name : new String[] {".plt", ".init.plt"}) {
            Section section = image.section(name).orElseThrow();
            assertThat(section.type()).isEqualTo(SectionType.NOBITS);
            assertThat(section.flags().bits()).isEqualTo(6);
            assertThat(section.alignment()).isEqualTo(64);
            assertThat(section.size()).as("two fixed veneers").isEqualTo(128);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "6.1.0, true, true, false, 64, 128",
        "6.1.0, true, false, true, 128, 256",
        "6.1.0, true, false, false, 32, 64",
        "6.1.0, false, true, false, 64, 0",
        "5.14.0, true, true, false, 64, 128",
        "5.13.0, true, true, false, 64, 0",
        "4.9.0, true, true, false, 64, 0"
    })
    void cacheLinesAndFixedVeneersFollowTheConfiguration(
            String release,
            boolean ftrace,
            boolean shift6,
            boolean shift7,
            long alignment,
            long size) {
        KernelConfig config =
                KernelConfig.forRelease(release).toBuilder()
                        .kconfig("CONFIG_DYNAMIC_FTRACE", ftrace)
                        .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_6", shift6)
                        .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_7", shift7)
                        .build();
        Section plt = plan(withPlts(), config).section(".plt").orElseThrow();
        assertThat(plt.alignment()).isEqualTo(alignment);
        assertThat(plt.size()).isEqualTo(size);
    }

    @Test
    void theLastSectionOfANameIsTheOne() {
        ImageBuilder builder = withPlts();
        builder.section(Section.nobits(".plt", SectionFlags.ALLOC, 1, 7));
        ModuleImage image = plan(builder, ARM);
        assertThat(image.section(1).size()).isEqualTo(1);
        assertThat(size(image, ".plt")).isEqualTo(128);
    }

    /**
     * The number of veneers that relocations of a section count, told by what they leave room for.
     */
    private static int counted(
            KernelConfig kernel, Section code, Symbol.Place place, Relocation... relocations) {
        KernelConfig config =
                kernel.toBuilder()
                        .kconfig("CONFIG_DYNAMIC_FTRACE", false)
                        .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_6", false)
                        .build();
        String plt = Architectures.ARM.isInitSection(code.name()) ? ".init.plt" : ".plt";
        String other = plt.equals(".plt") ? ".init.plt" : ".plt";
        List<Integer> fits = new ArrayList<>();
        for (int more = 0; more < 8; more++) {
            ImageBuilder builder = withPlts();
            int section = builder.section(code);
            builder.symbol(symbol("a", Symbol.FUNC, place, 0));
            builder.symbol(Symbol.undefined("b"));
            builder.relocate(section, relocations);
            int filler = builder.section(code(code.name() + ".filler", new int[8]));
            for (int i = 0; i < more; i++) {
                int symbol = builder.symbol(Symbol.undefined("f" + i));
                builder.relocate(filler, new Relocation(4L * i, 28, symbol, 0));
            }
            ModuleImage image = plan(builder, config);
            fits.add((int) size(image, plt) / 8 - more);
            assertThat(size(image, other)).isZero();
        }
        return fits.stream().mapToInt(Integer::intValue).min().orElseThrow();
    }

    private static final Symbol.Place ELSEWHERE = new Symbol.Undefined();

    @ParameterizedTest
    @ValueSource(ints = {1, 10, 28, 29, 30})
    void branchesAreCounted(int type) {
        assertThat(counted(ARM, code(".text", 0), ELSEWHERE, new Relocation(0, type, 1, 0)))
                .isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 3, 38, 40, 42, 43, 44, 57, 63, 200})
    void nothingElseIsCounted(int type) {
        assertThat(counted(ARM, code(".text", 0), ELSEWHERE, new Relocation(0, type, 1, 0)))
                .isZero();
    }

    @Test
    void branchesWithinTheirSectionAreNotCounted() {
        assertThat(
                        counted(
                                ARM,
                                code(".text", 0),
                                new Symbol.InSection(3),
                                new Relocation(0, 28, 1, 0)))
                .isZero();
        assertThat(
                        counted(
                                ARM,
                                code(".text", 0),
                                new Symbol.InSection(2),
                                new Relocation(0, 28, 1, 0)))
                .isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {".init.text", ".initx"})
    void branchesOfInitCodeAreCountedForInit(String name) {
        assertThat(counted(ARM, code(name, 0), ELSEWHERE, new Relocation(0, 28, 1, 0)))
                .isEqualTo(1);
    }

    @Test
    void withoutUnloadingExitCodeCountsForInit() {
        for (boolean unload : new boolean[] {true, false}) {
            KernelConfig config =
                    ARM.toBuilder()
                            .modUnload(unload)
                            .kconfig("CONFIG_DYNAMIC_FTRACE", false)
                            .build();
            ImageBuilder builder = withPlts();
            int section = builder.section(code(".exit.text", BL));
            builder.symbol(Symbol.undefined("a"));
            builder.relocate(section, new Relocation(0, 28, 1, 0));
            ModuleImage image = plan(builder, config);
            assertThat(size(image, ".plt")).isEqualTo(unload ? 128 : 0);
            assertThat(size(image, ".init.plt")).isEqualTo(unload ? 0 : 128);
        }
    }

    @Test
    void branchesOfDataAreNotCounted() {
        Section data = Section.progbits(".data", 3, 4, Bytes.wrap(new byte[4]));
        assertThat(counted(ARM, data, ELSEWHERE, new Relocation(0, 28, 1, 0))).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "28, ebfffffe, ebfffffe, 1",
        "28, ebfffffe, 0afffffe, 1", // the condition does not matter
        "28, ebfffffe, ebffffff, 2",
        "28, ebffffff, ebfffffe, 2",
        "28, ebffffff, ebffffff, 2",
        "10, fffef7ff, fffef7ff, 1",
        "10, fffef7ff, effef7ff, 1", // neither does BL or BLX
        "10, fffef7ff, f800f000, 2",
        "30, bffef7ff, bffef7ff, 1"
    })
    void aRunOfPlainBranchesToOneSymbolCountsOnce(
            int type, String first, String second, int count) {
        Section code =
                code(
                        ".text",
                        Integer.parseUnsignedInt(first, 16),
                        Integer.parseUnsignedInt(second, 16));
        Relocation[] both = {new Relocation(0, type, 1, 0), new Relocation(4, type, 1, 0)};
        assertThat(counted(ARM, code, ELSEWHERE, both)).isEqualTo(count);
        assertThat(counted(THUMB, code, ELSEWHERE, both)).isEqualTo(count);
    }

    @Test
    void branchesOfOtherTypesOrSymbolsCountOnTheirOwn() {
        Section code = code(".text", BL, BL, BL);
        assertThat(
                        counted(
                                ARM,
                                code,
                                ELSEWHERE,
                                new Relocation(0, 28, 1, 0),
                                new Relocation(4, 29, 1, 0),
                                new Relocation(8, 28, 2, 0)))
                .isEqualTo(3);
    }

    @Test
    void sortingBringsEqualBranchesTogether() {
        Section code = code(".text", BL, BL, BL, BL);
        assertThat(
                        counted(
                                ARM,
                                code,
                                ELSEWHERE,
                                new Relocation(0, 28, 2, 0),
                                new Relocation(4, 28, 1, 0),
                                new Relocation(8, 28, 2, 0),
                                new Relocation(12, 28, 1, 0)))
                .isEqualTo(2);
    }

    @Test
    void aPlaceOrSymbolThatIsNotThereCountsAsAnyOther() {
        assertThat(
                        counted(
                                ARM,
                                code(".text", BL),
                                ELSEWHERE,
                                new Relocation(2, 28, 1, 0),
                                new Relocation(0xffff_fffcL, 28, 1, 0)))
                .isEqualTo(2);
        ModuleImage image = withRawEntry(28, 0xffffff);
        ModuleImage.Builder builder = image.toBuilder();
        builder.replace(1, code("x", 0)).section(Section.nobits(".plt", 2, 1, 1));
        builder.section(Section.nobits(".init.plt", 2, 1, 1));
        SectionPlan plan = Architectures.ARM.planSections(builder.build(), ARM, "m");
        assertThat(size(plan.image(), ".plt")).isEqualTo(128);
    }

    @Test
    void relocationsOfCodeAreSortedByTypeAndSymbolAndOthersAreNot() {
        ImageBuilder builder = withPlts();
        int text = builder.section(code(".text", new int[4]));
        int data = builder.section(Section.progbits(".data", 3, 4, Bytes.wrap(new byte[16])));
        builder.symbol(Symbol.undefined("a"));
        builder.symbol(Symbol.undefined("b"));
        Relocation[] relocations = {
            new Relocation(0, 43, 1, 0),
            new Relocation(4, 28, 2, 0),
            new Relocation(8, 28, 1, 0),
            new Relocation(12, 2, 2, 0)
        };
        ModuleImage image =
                plan(builder.relocate(text, relocations).relocate(data, relocations), ARM);
        assertThat(offsets(image, text)).containsExactly(12L, 8L, 4L, 0L);
        assertThat(offsets(image, data)).containsExactly(0L, 4L, 8L, 12L);
    }

    @Test
    void equalEntriesChangePlacesAsInTheKernel() {
        ImageBuilder builder = withPlts();
        int text = builder.section(code(".text", new int[3]));
        builder.symbol(Symbol.undefined("a"));
        builder.relocate(
                text,
                new Relocation(0, 28, 1, 0),
                new Relocation(4, 28, 1, 0),
                new Relocation(8, 28, 1, 0));
        assertThat(offsets(plan(builder, ARM), text)).containsExactly(4L, 8L, 0L);
    }

    private static List<Long> offsets(ModuleImage image, int section) {
        RelocationTable table = image.relocationsFor(section).get(0);
        return IntStream.range(0, table.count()).mapToObj(table::offset).toList();
    }

    // ---- veneers: while relocating

    private static KernelConfig known(KernelConfig config) {
        return config.toBuilder()
                .kernelAddress("ftrace_caller", FTRACE)
                .kernelAddress("__gnu_mcount_nc", MCOUNT)
                .build();
    }

    /** Code in which each word branches to the symbol of its number. */
    private static Placed branches(
            KernelConfig config, String section, int type, int word, long... targets) {
        ImageBuilder builder = withPlts();
        int[] words = new int[targets.length];
        java.util.Arrays.fill(words, word);
        int text = builder.section(code(section, words));
        Map<String, Long> values = new java.util.LinkedHashMap<>();
        for (int i = 0; i < targets.length; i++) {
            String name = "f" + i;
            int symbol = builder.symbol(Symbol.undefined(name));
            builder.relocate(text, new Relocation(4L * i, type, symbol, 0));
            values.put(name, targets[i]);
        }
        return new Placed(builder.build(), config, values).relocate();
    }

    /** Where the branch at an offset leads. */
    private static long target(Placed placed, String section, int offset) {
        PlacedSection code = placed.section(section);
        return code.address()
                + offset
                + 8
                + ArmField.BRANCH.implicitAddend(code.readInt(offset) & 0xffffffffL);
    }

    private static long thumbTarget(Placed placed, String section, int offset) {
        PlacedSection code = placed.section(section);
        return code.address()
                + offset
                + 4
                + ArmField.THUMB_BRANCH.implicitAddend(code.readInt(offset) & 0xffffffffL);
    }

    @Test
    void aBranchTooFarLeadsToALoadOfItsTarget() {
        Placed placed = branches(known(ARM), ".text", 28, BL, FAR);
        PlacedSection plt = placed.section(".plt");
        assertThat(target(placed, ".text", 0)).isEqualTo(plt.address() + 8);
        for (int slot = 0; slot < 16; slot++) {
            assertThat(plt.readInt(4 * slot)).isEqualTo(0xe59ff038);
        }
        assertThat(plt.readInt(64)).isEqualTo((int) FTRACE.value());
        assertThat(plt.readInt(68)).isEqualTo((int) MCOUNT.value());
        assertThat(plt.readInt(72)).isEqualTo((int) FAR);
        for (int slot = 3; slot < 16; slot++) {
            assertThat(plt.readInt(64 + 4 * slot)).isZero();
        }
        for (int offset = 0; offset < 128; offset += 4) {
            assertThat(placed.word(".init.plt", offset)).as("not used").isZero();
        }
    }

    @Test
    void aThumbVeneerIsStoredInHalfwords() {
        Placed placed = branches(known(THUMB), ".text", 10, THUMB_BL, FAR + 1);
        PlacedSection plt = placed.section(".plt");
        assertThat(thumbTarget(placed, ".text", 0)).isEqualTo(plt.address() + 8);
        assertThat(plt.read(0, 2)).isEqualTo(0xf8df);
        assertThat(plt.read(2, 2)).isEqualTo(0xf03c);
        assertThat(plt.readInt(72)).isEqualTo((int) FAR + 1);
    }

    @ParameterizedTest
    @CsvSource({
        "false, 32, e59ff018",
        "false, 128, e59ff078",
        "true, 32, f01cf8df",
        "true, 128, f07cf8df"
    })
    void theLoadReachesOverTheCacheLine(boolean thumb, int line, String load) {
        KernelConfig config =
                (thumb ? THUMB : ARM)
                        .toBuilder()
                                .kconfig("CONFIG_DYNAMIC_FTRACE", false)
                                .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_6", false)
                                .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_7", line == 128)
                                .build();
        Placed placed = branches(config, ".text", thumb ? 10 : 28, thumb ? THUMB_BL : BL, FAR);
        PlacedSection plt = placed.section(".plt");
        assertThat(plt.size()).isEqualTo(2 * line);
        for (int offset = 0; offset < line; offset += 4) {
            assertThat(plt.readInt(offset)).isEqualTo(Integer.parseUnsignedInt(load, 16));
        }
        assertThat(plt.readInt(line)).isEqualTo((int) FAR);
        for (int offset = line + 4; offset < 2 * line; offset += 4) {
            assertThat(plt.readInt(offset)).isZero();
        }
    }

    @Test
    void branchesOfInitUseTheirOwnVeneers() {
        Placed placed = branches(known(ARM), ".init.text", 29, 0xeafffffe, FAR);
        assertThat(target(placed, ".init.text", 0))
                .isEqualTo(placed.section(".init.plt").address() + 8);
        assertThat(placed.word(".init.plt", 68)).isEqualTo((int) MCOUNT.value());
        assertThat(placed.word(".plt", 0)).as("not used").isZero();
    }

    @Test
    void aBranchWithinReachUsesNoVeneer() {
        Placed placed = branches(known(ARM), ".text", 28, BL, ArmModules.CORE + 0x100_0000);
        assertThat(target(placed, ".text", 0)).isEqualTo(ArmModules.CORE + 0x100_0000);
        assertThat(placed.word(".plt", 0)).isZero();
    }

    @Test
    void ftraceAndMcountHaveTheFirstTwoVeneers() {
        Placed placed = branches(known(ARM), ".text", 28, BL, MCOUNT.value(), FTRACE.value(), FAR);
        long plt = placed.section(".plt").address();
        assertThat(target(placed, ".text", 0)).isEqualTo(plt + 4);
        assertThat(target(placed, ".text", 4)).isEqualTo(plt);
        assertThat(target(placed, ".text", 8)).isEqualTo(plt + 8);
        assertThat(placed.word(".plt", 76)).isZero();
    }

    @Test
    void onlyTheLastVeneerIsUsedAgain() {
        Placed placed =
                branches(known(ARM), ".text", 28, BL, FAR, FAR, FAR + 4, FAR, MCOUNT.value(), FAR);
        long plt = placed.section(".plt").address();
        assertThat(IntStream.range(0, 6).mapToObj(i -> (target(placed, ".text", 4 * i) - plt) / 4))
                .as("order of slots; symbols are sorted already")
                .containsExactly(2L, 2L, 3L, 4L, 1L, 4L);
    }

    @Test
    void afterSixteenVeneersANewGroupBegins() {
        long[] targets = new long[20];
        for (int i = 0; i < targets.length; i++) {
            targets[i] = FAR + 4L * i;
        }
        Placed placed = branches(known(ARM), ".text", 28, BL, targets);
        PlacedSection plt = placed.section(".plt");
        assertThat(plt.size()).isEqualTo(256);
        assertThat(target(placed, ".text", 4 * 13)).isEqualTo(plt.address() + 60);
        assertThat(target(placed, ".text", 4 * 14)).isEqualTo(plt.address() + 128);
        assertThat(target(placed, ".text", 4 * 19)).isEqualTo(plt.address() + 128 + 20);
        assertThat(plt.readInt(128)).isEqualTo(0xe59ff038);
        assertThat(plt.readInt(128 + 60)).isEqualTo(0xe59ff038);
        assertThat(plt.readInt(192)).isEqualTo((int) targets[14]);
        assertThat(plt.readInt(192 + 20)).isEqualTo((int) targets[19]);
        assertThat(plt.readInt(192 + 24)).isZero();
    }

    @Test
    void aVeneerLeadsToWhereTheBranchWouldHaveLed() {
        Placed placed = branches(known(ARM), ".text", 28, 0xeb000002, FAR);
        assertThat(placed.word(".plt", 72))
                .as("addend of 8, and the pipeline")
                .isEqualTo((int) FAR + 16);
        Placed thumb = branches(known(THUMB), ".text", 30, 0xb804f000, FAR + 1);
        assertThat(thumb.word(".plt", 72))
                .as("addend of 8, and the pipeline")
                .isEqualTo((int) FAR + 13);
    }

    @Test
    void withoutAddressesMcountIsWhatTheModuleImports() {
        ImageBuilder builder = withPlts();
        int text = builder.section(code(".text", BL));
        int mcount = builder.symbol(Symbol.undefined("__gnu_mcount_nc"));
        builder.relocate(text, new Relocation(0, 28, mcount, 0));
        Placed placed = new Placed(builder.build(), ARM, Map.of("__gnu_mcount_nc", FAR)).relocate();
        assertThat(target(placed, ".text", 0)).isEqualTo(placed.section(".plt").address() + 4);
        assertThat(placed.word(".plt", 64)).isEqualTo(0xc12fffe0);
    }

    @Test
    void withoutAddressesAndImportsTheyAreTheLastOfTheKernelsText() {
        assertThat(branches(ARM, ".text", 28, BL, FAR).word(".plt", 64)).isEqualTo(0xc12fffe0);
        assertThat(branches(ARM, ".text", 28, BL, FAR).word(".plt", 68)).isEqualTo(0xc12ffff0);
        assertThat(branches(THUMB, ".text", 10, THUMB_BL, FAR).word(".plt", 68))
                .isEqualTo(0xc12ffff1);
        AddressRange text = architecture().kernelText();
        assertThat(text.contains(new Address(0xc12ffff0L))).isTrue();
    }

    @Test
    void anMcountOfItsOwnIsNotTheKernels() {
        ImageBuilder builder = withPlts();
        int text = builder.section(code(".text", BL));
        builder.symbol(Symbol.function("__gnu_mcount_nc", text, 0, 4));
        int far = builder.symbol(Symbol.undefined("far"));
        builder.relocate(text, new Relocation(0, 28, far, 0));
        Placed placed = new Placed(builder.build(), ARM, Map.of("far", FAR)).relocate();
        assertThat(placed.word(".plt", 68)).isEqualTo(0xc12ffff0);
    }

    /** The kernel stops itself (BUG) where more veneers are needed than were counted. */
    @Test
    void aVeneerTooManyIsRefused() {
        ImageBuilder builder = withPlts();
        int text = builder.section(code(".text", new int[17]));
        for (int i = 0; i < 17; i++) {
            int symbol =
                    builder.symbol(
                            symbol(
                                    "f" + i,
                                    Symbol.NOTYPE,
                                    new Symbol.InSection(text),
                                    0x1000_0000 + 4 * i));
            builder.relocate(text, new Relocation(4L * i, 28, symbol, 0));
        }
        Placed placed = new Placed(builder.build(), known(ARM), Map.of());
        assertThat(placed.section(".plt").size()).isEqualTo(128);
        assertThat(refusal(placed::relocate).dmesg())
                .matches("m: section \\d+ reloc 14 sym 'f14': no room for another PLT entry");
        assertThat(placed.word(".text", 4 * 14)).as("untouched").isZero();
        assertThat(target(placed, ".text", 4 * 13))
                .isEqualTo(placed.section(".plt").address() + 60);
    }

    @Test
    void aSectionWithoutRoomForAnyVeneerRefuses() {
        KernelConfig config = ARM.toBuilder().kconfig("CONFIG_DYNAMIC_FTRACE", false).build();
        ImageBuilder builder = withPlts();
        int data = builder.section(Section.progbits(".data", 3, 4, Bytes.wrap(new byte[4])));
        int far = builder.symbol(Symbol.undefined("far"));
        builder.relocate(data, new Relocation(0, 28, far, 0));
        Placed placed = new Placed(builder.build(), config, Map.of("far", FAR));
        assertThat(refusal(placed::relocate).dmesg())
                .endsWith("reloc 0 sym 'far': no room for another PLT entry");
    }

    @Test
    void aVeneerOutOfReachIsRefusedWithTheSymbolItself() {
        ImageBuilder builder = withPlts();
        builder.section(Section.nobits(".bss", 3, 4, 0x200_0000));
        int text = builder.section(code(".text", BL));
        int far = builder.symbol(Symbol.undefined("far"));
        builder.relocate(text, new Relocation(0, 28, far, 0));
        Placed placed = new Placed(builder.build(), known(ARM), Map.of("far", FAR));
        assertThat(refusal(placed::relocate).dmesg())
                .endsWith(
                        "reloc 0 sym 'far': relocation 28 out of range (0x%x -> 0xc0400000)"
                                .formatted(placed.section(".text").address()));
        assertThat(placed.word(".text", 0)).isEqualTo(BL);
    }

    // ---- the machine

    private boolean accepts(int flags, long entry) {
        return architecture().accepts(new FileHeader(Encoding.ELF32_LSB, 40, flags, entry));
    }

    @Test
    void everyEabiIsAccepted() {
        assertThat(accepts(0x05000000, 0)).isTrue();
        assertThat(accepts(0x05000400, 0)).isTrue();
        assertThat(accepts(0x05000008, 0)).as("flags of the old ABI do not count").isTrue();
    }

    @Test
    void theOldAbiIsAcceptedBut26BitCode() {
        assertThat(accepts(0, 0)).isTrue();
        assertThat(accepts(0x400, 0)).as("VFP").isTrue();
        assertThat(accepts(0x600, 0)).isTrue();
        assertThat(accepts(0x08, 0)).isFalse();
        assertThat(accepts(0x408, 0)).isFalse();
    }

    @Test
    void anEntryPointIsThumbCodeOrAligned() {
        assertThat(accepts(0x05000000, 4)).isTrue();
        assertThat(accepts(0x05000000, 1)).isTrue();
        assertThat(accepts(0x05000000, 3)).isTrue();
        assertThat(accepts(0x05000000, 2)).isFalse();
        assertThat(accepts(0x05000000, 6)).isFalse();
    }

    private List<String> areas(KernelConfig config) {
        return architecture().moduleAreas(config).stream()
                .map(area -> "%x-%x".formatted(area.start().value(), area.end().value()))
                .toList();
    }

    @Test
    void modulesLieBelowTheKernelAndThenInTheVmallocArea() {
        assertThat(areas(ARM)).containsExactly("bf000000-bfe00000", "f0800000-fc000000");
        assertThat(areas(THUMB)).containsExactly("bf800000-bfe00000", "f0800000-fc000000");
        assertThat(areas(ARM.toBuilder().kconfig("CONFIG_HIGHMEM", false).build()).get(0))
                .isEqualTo("bf000000-c0000000");
        assertThat(areas(OLD)).containsExactly("bf000000-bfe00000");
        assertThat(areas(KernelConfig.forRelease("4.8.0"))).hasSize(1);
        assertThat(areas(KernelConfig.forRelease("4.9.0"))).hasSize(2);
        assertThat(areas(ARM.toBuilder().kconfig("CONFIG_ARM_MODULE_PLTS", false).build()))
                .containsExactly("bf000000-bfe00000");
    }

    @Test
    void itIsFoundByTheNamesItGoesBy() {
        assertThat(Architectures.named("arm")).contains(Architectures.ARM);
        assertThat(Architectures.named("armhf")).contains(Architectures.ARM);
        assertThat(Architectures.forMachine(40, Encoding.ELF32_LSB)).contains(Architectures.ARM);
    }

    @Test
    void onlyRelIsTaken() {
        assertThat(architecture().acceptsRelocations(false)).isTrue();
        assertThat(architecture().acceptsRelocations(true)).isFalse();
    }

    @Test
    void exportsAndExceptionTableHaveAddresses() {
        for (KernelConfig config : KERNELS) {
            assertThat(architecture().relativeExports(config)).isFalse();
            assertThat(architecture().exceptionTable(config)).isEqualTo(ExceptionTable.ABSOLUTE32);
        }
    }

    @Test
    void unwindTablesGoWithTheirCode() {
        assertThat(architecture().isInitSection(".init.plt")).isTrue();
        assertThat(architecture().isInitSection(".ARM.exidx.init.text")).isTrue();
        assertThat(architecture().isInitSection(".ARM.extab.init.text")).isTrue();
        assertThat(architecture().isInitSection(".ARM.exidx")).isFalse();
        assertThat(architecture().isInitSection(".ARM.exidx.text.init")).isFalse();
        assertThat(architecture().isExitSection(".ARM.exidx.exit.text")).isTrue();
        assertThat(architecture().isExitSection(".ARM.extab.exit.text")).isTrue();
        assertThat(architecture().isExitSection(".ARM.extab")).isFalse();
    }

    @Test
    void vermagicNamesTheProcessorAndTheKind() {
        assertThat(architecture().vermagicSuffix(ARM)).isEqualTo("ARMv7 p2v8 ");
        assertThat(architecture().vermagicSuffix(THUMB)).isEqualTo("ARMv7 thumb2 p2v8 ");
        KernelConfig fixed = ARM.toBuilder().kconfig("CONFIG_ARM_PATCH_PHYS_VIRT", false).build();
        assertThat(architecture().vermagicSuffix(fixed)).isEqualTo("ARMv7 ");
        for (int version : new int[] {6, 5, 4}) {
            fixed = fixed.toBuilder().kconfig("CONFIG_CPU_32v" + version, true).build();
            assertThat(architecture().vermagicSuffix(fixed)).isEqualTo("ARMv" + version + " ");
        }
    }

    @Test
    void theKindIsLearnedFromAVermagic() {
        String words = "6.1.0 SMP mod_unload modversions ARMv7 ";
        KernelConfig thumb = KernelConfig.forVermagic(words + "thumb2 p2v8 ");
        assertThat(codes(thumb)).isEqualTo(codes(THUMB));
        assertThat(codes(KernelConfig.forVermagic(words + "p2v8 "))).isEqualTo(codes(ARM));
        assertThat(codes(thumb.toBuilder().kconfig("CONFIG_THUMB2_KERNEL", false).build()))
                .as("what is set counts")
                .isEqualTo(codes(ARM));
    }
}

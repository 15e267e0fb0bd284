package io.github.koloader.arch;

import static io.github.koloader.arch.PlacedFixture.CODE;
import static io.github.koloader.arch.PlacedFixture.DATA;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class LoongArchTest extends ArchitectureContract {
    private static final long TEXT = 0xffff8000_02010000L;
    private static final long GOT = 0xffff8000_02020000L;
    private static final long PLT = 0xffff8000_02030000L;
    private static final long PLT_INDEX = 0xffff8000_02040000L;

    private static final int PUSH_PCREL = 22;
    private static final int PUSH_ABSOLUTE = 23;
    private static final int PUSH_DUP = 24;
    private static final int PUSH_PLT_PCREL = 29;
    private static final int IF_ELSE = 37;
    private static final int POP_U = 46;
    private static final int B26 = 66;

    @Override
    Architecture architecture() {
        return Architectures.LOONGARCH64;
    }

    @Override
    Errno errnoOf(RelocationFailure.Kind kind) {
        return switch (kind) {
            case UNKNOWN_TYPE -> Errno.EINVAL;
            case OVERFLOW, PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Errno.ENOEXEC;
        };
    }

    /** A module with 64 bytes to relocate, as data so that nothing sorts or counts, or as code. */
    private static final class Fixture {
        final PlacedFixture module = new PlacedFixture(Architectures.LOONGARCH64);
        final int got = module.placeholder(".got", GOT);
        final int plt = module.placeholder(".plt", PLT);
        final int pltIndex = module.placeholder(".plt.idx", PLT_INDEX);
        final int text;

        Fixture(long flags, int... words) {
            byte[] bytes = new byte[64];
            PlacedSection section = new PlacedSection(bytes, 0, 64, 0, false);
            for (int i = 0; i < words.length; i++) {
                section.writeInt(4 * i, words[i]);
            }
            text = module.section(".text", flags, TEXT, bytes);
        }

        Fixture relocate(Relocation... relocations) {
            module.relocate(text, relocations);
            return this;
        }

        /** Operations at the first place, each with a symbol of that value. */
        Fixture operations(long... typesAndValues) {
            for (int i = 0; i < typesAndValues.length; i += 2) {
                int symbol = module.symbol(typesAndValues[i + 1]);
                relocate(new Relocation(0, (int) typesAndValues[i], symbol, 0));
            }
            return this;
        }

        Fixture load() {
            module.load();
            return this;
        }

        int word(int offset) {
            return module.word(text, offset);
        }

        LoadException refusal() {
            byte[] before = new byte[64];
            LoadException refusal = catchThrowableOfType(LoadException.class, module::load);
            assertThat(refusal).isNotNull();
            assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
            assertThat(module.bytes(text)).as("untouched").isEqualTo(before);
            return refusal;
        }
    }

    /** Applies one relocation to the first word of code. */
    private static Fixture apply(int type, long s, long a, int... words) {
        Fixture fixture = new Fixture(CODE, words);
        return fixture.relocate(new Relocation(0, type, fixture.module.symbol(s), a)).load();
    }

    /** What is wrong with one relocation of data, which stay zero. */
    private static LoadException refusal(int type, long s, long a) {
        Fixture fixture = new Fixture(DATA);
        return fixture.relocate(new Relocation(0, type, fixture.module.symbol(s), a)).refusal();
    }

    /** The word that operations leave in place of zero. */
    private static int run(long... typesAndValues) {
        return new Fixture(DATA).operations(typesAndValues).load().word(0);
    }

    // ---- identity ----

    @Test
    void bothMachineAndClassHaveToBeRight() {
        assertThat(accepts(258, Encoding.ELF64_LSB)).isTrue();
        assertThat(accepts(258, Encoding.ELF64_MSB)).isTrue(); // the byte order is not looked at
        assertThat(accepts(258, Encoding.ELF32_LSB)).isFalse();
        assertThat(accepts(243, Encoding.ELF64_LSB)).isFalse();
    }

    private boolean accepts(int machine, Encoding encoding) {
        return architecture().accepts(new FileHeader(encoding, machine, 0x43, 0));
    }

    @Test
    void itHasDebiansNameToo() {
        assertThat(Architectures.named("loong64")).contains(architecture());
    }

    @Test
    void vermagicEndsWithTheWordSizeAndABlank() {
        assertThat(KernelConfig.linux6_1().vermagic(architecture()))
                .endsWith("modversions LOONGARCH 64BIT ");
    }

    @Test
    void exportsAreAddressesAndExceptionEntriesHaveThreeFields() {
        assertThat(architecture().relativeExports(KernelConfig.linux6_1())).isFalse();
        assertThat(architecture().exceptionTable(KernelConfig.linux6_1()))
                .isEqualTo(ExceptionTable.RELATIVE_WITH_DATA);
    }

    @Test
    void onlyRelaIsTaken() {
        assertThat(architecture().acceptsRelocations(true)).isTrue();
        assertThat(architecture().acceptsRelocations(false)).isFalse();
    }

    @Test
    void modulesHave256Mebibytes() {
        assertThat(architecture().moduleAreas(KernelConfig.linux6_1()))
                .containsExactly(AddressRange.between(0xffff8000_02008000L, 0xffff8000_12008000L));
        assertThat(architecture().pageSize()).isEqualTo(16384);
    }

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code)
                .containsExactly(
                        0, 1, 2, 20, 21, 22, 23, 24, 29, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
                        43, 44, 45, 46, 50, 51, 55, 56, 66, 71, 72, 73, 74, 75, 76);
    }

    // ---- types ----

    @ParameterizedTest
    @CsvSource({
        "3, 'Unsupport relocation type 3, please add its support.'",
        "19, 'Unsupport relocation type 19, please add its support.'",
        "25, 'Unsupport relocation type 25, please add its support.'",
        "47, 'Unsupport relocation type 47, please add its support.'",
        "49, 'Unsupport relocation type 49, please add its support.'",
        "52, Unsupport relocation type 52",
        "53, Unsupport relocation type 53",
        "54, Unsupport relocation type 54",
        "57, 'Unsupport relocation type 57, please add its support.'",
        "109, 'Unsupport relocation type 109, please add its support.'",
        "110, Unknown relocation type 110",
        "-1, Unknown relocation type 4294967295"
    })
    void typesWithoutCodeAreRejected(int type, String message) {
        LoadException refusal = refusal(type, 0x1000, 0);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEqualTo("kmod: m: " + message);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 20, 21})
    void marksWriteNothing(int type) {
        assertThat(apply(type, 0x1234, 5, 0x11223344).word(0)).isEqualTo(0x11223344);
    }

    @Test
    void wordsAreWrittenWhateverTheValue() {
        Fixture fixture = apply(1, 0x12345678_9abcdef0L, -1, -1, 0x55);
        assertThat(fixture.word(0)).isEqualTo(0x9abcdeef);
        assertThat(fixture.word(4)).isEqualTo(0x55);
        Fixture wide = apply(2, 0x12345678_9abcdef0L, -1, -1, -1, 0x55);
        assertThat(wide.module.memory(wide.text).read(0, 8)).isEqualTo(0x12345678_9abcdeefL);
        assertThat(wide.word(8)).isEqualTo(0x55);
    }

    @Test
    void sumsCountOnWhatIsThere() {
        assertThat(apply(50, 0x10, 1, -1, 7).word(0)).isEqualTo(0x10);
        assertThat(apply(50, 0x10, 1, -1, 7).word(4)).isEqualTo(7);
        assertThat(apply(55, 0x10, 1, 0, 7).word(0)).isEqualTo(-0x11);
        assertThat(apply(55, 0x10, 1, 0, 7).word(4)).isEqualTo(7);
        assertThat(apply(51, 0x10, 1, -1, 7).word(0)).isEqualTo(0x10);
        assertThat(apply(51, 0x10, 1, -1, 7).word(4)).isEqualTo(8);
        assertThat(apply(56, 0x10, 1, 0, 7).word(0)).isEqualTo(-0x11);
        assertThat(apply(56, 0x10, 1, 0, 7).word(4)).isEqualTo(6);
    }

    // ---- symbols ----

    @ParameterizedTest
    @ValueSource(longs = {-1, -4095})
    void aSymbolThatIsAnErrorIsUnknown(long value) {
        for (int type : new int[] {0, 2, 110}) {
            LoadException refusal = refusal(type, value, 0);
            assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
            assertThat(refusal.dmesg()).isEqualTo("kmod: m: Unknown symbol s1");
        }
    }

    @Test
    void aWeakSymbolThatIsAnErrorIsSkipped() {
        Fixture fixture = new Fixture(DATA, 0x11223344);
        int weak = fixture.module.symbol(Symbol.weak("w"), -1);
        fixture.relocate(new Relocation(0, 2, weak, 0), new Relocation(0, POP_U, weak, 0)).load();
        assertThat(fixture.word(0)).isEqualTo(0x11223344);
    }

    @Test
    void theLastValueThatIsNoErrorIsAnAddress() {
        assertThat(apply(1, -4096, 0).word(0)).isEqualTo(-4096);
    }

    @Test
    void aSymbolThatIsNotThereIsRejected() {
        Fixture fixture = new Fixture(DATA);
        fixture.relocate(new Relocation(0, 0, fixture.module.symbol(0), 0));
        ModuleImage image = fixture.module.file();
        Relocator relocator =
                architecture()
                        .relocator(
                                PlacedModule.ofSection(
                                        KernelConfig.linux6_1(),
                                        image,
                                        new long[1],
                                        fixture.text,
                                        new PlacedSection(new byte[64], 0, 64, TEXT, false)));
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () -> relocator.apply(image.relocationsFor(fixture.text).get(0)));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).contains("refers to a symbol that is not in the symbol table");
    }

    @ParameterizedTest
    @CsvSource({
        "1, 61",
        "2, 57",
        "50, 61",
        "51, 57",
        "55, 61",
        "56, 57",
        "66, 61",
        "71, 61",
        "72, 61",
        "73, 61",
        "74, 61",
        "75, 61",
        "76, 61",
        "1, -1",
        "51, 9223372036854775807"
    })
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        Fixture fixture = new Fixture(CODE);
        int symbol = fixture.module.symbol(offset + TEXT);
        LoadException refusal = fixture.relocate(new Relocation(offset, type, symbol, 0)).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).endsWith("which is outside its section");
        assertThat(fixture.module.memory(fixture.got).read(0, 8)).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {39, 40, 41, 42, 43, 44, 45, 46})
    void aPlaceToPopIntoOutsideTheSectionIsRejected(int type) {
        Fixture fixture = new Fixture(DATA).operations(PUSH_ABSOLUTE, 4);
        int symbol = fixture.module.symbol(0);
        LoadException refusal = fixture.relocate(new Relocation(61, type, symbol, 0)).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).endsWith("which is outside its section");
    }

    // ---- stack ----

    @Test
    void valuesArePushedAndPopped() {
        assertThat(run(PUSH_ABSOLUTE, 0x1234, POP_U, 0)).isEqualTo(0x1234);
        assertThat(run(PUSH_PCREL, TEXT + 0x1234, POP_U, 0)).isEqualTo(0x1234);
        Fixture fixture = new Fixture(DATA);
        int symbol = fixture.module.symbol(TEXT + 0x100);
        fixture.relocate(
                        new Relocation(4, PUSH_PCREL, symbol, 8),
                        new Relocation(8, POP_U, symbol, 99))
                .load();
        assertThat(fixture.word(8)).isEqualTo(0x104);
    }

    @Test
    void theTopCanBeDoubled() {
        assertThat(run(PUSH_ABSOLUTE, 0x1234, PUSH_DUP, 0, 35, 0, POP_U, 0)).isEqualTo(0x2468);
    }

    @ParameterizedTest
    @CsvSource({
        "32, 100, 30, 70",
        "33, 5, 4, 80",
        "34, 80, 4, 5",
        "35, 100, 30, 130",
        "36, 12, 10, 8"
    })
    void twoValuesBecomeOne(int operation, long first, long second, int result) {
        assertThat(run(PUSH_ABSOLUTE, first, PUSH_ABSOLUTE, second, operation, 0, POP_U, 0))
                .isEqualTo(result);
    }

    @Test
    void shiftsToTheRightKeepTheSign() {
        long minus = -0x10000L;
        assertThat(run(PUSH_ABSOLUTE, minus, PUSH_ABSOLUTE, 12, 34, 0, 40, 0))
                .isEqualTo((-16 & 0xfff) << 10);
    }

    @Test
    void oneOfTwoValuesIsChosen() {
        assertThat(run(PUSH_ABSOLUTE, 1, PUSH_ABSOLUTE, 7, PUSH_ABSOLUTE, 8, IF_ELSE, 0, POP_U, 0))
                .isEqualTo(7);
        assertThat(run(PUSH_ABSOLUTE, 0, PUSH_ABSOLUTE, 7, PUSH_ABSOLUTE, 8, IF_ELSE, 0, POP_U, 0))
                .isEqualTo(8);
    }

    @ParameterizedTest
    @ValueSource(ints = {24, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46})
    void nothingCanBePoppedFromAnEmptyStack(int type) {
        LoadException refusal = refusal(type, 0, 0);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"32, 1", "33, 1", "34, 1", "35, 1", "36, 1", "37, 1", "37, 2"})
    void operandsThatAreMissingAreNoticed(int type, int there) {
        Fixture fixture = new Fixture(DATA);
        for (int i = 0; i < there; i++) {
            fixture.operations(PUSH_ABSOLUTE, 1);
        }
        LoadException refusal = fixture.operations(type, 0).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).isEmpty();
    }

    @Test
    void theStackHoldsSixteenValues() {
        Fixture full = new Fixture(DATA);
        for (int i = 0; i < 16; i++) {
            full.operations(PUSH_ABSOLUTE, i);
        }
        full.operations(POP_U, 0).load();
        assertThat(full.word(0)).isEqualTo(15);
    }

    @ParameterizedTest
    @ValueSource(ints = {22, 23, 24, 29})
    void aSeventeenthValueIsRefused(int type) {
        Fixture fixture = new Fixture(DATA);
        for (int i = 0; i < 16; i++) {
            fixture.operations(PUSH_ABSOLUTE, i);
        }
        LoadException refusal = fixture.operations(type, TEXT).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).isEmpty();
    }

    @Test
    void eachTableHasAStackOfItsOwn() {
        Fixture fixture = new Fixture(DATA).operations(PUSH_ABSOLUTE, 1);
        int other = fixture.module.section(".data", DATA, TEXT + 0x100, new byte[4]);
        int symbol = fixture.module.symbol(0);
        fixture.module.relocate(other, new Relocation(0, POP_U, symbol, 0));
        assertThat(fixture.refusal().lines()).isEmpty();
    }

    /** The last value that fits at either end, the first that does not, and where the bits go. */
    @ParameterizedTest
    @CsvSource({
        // type, smallest, largest, step, bits of −1 or of the largest
        "39, 0, 4095, 1, 003ffc00",
        "40, -2048, 2047, 1, 003ffc00",
        "41, -32768, 32767, 1, 03fffc00",
        "42, -131072, 131068, 4, 03fffc00",
        "43, -524288, 524287, 1, 01ffffe0",
        "44, -4194304, 4194300, 4, 03fffc1f",
        "45, -134217728, 134217724, 4, 03ffffff",
        "46, 0, 4294967295, 1, ffffffff"
    })
    void fieldsTakeWhatFits(int type, long smallest, long largest, int step, String mask) {
        int bits = Integer.parseUnsignedInt(mask, 16);
        int all = pop(type, smallest < 0 ? -step : largest, 0);
        assertThat(all).isEqualTo(bits);
        assertThat(pop(type, 0, -1)).isEqualTo(~bits);
        assertThat(pop(type, smallest, 0) & ~bits).isZero();
        assertThat(pop(type, largest, 0) & ~bits).isZero();
        if (smallest < 0) {
            assertThat(pop(type, smallest, 0) ^ pop(type, largest, 0)).isEqualTo(bits);
        }
        for (long beyond : new long[] {largest + step, smallest - step}) {
            assertThat(popRefusal(type, beyond).dmesg())
                    .isEqualTo(
                            "kmod: module m: opr1 = 0x%x overflow! dangerous apply_r_larch_sop_imm_field (%d) relocation"
                                    .formatted(beyond, type));
        }
        if (step == 4) {
            for (long odd : new long[] {1, 2, 3, largest + 5}) {
                assertThat(popRefusal(type, odd).dmesg())
                        .isEqualTo(
                                "kmod: module m: opr1 = 0x%x unaligned! dangerous apply_r_larch_sop_imm_field (%d) relocation"
                                        .formatted(odd, type));
            }
        }
    }

    /** A value that may be one that no symbol can have, made by an addend. */
    private static int pop(int type, long value, int word) {
        Fixture fixture = new Fixture(DATA, word);
        int zero = fixture.module.symbol(0);
        return fixture.relocate(
                        new Relocation(0, PUSH_ABSOLUTE, zero, value),
                        new Relocation(0, type, zero, 0))
                .load()
                .word(0);
    }

    private static LoadException popRefusal(int type, long value) {
        Fixture fixture = new Fixture(DATA);
        int zero = fixture.module.symbol(0);
        LoadException refusal =
                fixture.relocate(
                                new Relocation(0, PUSH_ABSOLUTE, zero, value),
                                new Relocation(0, type, zero, 0))
                        .refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        return refusal;
    }

    @Test
    void theHighBitsOfLongBranchesComeFirst() {
        assertThat(pop(44, 1 << 2, 0)).isEqualTo(1 << 10);
        assertThat(pop(44, 1 << 17, 0)).isEqualTo(1 << 25);
        assertThat(pop(44, 1 << 18, 0)).isEqualTo(1);
        assertThat(pop(45, 1 << 17, 0)).isEqualTo(1 << 25);
        assertThat(pop(45, 1 << 18, 0)).isEqualTo(1);
        assertThat(pop(45, 1 << 26, 0)).isEqualTo(1 << 8);
    }

    @Test
    void oneFieldIsListedButNotSupported() {
        LoadException refusal = new Fixture(DATA).operations(PUSH_ABSOLUTE, 1, 38, 0).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEqualTo("kmod: m: Unsupport relocation type 38");
    }

    // ---- branches ----

    @ParameterizedTest
    @CsvSource({"0, 0", "4, 400", "131072, 2000000", "262144, 1", "134217724, 3fffdff"})
    void aBranchHasItsDistanceInTwoParts(long distance, String bits) {
        assertThat(apply(B26, TEXT + distance + 8, -8, 0x50000000).word(0))
                .isEqualTo(0x50000000 | Integer.parseInt(bits, 16));
    }

    @Test
    void theFarthestBranchBackNeedsNoPlt() {
        Fixture fixture = apply(B26, TEXT - (1 << 27), 0, 0x50000000);
        assertThat(fixture.word(0)).isEqualTo(0x50000200);
        assertThat(fixture.module.memory(fixture.pltIndex).read(0, 8)).isZero();
    }

    @Test
    void anOddBranchIsRejected() {
        LoadException refusal = refusal(B26, TEXT + 0x10001, 0);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "kmod: module m: jump offset = 0x10001 unaligned! dangerous R_LARCH_B26 (66) relocation");
    }

    @ParameterizedTest
    @ValueSource(longs = {1L << 27, -(1L << 27) - 4, (1L << 27) + 1, 0x7000_00000000L})
    void aBranchThatDoesNotReachGoesThroughThePlt(long distance) {
        Fixture fixture = apply(B26, TEXT + distance, 0, 0x54000000);
        long target = TEXT + distance;
        assertThat(fixture.module.memory(fixture.pltIndex).read(0, 8)).isEqualTo(target);
        assertThat(fixture.word(0)).isEqualTo(0x54000000 | (int) (PLT - TEXT >> 2) << 10);
    }

    @Test
    void aPltEntryLoadsTheWholeAddress() {
        Fixture fixture = apply(B26, 0x9abcdef0_12345678L, 0, 0x54000000);
        PlacedSection plt = fixture.module.memory(fixture.plt);
        assertThat(plt.size()).isEqualTo(32);
        assertThat(plt.readInt(0)).isEqualTo(0x1400000d | 0x12345 << 5);
        assertThat(plt.readInt(4)).isEqualTo(0x1600000d | 0xcdef0 << 5);
        assertThat(plt.readInt(8)).isEqualTo(0x030001ad | 0x9ab << 10);
        assertThat(plt.readInt(12)).isEqualTo(0x4c0001a0 | 0x678 >> 2 << 10);
        assertThat(plt.readInt(16)).isZero();
    }

    @Test
    void stackBranchesUseThePltToo() {
        Fixture fixture = new Fixture(CODE);
        int far = fixture.module.symbol(0x12340000L);
        fixture.relocate(
                        new Relocation(0, PUSH_PLT_PCREL, far, 0),
                        new Relocation(0, 45, far, 0),
                        new Relocation(4, B26, far, 0))
                .load();
        assertThat(fixture.word(0)).isEqualTo((int) (PLT - TEXT >> 2) << 10);
        assertThat(fixture.word(4)).isEqualTo((int) (PLT - TEXT - 4 >> 2) << 10);
        assertThat(fixture.module.memory(fixture.pltIndex).read(0, 8)).isEqualTo(0x12340000L);
        assertThat(fixture.module.memory(fixture.pltIndex).read(8, 8)).isZero();
        assertThat(fixture.module.memory(fixture.plt).size()).isEqualTo(3 * 16);
    }

    @Test
    void aStackBranchThatReachesIsJustADistance() {
        assertThat(run(PUSH_PLT_PCREL, TEXT + 0x100, POP_U, 0)).isEqualTo(0x100);
    }

    @ParameterizedTest
    @ValueSource(ints = {29, 66})
    void aPltEntryThatWasNotCountedIsRefused(int type) {
        LoadException refusal = refusal(type, 0x1000, 0);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .matches("m: relocation 0 of section \\d+ needs more of \\.plt than was counted");
    }

    @Test
    void aModuleThatWasNotPlannedHasNoRoomForVeneers() {
        for (int type : new int[] {29, 66, 75, 76}) {
            PlacedFixture module = new PlacedFixture(architecture());
            int text = module.section(".text", CODE, TEXT, new byte[8]);
            module.relocate(text, new Relocation(0, type, module.symbol(0x1000), 0));
            LoadException refusal =
                    catchThrowableOfType(LoadException.class, module::loadUnplanned);
            assertThat(refusal).isNotNull();
            assertThat(module.bytes(text)).containsOnly(0);
        }
    }

    // ---- pages ----

    @ParameterizedTest
    @CsvSource({
        // distance of v from the page of P: bits of HI20, LO12, LO20, HI12
        "0, 0, 0, 0, 0",
        "7ff, 0, 7ff, 0, 0",
        "800, 1, 800, fffff, fff",
        "fff, 1, fff, fffff, fff",
        "12345678, 12345, 678, 0, 0",
        "7ffff7ff, 7ffff, 7ff, 0, 0",
        "7ffff800, 80000, 800, 0, 0",
        "1234567890800, 67891, 800, 12344, 0"
    })
    void addressesAreMadeOfFourParts(
            String distance, String hi20, String lo12, String lo20, String hi12) {
        long page = 0x1000;
        Fixture fixture = new Fixture(CODE);
        PlacedFixture module = fixture.module;
        int text = module.section(".text.page", CODE, page + 0x234, new byte[16]);
        int v = module.symbol(page + Long.parseLong(distance, 16) + 4);
        for (int i = 0; i < 4; i++) {
            module.relocate(text, new Relocation(4L * i, 71 + i, v, -4));
        }
        module.load();
        assertThat(module.word(text, 0)).isEqualTo(Integer.parseInt(hi20, 16) << 5);
        assertThat(module.word(text, 4)).isEqualTo(Integer.parseInt(lo12, 16) << 10);
        assertThat(module.word(text, 8)).isEqualTo(Integer.parseInt(lo20, 16) << 5);
        assertThat(module.word(text, 12)).isEqualTo(Integer.parseInt(hi12, 16) << 10);
    }

    @Test
    void partsLeaveTheOtherBitsAlone() {
        int[] masks = {0x01ffffe0, 0x003ffc00, 0x01ffffe0, 0x003ffc00};
        for (int i = 0; i < 4; i++) {
            assertThat(apply(71 + i, TEXT, 0, -1).word(0) | masks[i]).isEqualTo(-1);
        }
    }

    // ---- GOT ----

    @Test
    void eachAddressHasOneGotSlotInTheOrderOfUse() {
        Fixture fixture = new Fixture(CODE);
        int one = fixture.module.symbol(0x1000);
        int other = fixture.module.symbol(0x2000);
        fixture.relocate(
                        new Relocation(0, 75, one, 0),
                        new Relocation(4, 76, one, 0),
                        new Relocation(8, 75, other, 0),
                        new Relocation(12, 76, other, 0),
                        new Relocation(16, 76, one, 0x1000))
                .load();
        PlacedSection got = fixture.module.memory(fixture.got);
        assertThat(got.size()).isEqualTo(3 * 8);
        assertThat(got.read(0, 8)).isEqualTo(0x1000);
        assertThat(got.read(8, 8)).isEqualTo(0x2000);
        assertThat(got.read(16, 8)).isZero();
        assertThat(fixture.word(0)).isEqualTo(0x10 << 5);
        assertThat(fixture.word(4)).isZero();
        assertThat(fixture.word(8)).isEqualTo(0x10 << 5);
        assertThat(fixture.word(12)).isEqualTo(8 << 10);
        assertThat(fixture.word(16)).isEqualTo(8 << 10);
    }

    @ParameterizedTest
    @ValueSource(ints = {75, 76})
    void aGotSlotThatWasNotCountedIsRefused(int type) {
        LoadException refusal = refusal(type, 0x1000, 0);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEqualTo("m: module contains bad GOT relocation");
    }

    @Test
    void aLowPartWithoutAHighPartIsABadGotRelocation() {
        Fixture fixture = new Fixture(CODE);
        fixture.relocate(new Relocation(0, 76, fixture.module.symbol(0x1000), 0));
        assertThat(fixture.refusal().dmesg()).isEqualTo("m: module contains bad GOT relocation");
    }

    // ---- plan ----

    @ParameterizedTest
    @CsvSource({
        ".got, m: module GOT section(s) missing",
        ".plt, m: module PLT section(s) missing",
        ".plt.idx, m: module PLT.IDX section(s) missing"
    })
    void aModuleWithoutASectionForVeneersIsRefused(String missing, String message) {
        PlacedFixture module = new PlacedFixture(architecture());
        for (String name : List.of(".plt.idx", ".plt", ".got")) {
            if (!name.equals(missing)) {
                module.placeholder(name, 0);
            }
        }
        LoadException refusal = catchThrowableOfType(LoadException.class, module::plan);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo(message);
        assertThat(refusal.lines().get(0).level()).isEqualTo(LogLevel.ERR);
    }

    @Test
    void ofAllMissingSectionsTheGotIsNamed() {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, new PlacedFixture(architecture())::plan);
        assertThat(refusal.dmesg()).isEqualTo("m: module GOT section(s) missing");
    }

    @Test
    void sectionsForVeneersBecomeSpace() {
        Fixture fixture = new Fixture(CODE);
        int symbol = fixture.module.symbol(0);
        fixture.relocate(
                new Relocation(0, B26, symbol, 0),
                new Relocation(4, 75, symbol, 0),
                new Relocation(8, B26, symbol, 0), // the same once more
                new Relocation(12, PUSH_PLT_PCREL, symbol, 0),
                new Relocation(16, 75, symbol, -1),
                new Relocation(20, 75, symbol, 1),
                new Relocation(24, 76, symbol, 2));
        ModuleImage planned = fixture.module.plan().image();
        assertSpace(planned.section(fixture.got), 0x2, 4 * 8);
        assertSpace(planned.section(fixture.plt), 0x6, 3 * 16);
        assertSpace(planned.section(fixture.pltIndex), 0x2, 3 * 8);
    }

    private static void assertSpace(Section section, long flags, long size) {
        assertThat(section.type()).isEqualTo(SectionType.NOBITS);
        assertThat(section.flags()).isEqualTo(SectionFlags.of(flags));
        assertThat(section.alignment()).isEqualTo(64);
        assertThat(section.size()).isEqualTo(size);
    }

    @Test
    void theLastSectionOfANameCounts() {
        Fixture fixture = new Fixture(CODE);
        int other = fixture.module.placeholder(".got", 0);
        ModuleImage planned = fixture.module.plan().image();
        assertThat(planned.section(fixture.got).type()).isEqualTo(SectionType.PROGBITS);
        assertThat(planned.section(other).size()).isEqualTo(8);
    }

    @Test
    void relocationsOfCodeAreSortedBySymbolTypeAndAddend() {
        Fixture fixture = new Fixture(CODE);
        int one = fixture.module.symbol(0);
        int other = fixture.module.symbol(0);
        fixture.relocate(
                new Relocation(0, 71, other, 0),
                new Relocation(4, 66, other, 1),
                new Relocation(8, 75, one, 0),
                new Relocation(12, -1, one, 0), // types are unsigned
                new Relocation(16, 66, other, -1)); // addends are not
        assertThat(offsets(fixture.module.plan().image(), fixture.text))
                .containsExactly(8L, 12L, 16L, 4L, 0L);
    }

    @Test
    void equalRelocationsEndUpWhereHeapsortLeavesThem() {
        Fixture fixture = new Fixture(CODE);
        int symbol = fixture.module.symbol(0);
        fixture.relocate(
                IntStream.range(0, 5)
                        .mapToObj(i -> new Relocation(4L * i, 72, symbol, 0))
                        .toArray(Relocation[]::new));
        assertThat(offsets(fixture.module.plan().image(), fixture.text))
                .containsExactly(4L, 8L, 12L, 16L, 0L);
    }

    @Test
    void relocationsOfDataAreNeitherSortedNorCounted() {
        Fixture fixture = new Fixture(DATA);
        int one = fixture.module.symbol(0);
        int other = fixture.module.symbol(0);
        fixture.relocate(new Relocation(4, 75, other, 0), new Relocation(0, 66, one, 0));
        ModuleImage planned = fixture.module.plan().image();
        assertThat(offsets(planned, fixture.text)).containsExactly(4L, 0L);
        assertThat(planned.section(fixture.got).size()).isEqualTo(8);
        assertThat(planned.section(fixture.plt).size()).isEqualTo(16);
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
    void eachTableIsCountedByItself() {
        Fixture fixture = new Fixture(CODE);
        int more = fixture.module.section(".text.more", CODE, 0, new byte[8]);
        int symbol = fixture.module.symbol(0);
        fixture.relocate(new Relocation(0, B26, symbol, 0));
        fixture.module.relocate(more, new Relocation(0, B26, symbol, 0));
        assertThat(fixture.module.plan().image().section(fixture.plt).size()).isEqualTo(3 * 16);
    }

    /** Sorted, the operations of two sequences lie beside each other. */
    @Test
    void sortingDestroysStackOperationsOfCode() {
        Fixture fixture = new Fixture(CODE);
        int one = fixture.module.symbol(8);
        int other = fixture.module.symbol(4);
        fixture.relocate(
                new Relocation(0, PUSH_ABSOLUTE, other, 0), new Relocation(0, POP_U, one, 0));
        assertThat(fixture.refusal().lines()).isEmpty();
    }

    @Test
    void aLongTableIsSortedAndCountedQuickly() {
        int count = 200_000;
        Fixture fixture = new Fixture(CODE);
        int symbol = fixture.module.symbol(0);
        Relocation[] relocations = new Relocation[count];
        Arrays.setAll(relocations, i -> new Relocation(4L * i, B26, symbol, count - i));
        fixture.relocate(relocations);
        ModuleImage planned = fixture.module.plan().image();
        assertThat(planned.section(fixture.plt).size()).isEqualTo(16L * (count + 1));
        assertThat(planned.relocationsFor(fixture.text).get(0).addend(0)).isEqualTo(1);
    }
}

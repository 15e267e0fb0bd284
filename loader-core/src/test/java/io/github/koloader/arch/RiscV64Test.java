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
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class RiscV64Test extends ArchitectureContract {
    private static final int AUIPC = 0x00000517;
    private static final long TEXT = 0xffffffff_01001000L;
    private static final long PLT = 0xffffffff_01002000L;
    private static final long GOT = 0xffffffff_01003000L;
    private static final long GOT_PLT = 0xffffffff_01004000L;

    private static final KernelConfig WITHOUT_SECTIONS =
            KernelConfig.linux6_1().toBuilder().kconfig("CONFIG_MODULE_SECTIONS", false).build();

    @Override
    Architecture architecture() {
        return Architectures.RISCV64;
    }

    @Override
    Errno errnoOf(RelocationFailure.Kind kind) {
        return switch (kind) {
            case UNKNOWN_TYPE, OVERFLOW -> Errno.EINVAL;
            case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Errno.ENOEXEC;
        };
    }

    /** A module with 64 bytes of code and what the loader fills. */
    private static final class Fixture {
        final PlacedFixture module;
        final int plt;
        final int got;
        final int gotPlt;
        final int text;

        Fixture(KernelConfig config, byte... code) {
            module = new PlacedFixture(Architectures.RISCV64, config);
            plt = module.placeholder(".plt", PLT);
            got = module.placeholder(".got", GOT);
            gotPlt = module.placeholder(".got.plt", GOT_PLT);
            text = module.section(".text", CODE, TEXT, Arrays.copyOf(code, 64));
        }

        Fixture(byte... code) {
            this(KernelConfig.linux6_1(), code);
        }

        Fixture relocate(Relocation... relocations) {
            module.relocate(text, relocations);
            return this;
        }

        int word(int offset) {
            return module.word(text, offset);
        }
    }

    /** Applies one relocation at the start of the code. */
    private static Fixture apply(int type, long s, long a, int... words) {
        return apply(KernelConfig.linux6_1(), type, s, a, words);
    }

    private static Fixture apply(KernelConfig config, int type, long s, long a, int... words) {
        Fixture fixture = new Fixture(config, bytes(words));
        fixture.relocate(new Relocation(0, type, fixture.module.symbol(s), a));
        fixture.module.load();
        return fixture;
    }

    private static byte[] bytes(int... words) {
        byte[] bytes = new byte[4 * words.length];
        for (int i = 0; i < words.length; i++) {
            new PlacedSection(bytes, 0, bytes.length, 0, false).writeInt(4 * i, words[i]);
        }
        return bytes;
    }

    private static LoadException refusal(Fixture fixture) {
        LoadException refusal = catchThrowableOfType(LoadException.class, fixture.module::load);
        assertThat(refusal).isNotNull();
        assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
        return refusal;
    }

    /** What is wrong with one relocation at the start of the code, which stays as it is. */
    private static LoadException refusal(KernelConfig config, int type, long s, long a) {
        byte[] code = new byte[64];
        Arrays.fill(code, (byte) 0x55);
        Fixture fixture = new Fixture(config, code);
        fixture.relocate(new Relocation(0, type, fixture.module.symbol(s), a));
        LoadException refusal = refusal(fixture);
        assertThat(fixture.module.bytes(fixture.text)).as("untouched").isEqualTo(code);
        return refusal;
    }

    private static LoadException refusal(int type, long s, long a) {
        return refusal(KernelConfig.linux6_1(), type, s, a);
    }

    // ---- identity ----

    @Test
    void bothMachineAndClassHaveToBeRight() {
        assertThat(accepts(243, Encoding.ELF64_LSB)).isTrue();
        assertThat(accepts(243, Encoding.ELF64_MSB)).isTrue(); // the byte order is not looked at
        assertThat(accepts(243, Encoding.ELF32_LSB)).isFalse();
        assertThat(accepts(62, Encoding.ELF64_LSB)).isFalse();
    }

    private boolean accepts(int machine, Encoding encoding) {
        return architecture().accepts(new FileHeader(encoding, machine, 0, 0));
    }

    @Test
    void itIsFoundByItsEncoding() {
        assertThat(Architectures.forMachine(243, Encoding.ELF64_LSB))
                .contains(Architectures.RISCV64);
        assertThat(Architectures.forMachine(243, Encoding.ELF32_LSB))
                .contains(Architectures.RISCV32);
        assertThat(Architectures.forMachine(243)).contains(Architectures.RISCV64);
    }

    @Test
    void vermagicEndsWithItsName() {
        assertThat(KernelConfig.linux6_1().vermagic(architecture())).endsWith("modversions riscv");
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
    void modulesLieBelowTheKernelAndWithinTwoGibibytesOfItsEnd() {
        assertThat(architecture().moduleAreas(KernelConfig.linux6_1()))
                .containsExactly(AddressRange.between(0xffffffff_01800000L, 0xffffffff_80000000L));
        KernelConfig other =
                KernelConfig.linux6_1().toBuilder()
                        .kernelAddress("_start", new Address(0xffffffff_80002800L))
                        .kernelAddress("_end", new Address(0xffffffff_81400001L))
                        .build();
        assertThat(architecture().moduleAreas(other))
                .containsExactly(AddressRange.between(0xffffffff_01401000L, 0xffffffff_80002000L));
    }

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        List<Integer> since63 =
                List.of(
                        1, 2, 16, 17, 18, 19, 20, 23, 24, 25, 26, 27, 28, 34, 35, 36, 38, 39, 40,
                        43, 44, 45, 51);
        List<Integer> in61 = since63.stream().filter(code -> code != 34 && code != 38).toList();
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code)
                .isEqualTo(since63);
        assertThat(architecture().relocationTypes(KernelConfig.forRelease("6.3.0")))
                .extracting(RelocationType::code)
                .isEqualTo(since63);
        assertThat(architecture().relocationTypes(KernelConfig.forRelease("6.2.0")))
                .extracting(RelocationType::code)
                .isEqualTo(in61);
    }

    // ---- data ----

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 0x80000000L, 0xffffffffL})
    void type32TakesUnsignedValues(long value) {
        Fixture fixture = apply(1, value + 5, -5, -1, 0x11223344);
        assertThat(fixture.word(0)).isEqualTo((int) value);
        assertThat(fixture.word(4)).isEqualTo(0x11223344);
    }

    @ParameterizedTest
    @CsvSource({"4294967296, 0000000100000000", "-8192, ffffffffffffe000"})
    void type32RefusesWhatHasMoreBits(long value, String shown) {
        LoadException refusal = refusal(1, value - 8, 8);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg())
                .isEqualTo("m: value " + shown + " out of range for 32-bit field");
    }

    @Test
    void type64WritesTheWholeSum() {
        Fixture fixture = apply(2, 0xffffffff_80000000L, -16, 0x11111111, 0x22222222, 0x33333333);
        assertThat(fixture.module.memory(fixture.text).read(0, 8)).isEqualTo(0xffffffff_7ffffff0L);
        assertThat(fixture.word(8)).isEqualTo(0x33333333);
    }

    @ParameterizedTest
    @CsvSource({
        "35, 11223344, 00000010, 11223354",
        "35, ffffffff, 00000001, 00000000",
        "39, 11223344, 00000010, 11223334",
        "39, 00000000, 00000001, ffffffff"
    })
    void add32AndSub32CountOnWhatIsThere(int type, String old, String sum, String expected) {
        int before = Integer.parseUnsignedInt(old, 16);
        Fixture fixture = apply(type, Long.parseLong(sum, 16) + 4, -4, before, 7);
        assertThat(fixture.word(0)).isEqualTo(Integer.parseUnsignedInt(expected, 16));
        assertThat(fixture.word(4)).isEqualTo(7);
    }

    @Test
    void add64AndSub64CountOnWhatIsThere() {
        Fixture fixture = new Fixture(bytes(0x55667788, 0x11223344));
        int one = fixture.module.symbol(0xffffffff_00000000L);
        int other = fixture.module.symbol(0xffffffff_00000003L);
        fixture.relocate(new Relocation(0, 36, one, 8), new Relocation(0, 40, other, 1));
        fixture.module.load();
        assertThat(fixture.module.memory(fixture.text).read(0, 8))
                .isEqualTo(0x11223344_55667788L + 8 - 4);
    }

    @Test
    void add16AndSub16CameWith63() {
        KernelConfig recent = KernelConfig.forRelease("6.3.0");
        assertThat(apply(recent, 34, 0x12346, 0, 0x5555ffff).word(0)).isEqualTo(0x55552345);
        assertThat(apply(recent, 38, 0x12346, 0, 0x55550000).word(0)).isEqualTo(0x5555dcba);
        assertThat(refusal(34, 1, 0).dmesg()).isEqualTo("m: Unknown relocation type 34");
        assertThat(refusal(38, 1, 0).dmesg()).isEqualTo("m: Unknown relocation type 38");
    }

    // ---- instructions ----

    /** Each bit of a distance goes to its place, and no other bit changes. */
    @ParameterizedTest
    @CsvSource({
        // type, bytes, bits of the distance from the lowest, and where each goes
        "16, 4, 1 2 3 4 5 6 7 8 9 10 11 12, 8 9 10 11 25 26 27 28 29 30 7 31",
        "17, 4, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20,"
                + " 21 22 23 24 25 26 27 28 29 30 20 12 13 14 15 16 17 18 19 31",
        "44, 2, 1 2 3 4 5 6 7 8, 3 4 10 11 2 5 6 12",
        "45, 2, 1 2 3 4 5 6 7 8 9 10 11, 3 4 5 11 2 7 6 9 10 8 12"
    })
    void branchesScatterTheirDistance(int type, int size, String from, String to) {
        int[] bits = numbers(from);
        int[] places = numbers(to);
        int mask = 0;
        for (int i = 0; i < bits.length; i++) {
            mask |= 1 << places[i];
            assertThat(apply(type, TEXT, 1L << bits[i]).word(0)).isEqualTo(1 << places[i]);
        }
        int whole = size == 4 ? -1 : 0xffff;
        assertThat(apply(type, TEXT, 0, -1).word(0)).isEqualTo(~mask);
        assertThat(apply(type, TEXT, -1, 0).word(0)).isEqualTo(mask);
        int used = IntStream.of(bits).map(bit -> 1 << bit).sum();
        assertThat(apply(type, TEXT, ~(long) used, whole).word(0))
                .as("bits that no one looks at")
                .isEqualTo(whole & ~mask);
    }

    private static int[] numbers(String text) {
        return Arrays.stream(text.trim().split(" ")).mapToInt(Integer::parseInt).toArray();
    }

    @ParameterizedTest
    @CsvSource({
        "00000000, 00000517, 00050067",
        "000007ff, 00000517, 7ff50067",
        "00000800, 00001517, 80050067",
        "00000fff, 00001517, fff50067",
        "12345678, 12345517, 67850067",
        "7ffff7ff, 7ffff517, 7ff50067"
    })
    void aCallIsAPairOfInstructions(String distance, String first, String second) {
        for (int type : new int[] {18, 19}) {
            Fixture fixture =
                    apply(type, TEXT + Long.parseLong(distance, 16) - 4, 4, AUIPC, 0x00050067);
            assertThat(fixture.word(0)).isEqualTo(Integer.parseUnsignedInt(first, 16));
            assertThat(fixture.word(4)).isEqualTo(Integer.parseUnsignedInt(second, 16));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {18, 23})
    void aPairReachesTwoGibibytesLessTwoKibibytes(int type) {
        long above = 0x7ffff7ffL;
        long below = -0x80000800L;
        assertThat(apply(type, TEXT + above, 0, AUIPC).word(0)).isEqualTo(0x7ffff517);
        assertThat(apply(type, TEXT + below, 0, AUIPC).word(0)).isEqualTo(0x80000517);
        for (long distance : new long[] {above + 1, below - 1}) {
            LoadException refusal = refusal(type, TEXT + distance - 16, 16);
            assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
            assertThat(refusal.dmesg())
                    .isEqualTo(
                            "m: target %016x can not be addressed by the 32-bit offset from PC = %016x"
                                    .formatted(TEXT + distance, TEXT));
        }
    }

    @Test
    void absolutePairsAreNotChecked() {
        assertThat(apply(26, 0x12345_00000800L, 0, 0x00000537).word(0)).isEqualTo(0x00001537);
        assertThat(apply(27, 0x12345_00000fffL, 0, 0x00050513).word(0)).isEqualTo(0xfff50513);
        assertThat(apply(28, 0x12345_00000fffL, 0, 0x00b53023).word(0)).isEqualTo(0xfeb53fa3);
    }

    @Test
    void aKernelOfTheLowCodeModelRefusesHi20() {
        KernelConfig low =
                KernelConfig.linux6_1().toBuilder().kconfig("CONFIG_CMODEL_MEDLOW", true).build();
        LoadException refusal = refusal(low, 26, 0x1230, 4);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: target 0000000000001234 can not be addressed by the 32-bit offset from"
                                + " PC = ffffffff01001000");
        assertThat(apply(low, 27, 0x1234, 0, 0x00050513).word(0)).isEqualTo(0x23450513);
    }

    @Test
    void relaxationIsNotDone() {
        assertThat(apply(51, 0x1234, 0, 0x11223344).word(0)).isEqualTo(0x11223344);
        LoadException refusal = refusal(43, 0, 2);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: The unexpected relocation type 'R_RISCV_ALIGN' from PC = ffffffff01001000");
    }

    /** 0 too, which other machines skip. */
    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "3, 3",
        "21, 21",
        "33, 33",
        "52, 52",
        "57, 57",
        "256, 256",
        "-1, 4294967295"
    })
    void anUnknownTypeIsRejected(int type, String shown) {
        LoadException refusal = refusal(type, 0x1000, 0);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEqualTo("m: Unknown relocation type " + shown);
    }

    // ---- symbols ----

    @ParameterizedTest
    @ValueSource(longs = {-1, -4095})
    void aSymbolThatIsAnErrorIsUnknown(long value) {
        for (int type : new int[] {0, 2, 51}) {
            LoadException refusal = refusal(type, value, 0);
            assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
            assertThat(refusal.dmesg()).isEqualTo("m: Unknown symbol s1");
        }
    }

    @Test
    void aWeakSymbolThatIsAnErrorIsSkipped() {
        Fixture fixture = new Fixture(bytes(0x11223344));
        int weak = fixture.module.symbol(Symbol.weak("w"), -4095);
        fixture.relocate(new Relocation(0, 2, weak, 0), new Relocation(0, 99, weak, 0));
        fixture.module.load();
        assertThat(fixture.word(0)).isEqualTo(0x11223344);
    }

    @Test
    void theLastValueThatIsNoErrorIsAnAddress() {
        Fixture fixture = apply(2, -4096, 0, 0);
        assertThat(fixture.module.memory(fixture.text).read(0, 8)).isEqualTo(-4096);
    }

    @Test
    void aSymbolThatIsNotThereIsRejected() {
        Fixture fixture = new Fixture();
        int symbol = fixture.module.symbol(0);
        fixture.relocate(new Relocation(0, 51, symbol, 0));
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
        "1, 61", "2, 57", "16, 61", "17, 61", "18, 57", "19, 57", "20, 61", "23, 61", "24, 61",
        "25, 61", "26, 61", "27, 61", "28, 61", "35, 61", "36, 57", "39, 61", "40, 57", "44, 63",
        "45, 63", "2, -1", "35, 9223372036854775807"
    })
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        byte[] code = new byte[64];
        Arrays.fill(code, (byte) 0x55);
        Fixture fixture = new Fixture(code);
        int symbol = fixture.module.symbol(TEXT);
        fixture.relocate(new Relocation(offset, type, symbol, 0), new Relocation(0, 23, symbol, 0));
        LoadException refusal = refusal(fixture);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).endsWith("which is outside its section");
        assertThat(fixture.module.bytes(fixture.text)).isEqualTo(code);
    }

    // ---- pairs ----

    @Test
    void aLowPartFindsItsHighPartByPlace() {
        Fixture fixture = new Fixture(bytes(AUIPC, 0x00050513, 0x00b53023));
        int target = fixture.module.symbol(TEXT + 0x12ab0);
        int high = fixture.module.symbol(TEXT);
        fixture.relocate(
                new Relocation(4, 24, high, 0),
                new Relocation(8, 25, high, 0),
                new Relocation(0, 23, target, 4));
        fixture.module.load();
        assertThat(fixture.word(0)).isEqualTo(0x00013517);
        assertThat(fixture.word(4)).isEqualTo(0xab450513);
        assertThat(fixture.word(8)).isEqualTo(0xaab53a23);
    }

    @Test
    void theAddendOfALowPartIsNotLookedAt() {
        Fixture fixture = new Fixture(bytes(AUIPC, 0x00050513));
        int target = fixture.module.symbol(TEXT + 0x124);
        int high = fixture.module.symbol(TEXT);
        fixture.relocate(new Relocation(0, 23, target, 0), new Relocation(4, 24, high, 0x70));
        fixture.module.load();
        assertThat(fixture.word(4)).isEqualTo(0x12450513);
    }

    @Test
    void theFirstHighPartAtAPlaceCounts() {
        Fixture fixture = new Fixture(bytes(AUIPC, 0x00050513));
        int one = fixture.module.symbol(TEXT + 0x111);
        int other = fixture.module.symbol(TEXT + 0x222);
        int high = fixture.module.symbol(TEXT);
        fixture.relocate(
                new Relocation(0, 35, high, 0), // no high part
                new Relocation(0, 23, one, 0),
                new Relocation(0, 23, other, 0),
                new Relocation(4, 24, high, 0));
        fixture.module.load();
        assertThat(fixture.word(4)).isEqualTo(0x11150513);
    }

    @Test
    void aHighPartOfAnotherTableIsNotFound() {
        Fixture fixture = new Fixture(bytes(AUIPC));
        int data = fixture.module.section(".data", DATA, TEXT + 0x100, new byte[8]);
        int high = fixture.module.symbol(TEXT);
        fixture.relocate(new Relocation(0, 23, fixture.module.symbol(TEXT), 0));
        fixture.module.relocate(data, new Relocation(0, 24, high, 0));
        LoadException refusal = refusal(fixture);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEqualTo("m: Can not find HI20 relocation information");
    }

    @Test
    void eachTableHasHighPartsOfItsOwn() {
        Fixture fixture = new Fixture(bytes(AUIPC, 0x00050513));
        int more = fixture.module.section(".text.more", CODE, TEXT + 0x100, bytes(AUIPC, 0x513));
        int one = fixture.module.symbol(TEXT + 0x111);
        int high = fixture.module.symbol(TEXT);
        int otherHigh = fixture.module.symbol(TEXT + 0x100);
        fixture.relocate(new Relocation(0, 23, one, 0), new Relocation(4, 24, high, 0));
        fixture.module.relocate(
                more, new Relocation(0, 23, one, 0x100), new Relocation(4, 24, otherHigh, 0));
        fixture.module.load();
        assertThat(fixture.word(4)).isEqualTo(0x11150513);
        assertThat(fixture.module.word(more, 4)).isEqualTo(0x11100513);
    }

    @Test
    void aHighPartWithoutASymbolIsRejected() {
        Fixture fixture = new Fixture(bytes(AUIPC));
        int high = fixture.module.symbol(TEXT);
        int missing = fixture.module.symbol(0);
        fixture.relocate(new Relocation(4, 24, high, 0), new Relocation(0, 23, missing, 0));
        ModuleImage image = fixture.module.file();
        long[] values = {0, TEXT}; // one less than there are
        Relocator relocator =
                architecture()
                        .relocator(
                                PlacedModule.ofSection(
                                        KernelConfig.linux6_1(),
                                        image,
                                        values,
                                        fixture.text,
                                        new PlacedSection(new byte[64], 0, 64, TEXT, false)));
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () -> relocator.apply(image.relocationsFor(fixture.text).get(0)));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).contains("refers to a symbol that is not in the symbol table");
    }

    /** The kernel searches from the first entry on; so many searches would never end. */
    @Test
    void aHundredThousandPairsAreFoundQuickly() {
        int count = 100_000;
        PlacedFixture module = new PlacedFixture(architecture(), WITHOUT_SECTIONS);
        int text = module.section(".text", CODE, TEXT, new byte[8 * count]);
        int first = module.symbol(TEXT);
        Relocation[] relocations = new Relocation[2 * count];
        int last = module.symbol(TEXT + 8L * (count - 1));
        for (int i = 0; i < count; i++) {
            relocations[i] = new Relocation(8L * i, 23, first, 0);
            relocations[count + i] = new Relocation(8L * i + 4, 24, last, 0);
        }
        module.relocate(text, relocations).load();
        int low = (int) -(8L * (count - 1)) << 20;
        assertThat(module.word(text, 4)).isEqualTo(low);
        assertThat(module.word(text, 8L * count - 4)).isEqualTo(low);
    }

    // ---- GOT ----

    @Test
    void eachAddressHasOneGotSlotInTheOrderOfUse() {
        Fixture fixture = new Fixture(bytes(AUIPC, AUIPC, AUIPC, AUIPC));
        int one = fixture.module.symbol(0xffffffff_80001000L);
        int other = fixture.module.symbol(0xffffffff_80002000L);
        fixture.relocate(
                new Relocation(0, 20, one, 0),
                new Relocation(4, 20, other, 0),
                new Relocation(8, 20, one, 0x1000), // the address of the other
                new Relocation(12, 20, one, 0));
        fixture.module.load();
        PlacedSection got = fixture.module.memory(fixture.got);
        assertThat(got.size()).isEqualTo(4 * 8);
        assertThat(got.read(0, 8)).isEqualTo(0xffffffff_80001000L);
        assertThat(got.read(8, 8)).isEqualTo(0xffffffff_80002000L);
        assertThat(got.read(16, 8)).isZero();
        long[] targets = {GOT, GOT + 8, GOT + 8, GOT};
        for (int i = 0; i < 4; i++) {
            assertThat(fixture.word(4 * i))
                    .isEqualTo((int) (targets[i] - (TEXT + 4 * i) + 0x800 & 0xfffff000) | 0x517);
        }
    }

    @Test
    void aLowPartOfAGotSlotLeadsToTheSlotEvenBeforeItsHighPart() {
        Fixture fixture = new Fixture(bytes(AUIPC, 0x00053503));
        int target = fixture.module.symbol(0xffffffff_80001000L);
        int high = fixture.module.symbol(TEXT);
        fixture.relocate(new Relocation(4, 24, high, 0), new Relocation(0, 20, target, 0x10));
        fixture.module.load();
        assertThat(fixture.word(0)).isEqualTo(0x00002517);
        assertThat(fixture.word(4)).isEqualTo(0x00053503);
        assertThat(fixture.module.memory(fixture.got).read(0, 8)).isEqualTo(0xffffffff_80001010L);
        assertThat(fixture.module.memory(fixture.got).size()).isEqualTo(16);
    }

    @Test
    void aGotSlotThatWasNotCountedIsRefused() {
        Fixture fixture = new Fixture();
        int data = fixture.module.section(".data", DATA, TEXT + 0x100, bytes(AUIPC));
        fixture.module.relocate(data, new Relocation(0, 20, fixture.module.symbol(TEXT), 0));
        LoadException refusal = refusal(fixture);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .matches("m: relocation 0 of section \\d+ needs more of \\.got than was counted");
        assertThat(fixture.module.word(data, 0)).isEqualTo(AUIPC);
        assertThat(fixture.module.memory(fixture.got).read(0, 8)).isZero();
    }

    // ---- PLT ----

    @Test
    void aCallThatDoesNotReachGoesThroughThePlt() {
        Fixture fixture = new Fixture(bytes(AUIPC, 0x00050067, AUIPC, 0x00050067, AUIPC, 0x67));
        int far = fixture.module.symbol(0x12345678_9abcdef0L);
        int near = fixture.module.symbol(TEXT + 0x100);
        fixture.relocate(
                new Relocation(0, 19, near, 0),
                new Relocation(8, 19, far, 0),
                new Relocation(16, 19, far, 8));
        fixture.module.load();
        PlacedSection plt = fixture.module.memory(fixture.plt);
        PlacedSection gotPlt = fixture.module.memory(fixture.gotPlt);
        assertThat(plt.size()).isEqualTo(4 * 12);
        assertThat(gotPlt.size()).isEqualTo(4 * 8);
        assertThat(gotPlt.read(0, 8)).isEqualTo(0x12345678_9abcdef0L);
        assertThat(gotPlt.read(8, 8)).isEqualTo(0x12345678_9abcdef8L);
        assertThat(gotPlt.read(16, 8)).isZero();
        assertThat(plt.readInt(0)).isEqualTo(0x00002297); // auipc t0, 2
        assertThat(plt.readInt(4)).isEqualTo(0x0002b303); // ld t1, 0(t0)
        assertThat(plt.readInt(8)).isEqualTo(0x00030067); // jr t1
        assertThat(plt.readInt(12)).isEqualTo(0x00002297);
        assertThat(plt.readInt(16)).isEqualTo(0xffc2b303); // ld t1, -4(t0)
        assertThat(plt.readInt(20)).isEqualTo(0x00030067);
        assertThat(plt.readInt(24)).isZero();
        assertThat(fixture.word(0)).isEqualTo(AUIPC);
        assertThat(fixture.word(4)).isEqualTo(0x10050067);
        assertThat(fixture.word(8)).isEqualTo(0x00001517);
        assertThat(fixture.word(12)).isEqualTo(0xff850067);
        assertThat(fixture.word(16)).isEqualTo(0x00001517);
        assertThat(fixture.word(20)).isEqualTo(0xffc00067);
    }

    @Test
    void oneTargetHasOnePltEntry() {
        Fixture fixture = new Fixture(bytes(AUIPC, 0x67, AUIPC, 0x67));
        int far = fixture.module.symbol(0x1000);
        fixture.relocate(new Relocation(0, 19, far, 8), new Relocation(8, 19, far, 8));
        fixture.module.load();
        assertThat(fixture.module.memory(fixture.plt).size()).isEqualTo(2 * 12);
        assertThat(fixture.word(8) - fixture.word(0)).isZero();
        assertThat(fixture.word(12) - fixture.word(4)).isEqualTo(-8 << 20);
    }

    @Test
    void aPltEntryThatWasNotCountedIsRefused() {
        Fixture fixture = new Fixture();
        int data = fixture.module.section(".data", DATA, TEXT + 0x100, bytes(AUIPC, 0x67));
        fixture.module.relocate(data, new Relocation(0, 19, fixture.module.symbol(0x1000), 0));
        LoadException refusal = refusal(fixture);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .matches("m: relocation 0 of section \\d+ needs more of \\.plt than was counted");
        assertThat(fixture.module.word(data, 0)).isEqualTo(AUIPC);
    }

    @Test
    void theLastCallThatReachesNeedsNoPlt() {
        Fixture fixture = apply(19, TEXT + 0x7ffff7ffL, 0, AUIPC, 0x67);
        assertThat(fixture.module.memory(fixture.gotPlt).read(0, 8)).isZero();
        Fixture beyond = apply(19, TEXT + 0x7ffff800L, 0, AUIPC, 0x67);
        assertThat(beyond.module.memory(beyond.gotPlt).read(0, 8)).isEqualTo(TEXT + 0x7ffff800L);
    }

    @Test
    void aModuleThatWasNotPlannedHasNoRoomForVeneers() {
        for (int type : new int[] {19, 20}) {
            PlacedFixture module = new PlacedFixture(architecture());
            int text = module.section(".text", CODE, TEXT, new byte[8]);
            module.relocate(text, new Relocation(0, type, module.symbol(0x1000), 0));
            LoadException refusal =
                    catchThrowableOfType(LoadException.class, module::loadUnplanned);
            assertThat(refusal.errno()).isEqualTo(type == 19 ? Errno.EINVAL : Errno.ENOEXEC);
            assertThat(module.bytes(text)).containsOnly(0);
        }
    }

    @Test
    void aKernelWithoutModuleSectionsMakesNone() {
        LoadException call = refusal(WITHOUT_SECTIONS, 19, 0x1000, 4);
        assertThat(call.errno()).isEqualTo(Errno.EINVAL);
        assertThat(call.dmesg())
                .isEqualTo(
                        "m: target 0000000000001004 can not be addressed by the 32-bit offset from"
                                + " PC = ffffffff01001000");
        LoadException slot = refusal(WITHOUT_SECTIONS, 20, 0x1000, 4);
        assertThat(slot.errno()).isEqualTo(Errno.EINVAL);
        assertThat(slot.dmesg()).contains("needs a GOT");
        PlacedFixture plain = new PlacedFixture(architecture(), WITHOUT_SECTIONS);
        ModuleImage file = plain.file();
        assertThat(architecture().planSections(file, WITHOUT_SECTIONS, "m").image())
                .isEqualTo(file);
    }

    @Test
    void aLowPartWithoutModuleSectionsLeadsToTheAddressItself() {
        Fixture fixture = new Fixture(WITHOUT_SECTIONS, bytes(AUIPC, 0x00050513));
        int target = fixture.module.symbol(TEXT + 0x124);
        int high = fixture.module.symbol(TEXT);
        fixture.relocate(new Relocation(4, 24, high, 0), new Relocation(0, 20, target, 0));
        LoadException refusal = refusal(fixture);
        assertThat(refusal.dmesg()).contains("relocation 1").contains("needs a GOT");
        assertThat(fixture.word(4)).isEqualTo(0x12450513);
    }

    // ---- plan ----

    @ParameterizedTest
    @CsvSource({
        ".plt, m: module PLT section(s) missing",
        ".got, m: module GOT section(s) missing",
        ".got.plt, m: module GOT.PLT section(s) missing"
    })
    void aModuleWithoutASectionForVeneersIsRefused(String missing, String message) {
        PlacedFixture module = new PlacedFixture(architecture());
        for (String name : List.of(".got.plt", ".got", ".plt")) {
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
    void ofAllMissingSectionsThePltIsNamed() {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, new PlacedFixture(architecture())::plan);
        assertThat(refusal.dmesg()).isEqualTo("m: module PLT section(s) missing");
    }

    @Test
    void sectionsForVeneersBecomeSpace() {
        Fixture fixture = new Fixture();
        int symbol = fixture.module.symbol(0);
        fixture.relocate(
                new Relocation(0, 19, symbol, 0),
                new Relocation(8, 19, symbol, 0),
                new Relocation(16, 19, symbol, 1),
                new Relocation(24, 20, symbol, 0),
                new Relocation(32, 18, symbol, 0),
                new Relocation(40, 23, symbol, 0));
        ModuleImage planned = fixture.module.plan().image();
        assertSpace(planned.section(fixture.plt), 0x6, 3 * 12);
        assertSpace(planned.section(fixture.got), 0x2, 2 * 8);
        assertSpace(planned.section(fixture.gotPlt), 0x2, 3 * 8);
    }

    private static void assertSpace(Section section, long flags, long size) {
        assertThat(section.type()).isEqualTo(SectionType.NOBITS);
        assertThat(section.flags()).isEqualTo(SectionFlags.of(flags));
        assertThat(section.alignment()).isEqualTo(64);
        assertThat(section.size()).isEqualTo(size);
    }

    @Test
    void theLastSectionOfANameCounts() {
        Fixture fixture = new Fixture();
        int other = fixture.module.placeholder(".plt", 0);
        ModuleImage planned = fixture.module.plan().image();
        assertThat(planned.section(fixture.plt).type()).isEqualTo(SectionType.PROGBITS);
        assertThat(planned.section(other).size()).isEqualTo(12);
    }

    @Test
    void relocationsOfDataAreNotCounted() {
        Fixture fixture = new Fixture();
        int data = fixture.module.section(".data", DATA, 0, new byte[8]);
        int symbol = fixture.module.symbol(0);
        fixture.module.relocate(
                data, new Relocation(0, 19, symbol, 0), new Relocation(0, 20, symbol, 0));
        ModuleImage planned = fixture.module.plan().image();
        assertThat(planned.section(fixture.plt).size()).isEqualTo(12);
        assertThat(planned.section(fixture.got).size()).isEqualTo(8);
    }

    @Test
    void eachTableIsCountedByItself() {
        Fixture fixture = new Fixture();
        int more = fixture.module.section(".text.more", CODE, 0, new byte[8]);
        int symbol = fixture.module.symbol(0);
        fixture.relocate(new Relocation(0, 19, symbol, 0));
        fixture.module.relocate(more, new Relocation(0, 19, symbol, 0));
        assertThat(fixture.module.plan().image().section(fixture.plt).size()).isEqualTo(3 * 12);
    }

    @Test
    void relocationsKeepTheirOrder() {
        Fixture fixture = new Fixture();
        int one = fixture.module.symbol(0);
        int other = fixture.module.symbol(0);
        fixture.relocate(new Relocation(8, 20, other, 0), new Relocation(0, 19, one, 0));
        ModuleImage planned = fixture.module.plan().image();
        assertThat(planned.relocationsFor(fixture.text).get(0).offset(0)).isEqualTo(8);
    }
}

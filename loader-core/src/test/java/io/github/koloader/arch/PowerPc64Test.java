package io.github.koloader.arch;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;
import static io.github.koloader.image.SectionFlags.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.image.Binding;
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
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class PowerPc64Test extends ArchitectureContract {
    private static final long TEXT = 0xc0080000_01001000L;
    private static final long STUBS = 0xc0080000_01010000L;
    private static final long TOC_SECTION = 0xc0080000_01040000L;
    private static final long R2 = TOC_SECTION + 0x8000;
    private static final long FAR = 0xc0000000_00123454L;

    private static final int NOP = 0x60000000;
    private static final int BL = 0x48000001;
    private static final int B = 0x48000000;
    private static final int RESTORED = 0xe8410018;

    @Override
    Architecture architecture() {
        return Architectures.PPC64LE;
    }

    // ---- a module with code, stubs and a TOC ----

    /** Built up, then loaded: planned, placed, relocated. */
    private static final class Fixture {
        final ImageBuilder builder = new ImageBuilder(21, Encoding.ELF64_LSB, true).name("m");
        final Map<Integer, Long> addresses = new HashMap<>();
        final Map<Integer, byte[]> memory = new HashMap<>();
        final List<Long> values = new ArrayList<>(List.of(0L));
        final int text;
        final int stubs;
        int toc;
        KernelConfig config = KernelConfig.linux6_1();
        int stubsSize = -1;
        SectionPlan plan;
        PlacedModule module;

        Fixture(int... words) {
            this(true, words);
        }

        Fixture(boolean withToc, int... words) {
            text = code(".text", TEXT, words);
            stubs = builder.section(Section.nobits(".stubs", ALLOC | EXECINSTR, 8, 0));
            addresses.put(stubs, STUBS);
            if (withToc) {
                toc =
                        builder.section(
                                Section.progbits(
                                        ".toc", ALLOC | WRITE, 8, Bytes.wrap(new byte[16])));
                addresses.put(toc, TOC_SECTION);
            }
        }

        int code(String name, long address, int... words) {
            ByteBuffer bytes = ByteBuffer.allocate(4 * words.length).order(ByteOrder.LITTLE_ENDIAN);
            Arrays.stream(words).forEach(bytes::putInt);
            int index =
                    builder.section(
                            Section.progbits(
                                    name, ALLOC | EXECINSTR, 4, Bytes.wrap(bytes.array())));
            addresses.put(index, address);
            return index;
        }

        int symbol(Symbol symbol, long value) {
            values.add(value);
            return builder.symbol(symbol);
        }

        int undefined(String name, long value) {
            return symbol(Symbol.undefined(name), value);
        }

        int defined(String name, int other, long value) {
            return symbol(
                    new Symbol(
                            name,
                            Binding.GLOBAL,
                            Symbol.FUNC,
                            other,
                            new Symbol.InSection(text),
                            0,
                            0),
                    value);
        }

        Fixture config(KernelConfig newConfig) {
            config = newConfig;
            return this;
        }

        Fixture relocate(Relocation... relocations) {
            builder.relocate(text, relocations);
            return this;
        }

        Fixture place() {
            plan = Architectures.PPC64LE.planSections(builder.build(), config, "m");
            for (int index : addresses.keySet()) {
                Section section = plan.image().section(index);
                int size = index == stubs && stubsSize >= 0 ? stubsSize : (int) section.size();
                memory.put(index, Arrays.copyOf(section.contents().toByteArray(), size));
            }
            module =
                    new PlacedModule(
                            config,
                            "m",
                            plan,
                            values.stream().mapToLong(Long::longValue).toArray(),
                            this::section,
                            address -> false,
                            new PlacedSection(new byte[0], 0, 0, 0, false));
            return this;
        }

        private PlacedSection section(int index) {
            byte[] bytes = memory.get(index);
            return bytes == null
                    ? null
                    : new PlacedSection(bytes, 0, bytes.length, addresses.get(index), false);
        }

        Fixture load() {
            place();
            Relocator relocator = Architectures.PPC64LE.relocator(module);
            for (RelocationTable table : plan.image().relocations()) {
                if (memory.containsKey(table.target())) {
                    relocator.apply(table);
                }
            }
            return this;
        }

        Fixture finish() {
            Architectures.PPC64LE.finalizeModule(module);
            return this;
        }

        /** Refuses to load, and leaves the code as it was. */
        LoadException refusal() {
            LoadException refusal = catchThrowableOfType(LoadException.class, this::load);
            assertThat(refusal).isNotNull();
            assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
            if (plan != null) {
                assertThat(memory.get(text))
                        .as("untouched")
                        .isEqualTo(plan.image().section(text).contents().toByteArray());
            }
            return refusal;
        }

        ByteBuffer bytes(int section) {
            return ByteBuffer.wrap(memory.get(section)).order(ByteOrder.LITTLE_ENDIAN);
        }

        int word(int offset) {
            return bytes(text).getInt(offset);
        }

        int[] stubWords(int slot) {
            return IntStream.range(0, 8).map(i -> bytes(stubs).getInt(40 * slot + 4 * i)).toArray();
        }

        long stubTarget(int slot) {
            return bytes(stubs).getLong(40 * slot + 32);
        }

        int stubCount() {
            return (int) plan.image().section(stubs).size() / 40;
        }
    }

    /** One relocation of a symbol of the module at the start of eight bytes. */
    private static Fixture one(int type, long s, long a, int... words) {
        Fixture fixture = new Fixture(words);
        int symbol = fixture.defined("sym", 0, s);
        return fixture.relocate(new Relocation(0, type, symbol, a));
    }

    /** A call of something outside. */
    private static Fixture call(String name, long target, int... words) {
        Fixture fixture = new Fixture(words);
        int symbol = fixture.undefined(name, target);
        return fixture.relocate(new Relocation(0, 10, symbol, 0));
    }

    private static KernelConfig.Builder linux() {
        return KernelConfig.linux6_1().toBuilder();
    }

    private static int li(long from, long to) {
        return (int) (to - from) & 0x03fffffc;
    }

    // ---- the table ----

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(row -> row.code() + " " + row.name().substring("R_PPC64_".length()))
                .containsExactly(
                        "1 ADDR32",
                        "10 REL24",
                        "26 REL32",
                        "38 ADDR64",
                        "44 REL64",
                        "47 TOC16",
                        "48 TOC16_LO",
                        "50 TOC16_HA",
                        "51 TOC",
                        "63 TOC16_DS",
                        "64 TOC16_LO_DS",
                        "109 TOCSAVE",
                        "118 ENTRY",
                        "250 REL16_LO",
                        "252 REL16_HA");
    }

    @ParameterizedTest
    @CsvSource({
        "3.10.0, 1 10 38 44 47 48 50 51 63 64 109",
        "3.16.0, 1 10 26 38 44 47 48 50 51 63 64 109",
        "4.5.0, 1 10 26 38 44 47 48 50 51 63 64 109 118",
        "4.6.0, 1 10 26 38 44 47 48 50 51 63 64 109 118 250 252"
    })
    void typesCameOneByOne(String release, String codes) {
        assertThat(
                        architecture().relocationTypes(KernelConfig.forRelease(release)).stream()
                                .map(row -> "" + row.code())
                                .toList())
                .isEqualTo(List.of(codes.split(" ")));
    }

    @Test
    void insertChangesNoBitOutsideTheMask() {
        for (RelocationType row : architecture().relocationTypes()) {
            Field field = row.field();
            long all = field.size() == 8 ? -1 : (1L << 8 * field.size()) - 1;
            for (long old : new long[] {0, all, 0x5555_5555_5555_5555L & all}) {
                for (long value : new long[] {0, -1, 0x1234_5678_9abc_def0L}) {
                    assertThat((field.insert(old, value) ^ old) & ~field.mask())
                            .as(row.name())
                            .isZero();
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "4, 4",
        "49, 49",
        "116, 116",
        "132, 132",
        "249, 249",
        "251, 251",
        "-1, 4294967295"
    })
    void anUnknownTypeIsRejected(int type, String shown) {
        LoadException refusal = one(type, FAR, 0, 0, 0).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("module_64: m: Unknown ADD relocation: " + shown);
    }

    // ---- words ----

    @Test
    void addr32CutsOffHighBits() {
        assertThat(one(1, 0x1_2345_6789L, 1, 0, 7).load().word(0)).isEqualTo(0x2345678a);
        assertThat(one(1, 0x1_2345_6789L, 1, 0, 7).load().word(4)).isEqualTo(7);
    }

    @Test
    void addr64WritesTheWholeAddress() {
        assertThat(one(38, FAR, -4, 0, 0).load().bytes(1).getLong(0)).isEqualTo(FAR - 4);
    }

    @Test
    void rel64WritesTheDistance() {
        assertThat(one(44, FAR, 8, 0, 0).load().bytes(1).getLong(0)).isEqualTo(FAR + 8 - TEXT);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, -1, 0x7fffffffL, -0x80000000L})
    void rel32TakesDistancesOf32Bits(long distance) {
        assertThat(one(26, TEXT + distance - 4, 4, 0, 0).load().word(0)).isEqualTo((int) distance);
    }

    @ParameterizedTest
    @ValueSource(longs = {0x80000000L, -0x80000001L})
    void rel32RefusesLongerDistances(long distance) {
        LoadException refusal = one(26, TEXT + distance - 4, 4, 0, 0).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("module_64: m: REL32 " + distance + " out of range!");
    }

    @Test
    void tocsaveWritesNothing() {
        assertThat(one(109, FAR, 1, 0x12345678, 0).load().word(0)).isEqualTo(0x12345678);
    }

    // ---- halves ----

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "0x7fff, 0",
        "0x8000, 1",
        "-0x8000, 0",
        "-0x8001, -1",
        "0x12348000, 0x1235"
    })
    void theHighHalfOfADistanceIsAdjusted(String distance, String high) {
        Fixture fixture = one(252, TEXT + Long.decode(distance), 0, 0x55550000, 0).load();
        assertThat(fixture.bytes(1).getShort(0)).isEqualTo(Long.decode(high).shortValue());
        assertThat(fixture.bytes(1).getShort(2)).isEqualTo((short) 0x5555);
    }

    @Test
    void theLowHalfOfADistanceIsCutOff() {
        assertThat(one(250, TEXT + 0x1234_5678L, 1, 0, 0).load().word(0)).isEqualTo(0x5679);
    }

    // ---- TOC ----

    @Test
    void r2PointsIntoTheTocWhateverSymbolAndAddend() {
        assertThat(one(51, FAR, 77, 0, 0).load().bytes(1).getLong(0)).isEqualTo(R2);
    }

    @Test
    void theStartOfTheTocIsRoundedDown() {
        Fixture fixture = one(51, FAR, 0, 0, 0);
        fixture.addresses.put(fixture.toc, TOC_SECTION + 0xf8);
        assertThat(fixture.load().bytes(1).getLong(0)).isEqualTo(R2);
    }

    @Test
    void in310TheStartOfTheTocIsNotRounded() {
        Fixture fixture = one(51, FAR, 0, 0, 0).config(KernelConfig.linux3_10());
        fixture.addresses.put(fixture.toc, TOC_SECTION + 0xf8);
        assertThat(fixture.load().bytes(1).getLong(0)).isEqualTo(R2 + 0xf8);
    }

    @Test
    void withoutATocR2PointsBehindTheStubs() {
        Fixture fixture = new Fixture(false, 0, 0);
        int symbol = fixture.defined("sym", 0, FAR);
        fixture.relocate(new Relocation(0, 51, symbol, 0)).load();
        assertThat(fixture.bytes(fixture.text).getLong(0)).isEqualTo(STUBS + 0x8000);
    }

    @Test
    void theFirstTocSymbolGetsR2BeforeAnythingIsRelocated() {
        Fixture fixture = new Fixture(0, 0, 0, 0);
        int plain = fixture.undefined("TOC.", 5);
        int first = fixture.undefined(".TOC.", 0);
        int second =
                fixture.symbol(
                        new Symbol("TOC.", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 0, 0), 6);
        fixture.relocate(new Relocation(0, 38, first, 1), new Relocation(8, 38, second, 0)).load();
        assertThat(fixture.bytes(1).getLong(0)).isEqualTo(R2 + 1);
        assertThat(fixture.bytes(1).getLong(8)).isEqualTo(6);
        assertThat(fixture.module.symbolValue(plain)).isEqualTo(5);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, -1, 0x7fff, -0x8000})
    void toc16TakesDistancesOf16Bits(long distance) {
        assertThat(one(47, R2 + distance - 2, 2, 0, 0).load().bytes(1).getShort(0))
                .isEqualTo((short) distance);
    }

    @ParameterizedTest
    @CsvSource({
        "47, TOC16, 0x8000, 8000",
        "47, TOC16, -0x8001, ffffffffffff7fff",
        "63, TOC16_DS, 0x8000, 8000",
        "63, TOC16_DS, -0x8004, ffffffffffff7ffc",
        "63, TOC16_DS, 0x7ffe, 7ffe",
        "63, TOC16_DS, 1, 1",
        "64, TOC16_LO_DS, 0x12345677, 12345677",
        "64, TOC16_LO_DS, 2, 2"
    })
    void aDistanceFromR2ThatDoesNotFitIsRejected(
            int type, String name, String distance, String hex) {
        LoadException refusal = one(type, R2 + Long.decode(distance), 0, 0, 0).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo("module_64: m: bad " + name + " relocation (0x" + hex + ")");
    }

    @Test
    void in310TheDistanceIsShownInDecimal() {
        assertThat(one(47, R2 - 0x8001, 0, 0, 0).config(KernelConfig.linux3_10()).refusal().dmesg())
                .isEqualTo("module_64: m: bad TOC16 relocation (18446744073709518847)");
    }

    @Test
    void halvesOfADistanceFromR2AreNotChecked() {
        long distance = 0x7_1234_8765L;
        assertThat(one(48, R2 + distance, 0, 0, 0).load().word(0)).isEqualTo(0x8765);
        assertThat(one(50, R2 + distance, 0, 0, 0).load().word(0)).isEqualTo(0x1235);
    }

    @Test
    void dsFieldsKeepTheLowTwoBits() {
        assertThat(one(63, R2 - 0x8000, 0, 0xabcd1233, 0).load().word(0)).isEqualTo(0xabcd8003);
        assertThat(one(64, R2 + 0x12347ffc, 0, 0xabcd0002, 0).load().word(0)).isEqualTo(0xabcd7ffe);
    }

    // ---- ENTRY ----

    @ParameterizedTest
    @ValueSource(longs = {0, 0x1234_8000L, -0x80008000L, 0x7fff7fffL})
    void anEntryAddsTheDistanceToANearToc(long distance) {
        Fixture fixture = one(118, 0, 0, 0xe84cfff8, 0x7c426214);
        fixture.addresses.put(fixture.text, R2 - distance);
        fixture.load();
        assertThat(fixture.word(0))
                .isEqualTo(0x3c4c0000 | (int) (distance + 0x8000 >> 16 & 0xffff));
        assertThat(fixture.word(4)).isEqualTo(0x38420000 | (int) (distance & 0xffff));
    }

    @ParameterizedTest
    @ValueSource(longs = {-0x80008001L, 0x7fff8000L})
    void anEntryFarFromTheTocStays(long distance) {
        Fixture fixture = one(118, 0, 0, 0xe84cfff8, 0x7c426214);
        fixture.addresses.put(fixture.text, R2 - distance);
        fixture.load();
        assertThat(fixture.word(0)).isEqualTo(0xe84cfff8);
        assertThat(fixture.word(4)).isEqualTo(0x7c426214);
    }

    @ParameterizedTest
    @CsvSource({
        "e84cfff9, 7c426214",
        "e84cfffa, 7c426214",
        "e86cfff8, 7c426214",
        "e84cfff8, 7c4c1214",
        "e84cfff8, 60000000"
    })
    void anEntryOfOtherInstructionsStays(String load, String add) {
        int first = Integer.parseUnsignedInt(load, 16);
        int second = Integer.parseUnsignedInt(add, 16);
        Fixture fixture = one(118, 0, 0, first, second).load();
        assertThat(fixture.word(0)).isEqualTo(first);
        assertThat(fixture.word(4)).isEqualTo(second);
    }

    // ---- calls inside the module ----

    @ParameterizedTest
    @CsvSource({"0, 0", "1, 0", "2, 4", "3, 8", "4, 16", "5, 32", "6, 64", "7, 128"})
    void aCallInsideTheModuleGoesToTheLocalEntry(int other, int offset) {
        Fixture fixture = new Fixture(BL, 0x12345678);
        int symbol = fixture.defined("f", other << 5 | 3, TEXT + 0x100);
        fixture.relocate(new Relocation(0, 10, symbol, 4)).load();
        assertThat(fixture.word(0)).isEqualTo(BL | 0x104 + offset);
        assertThat(fixture.word(4)).as("needs no NOP").isEqualTo(0x12345678);
        assertThat(fixture.stubTarget(0)).isZero();
    }

    @Test
    void in310ThereAreNoLocalEntries() {
        Fixture fixture = new Fixture(BL, NOP).config(KernelConfig.linux3_10());
        int symbol = fixture.defined("f", 3 << 5, TEXT + 0x100);
        fixture.relocate(new Relocation(0, 10, symbol, 0)).load();
        assertThat(fixture.word(0)).isEqualTo(BL | 0x100);
    }

    @ParameterizedTest
    @ValueSource(longs = {-0x2000000, 0x1fffffc})
    void aBranchReaches32MebibytesEitherWay(long distance) {
        assertThat(one(10, TEXT + distance, 0, 0x4bfffffe, 0).load().word(0))
                .isEqualTo(0x48000002 | (int) distance & 0x03fffffc);
    }

    @ParameterizedTest
    @ValueSource(longs = {-0x2000004, 0x2000000, 2, 5, -1})
    void aBranchBeyondOrToNoInstructionIsRejected(long distance) {
        LoadException refusal = one(10, TEXT + distance - 4, 4, BL, 0).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("module_64: m: REL24 " + distance + " out of range!");
    }

    // ---- calls out of the module ----

    @Test
    void aCallOutOfTheModuleGoesThroughAStubAndGetsR2Back() {
        Fixture fixture = call("f", FAR, BL, NOP).load();
        assertThat(fixture.word(0)).isEqualTo(BL | li(TEXT, STUBS));
        assertThat(fixture.word(4)).isEqualTo(RESTORED);
        assertThat(fixture.stubTarget(0)).isEqualTo(FAR);
        long distance = STUBS - R2;
        assertThat(fixture.stubWords(0))
                .containsExactly(
                        0x3d620000 | (int) (distance + 0x8000 >> 16 & 0xffff),
                        0x396b0000 | (int) (distance & 0xffff),
                        0xf8410018,
                        0xe98b0020,
                        0x7d8903a6,
                        0x4e800420,
                        0,
                        0x73747562);
    }

    @Test
    void aStubIsMadeForNearTargetsToo() {
        assertThat(call("f", TEXT + 0x40, BL, NOP).load().word(0)).isEqualTo(BL | li(TEXT, STUBS));
    }

    @Test
    void whatLivepatchResolvesIsOutsideToo() {
        Fixture fixture = new Fixture(BL, NOP);
        int symbol =
                fixture.symbol(
                        new Symbol("f", Binding.GLOBAL, 0, 0, new Symbol.Reserved(0xff20), 0, 0),
                        TEXT + 0x40);
        fixture.relocate(new Relocation(0, 10, symbol, 0)).load();
        assertThat(fixture.word(0)).isEqualTo(BL | li(TEXT, STUBS));
        assertThat(fixture.word(4)).isEqualTo(RESTORED);
    }

    @Test
    void oneAddressHasOneStubWhateverItsName() {
        Fixture fixture = new Fixture(BL, NOP, BL, NOP, BL, NOP, BL, NOP);
        int one = fixture.undefined("one", FAR);
        int same = fixture.undefined("same", FAR - 8);
        int other = fixture.undefined("other", FAR + 8);
        fixture.relocate(
                        new Relocation(0, 10, one, 0),
                        new Relocation(8, 10, same, 8),
                        new Relocation(16, 10, other, 0),
                        new Relocation(24, 10, same, 16))
                .load();
        assertThat(fixture.stubTarget(0)).as("the last symbol comes first").isEqualTo(FAR + 8);
        assertThat(fixture.stubTarget(1)).isEqualTo(FAR);
        assertThat(fixture.stubTarget(2)).isZero();
        assertThat(fixture.word(0)).isEqualTo(BL | li(TEXT, STUBS + 40));
        assertThat(fixture.word(8)).isEqualTo(BL | li(TEXT + 8, STUBS + 40));
        assertThat(fixture.word(16)).isEqualTo(BL | li(TEXT + 16, STUBS));
        assertThat(fixture.word(24)).isEqualTo(BL | li(TEXT + 24, STUBS));
    }

    @Test
    void tablesShareStubs() {
        Fixture fixture = new Fixture(BL, NOP);
        int more = fixture.code(".text.more", TEXT + 0x100, BL, NOP);
        int symbol = fixture.undefined("f", FAR);
        fixture.relocate(new Relocation(0, 10, symbol, 0));
        fixture.builder.relocate(more, new Relocation(0, 10, symbol, 0));
        fixture.load();
        assertThat(fixture.stubCount()).as("one for each table, and three").isEqualTo(5);
        assertThat(fixture.stubTarget(1)).isZero();
        assertThat(fixture.bytes(more).getInt(0)).isEqualTo(BL | li(TEXT + 0x100, STUBS));
    }

    /** An unresolved weak function: the slot counts as free, and the next stub takes it. */
    @Test
    void aStubForAddressZeroDoesNotKeepItsSlot() {
        Fixture fixture = new Fixture(BL, NOP, BL, NOP);
        int far = fixture.undefined("far", FAR);
        int weak = fixture.symbol(Symbol.weak("weak"), 0);
        fixture.relocate(new Relocation(0, 10, far, 0), new Relocation(8, 10, weak, 0)).load();
        assertThat(fixture.word(8)).isEqualTo(BL | li(TEXT + 8, STUBS));
        assertThat(fixture.word(0)).isEqualTo(BL | li(TEXT, STUBS));
        assertThat(fixture.stubTarget(0)).isEqualTo(FAR);
        assertThat(fixture.stubTarget(1)).isZero();
    }

    @Test
    void aStubThatIsPatchedAwayLeavesItsSlotAndNoOther() {
        Fixture fixture = new Fixture(BL, NOP, BL, NOP);
        int second = fixture.code(".text.second", TEXT + 0x1000, BL, NOP, BL, NOP);
        int f = fixture.undefined("f", FAR);
        int g = fixture.undefined("g", FAR + 8);
        int h = fixture.undefined("h", FAR + 16);
        int i = fixture.undefined("i", FAR + 24);
        int zero = fixture.undefined("zero", 0);
        fixture.relocate(new Relocation(0, 10, g, 0), new Relocation(8, 10, f, 0));
        fixture.builder.relocate(fixture.stubs, new Relocation(32, 38, zero, 0));
        fixture.builder.relocate(second, new Relocation(0, 10, i, 0), new Relocation(8, 10, h, 0));
        fixture.load();
        assertThat(fixture.stubTarget(0)).isNotZero().isNotEqualTo(fixture.stubTarget(2));
        assertThat(fixture.stubTarget(1)).isBetween(FAR, FAR + 8);
        assertThat(fixture.stubTarget(2)).isBetween(FAR + 16, FAR + 24);
    }

    @Test
    void aTableThatPatchesTheStubsThemselvesIsMinded() {
        Fixture fixture = new Fixture(BL, NOP);
        int stub = fixture.undefined("stub", FAR);
        int next = fixture.undefined("next", FAR + 8);
        int more = fixture.code(".text.more", TEXT + 0x100, BL, NOP);
        fixture.relocate(new Relocation(0, 10, stub, 0));
        fixture.builder.relocate(fixture.stubs, new Relocation(32, 38, next, 0));
        fixture.builder.relocate(more, new Relocation(0, 10, next, 0));
        fixture.load();
        assertThat(fixture.bytes(more).getInt(0)).isEqualTo(BL | li(TEXT + 0x100, STUBS));
    }

    @Test
    void aTableThatPatchesOnlyTheHighHalfOfAStubsAddressIsMinded() {
        Fixture fixture = new Fixture(BL, NOP);
        int stub = fixture.undefined("stub", FAR);
        int high = fixture.undefined("high", 0x12345678);
        int next = fixture.undefined("next", 0x12345678_00000000L | FAR & 0xffffffffL);
        int more = fixture.code(".text.more", TEXT + 0x100, BL, NOP);
        fixture.relocate(new Relocation(0, 10, stub, 0));
        fixture.builder.relocate(fixture.stubs, new Relocation(36, 1, high, 0));
        fixture.builder.relocate(more, new Relocation(0, 10, next, 0));
        fixture.load();
        assertThat(fixture.bytes(more).getInt(0)).isEqualTo(BL | li(TEXT + 0x100, STUBS));
        assertThat(fixture.stubTarget(1)).isZero();
    }

    @Test
    void aCallWithoutNopIsRejected() {
        LoadException refusal = call("f", FAR, BL, 0x12345678).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "module_64: m: Expected nop after call, got 12345678 at 0xc008000001001004");
    }

    @Test
    void in310TheTextIsAnother() {
        assertThat(call("f", FAR, BL, 0x345678).config(KernelConfig.linux3_10()).refusal().dmesg())
                .isEqualTo("module_64: m: Expect noop after relocate, got 00345678");
    }

    /** b, ba, bla, bc without link, bca with link, no branch at all. */
    @ParameterizedTest
    @ValueSource(strings = {"48000000", "48000002", "48000003", "41820000", "41820003", "7c000001"})
    void onlyACallNeedsANop(String instruction) {
        int word = Integer.parseUnsignedInt(instruction, 16);
        assertThat(call("f", FAR, word, 0x12345678).load().word(4)).isEqualTo(0x12345678);
    }

    @Test
    void aConditionalCallNeedsANopToo() {
        assertThat(call("f", FAR, 0x41820001, NOP).load().word(4)).isEqualTo(RESTORED);
        assertThat(call("f", FAR, 0x41820001, B).refusal().dmesg()).contains("got 48000000 at");
    }

    @Test
    void aCallAtTheVeryEndOfItsSectionIsRejected() {
        Fixture fixture = call("f", FAR, BL);
        assertThat(fixture.refusal().dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 6 patches offset 0x0, which is outside its section");
    }

    @Test
    void aStubOutOfReachIsRejectedAndTheNopStays() {
        Fixture fixture = call("f", FAR, BL, NOP);
        fixture.addresses.put(fixture.text, STUBS + 0x2000004);
        LoadException refusal = fixture.refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("module_64: m: REL24 -33554436 out of range!");
    }

    @ParameterizedTest
    @ValueSource(longs = {0x80000000L, -0x80000001L})
    void aStubThatR2CannotReachIsRejected(long distance) {
        Fixture fixture = call("f", FAR, BL, NOP);
        fixture.addresses.put(fixture.stubs, R2 + distance);
        LoadException refusal = fixture.refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "module_64: m: Address %016x of stub out of range of c008000001048000."
                                .formatted(distance));
        assertThat(fixture.bytes(fixture.stubs).array()).containsOnly(0);
    }

    @ParameterizedTest
    @ValueSource(longs = {0x7fffffffL, -0x80000000L})
    void aStubThatR2JustReachesIsMade(long distance) {
        Fixture fixture = call("f", FAR, BL, NOP);
        fixture.addresses.put(fixture.stubs, R2 + distance);
        assertThat(fixture.refusal().dmesg()).as("the branch").contains("REL24");
        assertThat(fixture.stubTarget(0)).isEqualTo(FAR);
    }

    @Test
    void withoutRoomForAStubTheModuleIsRejected() {
        Fixture fixture = call("f", FAR, BL, NOP);
        fixture.stubsSize = 39;
        LoadException refusal = fixture.refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("module_64: m: no room for a stub to f");
    }

    // ---- the tracer ----

    @ParameterizedTest
    @ValueSource(strings = {"_mcount", "ftrace_caller", "ftrace_regs_caller"})
    void theTracersStubGoesByTheKernelsToc(String name) {
        long kernelToc = 0xc0000000_01234568L;
        long target = kernelToc - 0x1238001;
        Fixture fixture =
                call(name, target, BL, 0x12345678)
                        .config(
                                linux().kernelAddress("kernel_toc", new Address(kernelToc))
                                        .kernelAddress("paca.kernel_toc", new Address(0x7ff8))
                                        .build())
                        .load();
        assertThat(fixture.stubWords(0))
                .containsExactly(
                        0xe98d7ff8,
                        0x3d8cfedc,
                        0x398c7fff,
                        0x7d8903a6,
                        0x4e800420,
                        0,
                        0,
                        0x73747562);
        assertThat(fixture.stubTarget(0)).isEqualTo(target);
        assertThat(fixture.word(0)).isEqualTo(BL | li(TEXT, STUBS));
        assertThat(fixture.word(4)).as("there is no frame yet").isEqualTo(0x12345678);
    }

    @Test
    void theKernelsTocHasADefault() {
        assertThat(call("_mcount", 0xc0000000_01c08000L, BL, 0).load().stubWords(0))
                .startsWith(0xe98d0010, 0x3d8c0000, 0x398c0000);
    }

    @ParameterizedTest
    @ValueSource(longs = {0x80000000L, -0x80000001L})
    void aTracerFarFromTheKernelsTocIsRejected(long distance) {
        LoadException refusal = call("_mcount", 0xc0000000_01c08000L + distance, BL, NOP).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg())
                .isEqualTo("module_64: m: Address of _mcount out of range of kernel_toc.");
    }

    @Test
    void withoutProfiledEntriesTheTracerIsAnyFunction() {
        KernelConfig config = linux().kconfig("CONFIG_MPROFILE_KERNEL", false).build();
        Fixture fixture = call("_mcount", FAR, BL, NOP).config(config).load();
        assertThat(fixture.stubWords(0)[3]).isEqualTo(0xe98b0020);
        assertThat(fixture.word(4)).isEqualTo(RESTORED);
        assertThat(call("_mcount", FAR, BL, 0).config(config).refusal().dmesg())
                .contains("Expected nop");
    }

    private static KernelConfig.Builder withTracers() {
        return linux().kernelAddress("ftrace_caller", new Address(FAR))
                .kernelAddress("ftrace_regs_caller", new Address(FAR + 0x40));
    }

    @Test
    void inTheEndStubsLeadToTheTracer() {
        Fixture fixture = call("f", FAR - 8, BL, NOP).config(withTracers().build());
        fixture.load().finish();
        assertThat(fixture.stubTarget(0)).isEqualTo(FAR - 8);
        assertThat(fixture.stubTarget(1)).isEqualTo(FAR);
        assertThat(fixture.stubTarget(2)).isEqualTo(FAR + 0x40);
        assertThat(fixture.stubWords(1)[0]).isEqualTo(0xe98d0010);
        assertThat(fixture.stubTarget(3)).isZero();
    }

    @Test
    void aStubThatLeadsToTheTracerAlreadyServes() {
        Fixture fixture = call("ftrace_regs_caller", FAR + 0x40, BL, NOP);
        fixture.config(withTracers().build()).load().finish();
        assertThat(fixture.stubTarget(0)).isEqualTo(FAR + 0x40);
        assertThat(fixture.stubTarget(1)).isEqualTo(FAR);
        assertThat(fixture.stubTarget(2)).isZero();
    }

    @Test
    void whatTheKernelDoesNotTraceHasNoStub() {
        Fixture regs =
                call("f", 8, BL, NOP)
                        .config(
                                withTracers()
                                        .kconfig("CONFIG_DYNAMIC_FTRACE_WITH_REGS", false)
                                        .build());
        regs.load().finish();
        assertThat(regs.stubTarget(1)).isEqualTo(FAR);
        assertThat(regs.stubTarget(2)).isZero();
        Fixture none =
                call("f", 8, BL, NOP)
                        .config(withTracers().kconfig("CONFIG_DYNAMIC_FTRACE", false).build());
        none.load().finish();
        assertThat(none.stubTarget(1)).isZero();
        Fixture unknown = call("f", 8, BL, NOP).load().finish();
        assertThat(unknown.stubTarget(1)).isZero();
    }

    @Test
    void aTracerOutOfReachEndsTheLoad() {
        Fixture fixture =
                call("f", 8, BL, NOP)
                        .config(linux().kernelAddress("ftrace_caller", new Address(16)).build())
                        .load();
        LoadException refusal = catchThrowableOfType(LoadException.class, fixture::finish);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg())
                .isEqualTo("module_64: m: Address of ftrace_caller out of range of kernel_toc.");
    }

    // ---- before layout ----

    private static LoadException unplanned(ImageBuilder builder) {
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                Architectures.PPC64LE.planSections(
                                        builder.build(), KernelConfig.linux6_1(), "m"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        return refusal;
    }

    @Test
    void aModuleWithoutRoomForStubsIsRejected() {
        assertThat(unplanned(new ImageBuilder(21, Encoding.ELF64_LSB, true)).dmesg())
                .isEqualTo("module_64: m: doesn't contain .stubs.");
    }

    @ParameterizedTest
    @CsvSource({".stubs, 4, 2", ".toc, 6, 1"})
    void sectionsThatTakeNoMemoryCannotServe(String name, long stubFlags, long tocFlags) {
        ImageBuilder builder = new ImageBuilder(21, Encoding.ELF64_LSB, true);
        builder.section(Section.nobits(".stubs", stubFlags, 8, 0));
        builder.section(Section.nobits(".toc", tocFlags, 8, 8));
        assertThat(unplanned(builder).dmesg())
                .isEqualTo("module_64: m: section " + name + " takes no memory");
    }

    @Test
    void theLastStubsAndTheLastTocCount() {
        Fixture fixture = call("f", FAR, BL, NOP);
        int stubs = fixture.builder.section(Section.nobits(".stubs", ALLOC, 16, 0));
        int toc = fixture.builder.section(Section.nobits(".toc", ALLOC, 8, 16));
        fixture.addresses.put(stubs, STUBS + 0x100);
        fixture.addresses.put(toc, TOC_SECTION + 0x100);
        fixture.load();
        assertThat(fixture.plan.image().section(fixture.stubs).size()).isZero();
        assertThat(fixture.word(0)).isEqualTo(BL | li(TEXT, STUBS + 0x100));
        assertThat(fixture.bytes(stubs).getInt(4) & 0xffff).isEqualTo((int) (STUBS - R2) & 0xffff);
    }

    @ParameterizedTest
    @CsvSource({"0, 8", "1, 8", "7, 8", "8, 8", "256, 256"})
    void theTocIsAlignedToWords(long alignment, long planned) {
        Fixture fixture = new Fixture(false, 0, 0);
        int toc = fixture.builder.section(Section.nobits(".toc", ALLOC, alignment, 8));
        assertThat(fixture.place().plan.image().section(toc).alignment()).isEqualTo(planned);
    }

    @ParameterizedTest
    @CsvSource({"true, true, 3", "true, false, 2", "false, true, 1", "false, false, 1"})
    void thereIsRoomForTheTracer(boolean traces, boolean withRegisters, int stubs) {
        Fixture fixture =
                new Fixture(0, 0)
                        .config(
                                linux().kconfig("CONFIG_DYNAMIC_FTRACE", traces)
                                        .kconfig("CONFIG_DYNAMIC_FTRACE_WITH_REGS", withRegisters)
                                        .build())
                        .place();
        assertThat(fixture.stubCount()).isEqualTo(stubs);
    }

    @Test
    void stubsKeepFlagsAndAlignmentAndAreSpace() {
        Fixture fixture = new Fixture(false, 0, 0);
        int stubs =
                fixture.builder.section(
                        Section.progbits(".stubs", 7, 32, Bytes.wrap(new byte[100])));
        Section planned = fixture.place().plan.image().section(stubs);
        assertThat(planned.type()).isEqualTo(SectionType.NOBITS);
        assertThat(planned.flags().bits()).isEqualTo(7);
        assertThat(planned.alignment()).isEqualTo(32);
        assertThat(planned.size()).isEqualTo(3 * 40);
        assertThat(fixture.plan.textPrefix()).isZero();
    }

    @Test
    void relocationsAreSortedDownwards() {
        Fixture fixture = new Fixture(new int[16]);
        int one = fixture.undefined("one", 0);
        int two = fixture.undefined("two", 0);
        fixture.relocate(
                new Relocation(0, 38, one, 0),
                new Relocation(4, 10, two, -1),
                new Relocation(8, 38, one, 7),
                new Relocation(12, 10, two, 1),
                new Relocation(16, -1, one, 0));
        RelocationTable table = fixture.place().plan.image().relocationsFor(fixture.text).get(0);
        assertThat(IntStream.range(0, 5).mapToObj(table::offset).toList())
                .containsExactly(12L, 4L, 16L, 8L, 0L);
    }

    /** Symbols and types at which the sort changes its way are among the entries, or are not. */
    @ParameterizedTest
    @CsvSource({
        "3, 38, 0, 0",
        "3, 255, 0, 0",
        "3, 38, 0, 256",
        "0x7fffff, 255, 0, 0",
        "0x7fffff, 255, 0x800000, 0",
        "0x7fffff, 255, 0, 0x80000000",
        "0x7fffffff, 255, 0xffffffff, 0xffffffff"
    })
    void relocationsAreSortedDownwardsWhateverTheirSymbolsAndTypes(
            String symbol, int type, String moreOfSymbol, String moreOfType) {
        long[] symbols = {0, 1, 2, Long.decode(symbol), Long.decode(moreOfSymbol)};
        long[] types = {1, 10, type, Long.decode(moreOfType)};
        Random random = new Random(4);
        ByteBuffer entries = ByteBuffer.allocate(24 * 60).order(ByteOrder.LITTLE_ENDIAN);
        List<List<Long>> expected = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            long s = symbols[random.nextInt(symbols.length)];
            long t = types[random.nextInt(types.length)];
            long a = random.nextInt(5) - 2;
            entries.putLong(0).putInt((int) t).putInt((int) s).putLong(a);
            expected.add(List.of(s, t, a));
        }
        expected.sort(
                Comparator.<List<Long>>comparingLong(entry -> entry.get(0))
                        .thenComparingLong(entry -> entry.get(1))
                        .thenComparingLong(entry -> entry.get(2))
                        .reversed());
        Fixture fixture = new Fixture(new int[4]);
        fixture.relocate(new Relocation(0, 38, fixture.undefined("one", 0), 0));
        ModuleImage image = fixture.builder.build();
        int index = image.relocations().get(0).section();
        ModuleImage wild =
                image.toBuilder()
                        .replace(
                                index,
                                image.section(index).withContents(Bytes.wrap(entries.array())))
                        .build();
        RelocationTable sorted =
                architecture()
                        .planSections(wild, KernelConfig.linux6_1(), "m")
                        .image()
                        .relocations()
                        .get(0);
        assertThat(sorted.count()).isEqualTo(60);
        for (int i = 0; i < 60; i++) {
            assertThat(
                            List.of(
                                    Integer.toUnsignedLong(sorted.symbolIndex(i)),
                                    Integer.toUnsignedLong(sorted.type(i)),
                                    sorted.addend(i)))
                    .as("entry %d", i)
                    .isEqualTo(expected.get(i));
        }
    }

    @Test
    void symbolsAreSortedAsUnsignedNumbers() {
        Fixture fixture = new Fixture(new int[4]);
        int one = fixture.undefined("one", 0);
        fixture.relocate(new Relocation(0, 38, one, 0), new Relocation(8, 38, one, 0));
        ModuleImage image = fixture.builder.build();
        int index = image.relocations().get(0).section();
        byte[] entries = image.section(index).contents().toByteArray();
        entries[24 + 15] = (byte) 0x80;
        ModuleImage wild =
                image.toBuilder()
                        .replace(index, image.section(index).withContents(Bytes.wrap(entries)))
                        .build();
        RelocationTable table =
                architecture()
                        .planSections(wild, KernelConfig.linux6_1(), "m")
                        .image()
                        .relocations()
                        .get(0);
        assertThat(table.offset(0)).isEqualTo(8);
        assertThat(table.offset(1)).isZero();
    }

    /** By index, addend of each call; the kernel starts from symbol 0 and addend 0. */
    @ParameterizedTest
    @CsvSource({
        "'1 0', 1",
        "'1 0, 1 0', 1",
        "'1 0, 1 4', 2",
        "'1 0, 2 0', 2",
        "'1 -4, 1 -4, 1 -4', 3",
        "'1 0x100000000, 1 0x100000000', 2",
        "'1 0x7fffffff, 1 0x7fffffff', 1",
        "'1 0xffffffff, 1 0xffffffff', 1",
        "'0 0, 0 0', 0",
        "'0 0, 0 8', 2"
    })
    void callsOfDifferentTargetsAreCounted(String calls, int count) {
        Fixture fixture = new Fixture(new int[16]);
        fixture.undefined("one", 0);
        fixture.undefined("two", 0);
        long offset = 0;
        for (String call : calls.split(", ")) {
            String[] parts = call.split(" ");
            fixture.relocate(
                    new Relocation(offset, 10, Integer.parseInt(parts[0]), Long.decode(parts[1])));
            offset += 8;
        }
        assertThat(fixture.place().stubCount()).isEqualTo(3 + count);
    }

    @Test
    void callsInSectionsWithoutMemoryCountToo() {
        Fixture fixture = new Fixture(0, 0);
        int debug =
                fixture.builder.section(Section.progbits("debug", 0, 1, Bytes.wrap(new byte[8])));
        int symbol = fixture.undefined("f", 0);
        fixture.builder.relocate(debug, new Relocation(0, 10, symbol, 0));
        assertThat(fixture.place().stubCount()).isEqualTo(4);
    }

    @Test
    void undefinedSymbolsLoseADot() {
        Fixture fixture = new Fixture(0, 0);
        int dotted = fixture.undefined(".f", 0);
        int twice = fixture.undefined("..g", 0);
        int plain = fixture.undefined("h", 0);
        int own = fixture.defined(".own", 0, 0);
        int toc = fixture.undefined(".TOC.", 0);
        int almost = fixture.undefined(".TOC", 0);
        SymbolTable symbols = fixture.place().plan.image().symbols();
        assertThat(symbols.name(dotted)).isEqualTo("f");
        assertThat(symbols.name(twice)).isEqualTo(".g");
        assertThat(symbols.name(plain)).isEqualTo("h");
        assertThat(symbols.name(own)).isEqualTo(".own");
        assertThat(symbols.name(toc)).isEqualTo("TOC.");
        assertThat(symbols.sectionIndex(toc)).isEqualTo(SymbolTable.ABS);
        assertThat(symbols.name(almost)).isEqualTo("TOC");
        for (int other : new int[] {dotted, twice, plain, almost}) {
            assertThat(symbols.sectionIndex(other)).isEqualTo(SymbolTable.UNDEF);
        }
    }

    @Test
    void versionsLoseADot() {
        Fixture fixture = new Fixture(0, 0);
        fixture.builder.version(".f", 7).version("g", 8).version("..h", 9);
        ModuleImage image = fixture.place().plan.image();
        assertThat(image.versions().count()).isEqualTo(3);
        assertThat(image.versions().name(0)).isEqualTo("f");
        assertThat(image.versions().name(1)).isEqualTo("g");
        assertThat(image.versions().name(2)).isEqualTo(".h");
        assertThat(image.versions().crc(2)).isEqualTo(9);
    }

    @Test
    void aDottedVersionThatFillsItsEntryStaysInIt() {
        Fixture fixture = new Fixture(0, 0);
        byte[] entries = new byte[64 + 64 + 5];
        Arrays.fill(entries, 8, 64, (byte) 'x');
        entries[8] = '.';
        entries[64] = 5;
        entries[128 + 4] = '.';
        int versions =
                fixture.builder.section(
                        Section.progbits("__versions", ALLOC, 8, Bytes.wrap(entries)));
        byte[] planned = fixture.place().plan.image().section(versions).contents().toByteArray();
        assertThat(new String(planned, 8, 56, java.nio.charset.StandardCharsets.ISO_8859_1))
                .isEqualTo("x".repeat(55) + "\0");
        assertThat(Arrays.copyOfRange(planned, 64, 133))
                .isEqualTo(Arrays.copyOfRange(entries, 64, 133));
    }

    @Test
    void in310SectionsLoseTheNameOfInit() {
        Fixture fixture = new Fixture(0, 0).config(KernelConfig.linux3_10());
        int init = fixture.code(".init.text", TEXT + 0x100, 0);
        int inside = fixture.code(".x.init.init", TEXT + 0x200, 0);
        ModuleImage image = fixture.place().plan.image();
        assertThat(image.section(init).name()).isEqualTo("_init.text");
        assertThat(image.section(inside).name()).isEqualTo(".x_init.init");
        Fixture later = new Fixture(0, 0);
        init = later.code(".init.text", TEXT + 0x100, 0);
        assertThat(later.place().plan.image().section(init).name()).isEqualTo(".init.text");
    }

    @Test
    void aRestShorterThanAnEntryStays() {
        Fixture fixture = one(38, FAR, 0, 0, 0);
        ModuleImage image = fixture.builder.build();
        int index = image.relocations().get(0).section();
        byte[] entries = Arrays.copyOf(image.section(index).contents().toByteArray(), 24 + 5);
        entries[28] = 9;
        ModuleImage longer =
                image.toBuilder()
                        .replace(index, image.section(index).withContents(Bytes.wrap(entries)))
                        .build();
        assertThat(
                        architecture()
                                .planSections(longer, KernelConfig.linux6_1(), "m")
                                .image()
                                .section(index)
                                .contents())
                .isEqualTo(Bytes.wrap(entries));
    }

    /** As a file can have them at no cost: a thousand tables in the bytes of one. */
    @ParameterizedTest
    @CsvSource({"RELA, x", "SYMTAB, x", "PROGBITS, __versions"})
    void tablesThatLieOverEachOtherAreRejected(String type, String name) {
        ModuleImage.Builder builder =
                ModuleImage.builder(21, Encoding.ELF64_LSB)
                        .fileSize(0x3000)
                        .section(Section.nobits(".stubs", ALLOC | EXECINSTR, 8, 0));
        Bytes bytes = Bytes.wrap(new byte[0x1800]);
        SectionType code =
                switch (type) {
                    case "RELA" -> SectionType.RELA;
                    case "SYMTAB" -> SectionType.SYMTAB;
                    default -> SectionType.PROGBITS;
                };
        Section table =
                new Section(name, code, SectionFlags.NONE, 0, bytes.size(), 8, 0, 0, 24, bytes);
        int enough = ((1 << 20) + 4 * 0x3000) / 0x1800;
        for (int i = 0; i < enough; i++) {
            builder.section(table);
        }
        architecture().planSections(builder.build(), KernelConfig.linux6_1(), "m");
        ModuleImage over = builder.section(table).build();
        for (Architecture each : List.of(architecture(), Architectures.S390X)) {
            ModuleImage image =
                    each == architecture() || type.equals("SYMTAB")
                            ? over
                            : over.toBuilder()
                                    .section(
                                            new Section(
                                                    "s",
                                                    SectionType.SYMTAB,
                                                    SectionFlags.NONE,
                                                    0,
                                                    0,
                                                    8,
                                                    0,
                                                    0,
                                                    24,
                                                    Bytes.EMPTY))
                                    .build();
            LoadException refusal =
                    catchThrowableOfType(
                            LoadException.class,
                            () -> each.planSections(image, KernelConfig.linux6_1(), "m"));
            assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
            assertThat(refusal.dmesg()).isEqualTo("m: tables lie over each other");
        }
    }

    // ---- wild relocations ----

    @ParameterizedTest
    @CsvSource({"1, 5", "10, 5", "38, 1", "51, 1", "47, 7", "63, -1", "118, 4", "250, 7"})
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        Fixture fixture = new Fixture(0xe84cfff8, 0xe84cfff8);
        int symbol = fixture.defined("sym", 0, R2);
        LoadException refusal = fixture.relocate(new Relocation(offset, type, symbol, 0)).refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).endsWith(", which is outside its section");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 10, 26, 38, 44, 47, 48, 50, 51, 63, 64, 118, 250, 252})
    void aSymbolThatIsNotThereIsRejected(int type) {
        Fixture fixture = one(type, R2, 0, 0, 0);
        fixture.values.remove(1);
        LoadException refusal = fixture.refusal();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 6 refers to a symbol that is not in the symbol table");
    }

    @Test
    void withoutATocNothingCanPointIntoIt() {
        ImageBuilder builder = new ImageBuilder(21, Encoding.ELF64_LSB, true).name("m");
        int text = builder.section(Section.nobits("x", 2, 1, 8));
        int symbol = builder.symbol(Symbol.undefined("f"));
        ModuleImage image = builder.relocate(text, new Relocation(0, 51, symbol, 0)).build();
        PlacedModule module =
                PlacedModule.ofSection(
                        KernelConfig.linux6_1(),
                        image,
                        new long[] {0, 1},
                        text,
                        new PlacedSection(new byte[8], 0, 8, TEXT, false));
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                architecture()
                                        .relocator(module)
                                        .apply(image.relocationsFor(text).get(0)));
        assertThat(refusal.dmesg()).isEqualTo("module_64: m: doesn't contain .stubs.");
    }

    // ---- a law ----

    /**
     * Whatever is called in whatever tables, the planned stubs suffice, and each serves its call.
     */
    @Property(tries = 300)
    void plannedStubsSuffice(
            @ForAll List<@IntRange(max = 39) Integer> calls,
            @ForAll List<@IntRange(max = 39) Integer> moreCalls,
            @ForAll @IntRange(min = 1, max = 8) int symbols) {
        Fixture fixture = new Fixture(code(calls.size())).config(withTracers().build());
        int more = fixture.code(".text.more", TEXT + 0x4000, code(moreCalls.size()));
        for (int i = 0; i < symbols; i++) {
            fixture.undefined("f" + i, i % 4 * 0x100L); // some are zero, some the same
        }
        fixture.builder.relocate(fixture.text, relocations(calls, symbols));
        fixture.builder.relocate(more, relocations(moreCalls, symbols));
        fixture.load().finish();
        checkCalls(fixture, fixture.text, calls, symbols);
        checkCalls(fixture, more, moreCalls, symbols);
        List<Long> targets =
                IntStream.range(0, fixture.stubCount())
                        .mapToObj(fixture::stubTarget)
                        .filter(target -> target != 0)
                        .toList();
        assertThat(targets).doesNotHaveDuplicates().contains(FAR, FAR + 0x40);
    }

    private static int[] code(int calls) {
        return IntStream.range(0, 2 * calls).map(i -> i % 2 == 0 ? BL : NOP).toArray();
    }

    private static Relocation[] relocations(List<Integer> calls, int symbols) {
        return IntStream.range(0, calls.size())
                .mapToObj(
                        i ->
                                new Relocation(
                                        8L * i,
                                        10,
                                        symbolOf(calls.get(i), symbols),
                                        addendOf(calls.get(i))))
                .toArray(Relocation[]::new);
    }

    private static int symbolOf(int call, int symbols) {
        return 1 + call % symbols;
    }

    private static long addendOf(int call) {
        return call % 5 * 8L - 8;
    }

    private static void checkCalls(Fixture fixture, int section, List<Integer> calls, int symbols) {
        for (int i = 0; i < calls.size(); i++) {
            int call = calls.get(i);
            long target = (symbolOf(call, symbols) - 1) % 4 * 0x100L + addendOf(call);
            int word = fixture.bytes(section).getInt(8 * i);
            long place = fixture.addresses.get(section) + 8L * i;
            long stub = place + ((word & 0x03fffffc) << 6 >> 6);
            assertThat((stub - STUBS) % 40).isZero();
            if (target != 0) {
                assertThat(fixture.stubTarget((int) (stub - STUBS) / 40)).isEqualTo(target);
            }
            assertThat(fixture.bytes(section).getInt(8 * i + 4)).isEqualTo(RESTORED);
        }
    }

    // ---- identity ----

    @Test
    void onlyRelaIsTaken() {
        assertThat(architecture().acceptsRelocations(true)).isTrue();
        assertThat(architecture().acceptsRelocations(false)).isFalse();
    }

    @Test
    void allCodeSharesOneTocSoNothingIsInit() {
        assertThat(architecture().isInitSection(".init.text")).isFalse();
        assertThat(architecture().isInitSection(".init")).isFalse();
    }

    @Test
    void pagesHave64Kibibytes() {
        assertThat(architecture().pageSize()).isEqualTo(65536);
    }

    @Test
    void modulesBeginWhereVmallocDoes() {
        assertThat(architecture().moduleAreas(KernelConfig.linux6_1()).get(0).start().value())
                .isEqualTo(0xc0080000_00000000L);
    }

    @Test
    void vermagicNamesWhatTheKernelWasBuiltWith() {
        assertThat(architecture().vermagicSuffix(KernelConfig.linux6_1()))
                .isEqualTo("mprofile-kernel relocatable ");
        assertThat(
                        architecture()
                                .vermagicSuffix(
                                        linux().kconfig("CONFIG_MPROFILE_KERNEL", false)
                                                .kconfig("CONFIG_RELOCATABLE", false)
                                                .build()))
                .isEmpty();
    }

    @Test
    void exportsAreAddresses() {
        assertThat(architecture().relativeExports(KernelConfig.linux6_1())).isFalse();
        assertThat(architecture().relativeExports(KernelConfig.linux6_12())).isFalse();
    }

    @Test
    void exceptionTableEntriesAreTwoDistances() {
        assertThat(architecture().exceptionTable(KernelConfig.linux6_1()))
                .isEqualTo(ExceptionTable.RELATIVE);
        assertThat(architecture().exceptionTable(KernelConfig.linux3_10()))
                .isEqualTo(ExceptionTable.ABSOLUTE64);
    }
}

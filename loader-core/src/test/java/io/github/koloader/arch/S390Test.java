package io.github.koloader.arch;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
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
import io.github.koloader.image.SymbolTable;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class S390Test extends ArchitectureContract {
    private static final long GOT = 0x3ff_80000000L;
    private static final long TEXT = 0x3ff_80010000L;
    private static final long FAR = 0x123456;
    private static final int SIZE = 16;

    private static final Set<Integer> GOT_TYPES =
            new LinkedHashSet<>(List.of(6, 7, 15, 24, 26, 29, 30, 31, 32, 33, 58, 59));
    private static final Set<Integer> PLT_TYPES =
            new LinkedHashSet<>(List.of(8, 18, 20, 25, 34, 35, 36));

    @Override
    Architecture architecture() {
        return Architectures.S390X;
    }

    // ---- a module of which one section is relocated ----

    /** Built up, then loaded: planned, placed, relocated. */
    private static final class Fixture {
        final ImageBuilder builder = new ImageBuilder(22, Encoding.ELF64_MSB, true).name("m");
        final List<Long> values = new ArrayList<>(List.of(0L));
        final byte[] before;
        final int text;
        KernelConfig config = KernelConfig.linux6_1();
        long address = TEXT;
        int room = -1;
        byte[] bytes = {};
        byte[] prefix = {};
        SectionPlan plan;
        PlacedModule module;

        Fixture(int size) {
            before = new byte[size];
            text =
                    builder.section(
                            Section.progbits(".text", ALLOC | EXECINSTR, 1, Bytes.wrap(before)));
        }

        int symbol(String name, long value) {
            values.add(value);
            return builder.symbol(Symbol.undefined(name));
        }

        Fixture relocate(Relocation... relocations) {
            builder.relocate(text, relocations);
            return this;
        }

        Fixture expoline() {
            config = config.toBuilder().kconfig("CONFIG_EXPOLINE", true).build();
            return this;
        }

        Fixture place() {
            plan = Architectures.S390X.planSections(builder.build(), config, "m");
            bytes = before.clone();
            prefix = new byte[room >= 0 ? room : plan.textPrefix()];
            module =
                    new PlacedModule(
                            config,
                            "m",
                            plan,
                            values.stream().mapToLong(Long::longValue).toArray(),
                            index ->
                                    index == text
                                            ? new PlacedSection(
                                                    bytes, 0, bytes.length, address, true)
                                            : null,
                            at -> false,
                            new PlacedSection(prefix, 0, prefix.length, GOT, true));
            return this;
        }

        Fixture load() {
            place();
            Relocator relocator = Architectures.S390X.relocator(module);
            plan.image().relocationsFor(text).forEach(relocator::apply);
            return this;
        }

        Fixture finish() {
            Architectures.S390X.finalizeModule(module);
            return this;
        }

        LoadException refusal() {
            LoadException refusal = catchThrowableOfType(LoadException.class, this::load);
            assertThat(refusal).isNotNull();
            assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
            assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
            if (plan != null) {
                assertThat(bytes).as("untouched").isEqualTo(before);
            }
            return refusal;
        }

        ByteBuffer text() {
            return ByteBuffer.wrap(bytes);
        }

        ByteBuffer prefix() {
            return ByteBuffer.wrap(prefix);
        }

        String hex(int offset, int length) {
            return HexFormat.of().formatHex(prefix, offset, offset + length);
        }
    }

    /** One relocation at the start of {@link #SIZE} bytes. */
    private static Fixture one(int type, long s, long a) {
        Fixture fixture = new Fixture(SIZE);
        int symbol = fixture.symbol("sym", s);
        return fixture.relocate(new Relocation(0, type, symbol, a));
    }

    /** The same at a place that holds these bytes. */
    private static Fixture onto(String hex, int type, long s, long a) {
        Fixture fixture = one(type, s, a);
        byte[] bytes = HexFormat.of().parseHex(hex);
        System.arraycopy(bytes, 0, fixture.before, 0, bytes.length);
        return fixture;
    }

    private static String overflow(int type, long value) {
        return "module m: relocation error for symbol sym (r_type %d, value 0x%x)"
                .formatted(type, value);
    }

    // ---- the table ----

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        Map<Integer, String> expected = new LinkedHashMap<>();
        for (String row :
                ("0 NONE,1 8,2 12,3 16,4 32,5 PC32,6 GOT12,7 GOT32,8 PLT32,13 GOTOFF32,14 GOTPC,"
                                + "15 GOT16,16 PC16,17 PC16DBL,18 PLT16DBL,19 PC32DBL,20 PLT32DBL,"
                                + "21 GOTPCDBL,22 64,23 PC64,24 GOT64,25 PLT64,26 GOTENT,"
                                + "27 GOTOFF16,28 GOTOFF64,29 GOTPLT12,30 GOTPLT16,31 GOTPLT32,"
                                + "32 GOTPLT64,33 GOTPLTENT,34 PLTOFF16,35 PLTOFF32,36 PLTOFF64,"
                                + "57 20,58 GOT20,59 GOTPLT20")
                        .split(",")) {
            String[] parts = row.split(" ");
            expected.put(Integer.parseInt(parts[0]), "R_390_" + parts[1]);
        }
        Map<Integer, String> found = new LinkedHashMap<>();
        architecture().relocationTypes().forEach(row -> found.put(row.code(), row.name()));
        assertThat(found).isEqualTo(expected);
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
    @ValueSource(ints = {9, 10, 11, 12})
    void typesOfSharedObjectsAreRefusedWithoutAWord(int type) {
        assertThat(one(type, 0, 0).refusal().lines()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"37, 37", "56, 56", "60, 60", "61, 61", "62, 62", "-1, 4294967295"})
    void anUnknownTypeIsRejected(int type, String shown) {
        assertThat(one(type, 0, 0).refusal().dmesg())
                .isEqualTo("module m: unknown relocation: " + shown);
    }

    // ---- S + A ----

    @ParameterizedTest
    @CsvSource({"1, 8", "2, 12", "3, 16", "4, 32"})
    void dataIsUnsigned(int type, int bits) {
        long most = (1L << bits) - 1;
        one(type, most - 1, 1).load();
        one(type, 0, 0).load();
        assertThat(one(type, most, 1).refusal().dmesg()).isEqualTo(overflow(type, most + 1));
        assertThat(one(type, 0, -1).refusal().dmesg()).isEqualTo(overflow(type, -1));
    }

    @Test
    void dataIsWrittenBigEndian() {
        assertThat(one(1, 0xaa, 0).load().text().getInt(0)).isEqualTo(0xaa000000);
        assertThat(one(3, 0xaabb, 0).load().text().getInt(0)).isEqualTo(0xaabb0000);
        assertThat(one(4, 0xaabbccddL, 0).load().text().getLong(0)).isEqualTo(0xaabbccdd_00000000L);
        assertThat(one(22, -2, 1).load().text().getLong(0)).isEqualTo(-1);
    }

    @Test
    void aShortDisplacementKeepsTheBaseRegister() {
        assertThat(onto("caaa", 2, 0x123, 0).load().text().getShort(0)).isEqualTo((short) 0xc123);
        assertThat(onto("3000", 2, 0xfff, 0).load().text().getShort(0)).isEqualTo((short) 0x3fff);
    }

    @Test
    void aLongDisplacementHasItsLowBitsFirst() {
        assertThat(onto("caaaaa58", 57, 0x12345, 0).load().text().getInt(0)).isEqualTo(0xc3451258);
        assertThat(onto("20000058", 57, -1, 0).load().text().getInt(0)).isEqualTo(0x2fffff58);
    }

    @ParameterizedTest
    @ValueSource(longs = {0x80000, -0x80001})
    void aLongDisplacementIsSigned(long value) {
        assertThat(one(57, value, 0).refusal().dmesg()).isEqualTo(overflow(57, value));
        long nearest = value > 0 ? value - 1 : value + 1;
        one(57, nearest, 0).load();
    }

    // ---- S + A - P ----

    @ParameterizedTest
    @CsvSource({"16, 0x8000", "5, 0x80000000", "17, 0x10000", "19, 0x100000000"})
    void distancesAreSigned(int type, String limit) {
        long beyond = Long.decode(limit);
        long step = type == 17 || type == 19 ? 2 : 1;
        one(type, TEXT + beyond - step, 0).load();
        one(type, TEXT, -beyond).load();
        assertThat(one(type, TEXT + beyond, 0).refusal().dmesg()).isEqualTo(overflow(type, beyond));
        assertThat(one(type, TEXT, -beyond - step).refusal().dmesg())
                .isEqualTo(overflow(type, -beyond - step));
    }

    @Test
    void distancesInHalfwordsAreHalved() {
        assertThat(one(17, TEXT + 0x1234, 2).load().text().getShort(0)).isEqualTo((short) 0x91b);
        assertThat(one(19, TEXT - 0x1_0000_0000L, 0).load().text().getInt(0)).isEqualTo(1 << 31);
    }

    @ParameterizedTest
    @ValueSource(ints = {17, 19})
    void oddDistancesCannotBeHalved(int type) {
        assertThat(one(type, TEXT + 5, 0).refusal().dmesg()).isEqualTo(overflow(type, 5));
    }

    @Test
    void aLongDistanceIsNotChecked() {
        assertThat(one(23, FAR, 1).load().text().getLong(0)).isEqualTo(FAR + 1 - TEXT);
    }

    // ---- GOT ----

    @Test
    void oneSlotForEachSymbolWhateverItsAddend() {
        Fixture fixture = new Fixture(64);
        int one = fixture.symbol("one", 0x1111);
        int two = fixture.symbol("two", 0x2222);
        fixture.relocate(
                        new Relocation(0, 24, two, 0),
                        new Relocation(8, 24, one, 0x100),
                        new Relocation(16, 32, two, 0x200))
                .load();
        assertThat(fixture.plan.textPrefix()).isEqualTo(16);
        assertThat(fixture.prefix().getLong(0)).isEqualTo(0x2222);
        assertThat(fixture.prefix().getLong(8)).isEqualTo(0x1111);
        assertThat(fixture.text().getLong(0)).isZero();
        assertThat(fixture.text().getLong(8)).isEqualTo(0x108);
        assertThat(fixture.text().getLong(16)).isEqualTo(0x200);
    }

    /** Type, whether the slot's offset or its distance is written, bits, whether signed. */
    @ParameterizedTest
    @CsvSource({
        "6, 12, false",
        "29, 12, false",
        "15, 16, false",
        "30, 16, false",
        "58, 20, true",
        "59, 20, true",
        "7, 32, false",
        "31, 32, false"
    })
    void offsetsInTheGotAreChecked(int type, int bits, boolean signed) {
        long beyond = 1L << (signed ? bits - 1 : bits);
        Fixture last = one(type, FAR, beyond - 1).load();
        assertThat(last.prefix().getLong(0)).isEqualTo(FAR);
        assertThat(one(type, FAR, beyond).refusal().dmesg()).isEqualTo(overflow(type, beyond));
        long below = signed ? -beyond - 1 : -1;
        assertThat(one(type, FAR, below).refusal().dmesg()).isEqualTo(overflow(type, below));
        one(type, FAR, below + 1).load();
    }

    @ParameterizedTest
    @ValueSource(ints = {26, 33})
    void theDistanceToTheSlotCountsFromTheStartOfTheModule(int type) {
        Fixture fixture = new Fixture(SIZE);
        int first = fixture.symbol("first", 1);
        int second = fixture.symbol("second", FAR);
        fixture.relocate(new Relocation(8, 24, first, 0), new Relocation(0, type, second, 2))
                .load();
        assertThat(fixture.text().getInt(0)).isEqualTo((int) (GOT + 8 + 2 - TEXT) / 2);
        assertThat(fixture.prefix().getLong(8)).isEqualTo(FAR);
        assertThat(one(type, FAR, 1).refusal().dmesg()).isEqualTo(overflow(type, GOT + 1 - TEXT));
    }

    @Test
    void theGotItselfHasAnAddress() {
        assertThat(one(14, 0, 4).load().text().getInt(0)).isEqualTo((int) (GOT + 4 - TEXT));
        assertThat(one(21, 0, 2).load().text().getInt(0)).isEqualTo((int) (GOT + 2 - TEXT) / 2);
        assertThat(one(14, 0, 0).load().plan.textPrefix()).isZero();
    }

    @ParameterizedTest
    @CsvSource({"14, 0x80000000", "21, 0x100000000"})
    void theGotCanBeTooFar(int type, String limit) {
        long beyond = Long.decode(limit);
        assertThat(one(type, 0, TEXT - GOT + beyond).refusal().dmesg())
                .isEqualTo(overflow(type, beyond));
        assertThat(one(type, 0, TEXT - GOT - beyond - 2).refusal().dmesg())
                .isEqualTo(overflow(type, -beyond - 2));
    }

    @ParameterizedTest
    @CsvSource({"27, 16", "13, 32"})
    void offsetsFromTheGotAreUnsigned(int type, int bits) {
        long beyond = 1L << bits;
        assertThat(one(type, GOT + beyond - 1, 0).load().text().getLong(0) >>> 64 - bits)
                .isEqualTo(beyond - 1);
        assertThat(one(type, GOT, beyond).refusal().dmesg()).isEqualTo(overflow(type, beyond));
        assertThat(one(type, GOT, -1).refusal().dmesg()).isEqualTo(overflow(type, -1));
    }

    @Test
    void aLongOffsetFromTheGotIsNotChecked() {
        assertThat(one(28, FAR, 0).load().text().getLong(0)).isEqualTo(FAR - GOT);
    }

    // ---- PLT ----

    @Test
    void anEntryLoadsItsTargetAndBranches() {
        Fixture fixture = one(20, FAR, 2).load();
        assertThat(fixture.plan.textPrefix()).isEqualTo(22);
        assertThat(fixture.hex(0, 22)).isEqualTo("0d10e310100c000407f1000000000000000000123456");
        assertThat(fixture.text().getInt(0)).isEqualTo((int) (GOT + 2 - TEXT) / 2);
    }

    @Test
    void entriesLieBehindTheGot() {
        Fixture fixture = new Fixture(64);
        int one = fixture.symbol("one", 0x1111);
        int two = fixture.symbol("two", 0x2222);
        fixture.relocate(
                        new Relocation(0, 25, two, 0),
                        new Relocation(8, 24, one, 0),
                        new Relocation(16, 25, one, 0),
                        new Relocation(24, 25, two, 7))
                .load();
        assertThat(fixture.plan.textPrefix()).isEqualTo(8 + 44);
        assertThat(fixture.text().getLong(0)).isEqualTo(GOT + 8 - TEXT);
        assertThat(fixture.text().getLong(16)).isEqualTo(GOT + 30 - (TEXT + 16));
        assertThat(fixture.text().getLong(24)).isEqualTo(GOT + 8 + 7 - (TEXT + 24));
        assertThat(fixture.prefix().getLong(8 + 14)).isEqualTo(0x2222);
        assertThat(fixture.prefix().getLong(30 + 14)).isEqualTo(0x1111);
    }

    @ParameterizedTest
    @ValueSource(longs = {-0xffffffffL, -0xfffffffeL, 0, 0xfffffffeL})
    void aCallWithinTheWindowGoesStraightButHasItsEntry(long distance) {
        boolean even = distance % 2 == 0;
        Fixture fixture = one(20, TEXT + distance, even ? 0 : 1).load();
        assertThat(fixture.text().getInt(0)).isEqualTo((int) ((distance + (even ? 0 : 1)) / 2));
        assertThat(fixture.prefix().getLong(14)).isEqualTo(TEXT + distance);
    }

    @ParameterizedTest
    @ValueSource(longs = {-0x100000000L, 0xffffffffL, 0x100000000L, Long.MIN_VALUE})
    void aCallBeyondTheWindowGoesThroughThePlt(long distance) {
        assertThat(one(20, TEXT + distance, 2).load().text().getInt(0))
                .isEqualTo((int) (GOT + 2 - TEXT) / 2);
    }

    @ParameterizedTest
    @ValueSource(longs = {-0xffff, 0, 0xfffe})
    void aShortCallWithinTheWindowGoesStraight(long distance) {
        long addend = distance % 2 == 0 ? 0 : 1;
        assertThat(one(18, TEXT + distance, addend).load().text().getShort(0))
                .isEqualTo((short) ((distance + addend) / 2));
    }

    @ParameterizedTest
    @ValueSource(longs = {-0x10000, 0x1effff, 0x200000})
    void aShortCallBeyondTheWindowGoesThroughThePlt(long distance) {
        Fixture fixture = one(18, TEXT + distance, 2);
        fixture.address = TEXT - 0x8000;
        fixture.values.set(1, fixture.address + distance);
        assertThat(fixture.load().text().getShort(0))
                .isEqualTo((short) ((GOT + 2 - fixture.address) / 2));
    }

    /** The window of short calls is wider than what they can reach. */
    @ParameterizedTest
    @ValueSource(longs = {0x10000, 0x1efffe})
    void aShortCallInTheWindowMayOverflow(long distance) {
        assertThat(one(18, TEXT + distance, 0).refusal().dmesg()).isEqualTo(overflow(18, distance));
    }

    @Test
    void theDistanceToAnEntryIsUnsignedIn32Bits() {
        assertThat(one(8, FAR, 0).refusal().dmesg()).isEqualTo(overflow(8, GOT - TEXT));
        Fixture before = one(8, FAR, 4);
        before.address = GOT - 0xfffffffbL;
        assertThat(before.load().text().getInt(0)).isEqualTo(-1);
        before = one(8, FAR, 5);
        before.address = GOT - 0xfffffffbL;
        assertThat(before.refusal().dmesg()).isEqualTo(overflow(8, 0x100000000L));
    }

    @ParameterizedTest
    @CsvSource({"34, 16", "35, 32"})
    void offsetsOfEntriesAreUnsigned(int type, int bits) {
        long beyond = 1L << bits;
        assertThat(one(type, FAR, beyond - 1).load().text().getLong(0) >>> 64 - bits)
                .isEqualTo(beyond - 1);
        assertThat(one(type, FAR, beyond).refusal().dmesg()).isEqualTo(overflow(type, beyond));
        assertThat(one(type, FAR, -1).refusal().dmesg()).isEqualTo(overflow(type, -1));
    }

    @Test
    void aLongOffsetOfAnEntryIsNotChecked() {
        Fixture fixture = new Fixture(SIZE);
        int got = fixture.symbol("got", 1);
        int plt = fixture.symbol("plt", FAR);
        fixture.relocate(new Relocation(0, 24, got, 0), new Relocation(8, 36, plt, -9)).load();
        assertThat(fixture.text().getLong(8)).isEqualTo(-1);
        assertThat(fixture.prefix().getLong(8 + 14)).isEqualTo(FAR);
    }

    // ---- expoline ----

    @Test
    void withExpolineEntriesBranchThroughAThunk() {
        Fixture fixture = new Fixture(64).expoline();
        int got = fixture.symbol("got", 1);
        int one = fixture.symbol("one", 0x1111);
        int two = fixture.symbol("two", 0x2222);
        fixture.relocate(
                        new Relocation(0, 24, got, 0),
                        new Relocation(8, 20, one, 2),
                        new Relocation(12, 20, two, 2))
                .load()
                .finish();
        assertThat(fixture.plan.textPrefix()).isEqualTo(8 + 66);
        assertThat(fixture.hex(8, 22)).isEqualTo("0d10e310100c0004c0f4000000120000000000001111");
        assertThat(fixture.hex(30, 22)).isEqualTo("0d10e310100c0004c0f4000000070000000000002222");
        assertThat(fixture.hex(52, 22)).isEqualTo("c60000000005a7f4000007f1" + "00".repeat(10));
    }

    @Test
    void withoutEntriesThereIsNoThunk() {
        Fixture fixture = one(24, FAR, 0).expoline().load().finish();
        assertThat(fixture.plan.textPrefix()).isEqualTo(8);
        assertThat(fixture.prefix().getLong(0)).isEqualTo(FAR);
    }

    @Test
    void withoutExpolineThereIsNoThunk() {
        Fixture fixture = one(20, FAR, 2).load();
        byte[] before = fixture.prefix.clone();
        assertThat(fixture.finish().prefix).isEqualTo(before);
    }

    @Test
    void beforeThereWasExpolineItIsNotAsked() {
        Fixture fixture = one(20, FAR, 2);
        fixture.config = KernelConfig.forRelease("4.15.0");
        assertThat(fixture.expoline().load().plan.textPrefix()).isEqualTo(22);
        fixture = one(20, FAR, 2);
        fixture.config = KernelConfig.forRelease("4.16.0");
        assertThat(fixture.expoline().load().plan.textPrefix()).isEqualTo(44);
    }

    // ---- before layout ----

    @Test
    void aModuleWithoutSymbolTableIsRejected() {
        ModuleImage image =
                ModuleImage.builder(22, Encoding.ELF64_MSB)
                        .section(Section.nobits(".bss", ALLOC, 1, 8))
                        .build();
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () -> architecture().planSections(image, KernelConfig.linux6_1(), "m"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("module m: no symbol table");
    }

    @Test
    void theGotsOwnSymbolIsDefined() {
        Fixture fixture = new Fixture(8);
        int got = fixture.symbol("_GLOBAL_OFFSET_TABLE_", 0);
        int other = fixture.symbol("_GLOBAL_OFFSET_TABLE", 0);
        int weak = fixture.builder.symbol(Symbol.weak("_GLOBAL_OFFSET_TABLE_"));
        int own =
                fixture.builder.symbol(
                        Symbol.function("_GLOBAL_OFFSET_TABLE_", fixture.text, 4, 1));
        SymbolTable symbols = fixture.place().plan.image().symbols();
        assertThat(symbols.sectionIndex(got)).isEqualTo(SymbolTable.ABS);
        assertThat(symbols.sectionIndex(weak)).isEqualTo(SymbolTable.ABS);
        assertThat(symbols.sectionIndex(other)).isEqualTo(SymbolTable.UNDEF);
        assertThat(symbols.sectionIndex(own)).isEqualTo(fixture.text);
        assertThat(symbols.value(got)).isZero();
    }

    @Test
    void theLastSymbolTableCounts() {
        Fixture fixture = one(24, FAR, 0);
        ModuleImage image = fixture.builder.build();
        int first = image.symbolSection();
        Section table = image.section(first);
        ModuleImage two =
                image.toBuilder()
                        .section(table.withContents(table.contents().slice(0, 24)))
                        .build();
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () -> architecture().planSections(two, KernelConfig.linux6_1(), "m"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 refers to a symbol that is not in the symbol table");
    }

    @Test
    void relocationsOfSectionsWithoutMemoryMakeSlotsToo() {
        Fixture fixture = new Fixture(8);
        int debug =
                fixture.builder.section(
                        Section.progbits(".debug_x", 0, 1, Bytes.wrap(new byte[8])));
        int one = fixture.symbol("one", 0x1111);
        int two = fixture.symbol("two", 0x2222);
        fixture.builder.relocate(debug, new Relocation(0, 24, one, 0));
        fixture.relocate(new Relocation(0, 24, two, 0)).load();
        assertThat(fixture.text().getLong(0)).isEqualTo(8);
        assertThat(fixture.prefix().getLong(0)).as("never met").isZero();
        assertThat(fixture.prefix().getLong(8)).isEqualTo(0x2222);
    }

    @Test
    void otherTypesMakeNoSlots() {
        for (RelocationType row : architecture().relocationTypes()) {
            int expected =
                    GOT_TYPES.contains(row.code()) ? 8 : PLT_TYPES.contains(row.code()) ? 22 : 0;
            assertThat(one(row.code(), 0, 0).place().plan.textPrefix())
                    .as(row.name())
                    .isEqualTo(expected);
        }
        assertThat(one(62, 0, 0).place().plan.textPrefix()).isZero();
    }

    @Test
    void relocationsWithoutAddendsMakeNoSlots() {
        Fixture fixture = one(24, FAR, 0);
        ModuleImage image = fixture.builder.build();
        int index = image.relocations().get(0).section();
        Section rela = image.section(index);
        ModuleImage rel =
                image.toBuilder()
                        .replace(
                                index,
                                new Section(
                                        ".rel.text",
                                        SectionType.REL,
                                        SectionFlags.NONE,
                                        0,
                                        16,
                                        8,
                                        rela.link(),
                                        rela.info(),
                                        16,
                                        rela.contents().slice(0, 16)))
                        .build();
        assertThat(architecture().planSections(rel, KernelConfig.linux6_1(), "m").textPrefix())
                .isZero();
    }

    @Test
    void onlySymbolsChangeInTheImage() {
        Fixture fixture = one(20, FAR, 2);
        ModuleImage image = fixture.builder.build();
        assertThat(architecture().planSections(image, KernelConfig.linux6_1(), "m").image())
                .isEqualTo(image);
    }

    // ---- wild relocations ----

    @ParameterizedTest
    @CsvSource({"1, 16", "2, 15", "3, 15", "4, 13", "22, 9", "20, 13", "24, -1", "57, 13"})
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        Fixture fixture = new Fixture(SIZE);
        int symbol = fixture.symbol("sym", 2);
        assertThat(fixture.relocate(new Relocation(offset, type, symbol, 0)).refusal().dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 patches offset 0x%x, which is outside its section"
                                .formatted(offset));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 13, 14, 22})
    void aSymbolThatIsNotThereIsRejected(int type) {
        Fixture fixture = one(type, 0, 0);
        fixture.values.remove(1);
        assertThat(fixture.refusal().dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 refers to a symbol that is not in the symbol table");
    }

    @ParameterizedTest
    @ValueSource(ints = {6, 20, 26, 36})
    void aSlotForASymbolThatIsNotThereIsRejectedBeforeLayout(int type) {
        Fixture fixture = one(type, FAR, 0);
        ModuleImage image = fixture.builder.build();
        int index = image.relocations().get(0).section();
        for (int symbol : new int[] {2, -1, Integer.MIN_VALUE}) {
            byte[] entries = image.section(index).contents().toByteArray();
            ByteBuffer.wrap(entries).putInt(8, symbol);
            ModuleImage wild =
                    image.toBuilder()
                            .replace(index, image.section(index).withContents(Bytes.wrap(entries)))
                            .build();
            LoadException refusal =
                    catchThrowableOfType(
                            LoadException.class,
                            () -> architecture().planSections(wild, KernelConfig.linux6_1(), "m"));
            assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
            assertThat(refusal.dmesg()).endsWith("a symbol that is not in the symbol table");
        }
    }

    @ParameterizedTest
    @CsvSource({"24, 7", "20, 21"})
    void lessRoomThanPlannedIsNoticed(int type, int room) {
        Fixture fixture = one(type, FAR, 2);
        fixture.room = room;
        assertThat(fixture.refusal().dmesg()).isEqualTo("module m: no room for GOT and PLT");
        assertThat(fixture.prefix).containsOnly(0);
    }

    @Test
    void noneWritesNothingEvenOutsideItsSection() {
        Fixture fixture = new Fixture(SIZE);
        fixture.relocate(new Relocation(1L << 40, 0, fixture.symbol("x", 1), 5)).load();
        assertThat(fixture.bytes).containsOnly(0);
    }

    // ---- a law ----

    /** Whatever asks for slots, the planned room suffices, is used up, and no slot serves two. */
    @Property(tries = 300)
    void plannedRoomSuffices(
            @ForAll List<@IntRange(max = 199) Integer> uses,
            @ForAll @IntRange(min = 1, max = 10) int symbols,
            @ForAll boolean expoline) {
        Fixture fixture = new Fixture(8 * uses.size() + 8);
        if (expoline) {
            fixture.expoline();
        }
        for (int i = 0; i < symbols; i++) {
            fixture.symbol("f" + i, 0x100000 + i);
        }
        int[] types = {24, 25, 32, 36, 22, 28};
        Set<Integer> got = new LinkedHashSet<>();
        Set<Integer> plt = new LinkedHashSet<>();
        for (int i = 0; i < uses.size(); i++) {
            int type = types[uses.get(i) % types.length];
            int symbol = 1 + uses.get(i) / types.length % symbols;
            fixture.relocate(new Relocation(8L * i, type, symbol, 0));
            if (GOT_TYPES.contains(type)) {
                got.add(symbol);
            } else if (PLT_TYPES.contains(type)) {
                plt.add(symbol);
            }
        }
        fixture.load().finish();
        int thunk = expoline && !plt.isEmpty() ? 22 : 0;
        assertThat(fixture.prefix).hasSize(8 * got.size() + 22 * plt.size() + thunk);
        int at = 0;
        for (int symbol : got) {
            assertThat(fixture.prefix().getLong(at)).isEqualTo(0x100000 + symbol - 1);
            at += 8;
        }
        for (int symbol : plt) {
            assertThat(fixture.prefix().getShort(at)).isEqualTo((short) 0x0d10);
            assertThat(fixture.prefix().getLong(at + 14)).isEqualTo(0x100000 + symbol - 1);
            if (expoline) {
                int target = at + 8 + 2 * fixture.prefix().getInt(at + 10);
                assertThat(target).isEqualTo(fixture.prefix.length - 22);
            }
            at += 22;
        }
        assertThat(Arrays.copyOfRange(fixture.prefix, at, fixture.prefix.length))
                .isEqualTo(
                        HexFormat.of()
                                .parseHex(
                                        thunk == 0
                                                ? ""
                                                : "c60000000005a7f4000007f1" + "00".repeat(10)));
        checkUses(fixture, List.copyOf(got), List.copyOf(plt));
    }

    private static void checkUses(Fixture fixture, List<Integer> got, List<Integer> plt) {
        for (RelocationTable table : fixture.plan.image().relocationsFor(fixture.text)) {
            IntStream.range(0, table.count())
                    .forEach(
                            i -> {
                                long written = fixture.text().getLong((int) table.offset(i));
                                int symbol = table.symbolIndex(i);
                                long entry = 8L * got.size() + 22L * plt.indexOf(symbol);
                                long expected =
                                        switch (table.type(i)) {
                                            case 24, 32 -> 8L * got.indexOf(symbol);
                                            case 25 -> GOT + entry - TEXT - table.offset(i);
                                            case 36 -> entry;
                                            case 28 -> 0x100000 + symbol - 1 - GOT;
                                            default -> 0x100000 + symbol - 1;
                                        };
                                assertThat(written).isEqualTo(expected);
                            });
        }
    }

    // ---- identity ----

    @ParameterizedTest
    @CsvSource({"22, true", "0xa390, true", "21, false", "23, false", "0, false"})
    void twoMachineNumbersAreTaken(String machine, boolean taken) {
        FileHeader header = new FileHeader(Encoding.ELF64_MSB, Integer.decode(machine), 0, 0);
        assertThat(architecture().accepts(header)).isEqualTo(taken);
        if (taken) {
            assertThat(Architectures.forMachine(Integer.decode(machine), Encoding.ELF64_MSB))
                    .contains(architecture());
        }
    }

    @Test
    void onlyRelaIsTaken() {
        assertThat(architecture().acceptsRelocations(true)).isTrue();
        assertThat(architecture().acceptsRelocations(false)).isFalse();
    }

    @Test
    void vermagicHasNoSuffix() {
        assertThat(architecture().vermagicSuffix(KernelConfig.linux6_1())).isEmpty();
    }

    @Test
    void exportsAreAddresses() {
        assertThat(architecture().relativeExports(KernelConfig.linux6_1())).isFalse();
        assertThat(architecture().relativeExports(KernelConfig.linux6_12())).isFalse();
    }

    @Test
    void exceptionTableEntriesHaveThreeFieldsSince518() {
        assertThat(architecture().exceptionTable(KernelConfig.linux6_1()).entrySize())
                .isEqualTo(12);
        assertThat(architecture().exceptionTable(KernelConfig.forRelease("5.17.0")).entrySize())
                .isEqualTo(8);
    }

    @Test
    void modulesLieBelowTheTopOfThreeLevels() {
        assertThat(architecture().moduleAreas(KernelConfig.linux6_1()).get(0).start().value())
                .isEqualTo(0x3ff_80000000L);
        assertThat(architecture().moduleAreas(KernelConfig.linux6_1()).get(0).size())
                .isLessThanOrEqualTo(1L << 31);
    }

    @Test
    void whatIsReadFromAFieldCanBeWrittenThereAgain() {
        Random random = new Random(22);
        for (RelocationType type : architecture().relocationTypes()) {
            Field field = type.field();
            int written = 0;
            for (int i = 0; i < 2000; i++) {
                long value = random.nextLong() >> random.nextInt(64) << random.nextInt(3);
                if (field.fits(value)) {
                    long place = field.insert(random.nextLong() & field.mask(), value);
                    assertThat(field.insert(place, field.implicitAddend(place)))
                            .as("%s of %x", type.name(), value)
                            .isEqualTo(place);
                    written++;
                }
            }
            assertThat(written).as(type.name()).isPositive();
        }
    }
}

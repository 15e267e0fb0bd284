package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.image.Encoding;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class InitcallTablesTest {
    private static final int TABLE = 0x2000;
    private static final int LEVELS = 0x1800;
    private static final int COUNT = 20;

    /** Entries of level 0 begin behind one early one; each level has two, those of consoles one. */
    private static final int[] STARTS = {1, 3, 5, 7, 9, 11, 13, 15, 17};

    private static final List<String> LEVEL_IDS =
            List.of("early", "0", "0", "1", "1", "2", "2", "3", "3", "4", "4", "5", "5", "6", "6");

    /** An image with functions f0 … f19, called in that order, and no bounds. */
    private static TestImage image(EntryKind kind) {
        TestImage image = new TestImage(Encoding.ELF64_LSB);
        image.symbol("_stext", 0).symbol("_etext", 8);
        image.symbol("_sinittext", 8).symbol("_einittext", TestImage.TEXT);
        for (int i = 0; i < COUNT; i++) {
            image.symbol("f" + i, 16 * i + 16);
            image.pointer(kind, entry(kind, i), image.at(16 * i + 16));
        }
        return image;
    }

    private static int entry(EntryKind kind, int number) {
        return TABLE + number * kind.size(Encoding.ELF64_LSB);
    }

    /** Nine pointers, the last of them to the end. */
    private static TestImage withLevels(TestImage image, EntryKind kind, int offset) {
        for (int level = 0; level <= 8; level++) {
            image.word(offset + 8 * level, image.at(entry(kind, STARTS[level])));
        }
        return image;
    }

    private static TestImage withBounds(TestImage image, EntryKind kind) {
        image.symbol("__initcall_start", TABLE);
        for (int level = 0; level < 8; level++) {
            image.symbol("__initcall" + level + "_start", entry(kind, STARTS[level]));
        }
        return image.symbol("__initcall_end", entry(kind, STARTS[8]))
                .symbol("__con_initcall_start", entry(kind, STARTS[8]))
                .symbol("__con_initcall_end", entry(kind, COUNT));
    }

    private static InitcallTables read(TestImage image) {
        LinkedImage linked = image.image();
        SymbolIndex symbols = image.index();
        return new InitcallTables(linked, symbols, new CodeRanges(linked, symbols)).read();
    }

    private static List<String> functions(InitcallTables tables) {
        return tables.calls().stream().map(Initcall::name).toList();
    }

    private static List<String> all() {
        return IntStream.range(0, COUNT).mapToObj(i -> "f" + i).toList();
    }

    private static List<String> levels(InitcallTables tables) {
        return tables.calls().stream().map(call -> call.level().id()).toList();
    }

    private static List<String> expectedLevels() {
        List<String> levels = new ArrayList<>(LEVEL_IDS);
        levels.addAll(List.of("7", "7", "con", "con", "con"));
        return levels;
    }

    @ParameterizedTest
    @EnumSource(EntryKind.class)
    void initcallLevelsAreFoundByWhatTheyLookLike(EntryKind kind) {
        InitcallTables tables = read(withLevels(image(kind), kind, LEVELS));

        assertThat(functions(tables)).isEqualTo(all());
        assertThat(levels(tables)).isEqualTo(expectedLevels());
        assertThat(tables.range().orElseThrow().start().value()).isEqualTo(TestImage.BASE + TABLE);
    }

    @ParameterizedTest
    @EnumSource(EntryKind.class)
    void whereCodeEndsNeedNotBeKnown(EntryKind kind) {
        TestImage image = new TestImage(Encoding.ELF64_LSB);
        for (int i = 0; i < COUNT; i++) {
            image.symbol("f" + i, 16 * i + 16);
            image.pointer(kind, entry(kind, i), image.at(16 * i + 16));
        }

        InitcallTables tables = read(withLevels(image, kind, LEVELS));

        assertThat(functions(tables)).isEqualTo(all());
        assertThat(levels(tables)).isEqualTo(expectedLevels());
    }

    @Test
    void withoutLevelsTheLongestRunIsTheTable() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = image(kind);
        image.word(0x3000, image.at(16)).word(0x3008, image.at(32)); // some other table

        InitcallTables tables = read(image);

        assertThat(functions(tables)).isEqualTo(all());
        assertThat(tables.calls()).allMatch(call -> call.level() == InitcallLevel.DEVICE);
        assertThat(tables.unknown())
                .contains("Initcalls: nothing in init data looks like initcall_levels[].")
                .anyMatch(text -> text.startsWith("Initcalls: levels: the table is only known"));
    }

    @Test
    void ofTwoLongRunsNeitherIsTheTable() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = image(kind);
        for (int i = 0; i < COUNT; i++) {
            image.word(0x3000 + 8 * i, image.at(16 * i + 16));
        }

        InitcallTables tables = read(image);

        assertThat(tables.calls()).isEmpty();
        assertThat(tables.unknown()).anyMatch(text -> text.contains("no run of pointers"));
    }

    @ParameterizedTest
    @EnumSource(EntryKind.class)
    void boundsAreGoneByFirst(EntryKind kind) {
        InitcallTables tables = read(withBounds(image(kind), kind));

        assertThat(functions(tables)).isEqualTo(all());
        assertThat(levels(tables)).isEqualTo(expectedLevels());
    }

    @Test
    void twoPlacesLikeInitcallLevelsAreNeitherOfThem() {
        EntryKind kind = EntryKind.RELATIVE;
        TestImage image = withLevels(image(kind), kind, LEVELS);

        InitcallTables tables = read(withLevels(image, kind, LEVELS + 0x100));

        assertThat(tables.unknown())
                .contains(
                        "Initcalls: more than one place in init data looks like initcall_levels[].")
                .anyMatch(text -> text.startsWith("Initcalls: levels: the table is only"));
        assertThat(functions(tables)).isEqualTo(all());
        assertThat(tables.calls()).allMatch(call -> call.level() == InitcallLevel.DEVICE);
    }

    @Test
    void ofTwoPlacesTheOneWithTheSymbolCounts() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = withLevels(image(kind), kind, LEVELS);
        image.symbol("initcall_levels", LEVELS + 0x100);

        InitcallTables tables = read(withLevels(image, kind, LEVELS + 0x100));

        assertThat(levels(tables)).isEqualTo(expectedLevels());
    }

    @Test
    void boundsOutOfOrderAreNotGoneBy() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = withLevels(image(kind), kind, LEVELS);
        image.symbol("__initcall_start", TABLE);
        for (int level = 0; level < 8; level++) {
            image.symbol("__initcall" + level + "_start", entry(kind, STARTS[7 - level]));
        }
        image.symbol("__initcall_end", entry(kind, STARTS[8]));

        InitcallTables tables = read(image);

        assertThat(levels(tables)).isEqualTo(expectedLevels());
        assertThat(tables.unknown())
                .anyMatch(text -> text.contains("the symbols of their bounds are out of order"));
    }

    @Test
    void boundsOutsideOfTheImageAreNotGoneBy() {
        EntryKind kind = EntryKind.RELATIVE;
        TestImage image = withLevels(image(kind), kind, LEVELS);
        image.symbol("__initcall_start", TABLE);
        for (int level = 0; level < 8; level++) {
            image.symbol("__initcall" + level + "_start", TABLE);
        }
        image.symbolAt("__initcall_end", -4);

        InitcallTables tables = read(image);

        assertThat(levels(tables)).isEqualTo(expectedLevels());
        assertThat(tables.unknown()).anyMatch(text -> text.contains("out of order"));
    }

    @Test
    void boundsInsideOfAnEntryAreNotGoneBy() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = withBounds(withLevels(image(kind), kind, LEVELS), kind);
        image.symbol("__initcallrootfs_start", entry(kind, STARTS[5]) + 2);

        InitcallTables tables = read(image);

        assertThat(levels(tables)).isEqualTo(expectedLevels());
        assertThat(tables.unknown()).anyMatch(text -> text.contains("out of order"));
    }

    @Test
    void tablesWithoutEntriesAreNoCalls() {
        TestImage image = new TestImage(Encoding.ELF32_LSB);
        image.symbol("_stext", 0).symbol("_etext", 8);
        image.symbol("__initcall_start", TABLE).symbol("__initcall_end", TABLE);
        for (int level = 0; level < 8; level++) {
            image.symbol("__initcall" + level + "_start", TABLE);
        }

        InitcallTables tables = read(image);

        assertThat(tables.calls()).isEmpty();
        assertThat(tables.unknown())
                .containsExactly(
                        "Initcalls: consoles: there are no symbols __con_initcall_start,"
                                + " __con_initcall_end.");
    }

    @Test
    void anEntryThatLeadsToNoCodeIsLeftOutAndSaidSo() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = withBounds(image(kind), kind);
        image.word(entry(kind, 4), image.at(0x5000));
        image.word(entry(kind, 6), 0);

        InitcallTables tables = read(image);

        List<String> expected = new ArrayList<>(all());
        expected.removeAll(List.of("f4", "f6"));
        assertThat(functions(tables)).isEqualTo(expected);
        assertThat(tables.unknown())
                .contains(
                        "Initcalls: 2 entries lead to where there is no code, and are left out; the"
                                + " first is that at 0xffffffff81002020.");
    }

    @Test
    void aFunctionWithoutASymbolOfItsOwnHasNoName() {
        EntryKind kind = EntryKind.RELATIVE;
        TestImage image = withBounds(image(kind), kind);
        image.pointer(kind, entry(kind, 0), image.at(0x800));

        InitcallTables tables = read(image);

        assertThat(tables.calls().get(0).name()).isEmpty();
        assertThat(tables.calls().get(0).title()).isEqualTo("0xffffffff81000800");
        assertThat(tables.unknown())
                .contains("Initcalls: names of 1 functions: no symbol has that very address.");
    }

    @Test
    void ofSeveralNamesOfAFunctionTheFirstCounts() {
        EntryKind kind = EntryKind.RELATIVE;
        TestImage image = withBounds(image(kind), kind).symbol("alias", 16);

        assertThat(functions(read(image))).startsWith("f0", "f1");
    }

    @Test
    void entriesThatAreNamedTellTheFormAndTheModule() {
        EntryKind kind = EntryKind.RELATIVE;
        TestImage image = withBounds(image(kind), kind);
        image.symbol("__initcall__kmod_some_mod__12_345_f5" + "2", entry(kind, 5));
        image.symbol("__initcall__kmod_some_mod__13_346_f6" + "2s", entry(kind, 6));
        image.symbol("__initcall__kmod_boot__1_2_f11" + "5s", entry(kind, 11));
        image.symbol("__initcall__kmod_initramfs__3_4_f12" + "rootfs", entry(kind, 12));

        InitcallTables tables = read(image);

        assertThat(tables.calls().subList(5, 7))
                .extracting(Initcall::level)
                .containsExactly(InitcallLevel.POSTCORE, InitcallLevel.POSTCORE_SYNC);
        assertThat(tables.calls().get(6).module()).contains("some_mod");
        assertThat(tables.calls().subList(11, 13))
                .extracting(Initcall::level)
                .containsExactly(InitcallLevel.FS_SYNC, InitcallLevel.ROOTFS);
    }

    @Test
    void entriesOfOldKernelsAreNamedWithoutTheModule() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = withBounds(image(kind), kind);
        image.symbol("__initcall_f14" + "6s", entry(kind, 14));
        image.symbol("__initcall_f17", entry(kind, 17));

        InitcallTables tables = read(image);

        assertThat(tables.calls().get(14).level()).isEqualTo(InitcallLevel.DEVICE_SYNC);
        assertThat(tables.calls().get(14).module()).isEmpty();
        assertThat(tables.calls().get(17).level()).isEqualTo(InitcallLevel.CONSOLE);
    }

    @Test
    void stubsOfLinkTimeOptimisationTellTheFormAndTheModule() {
        EntryKind kind = EntryKind.RELATIVE;
        TestImage image = withLevels(image(kind), kind, LEVELS);
        image.symbol("__initstub__kmod_loop__423_2271_loop_init6", 0x700);
        image.pointer(kind, entry(kind, 13), image.at(0x700));

        Initcall call = read(image).calls().get(13);

        assertThat(call.level()).isEqualTo(InitcallLevel.DEVICE);
        assertThat(call.module()).contains("loop");
        assertThat(call.name()).isEqualTo("__initstub__kmod_loop__423_2271_loop_init6");
    }

    @Test
    void securityCallsHaveBoundsOfTheirOwn() {
        EntryKind kind = EntryKind.ABSOLUTE;
        TestImage image = withBounds(image(kind), kind);
        image.symbol("__security_initcall_start", 0x2800)
                .symbol("__security_initcall_end", 0x2808)
                .symbol("selinux_init", 0x900)
                .word(0x2800, image.at(0x900));

        List<Initcall> calls = read(image).calls();

        assertThat(calls.get(calls.size() - 1).name()).isEqualTo("selinux_init");
        assertThat(calls.get(calls.size() - 1).level()).isEqualTo(InitcallLevel.SECURITY);
    }

    @Test
    void whereNothingIsKnownItSaysSo() {
        InitcallTables tables = read(new TestImage(Encoding.ELF32_MSB));

        assertThat(tables.calls()).isEmpty();
        assertThat(tables.range()).isEmpty();
        assertThat(tables.unknown()).anyMatch(text -> text.contains("no run of pointers"));
    }
}

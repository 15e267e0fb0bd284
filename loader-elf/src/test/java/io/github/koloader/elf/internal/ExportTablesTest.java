package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class ExportTablesTest {
    private static final int TABLE = 0x2000;
    private static final int PLAIN = 12;
    private static final int GPL = 4;

    private final Encoding encoding = Encoding.ELF64_LSB;
    private final ExportEntryForm form = ExportEntryForm.ALL.get(0); // of 12 bytes
    private final TestImage image = new TestImage(encoding);

    static Stream<Object[]> forms() {
        return Stream.of(Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB)
                .flatMap(
                        encoding ->
                                ExportEntryForm.ALL.stream()
                                        .map(form -> new Object[] {encoding, form}));
    }

    /** Tables of p00 … p11, and GPL-only g00 … g03, at 16-byte functions; no bounds. */
    private static TestImage tables(Encoding encoding, ExportEntryForm form) {
        TestImage image = new TestImage(encoding);
        int entry = TABLE;
        for (int i = 0; i < PLAIN + GPL; i++, entry += form.size(encoding)) {
            String name = i < PLAIN ? "p%02d".formatted(i) : "g%02d".formatted(i - PLAIN);
            write(image, encoding, form, entry, name, i == 1 ? "NS:x" : "");
            image.pointer(form.kind(), entry, image.at(16 * i + 16));
        }
        return image;
    }

    private static void write(
            TestImage image,
            Encoding encoding,
            ExportEntryForm form,
            int entry,
            String name,
            String namespace) {
        int field = form.kind().size(encoding);
        image.pointer(form.kind(), entry + field, image.text(name));
        if (form.fields() == 3) {
            image.pointer(form.kind(), entry + 2 * field, image.text(namespace));
        }
    }

    private static TestImage bounded(TestImage image, Encoding encoding, ExportEntryForm form) {
        int size = form.size(encoding);
        return image.symbol("__start___ksymtab", TABLE)
                .symbol("__stop___ksymtab", TABLE + PLAIN * size)
                .symbol("__start___ksymtab_gpl", TABLE + PLAIN * size)
                .symbol("__stop___ksymtab_gpl", TABLE + (PLAIN + GPL) * size);
    }

    private static ExportTables read(TestImage image) {
        return new ExportTables(image.image(), image.index()).read();
    }

    private static void assertAll(ExportTables tables, TestImage image, ExportEntryForm form) {
        assertThat(tables.exports()).hasSize(PLAIN + GPL);
        for (int i = 0; i < PLAIN + GPL; i++) {
            assertThat(tables.exports().get(i))
                    .isEqualTo(
                            new ExportedSymbol(
                                    i < PLAIN ? "p%02d".formatted(i) : "g%02d".formatted(i - PLAIN),
                                    new Address(image.at(16 * i + 16)),
                                    i >= PLAIN,
                                    i == 1 && form.fields() == 3 ? "NS:x" : "",
                                    OptionalInt.empty()));
        }
    }

    @ParameterizedTest
    @MethodSource("forms")
    void theFormIsToldByContent(Encoding encoding, ExportEntryForm form) {
        TestImage image = bounded(tables(encoding, form), encoding, form);

        ExportTables tables = read(image);

        assertAll(tables, image, form);
        assertThat(tables.unknown()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("forms")
    void withoutBoundsTheTablesAreWhereNamesAscend(Encoding encoding, ExportEntryForm form) {
        TestImage image = tables(encoding, form);

        ExportTables tables = read(image);

        assertAll(tables, image, form);
        assertThat(tables.unknown()).isEmpty();
    }

    @Test
    void oneTableAloneDoesNotTellWhatIsGplOnly() {
        for (int i = 0; i < PLAIN; i++) {
            write(image, encoding, form, TABLE + 12 * i, "p%02d".formatted(i), "");
        }

        ExportTables tables = read(image);

        assertThat(tables.exports()).hasSize(PLAIN).noneMatch(ExportedSymbol::gplOnly);
        assertThat(tables.unknown()).anyMatch(text -> text.startsWith("Exports: which are GPL-o"));
    }

    @Test
    void twoTablesApartAreNeitherOfThem() {
        for (int i = 0; i < PLAIN; i++) {
            write(image, encoding, form, TABLE + 12 * i, "p%02d".formatted(i), "");
            write(image, encoding, form, TABLE + 0x800 + 12 * i, "q%02d".formatted(i), "");
        }

        ExportTables tables = read(image);

        assertThat(tables.exports()).isEmpty();
        assertThat(tables.unknown()).anyMatch(text -> text.contains("stands out"));
    }

    private static int crc(int entry) {
        return 0x9e3779b9 * (entry + 1) | 0x40000000;
    }

    private static List<OptionalInt> crcs() {
        return IntStream.range(0, PLAIN + GPL).mapToObj(i -> OptionalInt.of(crc(i))).toList();
    }

    private static List<OptionalInt> crcs(ExportTables tables) {
        return tables.exports().stream().map(ExportedSymbol::crc).toList();
    }

    @Test
    void crcsOf32BitsAreBetweenTheTablesAndTheNames() {
        int end = TABLE + (PLAIN + GPL) * 12;
        TestImage moved = tablesWithNamesAt(end + 4 * (PLAIN + GPL));
        for (int i = 0; i < PLAIN + GPL; i++) {
            moved.integer(end + 4 * i, crc(i));
        }

        assertThat(crcs(read(moved))).isEqualTo(crcs());
    }

    @Test
    void crcsMayBeWords() {
        int end = TABLE + (PLAIN + GPL) * 12;
        TestImage moved = tablesWithNamesAt(end + 8 * (PLAIN + GPL));
        for (int i = 0; i < PLAIN + GPL; i++) {
            moved.word(end + 8 * i, crc(i) & 0xffff_ffffL);
        }

        assertThat(crcs(read(moved))).isEqualTo(crcs());
    }

    @Test
    void crcsMayBeElsewhereAtADistance() {
        int end = TABLE + (PLAIN + GPL) * 12;
        TestImage moved = tablesWithNamesAt(end + 4 * (PLAIN + GPL));
        for (int i = 0; i < PLAIN + GPL; i++) {
            moved.integer(0x5000 + 4 * i, crc(i));
            moved.integer(end + 4 * i, 0x5000 - end);
        }

        assertThat(crcs(read(moved))).isEqualTo(crcs());
    }

    @Test
    void symbolsTellWhereCrcsAre() {
        TestImage tables = bounded(tables(encoding, form), encoding, form);
        tables.symbol("__start___kcrctab", 0x4000).symbol("__start___kcrctab_gpl", 0x4100);
        for (int i = 0; i < PLAIN + GPL; i++) {
            tables.word(i < PLAIN ? 0x4000 + 8 * i : 0x4100 + 8 * (i - PLAIN), crc(i));
        }

        assertThat(crcs(read(tables))).isEqualTo(crcs());
    }

    @Test
    void crcsOutsideOfTheImageAreNone() {
        TestImage tables = bounded(tables(encoding, form), encoding, form);
        tables.symbolAt("__start___kcrctab", -8).symbol("__start___kcrctab_gpl", 0x7ffc);

        assertThat(crcs(read(tables))).allMatch(OptionalInt::isEmpty);
    }

    /** The tables of form 0, with their names and namespaces from an offset on. */
    private TestImage tablesWithNamesAt(int offset) {
        TestImage moved = new TestImage(encoding, offset);
        for (int i = 0; i < PLAIN + GPL; i++) {
            String name = i < PLAIN ? "p%02d".formatted(i) : "g%02d".formatted(i - PLAIN);
            write(moved, encoding, form, TABLE + 12 * i, name, "");
        }
        return moved;
    }

    @Test
    void aWrongNameIsLeftOutAndSaidSo() {
        TestImage tables = bounded(tables(encoding, form), encoding, form);
        tables.integer(TABLE + 12 * 3 + 4, 0x7fffffff);

        ExportTables read = read(tables);

        assertThat(read.exports()).hasSize(PLAIN + GPL - 1);
        assertThat(read.unknown())
                .containsExactly("Exports: 1 entries have no name and are left out.");
    }

    @Test
    void aTableOutOfOrderIsSaidSo() {
        TestImage tables = bounded(tables(encoding, form), encoding, form);
        write(tables, encoding, form, TABLE + 12 * 3, "a", "");

        assertThat(read(tables).unknown())
                .anyMatch(text -> text.startsWith("Exports: __ksymtab is not sorted"));
    }

    @Test
    void anExportAtAnotherAddressThanItsSymbolIsSaidSo() {
        TestImage tables = bounded(tables(encoding, form), encoding, form).symbol("p03", 0x900);

        assertThat(read(tables).unknown())
                .containsExactly(
                        "Exports: 1 are not at the address of a symbol of their name, such as"
                                + " p03.");
    }

    @Test
    void boundsOutsideOfTheImageAreNotGoneBy() {
        TestImage tables = tables(encoding, form);
        tables.symbol("__start___ksymtab", TABLE).symbolAt("__stop___ksymtab", -4);

        ExportTables read = read(tables);

        assertAll(read, tables, form);
        assertThat(read.unknown())
                .containsExactly("Exports: the symbols of __ksymtab bound nothing in the image.");
    }

    @Test
    void whatIsBoundedButNoTableIsSaidSo() {
        TestImage none = new TestImage(encoding);
        none.symbol("__start___ksymtab", 0x100).symbol("__stop___ksymtab", 0x1000);

        assertThat(read(none).exports()).isEmpty();
        assertThat(read(none).unknown())
                .contains("Exports: their tables are of no form that is known.");
    }

    @Test
    void namesWithoutEndAreGivenUpOnInTheEnd() {
        TestImage endless = new TestImage(encoding, 0x6000, (byte) 'a');
        for (int at = 0; at < 0x4000; at += 4) {
            endless.integer(at, 0x4000 - at + at / 4 % 64);
        }

        assertThat(read(endless).exports()).isEmpty();
    }
}

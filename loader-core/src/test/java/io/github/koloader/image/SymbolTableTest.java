package io.github.koloader.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.Images;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class SymbolTableTest {
    static Encoding[] encodings() {
        return new Encoding[] {
            Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB
        };
    }

    private static SymbolTable table(Encoding encoding, Symbol... symbols) {
        ImageBuilder builder = new ImageBuilder(0x7e57, encoding, true);
        builder.section(Images.text(16));
        for (Symbol symbol : symbols) {
            builder.symbol(symbol);
        }
        return builder.build().symbols();
    }

    /** One 64-bit symbol with that name offset in these strings. */
    private static SymbolTable named(int nameOffset, String strings) {
        ByteBuffer entry =
                ByteBuffer.allocate(24)
                        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
                        .putInt(0, nameOffset);
        return new SymbolTable(
                Bytes.copyOf(entry.array()),
                Bytes.copyOf(strings.getBytes(StandardCharsets.ISO_8859_1)),
                Encoding.ELF64_LSB);
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void everyFieldIsReadInEveryEncoding(Encoding encoding) {
        Symbol symbol =
                new Symbol(
                        "f",
                        Binding.WEAK,
                        Symbol.FUNC,
                        3,
                        new Symbol.InSection(1),
                        0x8000_0001L,
                        0xffff_ff00L);
        assertThat(table(encoding, symbol).symbol(1)).isEqualTo(symbol);
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void reservedPlacesAreTold(Encoding encoding) {
        SymbolTable table =
                table(
                        encoding,
                        new Symbol("a", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 1, 0),
                        new Symbol("c", Binding.GLOBAL, 0, 0, new Symbol.Common(), 8, 4),
                        new Symbol("l", Binding.GLOBAL, 0, 0, new Symbol.Reserved(0xff20), 0, 0),
                        Symbol.undefined("u"));
        assertThat(table.place(1)).isEqualTo(new Symbol.Absolute());
        assertThat(table.place(2)).isEqualTo(new Symbol.Common());
        assertThat(table.place(3)).isEqualTo(new Symbol.Reserved(SymbolTable.LIVEPATCH));
        assertThat(table.place(4)).isEqualTo(new Symbol.Undefined());
    }

    @Test
    void symbolZeroIsUnnamedAndUndefined() {
        SymbolTable table = table(Encoding.ELF64_LSB);
        assertThat(table.count()).isEqualTo(1);
        assertThat(table.name(0)).isEmpty();
        assertThat(table.place(0)).isEqualTo(new Symbol.Undefined());
    }

    @Test
    void localSymbolsComeFirstInABuiltTable() {
        SymbolTable table =
                table(
                        Encoding.ELF64_LSB,
                        Symbol.undefined("global"),
                        Symbol.object("local", 1, 0, 4));
        assertThat(table.name(1)).isEqualTo("local");
        assertThat(table.name(2)).isEqualTo("global");
    }

    @Test
    void aRestShorterThanAnEntryIsNotLookedAt() {
        assertThat(
                        new SymbolTable(Bytes.copyOf(new byte[47]), Bytes.EMPTY, Encoding.ELF64_LSB)
                                .count())
                .isEqualTo(1);
        assertThat(
                        new SymbolTable(Bytes.copyOf(new byte[47]), Bytes.EMPTY, Encoding.ELF32_LSB)
                                .count())
                .isEqualTo(2);
    }

    @Test
    void aNameOutsideTheStringsReadsAsEmpty() {
        for (int offset : new int[] {5, 6, Integer.MAX_VALUE, -1, Integer.MIN_VALUE}) {
            SymbolTable table = named(offset, "\0abc\0");
            assertThat(table.name(0)).isEmpty();
            assertThat(table.nameLength(0)).isZero();
            assertThat(table.nameHash(0)).isEqualTo(SymbolTable.hashOf(""));
            assertThat(table.isNamed(0, "")).isTrue();
            assertThat(table.isNamed(0, "abc")).isFalse();
            assertThat(table.isNamed(0, new byte[0])).isTrue();
            assertThat(table.isNamed(0, new byte[] {'a'})).isFalse();
        }
    }

    @Test
    void aNameWithoutNulEndsWithTheStrings() {
        SymbolTable table = named(1, "\0abc");
        assertThat(table.name(0)).isEqualTo("abc");
        assertThat(table.isNamed(0, "abc")).isTrue();
        assertThat(table.isNamed(0, "abcd")).isFalse();
    }

    @Test
    void aPrefixOfANameIsAnotherName() {
        SymbolTable table = named(1, "\0abc\0");
        assertThat(table.isNamed(0, "ab")).isFalse();
        assertThat(table.isNamed(0, "abc")).isTrue();
        assertThat(table.isNamed(0, new byte[] {'a', 'b'})).isFalse();
        assertThat(table.isNamed(0, new byte[] {'a', 'b', 'c'})).isTrue();
        assertThat(table.isNamed(0, "")).isFalse();
    }

    @Test
    void theHashOfANameIsThatOfItsText() {
        SymbolTable table = named(1, "\0\u00ffx\u0080\0");
        assertThat(table.nameHash(0)).isEqualTo(SymbolTable.hashOf(table.name(0)));
    }

    @Test
    void indexOfFindsTheFirstOfThatName() {
        SymbolTable table =
                table(Encoding.ELF32_MSB, Symbol.object("x", 1, 4, 0), Symbol.object("x", 1, 8, 0));
        assertThat(table.indexOf("x")).isEqualTo(1);
        assertThat(table.indexOf("y")).isEqualTo(-1);
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void copiedEntriesKeepAllButNameAndValue(Encoding encoding) {
        SymbolTable table = table(encoding, Symbol.function("abc", 1, 4, 7));
        byte[] target = new byte[encoding.symbolSize() + 10];
        table.copyEntry(1, target, 0, 0x1234, 3);
        int length = table.copyName(1, target, encoding.symbolSize() + 3);
        SymbolTable copy =
                new SymbolTable(
                        Bytes.copyOf(target).slice(0, encoding.symbolSize()),
                        Bytes.copyOf(target).slice(encoding.symbolSize()),
                        encoding);
        assertThat(length).isEqualTo(4);
        assertThat(copy.symbol(0))
                .isEqualTo(
                        new Symbol(
                                "abc",
                                Binding.GLOBAL,
                                Symbol.FUNC,
                                0,
                                new Symbol.InSection(1),
                                0x1234,
                                7));
    }

    @Test
    void anIndexBeyondTheTableIsTheCallersMistake() {
        SymbolTable table = table(Encoding.ELF64_LSB);
        assertThatThrownBy(() -> table.value(1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> table.name(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void bindingsThatTheLoaderDoesNotKnowAreOther() {
        SymbolTable table =
                table(
                        Encoding.ELF64_LSB,
                        new Symbol(
                                "u",
                                Binding.OTHER,
                                Symbol.OBJECT,
                                0,
                                new Symbol.InSection(1),
                                0,
                                0));
        assertThat(table.binding(1)).isEqualTo(Binding.OTHER);
        assertThat(table.isWeak(1)).isFalse();
    }
}

package io.github.koloader.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.Images;
import io.github.koloader.image.RelocationTable.Format;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class RelocationTableTest {
    private static RelocationTable table(Encoding encoding, Format format, ByteBuffer entries) {
        return new RelocationTable(5, 3, Bytes.copyOf(entries.array()), encoding, format);
    }

    private static ByteBuffer buffer(Encoding encoding, int size) {
        return ByteBuffer.allocate(size).order(encoding.byteOrder());
    }

    private static Encoding encoding(int wordSize, String order) {
        return new Encoding(
                wordSize, order.equals("big") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    }

    @ParameterizedTest
    @CsvSource({"little", "big"})
    void rel32PacksSymbolAndType(String order) {
        Encoding encoding = encoding(4, order);
        RelocationTable table =
                table(
                        encoding,
                        Format.REL32,
                        buffer(encoding, 8).putInt(0xffff_fff0).putInt(0xabcdef << 8 | 0x91));
        assertThat(table.count()).isEqualTo(1);
        assertThat(table.offset(0)).isEqualTo(0xffff_fff0L);
        assertThat(table.type(0)).isEqualTo(0x91);
        assertThat(table.symbolIndex(0)).isEqualTo(0xabcdef);
        assertThat(table.addend(0)).isZero();
        assertThat(table.hasAddends()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"little", "big"})
    void rela32HasASignedAddend(String order) {
        Encoding encoding = encoding(4, order);
        RelocationTable table =
                table(
                        encoding,
                        Format.RELA32,
                        buffer(encoding, 12).putInt(4).putInt(2 << 8 | 1).putInt(-4));
        assertThat(table.offset(0)).isEqualTo(4);
        assertThat(table.type(0)).isEqualTo(1);
        assertThat(table.symbolIndex(0)).isEqualTo(2);
        assertThat(table.addend(0)).isEqualTo(-4);
    }

    @ParameterizedTest
    @CsvSource({"little", "big"})
    void rel64HasTypeInTheLowHalf(String order) {
        Encoding encoding = encoding(8, order);
        RelocationTable table =
                table(
                        encoding,
                        Format.REL64,
                        buffer(encoding, 16).putLong(8).putLong(0x12345678_9abcdef0L));
        assertThat(table.offset(0)).isEqualTo(8);
        assertThat(table.symbolIndex(0)).isEqualTo(0x12345678);
        assertThat(table.type(0)).isEqualTo(0x9abcdef0);
        assertThat(table.addend(0)).isZero();
    }

    @ParameterizedTest
    @CsvSource({"little", "big"})
    void rela64HasALongAddend(String order) {
        Encoding encoding = encoding(8, order);
        RelocationTable table =
                table(
                        encoding,
                        Format.RELA64,
                        buffer(encoding, 24)
                                .putLong(-8)
                                .putLong(7L << 32 | 11)
                                .putLong(Long.MIN_VALUE));
        assertThat(table.offset(0)).isEqualTo(-8);
        assertThat(table.symbolIndex(0)).isEqualTo(7);
        assertThat(table.type(0)).isEqualTo(11);
        assertThat(table.addend(0)).isEqualTo(Long.MIN_VALUE);
    }

    @ParameterizedTest
    @CsvSource({"little", "big"})
    void mips64SplitsItsInfoIntoSymbolAndThreeTypes(String order) {
        Encoding encoding = encoding(8, order);
        ByteBuffer entry = buffer(encoding, 24).putLong(0x10).putInt(0x01020304);
        entry.put((byte) 0).put((byte) 5).put((byte) 24).put((byte) 7).putLong(-1);
        RelocationTable table = table(encoding, Format.MIPS_RELA64, entry);
        assertThat(table.symbolIndex(0)).isEqualTo(0x01020304);
        assertThat(table.type(0)).isEqualTo(7 | 24 << 8 | 5 << 16);
        assertThat(table.addend(0)).isEqualTo(-1);
    }

    @ParameterizedTest
    @CsvSource({"little", "big"})
    void mips64WithoutAddendsHasTheSameInfo(String order) {
        Encoding encoding = encoding(8, order);
        ByteBuffer entry = buffer(encoding, 16).putLong(0x10).putInt(9);
        entry.put((byte) 0).put((byte) 0).put((byte) 0).put((byte) 18);
        RelocationTable table = table(encoding, Format.MIPS_REL64, entry);
        assertThat(table.symbolIndex(0)).isEqualTo(9);
        assertThat(table.type(0)).isEqualTo(18);
        assertThat(table.addend(0)).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "4, little, false, 3, REL32", "4, big, true, 8, RELA32", "8, little, false, 8, MIPS_REL64",
        "8, big, true, 8, MIPS_RELA64", "8, little, true, 62, RELA64", "8, big, false, 22, REL64"
    })
    void theFormatFollowsFromClassTypeAndMachine(
            int wordSize, String order, boolean addends, int machine, Format format) {
        assertThat(Format.of(encoding(wordSize, order), addends, machine)).isEqualTo(format);
        assertThat(format.hasAddends()).isEqualTo(addends);
    }

    @ParameterizedTest
    @CsvSource({
        "4, little, false, 3",
        "4, big, true, 20",
        "8, little, true, 62",
        "8, big, false, 22",
        "8, big, true, 8",
        "8, little, false, 8"
    })
    void builtEntriesReadBack(int wordSize, String order, boolean addends, int machine) {
        ImageBuilder builder = new ImageBuilder(machine, encoding(wordSize, order), addends);
        int text = builder.section(Images.text(16));
        int symbol = builder.symbol(Symbol.undefined("f"));
        ModuleImage image =
                builder.relocate(text, new Relocation(12, 0x12, symbol, addends ? -3 : 0)).build();
        RelocationTable table = image.relocationsFor(text).get(0);
        assertThat(table.offset(0)).isEqualTo(12);
        assertThat(table.type(0)).isEqualTo(0x12);
        assertThat(image.symbols().name(table.symbolIndex(0))).isEqualTo("f");
        assertThat(table.addend(0)).isEqualTo(addends ? -3 : 0);
        assertThat(image.section(table.section()).name())
                .isEqualTo((addends ? ".rela" : ".rel") + ".text");
    }

    @Test
    void aRestShorterThanAnEntryIsNotLookedAt() {
        assertThat(table(Encoding.ELF64_LSB, Format.RELA64, ByteBuffer.allocate(47)).count())
                .isEqualTo(1);
    }

    @Test
    void indexOfOffsetFindsTheFirstEntryThere() {
        RelocationTable table =
                table(
                        Encoding.ELF32_LSB,
                        Format.REL32,
                        buffer(Encoding.ELF32_LSB, 24)
                                .putInt(4)
                                .putInt(0)
                                .putInt(8)
                                .putInt(0)
                                .putInt(8)
                                .putInt(0));
        assertThat(table.indexOfOffset(8)).isEqualTo(1);
        assertThat(table.indexOfOffset(5)).isEqualTo(-1);
    }

    @Test
    void anIndexBeyondTheTableIsTheCallersMistake() {
        RelocationTable table = table(Encoding.ELF64_LSB, Format.RELA64, ByteBuffer.allocate(24));
        assertThatThrownBy(() -> table.offset(1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> table.type(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }
}

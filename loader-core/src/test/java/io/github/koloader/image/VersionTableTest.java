package io.github.koloader.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

final class VersionTableTest {
    private static VersionTable table(Encoding encoding) {
        ImageBuilder builder = new ImageBuilder(1, encoding, true);
        return builder.version("module_layout", 0xfedcba98).version("printk", 7).build().versions();
    }

    @Test
    void crcsAreUnsignedWords() {
        for (Encoding encoding : SymbolTableTest.encodings()) {
            assertThat(table(encoding).crc(0)).isEqualTo(0xfedcba98L);
            assertThat(table(encoding).crc(1)).isEqualTo(7);
        }
    }

    @Test
    void namesAreReadInEveryEncoding() {
        for (Encoding encoding : SymbolTableTest.encodings()) {
            assertThat(table(encoding).name(0)).isEqualTo("module_layout");
            assertThat(table(encoding).indexOf("printk")).isEqualTo(1);
            assertThat(table(encoding).indexOf("print")).isEqualTo(-1);
        }
    }

    @Test
    void aNameThatFillsItsEntryEndsWithIt() {
        byte[] entries = new byte[128];
        Arrays.fill(entries, 8, 64, (byte) 'x');
        Arrays.fill(entries, 64, 128, (byte) 'y');
        VersionTable table = new VersionTable(Bytes.copyOf(entries), Encoding.ELF64_LSB);
        assertThat(table.name(0)).isEqualTo("x".repeat(56));
        assertThat(table.nameHash(0)).isEqualTo(SymbolTable.hashOf("x".repeat(56)));
    }

    @Test
    void theFirstOfTwoEntriesWithOneNameIsFound() {
        ImageBuilder builder =
                new ImageBuilder(1, Encoding.ELF64_LSB, true).version("a", 1).version("a", 2);
        assertThat(builder.build().versions().indexOf("a")).isZero();
    }

    @Test
    void hashesAndNamesAgreeWithThoseOfSymbols() {
        ImageBuilder builder =
                new ImageBuilder(1, Encoding.ELF64_LSB, true)
                        .version("printk", 7)
                        .version("print", 8);
        builder.symbol(Symbol.undefined("printk"));
        ModuleImage image = builder.build();
        VersionTable versions = image.versions();
        assertThat(versions.nameHash(0)).isEqualTo(image.symbols().nameHash(1));
        assertThat(versions.sameName(0, image.symbols(), 1)).isTrue();
        assertThat(versions.sameName(1, image.symbols(), 1)).isFalse();
    }

    @Test
    void aRestShorterThanAnEntryIsNotLookedAt() {
        assertThat(new VersionTable(Bytes.copyOf(new byte[127]), Encoding.ELF64_LSB).count())
                .isEqualTo(1);
    }

    @Test
    void anIndexBeyondTheTableIsTheCallersMistake() {
        assertThatThrownBy(() -> VersionTable.EMPTY.crc(0))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }
}

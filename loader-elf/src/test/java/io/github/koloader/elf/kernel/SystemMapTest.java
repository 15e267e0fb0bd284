package io.github.koloader.elf.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class SystemMapTest {
    private static final String TEXT =
            "ffffffff81000000 T _text\nffffffff81234560 T _printk\nffffffff82000000 r __ksymtab__printk\n";

    @Test
    void addressesAreUnsigned() throws IOException {
        SystemMap map = SystemMap.parse(TEXT, "x");
        assertThat(map.address("_printk")).contains(new Address(0xffffffff_81234560L));
        assertThat(map.address("other")).isEmpty();
        assertThat(map.addresses().keySet())
                .containsExactly("_text", "_printk", "__ksymtab__printk");
    }

    @Test
    void addressesOf32BitsAreRead() throws IOException {
        assertThat(SystemMap.parse("c1000000 T _text", "x").address("_text"))
                .contains(new Address(0xc100_0000L));
    }

    @Test
    void theFirstSymbolOfANameCounts() throws IOException {
        assertThat(SystemMap.parse("01 t f\n02 t f\n", "x").address("f")).contains(new Address(1));
    }

    @Test
    void symbolsOfModulesArePassedOver() throws IOException {
        assertThat(SystemMap.parse("01 t f\t[hello]\n02 t g\n", "x").addresses())
                .containsOnlyKeys("g");
    }

    @Test
    void theTableHasEveryLineWithItsLetter() throws IOException {
        KernelSymbolTable table =
                SystemMap.parse("01 t f\n01 T g\n02 t f\n03 t h\t[hello]\n", "x").table();
        assertThat(table.count()).isEqualTo(3);
        assertThat(table.letter(1)).isEqualTo('T');
        assertThat(table.name(2)).isEqualTo("f");
        assertThat(table.address(2)).isEqualTo(new Address(2));
    }

    @Test
    void whatHasAKsymtabEntryIsExported() throws IOException {
        SystemMap map = SystemMap.parse(TEXT, "x");
        assertThat(map.symbols().find("_printk"))
                .contains(ExportedSymbol.of("_printk", new Address(0xffffffff_81234560L)));
        assertThat(map.symbols().find("_text")).isEmpty();
    }

    @Test
    void exportsAreListed() throws IOException {
        assertThat(SystemMap.parse(TEXT + "03 r __ksymtab_nowhere\n", "x").exports())
                .containsExactly(ExportedSymbol.of("_printk", new Address(0xffffffff_81234560L)));
    }

    @Test
    void withoutKsymtabEntriesEverythingIsExported() throws IOException {
        assertThat(SystemMap.parse("01 T f\n", "x").symbols().find("f")).isPresent();
    }

    @Test
    void aFileIsReadByItsPath(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("System.map"), TEXT);
        assertThat(SystemMap.read(file).addresses()).hasSize(3);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "x",
                "ffff T",
                "ffff TT f",
                "zz T f",
                " T f",
                "ffff T ",
                "ffff f",
                "10000000000000000 T f"
            })
    void aMalformedLineIsNamedWithItsNumber(String line) {
        assertThatThrownBy(() -> SystemMap.parse(TEXT + line, "System.map"))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith("System.map:4: ");
    }

    @Test
    void aLongLineIsNamedByItsBeginning() {
        assertThatThrownBy(() -> SystemMap.parse("x".repeat(1 << 20), "x"))
                .hasMessage("x:1: not address, type and name: " + "x".repeat(200) + "...");
    }

    @Test
    void linesMayEndWithACarriageReturn() throws IOException {
        assertThat(SystemMap.parse("01 t f\r\n02 t g\r\n03 t h\t[m]\r\n", "x").addresses())
                .containsOnlyKeys("f", "g");
    }

    @Test
    void theWordSizeIsThatOfTheAddresses() throws IOException {
        assertThat(SystemMap.parse("c1000000 T _text\n", "x").wordSize()).isEqualTo(4);
        assertThat(SystemMap.parse("00000000c1000000 T _text\n", "x").wordSize()).isEqualTo(8);
    }

    @ParameterizedTest
    @CsvSource({
        "ffffffff81000000 T _text, true",
        "00 a x, true",
        "\u007fELF, false",
        "'', false",
        "c1000000 T, false",
        "hello world, false"
    })
    void aMapIsRecognisedByItsBeginning(String beginning, boolean expected, @TempDir Path directory)
            throws IOException {
        assertThat(SystemMap.isOne(Files.writeString(directory.resolve("x"), beginning)))
                .isEqualTo(expected);
    }
}

package io.github.koloader.elf.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelSymbols;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.kernel.ModuleSymvers.Entry;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ModuleSymversTest {
    private static final String TEXT =
            "0xfedcba98\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n"
                    + "0x00000001\tkmalloc\tvmlinux\tEXPORT_SYMBOL_GPL\tMM\n"
                    + "0x00000002\tfoo\tdrivers/foo\tEXPORT_SYMBOL\t\n";

    @Test
    void linesAreReadInOrder() throws IOException {
        assertThat(ModuleSymvers.parse(TEXT, "x").entries())
                .containsExactly(
                        new Entry("_printk", 0xfedcba98, "vmlinux", false, ""),
                        new Entry("kmalloc", 1, "vmlinux", true, "MM"),
                        new Entry("foo", 2, "drivers/foo", false, ""));
    }

    @Test
    void linesOfOlderKernelsHaveNoNamespace() throws IOException {
        assertThat(ModuleSymvers.parse("0x00000001\tf\tvmlinux\tEXPORT_SYMBOL_GPL", "x").entries())
                .containsExactly(new Entry("f", 1, "vmlinux", true, ""));
    }

    @Test
    void aFileIsReadByItsPath(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("Module.symvers"), TEXT);
        assertThat(ModuleSymvers.read(file).entries()).hasSize(3);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "x",
                "0x1\tf\tvmlinux",
                "0xzz\tf\tvmlinux\tEXPORT_SYMBOL\t",
                "\tf\tvmlinux\tEXPORT_SYMBOL\t",
                "0x1\t\tvmlinux\tEXPORT_SYMBOL\t",
                "0x1\tf\t\tEXPORT_SYMBOL\t",
                "0x1\tf\tvmlinux\tEXPORT_SYMBOL\tNS\tmore",
                "0x123456789\tf\tvmlinux\tEXPORT_SYMBOL\t",
                "0x\tf\tvmlinux\tEXPORT_SYMBOL\t",
                "-1\tf\tvmlinux\tEXPORT_SYMBOL\t"
            })
    void aMalformedLineIsNamedWithItsNumber(String line) {
        assertThatThrownBy(() -> ModuleSymvers.parse(TEXT + line + "\n", "Module.symvers"))
                .isInstanceOf(IOException.class)
                .hasMessage("Module.symvers:4: parse error in symbol dump file");
    }

    @Test
    void onlyTheKernelsOwnSymbolsAreItsExports() throws IOException {
        KernelSymbols symbols = ModuleSymvers.parse(TEXT, "x").symbols(Architectures.X86_64);
        assertThat(symbols.find("_printk").orElseThrow().crc())
                .isEqualTo(OptionalInt.of(0xfedcba98));
        assertThat(symbols.find("kmalloc").orElseThrow().gplOnly()).isTrue();
        assertThat(symbols.find("kmalloc").orElseThrow().namespace()).isEqualTo("MM");
        assertThat(symbols.find("foo")).isEmpty();
        assertThat(symbols.find("bar")).isEmpty();
    }

    @Test
    void symbolsWithoutAddressGetDifferentOnesInTheKernelsText() throws IOException {
        KernelSymbols symbols = ModuleSymvers.parse(TEXT, "x").symbols(Architectures.X86_64);
        Address one = symbols.find("_printk").orElseThrow().address();
        Address other = symbols.find("kmalloc").orElseThrow().address();
        assertThat(one).isNotEqualTo(other);
        assertThat(Architectures.X86_64.kernelText().contains(one)).isTrue();
        assertThat(Architectures.X86_64.kernelText().contains(other)).isTrue();
    }

    @Test
    void givenAddressesAreTaken() throws IOException {
        KernelSymbols symbols =
                ModuleSymvers.parse(TEXT, "x")
                        .symbols(
                                Architectures.X86_64,
                                name ->
                                        name.equals("_printk")
                                                ? Optional.of(new Address(7))
                                                : Optional.empty());
        assertThat(symbols.find("_printk").map(ExportedSymbol::address)).contains(new Address(7));
        assertThat(symbols.find("kmalloc").orElseThrow().address()).isNotEqualTo(new Address(7));
    }

    @Test
    void aKernelWithoutVersionsHasNoCrcs() throws IOException {
        ModuleSymvers symvers =
                ModuleSymvers.parse("0x00000000\tf\tvmlinux\tEXPORT_SYMBOL\t\n", "x");
        assertThat(symvers.versioned()).isFalse();
        assertThat(symvers.symbols(Architectures.X86_64).find("f").orElseThrow().crc()).isEmpty();
    }

    @Test
    void anEmptyFileHasNoSymbols() throws IOException {
        assertThat(ModuleSymvers.parse("", "x").entries()).isEmpty();
        assertThat(ModuleSymvers.parse("\n\n", "x").entries()).isEmpty();
    }
}

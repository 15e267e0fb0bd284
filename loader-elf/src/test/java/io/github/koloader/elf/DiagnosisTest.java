package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Diagnosis;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.internal.ElfFailures;
import io.github.koloader.elf.kernel.ModuleSymvers;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What people are told about real modules and what became of them. */
final class DiagnosisTest {
    private static Diagnosis reading(byte[] file) {
        return reading(file, Architectures.X86_64);
    }

    private static Diagnosis reading(byte[] file, Architecture architecture) {
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class,
                        () -> KoReader.of(architecture).readImage(Bytes.copyOf(file)));
        assertThat(failure).isNotNull();
        return failure.diagnosis();
    }

    private static Diagnosis loading(KernelConfig config, KernelSymbols symbols, byte[] file) {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(config)
                        .symbols(symbols)
                        .strict()
                        .build();
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class, () -> kernel.load(KoReader.read(file), ""));
        assertThat(failure).isNotNull();
        return failure.diagnosis();
    }

    @Test
    void aModuleForAnotherArchitectureIsNamed() {
        Diagnosis diagnosis = reading(Kos.real("arm64/hello.ko"));
        assertThat(diagnosis.cause())
                .isEqualTo("The file is for arm64, this kernel is for x86-64.");
        assertThat(diagnosis.location()).isEqualTo("ELF header, e_machine at file offset 0x12");
    }

    @Test
    void aCutFileLacksBytes() {
        byte[] file = Kos.real("x86_64/hello.ko");
        Diagnosis diagnosis = reading(Arrays.copyOf(file, file.length - 100));
        assertThat(diagnosis.cause())
                .startsWith("The section headers are said to be at offset 0x")
                .endsWith(" At least 100 bytes are missing at the end of the file.");
        assertThat(diagnosis.location()).isEqualTo("ELF header, e_shoff and e_shnum");
    }

    @ParameterizedTest
    @CsvSource({"gz, gzip", "xz, xz", "zst, zstd"})
    void aCompressedFileThatIsNotUnpackedIsNamed(String suffix, String format) {
        Bytes file = Bytes.copyOf(Kos.real("x86_64/hello.ko." + suffix));
        assertThat(ElfFailures.wrongMagic(file).diagnosis().cause())
                .isEqualTo(
                        "The file is compressed with "
                                + format
                                + "; init_module(2) takes only what is unpacked.");
    }

    @ParameterizedTest
    @CsvSource({
        "'version https://git-lfs.github.com/spec/v1 oid sha256:0 size 1 and more', Git LFS",
        "'<!DOCTYPE html><html><head><title>404</title></head><body>nothing</body></html>', error page",
        "'#!/bin/sh                                                                      ', script"
    })
    void aFileThatIsNoElfFileIsGuessedAt(String text, String guess) {
        assertThat(reading(text.getBytes(ISO_8859_1)).cause())
                .startsWith("The file is no ELF file. ")
                .contains(guess);
    }

    @Test
    void anotherReleaseIsNamedForARealModule() {
        KernelConfig config =
                KernelConfig.linux6_1().toBuilder()
                        .release("6.1.0-99-amd64")
                        .modversions(false)
                        .build();
        Diagnosis diagnosis = loading(config, KernelSymbols.none(), Kos.real("x86_64/hello.ko"));
        assertThat(diagnosis.cause())
                .matches(
                        "(?s)`hello` was built for `6\\.1\\.[^`]+`, this kernel is"
                                + " `6\\.1\\.0-99-amd64`\\..*");
    }

    @Test
    void theModuleOfTheBuildThatExportsASymbolIsNamed() throws IOException {
        ModuleSymvers symvers =
                ModuleSymvers.parse(
                        "0x00000000\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n"
                                + "0x00000000\tkofix_add\tdrivers/exporter\tEXPORT_SYMBOL\t\n",
                        "Module.symvers");
        KernelConfig config =
                KernelConfig.linux6_1().toBuilder().checkVermagic(false).modversions(false).build();
        Diagnosis diagnosis =
                loading(
                        config,
                        symvers.symbols(Architectures.X86_64),
                        Kos.real("x86_64/importer.ko"));
        assertThat(diagnosis.cause())
                .contains("`kofix_add` is exported by `drivers/exporter.ko`, which is not loaded.");
    }

    @Test
    void aParameterThatIsRefusedIsNamedWithWhatItTakes() {
        Kernel kernel = Kernel.builder(Architectures.X86_64).build();
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                kernel.load(
                                        KoReader.read(Kos.real("x86_64/params.ko")), "p_byte=300"));
        assertThat(failure.diagnosis().cause())
                .isEqualTo(
                        "The parameter `p_byte` of `params` does not take the value `300`. It is of"
                                + " type `byte`: 0 to 255. It is described as `an unsigned char`.");
    }
}

package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class KoWriterTest {
    @ParameterizedTest
    @ValueSource(strings = {"hello", "exporter", "percpu", "sections", "kofix-combo"})
    void aRealModuleIsReadAgainAfterWriting(String name) {
        ModuleImage image = KoReader.read(Kos.real("x86_64/" + name + ".ko"));
        assertThat(KoReader.read(KoWriter.write(image))).isEqualTo(image);
    }

    @Test
    void writingTwiceGivesTheSameBytes() {
        byte[] first = KoWriter.write(KoReader.read(Kos.real("x86_64/hello.ko")));
        assertThat(KoWriter.write(KoReader.read(first))).isEqualTo(first);
    }

    @Test
    void theSectionHeadersComeLast() {
        byte[] file = Kos.small();
        int count = Kos.edit(file).getShort(60);
        assertThat(Kos.header(file, 0) + 64 * count).isEqualTo(file.length);
    }

    @Test
    void flagsOfTheHeaderAreKept() {
        ModuleImage small = Kos.image(Kos.NO_MACHINE, Encoding.ELF32_MSB, false);
        ModuleImage.Builder builder =
                ModuleImage.builder(small.machine(), small.encoding()).flags(0x05000400);
        small.sections().stream().skip(1).forEach(builder::section);
        assertThat(KoReader.read(KoWriter.write(builder.build())).flags()).isEqualTo(0x05000400);
    }

    @Test
    void aFileIsWritten(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("a.ko");
        KoWriter.write(Kos.image(62, Encoding.ELF64_LSB, true), file);
        assertThat(Files.readAllBytes(file)).isEqualTo(Kos.small());
    }

    @Test
    void anImageWithoutNameTableIsTheCallersMistake() {
        ModuleImage image = ModuleImage.builder(62, Encoding.ELF64_LSB).build();
        assertThatThrownBy(() -> KoWriter.write(image))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(".shstrtab");
    }

    @Test
    void aSectionWhoseNameIsNotInTheTableIsTheCallersMistake() {
        ModuleImage small = Kos.image(62, Encoding.ELF64_LSB, true);
        ModuleImage.Builder builder = ModuleImage.builder(62, Encoding.ELF64_LSB);
        small.sections().stream().skip(1).forEach(builder::section);
        builder.section(Section.progbits("other", 0, 1, Bytes.EMPTY));
        assertThatThrownBy(() -> KoWriter.write(builder.build()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("other");
    }

    @Test
    void aSectionThatLiesInTheHeaderIsTheCallersMistake() {
        ModuleImage small = Kos.image(62, Encoding.ELF64_LSB, true);
        ModuleImage.Builder builder =
                ModuleImage.builder(62, Encoding.ELF64_LSB).fileSize(small.fileSize());
        small.sections().stream()
                .skip(1)
                .map(section -> section.withOffset(10))
                .forEach(builder::section);
        assertThatThrownBy(() -> KoWriter.write(builder.build()))
                .isInstanceOf(IllegalArgumentException.class);
    }
}

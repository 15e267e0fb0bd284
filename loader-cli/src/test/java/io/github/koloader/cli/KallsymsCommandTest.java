package io.github.koloader.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KallsymsCommandTest {
    @Test
    void aMapComesOutAsItIs() throws IOException {
        for (String kernel : new String[] {"x86_64-prel32", "arm-abs"}) {
            Run run = Run.of("kallsyms", Run.map(kernel));
            assertThat(run.status()).isZero();
            assertThat(run.out()).isEqualTo(Files.readString(Path.of(Run.map(kernel)), ISO_8859_1));
            assertThat(run.err()).isEmpty();
        }
    }

    @Test
    void symbolsAreThoseOfTheImage() throws IOException {
        Run run = Run.of("kallsyms", Run.vmlinux("x86_64-prel32"));
        assertThat(run.status()).isZero();
        assertThat(run.err()).isEmpty();
        assertThat(run.out().lines())
                .containsExactlyInAnyOrderElementsOf(
                        Files.readAllLines(Path.of(Run.map("x86_64-prel32"))));
    }

    @Test
    void exportsHaveLicenceAndNamespace() {
        Run run = Run.of("kallsyms", "--exports", Run.vmlinux("x86_64-prel32-stripped"));
        assertThat(run.status()).isZero();
        assertThat(run.out().lines())
                .hasSize(13)
                .contains(
                        "ffffffff81000170 _printk",
                        "ffffffff81000640 mini_gpl_only [gpl]",
                        "ffffffff81000650 mini_namespaced [ns MINI]");
    }

    @Test
    void symbolsOfModulesAreLeftOutAndAddressesFilledUp(@TempDir Path folder) throws IOException {
        Path file =
                Files.writeString(
                        folder.resolve("kallsyms"),
                        "0 A first\r\nffffffff81000000 T _text\nffffffffc0000000 t f\t[m]\n");
        assertThat(Run.of("kallsyms", file.toString()).out())
                .isEqualTo("0000000000000000 A first\nffffffff81000000 T _text\n");
    }

    @Test
    void exportsOfAMapAreThoseWithAnEntry() {
        Run run = Run.of("kallsyms", "--exports", Run.map("x86_64-prel32"));
        assertThat(run.status()).isZero();
        assertThat(run.out().lines())
                .hasSize(13)
                .contains("ffffffff81000170 _printk", "ffffffff81000640 mini_gpl_only");
        assertThat(run.err()).contains("not known: Exports: licences, namespaces and CRCs");
    }

    @Test
    void aMapWithoutExportsIsAnError(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("map"), "c1000000 T _text\n");
        Run run = Run.of("kallsyms", "--exports", file.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err()).endsWith(": no exports found\n");
    }

    @Test
    void controlCharactersAreShownAsNumbers(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("map"), "01 T a\u001b[2J\n02 \u0007 b\n");
        assertThat(Run.of("kallsyms", file.toString()).out())
                .isEqualTo("00000001 T a\\x1b[2J\n00000002 \\x07 b\n");
    }
}

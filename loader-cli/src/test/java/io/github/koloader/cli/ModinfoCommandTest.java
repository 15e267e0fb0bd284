package io.github.koloader.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModinfoCommandTest {
    @TempDir private Path folder;

    private static String absolute(String file) {
        return Path.of("").toAbsolutePath() + "/" + file;
    }

    private static String expected(String name) throws IOException {
        return Files.readString(Run.kmod(name), ISO_8859_1);
    }

    @Test
    void printsWhatKmodPrints() throws IOException {
        Run run = Run.of("modinfo", Run.ko("params.ko"), Run.ko("hello-signed.ko"));
        assertThat(run.status()).isZero();
        assertThat(run.err()).isEmpty();
        assertThat(run.out())
                .isEqualTo(
                        "filename:       "
                                + absolute(Run.ko("params.ko"))
                                + "\n"
                                + expected("params.txt")
                                + "filename:       "
                                + absolute(Run.ko("hello-signed.ko"))
                                + "\n"
                                + expected("hello-signed.txt"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"hello.ko.gz", "hello.ko.xz", "hello.ko.zst"})
    void packedModulesAreUnpacked(String name) {
        assertThat(Run.of("modinfo", "-F", "name", Run.ko(name)).out()).isEqualTo("hello\n");
    }

    @ParameterizedTest
    @CsvSource({"-a, author", "-d, description", "-l, license", "-p, parm"})
    void shortOptionsNameAField(String option, String field) {
        Run run = Run.of("modinfo", option, Run.ko("params.ko"), Run.ko("hello.ko"));
        assertThat(run)
                .isEqualTo(
                        Run.of(
                                "modinfo",
                                "--field",
                                field,
                                Run.ko("params.ko"),
                                Run.ko("hello.ko")));
        assertThat(run.out()).isNotEmpty();
    }

    @Test
    void filenameIsAbsoluteButNotNormalised() {
        String file = "./" + Run.ko("hello.ko");
        assertThat(Run.of("modinfo", "-n", file).out()).isEqualTo(absolute(file) + "\n");
    }

    @Test
    void theLastFieldCounts() {
        assertThat(Run.of("modinfo", "-a", "-F", "name", "-l", Run.ko("hello.ko")).out())
                .isEqualTo("Dual MIT/GPL\n");
        assertThat(Run.of("modinfo", "-l", "-F", "name", Run.ko("hello.ko")).out())
                .isEqualTo("hello\n");
    }

    @Test
    void nulEndsValues() throws IOException {
        assertThat(Run.of("modinfo", "-0", Run.ko("params.ko")).out())
                .isEqualTo(
                        "filename:       "
                                + absolute(Run.ko("params.ko"))
                                + "\0"
                                + expected("params.nul.txt"));
        assertThat(Run.of("modinfo", "-0", "-F", "name", Run.ko("params.ko")).out())
                .isEqualTo("params\0");
    }

    @Test
    void aFileThatIsNotThereIsNotFoundAndTheOthersArePrinted() {
        Run run = Run.of("modinfo", "-F", "name", "nosuch.ko", Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err()).isEqualTo("modinfo: ERROR: Module nosuch.ko not found.\n");
        assertThat(run.out()).isEqualTo("hello\n");
    }

    @Test
    void aFolderAndAFileNamedOtherwiseAreNotFound() throws IOException {
        Path directory = Files.createDirectory(folder.resolve("dir.ko"));
        Path other = Files.copy(Path.of(Run.ko("hello.ko")), folder.resolve("hello.bin"));
        Run run = Run.of("modinfo", directory.toString(), other.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err())
                .isEqualTo(
                        "modinfo: ERROR: Module "
                                + directory
                                + " not found.\n"
                                + "modinfo: ERROR: Module "
                                + other
                                + " not found.\n");
    }

    @ParameterizedTest
    @CsvSource({
        "'', Invalid argument",
        "abc, Invalid argument",
        "this is just some text, Exec format error",
        "'\u007fELF\u0002\u0001\u0001 and then nothing more', Invalid argument"
    })
    void hostileFilesAreOneLine(String text, String problem) throws IOException {
        Path file = Files.writeString(folder.resolve("some-thing.ko"), text, ISO_8859_1);
        Run run = Run.of("modinfo", "-F", "name", file.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out()).isEmpty();
        assertThat(run.err())
                .isEqualTo(
                        "modinfo: ERROR: could not get modinfo from 'some_thing': "
                                + problem
                                + "\n");
    }
}

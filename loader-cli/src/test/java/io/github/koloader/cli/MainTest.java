package io.github.koloader.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
    @Test
    void helpShowsCommandsExamplesAndExitStatus() {
        Run run = Run.of("--help");
        assertThat(run.status()).isZero();
        assertThat(run.out())
                .contains("insmod", "modinfo", "nm", "relocs", "load-tree", "replay")
                .contains("initcalls", "kallsyms", "diff-initcalls")
                .contains("koloader insmod hello.ko")
                .contains("Exit status: 0 done; 1 refused, different or failed; 2 wrong usage.");
        assertThat(run.err()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "insmod",
                "modinfo",
                "nm",
                "relocs",
                "initcalls",
                "kallsyms",
                "diff-initcalls"
            })
    void eachCommandHasHelpThatTellsItsExitStatus(String command) {
        Run run = Run.of(command, "--help");
        assertThat(run.status()).isZero();
        assertThat(run.out()).startsWith("Usage: koloader " + command).contains("Exit status: 0 ");
    }

    @Test
    void versionIsOneLine() {
        assertThat(Run.of("--version").out()).matches("koloader .+\\R");
        assertThat(Run.of("insmod", "--version").out()).matches("koloader .+\\R");
    }

    @Test
    void withoutCommandHelpGoesToStandardErrorAndStatusIsTwo() {
        Run run = Run.of();
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.out()).isEmpty();
        assertThat(run.err()).startsWith("Usage: koloader");
    }

    @Test
    void anUnknownCommandIsWrongUsage() {
        Run run = Run.of("nosuch");
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.err())
                .startsWith("koloader: ERROR: ")
                .contains("nosuch")
                .contains("Try: koloader --help");
    }

    @Test
    void anUnknownOptionIsWrongUsage() {
        Run run = Run.of("insmod", "--nosuch", Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.err()).contains("--nosuch").contains("Try: koloader insmod --help");
    }

    @Test
    void outputThatCannotBeWrittenIsOneLine() {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int status =
                Main.run(failing("No space left on device"), err, "modinfo", Run.ko("hello.ko"));
        assertThat(status).isEqualTo(1);
        assertThat(err).hasToString("koloader: ERROR: cannot write: No space left on device\n");
    }

    @Test
    void aClosedPipeEndsInSilence() {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        assertThat(Main.run(failing("Broken pipe"), err, "modinfo", Run.ko("hello.ko")))
                .isEqualTo(1);
        assertThat(err.size()).isZero();
    }

    private static OutputStream failing(String why) {
        return new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException(why);
            }
        };
    }
}

package io.github.koloader.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RmmodCommandTest {
    private static final String EXPORTER = Run.ko("exporter.ko");
    private static final String IMPORTER = Run.ko("importer.ko");

    @Test
    void aModuleThatOthersUseIsNamedWithItsUsers() {
        Run run = Run.of("rmmod", "--with", EXPORTER, "--with", IMPORTER, "exporter");
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err()).isEqualTo("rmmod: ERROR: Module exporter is in use by: importer\n");
    }

    @Test
    void modulesAreRemovedInTheOrderGivenByNameOrFile() {
        Run run = Run.of("rmmod", "--with", EXPORTER, "--with", IMPORTER, IMPORTER, "exporter");
        assertThat(run.err()).isEmpty();
        assertThat(run.out()).isEqualTo("importer: removed\nexporter: removed\n");
        assertThat(run.status()).isZero();
    }

    @Test
    void kmodGoesOnWithTheNext() {
        Run run = Run.of("rmmod", "--with", EXPORTER, "--with", IMPORTER, "nosuch", "importer");
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err()).isEqualTo("rmmod: ERROR: Module nosuch is not currently loaded\n");
    }

    @Test
    void busyboxStopsAtTheFirstAndEndsWithTheErrno() {
        Run run = Run.of("rmmod", "--busybox", "--with", EXPORTER, "nosuch", "exporter");
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.err())
                .startsWith("rmmod: can't unload module 'nosuch': No such file or directory\n")
                .doesNotContain("exporter");
    }

    @Test
    void aModuleWithoutExitGoesByForce() {
        String permanent = Run.ko("permanent.ko");
        Run refused = Run.of("rmmod", "--with", permanent, "permanent");
        assertThat(refused.status()).isEqualTo(1);
        assertThat(refused.err())
                .startsWith(
                        "rmmod: ERROR: could not remove 'permanent': Device or resource busy\n");
        Run forced = Run.of("rmmod", "-f", "--with", permanent, "permanent");
        assertThat(forced.err()).isEmpty();
        assertThat(forced.status()).isZero();
    }

    @Test
    void aModuleThatDoesNotLoadEndsIt() {
        Run run = Run.of("rmmod", "--strict", "--with", Run.ko("hello.ko"), "hello");
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err())
                .startsWith("insmod: ERROR: could not insert module " + Run.ko("hello.ko"));
    }

    @Test
    void withoutModulesItIsWrongUsage() {
        assertThat(Run.of("rmmod", "hello").status()).isEqualTo(2);
    }
}

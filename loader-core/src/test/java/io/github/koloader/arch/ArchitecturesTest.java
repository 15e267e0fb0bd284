package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class ArchitecturesTest {
    @Test
    void ourArchitecturesAreFoundByMachineAndName() {
        for (Architecture architecture : Architectures.all()) {
            assertThat(Architectures.forMachine(architecture.elfMachine())).contains(architecture);
            assertThat(Architectures.named(architecture.name())).contains(architecture);
        }
    }

    @Test
    void machinesThatNobodyKnowsAreNotFound() {
        assertThat(Architectures.forMachine(0xfffe)).isEmpty();
        assertThat(Architectures.named("pdp11")).isEmpty();
    }
}

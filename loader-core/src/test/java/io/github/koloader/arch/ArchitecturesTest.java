package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class ArchitecturesTest {
    @Test
    void ourArchitecturesAreFoundByMachineAndName() {
        for (Architecture architecture : Architectures.all()) {
            assertThat(Architectures.forMachine(architecture.elfMachine(), architecture.encoding()))
                    .contains(architecture);
            assertThat(Architectures.forMachine(architecture.elfMachine())).isPresent();
            assertThat(Architectures.named(architecture.name())).contains(architecture);
            for (String alias : architecture.aliases()) {
                assertThat(Architectures.named(alias)).contains(architecture);
            }
        }
    }

    @Test
    void machinesThatNobodyKnowsAreNotFound() {
        assertThat(Architectures.forMachine(0xfffe)).isEmpty();
        assertThat(Architectures.named("pdp11")).isEmpty();
    }
}

package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class Mips32elTest extends Mips32Test {
    @Override
    Architecture architecture() {
        return Architectures.MIPS32EL;
    }

    @Test
    void debianCallsItMipsel() {
        assertThat(Architectures.named("mipsel")).contains(Architectures.MIPS32EL);
        assertThat(Architectures.named("mips")).contains(Architectures.MIPS32);
    }
}

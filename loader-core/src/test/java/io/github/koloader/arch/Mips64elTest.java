package io.github.koloader.arch;

final class Mips64elTest extends Mips64Test {
    @Override
    Architecture architecture() {
        return Architectures.MIPS64EL;
    }
}

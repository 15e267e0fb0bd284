package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ArchitecturesTest {
    @Test
    void ourArchitecturesAreFoundByMachineAndName() {
        assertThat(Architectures.all()).hasSize(14).doesNotHaveDuplicates();
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

    /** Names as users write them: those of the kernel or of {@code uname}, and Debian's. */
    @ParameterizedTest
    @CsvSource({
        "x86_64, 62, 64",
        "amd64, 62, 64",
        "i386, 3, 32",
        "arm64, 183, 64",
        "aarch64, 183, 64",
        "arm, 40, 32",
        "armhf, 40, 32",
        "riscv64, 243, 64",
        "riscv32, 243, 32",
        "ppc64le, 21, 64",
        "ppc64el, 21, 64",
        "s390x, 22, 64",
        "mips32, 8, 32",
        "mips32el, 8, 32",
        "mips64, 8, 64",
        "mips64el, 8, 64",
        "loongarch64, 258, 64",
        "loong64, 258, 64",
        "m68k, 4, 32"
    })
    void eachIsFoundByItsNames(String name, int machine, int bits) {
        Architecture found = Architectures.named(name).orElseThrow();
        assertThat(found.elfMachine()).isEqualTo(machine);
        assertThat(8 * found.encoding().wordSize()).isEqualTo(bits);
    }

    /** Where the first processor's data lies on those whose area of modules' data is its own. */
    @ParameterizedTest
    @CsvSource({
        "i386, d0000000",
        "loongarch64, 90000000f0000000",
        "m68k, 1000000",
        "mips32, 82000000",
        "mips64el, 9800000002000000",
        "riscv64, ffffffd87f000000",
        "riscv32, d0000000"
    })
    void theFirstProcessorsDataLiesAtTheStartOfItsArea(String name, String address) {
        Architecture found = Architectures.named(name).orElseThrow();
        long first = found.perCpuArea().start().value() + found.perCpuOffset(0);
        assertThat(Long.toHexString(first)).isEqualTo(address);
    }

    @Test
    void machinesThatNobodyKnowsAreNotFound() {
        assertThat(Architectures.forMachine(0xfffe)).isEmpty();
        assertThat(Architectures.named("pdp11")).isEmpty();
    }
}

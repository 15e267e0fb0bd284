package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.image.FileHeader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class Mips32Test extends MipsContract {
    @Override
    Architecture architecture() {
        return Architectures.MIPS32;
    }

    @Test
    final void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code, RelocationType::name)
                .extracting(Object::toString)
                .containsExactly(
                        "(0, \"R_MIPS_NONE\")",
                        "(2, \"R_MIPS_32\")",
                        "(4, \"R_MIPS_26\")",
                        "(5, \"R_MIPS_HI16\")",
                        "(6, \"R_MIPS_LO16\")",
                        "(10, \"R_MIPS_PC16\")",
                        "(60, \"R_MIPS_PC21_S2\")",
                        "(61, \"R_MIPS_PC26_S2\")");
    }

    @Test
    final void onlyRelIsTaken() {
        assertThat(architecture().acceptsRelocations(false)).isTrue();
        assertThat(architecture().acceptsRelocations(true)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {R_64, R_HIGHER, R_HIGHEST})
    final void typesOf64BitsAreUnknown(int type) {
        assertThat(rel().refusal(at(0, type, 1)).dmesg())
                .isEqualTo("m: Unknown relocation type " + type);
    }

    /** The last: what {@code mipsel} modules have. */
    @ParameterizedTest
    @CsvSource({
        "0, true",
        "1000, true",
        "1200, true",
        "2000, false",
        "3000, false",
        "f000, false",
        "20, false",
        "1020, false",
        "70001001, true"
    })
    final void onlyTheO32AbiIsTaken(String flags, boolean taken) {
        FileHeader header =
                new FileHeader(
                        architecture().encoding(), 8, Integer.parseUnsignedInt(flags, 16), 0);
        assertThat(architecture().accepts(header)).isEqualTo(taken);
    }
}

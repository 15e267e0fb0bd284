package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class FormulaTest {
    @Test
    void noneIsZeroWhateverIsGiven() {
        assertThat(Formula.NONE.value(1, 2, 3)).isZero();
    }

    @Test
    void absoluteIsSymbolPlusAddend() {
        assertThat(Formula.ABSOLUTE.value(0xffffffff_c0000000L, -4, 99))
                .isEqualTo(0xffffffff_bffffffcL);
    }

    @Test
    void pcRelativeIsSymbolPlusAddendMinusPlace() {
        assertThat(Formula.PC_RELATIVE.value(0xffffffff_81000000L, -4, 0xffffffff_c0000000L))
                .isEqualTo(-0x3f000004L);
    }

    @Test
    void sumsAreModulo64Bits() {
        assertThat(Formula.ABSOLUTE.value(-1, 2, 0)).isEqualTo(1);
        assertThat(Formula.ABSOLUTE.value(Long.MAX_VALUE, 1, 0)).isEqualTo(Long.MIN_VALUE);
    }
}

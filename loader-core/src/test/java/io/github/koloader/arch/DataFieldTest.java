package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class DataFieldTest {
    @ParameterizedTest
    @ValueSource(ints = {8, 16, 32})
    void signedFieldsTakeFromMinusHalfToHalfMinusOne(int bits) {
        Field field = DataField.signed(bits);
        long half = 1L << bits - 1;
        assertThat(field.fits(half - 1)).isTrue();
        assertThat(field.fits(-half)).isTrue();
        assertThat(field.fits(half)).isFalse();
        assertThat(field.fits(-half - 1)).isFalse();
        assertThat(field.fits(Long.MAX_VALUE)).isFalse();
        assertThat(field.fits(Long.MIN_VALUE)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 16, 32})
    void unsignedFieldsTakeFromZeroToAllOnes(int bits) {
        Field field = DataField.unsigned(bits);
        assertThat(field.fits(0)).isTrue();
        assertThat(field.fits((1L << bits) - 1)).isTrue();
        assertThat(field.fits(1L << bits)).isFalse();
        assertThat(field.fits(-1)).isFalse();
        assertThat(field.fits(Long.MIN_VALUE)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 8, 16, 32, 64})
    void wordsTakeEverything(int bits) {
        for (long value : new long[] {0, -1, Long.MIN_VALUE, Long.MAX_VALUE}) {
            assertThat(DataField.word(bits).fits(value)).isTrue();
        }
    }

    @Test
    void fieldsOf64BitsTakeEverything() {
        assertThat(DataField.signed(64).fits(Long.MIN_VALUE)).isTrue();
        assertThat(DataField.unsigned(64).fits(-1)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 16, 32, 64})
    void theImplicitAddendIsSigned(int bits) {
        Field field = DataField.word(bits);
        assertThat(field.implicitAddend(field.mask())).isEqualTo(-1);
        assertThat(field.implicitAddend(1)).isEqualTo(1);
    }

    @Test
    void noFieldHasNoSizeMaskOrAddend() {
        assertThat(DataField.NONE.size()).isZero();
        assertThat(DataField.NONE.mask()).isZero();
        assertThat(DataField.NONE.implicitAddend(-1)).isZero();
    }

    @Test
    void onlyOverZeroFieldsWantZero() {
        assertThat(DataField.signed(32).ontoZero()).isFalse();
        assertThat(DataField.signed(32).overZero().ontoZero()).isTrue();
        assertThat(DataField.signed(32).overZero().fits(1L << 31)).isFalse();
    }

    @Test
    void otherSizesAreTheCallersMistake() {
        assertThatThrownBy(() -> DataField.word(24)).isInstanceOf(IllegalArgumentException.class);
    }
}

package io.github.koloader.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

final class AddressTest {
    @Test
    void orderIsUnsigned() {
        assertThat(new Address(0xffffffff_c0000000L))
                .isGreaterThan(new Address(0x7fffffff_ffffffffL));
        assertThat(new Address(1)).isGreaterThan(Address.NULL);
        assertThat(new Address(5)).isEqualByComparingTo(new Address(5));
    }

    @Test
    void textIsUnsignedHexadecimal() {
        assertThat(new Address(0xffffffff_c0000000L)).hasToString("0xffffffffc0000000");
        assertThat(Address.NULL).hasToString("0x0");
    }

    @Test
    void parseReadsWhatToStringWrites() {
        assertThat(Address.parse("0xffffffffc0000000"))
                .isEqualTo(new Address(0xffffffff_c0000000L));
        assertThat(Address.parse("ff")).isEqualTo(new Address(255));
    }

    @Test
    void parseRefusesWhatIsNoNumberOf64Bits() {
        for (String text : new String[] {"", "0x", "xyz", "10000000000000000", "-1"}) {
            assertThatThrownBy(() -> Address.parse(text)).isInstanceOf(NumberFormatException.class);
        }
    }

    @Test
    void sumsAndDifferencesAreModulo64Bits() {
        assertThat(new Address(-1).plus(2)).isEqualTo(new Address(1));
        assertThat(new Address(1).minus(new Address(-1))).isEqualTo(2);
    }

    @Test
    void onlyAddressZeroIsNull() {
        assertThat(Address.NULL.isNull()).isTrue();
        assertThat(new Address(-1).isNull()).isFalse();
    }
}

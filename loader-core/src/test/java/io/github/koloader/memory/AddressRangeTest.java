package io.github.koloader.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

final class AddressRangeTest {
    @Test
    void containsItsFirstAndLastAddressAndNoMore() {
        AddressRange range = AddressRange.between(0x1000, 0x2000);
        assertThat(range.contains(new Address(0x1000))).isTrue();
        assertThat(range.contains(new Address(0x1fff))).isTrue();
        assertThat(range.contains(new Address(0x2000))).isFalse();
        assertThat(range.contains(new Address(0xfff))).isFalse();
    }

    @Test
    void anEmptyRangeContainsNothing() {
        assertThat(new AddressRange(new Address(5), 0).contains(new Address(5))).isFalse();
    }

    @Test
    void aRangeMayEndAtTheTopOfTheAddresses() {
        AddressRange top = new AddressRange(new Address(-0x1000), 0x1000);
        assertThat(top.end()).isEqualTo(Address.NULL);
        assertThat(top.contains(new Address(-1))).isTrue();
        assertThat(top.contains(Address.NULL)).isFalse();
    }

    @Test
    void aRangeAcrossTheSignBitIsFine() {
        AddressRange range = AddressRange.between(0x7fffffff_fffff000L, 0x80000000_00001000L);
        assertThat(range.size()).isEqualTo(0x2000);
        assertThat(range.contains(new Address(0x80000000_00000000L))).isTrue();
    }

    @Test
    void aRangeThatWrapsIsTheCallersMistake() {
        assertThatThrownBy(() -> new AddressRange(new Address(-0x1000), 0x1001))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new AddressRange(Address.NULL, -1))
                .isInstanceOf(IllegalArgumentException.class);
    }
}

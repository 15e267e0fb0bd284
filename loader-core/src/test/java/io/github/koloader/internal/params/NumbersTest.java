package io.github.koloader.internal.params;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.internal.params.Numbers.Parsed;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class NumbersTest {
    private static final Parsed INVALID = new Parsed(-Errno.EINVAL.number(), 0);
    private static final Parsed BEYOND = new Parsed(-Errno.ERANGE.number(), 0);
    private static final KernelConfig NEW = KernelConfig.linux6_1();
    private static final KernelConfig OLD = KernelConfig.linux3_10();

    private static Parsed signed(String text, int bits) {
        return Numbers.integer(NEW, text, true, bits, 64);
    }

    private static Parsed unsigned(String text, int bits) {
        return Numbers.integer(NEW, text, false, bits, 64);
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "+0, 0",
        "-0, 0",
        "12, 12",
        "+12, 12",
        "-12, -12",
        "0x1f, 31",
        "0X1F, 31",
        "-0x10, -16",
        "+0x10, 16",
        "017, 15",
        "00, 0",
        "2147483647, 2147483647",
        "-2147483648, -2147483648"
    })
    void aNumberHasASignAPrefixAndDigits(String text, long number) {
        assertThat(signed(text, 32)).isEqualTo(new Parsed(0, number));
        assertThat(signed(text + "\n", 32)).isEqualTo(new Parsed(0, number));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "", "\n", "+", "-", "--1", "+-1", "-+1", "++1", "08", "0x", "0xg", "1 ", " 1", "1k",
                "1,", "1\n\n", "a", "ff", "1.0", "\u0661", "0b1"
            })
    void whatIsNoNumberIsInvalid(String text) {
        assertThat(signed(text, 32)).isEqualTo(INVALID);
        assertThat(unsigned(text, 32)).isEqualTo(INVALID);
    }

    @Test
    void unsignedNumbersHaveNoMinus() {
        assertThat(unsigned("-0", 32)).isEqualTo(INVALID);
        assertThat(unsigned("+1", 32)).isEqualTo(new Parsed(0, 1));
    }

    @ParameterizedTest
    @CsvSource({
        "8, 255, 256",
        "16, 65535, 65536",
        "32, 4294967295, 4294967296",
        "64, 18446744073709551615, 18446744073709551616"
    })
    void anUnsignedNumberHasALimit(int bits, String last, String beyond) {
        assertThat(unsigned(last, bits)).isEqualTo(new Parsed(0, Long.parseUnsignedLong(last)));
        assertThat(unsigned(beyond, bits)).isEqualTo(BEYOND);
    }

    @ParameterizedTest
    @CsvSource({
        "16, 32767, 32768, -32768, -32769",
        "32, 2147483647, 2147483648, -2147483648, -2147483649",
        "64, 9223372036854775807, 9223372036854775808, -9223372036854775808,"
                + " -9223372036854775809"
    })
    void aSignedNumberHasTwoLimits(
            int bits, String last, String beyond, String first, String below) {
        assertThat(signed(last, bits)).isEqualTo(new Parsed(0, Long.parseLong(last)));
        assertThat(signed(beyond, bits)).isEqualTo(BEYOND);
        assertThat(signed(first, bits)).isEqualTo(new Parsed(0, Long.parseLong(first)));
        assertThat(signed(below, bits)).isEqualTo(BEYOND);
    }

    @Test
    void whatIsBeyond64BitsIsSoWhateverFollows() {
        String huge = "9".repeat(40);
        assertThat(signed(huge, 32)).isEqualTo(BEYOND);
        assertThat(signed("-" + huge, 64)).isEqualTo(BEYOND);
        assertThat(signed("-18446744073709551615", 64)).isEqualTo(BEYOND);
        assertThat(unsigned(huge + "x", 8)).isEqualTo(BEYOND);
        assertThat(unsigned("256x", 8)).isEqualTo(INVALID);
        assertThat(unsigned("0x10000000000000000", 64)).isEqualTo(BEYOND);
        assertThat(unsigned("0xffffffffffffffff", 64)).isEqualTo(new Parsed(0, -1));
    }

    @Test
    void oldKernelsFindWhatDoesNotFitInvalidUnlessItFitsNoWord() {
        assertThat(Numbers.integer(OLD, "256", false, 8, 64)).isEqualTo(INVALID);
        assertThat(Numbers.integer(OLD, "4294967296", true, 32, 64)).isEqualTo(INVALID);
        assertThat(Numbers.integer(OLD, "4294967296", true, 32, 32)).isEqualTo(BEYOND);
        assertThat(Numbers.integer(OLD, "-1", true, 16, 32)).isEqualTo(new Parsed(0, -1));
        assertThat(Numbers.integer(OLD, "9".repeat(20), false, 8, 64)).isEqualTo(BEYOND);
    }

    @ParameterizedTest
    @ValueSource(strings = {"y", "Y", "t", "T", "1", "on", "ON", "oN!", "yellow", "10", "true"})
    void yesBeginsInManyWays(String text) {
        assertThat(Numbers.bool(NEW, text)).isEqualTo(new Parsed(0, 1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"n", "N", "f", "F", "0", "of", "OFF", "0x1", "no\n", "false"})
    void noBeginsInManyWays(String text) {
        assertThat(Numbers.bool(NEW, text)).isEqualTo(new Parsed(0, 0));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "o", "O", "ox", "2", "maybe", "-1", " y", "\n"})
    void nothingElseIsABoolean(String text) {
        assertThat(Numbers.bool(NEW, text)).isEqualTo(INVALID);
    }

    @Test
    void olderKernelsKnowFewerWords() {
        assertThat(Numbers.bool(OLD, "yes")).isEqualTo(new Parsed(0, 1));
        assertThat(Numbers.bool(OLD, "0")).isEqualTo(new Parsed(0, 0));
        assertThat(Numbers.bool(OLD, "on")).isEqualTo(INVALID);
        assertThat(Numbers.bool(OLD, "t")).isEqualTo(INVALID);
        assertThat(Numbers.bool(OLD, "f")).isEqualTo(INVALID);
        KernelConfig between = KernelConfig.forRelease("4.19.0");
        assertThat(Numbers.bool(between, "on")).isEqualTo(new Parsed(0, 1));
        assertThat(Numbers.bool(between, "t")).isEqualTo(INVALID);
    }
}

package io.github.koloader.internal.params;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.internal.params.Numbers.Parsed;
import java.math.BigInteger;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.BigRange;
import net.jqwik.api.constraints.IntRange;

final class NumbersPropertyTest {
    private static final KernelConfig NEW = KernelConfig.linux6_1();

    @Property
    void aNumberInRangeIsReadInEveryRadixAndOneOutsideIsNot(
            @ForAll @BigRange(min = "-36893488147419103232", max = "36893488147419103232")
                    BigInteger number,
            @ForAll @IntRange(min = 3, max = 6) int logOfBits,
            @ForAll boolean signed) {
        int bits = 1 << logOfBits;
        BigInteger magnitude = number.abs();
        String sign = number.signum() < 0 ? "-" : "";
        BigInteger end = BigInteger.ONE.shiftLeft(signed ? bits - 1 : bits);
        BigInteger first = signed ? end.negate() : BigInteger.ZERO;
        for (String digits :
                new String[] {
                    magnitude.toString(), "0x" + magnitude.toString(16), "0" + magnitude.toString(8)
                }) {
            Parsed parsed = Numbers.integer(NEW, sign + digits, signed, bits, 64);
            if (!signed && number.signum() < 0) {
                assertThat(parsed.error()).isEqualTo(-Errno.EINVAL.number());
            } else if (number.compareTo(first) >= 0 && number.compareTo(end) < 0) {
                assertThat(parsed).isEqualTo(new Parsed(0, number.longValue()));
            } else {
                assertThat(parsed.error()).isEqualTo(-Errno.ERANGE.number());
            }
        }
    }
}

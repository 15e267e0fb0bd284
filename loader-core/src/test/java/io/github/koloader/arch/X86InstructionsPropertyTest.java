package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.statistics.Statistics;

/** What holds of any bytes. */
final class X86InstructionsPropertyTest {
    @Property
    void aLengthIsFrom1To15AndNeverReachesBehindTheBytesGiven(
            @ForAll @Size(max = 24) byte[] bytes,
            @ForAll @IntRange(max = 24) int start,
            @ForAll boolean wide) {
        int at = Math.min(start, bytes.length);
        int length = X86Instructions.length(bytes, at, bytes.length, wide);
        Statistics.label("decodes").collect(length != X86Instructions.NONE);
        assertThat(length).isBetween(0, Math.min(X86Instructions.LONGEST, bytes.length - at));
        byte[] more = Arrays.copyOf(bytes, 2 * bytes.length + 16);
        Arrays.fill(more, bytes.length, more.length, (byte) 0x90);
        assertThat(X86Instructions.length(more, at, bytes.length, wide)).isEqualTo(length);
        if (length != X86Instructions.NONE) {
            assertThat(X86Instructions.length(more, at, more.length, wide)).isEqualTo(length);
        }
    }

    @Property
    void longNopsDecodeAndAreAsLongAsTheRun(
            @ForAll @IntRange(min = 1, max = 254) int run, @ForAll boolean wide) {
        byte[] code = new byte[run];
        Arrays.fill(code, (byte) 0x90);
        X86Alternatives.optimizeNops(code, run, wide);
        int count = 0;
        for (int at = 0; at < run; count++) {
            int length = X86Instructions.length(code, at, run, wide);
            assertThat(length).isPositive();
            at += length;
        }
        assertThat(count).isEqualTo((run + 7) / 8);
        byte[] again = code.clone();
        X86Alternatives.optimizeNops(again, run, wide);
        assertThat(again).isEqualTo(code);
    }
}

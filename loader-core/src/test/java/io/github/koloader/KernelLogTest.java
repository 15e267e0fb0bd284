package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

final class KernelLogTest {
    /** Moves when told. */
    private static final class FakeClock extends Clock {
        private Instant now = Instant.EPOCH;

        void advance(Duration duration) {
            now = now.plus(duration);
        }

        @Override
        public Instant instant() {
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    }

    private final FakeClock clock = new FakeClock();
    private final KernelLog log = new KernelLog(clock);

    @Test
    void dmesgShowsSecondsAndMicrosecondsSinceTheKernelCameUp() {
        log.add(LogLine.of(LogLevel.INFO, "now"));
        clock.advance(Duration.ofNanos(12_000_123_999L));
        log.add(LogLine.of(LogLevel.INFO, "later"));
        clock.advance(Duration.ofSeconds(123456));
        log.add(LogLine.of(LogLevel.INFO, "much later"));
        assertThat(log.dmesg())
                .isEqualTo(
                        "[    0.000000] now\n[   12.000123] later\n[123468.000123] much later\n");
    }

    @Test
    void theClockAtTheStartIsTimeZero() {
        clock.advance(Duration.ofDays(1000));
        KernelLog late = new KernelLog(clock);
        late.add(LogLine.of(LogLevel.INFO, "x"));
        assertThat(late.dmesg()).isEqualTo("[    0.000000] x\n");
    }

    @Test
    void everyLineOfARecordGetsTheStamp() {
        log.printk(LogLevel.WARNING, "one\ntwo\n");
        assertThat(log.dmesg()).isEqualTo("[    0.000000] one\n[    0.000000] two\n");
        assertThat(log.lines()).containsExactly("one\ntwo");
    }

    @Test
    void printkDropsOneNewlineAtTheEnd() {
        log.printk(LogLevel.INFO, "a\n\n");
        assertThat(log.lines()).containsExactly("a\n");
    }

    @Test
    void printkStoresUtf8OneCharacterAByte() {
        log.printk(LogLevel.INFO, "\u00fc");
        assertThat(log.lines()).containsExactly("\u00c3\u00bc");
    }

    @Test
    void entriesKeepLevelAndTime() {
        clock.advance(Duration.ofMillis(5));
        log.printk(LogLevel.ERR, "e");
        assertThat(log.entries())
                .containsExactly(
                        new KernelLog.Entry(new LogLine(LogLevel.ERR, "e"), Duration.ofMillis(5)));
        assertThatThrownBy(() -> log.entries().clear())
                .isInstanceOf(UnsupportedOperationException.class);
    }

    @Test
    void dmesgFromAnEntryLeavesOutThoseBefore() {
        log.addAll(List.of(LogLine.of(LogLevel.INFO, "a"), LogLine.of(LogLevel.INFO, "b")));
        assertThat(log.dmesg(1)).isEqualTo("[    0.000000] b\n");
        assertThat(log.dmesg(2)).isEmpty();
    }

    @Test
    void linesSinceSomeTimeAreThoseStillThere() {
        for (int i = 0; i < KernelLog.LIMIT; i++) {
            log.add(LogLine.of(LogLevel.INFO, "old"));
        }
        long before = log.added();
        log.add(LogLine.of(LogLevel.INFO, "a"));
        log.add(LogLine.of(LogLevel.INFO, "b"));
        assertThat(log.entries().size()).isLessThan(KernelLog.LIMIT);
        assertThat(log.since(before)).extracting(LogLine::text).containsExactly("a", "b");
        assertThat(log.since(log.added())).isEmpty();
        log.clear();
        log.add(LogLine.of(LogLevel.INFO, "c"));
        assertThat(log.since(before)).extracting(LogLine::text).containsExactly("c");
    }

    @Test
    void clearForgetsEverything() {
        log.printk(LogLevel.INFO, "a");
        log.clear();
        assertThat(log.entries()).isEmpty();
        assertThat(log.dmesg()).isEmpty();
    }

    @Test
    void digitsDoNotDependOnTheDefaultLocale() {
        Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
            log.printk(LogLevel.INFO, "x");
            assertThat(log.dmesg()).isEqualTo("[    0.000000] x\n");
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void theRawLogHasTheLevelBeforeEachLine() {
        log.add(LogLine.of(LogLevel.WARNING, "one\ntwo"));
        log.add(LogLine.of(LogLevel.ERR, "three"));
        assertThat(log.raw())
                .isEqualTo(
                        "<4>[    0.000000] one\n<4>[    0.000000] two\n<3>[    0.000000] three\n");
    }

    @Test
    void kmsgHasOneLineForEachEntryAndCountsOnWhenTheLogIsCleared() {
        log.add(LogLine.of(LogLevel.INFO, "gone"));
        log.clear();
        clock.advance(Duration.ofNanos(1_234_567));
        log.add(LogLine.of(LogLevel.WARNING, "a\nb\\ \u00ff~\u007f"));
        log.add(LogLine.of(LogLevel.DEBUG, "c"));
        assertThat(log.kmsg()).isEqualTo("4,1,1234,-;a\\x0ab\\x5c \\xff~\\x7f\n7,2,1234,-;c\n");
    }
}

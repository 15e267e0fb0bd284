package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class ErrnoTest {
    @Test
    void numbersAreThoseOfLinux() {
        assertThat(Errno.ENOEXEC.number()).isEqualTo(8);
        assertThat(Errno.EKEYREJECTED.number()).isEqualTo(129);
        assertThat(Errno.EAGAIN.text()).isEqualTo("Resource temporarily unavailable");
    }

    @Test
    void everyNumberFindsItsName() {
        for (Errno errno : Errno.values()) {
            assertThat(Errno.of(errno.number())).isEqualTo(errno);
        }
        assertThat(Errno.of(0)).isNull();
        assertThat(Errno.of(-8)).isNull();
    }

    @Test
    void anExceptionSaysErrnoAndLines() {
        LoadException failure =
                new LoadException(
                        Errno.ENOENT,
                        List.of(LogLine.of(LogLevel.ERR, "a"), LogLine.of(LogLevel.WARNING, "b")));
        assertThat(failure).hasMessage("ENOENT (No such file or directory): a\nb");
        assertThat(failure.dmesg()).isEqualTo("a\nb");
    }

    @Test
    void anExceptionWithoutLinesSaysWhyToPeopleOnly() {
        LoadException failure = LoadException.silent(Errno.EBUSY, "why");
        assertThat(failure).hasMessage("EBUSY (Device or resource busy): why");
        assertThat(failure.dmesg()).isEmpty();
        assertThat(failure.lines()).isEmpty();
    }

    @Test
    void aNumberWithoutANameIsKept() {
        LoadException failure = LoadException.ofInit(512, "init");
        assertThat(failure.errnoNumber()).isEqualTo(512);
        assertThat(failure).hasMessage("errno 512: init");
        assertThatThrownBy(failure::errno).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aCauseKeepsErrnoLinesAndMessage() {
        Throwable cause = new IllegalArgumentException("x");
        LoadException failure =
                new LoadException(Errno.ENOMEM, LogLine.of(LogLevel.ERR, "a")).causedBy(cause);
        assertThat(failure).hasCause(cause).hasMessage("ENOMEM (Cannot allocate memory): a");
        assertThat(failure.errno()).isEqualTo(Errno.ENOMEM);
        assertThat(failure.dmesg()).isEqualTo("a");
    }

    @Test
    void taintBitsAreThoseOfTheKernel() {
        assertThat(
                        Taint.mask(
                                Set.of(
                                        Taint.PROPRIETARY_MODULE,
                                        Taint.OOT_MODULE,
                                        Taint.UNSIGNED_MODULE)))
                .isEqualTo(1 | 1 << 12 | 1 << 13);
        assertThat(Taint.TEST.bit()).isEqualTo(1L << 18);
        StringBuilder letters = new StringBuilder();
        for (Taint taint : Taint.values()) {
            letters.append(taint.letter());
        }
        assertThat(letters).hasToString("PFSRMBUDAWCIOELKXTN");
        assertThat(Taint.WARN.ofModule()).isFalse();
        assertThat(Taint.CRAP.ofModule()).isTrue();
    }
}

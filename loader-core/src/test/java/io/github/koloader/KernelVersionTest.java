package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class KernelVersionTest {
    @Test
    void theTwoNumbersAtTheBeginningAreTheVersion() {
        assertThat(KernelVersion.parse("6.1.0-50-amd64")).isEqualTo(new KernelVersion(6, 1));
        assertThat(KernelVersion.parse("6.12")).isEqualTo(new KernelVersion(6, 12));
        assertThat(KernelVersion.parse("6.13-rc1")).isEqualTo(new KernelVersion(6, 13));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "6",
                "6.",
                "v6.1",
                " 6.1",
                "linux",
                "6.x",
                "99999999.1",
                "6.12345678",
                "\u0666.\u0661"
            })
    void whatDoesNotBeginWithTwoNumbersIsTheCallersMistake(String release) {
        assertThatThrownBy(() -> KernelVersion.parse(release))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void versionsCompareAsNumbers() {
        assertThat(new KernelVersion(6, 12)).isGreaterThan(new KernelVersion(6, 2));
        assertThat(new KernelVersion(5, 20)).isLessThan(new KernelVersion(6, 0));
        assertThat(new KernelVersion(6, 1)).isEqualByComparingTo(new KernelVersion(6, 1));
    }

    @Test
    void atLeastIncludesTheVersionItself() {
        KernelVersion version = new KernelVersion(6, 4);
        assertThat(version.atLeast(6, 4)).isTrue();
        assertThat(version.atLeast(6, 3)).isTrue();
        assertThat(version.atLeast(5, 19)).isTrue();
        assertThat(version.atLeast(6, 5)).isFalse();
        assertThat(version.atLeast(7, 0)).isFalse();
    }

    @Test
    void textIsTheTwoNumbers() {
        assertThat(new KernelVersion(6, 1)).hasToString("6.1");
    }
}

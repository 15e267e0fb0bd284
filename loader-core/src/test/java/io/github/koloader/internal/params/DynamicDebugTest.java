package io.github.koloader.internal.params;

import static io.github.koloader.internal.params.DynamicDebug.Site.PARSE_ARGS;
import static io.github.koloader.internal.params.DynamicDebug.Site.PARSE_ONE;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Images;
import io.github.koloader.KernelLog;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class DynamicDebugTest {
    private final KernelLog log = new KernelLog(Images.STILL);
    private final DynamicDebug debug = new DynamicDebug();

    private int run(String query) {
        return debug.run(log, query, null);
    }

    @Test
    void allLinesAreSwitchedOnAndOff() {
        assertThat(run("+p")).isZero();
        assertThat(debug.prints(PARSE_ARGS)).isTrue();
        assertThat(debug.prints(PARSE_ONE)).isTrue();
        assertThat(run("-p")).isZero();
        assertThat(debug.prints(PARSE_ARGS)).isFalse();
        assertThat(log.entries()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "func parse_args +p",
                "func parse_a* =p",
                "  file kernel/params.c   func *args  +pfl ",
                "file params.c format parsing +p",
                "file *params* format \"parsing ARGS\" +p",
                "format 'parsing ARGS' +p",
                "format parsing\\040ARGS +p",
                "format ARGS: module params +p_",
                "module para?s func parse_args +p # and this is a remark",
                "func nothing +p; func parse_args +p",
                "func nothing +p\nfunc parse_args +p",
                "+p; func parse_one =_",
                "+p; func parse_one -flmpt",
                "+pm; func parse_one =m",
                "func parse_args +p; func parse_args +t; func parse_args -t",
            })
    void aQueryPicksLines(String query) {
        assertThat(run(query)).isZero();
        assertThat(debug.prints(PARSE_ARGS)).isTrue();
        assertThat(debug.prints(PARSE_ONE)).isFalse();
        assertThat(log.entries()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "func x +p",
                "file other.c +p",
                "module m +p",
                "module param +p",
                "format nothing +p",
                "line 1-9 +p",
                "line -9 +p",
                "line 9- +p",
                "line 9 +p",
                "class DRM +p",
                "+t",
                "",
                " ; ; ",
                "# +p"
            })
    void aQueryThatPicksNoLineIsNoError(String query) {
        assertThat(run(query)).isZero();
        assertThat(debug.prints(PARSE_ARGS)).isFalse();
        assertThat(log.entries()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "bogus|b|bogus",
                "func x p|p|p",
                "func parse_args|p|parse_args",
            })
    void aChangeHasAnOperator(String query, String operator, String change) {
        assertThat(run(query)).isNegative();
        assertThat(log.lines())
                .containsExactly(
                        "dyndbg: bad flag-op " + operator + ", at start of " + change,
                        "dyndbg: flags parse failed");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "wtf 1 +p",
                "func +p",
                "func a func b +p",
                "line 9-1 +p",
                "line x +p",
                "line 1-2-3 +p",
                "format \"open +p",
                "+x",
                "line 99999999999 +p",
                "line '' +p"
            })
    void whatIsWrongIsSaidAndChangesNothing(String query) {
        assertThat(run(query)).isNegative();
        assertThat(log.lines()).isNotEmpty().allMatch(line -> line.startsWith("dyndbg: "));
        assertThat(debug.prints(PARSE_ARGS)).isFalse();
    }

    @Test
    void aQueryBehindAWrongOneRuns() {
        assertThat(run("wtf 1 +p; func parse_args +p")).isNegative();
        assertThat(debug.prints(PARSE_ARGS)).isTrue();
    }

    @Test
    void aQueryForAModuleNamesNoOther() {
        assertThat(debug.run(log, "+p", "m")).isZero();
        assertThat(debug.prints(PARSE_ARGS)).isFalse();
        assertThat(debug.run(log, "module params +p", "m")).isNegative();
        assertThat(debug.run(log, "+p", "params")).isZero();
        assertThat(debug.prints(PARSE_ARGS)).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "*, '', true",
        "'', '', true",
        "'', a, false",
        "a*, abc, true",
        "*c, abc, true",
        "a*c, abbc, true",
        "a*b*c, axbxbxc, true",
        "a?c, abc, true",
        "a?c, ac, false",
        "a*d, abc, false",
        "**, abc, true",
        "abc, abcd, false"
    })
    void starsAndQuestionMarksMatch(String pattern, String text, boolean matches) {
        assertThat(DynamicDebug.wildcard(pattern, text)).isEqualTo(matches);
    }
}

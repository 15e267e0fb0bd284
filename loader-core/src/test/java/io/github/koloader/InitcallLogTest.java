package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.InitcallLog.Call;
import io.github.koloader.memory.Address;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class InitcallLogTest {
    private static final String CALLING = "calling  loop_init+0x0/0x109 @ 1\n";
    private static final String RETURNED =
            "initcall loop_init+0x0/0x109 returned 0 after 5031 usecs\n";

    @Test
    void twoLinesAreACall() {
        assertThat(InitcallLog.parse(CALLING + RETURNED).calls())
                .containsExactly(
                        new Call(
                                "loop_init",
                                Optional.empty(),
                                OptionalInt.of(1),
                                OptionalLong.empty(),
                                OptionalInt.of(0),
                                OptionalLong.of(5031),
                                false,
                                ""));
    }

    @ParameterizedTest
    @CsvSource(
            textBlock =
                    """
                    '[    0.123456] ', 123456
                    '[ 1234.5] ', 1234500000
                    '[    0.123456789] ', 123456
                    '<7>[    0.123456] ', 123456
                    '<7>', -1
                    '[    0.123456][    T1] ', 123456
                    '[    0.123456] [    T1] ', 123456
                    '[    0.123456 <    0.000010>] ', 123456
                    'kern  :debug : [    0.123456] ', 123456
                    'kern  :debug : ', -1
                    '[Thu Jan  1 00:00:00 1970] ', -1
                    'Jan 01 00:00:00 host kernel: ', -1
                    'Jan 01 00:00:00 host kernel: [    0.123456] ', 123456
                    '[    0.123456] host kernel: ', 123456
                    '1970-01-01T00:00:00+00:00 host kernel: ', -1
                    '7,339,123456,-;', 123456
                    '7,339,123456,-,caller=T1;', 123456
                    '> [    0.123456] ', 123456
                    """)
    void whatIsPutBeforeALineIsNoPartOfIt(String prefix, long time) {
        Call call = InitcallLog.parse(prefix + CALLING + prefix + RETURNED).calls().get(0);
        assertThat(call.function()).isEqualTo("loop_init");
        assertThat(call.pid()).hasValue(1);
        assertThat(call.duration()).hasValue(5031);
        assertThat(call.calledAt())
                .isEqualTo(time < 0 ? OptionalLong.empty() : OptionalLong.of(time));
    }

    @Test
    void linesOfASerialConsoleEndWithACarriageReturn() {
        String text = (CALLING + RETURNED).replace("\n", "\r\n");
        assertThat(InitcallLog.parse(text))
                .satisfies(
                        log -> {
                            assertThat(log.calls()).hasSize(1);
                            assertThat(log.calls().get(0).result()).hasValue(0);
                        });
    }

    @Test
    void aFunctionOfAModuleIsMarked() {
        Call call =
                InitcallLog.parse(
                                "calling  r_init+0x0/0x1000 [retneg] @ 97\n"
                                        + "initcall r_init+0x0/0x1000 [retneg] returned -22 after 3"
                                        + " usecs\n")
                        .calls()
                        .get(0);
        assertThat(call.function()).isEqualTo("r_init");
        assertThat(call.module()).contains("retneg");
        assertThat(call.pid()).hasValue(97);
        assertThat(call.result()).hasValue(-22);
        assertThat(call.failed()).isTrue();
    }

    @Test
    void callsOfSeveralProcessesAreToldApart() {
        List<Call> calls =
                InitcallLog.parse(
                                "calling  a+0x0/0x1 [m] @ 10\n"
                                        + "calling  b+0x0/0x1 [n] @ 11\n"
                                        + "initcall a+0x0/0x1 [m] returned 0 after 7 usecs\n"
                                        + "initcall b+0x0/0x1 [n] returned 0 after 5 usecs\n")
                        .calls();
        assertThat(calls).extracting(Call::function).containsExactly("a", "b");
        assertThat(calls.get(0).duration()).hasValue(7);
        assertThat(calls.get(1).duration()).hasValue(5);
    }

    @Test
    void functionsOfOneNameAreCalledOneAfterTheOther() {
        String one = "calling  f+0x0/0x1 @ 1\ninitcall f+0x0/0x1 returned %d after 1 usecs\n";
        assertThat(InitcallLog.parse(one.formatted(0) + one.formatted(-19)).calls())
                .extracting(call -> call.result().orElseThrow())
                .containsExactly(0, -19);
    }

    @Test
    void aCallThatNeverReturnedHasNoResult() {
        Call call = InitcallLog.parse(CALLING).calls().get(0);
        assertThat(call.result()).isEmpty();
        assertThat(call.duration()).isEmpty();
        assertThat(call.failed()).isFalse();
    }

    @Test
    void aReturnWithoutItsCallHasNoProcess() {
        Call call = InitcallLog.parse(RETURNED).calls().get(0);
        assertThat(call.pid()).isEmpty();
        assertThat(call.result()).hasValue(0);
    }

    @Test
    void whatTheKernelComplainsAboutBelongsToTheCallBefore() {
        String complaint =
                "[    5.0] initcall loop_init+0x0/0x109 returned with preemption imbalance \n";
        assertThat(InitcallLog.parse(CALLING + RETURNED + complaint).calls())
                .singleElement()
                .extracting(Call::complaint)
                .isEqualTo("preemption imbalance");
        assertThat(InitcallLog.parse(complaint).calls()).isEmpty();
    }

    @Test
    void aBlacklistedFunctionWasNotCalled() {
        Call call = InitcallLog.parse("initcall loop_init blacklisted\n").calls().get(0);
        assertThat(call.function()).isEqualTo("loop_init");
        assertThat(call.blacklisted()).isTrue();
        assertThat(call.result()).isEmpty();
    }

    @Test
    void anAddressIsAName() {
        assertThat(InitcallLog.parse("calling  0xffffffff83077c5b @ 1\n").calls())
                .extracting(Call::function)
                .containsExactly("0xffffffff83077c5b");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "probe of 0000:00:03.0 returned 0 after 12 usecs",
                "usb: calling  loop_init+0x0/0x109 @ 1",
                "usb: initcall loop_init returned 0 after 5 usecs",
                "calling  loop_init+0x0/0x109 @ one",
                "calling  loop_init+0x0/0x109",
                "initcall loop_init+0x0/0x109 returned 5000000000 after 5031 usecs",
                "initcall loop_init+0x0/0x109 returned 0 after 5031",
                "entering initcall level: device",
                "recalling  loop_init+0x0/0x109 @ 1",
                "blacklisting initcall loop_init",
                "call",
                ""
            })
    void otherLinesArePassedOver(String line) {
        assertThat(InitcallLog.parse(line).calls()).isEmpty();
    }

    @Test
    void aNegativeTimeIsNone() {
        assertThat(InitcallLog.parse("initcall f returned 0 after -3 usecs").calls().get(0))
                .extracting(Call::duration)
                .isEqualTo(OptionalLong.of(0));
    }

    @Test
    void longLinesTakeLinearTime() {
        String blanks = " ".repeat(4000);
        String hostile =
                ("initcall " + "x returned with".repeat(200) + blanks.substring(3000) + "\n")
                                .repeat(500)
                        + ("call ".repeat(800) + "\n").repeat(500)
                        + "calling ".repeat(1 << 20);
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(20), () -> InitcallLog.parse(hostile).calls());
    }

    @Test
    void callsOfBuiltInFunctionsAreFoundByName() {
        InitcallLog log =
                InitcallLog.parse(
                        CALLING
                                + RETURNED
                                + "calling  other+0x0/0x1 [loop_init] @ 9\n"
                                + "calling  loop_init+0x0/0x9 @ 1\n");
        Initcall loop =
                new Initcall(InitcallLevel.DEVICE, Address.NULL, "loop_init", Optional.empty());
        Initcall other = new Initcall(InitcallLevel.LATE, Address.NULL, "other", Optional.empty());
        assertThat(log.callsOf(List.of(loop, other, loop, loop)))
                .containsExactly(
                        Optional.of(log.calls().get(0)),
                        Optional.empty(),
                        Optional.of(log.calls().get(2)),
                        Optional.empty());
    }

    @Test
    void stubsOfLinkTimeOptimisationAreFoundByTheirFunction() {
        InitcallLog log =
                InitcallLog.parse(
                        "calling  __initstub__kmod_loop__423_2271_loop_init6+0x0/0x8 @ 1\n");
        Initcall loop =
                new Initcall(InitcallLevel.DEVICE, Address.NULL, "loop_init", Optional.of("loop"));
        assertThat(log.callsOf(List.of(loop))).containsExactly(Optional.of(log.calls().get(0)));
        Initcall stub =
                new Initcall(
                        InitcallLevel.DEVICE,
                        Address.NULL,
                        "__initstub__kmod_loop__423_2271_loop_init6",
                        Optional.of("loop"));
        assertThat(log.callsOf(List.of(stub))).containsExactly(Optional.of(log.calls().get(0)));
    }
}

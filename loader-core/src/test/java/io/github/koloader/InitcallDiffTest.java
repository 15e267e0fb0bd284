package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.InitcallDiff.Change;
import io.github.koloader.InitcallDiff.Kind;
import io.github.koloader.memory.Address;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

final class InitcallDiffTest {
    @Test
    void anInsertionIsOneChange() {
        InitcallDiff diff = InitcallDiff.between(calls("6 a", "6 b"), calls("6 x", "6 a", "6 b"));
        assertThat(lines(diff)).containsExactly("ADDED x -1 0");
        assertThat(diff.unchanged()).isEqualTo(2);
    }

    @Test
    void aRemovalIsOneChange() {
        assertThat(lines(InitcallDiff.between(calls("6 a", "6 b"), calls("6 b"))))
                .containsExactly("REMOVED a 0 -1");
    }

    @Test
    void whatMovedFarIsOneChange() {
        assertThat(
                        lines(
                                InitcallDiff.between(
                                        calls("6 a", "6 b", "6 c", "6 d"),
                                        calls("6 d", "6 a", "6 b", "6 c"))))
                .containsExactly("ORDER d 3 0");
    }

    @Test
    void anotherLevelIsNoOtherPlace() {
        assertThat(lines(InitcallDiff.between(calls("6 a", "7 b"), calls("7 a", "7 b"))))
                .containsExactly("LEVEL a 0 0");
    }

    @Test
    void functionsOfOneNameAreToldApartByTheirModules() {
        List<Initcall> before = calls("6 init one", "6 init two", "6 x");
        List<Initcall> after = calls("6 init two", "6 x");
        assertThat(lines(InitcallDiff.between(before, after))).containsExactly("REMOVED init 0 -1");
    }

    @Test
    void functionsOfOneNameAreToldApartByTheirLevels() {
        assertThat(
                        lines(
                                InitcallDiff.between(
                                        calls("5 init", "6 init", "7 init"),
                                        calls("6 init", "7 init"))))
                .containsExactly("REMOVED init 0 -1");
    }

    @Test
    void aModuleThatOnlyOneOfTheKernelsNamesDoesNotCount() {
        assertThat(InitcallDiff.between(calls("6 a m", "6 b n"), calls("6 a", "6 b")).isEmpty())
                .isTrue();
        assertThat(InitcallDiff.between(calls("6 a", "6 b"), calls("6 a m", "6 b n")).isEmpty())
                .isTrue();
    }

    @Test
    void anotherModuleIsAnotherInitcall() {
        assertThat(lines(InitcallDiff.between(calls("6 a m"), calls("6 a n"))))
                .containsExactly("REMOVED a 0 -1", "ADDED a -1 0");
    }

    @Test
    void stubsOfLinkTimeOptimisationAreTheFunctionsTheyCall() {
        assertThat(
                        InitcallDiff.between(
                                        calls("6 __initstub__kmod_loop__423_2271_loop_init6 loop"),
                                        calls("6 __initstub__kmod_loop__425_2280_loop_init6 loop"))
                                .isEmpty())
                .isTrue();
    }

    @Test
    void addressesDoNotMatter() {
        Initcall here = new Initcall(InitcallLevel.LATE, new Address(1), "f", Optional.empty());
        Initcall there = new Initcall(InitcallLevel.LATE, new Address(2), "f", Optional.empty());
        assertThat(InitcallDiff.between(List.of(here), List.of(there)).isEmpty()).isTrue();
    }

    @Test
    void initcallsWithoutANameDoNotChangeLevel() {
        Initcall six = new Initcall(InitcallLevel.DEVICE, new Address(1), "", Optional.empty());
        Initcall seven = new Initcall(InitcallLevel.LATE, new Address(1), "", Optional.empty());
        assertThat(InitcallDiff.between(List.of(six), List.of(seven)).changes())
                .extracting(Change::kind)
                .containsExactly(Kind.REMOVED, Kind.ADDED);
    }

    @Test
    void ofTwoThatChangedPlacesBothDirectionsTellTheSame() {
        List<Initcall> ab = calls("6 a", "6 b");
        List<Initcall> ba = calls("6 b", "6 a");
        assertThat(lines(InitcallDiff.between(ab, ba))).containsExactly("ORDER a 0 1");
        assertThat(lines(InitcallDiff.between(ba, ab))).containsExactly("ORDER a 1 0");
    }

    @Test
    void aListThatIsTooShortIsRefused() {
        InitcallDiff diff = InitcallDiff.between(calls("6 a", "6 b"), calls("6 a"));
        assertThatThrownBy(() -> diff.applyTo(calls("6 a")))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void longListsTakeLittleTime() {
        List<Initcall> before = new ArrayList<>();
        for (int i = 0; i < 200_000; i++) {
            before.add(new Initcall(InitcallLevel.DEVICE, Address.NULL, "f" + i, Optional.empty()));
        }
        List<Initcall> after = new ArrayList<>(before);
        Collections.shuffle(after, new Random(1));
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(20),
                () ->
                        assertThat(InitcallDiff.between(before, after).applyTo(before))
                                .isEqualTo(after));
    }

    /** {@code "6 f m"}: level, function and, if known, module. */
    private static List<Initcall> calls(String... texts) {
        return Arrays.stream(texts)
                .map(text -> text.split(" "))
                .map(
                        words ->
                                new Initcall(
                                        InitcallLevel.ofId(words[0]).orElseThrow(),
                                        Address.NULL,
                                        words[1],
                                        words.length < 3
                                                ? Optional.empty()
                                                : Optional.of(words[2])))
                .toList();
    }

    private static List<String> lines(InitcallDiff diff) {
        return diff.changes().stream()
                .map(
                        change ->
                                "%s %s %d %d"
                                        .formatted(
                                                change.kind(),
                                                change.initcall().name(),
                                                change.from(),
                                                change.to()))
                .toList();
    }
}

package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.InitcallDiff.Change;
import io.github.koloader.InitcallDiff.Kind;
import io.github.koloader.memory.Address;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.statistics.Statistics;

final class InitcallDiffPropertyTest {
    @Property
    void changesMakeOneListTheOther(
            @ForAll("kernels") List<Initcall> before, @ForAll("kernels") List<Initcall> after) {
        InitcallDiff diff = InitcallDiff.between(before, after);
        assertThat(diff.applyTo(before)).isEqualTo(after);
        for (Change change : diff.changes()) {
            Statistics.label("kind").collect(change.kind());
            change.before().ifPresent(call -> assertThat(before.get(change.from())).isSameAs(call));
            change.after().ifPresent(call -> assertThat(after.get(change.to())).isSameAs(call));
        }
        Statistics.label("kind")
                .coverage(
                        checker -> {
                            for (Kind kind : Kind.values()) {
                                checker.check(kind).count(count -> count > 0);
                            }
                        });
    }

    @Property
    void aKernelDoesNotDifferFromItself(@ForAll("kernels") List<Initcall> kernel) {
        InitcallDiff diff = InitcallDiff.between(kernel, kernel);
        assertThat(diff.isEmpty()).isTrue();
        assertThat(diff.unchanged()).isEqualTo(kernel.size());
    }

    @Property
    void theOtherWayRoundEveryChangeIsReversed(
            @ForAll("kernels") List<Initcall> before, @ForAll("kernels") List<Initcall> after) {
        List<Change> there = InitcallDiff.between(before, after).changes();
        List<Change> back = InitcallDiff.between(after, before).changes();
        assertThat(back)
                .containsExactlyInAnyOrderElementsOf(
                        there.stream()
                                .map(
                                        change ->
                                                new Change(
                                                        opposite(change.kind()),
                                                        change.after(),
                                                        change.to(),
                                                        change.before(),
                                                        change.from()))
                                .toList());
    }

    /** The number of moves against a longest common subsequence found the slow way. */
    @Property
    void nothingMovesThatCouldStay(
            @ForAll("kernels") List<Initcall> before, @ForAll("kernels") List<Initcall> after) {
        List<Initcall> one = before.stream().distinct().toList();
        List<Initcall> two = after.stream().distinct().toList();
        assertThat(InitcallDiff.between(one, two).unchanged()).isEqualTo(commonLength(one, two));
    }

    private static int commonLength(List<Initcall> one, List<Initcall> two) {
        int[][] length = new int[one.size() + 1][two.size() + 1];
        for (int i = 1; i <= one.size(); i++) {
            for (int j = 1; j <= two.size(); j++) {
                length[i][j] =
                        one.get(i - 1).equals(two.get(j - 1))
                                ? length[i - 1][j - 1] + 1
                                : Math.max(length[i - 1][j], length[i][j - 1]);
            }
        }
        return length[one.size()][two.size()];
    }

    private static Kind opposite(Kind kind) {
        return switch (kind) {
            case REMOVED -> Kind.ADDED;
            case ADDED -> Kind.REMOVED;
            case LEVEL, ORDER -> kind;
        };
    }

    /** Few names, so that kernels have much in common, and several initcalls of one name. */
    @Provide
    Arbitrary<List<Initcall>> kernels() {
        Arbitrary<String> names = Arbitraries.strings().withCharRange('a', 'h').ofLength(1);
        Arbitrary<Optional<String>> modules =
                Arbitraries.frequencyOf(
                        Tuple.of(9, Arbitraries.just(Optional.of("m"))),
                        Tuple.of(1, Arbitraries.just(Optional.of("n"))));
        Arbitrary<InitcallLevel> levels =
                Arbitraries.of(InitcallLevel.EARLY, InitcallLevel.FS, InitcallLevel.DEVICE);
        return Combinators.combine(levels, names, modules)
                .as((level, name, module) -> new Initcall(level, Address.NULL, name, module))
                .list()
                .ofMaxSize(20)
                .map(
                        calls ->
                                calls.stream()
                                        .sorted(Comparator.comparing(Initcall::level))
                                        .toList());
    }
}

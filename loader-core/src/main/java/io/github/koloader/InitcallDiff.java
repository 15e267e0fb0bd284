package io.github.koloader;

import static java.util.Comparator.naturalOrder;
import static java.util.Objects.requireNonNull;

import com.google.common.collect.Comparators;
import com.google.common.collect.ImmutableList;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;

/**
 * How the order of initcalls differs between two kernels, as few changes as possible: one insertion
 * is one change, though all that follow have other places. Immutable.
 *
 * <p>An initcall is the same in both if function and module have the same names in the source;
 * where only one of the lists knows the module, the function's name decides. Of several of one
 * name, those of the same level belong together, then the first to the first. Addresses do not
 * matter. Initcalls without a name are told apart by level only.
 */
public final class InitcallDiff {
    /** What happened to an initcall. */
    public enum Kind {
        /** Only the first kernel has it. */
        REMOVED,
        /** Only the second kernel has it. */
        ADDED,
        /** It is run by another level. */
        LEVEL,
        /** Its level is the same, but not its place among those that stayed. */
        ORDER
    }

    /**
     * A change.
     *
     * @param kind what happened
     * @param before the initcall of the first kernel; empty if it was added
     * @param from its place in the first list, from 0; −1 if it was added
     * @param after the initcall of the second kernel; empty if it was removed
     * @param to its place in the second list, from 0; −1 if it was removed
     */
    public record Change(
            Kind kind, Optional<Initcall> before, int from, Optional<Initcall> after, int to) {
        /**
         * Checks for nulls.
         *
         * @param kind what happened
         * @param before the initcall of the first kernel
         * @param from its place in the first list
         * @param after the initcall of the second kernel
         * @param to its place in the second list
         */
        public Change {
            requireNonNull(kind);
            requireNonNull(before);
            requireNonNull(after);
        }

        /** {@return the initcall, as the second kernel has it if it does} */
        public Initcall initcall() {
            return after.or(() -> before).orElseThrow();
        }

        private Change reversed() {
            Kind opposite =
                    switch (kind) {
                        case REMOVED -> Kind.ADDED;
                        case ADDED -> Kind.REMOVED;
                        case LEVEL, ORDER -> kind;
                    };
            return new Change(opposite, after, to, before, from);
        }
    }

    /** What tells initcalls apart. */
    private record Key(String name, Optional<String> module, Optional<InitcallLevel> level) {}

    private static final Comparator<Initcall> ANY_ORDER =
            Comparator.comparing(Initcall::level)
                    .thenComparing(Initcall::sourceName)
                    .thenComparing(Initcall::module, Comparators.emptiesFirst(naturalOrder()));

    private static final Comparator<Change> REPORT_ORDER =
            Comparator.comparing(Change::kind)
                    .thenComparingInt(change -> change.to() < 0 ? change.from() : change.to());

    private final ImmutableList<Change> changes;
    private final int same;

    private InitcallDiff(List<Change> changes, int same) {
        this.changes = ImmutableList.sortedCopyOf(REPORT_ORDER, changes);
        this.same = same;
    }

    /**
     * Compares two kernels.
     *
     * @param before initcalls of the first, in running order
     * @param after initcalls of the second, in running order
     * @return what differs; the other way round, it is the same changes reversed
     */
    public static InitcallDiff between(List<Initcall> before, List<Initcall> after) {
        // Of two neighbours that changed places, either may be the one that moved. So that both
        // directions agree on which, the comparison is always made in the same direction.
        if (compare(before, after) <= 0) {
            return compared(before, after);
        }
        InitcallDiff reverse = compared(after, before);
        return new InitcallDiff(
                reverse.changes.stream().map(Change::reversed).toList(), reverse.same);
    }

    private static int compare(List<Initcall> a, List<Initcall> b) {
        for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
            int order = ANY_ORDER.compare(a.get(i), b.get(i));
            if (order != 0) {
                return order;
            }
        }
        return Integer.compare(a.size(), b.size());
    }

    private static InitcallDiff compared(List<Initcall> before, List<Initcall> after) {
        int[] partners = partners(before, after);
        boolean[] stays = longestRising(partnersOfSameLevel(partners, before, after));
        List<Change> changes = new ArrayList<>();
        boolean[] found = new boolean[after.size()];
        int same = 0;
        for (int from = 0; from < partners.length; from++) {
            Optional<Initcall> old = Optional.of(before.get(from));
            int to = partners[from];
            if (to < 0) {
                changes.add(new Change(Kind.REMOVED, old, from, Optional.empty(), -1));
                continue;
            }
            found[to] = true;
            if (stays[from]) {
                same++;
                continue;
            }
            Initcall now = after.get(to);
            Kind kind = now.level() == before.get(from).level() ? Kind.ORDER : Kind.LEVEL;
            changes.add(new Change(kind, old, from, Optional.of(now), to));
        }
        for (int to = 0; to < found.length; to++) {
            if (!found[to]) {
                changes.add(
                        new Change(
                                Kind.ADDED, Optional.empty(), -1, Optional.of(after.get(to)), to));
            }
        }
        return new InitcallDiff(changes, same);
    }

    /** For each of {@code before} the index of the same one in {@code after}, or −1. */
    private static int[] partners(List<Initcall> before, List<Initcall> after) {
        int[] partners = new int[before.size()];
        Arrays.fill(partners, -1);
        boolean[] taken = new boolean[after.size()];
        pair(before, after, partners, taken, call -> key(call, call.module(), true));
        pair(before, after, partners, taken, call -> key(call, call.module(), false));
        if (!modulesKnown(before) || !modulesKnown(after)) {
            pair(before, after, partners, taken, call -> key(call, Optional.empty(), true));
            pair(before, after, partners, taken, call -> key(call, Optional.empty(), false));
        }
        return partners;
    }

    private static boolean modulesKnown(List<Initcall> initcalls) {
        return initcalls.stream().anyMatch(initcall -> initcall.module().isPresent());
    }

    private static Key key(Initcall call, Optional<String> module, boolean withLevel) {
        boolean level = withLevel || call.name().isEmpty();
        return new Key(
                call.sourceName(), module, level ? Optional.of(call.level()) : Optional.empty());
    }

    /** Pairs those of equal keys that have no partner yet, the first with the first. */
    private static void pair(
            List<Initcall> before,
            List<Initcall> after,
            int[] partners,
            boolean[] taken,
            Function<Initcall, Key> key) {
        Map<Key, Deque<Integer>> free = new HashMap<>();
        for (int to = 0; to < taken.length; to++) {
            if (!taken[to]) {
                free.computeIfAbsent(key.apply(after.get(to)), k -> new ArrayDeque<>()).add(to);
            }
        }
        for (int from = 0; from < partners.length; from++) {
            if (partners[from] < 0) {
                Deque<Integer> candidates = free.get(key.apply(before.get(from)));
                Integer to = candidates == null ? null : candidates.poll();
                if (to != null) {
                    partners[from] = to;
                    taken[to] = true;
                }
            }
        }
    }

    private static int[] partnersOfSameLevel(
            int[] partners, List<Initcall> before, List<Initcall> after) {
        int[] same = partners.clone();
        for (int from = 0; from < same.length; from++) {
            if (same[from] >= 0 && before.get(from).level() != after.get(same[from]).level()) {
                same[from] = -1;
            }
        }
        return same;
    }

    /**
     * Which elements are part of a longest rising subsequence: as all values differ, that is the
     * longest common subsequence of the two lists. Negative values are no part of any.
     */
    private static boolean[] longestRising(int[] values) {
        int[] ends =
                new int[values.length]; // index of the least value that ends one of length i + 1
        int[] previous = new int[values.length];
        int length = 0;
        for (int i = 0; i < values.length; i++) {
            if (values[i] < 0) {
                continue;
            }
            int low = 0;
            int high = length;
            while (low < high) {
                int middle = low + high >>> 1;
                if (values[ends[middle]] < values[i]) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            previous[i] = low == 0 ? -1 : ends[low - 1];
            ends[low] = i;
            length = Math.max(length, low + 1);
        }
        boolean[] chosen = new boolean[values.length];
        for (int i = length == 0 ? -1 : ends[length - 1]; i >= 0; i = previous[i]) {
            chosen[i] = true;
        }
        return chosen;
    }

    /** {@return the changes: removed, added, other level, other place; each in running order} */
    public List<Change> changes() {
        return changes;
    }

    /**
     * {@return number of initcalls that both kernels have, at the same level and in the same order}
     */
    public int unchanged() {
        return same;
    }

    /**
     * {@return whether both kernels call the same functions, at the same levels, in the same order}
     */
    public boolean isEmpty() {
        return changes.isEmpty();
    }

    /**
     * Makes the changes.
     *
     * @param before the list that was compared with another one
     * @return that other one; what did not change is as in {@code before}
     * @throws IndexOutOfBoundsException if it is some other list, with too few initcalls
     */
    public List<Initcall> applyTo(List<Initcall> before) {
        BitSet gone = new BitSet();
        Map<Integer, Initcall> arrived = new HashMap<>();
        for (Change change : changes) {
            if (change.from() >= 0) {
                gone.set(Objects.checkIndex(change.from(), before.size()));
            }
            change.after().ifPresent(initcall -> arrived.put(change.to(), initcall));
        }
        List<Initcall> result = new ArrayList<>();
        for (int from = gone.nextClearBit(0);
                from < before.size();
                from = gone.nextClearBit(from + 1)) {
            addArrived(arrived, result);
            result.add(before.get(from));
        }
        addArrived(arrived, result);
        return result;
    }

    /** Adds those whose place is the next one. */
    private static void addArrived(Map<Integer, Initcall> arrived, List<Initcall> result) {
        for (Initcall next = arrived.get(result.size()); next != null; ) {
            result.add(next);
            next = arrived.get(result.size());
        }
    }
}

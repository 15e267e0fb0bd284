package io.github.koloader.internal;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The names most like one that was not found: the same but for leading underscores, one of them the
 * start of the other, or up to two letters apart. Cheap: names that are too long to be real are not
 * looked at, and most others are dismissed by their length.
 */
final class SimilarNames {
    /** Names beyond this are not looked at. */
    static final int LONGEST = 120;

    /** How many names of the kernel are looked at. */
    static final int CONSIDERED = 200_000;

    private static final int BEST = 3;
    private static final int SHORTEST = 4;

    private record Candidate(String name, int score) {}

    private final String wanted;
    private final String core;
    private final List<Candidate> candidates = new ArrayList<>();

    SimilarNames(String wanted) {
        this.wanted = wanted.length() > LONGEST ? "" : wanted;
        this.core = core(this.wanted);
    }

    private static String core(String name) {
        int start = 0;
        while (start < name.length() && name.charAt(start) == '_') {
            start++;
        }
        return name.substring(start);
    }

    void consider(String name) {
        if (core.length() < SHORTEST || name.length() > LONGEST || name.equals(wanted)) {
            return;
        }
        int score = score(core(name));
        if (score < Integer.MAX_VALUE) {
            candidates.add(new Candidate(name, score));
            if (candidates.size() >= 100) {
                prune();
            }
        }
    }

    private int score(String other) {
        if (other.equals(core)) {
            return 0;
        }
        int difference = Math.abs(other.length() - core.length());
        if (difference <= 2) {
            int distance = distance(other, core);
            if (distance <= (core.length() < 8 ? 1 : 2)) {
                return distance;
            }
        }
        boolean prefix =
                core.length() >= 8
                        && other.length() >= 8
                        && difference <= 12
                        && (other.startsWith(core) || core.startsWith(other));
        return prefix ? 10 + difference : Integer.MAX_VALUE;
    }

    /** Letters put in, left out or changed, as far as it matters; at least 3 if more than 2. */
    private static int distance(String from, String to) {
        int[] row = new int[to.length() + 1];
        for (int j = 0; j < row.length; j++) {
            row[j] = j;
        }
        for (int i = 1; i <= from.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            int least = i;
            for (int j = 1; j < row.length; j++) {
                int change = diagonal + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(change, Math.min(row[j], row[j - 1]) + 1);
                least = Math.min(least, row[j]);
            }
            if (least > 2) {
                return 3;
            }
        }
        return row[to.length()];
    }

    private void prune() {
        candidates.sort(Comparator.comparingInt(Candidate::score).thenComparing(Candidate::name));
        candidates.subList(Math.min(BEST, candidates.size()), candidates.size()).clear();
    }

    /** The best, at most three, best first. */
    List<String> best() {
        prune();
        return candidates.stream().map(Candidate::name).distinct().toList();
    }
}

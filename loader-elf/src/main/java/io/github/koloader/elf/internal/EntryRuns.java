package io.github.koloader.elf.internal;

import io.github.koloader.image.Encoding;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Places where one pointer to code follows the other, at least {@link #SHORTEST} of them: what
 * tables of initcalls look like when nothing else is known. Their number is bounded by the image's
 * size.
 */
final class EntryRuns {
    static final int SHORTEST = 4;

    /**
     * Addresses {@code [start, end)}.
     *
     * @param init how many entries lead to where a symbol of init code is
     */
    record Run(long start, long end, int init) {
        int count(int size) {
            return (int) ((end - start) / size);
        }
    }

    private final EntryKind kind;
    private final int size;
    private final CodeRanges code;
    private final List<Run> runs = new ArrayList<>(); // ascending

    /** Looks for runs in some pieces of an image, each of them aligned as its entries are. */
    EntryRuns(EntryKind kind, Encoding encoding, List<LinkedImage.Piece> pieces, CodeRanges code) {
        this.kind = kind;
        this.size = kind.size(encoding);
        this.code = code;
        pieces.stream()
                .sorted(Comparator.comparing(LinkedImage.Piece::address, Long::compareUnsigned))
                .forEach(piece -> addRunsOf(piece, encoding));
    }

    private void addRunsOf(LinkedImage.Piece piece, Encoding encoding) {
        int last = piece.bytes().size() - size;
        int start = -1;
        int init = 0;
        int at = (int) (-piece.address() & size - 1);
        for (; at <= last; at += size) {
            long target = kind.target(piece.bytes(), at, piece.address() + at, encoding);
            if (!code.isCode(target)) {
                add(piece, start, at, init);
                start = -1;
                continue;
            }
            if (start < 0) {
                start = at;
                init = 0;
            }
            init += code.isInit(target) && code.isFunction(target) ? 1 : 0;
        }
        add(piece, start, at, init);
    }

    private void add(LinkedImage.Piece piece, int start, int end, int init) {
        if (start >= 0 && end - start >= SHORTEST * size) {
            runs.add(new Run(piece.address() + start, piece.address() + end, init));
        }
    }

    EntryKind kind() {
        return kind;
    }

    /** The run that has all of {@code [from, to)}, whole entries of it. */
    Optional<Run> around(long from, long to) {
        int low = 0;
        int high = runs.size();
        while (low < high) {
            int middle = low + high >>> 1;
            if (Long.compareUnsigned(runs.get(middle).start(), from) <= 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return Optional.of(low)
                .filter(found -> found > 0)
                .map(found -> runs.get(found - 1))
                .filter(run -> (from - run.start()) % size == 0 && (to - from) % size == 0)
                .filter(run -> Long.compareUnsigned(from, to) <= 0)
                .filter(run -> Long.compareUnsigned(to, run.end()) <= 0);
    }

    /**
     * The run that leads to init code most often, if at least half of its entries do, and no other
     * run does so more than half as often.
     */
    Optional<Run> mostInit() {
        Optional<Run> best = Optional.empty();
        int most = 0;
        int second = 0;
        for (Run run : runs) {
            if (run.init() > most) {
                second = most;
                most = run.init();
                best = Optional.of(run);
            } else {
                second = Math.max(second, run.init());
            }
        }
        boolean stands = most >= 2 * second;
        return best.filter(run -> stands && 2 * run.init() >= run.count(size));
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Encoding;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Places where one pointer to a function follows the other, at least {@link #SHORTEST} of them:
 * what tables of initcalls look like when nothing else is known. Their number is bounded by the
 * image's size.
 */
final class EntryRuns {
    static final int SHORTEST = 4;

    /** Addresses {@code [start, end)}. */
    record Run(long start, long end) {}

    private final EntryKind kind;
    private final int size;
    private long[] bounds = new long[64]; // start, end, start, end …, ascending
    private int count;

    /** Looks for runs in some pieces of an image, each of them aligned as its entries are. */
    EntryRuns(EntryKind kind, Encoding encoding, List<LinkedImage.Piece> pieces, CodeRanges code) {
        this.kind = kind;
        this.size = kind.size(encoding);
        pieces.stream()
                .sorted(Comparator.comparing(LinkedImage.Piece::address, Long::compareUnsigned))
                .forEach(piece -> addRunsOf(piece, encoding, code));
    }

    private void addRunsOf(LinkedImage.Piece piece, Encoding encoding, CodeRanges code) {
        int last = piece.bytes().size() - size;
        int start = -1;
        int at = (int) (-piece.address() & size - 1);
        for (; at <= last; at += size) {
            long address = piece.address() + at;
            if (!code.isFunction(kind.target(piece.bytes(), at, address, encoding))) {
                add(piece, start, at);
                start = -1;
            } else if (start < 0) {
                start = at;
            }
        }
        add(piece, start, at);
    }

    private void add(LinkedImage.Piece piece, int start, int end) {
        if (start < 0 || end - start < SHORTEST * size) {
            return;
        }
        if (2 * count == bounds.length) {
            bounds = Arrays.copyOf(bounds, 2 * bounds.length);
        }
        bounds[2 * count] = piece.address() + start;
        bounds[2 * count + 1] = piece.address() + end;
        count++;
    }

    EntryKind kind() {
        return kind;
    }

    /** The run that has all of {@code [from, to)}, whole entries of it. */
    Optional<Run> around(long from, long to) {
        int low = 0;
        int high = count;
        while (low < high) {
            int middle = low + high >>> 1;
            if (Long.compareUnsigned(bounds[2 * middle], from) <= 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low == 0) {
            return Optional.empty();
        }
        Run run = run(low - 1);
        boolean whole = (from - run.start()) % size == 0 && (to - from) % size == 0;
        return whole
                        && Long.compareUnsigned(from, to) <= 0
                        && Long.compareUnsigned(to, run.end()) <= 0
                ? Optional.of(run)
                : Optional.empty();
    }

    /** The longest run, if no other is more than half as long. */
    Optional<Run> longest() {
        Optional<Run> best = Optional.empty();
        long length = 0;
        long second = 0;
        for (int i = 0; i < count; i++) {
            Run run = run(i);
            long entries = (run.end() - run.start()) / size;
            if (entries > length) {
                second = length;
                length = entries;
                best = Optional.of(run);
            } else {
                second = Math.max(second, entries);
            }
        }
        return length >= 2 * second ? best : Optional.empty();
    }

    private Run run(int index) {
        return new Run(bounds[2 * index], bounds[2 * index + 1]);
    }
}

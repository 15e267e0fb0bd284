package io.github.koloader.memory;

import java.util.Arrays;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * Free addresses of one range, given out lowest first in units of a granule. For each size up to a
 * limit it remembers below which address there is no such hole, so that a search does not begin at
 * the start of a range that has long been full.
 */
final class FreeList {
    private static final int REMEMBERED = 64;

    private final long granule;
    private final TreeMap<Long, Long> holes = new TreeMap<>(Long::compareUnsigned); // start to size
    private final long[] noHoleBelow = new long[REMEMBERED + 1];

    FreeList(AddressRange range, long granule) {
        this.granule = granule;
        holes.put(range.start().value(), range.size());
        Arrays.fill(noHoleBelow, range.start().value());
    }

    OptionalLong allocate(long size, long alignment) {
        int index = (int) Math.min(REMEMBERED, size / granule);
        for (Map.Entry<Long, Long> hole : holes.tailMap(noHoleBelow[index], true).entrySet()) {
            long start = hole.getKey();
            long holeSize = hole.getValue();
            long padding = -start & (alignment - 1);
            if (padding <= holeSize && size <= holeSize - padding) {
                if (alignment <= granule && index < REMEMBERED) {
                    noHoleBelow[index] = start;
                }
                take(start, holeSize, start + padding, size);
                return OptionalLong.of(start + padding);
            }
        }
        return OptionalLong.empty();
    }

    private void take(long start, long holeSize, long at, long size) {
        holes.remove(start);
        if (at != start) {
            holes.put(start, at - start);
        }
        long rest = start + holeSize - (at + size);
        if (rest != 0) {
            holes.put(at + size, rest);
        }
    }

    void free(long at, long size) {
        long start = at;
        long end = at + size;
        Map.Entry<Long, Long> before = holes.lowerEntry(at);
        if (before != null && before.getKey() + before.getValue() == at) {
            start = before.getKey();
        }
        Long after = holes.remove(end);
        if (after != null) {
            end += after;
        }
        holes.put(start, end - start);
        long units = Math.min(REMEMBERED, (end - start) / granule);
        for (int i = 0; i <= REMEMBERED; i++) {
            if ((i <= units) && Long.compareUnsigned(start, noHoleBelow[i]) < 0) {
                noHoleBelow[i] = start;
            }
        }
    }
}

package io.github.koloader.internal;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The order that the kernel's {@code sort()} leaves: a bottom-up heapsort, which is not stable, so
 * equal keys end up in an order that depends on the algorithm.
 *
 * @kernel lib/sort.c, sort_r()
 */
public final class KernelSort {
    private KernelSort() {}

    /** What is sorted, by index. */
    public interface Elements {
        /**
         * Negative, zero or positive as element {@code i} belongs before, beside or behind element
         * {@code j}.
         */
        int compare(int i, int j);

        /** Exchanges two elements. */
        void swap(int i, int j);
    }

    /** Sorts {@code count} elements. */
    public static void sort(int count, Elements elements) {
        int building = count / 2;
        if (building == 0) {
            return;
        }
        int end = count;
        while (true) {
            if (building > 0) {
                building--;
            } else {
                end--;
                if (end == 0) {
                    return;
                }
                elements.swap(0, end);
            }
            siftDown(elements, building, end);
        }
    }

    /**
     * Walks down to a leaf along the larger children, back up to where the root belongs, and
     * rotates it there.
     */
    private static void siftDown(Elements elements, int root, int end) {
        int at = root;
        int left = 2 * at + 1;
        while (left + 1 < end) {
            at = elements.compare(left, left + 1) >= 0 ? left : left + 1;
            left = 2 * at + 1;
        }
        if (left + 1 == end) {
            at = left;
        }
        while (at != root && elements.compare(root, at) >= 0) {
            at = (at - 1) / 2;
        }
        int place = at;
        while (at != root) {
            at = (at - 1) / 2;
            elements.swap(at, place);
        }
    }

    // ---- numbers ----

    /**
     * The order in which elements with these keys stand afterwards; faster than {@link #sort}, for
     * large tables.
     *
     * @param major what elements are compared by, as unsigned numbers
     * @param minor what those with the same major key are compared by, as signed numbers; {@code
     *     null} if they are equal then
     * @return for each place the index of the element that stands there
     */
    public static int[] order(long[] major, long @Nullable [] minor) {
        int count = major.length;
        long[] elements = packed(major);
        int building = count / 2;
        int end = count;
        while (building > 0 || end > 1) {
            if (building > 0) {
                building--;
            } else {
                end--;
                long last = elements[end];
                elements[end] = elements[0];
                elements[0] = last;
            }
            siftDown(elements, minor, building, end);
        }
        int[] order = new int[count];
        for (int i = 0; i < count; i++) {
            order[i] = (int) elements[i];
        }
        return order;
    }

    /**
     * The keys, or their ranks if they are too large, in the upper halves; indexes in the lower.
     */
    private static long[] packed(long[] major) {
        long all = 0;
        for (long key : major) {
            all |= key;
        }
        long[] elements = new long[major.length];
        boolean small = all >>> 31 == 0;
        long[] ranks = small ? major : flipped(major);
        long[] sorted = small ? major : ranks.clone();
        if (!small) {
            Arrays.sort(sorted);
        }
        for (int i = 0; i < elements.length; i++) {
            long key = small ? major[i] : rank(sorted, ranks[i]);
            elements[i] = key << 32 | i;
        }
        return elements;
    }

    /** Unsigned numbers in the order of signed ones. */
    private static long[] flipped(long[] keys) {
        long[] flipped = new long[keys.length];
        for (int i = 0; i < keys.length; i++) {
            flipped[i] = keys[i] ^ Long.MIN_VALUE;
        }
        return flipped;
    }

    /** Index of the first number that is not smaller. */
    private static int rank(long[] sorted, long key) {
        int low = 0;
        int high = sorted.length;
        while (low < high) {
            int middle = low + high >>> 1;
            if (sorted[middle] < key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    private static int compare(long a, long b, long @Nullable [] minor) {
        int order = Integer.compare((int) (a >>> 32), (int) (b >>> 32));
        return order != 0 || minor == null ? order : Long.compare(minor[(int) a], minor[(int) b]);
    }

    private static void siftDown(long[] elements, long @Nullable [] minor, int root, int end) {
        int at = root;
        int left = 2 * at + 1;
        while (left + 1 < end) {
            at = compare(elements[left], elements[left + 1], minor) >= 0 ? left : left + 1;
            left = 2 * at + 1;
        }
        if (left + 1 == end) {
            at = left;
        }
        long moved = elements[root];
        while (at != root && compare(moved, elements[at], minor) >= 0) {
            at = (at - 1) / 2;
        }
        long carried = elements[at];
        elements[at] = moved;
        while (at != root) {
            at = (at - 1) / 2;
            long old = elements[at];
            elements[at] = carried;
            carried = old;
        }
    }
}

package io.github.koloader.internal;

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
}

package io.github.koloader.arch;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.internal.KernelSort;
import org.jspecify.annotations.Nullable;

/**
 * A copy of a relocation table whose entries can change places, for kernels that sort relocations
 * before they count veneers. Nothing in it is copied before two entries really change places.
 */
final class RelocationOrder {
    /** A number that entries are compared by. */
    @FunctionalInterface
    interface Key {
        /** The number of one entry. */
        long of(RelocationTable table, int entry);
    }

    private final RelocationTable original;
    private final byte[] spare;
    private byte[] copy = new byte[0];
    private RelocationTable table;

    RelocationOrder(RelocationTable original) {
        this.original = original;
        this.table = original;
        this.spare = new byte[original.format().entrySize()];
    }

    /** The entries as they stand. */
    RelocationTable table() {
        return table;
    }

    /** Whether an entry has left its place. */
    boolean changed() {
        return table != original;
    }

    /** Exchanges two entries. */
    void swap(int i, int j) {
        copy();
        int size = spare.length;
        System.arraycopy(copy, i * size, spare, 0, size);
        System.arraycopy(copy, j * size, copy, i * size, size);
        System.arraycopy(spare, 0, copy, j * size, size);
    }

    private void copy() {
        if (table == original) {
            copy = original.entries().toByteArray();
            table =
                    new RelocationTable(
                            original.section(),
                            original.target(),
                            Bytes.wrap(copy),
                            original.encoding(),
                            original.format());
        }
    }

    /**
     * Sorts the first {@code count} entries as the kernel's {@code sort()} does.
     *
     * @param major what they are compared by, as an unsigned number
     * @param minor what those with the same major key are compared by, as a signed number; {@code
     *     null} if they are equal then
     */
    void sort(int count, Key major, @Nullable Key minor) {
        int[] order =
                KernelSort.order(keys(count, major), minor == null ? null : keys(count, minor));
        int first = 0;
        while (first < count && order[first] == first) {
            first++;
        }
        if (first == count) {
            return;
        }
        copy();
        byte[] before = copy.clone();
        int size = spare.length;
        for (int i = first; i < count; i++) {
            System.arraycopy(before, order[i] * size, copy, i * size, size);
        }
    }

    private long[] keys(int count, Key key) {
        long[] keys = new long[count];
        for (int i = 0; i < count; i++) {
            keys[i] = key.of(table, i);
        }
        return keys;
    }
}

package io.github.koloader.arch;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.internal.KernelSort;

/**
 * A copy of a relocation table whose entries can change places, for kernels that sort relocations
 * before they count veneers. Nothing in it is copied before two entries really change places.
 */
final class RelocationOrder {
    /** Compares two entries of a table. */
    @FunctionalInterface
    interface Comparator {
        /**
         * Negative, zero or positive as entry {@code i} belongs before, beside or behind {@code j}.
         */
        int compare(RelocationTable table, int i, int j);
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
        int size = spare.length;
        System.arraycopy(copy, i * size, spare, 0, size);
        System.arraycopy(copy, j * size, copy, i * size, size);
        System.arraycopy(spare, 0, copy, j * size, size);
    }

    /** Sorts the first {@code count} entries as the kernel's {@code sort()} does. */
    void sort(int count, Comparator comparator) {
        KernelSort.sort(
                count,
                new KernelSort.Elements() {
                    @Override
                    public int compare(int i, int j) {
                        return comparator.compare(table, i, j);
                    }

                    @Override
                    public void swap(int i, int j) {
                        RelocationOrder.this.swap(i, j);
                    }
                });
    }
}

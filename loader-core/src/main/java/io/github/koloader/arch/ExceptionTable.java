package io.github.koloader.arch;

/**
 * How the entries of {@code __ex_table} look: addresses of instructions that may fault, and of what
 * to do then. The loader sorts them by the first.
 *
 * @kernel lib/extable.c, sort_extable()
 */
public enum ExceptionTable {
    /** Two distances, each from its own field. */
    RELATIVE(8),
    /** Two distances and 32 bits that move with the entry. */
    RELATIVE_WITH_DATA(12),
    /** Two addresses of 32 bits. */
    ABSOLUTE32(8),
    /** Two addresses of 64 bits. */
    ABSOLUTE64(16);

    private final int entrySize;

    ExceptionTable(int entrySize) {
        this.entrySize = entrySize;
    }

    /** {@return bytes of an entry} */
    public int entrySize() {
        return entrySize;
    }
}

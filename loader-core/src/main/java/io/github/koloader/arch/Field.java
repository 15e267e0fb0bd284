package io.github.koloader.arch;

/**
 * The bits that a relocation writes: where in the place they are, and which values fit into them.
 * The place is read and written as one number of {@link #size()} bytes in the machine's byte order.
 */
public interface Field {
    /** Bytes of the place: 0, 1, 2, 4 or 8. */
    int size();

    /** The bits of the place that are written; all others stay. */
    long mask();

    /** Whether {@code value} can be written. */
    boolean fits(long value);

    /** The place with {@code value} in it. */
    long insert(long old, long value);

    /** The addend that lies in the place, where relocations carry none. */
    long implicitAddend(long old);

    /** Whether the place has to be zero before: a loader that finds something else refuses. */
    default boolean ontoZero() {
        return false;
    }
}

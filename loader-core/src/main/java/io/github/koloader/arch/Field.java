package io.github.koloader.arch;

/**
 * The bits that a relocation writes: where in the place they are, and which values fit into them.
 * The place is read and written as one number of {@link #size()} bytes in the machine's byte order.
 */
public interface Field {
    /** {@return bytes of the place: 0, 1, 2, 4 or 8} */
    int size();

    /** {@return the bits of the place that are written; all others stay} */
    long mask();

    /**
     * {@return whether {@code value} can be written}
     *
     * @param value what the formula gave
     */
    boolean fits(long value);

    /**
     * {@return the place with {@code value} in it}
     *
     * @param old the place as it is
     * @param value what to write, already found to fit
     */
    long insert(long old, long value);

    /**
     * {@return the addend that lies in the place, where relocations carry none}
     *
     * @param old the place as it is
     */
    long implicitAddend(long old);

    /**
     * {@return whether the place has to be zero before: a loader that finds something else refuses}
     */
    default boolean ontoZero() {
        return false;
    }
}

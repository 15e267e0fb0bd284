package io.github.koloader.arch;

import static com.google.common.base.Preconditions.checkArgument;

/**
 * A field that is the whole place: a data word of 0 to 8 bytes.
 *
 * @param size bytes: 0, 1, 2, 4 or 8
 * @param range which values fit
 * @param ontoZero whether the place has to be zero before
 */
public record DataField(int size, Range range, boolean ontoZero) implements Field {
    /** Which values fit into a field of n bits. */
    public enum Range {
        /** All; higher bits are cut off. */
        ANY,
        /** −2^(n−1) … 2^(n−1) − 1. */
        SIGNED,
        /** 0 … 2^n − 1. */
        UNSIGNED
    }

    /** No field: nothing is written. */
    public static final DataField NONE = new DataField(0, Range.ANY, false);

    /**
     * Checks the size.
     *
     * @param size bytes: 0, 1, 2, 4 or 8
     * @param range which values fit
     * @param ontoZero whether the place has to be zero before
     */
    public DataField {
        checkArgument(
                size == 0 || size == 1 || size == 2 || size == 4 || size == 8, "%s bytes", size);
    }

    /**
     * {@return a field of {@code bits} that takes every value}
     *
     * @param bits 0, 8, 16, 32 or 64
     */
    public static DataField word(int bits) {
        return new DataField(bits / 8, Range.ANY, false);
    }

    /**
     * {@return a field of {@code bits} for signed numbers}
     *
     * @param bits 8, 16, 32 or 64
     */
    public static DataField signed(int bits) {
        return new DataField(bits / 8, Range.SIGNED, false);
    }

    /**
     * {@return a field of {@code bits} for unsigned numbers}
     *
     * @param bits 8, 16, 32 or 64
     */
    public static DataField unsigned(int bits) {
        return new DataField(bits / 8, Range.UNSIGNED, false);
    }

    /** {@return the same, for a place that has to be zero before} */
    public DataField overZero() {
        return new DataField(size, range, true);
    }

    @Override
    public long mask() {
        return size == 0 ? 0 : -1L >>> 64 - 8 * size;
    }

    @Override
    public boolean fits(long value) {
        int spare = 64 - 8 * size;
        return range == Range.ANY
                || size == 8
                || value
                        == (range == Range.SIGNED
                                ? value << spare >> spare
                                : value << spare >>> spare);
    }

    @Override
    public long insert(long old, long value) {
        return value & mask();
    }

    @Override
    public long implicitAddend(long old) {
        int spare = 64 - 8 * size;
        return size == 0 ? 0 : old << spare >> spare;
    }
}

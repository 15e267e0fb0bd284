package io.github.koloader.memory;

import static com.google.common.base.Preconditions.checkArgument;

/**
 * The addresses {@code [start, start + size)}.
 *
 * @param start the first
 * @param size bytes, 0 … 2^63 − 1
 */
public record AddressRange(Address start, long size) {
    /**
     * Checks that the range does not wrap.
     *
     * @param start the first
     * @param size bytes, 0 … 2^63 − 1
     * @throws IllegalArgumentException if it does, or if {@code size} is negative
     */
    public AddressRange {
        checkArgument(
                size >= 0
                        && (size == 0
                                || Long.compareUnsigned(start.value() + (size - 1), start.value())
                                        >= 0),
                "range of %s bytes at %s",
                size,
                start);
    }

    /**
     * {@return the addresses from {@code start} up to but not including {@code end}}
     *
     * @param start the first address
     * @param end the first address behind it
     */
    public static AddressRange between(long start, long end) {
        return new AddressRange(new Address(start), end - start);
    }

    /** {@return the first address behind it, modulo 2^64} */
    public Address end() {
        return start.plus(size);
    }

    /**
     * {@return whether {@code address} lies in it}
     *
     * @param address any address
     */
    public boolean contains(Address address) {
        return Long.compareUnsigned(address.value() - start.value(), size) < 0;
    }
}

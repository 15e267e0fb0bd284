package io.github.koloader.memory;

/**
 * An address of the simulated machine. Compares and prints unsigned: x86-64 kernel addresses are
 * negative longs. A 32-bit address has its upper half zero.
 *
 * @param value the number
 */
public record Address(long value) implements Comparable<Address> {
    /** Address 0. */
    public static final Address NULL = new Address(0);

    /**
     * Reads {@code 0x…} or plain hexadecimal digits.
     *
     * @param hex the digits, with or without {@code 0x}
     * @return the address they stand for
     * @throws NumberFormatException if there are none or more than 64 bits
     */
    public static Address parse(String hex) {
        return new Address(
                Long.parseUnsignedLong(hex.startsWith("0x") ? hex.substring(2) : hex, 16));
    }

    /**
     * {@return this address plus {@code bytes}, modulo 2^64}
     *
     * @param bytes what to add; negative to go down
     */
    public Address plus(long bytes) {
        return new Address(value + bytes);
    }

    /**
     * {@return bytes from {@code other} up to this one, modulo 2^64}
     *
     * @param other the address to count from
     */
    public long minus(Address other) {
        return value - other.value;
    }

    /** {@return whether this is address 0} */
    public boolean isNull() {
        return value == 0;
    }

    @Override
    public int compareTo(Address other) {
        return Long.compareUnsigned(value, other.value);
    }

    /** Hexadecimal with {@code 0x}. */
    @Override
    public String toString() {
        return "0x" + Long.toHexString(value);
    }
}

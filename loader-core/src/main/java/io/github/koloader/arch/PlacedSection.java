package io.github.koloader.arch;

import io.github.koloader.internal.Words;
import java.util.Objects;

/**
 * The bytes of a section at their final address, as a kernel writes to them before rights are set.
 * Every access takes an offset from the start of the section and has to lie in it.
 */
public final class PlacedSection {
    private final byte[] array;
    private final int start;
    private final int size;
    private final long address;
    private final boolean bigEndian;

    /**
     * Bytes at an address.
     *
     * @param array where the bytes live
     * @param start index of the first
     * @param size number of bytes
     * @param address address of the first
     * @param bigEndian whether words are big-endian
     */
    public PlacedSection(byte[] array, int start, int size, long address, boolean bigEndian) {
        Objects.checkFromIndexSize(start, size, array.length);
        this.array = array;
        this.start = start;
        this.size = size;
        this.address = address;
        this.bigEndian = bigEndian;
    }

    /** {@return number of bytes} */
    public int size() {
        return size;
    }

    /** {@return address of the first byte} */
    public long address() {
        return address;
    }

    /**
     * {@return whether {@code length} bytes at {@code offset} lie in it}
     *
     * @param offset bytes from its start; unsigned
     * @param length bytes, at least 0
     */
    public boolean holds(long offset, int length) {
        return offset >= 0 && offset <= (long) size - length;
    }

    private int index(long offset, int length) {
        if (!holds(offset, length)) {
            throw outside(offset, length);
        }
        return start + (int) offset;
    }

    private IndexOutOfBoundsException outside(long offset, int length) {
        return new IndexOutOfBoundsException(
                "%d bytes at offset 0x%x of %d".formatted(length, offset, size));
    }

    /**
     * {@return the number that {@code length} bytes at {@code offset} hold, zero-extended}
     *
     * @param offset bytes from its start
     * @param length 0, 1, 2, 4 or 8
     * @throws IndexOutOfBoundsException if they do not lie in it
     */
    public long read(long offset, int length) {
        return Words.read(array, index(offset, length), length, bigEndian);
    }

    /**
     * Writes the low {@code length} bytes of {@code value} at {@code offset}.
     *
     * @param offset bytes from its start
     * @param length 0, 1, 2, 4 or 8
     * @param value what to write; bits beyond the length are cut off
     * @throws IndexOutOfBoundsException if they do not lie in it
     */
    public void write(long offset, int length, long value) {
        Words.write(array, index(offset, length), length, value, bigEndian);
    }

    /**
     * {@return the 32 bits at {@code offset}, as a signed number}
     *
     * @param offset bytes from its start
     */
    public int readInt(long offset) {
        return Words.readInt(array, index(offset, 4), bigEndian);
    }

    /**
     * Writes 32 bits.
     *
     * @param offset bytes from its start
     * @param value what to write
     */
    public void writeInt(long offset, int value) {
        Words.writeInt(array, index(offset, 4), value, bigEndian);
    }
}

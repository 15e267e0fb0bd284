package io.github.koloader.image;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.internal.Words;
import java.util.Arrays;
import java.util.Objects;

/**
 * An immutable run of bytes, compared by content. {@link #copyOf} copies what it is given; a {@link
 * #slice} shares the bytes of what it was cut from.
 *
 * <p>Indexes and lengths are in bytes. Every access outside {@code [0, size())} is an {@link
 * IndexOutOfBoundsException}: a mistake of the caller, who checks offsets that come from a file
 * first.
 */
public final class Bytes {
    /** No bytes. */
    public static final Bytes EMPTY = new Bytes(new byte[0], 0, 0);

    final byte[] array;
    final int start;
    private final int size;

    private Bytes(byte[] array, int start, int size) {
        this.array = array;
        this.start = start;
        this.size = size;
    }

    /** The bytes of {@code array} as they are now. */
    public static Bytes copyOf(byte... array) {
        return array.length == 0 ? EMPTY : wrap(array.clone());
    }

    /**
     * The bytes of {@code array}, not copied: the caller hands the array over and never writes to
     * it again.
     *
     * @param array what to look at
     */
    public static Bytes wrap(byte[] array) {
        return new Bytes(array, 0, array.length);
    }

    /** Number of bytes. */
    public int size() {
        return size;
    }

    /** Whether there are none. */
    public boolean isEmpty() {
        return size == 0;
    }

    /** The byte at {@code index}, −128 … 127. */
    public byte get(int index) {
        return array[start + Objects.checkIndex(index, size)];
    }

    /** The bytes {@code [from, from + length)}, shared. */
    public Bytes slice(int from, int length) {
        Objects.checkFromIndexSize(from, length, size);
        return length == 0 ? EMPTY : new Bytes(array, start + from, length);
    }

    /** The bytes from {@code from} to the end, shared. */
    public Bytes slice(int from) {
        return slice(from, size - from);
    }

    /** 16 bits at {@code index}, 0 … 65535. */
    public int unsignedShort(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, 2, size);
        return Words.readShort(array, start + index, encoding.bigEndian()) & 0xffff;
    }

    /** 32 bits at {@code index}. */
    public int readInt(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, 4, size);
        return Words.readInt(array, start + index, encoding.bigEndian());
    }

    /** 64 bits at {@code index}. */
    public long readLong(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, 8, size);
        return Words.readLong(array, start + index, encoding.bigEndian());
    }

    /** A word of the encoding at {@code index}; a 32-bit one is zero-extended. */
    public long readWord(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, encoding.wordSize(), size);
        return Words.readWord(array, start + index, encoding.wordSize(), encoding.bigEndian());
    }

    /** Copies all bytes into {@code target} from {@code at} on. */
    public void copyTo(byte[] target, int at) {
        System.arraycopy(array, start, target, at, size);
    }

    /** A new array with these bytes. */
    public byte[] toByteArray() {
        return Arrays.copyOfRange(array, start, start + size);
    }

    /** Index of the first {@code value} at or after {@code from}, or −1. */
    public int indexOf(byte value, int from) {
        for (int i = start + Math.max(from, 0), end = start + size; i < end; i++) {
            if (array[i] == value) {
                return i - start;
            }
        }
        return -1;
    }

    /** Length of the text that starts at {@code from}: up to the next NUL, or to the end. */
    public int textLength(int from) {
        int i = start + from;
        int end = start + size;
        while (i < end && array[i] != 0) {
            i++;
        }
        return i - start - from;
    }

    /**
     * The text from {@code from} up to the next NUL or the end, one character a byte (ISO 8859-1).
     */
    public String text(int from) {
        int length = textLength(Objects.checkIndex(from, size + 1));
        return new String(array, start + from, length, ISO_8859_1);
    }

    /** Whether the bytes from {@code from} on are {@code expected}. */
    public boolean matches(int from, byte[] expected) {
        return from >= 0
                && expected.length <= size - from
                && Arrays.equals(
                        array,
                        start + from,
                        start + from + expected.length,
                        expected,
                        0,
                        expected.length);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Bytes that
                && Arrays.equals(
                        array, start, start + size, that.array, that.start, that.start + that.size);
    }

    @Override
    public int hashCode() {
        int hash = 1;
        for (int i = start; i < start + size; i++) {
            hash = 31 * hash + array[i];
        }
        return hash;
    }

    /** All bytes as text, one character a byte. */
    public String toLatin1() {
        return new String(array, start, size, ISO_8859_1);
    }

    @Override
    public String toString() {
        return "Bytes[" + size + "]";
    }
}

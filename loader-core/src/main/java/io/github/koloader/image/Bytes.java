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

    /**
     * {@return the bytes of {@code array} as they are now}
     *
     * @param array the bytes, copied; possibly none
     */
    public static Bytes copyOf(byte... array) {
        return array.length == 0 ? EMPTY : wrap(array.clone());
    }

    /**
     * {@return the bytes of {@code array}, not copied: the caller hands the array over and never
     * writes to it again}
     *
     * @param array what to look at
     */
    public static Bytes wrap(byte[] array) {
        return new Bytes(array, 0, array.length);
    }

    /** {@return number of bytes} */
    public int size() {
        return size;
    }

    /** {@return whether there are none} */
    public boolean isEmpty() {
        return size == 0;
    }

    /**
     * {@return the byte at {@code index}, −128 … 127}
     *
     * @param index which byte, {@code [0, size())}
     */
    public byte get(int index) {
        return array[start + Objects.checkIndex(index, size)];
    }

    /**
     * {@return the bytes {@code [from, from + length)}, shared}
     *
     * @param from index of the first byte
     * @param length number of bytes, at least 0
     */
    public Bytes slice(int from, int length) {
        Objects.checkFromIndexSize(from, length, size);
        return length == 0 ? EMPTY : new Bytes(array, start + from, length);
    }

    /**
     * {@return the bytes from {@code from} to the end, shared}
     *
     * @param from index of the first byte, at most {@link #size()}
     */
    public Bytes slice(int from) {
        return slice(from, size - from);
    }

    /**
     * {@return 16 bits at {@code index}, 0 … 65535}
     *
     * @param index index of the first of two bytes
     * @param encoding gives the byte order
     */
    public int unsignedShort(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, 2, size);
        return Words.readShort(array, start + index, encoding.bigEndian()) & 0xffff;
    }

    /**
     * {@return 32 bits at {@code index}}
     *
     * @param index index of the first of four bytes
     * @param encoding gives the byte order
     */
    public int readInt(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, 4, size);
        return Words.readInt(array, start + index, encoding.bigEndian());
    }

    /**
     * {@return 64 bits at {@code index}}
     *
     * @param index index of the first of eight bytes
     * @param encoding gives the byte order
     */
    public long readLong(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, 8, size);
        return Words.readLong(array, start + index, encoding.bigEndian());
    }

    /**
     * {@return a word of the encoding at {@code index}; a 32-bit one is zero-extended}
     *
     * @param index index of its first byte
     * @param encoding gives word size and byte order
     */
    public long readWord(int index, Encoding encoding) {
        Objects.checkFromIndexSize(index, encoding.wordSize(), size);
        return Words.readWord(array, start + index, encoding.wordSize(), encoding.bigEndian());
    }

    /**
     * Copies all bytes into {@code target} from {@code at} on.
     *
     * @param target an array with room for them
     * @param at index in {@code target} of the first
     */
    public void copyTo(byte[] target, int at) {
        System.arraycopy(array, start, target, at, size);
    }

    /** {@return a new array with these bytes} */
    public byte[] toByteArray() {
        return Arrays.copyOfRange(array, start, start + size);
    }

    /**
     * {@return index of the first {@code value} at or after {@code from}, or −1}
     *
     * @param value the byte to look for
     * @param from index to start at; a negative one counts as 0
     */
    public int indexOf(byte value, int from) {
        for (int i = start + Math.max(from, 0), end = start + size; i < end; i++) {
            if (array[i] == value) {
                return i - start;
            }
        }
        return -1;
    }

    /**
     * {@return length of the text that starts at {@code from}: up to the next NUL, or to the end}
     *
     * @param from index of its first byte
     */
    public int textLength(int from) {
        return Words.indexOfZero(array, start + from, start + size) - start - from;
    }

    /**
     * {@return the text from {@code from} up to the next NUL or the end, one character a byte (ISO
     * 8859-1)}
     *
     * @param from index of its first byte, at most {@link #size()}
     */
    public String text(int from) {
        int length = textLength(Objects.checkIndex(from, size + 1));
        return new String(array, start + from, length, ISO_8859_1);
    }

    /**
     * {@return whether the bytes from {@code from} on are {@code expected}}
     *
     * @param from index of the first byte to compare; at a negative one nothing matches
     * @param expected what to compare with; also false if it reaches beyond the end
     */
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

    /** {@return all bytes as text, one character a byte} */
    public String toLatin1() {
        return new String(array, start, size, ISO_8859_1);
    }

    @Override
    public String toString() {
        return "Bytes[" + size + "]";
    }
}

package io.github.koloader.image;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.koloader.internal.Words;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The {@code .modinfo} section: strings {@code tag=value}, separated by NULs. A multimap: {@code
 * alias} and others repeat. Order is that of the section.
 *
 * <p>A module does not say how its text is encoded. Values are decoded as UTF-8, and one character
 * a byte (ISO 8859-1) where they are not valid UTF-8; {@link #entries()} has the bytes.
 *
 * @kernel kernel/module/main.c, get_next_modinfo()
 */
public final class Modinfo {
    /**
     * One entry.
     *
     * @param tag what stands before the first {@code =}; the whole string if there is none
     * @param value the bytes after it
     */
    public record Entry(String tag, Bytes value) {
        /** {@return the value as text} */
        public String text() {
            return decode(value);
        }
    }

    /** No information. */
    public static final Modinfo EMPTY = new Modinfo(Bytes.EMPTY);

    private final Bytes bytes;
    private final int[] starts; // of all strings that the walk comes by
    private final int count;

    /**
     * A view on the section's contents.
     *
     * @param bytes the contents of {@code .modinfo}, shared
     */
    public Modinfo(Bytes bytes) {
        this.bytes = bytes;
        int[] found = new int[16];
        int number = 0;
        for (int at = bytes.isEmpty() ? -1 : 0; at >= 0; at = next(at)) {
            if (number == found.length) {
                found = Arrays.copyOf(found, 2 * number);
            }
            found[number++] = at;
        }
        this.starts = found;
        this.count = number;
    }

    private Modinfo(Bytes bytes, int[] starts, int count) {
        this.bytes = bytes;
        this.starts = starts;
        this.count = count;
    }

    /** {@return the same with bytes of its own, which does not keep the file it was read from} */
    public Modinfo copy() {
        return new Modinfo(Bytes.copyOf(bytes.toByteArray()), starts, count);
    }

    /** {@return the section's contents} */
    public Bytes bytes() {
        return bytes;
    }

    /**
     * {@return the value of the first entry with that tag; empty if there is none}
     *
     * @param tag the tag, without the {@code =}
     */
    public Optional<String> first(String tag) {
        int index = find(tag, 0);
        return index < 0 ? Optional.empty() : Optional.of(decode(valueAt(starts[index], tag)));
    }

    /**
     * {@return the value as {@link #first} gives it, but one character a byte: as the kernel
     * compares and prints it}
     *
     * @param tag the tag, without the {@code =}
     */
    public Optional<String> firstRaw(String tag) {
        int index = find(tag, 0);
        return index < 0 ? Optional.empty() : Optional.of(valueAt(starts[index], tag).toLatin1());
    }

    /**
     * {@return whether there is an entry with that tag}
     *
     * @param tag the tag, without the {@code =}
     */
    public boolean has(String tag) {
        return find(tag, 0) >= 0;
    }

    /**
     * {@return the values of all entries with that tag, possibly none}
     *
     * @param tag the tag, without the {@code =}
     */
    public List<String> all(String tag) {
        List<String> values = new ArrayList<>();
        for (int index = find(tag, 0); index >= 0; index = find(tag, index + 1)) {
            values.add(decode(valueAt(starts[index], tag)));
        }
        return List.copyOf(values);
    }

    /**
     * {@return the values as {@link #all} gives them, but one character a byte}
     *
     * @param tag the tag, without the {@code =}
     */
    public List<String> allRaw(String tag) {
        List<String> values = new ArrayList<>();
        for (int index = find(tag, 0); index >= 0; index = find(tag, index + 1)) {
            values.add(valueAt(starts[index], tag).toLatin1());
        }
        return List.copyOf(values);
    }

    /** {@return all entries} Empty strings are left out. */
    public List<Entry> entries() {
        List<Entry> entries = new ArrayList<>();
        for (int index = 0; index < count; index++) {
            int at = starts[index];
            int length = bytes.textLength(at);
            if (length > 0) {
                int equals = bytes.slice(at, length).indexOf((byte) '=', 0);
                boolean split = equals >= 0;
                int tagLength = split ? equals : length;
                int valueAt = split ? at + equals + 1 : at + length;
                entries.add(
                        new Entry(
                                bytes.slice(at, tagLength).toLatin1(),
                                bytes.slice(valueAt, at + length - valueAt)));
            }
        }
        return List.copyOf(entries);
    }

    /** Index of the first string with that tag, from the string of index {@code from} on, or −1. */
    private int find(String tag, int from) {
        byte[] array = bytes.array;
        int end = bytes.start + bytes.size();
        int length = tag.length();
        for (int index = from; index < count; index++) {
            int i = bytes.start + starts[index];
            if (end - i > length && array[i + length] == '=') {
                int k = 0;
                while (k < length && (array[i + k] & 0xff) == tag.charAt(k)) {
                    k++;
                }
                if (k == length) {
                    return index;
                }
            }
        }
        return -1;
    }

    /**
     * Start of the entry after the one at {@code at}, or −1: over non-NULs, then over NULs, to the
     * last byte but one.
     */
    private int next(int at) {
        byte[] array = bytes.array;
        int last = bytes.start + bytes.size() - 1;
        int i = bytes.start + at;
        i = Math.max(i, Words.indexOfZero(array, i, last));
        while (i < last && array[i] == 0) {
            i++;
        }
        return i < last ? i - bytes.start : -1;
    }

    private Bytes valueAt(int at, String tag) {
        int from = at + tag.length() + 1;
        return bytes.slice(from, bytes.textLength(from));
    }

    private static String decode(Bytes value) {
        byte[] raw = value.toByteArray();
        try {
            return UTF_8.newDecoder().decode(ByteBuffer.wrap(raw)).toString();
        } catch (CharacterCodingException e) {
            return new String(raw, ISO_8859_1); // as the javadoc of the class says
        }
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Modinfo that && bytes.equals(that.bytes);
    }

    @Override
    public int hashCode() {
        return bytes.hashCode();
    }

    @Override
    public String toString() {
        return "Modinfo" + entries();
    }
}

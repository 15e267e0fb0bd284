package io.github.koloader.memory;

import static com.google.common.base.Preconditions.checkArgument;
import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.image.Encoding;
import io.github.koloader.internal.Words;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Simulated memory: a sorted map of disjoint regions, with the word size and byte order of one
 * machine. Belongs to one thread.
 *
 * <p>A touch outside every region, or a write against a region's rights, is an {@link
 * AddressFaultException}.
 */
public final class AddressSpace {
    private final Encoding encoding;
    private final boolean bigEndian;
    private final TreeMap<Long, Region> regions = new TreeMap<>(Long::compareUnsigned);

    /**
     * An empty address space of a machine with that word size and byte order.
     *
     * @param encoding word size and byte order
     */
    public AddressSpace(Encoding encoding) {
        this.encoding = encoding;
        this.bigEndian = encoding.bigEndian();
    }

    /** {@return word size and byte order} */
    public Encoding encoding() {
        return encoding;
    }

    /**
     * Adds a region. One of size 0 takes no address and is not kept.
     *
     * @param region what to add; its bytes are shared
     * @throws IllegalArgumentException if it overlaps another, or does not fit into 32 bits on a
     *     32-bit machine
     */
    public void map(Region region) {
        if (region.size() == 0) {
            return;
        }
        long base = region.base().value();
        long last = base + (region.size() - 1);
        checkArgument(encoding.wide() || last >>> 32 == 0, "%s lies beyond 32 bits", region);
        Map.Entry<Long, Region> below = regions.floorEntry(last);
        checkArgument(
                below == null || Long.compareUnsigned(lastOf(below.getValue()), base) < 0,
                "%s overlaps %s",
                region,
                below == null ? "" : below.getValue());
        regions.put(base, region);
    }

    private static long lastOf(Region region) {
        return region.base().value() + (region.size() - 1);
    }

    /**
     * Takes a region away.
     *
     * @param region a region that was mapped
     * @throws IllegalArgumentException if it is not mapped
     */
    public void unmap(Region region) {
        if (region.size() == 0) {
            return;
        }
        boolean removed = regions.remove(region.base().value(), region);
        checkArgument(removed, "%s is not mapped", region);
    }

    /**
     * Changes a region's rights.
     *
     * @param region a region of this address space
     * @param rights what may be done with it from now on
     */
    public void protect(Region region, Rights rights) {
        region.protect(rights);
    }

    /** {@return all regions, lowest address first; a view} */
    public Collection<Region> regions() {
        return Collections.unmodifiableCollection(regions.values());
    }

    /**
     * {@return the region that {@code address} lies in; empty if there is none}
     *
     * @param address any address
     */
    public Optional<Region> regionAt(Address address) {
        return Optional.ofNullable(find(address.value()));
    }

    private @Nullable Region find(long address) {
        Map.Entry<Long, Region> below = regions.floorEntry(address);
        if (below == null || Long.compareUnsigned(address, lastOf(below.getValue())) > 0) {
            return null;
        }
        return below.getValue();
    }

    private Region touch(long address, boolean write) {
        Region region = find(address);
        if (region == null) {
            throw new AddressFaultException(
                    new Address(address),
                    write ? "write to unmapped memory" : "read of unmapped memory");
        }
        if (write && !region.rights().writable()) {
            throw new AddressFaultException(
                    new Address(address), "write to " + region.rights() + " memory");
        }
        return region;
    }

    /**
     * Index in the region's array of {@code size} bytes at {@code address}, or −1 if they reach
     * beyond it.
     */
    private static int indexIn(Region region, long address, int size) {
        long offset = address - region.base().value();
        return offset <= region.size() - size ? region.start + (int) offset : -1;
    }

    /**
     * {@return the byte at {@code address}, 0 … 255}
     *
     * @param address the address to read
     */
    public int readByte(Address address) {
        Region region = touch(address.value(), false);
        return region.array[indexIn(region, address.value(), 1)] & 0xff;
    }

    /**
     * {@return 16 bits at {@code address}, 0 … 65535}
     *
     * @param address address of the first of two bytes
     */
    public int readShort(Address address) {
        return (int) readNumber(address, 2);
    }

    /**
     * {@return 32 bits at {@code address}}
     *
     * @param address address of the first of four bytes
     */
    public int readInt(Address address) {
        return (int) readNumber(address, 4);
    }

    /**
     * {@return 64 bits at {@code address}}
     *
     * @param address address of the first of eight bytes
     */
    public long readLong(Address address) {
        return readNumber(address, 8);
    }

    /**
     * {@return a word of the machine at {@code address}; 32 bits are zero-extended}
     *
     * @param address address of its first byte
     */
    public long readWord(Address address) {
        return readNumber(address, encoding.wordSize());
    }

    /**
     * {@return the pointer at {@code address}}
     *
     * @param address address of its first byte
     */
    public Address readPointer(Address address) {
        return new Address(readWord(address));
    }

    /** {@code size} bytes: 2, 4 or 8, zero-extended. They may lie in regions side by side. */
    private long readNumber(Address address, int size) {
        Region region = touch(address.value(), false);
        int index = indexIn(region, address.value(), size);
        if (index < 0) {
            long number = 0;
            for (int i = 0; i < size; i++) {
                int shift = 8 * (bigEndian ? size - 1 - i : i);
                number |= (long) readByte(address.plus(i)) << shift;
            }
            return number;
        }
        return switch (size) {
            case 2 -> Words.readShort(region.array, index, bigEndian) & 0xffffL;
            case 4 -> Integer.toUnsignedLong(Words.readInt(region.array, index, bigEndian));
            default -> Words.readLong(region.array, index, bigEndian);
        };
    }

    /**
     * Writes the low 8 bits of {@code value}.
     *
     * @param address the address to write to
     * @param value the number; higher bits are not looked at
     */
    public void writeByte(Address address, int value) {
        Region region = touch(address.value(), true);
        region.array[indexIn(region, address.value(), 1)] = (byte) value;
    }

    /**
     * Writes the low 16 bits of {@code value}.
     *
     * @param address address of the first of two bytes
     * @param value the number; higher bits are not looked at
     */
    public void writeShort(Address address, int value) {
        writeNumber(address, value, 2);
    }

    /**
     * Writes 32 bits.
     *
     * @param address address of the first of four bytes
     * @param value the number
     */
    public void writeInt(Address address, int value) {
        writeNumber(address, value, 4);
    }

    /**
     * Writes 64 bits.
     *
     * @param address address of the first of eight bytes
     * @param value the number
     */
    public void writeLong(Address address, long value) {
        writeNumber(address, value, 8);
    }

    /**
     * Writes a word of the machine.
     *
     * @param address address of its first byte
     * @param value the number; a 32-bit machine takes its low half
     */
    public void writeWord(Address address, long value) {
        writeNumber(address, value, encoding.wordSize());
    }

    private void writeNumber(Address address, long value, int size) {
        Region region = touch(address.value(), true);
        int index = indexIn(region, address.value(), size);
        if (index < 0) {
            touchAll(address, size);
            for (int i = 0; i < size; i++) {
                int shift = 8 * (bigEndian ? size - 1 - i : i);
                writeByte(address.plus(i), (int) (value >>> shift));
            }
            return;
        }
        switch (size) {
            case 2 -> Words.writeShort(region.array, index, (int) value, bigEndian);
            case 4 -> Words.writeInt(region.array, index, (int) value, bigEndian);
            default -> Words.writeLong(region.array, index, value, bigEndian);
        }
    }

    /** Faults before anything is written if one of the bytes cannot be. */
    private void touchAll(Address address, int size) {
        for (int done = 0; done < size; ) {
            Region region = touch(address.value() + done, true);
            done += (int) Math.min(size - done, lastOf(region) - (address.value() + done) + 1);
        }
    }

    /**
     * {@return {@code size} bytes from {@code address} on}
     *
     * @param address address of the first
     * @param size number of bytes, at least 0
     */
    public byte[] read(Address address, int size) {
        byte[] bytes = new byte[size];
        for (int done = 0; done < size; ) {
            long at = address.value() + done;
            Region region = touch(at, false);
            int offset = (int) (at - region.base().value());
            int part = Math.min(size - done, region.size() - offset);
            System.arraycopy(region.array, region.start + offset, bytes, done, part);
            done += part;
        }
        return bytes;
    }

    /**
     * Writes all of {@code bytes} from {@code address} on, or faults before it has written any.
     *
     * @param address address of the first
     * @param bytes what to write
     */
    public void write(Address address, byte[] bytes) {
        touchAll(address, bytes.length);
        for (int done = 0; done < bytes.length; ) {
            long at = address.value() + done;
            Region region = touch(at, true);
            int offset = (int) (at - region.base().value());
            int part = Math.min(bytes.length - done, region.size() - offset);
            System.arraycopy(bytes, done, region.array, region.start + offset, part);
            done += part;
        }
    }

    /**
     * {@return the text from {@code address} up to its NUL or the limit, one character a byte}
     *
     * @param address where it starts
     * @param limit how many bytes to look at at the most
     */
    public String readText(Address address, int limit) {
        StringBuilder text = new StringBuilder();
        while (text.length() < limit) {
            long at = address.value() + text.length();
            Region region = touch(at, false);
            int offset = (int) (at - region.base().value());
            int room = Math.min(limit - text.length(), region.size() - offset);
            int from = region.start + offset;
            int end = Words.indexOfZero(region.array, from, from + room);
            text.append(new String(region.array, from, end - from, ISO_8859_1));
            if (end < from + room) {
                break;
            }
        }
        return text.toString();
    }

    /**
     * Writes {@code text}, one byte a character, and a NUL.
     *
     * @param address address of the first byte
     * @param text characters up to U+00FF
     */
    public void writeText(Address address, String text) {
        byte[] bytes = text.getBytes(ISO_8859_1);
        byte[] withNul = new byte[bytes.length + 1];
        System.arraycopy(bytes, 0, withNul, 0, bytes.length);
        write(address, withNul);
    }
}

package io.github.koloader.memory;

import static com.google.common.base.Preconditions.checkArgument;

import io.github.koloader.image.Bytes;
import java.util.Objects;

/**
 * A contiguous piece of memory with one owner and one set of rights. Its bytes live as long as it
 * is mapped.
 */
public final class Region {
    private final Address base;
    final byte[] array;
    final int start;
    private final int size;
    private final String owner;
    private final String name;
    private Rights rights;

    /**
     * A region over {@code size} bytes of {@code array} from {@code start} on. The array is shared,
     * so that regions that lie side by side can be cut from one.
     *
     * @param base address of its first byte
     * @param array where its bytes live
     * @param start index of the first
     * @param size bytes
     * @param rights what may be done with it
     * @param owner name of the module it belongs to, or {@code kernel}
     * @param name what it is, for people
     */
    public Region(
            Address base,
            byte[] array,
            int start,
            int size,
            Rights rights,
            String owner,
            String name) {
        Objects.checkFromIndexSize(start, size, array.length);
        checkArgument(
                size == 0 || Long.compareUnsigned(base.value() + (size - 1), base.value()) >= 0,
                "region wraps: %s bytes at %s",
                size,
                base);
        this.base = base;
        this.array = array;
        this.start = start;
        this.size = size;
        this.rights = rights;
        this.owner = owner;
        this.name = name;
    }

    /**
     * {@return a region of {@code size} zero bytes that the kernel owns}
     *
     * @param base address of its first byte
     * @param size bytes
     * @param rights what may be done with it
     * @param name what it is, for people
     */
    public static Region zeroed(Address base, int size, Rights rights, String name) {
        return new Region(base, new byte[size], 0, size, rights, "kernel", name);
    }

    /** {@return address of its first byte} */
    public Address base() {
        return base;
    }

    /** {@return its size, bytes} */
    public int size() {
        return size;
    }

    /** {@return what may be done with it now} */
    public Rights rights() {
        return rights;
    }

    void protect(Rights newRights) {
        this.rights = newRights;
    }

    /** {@return name of the module it belongs to, or {@code kernel}} */
    public String owner() {
        return owner;
    }

    /** {@return what it is, for people} */
    public String name() {
        return name;
    }

    /** {@return a copy of its bytes as they are now} */
    public Bytes contents() {
        byte[] copy = new byte[size];
        System.arraycopy(array, start, copy, 0, size);
        return Bytes.wrap(copy);
    }

    /** {@code 0xffffffffc0000000+0x1000 r-x hello text}. */
    @Override
    public String toString() {
        return "%s+0x%x %s %s %s".formatted(base, size, rights, owner, name);
    }
}

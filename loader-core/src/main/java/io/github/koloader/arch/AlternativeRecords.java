package io.github.koloader.arch;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * The records of one {@code .altinstructions} section, and the code they lead to. arm64 and x86
 * share their form: 12 bytes, two signed distances from the fields themselves to the original and
 * to the replacement, a number whose highest bit is a flag, and two lengths in bytes.
 *
 * <p>Linux reads and writes wherever a record says. Here code has to lie whole in one section of
 * the module, or the module is refused; what has no bytes may be anywhere.
 */
final class AlternativeRecords {
    /** Name of the section. */
    static final String SECTION = ".altinstructions";

    private static final int SIZE = 12;
    private static final int REPLACEMENT_FIELD = 4;
    private static final int FLAG = 0x8000;

    /**
     * A record.
     *
     * @param index its place in the table, from 0
     * @param original address of the code to change
     * @param replacement address of what to put there
     * @param capability number of the processor's capability
     * @param flag the bit above the number
     * @param length bytes of the original
     * @param replacementLength bytes of the replacement
     */
    record Alternative(
            int index,
            long original,
            long replacement,
            int capability,
            boolean flag,
            int length,
            int replacementLength) {}

    private final PlacedModule module;
    private final PlacedSection table;
    private final long addressMask;
    private final TreeMap<Long, PlacedSection> sections = new TreeMap<>(Long::compareUnsigned);

    /**
     * The records of a section.
     *
     * @param module the module
     * @param index index of the section; 0, or one without bytes, has no records
     * @param addressMask the bits that addresses have
     * @throws LoadException if the section has bytes, but takes no memory
     */
    AlternativeRecords(PlacedModule module, int index, long addressMask) {
        this.module = module;
        this.addressMask = addressMask;
        if (index == 0 || module.image().section(index).size() == 0) {
            this.table = new PlacedSection(new byte[0], 0, 0, 0, false);
            return;
        }
        PlacedSection placed = module.section(index);
        if (placed == null) {
            throw refuse("section %s takes no memory", SECTION);
        }
        this.table = placed;
        for (int i = 1; i < module.image().sections().size(); i++) {
            PlacedSection section = module.section(i);
            if (section != null && section.size() > 0) {
                sections.put(section.address(), section);
            }
        }
    }

    /** Number of records, with one that the end of the section cuts off. */
    int count() {
        return (table.size() + SIZE - 1) / SIZE;
    }

    /** A record as it is now: one before may have changed it. */
    Alternative get(int index) {
        long offset = (long) index * SIZE;
        if (!table.holds(offset, SIZE)) {
            throw refuse("alternative %d is cut off by the end of %s", index, SECTION);
        }
        int number = (int) table.read(offset + 8, 2);
        return new Alternative(
                index,
                pointer(offset),
                pointer(offset + REPLACEMENT_FIELD),
                number & ~FLAG,
                (number & FLAG) != 0,
                (int) table.read(offset + 10, 1),
                (int) table.read(offset + 11, 1));
    }

    private long pointer(long field) {
        return table.address() + field + table.readInt(field) & addressMask;
    }

    /** Refuses unless those bytes lie in a section. */
    void check(Alternative alternative, long address, int length) {
        if (length > 0) {
            holding(alternative, address, length);
        }
    }

    /** Bytes that a record leads to. */
    byte[] read(Alternative alternative, long address, int length) {
        byte[] bytes = new byte[length];
        if (length > 0) {
            PlacedSection section = holding(alternative, address, length);
            for (int i = 0; i < length; i++) {
                bytes[i] = (byte) section.read(address - section.address() + i, 1);
            }
        }
        return bytes;
    }

    /** Puts bytes where a record leads to. */
    void write(Alternative alternative, long address, byte[] bytes) {
        if (bytes.length > 0) {
            PlacedSection section = holding(alternative, address, bytes.length);
            for (int i = 0; i < bytes.length; i++) {
                section.write(address - section.address() + i, 1, bytes[i]);
            }
        }
    }

    /** The 32-bit word that a record leads to. */
    int readInt(Alternative alternative, long address) {
        PlacedSection section = holding(alternative, address, 4);
        return section.readInt(address - section.address());
    }

    /** Puts a 32-bit word where a record leads to. */
    void writeInt(Alternative alternative, long address, int word) {
        PlacedSection section = holding(alternative, address, 4);
        section.writeInt(address - section.address(), word);
    }

    private PlacedSection holding(Alternative alternative, long address, int length) {
        Map.Entry<Long, PlacedSection> below = sections.floorEntry(address);
        if (below == null || !below.getValue().holds(address - below.getKey(), length)) {
            throw refuse(alternative, "%d bytes at 0x%x lie in no section of it", length, address);
        }
        return below.getValue();
    }

    /** A refusal of what Linux would stop at with BUG, or not notice. The text is ours. */
    LoadException refuse(Alternative alternative, String format, Object... arguments) {
        return refuse(
                "alternative %d: %s",
                alternative.index(), String.format(Locale.ROOT, format, arguments));
    }

    private LoadException refuse(String format, Object... arguments) {
        return new LoadException(
                Errno.ENOEXEC,
                new LogLine(
                        LogLevel.ERR,
                        module.name() + ": " + String.format(Locale.ROOT, format, arguments)));
    }
}

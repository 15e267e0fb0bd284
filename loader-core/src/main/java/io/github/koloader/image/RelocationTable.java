package io.github.koloader.image;

import io.github.koloader.internal.Words;
import java.util.Objects;

/**
 * The relocations of one section: a view on the file's bytes, no object per entry. Entries are in
 * file order; all methods take an index in {@code [0, count())}.
 */
public final class RelocationTable {
    /** How an entry is laid out. */
    public enum Format {
        /** {@code Elf32_Rel}. */
        REL32(8, false, false),
        /** {@code Elf32_Rela}. */
        RELA32(12, false, true),
        /** {@code Elf64_Rel}. */
        REL64(16, true, false),
        /** {@code Elf64_Rela}. */
        RELA64(24, true, true),
        /** {@code Elf64_Rel} of 64-bit MIPS, with its split {@code r_info}. */
        MIPS_REL64(16, true, false),
        /** {@code Elf64_Rela} of 64-bit MIPS, with its split {@code r_info}. */
        MIPS_RELA64(24, true, true);

        private final int entrySize;
        private final boolean wide;
        private final boolean addends;

        Format(int entrySize, boolean wide, boolean addends) {
            this.entrySize = entrySize;
            this.wide = wide;
            this.addends = addends;
        }

        /** {@return bytes of an entry} */
        public int entrySize() {
            return entrySize;
        }

        /** {@return whether entries carry an addend (RELA)} */
        public boolean hasAddends() {
            return addends;
        }

        /**
         * {@return the format of a section of type REL or RELA in a file for that machine}
         *
         * @param encoding how the file writes numbers
         * @param addends whether the type is RELA, not REL
         * @param machine {@code e_machine}; 64-bit MIPS has formats of its own
         */
        public static Format of(Encoding encoding, boolean addends, int machine) {
            if (!encoding.wide()) {
                return addends ? RELA32 : REL32;
            }
            if (machine == EM_MIPS) {
                return addends ? MIPS_RELA64 : MIPS_REL64;
            }
            return addends ? RELA64 : REL64;
        }
    }

    private static final int EM_MIPS = 8;

    private final int section;
    private final int target;
    private final Bytes entries;
    private final Encoding encoding;
    private final Format format;
    private final byte[] array;
    private final int start;
    private final int entrySize;
    private final int count;
    private final boolean wide;
    private final boolean mips;
    private final boolean bigEndian;

    /**
     * A view on these entries.
     *
     * @param section index of the section they are the contents of
     * @param target index of the section they patch ({@code sh_info})
     * @param entries the records; a rest shorter than one is not looked at
     * @param encoding how numbers are written
     * @param format how records are laid out
     */
    public RelocationTable(
            int section, int target, Bytes entries, Encoding encoding, Format format) {
        this.section = section;
        this.target = target;
        this.entries = entries;
        this.encoding = encoding;
        this.format = format;
        this.array = entries.array;
        this.start = entries.start;
        this.entrySize = format.entrySize;
        this.count = entries.size() / entrySize;
        this.wide = format.wide;
        this.mips = format == Format.MIPS_REL64 || format == Format.MIPS_RELA64;
        this.bigEndian = encoding.bigEndian();
    }

    /** {@return index of the relocation section itself} */
    public int section() {
        return section;
    }

    /** {@return index of the section it patches} */
    public int target() {
        return target;
    }

    /** {@return number of entries} */
    public int count() {
        return count;
    }

    /** {@return whether entries carry addends (RELA) or find them in the place (REL)} */
    public boolean hasAddends() {
        return format.addends;
    }

    /** {@return how entries are laid out} */
    public Format format() {
        return format;
    }

    /** {@return how numbers are written} */
    public Encoding encoding() {
        return encoding;
    }

    /** {@return the raw entries} */
    public Bytes entries() {
        return entries;
    }

    private int at(int index) {
        return start + Objects.checkIndex(index, count) * entrySize;
    }

    /**
     * {@return {@code r_offset}: bytes from the start of the target section; unsigned}
     *
     * @param index index of the entry, {@code [0, count())}
     */
    public long offset(int index) {
        return wide
                ? Words.readLong(array, at(index), bigEndian)
                : Integer.toUnsignedLong(Words.readInt(array, at(index), bigEndian));
    }

    /**
     * {@return the relocation type; unsigned} On 64-bit MIPS the first of up to three, with the
     * second in bits 8…15 and the third in bits 16…23.
     *
     * @param index index of the entry, {@code [0, count())}
     */
    public int type(int index) {
        if (mips) {
            int at = at(index) + 8;
            return array[at + 7] & 0xff
                    | (array[at + 6] & 0xff) << 8
                    | (array[at + 5] & 0xff) << 16;
        }
        if (wide) {
            return Words.readInt(array, at(index) + (bigEndian ? 12 : 8), bigEndian);
        }
        return Words.readInt(array, at(index) + 4, bigEndian) & 0xff;
    }

    /**
     * {@return index in the symbol table; unsigned, and not checked against its size}
     *
     * @param index index of the entry, {@code [0, count())}
     */
    public int symbolIndex(int index) {
        if (wide) {
            return Words.readInt(array, at(index) + (bigEndian || mips ? 8 : 12), bigEndian);
        }
        return Words.readInt(array, at(index) + 4, bigEndian) >>> 8;
    }

    /**
     * {@return {@code r_addend}, signed; 0 if entries carry none}
     *
     * @param index index of the entry, {@code [0, count())}
     */
    public long addend(int index) {
        if (!format.addends) {
            return 0;
        }
        return wide
                ? Words.readLong(array, at(index) + 16, bigEndian)
                : Words.readInt(array, at(index) + 8, bigEndian);
    }

    /**
     * Reads entries {@code [from, from + number)} into arrays, from index 0 on: the same numbers
     * that {@link #offset}, {@link #type}, {@link #symbolIndex} and {@link #addend} give, in one
     * go.
     *
     * @param from index of the first entry
     * @param number how many entries
     * @param offsets where the offsets go
     * @param types where the types go
     * @param symbolIndexes where the symbol indexes go
     * @param addends where the addends go
     * @throws IndexOutOfBoundsException if there are not so many entries, or an array is too short
     */
    public void read(
            int from,
            int number,
            long[] offsets,
            int[] types,
            int[] symbolIndexes,
            long[] addends) {
        Objects.checkFromIndexSize(from, number, count);
        if (format != Format.RELA64 || bigEndian) {
            for (int i = 0; i < number; i++) {
                offsets[i] = offset(from + i);
                types[i] = type(from + i);
                symbolIndexes[i] = symbolIndex(from + i);
                addends[i] = addend(from + i);
            }
            return;
        }
        int at = start + from * entrySize;
        for (int i = 0; i < number; i++) {
            long info = Words.readLong(array, at + 8, false);
            offsets[i] = Words.readLong(array, at, false);
            types[i] = (int) info;
            symbolIndexes[i] = (int) (info >>> 32);
            addends[i] = Words.readLong(array, at + 16, false);
            at += 24;
        }
    }

    /**
     * {@return index of the first entry that patches {@code offset}, or −1}
     *
     * @param offset bytes from the start of the target section
     */
    public int indexOfOffset(long offset) {
        for (int i = 0; i < count; i++) {
            if (offset(i) == offset) {
                return i;
            }
        }
        return -1;
    }

    @Override
    public String toString() {
        return "RelocationTable[" + count + " for section " + target + "]";
    }
}

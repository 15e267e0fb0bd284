package io.github.koloader.image;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.internal.Words;
import java.util.Objects;

/**
 * A symbol table and its strings: a view on the file's bytes, no object per symbol. Index 0 is the
 * unnamed undefined symbol. All methods take an index in {@code [0, count())}.
 *
 * <p>The reader has checked that every entry lies in the file. A name that starts outside the
 * string table, which no kernel up to 6.12 looks for, reads as the empty name; one without its NUL
 * ends with the table.
 */
public final class SymbolTable {
    /** {@code SHN_UNDEF}. */
    public static final int UNDEF = 0;

    /** {@code SHN_LORESERVE}: the first of the reserved indexes. */
    public static final int LORESERVE = 0xff00;

    /** {@code SHN_LIVEPATCH}: resolved by livepatch. */
    public static final int LIVEPATCH = 0xff20;

    /** {@code SHN_ABS}. */
    public static final int ABS = 0xfff1;

    /** {@code SHN_COMMON}. */
    public static final int COMMON = 0xfff2;

    /** No symbols. */
    public static final SymbolTable EMPTY =
            new SymbolTable(Bytes.EMPTY, Bytes.EMPTY, Encoding.ELF64_LSB);

    private final Bytes entries;
    private final Bytes strings;
    private final Encoding encoding;
    private final byte[] array;
    private final int start;
    private final int entrySize;
    private final int count;
    private final boolean wide;
    private final boolean bigEndian;

    /**
     * A view on these entries.
     *
     * @param entries {@code Elf32_Sym} or {@code Elf64_Sym} records; a rest shorter than one is not
     *     looked at
     * @param strings the string table that names them
     * @param encoding how numbers are written
     */
    public SymbolTable(Bytes entries, Bytes strings, Encoding encoding) {
        this.entries = entries;
        this.strings = strings;
        this.encoding = encoding;
        this.array = entries.array;
        this.start = entries.start;
        this.entrySize = encoding.symbolSize();
        this.count = entries.size() / entrySize;
        this.wide = encoding.wide();
        this.bigEndian = encoding.bigEndian();
    }

    /** Number of symbols, index 0 included. */
    public int count() {
        return count;
    }

    /** The raw entries. */
    public Bytes entries() {
        return entries;
    }

    /** The string table. */
    public Bytes strings() {
        return strings;
    }

    private int at(int index) {
        return start + Objects.checkIndex(index, count) * entrySize;
    }

    /** {@code st_name}: where its name starts in {@link #strings()}, as an unsigned number. */
    public int nameOffset(int index) {
        return Words.readInt(array, at(index), bigEndian);
    }

    /** Bytes of its name, without the NUL. */
    public int nameLength(int index) {
        int offset = nameOffset(index);
        return offset < 0 || offset >= strings.size() ? 0 : strings.textLength(offset);
    }

    /** Its name, one character a byte. */
    public String name(int index) {
        int offset = nameOffset(index);
        return offset < 0 || offset >= strings.size() ? "" : strings.text(offset);
    }

    /** Whether its name is {@code expected}. */
    public boolean isNamed(int index, String expected) {
        int offset = nameOffset(index);
        int length = expected.length();
        if (offset < 0 || offset > strings.size() - length) {
            return length == 0;
        }
        byte[] names = strings.array;
        int from = strings.start + offset;
        for (int i = 0; i < length; i++) {
            if ((names[from + i] & 0xff) != expected.charAt(i)) {
                return false;
            }
        }
        return offset + length == strings.size() || names[from + length] == 0;
    }

    /** A hash of its name that depends on nothing but the name's bytes: {@link #hashOf} of it. */
    public int nameHash(int index) {
        int offset = nameOffset(index);
        if (offset < 0 || offset >= strings.size()) {
            return 0;
        }
        byte[] names = strings.array;
        int i = strings.start + offset;
        int end = strings.start + strings.size();
        int hash = 0;
        byte next;
        while (i < end && (next = names[i]) != 0) {
            hash = 31 * hash + (next & 0xff);
            i++;
        }
        return hash;
    }

    /** The hash that {@link #nameHash} gives for this name: that of {@link String#hashCode()}. */
    public static int hashOf(String name) {
        return name.hashCode();
    }

    /** {@code st_value}: see {@link Symbol#value()}; 32 bits are zero-extended. */
    public long value(int index) {
        return wide
                ? Words.readLong(array, at(index) + 8, bigEndian)
                : Integer.toUnsignedLong(Words.readInt(array, at(index) + 4, bigEndian));
    }

    /** {@code st_size}, bytes. */
    public long size(int index) {
        return wide
                ? Words.readLong(array, at(index) + 16, bigEndian)
                : Integer.toUnsignedLong(Words.readInt(array, at(index) + 8, bigEndian));
    }

    /** {@code st_info}: binding and type, 0 … 255. */
    public int info(int index) {
        return array[at(index) + (wide ? 4 : 12)] & 0xff;
    }

    /** {@code STT_*}: 0 … 15. */
    public int type(int index) {
        return info(index) & 0xf;
    }

    /** Binding. */
    public Binding binding(int index) {
        return Binding.of(info(index));
    }

    /** Whether its binding is weak. */
    public boolean isWeak(int index) {
        return info(index) >>> 4 == 2;
    }

    /** {@code st_other}, 0 … 255. */
    public int other(int index) {
        return array[at(index) + (wide ? 5 : 13)] & 0xff;
    }

    /** {@code st_shndx}: a section index, or one of the reserved numbers; 0 … 65535. */
    public int sectionIndex(int index) {
        return Words.readShort(array, at(index) + (wide ? 6 : 14), bigEndian) & 0xffff;
    }

    /** Where it lives. */
    public Symbol.Place place(int index) {
        int section = sectionIndex(index);
        return switch (section) {
            case UNDEF -> new Symbol.Undefined();
            case ABS -> new Symbol.Absolute();
            case COMMON -> new Symbol.Common();
            default ->
                    section >= LORESERVE
                            ? new Symbol.Reserved(section)
                            : new Symbol.InSection(section);
        };
    }

    /** The symbol as a value. */
    public Symbol symbol(int index) {
        return new Symbol(
                name(index),
                binding(index),
                type(index),
                other(index),
                place(index),
                value(index),
                size(index));
    }

    /** Index of the first symbol of that name, or −1. */
    public int indexOf(String name) {
        for (int i = 0; i < count; i++) {
            if (isNamed(i, name)) {
                return i;
            }
        }
        return -1;
    }

    /**
     * Copies a symbol's entry and its name as the kernel's {@code kallsyms} does, with another name
     * offset and value.
     *
     * @param index the symbol
     * @param target where the entry goes
     * @param entryAt index in {@code target} of the entry
     * @param value its {@code st_value}
     * @param nameAt index in {@code target} of the name, which is copied with its NUL
     * @param nameOffset its {@code st_name}
     * @return bytes of the name, NUL included
     */
    public int copyEntry(
            int index, byte[] target, int entryAt, long value, int nameAt, int nameOffset) {
        System.arraycopy(array, at(index), target, entryAt, entrySize);
        Words.writeInt(target, entryAt, nameOffset, bigEndian);
        writeValue(target, entryAt, value);
        int from = nameOffset(index);
        int length = nameLength(index);
        if (length > 0) {
            System.arraycopy(strings.array, strings.start + from, target, nameAt, length);
        }
        target[nameAt + length] = 0;
        return length + 1;
    }

    /** Writes {@code st_value} into an entry that lies at {@code entryAt} of {@code target}. */
    public void writeValue(byte[] target, int entryAt, long value) {
        if (wide) {
            Words.writeLong(target, entryAt + 8, value, bigEndian);
        } else {
            Words.writeInt(target, entryAt + 4, (int) value, bigEndian);
        }
    }

    /** How numbers are written. */
    public Encoding encoding() {
        return encoding;
    }

    /** Whether the name of a symbol equals these bytes. */
    public boolean isNamed(int index, byte[] expected) {
        int offset = nameOffset(index);
        if (offset < 0 || offset > strings.size() - expected.length) {
            return expected.length == 0;
        }
        return strings.matches(offset, expected)
                && (offset + expected.length == strings.size()
                        || strings.get(offset + expected.length) == 0);
    }

    @Override
    public String toString() {
        return "SymbolTable[" + count + "]";
    }

    static byte[] encode(String name) {
        return name.getBytes(ISO_8859_1);
    }
}

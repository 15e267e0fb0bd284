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

    /** {@return number of symbols, index 0 included} */
    public int count() {
        return count;
    }

    /** {@return the raw entries} */
    public Bytes entries() {
        return entries;
    }

    /** {@return the string table} */
    public Bytes strings() {
        return strings;
    }

    private int at(int index) {
        return start + Objects.checkIndex(index, count) * entrySize;
    }

    /**
     * {@return {@code st_name}: where its name starts in {@link #strings()}, as an unsigned number}
     *
     * @param index index of the symbol
     */
    public int nameOffset(int index) {
        return Words.readInt(array, at(index), bigEndian);
    }

    /**
     * {@return bytes of its name, without the NUL; 0 for a name that starts outside the string
     * table}
     *
     * @param index index of the symbol
     */
    public int nameLength(int index) {
        int offset = nameOffset(index);
        return offset < 0 || offset >= strings.size() ? 0 : strings.textLength(offset);
    }

    /**
     * {@return its name, one character a byte; empty if it starts outside the string table}
     *
     * @param index index of the symbol
     */
    public String name(int index) {
        int offset = nameOffset(index);
        return offset < 0 || offset >= strings.size() ? "" : strings.text(offset);
    }

    /**
     * {@return whether its name is {@code expected}}
     *
     * @param index index of the symbol
     * @param expected a name, one character a byte
     */
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

    /**
     * {@return a hash of its name that depends on nothing but the name's bytes: {@link #hashOf} of
     * it}
     *
     * @param index index of the symbol
     */
    public int nameHash(int index) {
        int offset = nameOffset(index);
        if (offset < 0 || offset >= strings.size()) {
            return Words.HASH_START;
        }
        byte[] names = strings.array;
        int i = strings.start + offset;
        int end = strings.start + strings.size();
        int hash = Words.HASH_START;
        byte next;
        while (i < end && (next = names[i]) != 0) {
            hash = Words.hash(hash, next);
            i++;
        }
        return hash;
    }

    /**
     * {@return the hash that {@link #nameHash} gives for this name: that of {@link
     * String#hashCode()}}
     *
     * @param name a name, one character a byte
     */
    public static int hashOf(String name) {
        int hash = Words.HASH_START;
        for (byte next : encode(name)) {
            hash = Words.hash(hash, next);
        }
        return hash;
    }

    /**
     * {@return {@code st_value}: see {@link Symbol#value()}; 32 bits are zero-extended}
     *
     * @param index index of the symbol
     */
    public long value(int index) {
        return wide
                ? Words.readLong(array, at(index) + 8, bigEndian)
                : Integer.toUnsignedLong(Words.readInt(array, at(index) + 4, bigEndian));
    }

    /**
     * {@return {@code st_size}, bytes}
     *
     * @param index index of the symbol
     */
    public long size(int index) {
        return wide
                ? Words.readLong(array, at(index) + 16, bigEndian)
                : Integer.toUnsignedLong(Words.readInt(array, at(index) + 8, bigEndian));
    }

    /**
     * {@return {@code st_info}: binding and type, 0 … 255}
     *
     * @param index index of the symbol
     */
    public int info(int index) {
        return array[at(index) + (wide ? 4 : 12)] & 0xff;
    }

    /**
     * {@return {@code STT_*}: 0 … 15}
     *
     * @param index index of the symbol
     */
    public int type(int index) {
        return info(index) & 0xf;
    }

    /**
     * {@return its binding: the high half of {@code st_info}}
     *
     * @param index index of the symbol
     */
    public Binding binding(int index) {
        return Binding.of(info(index));
    }

    /**
     * {@return whether its binding is weak}
     *
     * @param index index of the symbol
     */
    public boolean isWeak(int index) {
        return info(index) >>> 4 == 2;
    }

    /**
     * {@return {@code st_other}, 0 … 255}
     *
     * @param index index of the symbol
     */
    public int other(int index) {
        return array[at(index) + (wide ? 5 : 13)] & 0xff;
    }

    /**
     * {@return {@code st_shndx}: a section index, or one of the reserved numbers; 0 … 65535}
     *
     * @param index index of the symbol
     */
    public int sectionIndex(int index) {
        return Words.readShort(array, at(index) + (wide ? 6 : 14), bigEndian) & 0xffff;
    }

    /**
     * {@return where it lives}
     *
     * @param index index of the symbol
     */
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

    /**
     * {@return the symbol as a value}
     *
     * @param index index of the symbol
     */
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

    /**
     * {@return index of the first symbol of that name, or −1}
     *
     * @param name a name, one character a byte
     */
    public int indexOf(String name) {
        for (int i = 0; i < count; i++) {
            if (isNamed(i, name)) {
                return i;
            }
        }
        return -1;
    }

    /**
     * Copies a symbol's entry as the kernel's {@code kallsyms} does, with another name offset and
     * value.
     *
     * @param index the symbol
     * @param target where the entry goes
     * @param entryAt index in {@code target} of the entry
     * @param value its {@code st_value}
     * @param nameOffset its {@code st_name}
     */
    public void copyEntry(int index, byte[] target, int entryAt, long value, int nameOffset) {
        System.arraycopy(array, at(index), target, entryAt, entrySize);
        Words.writeInt(target, entryAt, nameOffset, bigEndian);
        writeValue(target, entryAt, value);
    }

    /**
     * Copies a symbol's name and a NUL.
     *
     * @param index the symbol
     * @param target where the name goes
     * @param nameAt index in {@code target} of its first byte
     * @return bytes copied, NUL included
     */
    public int copyName(int index, byte[] target, int nameAt) {
        int length = nameLength(index);
        if (length > 0) {
            System.arraycopy(
                    strings.array, strings.start + nameOffset(index), target, nameAt, length);
        }
        target[nameAt + length] = 0;
        return length + 1;
    }

    /**
     * Writes {@code st_value} into an entry that lies at {@code entryAt} of {@code target}.
     *
     * @param target where the entry is
     * @param entryAt index in {@code target} of the entry's first byte
     * @param value the number; a 32-bit entry takes its low half
     */
    public void writeValue(byte[] target, int entryAt, long value) {
        if (wide) {
            Words.writeLong(target, entryAt + 8, value, bigEndian);
        } else {
            Words.writeInt(target, entryAt + 4, (int) value, bigEndian);
        }
    }

    /** {@return how numbers are written} */
    public Encoding encoding() {
        return encoding;
    }

    /**
     * {@return whether the name of a symbol equals these bytes}
     *
     * @param index index of the symbol
     * @param expected a name, without a NUL
     */
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

package io.github.koloader.image;

import io.github.koloader.internal.Words;
import java.util.Objects;

/**
 * {@code __versions}: the CRC a module was built against, for each symbol it imports; a view on the
 * file's bytes, 64 per entry.
 *
 * @kernel include/linux/module.h, struct modversion_info
 */
public final class VersionTable {
    /** Bytes of an entry. */
    public static final int ENTRY_SIZE = 64;

    /** No entries. */
    public static final VersionTable EMPTY = new VersionTable(Bytes.EMPTY, Encoding.ELF64_LSB);

    private final Bytes bytes;
    private final Encoding encoding;

    /**
     * A view on the section's contents; a rest shorter than an entry is not looked at.
     *
     * @param bytes the contents of {@code __versions}, shared
     * @param encoding how numbers are written
     */
    public VersionTable(Bytes bytes, Encoding encoding) {
        this.bytes = bytes;
        this.encoding = encoding;
    }

    /** {@return number of entries} */
    public int count() {
        return bytes.size() / ENTRY_SIZE;
    }

    /**
     * {@return the word that holds the CRC, which is its low 32 bits}
     *
     * @param index index of the entry, {@code [0, count())}
     */
    public long crc(int index) {
        return bytes.readWord(Objects.checkIndex(index, count()) * ENTRY_SIZE, encoding);
    }

    private int nameAt(int index) {
        return Objects.checkIndex(index, count()) * ENTRY_SIZE + encoding.wordSize();
    }

    private int nameLength(int index) {
        int from = bytes.start + nameAt(index);
        return Words.indexOfZero(bytes.array, from, from + ENTRY_SIZE - encoding.wordSize()) - from;
    }

    /**
     * {@return the name, one character a byte: up to its NUL or the end of the entry}
     *
     * @param index index of the entry, {@code [0, count())}
     */
    public String name(int index) {
        return bytes.slice(nameAt(index), nameLength(index)).toLatin1();
    }

    /**
     * {@return hash of the name: {@link SymbolTable#hashOf} of it}
     *
     * @param index index of the entry, {@code [0, count())}
     */
    public int nameHash(int index) {
        byte[] array = bytes.array;
        int i = bytes.start + nameAt(index);
        int end = i + ENTRY_SIZE - encoding.wordSize();
        int hash = Words.HASH_START;
        byte next;
        while (i < end && (next = array[i]) != 0) {
            hash = Words.hash(hash, next);
            i++;
        }
        return hash;
    }

    /**
     * {@return whether entry {@code index} has the name of symbol {@code symbol}}
     *
     * @param index index of the entry, {@code [0, count())}
     * @param symbols the table that the symbol is in
     * @param symbol index of the symbol
     */
    public boolean sameName(int index, SymbolTable symbols, int symbol) {
        int length = nameLength(index);
        if (length != symbols.nameLength(symbol)) {
            return false;
        }
        Bytes strings = symbols.strings();
        int at = nameAt(index);
        int from = symbols.nameOffset(symbol);
        for (int i = 0; i < length; i++) {
            if (bytes.get(at + i) != strings.get(from + i)) {
                return false;
            }
        }
        return true;
    }

    /**
     * {@return index of the first entry of that name, or −1}
     *
     * @param name a name, one character a byte
     */
    public int indexOf(String name) {
        for (int i = 0; i < count(); i++) {
            if (name(i).equals(name)) {
                return i;
            }
        }
        return -1;
    }

    @Override
    public String toString() {
        return "VersionTable[" + count() + "]";
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.util.Optional;
import java.util.function.LongPredicate;

/**
 * Where a kernel's own symbol table lies in its bytes. Nothing marks it; it is told by what its
 * parts say of each other. In the order of the file, each on a multiple of the alignment:
 *
 * <pre>
 * before 6.4                              since 6.4
 *   addresses, or offsets and their base    number of symbols
 *   number of symbols                       names
 *   names                                   markers
 *   markers                                 tokens
 *   order of names (since 6.2)              token index
 *   tokens                                  offsets and their base
 *   token index                             order of names
 * </pre>
 *
 * <p>A name is a length and as many codes. A code stands for a token: a piece of text. The first
 * character of the text is the type letter. Each marker is the place of every 256th name.
 *
 * <p>The token index is found first, being 256 growing numbers that fit the ends of 256 texts
 * before it; then the number of symbols, from which all other places follow.
 *
 * @kernel scripts/kallsyms.c, write_src()
 */
final class KallsymsTables {
    /** How addresses are written. */
    enum Form {
        /** Words: before 4.6, and without CONFIG_KALLSYMS_BASE_RELATIVE. */
        ABSOLUTE,
        /** 32 bits to add to a base. */
        RELATIVE,
        /** The same below zero, counted downwards; others are absolute: per-CPU symbols. */
        RELATIVE_BUT_PER_CPU
    }

    private static final int TOKENS = 256;
    private static final int INDEX_SIZE = TOKENS * 2;
    private static final int GROUP = 256;
    private static final int FEWEST_TOKENS = 8;
    private static final int LONGEST_TOKEN = 512;

    /** Characters of a name, with the type letter and the NUL, in the kernels that allow most. */
    private static final int LONGEST_NAME = 512;

    /** More than any kernel has. */
    private static final int MOST_SYMBOLS = 1 << 21;

    /** Steps in which a table is found, unless somebody made it hard. */
    private static final long WORK = 1 << 16;

    private static final int WORK_PER_BYTE = 8;

    private final Bytes bytes;
    private final Encoding encoding;
    private final LongPredicate plausible;
    private long work;
    private final long workLimit;

    // What is found, as offsets of bytes.
    private int tokenIndex;
    private int tokens;
    private int count;
    private int countAt;
    private int alignment;
    private int names;
    private boolean longNames;
    private int addresses;
    private int base = -1;
    private Form form = Form.ABSOLUTE;

    private KallsymsTables(Bytes bytes, Encoding encoding, LongPredicate plausible) {
        this.bytes = bytes;
        this.encoding = encoding;
        this.plausible = plausible;
        this.workLimit = WORK + (long) WORK_PER_BYTE * bytes.size();
    }

    /**
     * Looks for the tables.
     *
     * @param bytes where; the first byte is at an address that is a multiple of 4
     * @param encoding word size and byte order
     * @param plausible whether an address may be one of the kernel
     * @return empty if they are not there, or do not agree
     */
    static Optional<KallsymsTables> find(Bytes bytes, Encoding encoding, LongPredicate plausible) {
        KallsymsTables tables = new KallsymsTables(bytes, encoding, plausible);
        return tables.find() ? Optional.of(tables) : Optional.empty();
    }

    /** Number of symbols. */
    int count() {
        return count;
    }

    Form form() {
        return form;
    }

    /** Offset of the word that offsets are added to; −1 where there is none. */
    int base() {
        return base;
    }

    /** An address, going by a value of the base. */
    long address(int symbol, long baseValue) {
        long value =
                switch (form) {
                    case ABSOLUTE ->
                            bytes.readWord(addresses + symbol * encoding.wordSize(), encoding);
                    case RELATIVE -> baseValue + Integer.toUnsignedLong(offset(symbol));
                    case RELATIVE_BUT_PER_CPU ->
                            offset(symbol) >= 0 ? offset(symbol) : baseValue - 1 - offset(symbol);
                };
        return encoding.wide() ? value : value & 0xffff_ffffL;
    }

    private int offset(int symbol) {
        return bytes.readInt(addresses + symbol * 4, encoding);
    }

    /** What the base is in these bytes; 0 if there is none. */
    long baseValue() {
        return base < 0 ? 0 : bytes.readWord(base, encoding);
    }

    /** Reads the texts of all symbols, each with its type letter first. */
    final class Names {
        private int at = names;
        private final StringBuilder text = new StringBuilder();

        /** The next one. */
        String next() {
            int length = lengthAt(at, longNames);
            at += headAt(at, longNames);
            text.setLength(0);
            for (int i = 0; i < length; i++) {
                int token = tokens + shortAt(tokenIndex + 2 * (bytes.get(at++) & 0xff));
                for (byte character; (character = bytes.get(token)) != 0; token++) {
                    text.append((char) (character & 0xff));
                }
            }
            return text.toString();
        }
    }

    /** Reads names from the first on. */
    Names names() {
        return new Names();
    }

    private int shortAt(int offset) {
        return bytes.unsignedShort(offset, encoding);
    }

    /** Every token index has a token table, and a table that fits it. */
    private boolean find() {
        for (int at = 0; at <= bytes.size() - INDEX_SIZE && work < workLimit; at += 4) {
            if (shortAt(at) == 0 && shortAt(at + 2) != 0 && isIndex(at)) {
                tokenIndex = at;
                if (findTokens() && findNames()) {
                    return true;
                }
            }
        }
        return false;
    }

    private boolean isIndex(int at) {
        for (int i = 1; i < TOKENS; i++) {
            work++;
            int length = shortAt(at + 2 * i) - shortAt(at + 2 * i - 2);
            if (length < 1 || length > LONGEST_TOKEN) {
                return false;
            }
        }
        return true;
    }

    /** Tokens end where the index begins, but for bytes that align it. */
    private boolean findTokens() {
        int last = shortAt(tokenIndex + INDEX_SIZE - 2);
        int highest = tokenIndex - last - 1 & ~3;
        for (int at = highest; at >= 0 && at > highest - LONGEST_TOKEN - GROUP; at -= 4) {
            work++;
            if (areTokens(at, last)) {
                tokens = at;
                return true;
            }
        }
        return false;
    }

    private boolean areTokens(int at, int last) {
        for (int i = 1; i < TOKENS; i++) {
            work++;
            if (bytes.get(at + shortAt(tokenIndex + 2 * i) - 1) != 0) {
                return false;
            }
        }
        int used = 0; // with few names some codes stand for nothing
        for (int i = 0; i < TOKENS; i++) {
            int from = shortAt(tokenIndex + 2 * i);
            int length = bytes.textLength(at + from);
            work += length;
            int expected = i < TOKENS - 1 ? shortAt(tokenIndex + 2 * i + 2) - from - 1 : length;
            if (length != expected) {
                return false;
            }
            used += length == 0 ? 0 : 1;
        }
        int end = at + last + bytes.textLength(at + last) + 1;
        return used >= FEWEST_TOKENS && end <= tokenIndex && isZero(end, tokenIndex);
    }

    private boolean isZero(int from, int to) {
        work += to - from;
        for (int i = from; i < to; i++) {
            if (bytes.get(i) != 0) {
                return false;
            }
        }
        return true;
    }

    /** The number of symbols lies before the names, and says how far. */
    private boolean findNames() {
        for (int at = tokens - 4; at >= 0 && work < workLimit; at -= 4) {
            work++;
            int number = bytes.readInt(at, encoding);
            int slot = at;
            if (number <= 0
                    || number > MOST_SYMBOLS
                    || number > (tokens - at) / 2
                    || number < (tokens - at) / (2 * LONGEST_NAME)) {
                continue;
            }
            // a big-endian word has the number in its second half
            boolean word = encoding.wide() && encoding.bigEndian() && at >= 4;
            if (fits(slot, number)
                    || word && bytes.readInt(at - 4, encoding) == 0 && fits(at - 4, number)) {
                return true;
            }
        }
        return false;
    }

    /** Tries both alignments: that of a word, and what {@code .align} makes of it on some. */
    private boolean fits(int slot, int number) {
        count = number;
        countAt = slot;
        int word = encoding.wordSize();
        return fits(word) || fits(encoding.wide() ? 256 : 16);
    }

    private boolean fits(int align) {
        alignment = align;
        names = countAt + align;
        int number = (count + GROUP - 1) / GROUP;
        long order = aligned(3L * count);
        boolean wide = encoding.wide();
        return fits(tokens - aligned(4L * number), 4)
                || fits(tokens - order - aligned(4L * number), 4)
                || wide && fits(tokens - aligned(8L * number), 8)
                || wide && fits(tokens - order - aligned(8L * number), 8);
    }

    private long aligned(long size) {
        return size + alignment - 1 & -alignment;
    }

    /** Walks along the names; markers tell early when it is the wrong way. */
    private boolean fits(long markers, int size) {
        work++;
        if (markers < names + 2L * count
                || marker((int) markers, size, 0) != 0
                || count > GROUP && marker((int) markers, size, 1) < 2 * GROUP) {
            return false;
        }
        return (walk((int) markers, size, true) || walk((int) markers, size, false))
                && findAddresses();
    }

    private long marker(int markers, int size, int index) {
        return size == 8
                ? bytes.readLong(markers + 8 * index, encoding)
                : Integer.toUnsignedLong(bytes.readInt(markers + 4 * index, encoding));
    }

    private boolean walk(int markers, int size, boolean longNamesAllowed) {
        int at = names;
        for (int i = 0; i < count; i++) {
            if (i % GROUP == 0 && marker(markers, size, i / GROUP) != at - names) {
                return false;
            }
            work++;
            if (at >= markers - 2) {
                return false;
            }
            int length = lengthAt(at, longNamesAllowed);
            int from = at + headAt(at, longNamesAllowed);
            if (length == 0 || length > LONGEST_NAME || length > markers - from) {
                return false;
            }
            if (!isLetter(bytes.get(tokens + shortAt(tokenIndex + 2 * (bytes.get(from) & 0xff))))) {
                return false;
            }
            at = from + length;
        }
        longNames = longNamesAllowed;
        return names + aligned(at - names) == markers && isZero(at, markers) && areShort();
    }

    /** Type letters of {@code nm}. */
    private static boolean isLetter(byte character) {
        return character >= 'A' && character <= 'Z'
                || character >= 'a' && character <= 'z'
                || character == '?'
                || character == '-';
    }

    /** Names are of some length, and not much longer together than they take. */
    private boolean areShort() {
        int at = names;
        long total = 0;
        for (int i = 0; i < count; i++) {
            int length = lengthAt(at, longNames);
            at += headAt(at, longNames);
            int characters = 0;
            for (int k = 0; k < length; k++, at++) {
                int token = shortAt(tokenIndex + 2 * (bytes.get(at) & 0xff));
                int code = bytes.get(at) & 0xff;
                characters +=
                        code < TOKENS - 1
                                ? shortAt(tokenIndex + 2 * code + 2) - token - 1
                                : bytes.textLength(tokens + token);
            }
            work += length;
            total += characters;
            if (characters < 2 || characters > LONGEST_NAME) {
                return false;
            }
        }
        return total <= 8L * (at - names) + (1 << 16);
    }

    /** Bytes that the length of a name takes. */
    private int headAt(int at, boolean longNamesAllowed) {
        return longNamesAllowed && bytes.get(at) < 0 ? 2 : 1;
    }

    /** Codes of a name; since 6.1 those of more than 127 have a second byte for it. */
    private int lengthAt(int at, boolean longNamesAllowed) {
        int low = bytes.get(at) & 0xff;
        return headAt(at, longNamesAllowed) == 1
                ? low
                : low & 0x7f | (bytes.get(at + 1) & 0xff) << 7;
    }

    private boolean findAddresses() {
        int word = encoding.wordSize();
        long offsets = aligned(4L * count);
        long after = tokenIndex + aligned(INDEX_SIZE);
        long before = (long) countAt - alignment;
        return areOffsets(after, after + offsets)
                || areOffsets(before - offsets, before)
                || areAddresses(countAt - aligned((long) word * count))
                || areAddresses(after);
    }

    private boolean areOffsets(long from, long baseAt) {
        if (from < 0 || baseAt + encoding.wordSize() > bytes.size()) {
            return false;
        }
        addresses = (int) from;
        base = (int) baseAt;
        if (!plausible.test(baseValue())) {
            return false;
        }
        boolean relative = isRelative();
        boolean mixed = isRelativeButPerCpu();
        form =
                relative && (offset(count - 1) >= 0 || !mixed)
                        ? Form.RELATIVE
                        : Form.RELATIVE_BUT_PER_CPU;
        return (relative || mixed) && areKernels();
    }

    /** The base is the lowest address. */
    private boolean isRelative() {
        boolean ascending = offset(0) == 0;
        for (int i = 1; i < count && ascending; i++) {
            work++;
            ascending = Integer.compareUnsigned(offset(i - 1), offset(i)) <= 0;
        }
        return ascending && (count == 1 || offset(count - 1) != 0);
    }

    /** The base is the lowest address that is counted from it: −1. */
    private boolean isRelativeButPerCpu() {
        int i = 0;
        while (i < count && offset(i) >= 0) {
            work++;
            if (i > 0 && offset(i) < offset(i - 1)) {
                return false;
            }
            i++;
        }
        if (i == count || offset(i) != -1) {
            return false;
        }
        for (i++; i < count; i++) {
            work++;
            if (offset(i) > offset(i - 1)) {
                return false;
            }
        }
        return true;
    }

    private boolean areAddresses(long from) {
        int word = encoding.wordSize();
        if (from < 0 || from + (long) word * count > bytes.size()) {
            return false;
        }
        addresses = (int) from;
        base = -1;
        form = Form.ABSOLUTE;
        return areKernels() && (count == 1 || address(0, 0) != address(count - 1, 0));
    }

    /** Addresses do not descend, and most of them are in the kernel. */
    private boolean areKernels() {
        long baseValue = baseValue();
        int known = 0;
        for (int i = 0; i < count; i++) {
            work++;
            long value = address(i, baseValue);
            if (i > 0 && Long.compareUnsigned(address(i - 1, baseValue), value) > 0) {
                return false;
            }
            known += plausible.test(value) ? 1 : 0;
        }
        return known > count / 2;
    }
}

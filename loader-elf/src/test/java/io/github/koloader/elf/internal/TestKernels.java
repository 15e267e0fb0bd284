package io.github.koloader.elf.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.elf.internal.KallsymsBytes.Entry;
import io.github.koloader.elf.internal.KallsymsBytes.Layout;
import io.github.koloader.elf.internal.KallsymsTables.Form;
import io.github.koloader.image.Encoding;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** Makes small kernels, raw or in ELF files, and what they are booted from. */
final class TestKernels {
    static final int SIZE = 0x20000;
    private static final int TEXTS_AT = 0x4000;
    private static final int POINTERS_AT = 0x8000;
    private static final int TEXTS = 300;
    private static final int TABLES_AT = 0x10000;
    private static final int RELOCATIONS_AT = 0x1c000;
    private static final int DYNAMIC_AT = 0x1b000;
    private static final int SYMBOLS_AT = 0x1b800;

    private TestKernels() {}

    /**
     * A raw kernel.
     *
     * @param bytes all of it
     * @param symbols those of its own table
     */
    record Raw(byte[] bytes, List<Entry> symbols) {}

    /** With a symbol for its first byte, or without. */
    static Raw raw(Encoding encoding, long address, boolean first) {
        return raw(encoding, address, first, 0, 0);
    }

    /**
     * A kernel of 128 KiB: code, texts, pointers to them, symbols.
     *
     * @param first whether it has a symbol for its first byte
     * @param relative type of relocations that write its pointers; 0 for none
     * @param symbolic type of the one that writes what symbols are counted from; 0 for the same
     */
    static Raw raw(Encoding encoding, long address, boolean first, int relative, int symbolic) {
        Random random = new Random(1);
        byte[] bytes = new byte[SIZE];
        ByteBuffer edit = ByteBuffer.wrap(bytes).order(encoding.byteOrder());
        byte[] code = new byte[TEXTS_AT];
        random.nextBytes(code);
        edit.put(0, code);
        List<long[]> words = new ArrayList<>();
        int text = TEXTS_AT + 1;
        for (int i = 0; i < TEXTS; i++) {
            words.add(new long[] {POINTERS_AT + 2L * i * encoding.wordSize(), address + text});
            byte[] characters = ("a text of " + i * i).getBytes(ISO_8859_1);
            edit.put(text, characters);
            text += characters.length + 1 + random.nextInt(20);
        }
        List<Entry> symbols = new ArrayList<>();
        for (int i = 0; i < 700; i++) {
            symbols.add(
                    new Entry(
                            address + 16L * (first ? i : i + 64),
                            i == 0 ? 'T' : 't',
                            i == 0 ? first ? "_text" : "_stext" : "function_" + i));
        }
        KallsymsBytes.Written tables =
                KallsymsBytes.write(
                        new Layout(
                                encoding,
                                encoding.wordSize(),
                                4,
                                false,
                                true,
                                true,
                                true,
                                Form.RELATIVE),
                        symbols,
                        symbols.get(0).address(),
                        random,
                        true);
        edit.put(TABLES_AT, tables.bytes());
        words.add(new long[] {TABLES_AT + tables.base(), symbols.get(0).address()});
        if (relative == 0) {
            words.forEach(word -> putWord(edit, encoding, (int) word[0], word[1]));
        } else {
            putWord(edit, encoding, TABLES_AT + tables.base(), 0);
            relocations(edit, address, words, relative, symbolic);
        }
        return new Raw(bytes, symbols);
    }

    private static void relocations(
            ByteBuffer edit, long address, List<long[]> words, int relative, int symbolic) {
        int at = RELOCATIONS_AT;
        for (long[] word : words) {
            boolean last = word == words.get(words.size() - 1) && symbolic != 0;
            edit.putLong(at, address + word[0]);
            edit.putLong(at + 8, last ? 5L << 32 | symbolic : relative);
            edit.putLong(at + 16, last ? 0 : word[1]);
            at += 24;
        }
        edit.putLong(SYMBOLS_AT + 5 * 24 + 8, words.get(words.size() - 1)[1]);
        long[] dynamic = {
            6, address + SYMBOLS_AT, 7, address + RELOCATIONS_AT, 8, at - RELOCATIONS_AT, 9, 24
        };
        for (int i = 0; i < dynamic.length; i++) {
            edit.putLong(DYNAMIC_AT + 8 * i, dynamic[i]);
        }
    }

    private static void putWord(ByteBuffer edit, Encoding encoding, int at, long value) {
        if (encoding.wide()) {
            edit.putLong(at, value);
        } else {
            edit.putInt(at, (int) value);
        }
    }

    /** Writes the header of an {@code Image} over the first bytes. */
    static byte[] withImageHeader(byte[] raw, String magic, long memorySize) {
        byte[] image = raw.clone();
        ByteBuffer edit = ByteBuffer.wrap(image).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        edit.put(0, new byte[0x40]).putLong(0x10, memorySize);
        edit.put(0x38, magic.getBytes(ISO_8859_1));
        return image;
    }

    /** A section to be. */
    record Part(@Nullable String name, int type, long flags, long address, byte[] bytes) {}

    /** An ELF file of 64 or 32 bits; with sections, or one segment for each part. */
    static byte[] elf(Encoding encoding, int machine, boolean sections, List<Part> parts) {
        boolean wide = encoding.wide();
        StringBuilder names = new StringBuilder("\0");
        int size = wide ? 64 : 52;
        int entry = sections ? (wide ? 64 : 40) : (wide ? 56 : 32);
        int count = sections ? parts.size() + 2 : parts.size();
        int at = size + count * entry;
        int length = at + 4096;
        for (Part part : parts) {
            length += part.bytes().length + (part.name() == null ? 0 : part.name().length() + 1);
        }
        byte[] file = new byte[length];
        ByteBuffer edit = ByteBuffer.wrap(file).order(encoding.byteOrder());
        edit.put(new byte[] {0x7f, 'E', 'L', 'F', (byte) (wide ? 2 : 1)});
        edit.put((byte) (encoding.bigEndian() ? 2 : 1)).put((byte) 1);
        edit.putShort(16, (short) 2).putShort(18, (short) machine);
        putWord(edit, encoding, sections ? (wide ? 40 : 32) : wide ? 32 : 28, size);
        edit.putShort(wide ? 52 : 40, (short) size);
        int numbers = sections ? (wide ? 58 : 46) : wide ? 54 : 42;
        edit.putShort(numbers, (short) entry).putShort(numbers + 2, (short) count);
        int header = sections ? size + entry : size;
        for (Part part : parts) {
            edit.put(at, part.bytes());
            if (sections) {
                section(edit, encoding, header, names.length(), part, at);
                names.append(part.name()).append('\0');
            } else {
                segment(edit, encoding, header, part, at);
            }
            header += entry;
            at += part.bytes().length;
        }
        if (sections) {
            Part part = new Part("", 3, 0, 0, names.toString().getBytes(ISO_8859_1));
            edit.putShort(numbers + 4, (short) (count - 1));
            edit.put(at, part.bytes());
            section(edit, encoding, header, 0, part, at);
            at += part.bytes().length;
        }
        return Arrays.copyOf(file, at);
    }

    private static void section(
            ByteBuffer edit, Encoding encoding, int header, int name, Part part, int at) {
        int word = encoding.wordSize();
        edit.putInt(header, name).putInt(header + 4, part.type());
        putWord(edit, encoding, header + 8, part.flags());
        putWord(edit, encoding, header + 8 + word, part.address());
        putWord(edit, encoding, header + 8 + 2 * word, at);
        putWord(edit, encoding, header + 8 + 3 * word, part.bytes().length);
    }

    private static void segment(ByteBuffer edit, Encoding encoding, int header, Part part, int at) {
        boolean wide = encoding.wide();
        int word = encoding.wordSize();
        edit.putInt(header, 1).putInt(header + (wide ? 4 : 24), 7);
        int words = header + (wide ? 8 : 4);
        putWord(edit, encoding, words, at);
        putWord(edit, encoding, words + word, part.address());
        putWord(edit, encoding, words + 3 * word, part.bytes().length);
        putWord(edit, encoding, words + 4 * word, part.bytes().length + 0x1000L);
    }

    /** x86: setup code of five sectors, and the payload somewhere behind it. */
    static byte[] bzImage(byte[] payload) {
        byte[] file = new byte[6 * 512 + 100 + payload.length + 300];
        ByteBuffer edit = ByteBuffer.wrap(file).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        edit.put(0x1f1, (byte) 5).put(0x202, "HdrS".getBytes(ISO_8859_1));
        edit.putShort(0x206, (short) 0x20f).putInt(0x248, 100).putInt(0x24c, payload.length);
        edit.put(6 * 512 + 100, payload);
        return file;
    }

    /** An EFI program that unpacks. */
    static byte[] zboot(byte[] payload) {
        byte[] file = new byte[0x1000 + payload.length + 100];
        ByteBuffer edit = ByteBuffer.wrap(file).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        edit.put("MZ\0\0zimg".getBytes(ISO_8859_1));
        edit.putInt(8, 0x1000).putInt(12, payload.length);
        edit.put(0x1000, payload);
        return file;
    }

    /** A program that unpacks, with the payload where nobody says. */
    static byte[] program(byte[] payload, int before) {
        byte[] file = new byte[before + payload.length + 500];
        new Random(3).nextBytes(file);
        System.arraycopy(payload, 0, file, before, payload.length);
        return file;
    }

    static byte[] zImage(byte[] payload, Encoding encoding) {
        byte[] file = program(payload, 0x1234);
        ByteBuffer.wrap(file).order(encoding.byteOrder()).putInt(0x24, 0x016f2818);
        return file;
    }

    static byte[] s390(byte[] payload) {
        byte[] file = program(payload, 0x11234);
        ByteBuffer.wrap(file).put(0x10008, "S390EP".getBytes(ISO_8859_1));
        return file;
    }
}

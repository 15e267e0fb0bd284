package io.github.koloader.elf.internal;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A raw image to write tables into: text at its beginning, where functions may be. What is not
 * written is {@code 0xff}, which points nowhere.
 */
final class TestImage {
    static final long BASE = 0xffffffff81000000L;

    /** Functions may be in so many bytes from the beginning. */
    static final int TEXT = 0x1000;

    private static final int SIZE = 0x8000;

    private final Encoding encoding;
    private final long base;
    private final ByteBuffer bytes;
    private final Map<Long, List<String>> symbols = new TreeMap<>(Long::compareUnsigned);
    private int texts;

    TestImage(Encoding encoding) {
        this(encoding, 0x6000);
    }

    /** The same with texts from an offset on. */
    TestImage(Encoding encoding, int texts) {
        this(encoding, texts, (byte) 0xff);
    }

    /** The same filled with something else. */
    TestImage(Encoding encoding, int texts, byte filling) {
        this.texts = texts;
        this.encoding = encoding;
        this.base = encoding.wide() ? BASE : BASE & 0xffff_ffffL;
        this.bytes = ByteBuffer.allocate(SIZE).order(encoding.byteOrder());
        Arrays.fill(bytes.array(), filling);
    }

    /** The address of an offset. */
    long at(int offset) {
        return base + offset;
    }

    TestImage word(int offset, long value) {
        if (encoding.wide()) {
            bytes.putLong(offset, value);
        } else {
            bytes.putInt(offset, (int) value);
        }
        return this;
    }

    TestImage integer(int offset, int value) {
        bytes.putInt(offset, value);
        return this;
    }

    /** A pointer of a kind. */
    TestImage pointer(EntryKind kind, int offset, long target) {
        return kind == EntryKind.ABSOLUTE
                ? word(offset, target)
                : integer(offset, (int) (target - at(offset)));
    }

    /** A text behind the last one; its address. */
    long text(String text) {
        byte[] latin = (text + "\0").getBytes(StandardCharsets.ISO_8859_1);
        int offset = texts;
        bytes.put(offset, latin);
        texts += latin.length;
        return at(offset);
    }

    TestImage symbol(String name, int offset) {
        return symbolAt(name, at(offset));
    }

    TestImage symbolAt(String name, long address) {
        symbols.computeIfAbsent(address, any -> new ArrayList<>()).add(name);
        return this;
    }

    /** The whole of it as one piece without a name. */
    LinkedImage image() {
        return new LinkedImage(
                encoding,
                encoding.wide() ? 62 : 3,
                List.of(
                        new LinkedImage.Piece(
                                "", base, Bytes.copyOf(bytes.array()), SIZE, true, true)));
    }

    KernelSymbolTable table() {
        KernelSymbolTable.Builder table = KernelSymbolTable.builder();
        symbols.forEach(
                (address, names) ->
                        names.forEach(name -> table.symbol(new Address(address), 't', name)));
        return table.build();
    }

    SymbolIndex index() {
        return new SymbolIndex(table(), image().elfMachine());
    }
}

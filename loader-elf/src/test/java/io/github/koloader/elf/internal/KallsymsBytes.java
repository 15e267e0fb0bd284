package io.github.koloader.elf.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.image.Encoding;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Writes symbols as kernels of several versions have them. */
final class KallsymsBytes {
    /** A symbol. */
    record Entry(long address, char letter, String name) {}

    /**
     * What differs between versions.
     *
     * @param alignment of each table
     * @param markerSize 4 or 8
     * @param countAsWord whether the number of symbols is a word, not 32 bits
     * @param addressesLast since 6.4
     * @param order since 6.2: three bytes a symbol behind the markers, or at the end
     * @param longNames since 6.1
     * @param form how addresses are written
     */
    record Layout(
            Encoding encoding,
            int alignment,
            int markerSize,
            boolean countAsWord,
            boolean addressesLast,
            boolean order,
            boolean longNames,
            KallsymsTables.Form form) {}

    private static final String LETTERS =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$";
    private static final List<String> PIECES =
            List.of("read", "write", "__", "init_", "_exit", "tty", "sys_", "alloc", "ktime", "Tx");

    private final Layout layout;
    private final List<Entry> entries;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final List<byte[]> tokens = new ArrayList<>();

    /** Offset of the word that offsets are counted from. */
    private int base = -1;

    private KallsymsBytes(Layout layout, List<Entry> entries, Random random, boolean full) {
        this.layout = layout;
        this.entries = entries;
        // codes that are characters stand for themselves; the rest for pieces, or for nothing
        for (int code = 0; code < 256; code++) {
            if (LETTERS.indexOf(code) >= 0) {
                tokens.add(new byte[] {(byte) code});
            } else if (code % 5 == 0) {
                tokens.add(PIECES.get(code / 5 % PIECES.size()).getBytes(ISO_8859_1));
            } else {
                int length = full ? 1 + random.nextInt(9) : 0;
                byte[] token = new byte[length];
                for (int i = 0; i < length; i++) {
                    token[i] = (byte) LETTERS.charAt(random.nextInt(LETTERS.length()));
                }
                tokens.add(token);
            }
        }
    }

    /**
     * The tables.
     *
     * @param bytes from the first to the last of them, each on its alignment
     * @param base offset in them of the word that offsets are counted from; −1 without
     */
    record Written(byte[] bytes, int base) {}

    /**
     * Writes symbols.
     *
     * @param baseAddress what offsets are counted from
     * @param full whether every code stands for something
     */
    static Written write(
            Layout layout, List<Entry> entries, long baseAddress, Random random, boolean full) {
        KallsymsBytes writer = new KallsymsBytes(layout, entries, random, full);
        writer.write(baseAddress);
        return new Written(writer.out.toByteArray(), writer.base);
    }

    private void write(long baseAddress) {
        if (!layout.addressesLast()) {
            addresses(baseAddress);
        }
        int countSize = layout.countAsWord() ? layout.encoding().wordSize() : 4;
        number(entries.size(), countSize);
        align();
        int names = out.size();
        List<Integer> markers = new ArrayList<>();
        for (int i = 0; i < entries.size(); i++) {
            if (i % 256 == 0) {
                markers.add(out.size() - names);
            }
            name(entries.get(i).letter() + entries.get(i).name());
        }
        align();
        markers.forEach(marker -> number(marker, layout.markerSize()));
        align();
        if (layout.order() && !layout.addressesLast()) {
            order();
        }
        List<Integer> index = new ArrayList<>();
        int from = out.size();
        for (byte[] token : tokens) {
            index.add(out.size() - from);
            out.writeBytes(token);
            out.write(0);
        }
        align();
        index.forEach(place -> number(place, 2));
        align();
        if (layout.addressesLast()) {
            addresses(baseAddress);
            if (layout.order()) {
                order();
            }
        }
    }

    private void addresses(long baseAddress) {
        for (Entry entry : entries) {
            long offset = entry.address() - baseAddress;
            switch (layout.form()) {
                case ABSOLUTE -> number(entry.address(), layout.encoding().wordSize());
                case RELATIVE -> number(offset, 4);
                case RELATIVE_BUT_PER_CPU ->
                        number(entry.letter() == 'A' ? entry.address() : -1 - offset, 4);
            }
        }
        align();
        if (layout.form() != KallsymsTables.Form.ABSOLUTE) {
            base = out.size();
            number(baseAddress, layout.encoding().wordSize());
            align();
        }
    }

    private void order() {
        for (int i = 0; i < entries.size(); i++) {
            out.write(i >> 16);
            out.write(i >> 8);
            out.write(i);
        }
        align();
    }

    /** The longest token that fits, from left to right. */
    private void name(String text) {
        byte[] bytes = text.getBytes(ISO_8859_1);
        ByteArrayOutputStream codes = new ByteArrayOutputStream();
        for (int at = 0; at < bytes.length; ) {
            int best = bytes[at] & 0xff;
            for (int code = 0; code < 256; code++) {
                byte[] token = tokens.get(code);
                if (token.length > tokens.get(best).length
                        && text.startsWith(new String(token, ISO_8859_1), at)) {
                    best = code;
                }
            }
            codes.write(best);
            at += tokens.get(best).length;
        }
        int length = codes.size();
        if (layout.longNames() && length > 0x7f) {
            out.write(length & 0x7f | 0x80);
            out.write(length >> 7);
        } else {
            out.write(length);
        }
        out.writeBytes(codes.toByteArray());
    }

    private void number(long value, int size) {
        ByteBuffer buffer = ByteBuffer.allocate(8).order(layout.encoding().byteOrder());
        switch (size) {
            case 2 -> buffer.putShort((short) value);
            case 4 -> buffer.putInt((int) value);
            default -> buffer.putLong(value);
        }
        out.write(buffer.array(), 0, size);
    }

    private void align() {
        while (out.size() % layout.alignment() != 0) {
            out.write(0);
        }
    }
}

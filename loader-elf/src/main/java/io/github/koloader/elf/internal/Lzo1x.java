package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.util.Arrays;

/**
 * Unpacks LZO1X, which has no licence-compatible library that is plain Java. A stream is a row of
 * instructions; each copies bytes that were unpacked before, and then up to three literal bytes.
 * What an instruction byte below 16 means depends on how many literals came right before it.
 *
 * @kernel Documentation/staging/lzo.rst
 */
final class Lzo1x {
    /** Literals before an instruction: 0 … 3, or a run of them. */
    private static final int RUN = 4;

    private final Bytes packed;
    private final byte[] unpacked;
    private int in;
    private int out;

    private Lzo1x(Bytes packed, int size) {
        this.packed = packed;
        this.unpacked = new byte[size];
    }

    /**
     * Unpacks a stream of known size.
     *
     * @throws IOException if it is broken, or of another size
     */
    static byte[] unpack(Bytes packed, int size) throws IOException {
        // a byte stands for 255 bytes at most, and few more where a length begins
        if (size / 256 > packed.size()) {
            throw new IOException("" + packed.size() + " bytes cannot become " + size);
        }
        return new Lzo1x(packed, size).run();
    }

    private byte[] run() throws IOException {
        int before = 0;
        int first = take();
        if (first > 17) {
            literals(first - 17);
            before = Math.min(first - 17, RUN);
        } else {
            in--;
        }
        while (true) {
            int code = take();
            int trailing;
            if (code >= 64) { // near
                int distance = (take() << 3) + (code >> 2 & 7) + 1;
                copy(distance, (code >> 5) + 1);
                trailing = code & 3;
            } else if (code >= 32) { // up to 16 KiB back
                int length = length(code & 31, 31) + 2;
                int operand = takeShort();
                copy((operand >> 2) + 1, length);
                trailing = operand & 3;
            } else if (code >= 16) { // beyond; at exactly 16 KiB it is the end
                int length = length(code & 7, 7) + 2;
                int operand = takeShort();
                int distance = ((code & 8) << 11) + (operand >> 2);
                if (distance == 0) {
                    return end(length);
                }
                copy(distance + (1 << 14), length);
                trailing = operand & 3;
            } else if (before == 0) {
                literals(length(code, 15) + 3);
                before = RUN;
                continue;
            } else {
                int distance = (take() << 2) + (code >> 2) + 1;
                copy(before == RUN ? distance + 2048 : distance, before == RUN ? 3 : 2);
                trailing = code & 3;
            }
            literals(trailing);
            before = trailing;
        }
    }

    private byte[] end(int length) throws IOException {
        if (length != 3 || out != unpacked.length) {
            throw new IOException("ends after " + out + " of " + unpacked.length + " bytes");
        }
        return unpacked;
    }

    private int take() throws IOException {
        if (in == packed.size()) {
            throw new IOException("cut off");
        }
        return packed.get(in++) & 0xff;
    }

    private int takeShort() throws IOException {
        int low = take();
        return low | take() << 8;
    }

    /** A length that does not fit into its field goes on in bytes of 255 each, written as 0. */
    private int length(int field, int largest) throws IOException {
        if (field != 0) {
            return field;
        }
        int length = largest;
        int more;
        while ((more = take()) == 0) {
            length += 255;
            if (length > unpacked.length) {
                throw new IOException("more than " + unpacked.length + " bytes");
            }
        }
        return length + more;
    }

    private void literals(int count) throws IOException {
        if (count > packed.size() - in) {
            throw new IOException("cut off");
        }
        reserve(count);
        for (int i = 0; i < count; i++) {
            unpacked[out++] = packed.get(in++);
        }
    }

    /** Copies byte by byte: what is copied may be what was just written. */
    private void copy(int distance, int length) throws IOException {
        if (distance > out) {
            throw new IOException("a copy from before the beginning");
        }
        reserve(length);
        if (distance == 1) {
            Arrays.fill(unpacked, out, out + length, unpacked[out - 1]);
            out += length;
            return;
        }
        for (int i = 0; i < length; i++, out++) {
            unpacked[out] = unpacked[out - distance];
        }
    }

    private void reserve(int count) throws IOException {
        if (count > unpacked.length - out) {
            throw new IOException("more than " + unpacked.length + " bytes");
        }
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.IOException;

/**
 * A file of the program {@code lzop}: a header, and blocks after their sizes and checksums, up to a
 * size of 0. Numbers are big-endian. Checksums are not verified, as the kernel does not either:
 * what is unpacked has to be a kernel.
 *
 * @kernel lib/decompress_unlzo.c
 */
final class Lzop extends BlockStream {
    private static final Encoding BIG = Encoding.ELF32_MSB;
    private static final int MAGIC = 9;
    private static final int LARGEST_BLOCK = 64 << 20;
    private static final int ADLER_UNPACKED = 0x1;
    private static final int ADLER_PACKED = 0x2;
    private static final int EXTRA_FIELD = 0x40;
    private static final int CRC_UNPACKED = 0x100;
    private static final int CRC_PACKED = 0x200;
    private static final int FILTER = 0x800;

    private final Bytes file;
    private int at = MAGIC;
    private final int flags;
    private boolean ended;

    /** From the magic number on. */
    Lzop(Bytes file) throws IOException {
        this.file = file;
        int version = take(2);
        boolean levels = version >= 0x940;
        take(levels ? 4 : 2); // versions of the library, and that it needs
        int method = take(1);
        if (method < 1 || method > 3) {
            throw new IOException("method " + method);
        }
        take(levels ? 1 : 0);
        this.flags = take(4);
        pass((flags & FILTER) != 0 ? 4 : 0);
        pass(levels ? 12 : 8); // mode and time
        pass(take(1) + 4); // name, and the header's checksum
        if ((flags & EXTRA_FIELD) != 0) {
            pass(Integer.toUnsignedLong(take(4)) + 4);
        }
    }

    private void pass(long count) throws IOException {
        if (count > file.size() - at) {
            throw new IOException("cut off");
        }
        at += (int) count;
    }

    private int take(int size) throws IOException {
        int from = at;
        pass(size);
        int value = 0;
        for (int i = from; i < at; i++) {
            value = value << 8 | file.get(i) & 0xff;
        }
        return value;
    }

    private static int each(boolean adler, boolean crc) {
        return (adler ? 4 : 0) + (crc ? 4 : 0);
    }

    @Override
    byte[] next() throws IOException {
        int size = ended ? 0 : take(4);
        if (size == 0) {
            ended = true;
            return new byte[0];
        }
        int packed = take(4);
        if (size < 0 || size > LARGEST_BLOCK || packed <= 0 || packed > size) {
            throw new IOException(
                    "a block of "
                            + Integer.toUnsignedString(size)
                            + " bytes, packed "
                            + Integer.toUnsignedString(packed));
        }
        pass(each((flags & ADLER_UNPACKED) != 0, (flags & CRC_UNPACKED) != 0));
        if (packed < size) {
            pass(each((flags & ADLER_PACKED) != 0, (flags & CRC_PACKED) != 0));
        }
        int from = at;
        pass(packed);
        Bytes block = file.slice(from, packed);
        return packed == size ? block.toByteArray() : Lzo1x.unpack(block, size);
    }

    /** {@return whether the numbers are those of a header} */
    static boolean isHeader(Bytes file, int offset) {
        return file.size() - offset > MAGIC + 2
                && file.unsignedShort(offset + MAGIC, BIG) >= 0x900
                && file.unsignedShort(offset + MAGIC, BIG) < 0x2000;
    }
}

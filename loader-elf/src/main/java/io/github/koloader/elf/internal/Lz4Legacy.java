package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorInputStream;

/**
 * The older framing of LZ4, which kernels are packed in: blocks of 8 MiB that are independent of
 * each other, each after its packed size, without an end mark. The last one is told by being
 * shorter, or by what follows it not being the size of a block.
 *
 * @kernel lib/decompress_unlz4.c
 */
final class Lz4Legacy extends BlockStream {
    private static final int HEADER = 4;
    private static final int BLOCK = 8 << 20;
    private static final int LARGEST = BLOCK + BLOCK / 255 + 16;

    private final Bytes file;
    private int at;
    private boolean last;

    /** From the magic number on. */
    Lz4Legacy(Bytes file) {
        this.file = file;
        this.at = HEADER;
    }

    @Override
    byte[] next() throws IOException {
        int size = last || file.size() - at < 4 ? 0 : file.readInt(at, Encoding.ELF32_LSB);
        if (size <= 0 || size > LARGEST || size > file.size() - at - 4) {
            if (at == HEADER) {
                throw new IOException("the first block is cut off");
            }
            return new byte[0];
        }
        byte[] block = unpack(file.slice(at + 4, size));
        at += 4 + size;
        last = block.length < BLOCK;
        return block;
    }

    private static byte[] unpack(Bytes packed) throws IOException {
        try (InputStream in =
                new BlockLZ4CompressorInputStream(new ByteArrayInputStream(packed.toByteArray()))) {
            byte[] block = in.readNBytes(BLOCK + 1);
            if (block.length > BLOCK) {
                throw new IOException("a block of more than " + BLOCK + " bytes");
            }
            return block;
        } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
            throw new IOException(e.getMessage(), e);
        }
    }
}

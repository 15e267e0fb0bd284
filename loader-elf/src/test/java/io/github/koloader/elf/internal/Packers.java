package io.github.koloader.elf.internal;

import com.github.luben.zstd.Zstd;
import io.airlift.compress.lzo.LzoCompressor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorOutputStream;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorOutputStream;
import org.tukaani.xz.FilterOptions;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.LZMAOutputStream;
import org.tukaani.xz.X86Options;
import org.tukaani.xz.XZ;
import org.tukaani.xz.XZOutputStream;

/** Packs as a kernel's makefiles do. */
final class Packers {
    private static final int LZO_BLOCK = 256 << 10;
    private static final int LZ4_BLOCK = 8 << 20;

    private Packers() {}

    static byte[] pack(Packing packing, byte[] bytes) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            switch (packing) {
                case GZIP -> write(new GZIPOutputStream(out), bytes);
                case XZ ->
                        write(
                                new XZOutputStream(
                                        out,
                                        new FilterOptions[] {new X86Options(), new LZMA2Options(0)},
                                        XZ.CHECK_CRC32),
                                bytes);
                case ZSTD -> out.writeBytes(Zstd.compress(bytes));
                case BZIP2 -> write(new BZip2CompressorOutputStream(out), bytes);
                case LZMA -> write(new LZMAOutputStream(out, new LZMA2Options(0), -1), bytes);
                case LZ4 -> lz4(out, bytes);
                case LZO -> lzo(out, bytes);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    /** With what most kernels have behind it: the size that it unpacks to. */
    static byte[] packWithSize(Packing packing, byte[] bytes) {
        byte[] packed = pack(packing, bytes);
        return packing == Packing.GZIP
                ? packed
                : ByteBuffer.allocate(packed.length + 4)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .put(packed)
                        .putInt(bytes.length)
                        .array();
    }

    private static void write(OutputStream out, byte[] bytes) throws IOException {
        try (out) {
            out.write(bytes);
        }
    }

    private static byte[] number(ByteOrder order, int value) {
        return ByteBuffer.allocate(4).order(order).putInt(value).array();
    }

    private static void lz4(ByteArrayOutputStream out, byte[] bytes) throws IOException {
        out.writeBytes(number(ByteOrder.LITTLE_ENDIAN, 0x184c2102));
        for (int at = 0; at < bytes.length; at += LZ4_BLOCK) {
            ByteArrayOutputStream block = new ByteArrayOutputStream();
            write(
                    new BlockLZ4CompressorOutputStream(block),
                    Arrays.copyOfRange(bytes, at, Math.min(bytes.length, at + LZ4_BLOCK)));
            out.writeBytes(number(ByteOrder.LITTLE_ENDIAN, block.size()));
            out.writeBytes(block.toByteArray());
        }
    }

    /** {@code lzop -9}: version 1.04, checksums of what was packed. */
    private static void lzo(ByteArrayOutputStream out, byte[] bytes) {
        out.writeBytes(new byte[] {(byte) 0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a, 0x0a});
        out.writeBytes(new byte[] {0x10, 0x40, 0x20, (byte) 0xa0, 0x09, 0x40, 3, 9});
        out.writeBytes(number(ByteOrder.BIG_ENDIAN, 1)); // Adler-32 of each unpacked block
        out.writeBytes(new byte[12]);
        out.write(4);
        out.writeBytes(new byte[] {'n', 'a', 'm', 'e'});
        out.writeBytes(new byte[4]);
        LzoCompressor compressor = new LzoCompressor();
        for (int at = 0; at < bytes.length; at += LZO_BLOCK) {
            int size = Math.min(LZO_BLOCK, bytes.length - at);
            byte[] block = new byte[compressor.maxCompressedLength(size)];
            int packed = compressor.compress(bytes, at, size, block, 0, block.length);
            boolean stored = packed >= size;
            out.writeBytes(number(ByteOrder.BIG_ENDIAN, size));
            out.writeBytes(number(ByteOrder.BIG_ENDIAN, stored ? size : packed));
            out.writeBytes(new byte[4]);
            if (stored) {
                out.write(bytes, at, size);
            } else {
                out.write(block, 0, packed);
            }
        }
        out.writeBytes(new byte[4]);
    }
}

package io.github.koloader.elf.internal;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdException;
import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import io.github.koloader.image.Bytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.zip.GZIPInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.SingleXZInputStream;

/** How boot files and modules are packed, told by the first bytes. */
enum Packing {
    GZIP(0x1f, 0x8b, 8),
    XZ(0xfd, '7', 'z', 'X', 'Z', 0),
    ZSTD(0x28, 0xb5, 0x2f, 0xfd),
    LZMA(0x5d, 0, 0);

    /** What a dictionary may take: kernels are packed with 32 or 128 MiB. */
    private static final int MEMORY_KIB = 1 << 18;

    private final byte[] magic;

    Packing(int... magic) {
        this.magic = new byte[magic.length];
        for (int i = 0; i < magic.length; i++) {
            this.magic[i] = (byte) magic[i];
        }
    }

    /** Whether something packed so may begin there. */
    boolean beginsAt(Bytes file, int offset) {
        return file.matches(offset, magic);
    }

    /** What is packed from an offset on, going by its first bytes. */
    static Optional<Packing> at(Bytes file, int offset) {
        for (Packing packing : values()) {
            if (packing.beginsAt(file, offset)) {
                return Optional.of(packing);
            }
        }
        return Optional.empty();
    }

    /**
     * Unpacks the first stream; what follows it does not matter.
     *
     * @param limit bytes it may unpack to
     * @throws IOException if it is broken, or beyond the limit
     */
    Bytes unpack(Bytes packed, int limit) throws IOException {
        ByteArrayOutputStream unpacked = new ByteArrayOutputStream(packed.size());
        try (InputStream in = open(packed)) {
            byte[] part = new byte[1 << 16];
            for (int count; (count = in.read(part)) >= 0; ) {
                if (count > limit - unpacked.size()) {
                    throw new IOException("unpacks to more than " + limit + " bytes");
                }
                unpacked.write(part, 0, count);
            }
        } catch (OutOfMemoryError e) {
            throw new IOException("too large to be unpacked here", e);
        }
        return Bytes.wrap(unpacked.toByteArray());
    }

    private InputStream open(Bytes packed) throws IOException {
        byte[] array = packed.toByteArray();
        InputStream in =
                new ByteArrayInputStream(array, 0, this == ZSTD ? frame(array) : array.length);
        return switch (this) {
            case GZIP -> new GZIPInputStream(in, 1 << 16);
            case XZ -> new SingleXZInputStream(in, MEMORY_KIB);
            case ZSTD -> new ZstdInputStreamNoFinalizer(in);
            case LZMA -> new LZMAInputStream(in, MEMORY_KIB);
        };
    }

    /** Bytes of the first frame: its decoder would take what follows for another. */
    private static int frame(byte[] packed) throws IOException {
        try {
            return (int) Zstd.findFrameCompressedSize(packed);
        } catch (ZstdException e) {
            throw new IOException(e.getMessage(), e);
        }
    }
}

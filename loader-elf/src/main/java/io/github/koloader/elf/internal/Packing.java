package io.github.koloader.elf.internal;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdException;
import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import com.google.common.primitives.ImmutableIntArray;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.SingleXZInputStream;

/** How kernels and modules are packed, told by the first bytes. */
enum Packing {
    GZIP(0x1f, 0x8b, 8),
    XZ(0xfd, '7', 'z', 'X', 'Z', 0),
    ZSTD(0x28, 0xb5, 0x2f, 0xfd),
    LZ4(0x02, 0x21, 0x4c, 0x18),
    LZO(0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a, 0x0a),
    BZIP2('B', 'Z', 'h'),
    LZMA(0x5d, 0, 0);

    /** What a dictionary may take: kernels are packed with 128 MiB at most. */
    private static final int MEMORY_KIB = 1 << 18;

    private static final byte[] BZIP2_BLOCK = {0x31, 0x41, 0x59, 0x26, 0x53, 0x59};
    private static final int LZMA_HEADER = 13;
    private static final int SMALLEST_DICTIONARY = 1 << 12;

    private final ImmutableIntArray magic;

    Packing(int... magic) {
        this.magic = ImmutableIntArray.copyOf(magic);
    }

    /** Whether something that is packed so may begin there. */
    boolean beginsAt(Bytes file, int offset) {
        return hasMagic(file, offset)
                && switch (this) {
                    case GZIP, XZ, ZSTD, LZ4 -> true;
                    case LZO -> Lzop.isHeader(file, offset);
                    case BZIP2 -> file.matches(offset + 4, BZIP2_BLOCK);
                    case LZMA -> isLzma(file, offset);
                };
    }

    private boolean hasMagic(Bytes file, int offset) {
        if (offset < 0 || magic.length() > file.size() - offset) {
            return false;
        }
        for (int i = 0; i < magic.length(); i++) {
            if ((file.get(offset + i) & 0xff) != magic.get(i)) {
                return false;
            }
        }
        return true;
    }

    /** Its magic is short: the dictionary is a power of two, the size unknown or that of a file. */
    private static boolean isLzma(Bytes file, int offset) {
        if (offset > file.size() - LZMA_HEADER) {
            return false;
        }
        int dictionary = file.readInt(offset + 1, Encoding.ELF64_LSB);
        long size = file.readLong(offset + 5, Encoding.ELF64_LSB);
        return dictionary >= SMALLEST_DICTIONARY
                && Integer.bitCount(dictionary) == 1
                && (size == -1 || size > 0 && size <= Integer.MAX_VALUE);
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

    /** Whether its decoder needs memory for what was unpacked before. */
    boolean hasDictionary() {
        return this == XZ || this == LZMA;
    }

    /** {@return whether a magic number begins with that byte} */
    static boolean beginsWith(byte first) {
        return switch (first) {
            case 0x1f, (byte) 0xfd, 0x28, 0x02, (byte) 0x89, 'B', 0x5d -> true;
            default -> false;
        };
    }

    /**
     * Unpacks one stream; what follows it does not matter.
     *
     * @param packed from its first byte on
     * @param limit bytes it may unpack to
     * @throws IOException if it is broken, or beyond the limit
     */
    Bytes unpack(Bytes packed, int limit) throws IOException {
        return unpack(packed, limit, count -> {});
    }

    /**
     * Unpacks one stream, and says how many bytes it has become after each part of it.
     *
     * @param done takes the size of each part
     */
    Bytes unpack(Bytes packed, int limit, IntConsumer done) throws IOException {
        try (InputStream in = open(packed)) {
            ByteArrayOutputStream unpacked = new ByteArrayOutputStream(1 << 20);
            byte[] part = new byte[1 << 16];
            for (int count; (count = in.read(part)) >= 0; ) {
                done.accept(count);
                if (count > limit - unpacked.size()) {
                    throw new IOException("unpacks to more than " + limit + " bytes");
                }
                unpacked.write(part, 0, count);
            }
            if (unpacked.size() == 0) {
                throw new IOException("unpacks to nothing");
            }
            return Bytes.wrap(unpacked.toByteArray());
        } catch (IOException e) {
            String reason = e.getMessage() == null ? "broken or cut off" : e.getMessage();
            throw new IOException(name().toLowerCase(Locale.ROOT) + ": " + reason, e);
        } catch (OutOfMemoryError e) {
            throw new IOException("too large to be unpacked here", e);
        }
    }

    /**
     * Opens one stream. Only for gzip may what follows it be taken for more.
     *
     * @param packed from its first byte on
     */
    InputStream open(Bytes packed) throws IOException {
        if (this == LZ4) {
            return new Lz4Legacy(packed);
        }
        if (this == LZO) {
            return new Lzop(packed);
        }
        InputStream in = new BytesStream(this == ZSTD ? frame(packed) : packed);
        return switch (this) {
            case GZIP -> new GZIPInputStream(in, 1 << 16);
            case XZ -> new SingleXZInputStream(in, MEMORY_KIB);
            case ZSTD -> new ZstdInputStreamNoFinalizer(in);
            case BZIP2 -> new BZip2CompressorInputStream(in);
            default -> new LZMAInputStream(in, MEMORY_KIB);
        };
    }

    /** The first frame: its decoder would take what follows for another. */
    private static Bytes frame(Bytes packed) {
        if (packed.isEmpty()) {
            return packed;
        }
        try {
            return packed.slice(0, (int) Zstd.findFrameCompressedSize(packed.toByteArray()));
        } catch (ZstdException e) { // the decoder will say what is wrong, if it gets there
            return packed;
        }
    }
}

package io.github.koloader.elf.internal;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import io.github.koloader.image.Bytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.GZIPInputStream;
import org.tukaani.xz.XZInputStream;

/** Unpacks gzip, xz and zstd, told by their first bytes, up to a limit. */
public final class Decompressor {
    /** What a dictionary may take: that of {@code xz -9}, with room. */
    private static final int XZ_MEMORY_KIB = 96 * 1024;

    private Decompressor() {}

    /**
     * The bytes of a file, unpacked if they are packed.
     *
     * @param limit how many bytes it may unpack to
     * @throws io.github.koloader.LoadException EINVAL if it cannot be unpacked, EFBIG beyond the
     *     limit
     */
    public static Bytes unpack(Bytes file, long limit) {
        if (Packing.GZIP.beginsAt(file, 0)) {
            return unpack("gzip", file, limit);
        }
        if (Packing.XZ.beginsAt(file, 0)) {
            return unpack("xz", file, limit);
        }
        if (Packing.ZSTD.beginsAt(file, 0)) {
            return unpack("zstd", file, limit);
        }
        if (file.size() > limit) {
            throw ElfFailures.tooLarge(limit);
        }
        return file;
    }

    private static Bytes unpack(String format, Bytes file, long limit) {
        try (InputStream packed = open(format, new ByteArrayInputStream(file.toByteArray()))) {
            ByteArrayOutputStream unpacked =
                    new ByteArrayOutputStream(Math.max(1024, file.size() * 3));
            byte[] part = new byte[1 << 16];
            for (int read; (read = packed.read(part)) >= 0; ) {
                if (read > limit - unpacked.size()) {
                    throw ElfFailures.tooLarge(limit);
                }
                unpacked.write(part, 0, read);
            }
            return Bytes.wrap(unpacked.toByteArray());
        } catch (OutOfMemoryError e) {
            throw ElfFailures.noMemory(file.size()).causedBy(e);
        } catch (IOException | StackOverflowError e) { // the latter of very many empty gzip members
            throw ElfFailures.corrupt(format, e.getMessage() == null ? "truncated" : e.getMessage())
                    .causedBy(e);
        }
    }

    private static InputStream open(String format, InputStream packed) throws IOException {
        return switch (format) {
            case "gzip" -> new GZIPInputStream(packed, 1 << 16);
            case "xz" -> new XZInputStream(packed, XZ_MEMORY_KIB);
            default -> new ZstdInputStreamNoFinalizer(packed);
        };
    }
}

package io.github.koloader.elf;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.internal.Decompressor;
import io.github.koloader.elf.internal.ElfFailures;
import io.github.koloader.elf.internal.ElfParser;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reads module files: relocatable ELF of any class, byte order and machine, plain or packed with
 * gzip, xz or zstd, which is told by content. The image is a view on the file's bytes.
 *
 * <p>A file that is no module is refused with the kernel's error and message; where Linux checks
 * nothing and would read wild memory, with ENOEXEC and the offset. A reader is immutable.
 *
 * <pre>{@code
 * ModuleImage image = KoReader.read(Path.of("hello.ko"));
 * }</pre>
 */
public final class KoReader {
    /** Bytes that a module may have by default: 256 MiB. */
    public static final long DEFAULT_LIMIT = 256L << 20;

    private static final KoReader ANY = new KoReader(null, DEFAULT_LIMIT);

    private final @Nullable Architecture expected;
    private final long limit;

    private KoReader(@Nullable Architecture expected, long limit) {
        this.expected = expected;
        this.limit = limit;
    }

    /** A reader of modules for every machine. */
    public static KoReader any() {
        return ANY;
    }

    /**
     * A reader of modules for one architecture, which goes by its class and byte order as its
     * kernel does.
     */
    public static KoReader of(Architecture architecture) {
        return new KoReader(requireNonNull(architecture), DEFAULT_LIMIT);
    }

    /** The same reader with another limit on a module's bytes, unpacked. */
    public KoReader withLimit(long bytes) {
        checkArgument(bytes >= 0 && bytes <= Integer.MAX_VALUE - 8, "limit %s", bytes);
        return new KoReader(expected, bytes);
    }

    /**
     * Reads a file.
     *
     * @throws IOException if it cannot be read
     * @throws LoadException if it is no module: ENOEXEC, EINVAL if it is empty or cannot be
     *     unpacked, EFBIG beyond the limit
     */
    public static ModuleImage read(Path file) throws IOException {
        return ANY.readImage(file);
    }

    /**
     * Reads the bytes of a file.
     *
     * @throws LoadException as {@link #read(Path)}
     */
    public static ModuleImage read(byte[] bytes) {
        return ANY.readImage(Bytes.copyOf(bytes));
    }

    /** As {@link #read(Path)}, by this reader. */
    public ModuleImage readImage(Path file) throws IOException {
        return readImage(readBytes(file));
    }

    /** As {@link #read(byte[])}, by this reader. */
    public ModuleImage readImage(Bytes bytes) {
        return ElfParser.parse(unpack(bytes), expected);
    }

    /**
     * The bytes of a file, unpacked if it is packed, and not looked at further.
     *
     * @throws IOException if it cannot be read
     * @throws LoadException EINVAL if it is empty or cannot be unpacked, EFBIG beyond the limit
     */
    public Bytes unpackedBytes(Path file) throws IOException {
        return unpack(readBytes(file));
    }

    /**
     * The architecture that an unpacked file is for; empty if it is no ELF file, or for a machine
     * not known here.
     */
    public static Optional<Architecture> architectureOf(Bytes file) {
        return ElfParser.architectureOf(file);
    }

    private Bytes unpack(Bytes bytes) {
        if (bytes.isEmpty()) {
            throw ElfFailures.empty();
        }
        return Decompressor.unpack(bytes, limit);
    }

    private Bytes readBytes(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size > limit) {
                throw ElfFailures.tooLarge(limit);
            }
            byte[] bytes = new byte[(int) size];
            ByteBuffer target = ByteBuffer.wrap(bytes);
            while (target.hasRemaining()) {
                if (channel.read(target) < 0) {
                    throw new IOException(file + " became shorter while it was read");
                }
            }
            return Bytes.wrap(bytes);
        }
    }
}

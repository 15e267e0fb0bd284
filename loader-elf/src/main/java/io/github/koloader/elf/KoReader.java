package io.github.koloader.elf;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.internal.Decompressor;
import io.github.koloader.elf.internal.ElfFailures;
import io.github.koloader.elf.internal.ElfParser;
import io.github.koloader.elf.internal.ElfRules;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.file.Path;
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

    private static final KoReader ANY = new KoReader(null, ElfRules.LINUX_6_1, DEFAULT_LIMIT);

    private final @Nullable Architecture expected;
    private final ElfRules rules;
    private final long limit;

    private KoReader(@Nullable Architecture expected, ElfRules rules, long limit) {
        this.expected = expected;
        this.rules = rules;
        this.limit = limit;
    }

    /** {@return a reader of modules for every machine, as Linux 6.1 checks them} */
    public static KoReader any() {
        return ANY;
    }

    /**
     * {@return a reader of modules for one architecture, which goes by its class and byte order as
     * its kernel does, here Linux 6.1}
     *
     * @param architecture whose modules it reads
     */
    public static KoReader of(Architecture architecture) {
        return new KoReader(requireNonNull(architecture), ElfRules.LINUX_6_1, DEFAULT_LIMIT);
    }

    /**
     * {@return a reader of modules for one architecture and kernel: versions differ in what they
     * check, in which order, and what they say}
     *
     * @param architecture whose modules it reads
     * @param config which kernel
     */
    public static KoReader of(Architecture architecture, KernelConfig config) {
        return new KoReader(requireNonNull(architecture), ElfRules.of(config), DEFAULT_LIMIT);
    }

    /**
     * {@return the same reader with another limit on a module's bytes, unpacked}
     *
     * @param bytes 0 … 2^31 − 9; more is refused with EFBIG
     */
    public KoReader withLimit(long bytes) {
        checkArgument(bytes >= 0 && bytes <= Integer.MAX_VALUE - 8, "limit %s", bytes);
        return new KoReader(expected, rules, bytes);
    }

    /**
     * Reads a file.
     *
     * @param file a module file, plain or packed
     * @return the module in it
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
     * @param bytes all bytes of a module file, plain or packed; copied
     * @return the module in them
     * @throws LoadException as {@link #read(Path)}
     */
    public static ModuleImage read(byte[] bytes) {
        return ANY.readImage(Bytes.copyOf(bytes));
    }

    /**
     * Reads a file as {@link #read(Path)} does, by this reader.
     *
     * @param file a module file, plain or packed
     * @return the module in it
     * @throws IOException if it cannot be read
     */
    public ModuleImage readImage(Path file) throws IOException {
        return readImage(readBytes(file));
    }

    /**
     * Reads bytes as {@link #read(byte[])} does, by this reader.
     *
     * @param bytes all bytes of a module file, plain or packed; shared
     * @return the module in them
     */
    public ModuleImage readImage(Bytes bytes) {
        return ElfParser.parse(unpack(bytes), expected, rules);
    }

    /** Reads unpacked bytes as a kernel does, which takes packed ones for something else. */
    ModuleImage readPlain(Bytes bytes, boolean ignoreVersions) {
        return ElfParser.parse(bytes, expected, ignoreVersions ? rules.ignoringVersions() : rules);
    }

    /**
     * {@return the bytes of a file, unpacked if it is packed, and not looked at further}
     *
     * @param file a module file, plain or packed
     * @throws IOException if it cannot be read
     * @throws LoadException EINVAL if it is empty or cannot be unpacked, EFBIG beyond the limit
     */
    public Bytes unpackedBytes(Path file) throws IOException {
        return unpack(readBytes(file));
    }

    /**
     * {@return the architecture that an unpacked file is for; empty if it is no ELF file, or for a
     * machine not known here}
     *
     * @param file all bytes of the unpacked file
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

    /**
     * Memory that files are read into, one after another: for loading many modules without making
     * an array for each. Belongs to one thread.
     */
    public static final class Buffer {
        private byte[] array = new byte[1 << 20];

        /** Makes a buffer, which grows to the largest file read into it. */
        public Buffer() {}

        private byte[] ofSize(int size) {
            if (array.length < size) {
                array = new byte[Math.max(size, (int) Math.min(2L * array.length, 1 << 28))];
            }
            return array;
        }
    }

    /**
     * Reads a file into a buffer. The image is a view on the buffer: it can be used, and loaded,
     * until the next file is read into it. A module that was loaded does not need it any more.
     *
     * @param file the file to read
     * @param buffer where its bytes go; a packed file is unpacked elsewhere
     * @return the image, valid until the buffer is used again
     * @throws IOException if it cannot be read
     * @throws LoadException as {@link #read(Path)}
     */
    public ModuleImage readImage(Path file, Buffer buffer) throws IOException {
        return readImage(FileBytes.read(file, limit, buffer::ofSize));
    }

    private Bytes readBytes(Path file) throws IOException {
        return FileBytes.read(file, limit, byte[]::new);
    }
}

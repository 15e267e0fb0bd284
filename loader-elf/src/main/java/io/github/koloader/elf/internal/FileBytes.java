package io.github.koloader.elf.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.IntFunction;

/**
 * Reads whole files, through a chunk of memory that begins on a page: an operating system copies to
 * such a place up to three times as fast as to the unaligned one that {@link FileChannel} takes for
 * an array.
 */
public final class FileBytes {
    private static final int PAGE = 4096;
    private static final int CHUNK = 32 * PAGE;
    private static final int TEXT_LIMIT = 128 << 20;

    private static final ThreadLocal<ByteBuffer> CHUNKS =
            ThreadLocal.withInitial(
                    () ->
                            ByteBuffer.allocateDirect(CHUNK + PAGE)
                                    .alignedSlice(PAGE)
                                    .limit(CHUNK)
                                    .slice());

    private FileBytes() {}

    /**
     * The text of a file that is not a module, one character a byte.
     *
     * @throws IOException if it cannot be read or is larger than 128 MiB
     */
    public static String text(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(TEXT_LIMIT);
            if (bytes.length == TEXT_LIMIT && in.read() >= 0) {
                throw new IOException(file + " has more than " + TEXT_LIMIT + " bytes");
            }
            return new String(bytes, ISO_8859_1);
        }
    }

    /** An array for a file; where this host has no memory for one, a kernel has none either. */
    static byte[] allocate(IntFunction<byte[]> arrays, int size) {
        try {
            return arrays.apply(size);
        } catch (OutOfMemoryError e) {
            throw ElfFailures.noMemory(size).causedBy(e);
        }
    }

    /**
     * Reads a file.
     *
     * @param file the file
     * @param limit bytes that it may have, at most 2^31 − 9
     * @param arrays gives an array of at least so many bytes
     */
    public static Bytes read(Path file, long limit, IntFunction<byte[]> arrays) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size > limit) {
                throw ElfFailures.tooLarge(limit);
            }
            byte[] bytes = allocate(arrays, (int) size);
            fill(bytes, (int) size, channel);
            return Bytes.wrap(bytes).slice(0, (int) size);
        }
    }

    /**
     * Reads the beginning of an open file, and leaves its position alone.
     *
     * @param size how many bytes
     * @throws IOException if it cannot be read or is shorter
     */
    public static Bytes read(FileChannel channel, int size) throws IOException {
        byte[] bytes = allocate(byte[]::new, size);
        fill(bytes, size, channel);
        return Bytes.wrap(bytes);
    }

    private static void fill(byte[] bytes, int size, FileChannel channel) throws IOException {
        ByteBuffer chunk = CHUNKS.get();
        for (int at = 0; at < size; ) {
            chunk.clear().limit(Math.min(CHUNK, size - at));
            int count = channel.read(chunk, at);
            if (count < 0) {
                throw new IOException("the file became shorter while it was read");
            }
            chunk.flip().get(bytes, at, count);
            at += count;
        }
    }
}

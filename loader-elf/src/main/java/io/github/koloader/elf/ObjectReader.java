package io.github.koloader.elf;

import io.github.koloader.LoadException;
import io.github.koloader.elf.internal.ArchiveMembers;
import io.github.koloader.elf.internal.ArchiveMembers.Member;
import io.github.koloader.elf.internal.ElfParser;
import io.github.koloader.elf.internal.ElfRules;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Reads what a kernel is linked from: relocatable objects ({@code .o}), which need not be modules,
 * and archives of them ({@code .a}), thin ones too, whose members lie beside them. What a file is,
 * is told by content.
 *
 * <pre>{@code
 * for (ObjectFile object : ObjectReader.read(Path.of("drivers/built-in.a"))) {
 *     linker.object(object.name(), object.image());
 * }
 * }</pre>
 *
 * <p>The objects of an archive may have 1 GiB together, where a file counts as 4 KiB at least, and
 * archives may lie in each other 16 deep. A thin archive names any file that its reader may read,
 * above its directory too, as with {@code ar}.
 */
public final class ObjectReader {
    private static final long TOTAL_LIMIT = 1L << 30;
    private static final int DEPTH_LIMIT = 16;

    /** What a file counts as at least: opening it takes time. */
    private static final int LEAST = 4096;

    private final List<ObjectFile> objects = new ArrayList<>();
    private final Set<Path> open = new HashSet<>();
    private long total;

    private ObjectReader() {}

    /**
     * Reads a file.
     *
     * @param file an object or an archive
     * @return the object, or those of the archive in its order; an archive may be empty
     * @throws IOException if it cannot be read, or is neither, or holds what is neither; the
     *     message names the file, and the offset in it
     */
    public static List<ObjectFile> read(Path file) throws IOException {
        ObjectReader reader = new ObjectReader();
        reader.add(file, file.toString(), 0);
        return List.copyOf(reader.objects);
    }

    /**
     * Reads the bytes of an object.
     *
     * @param name what it is called
     * @param bytes all of its bytes; shared
     * @return the object
     * @throws IOException if they are no relocatable object
     */
    public static ObjectFile read(String name, Bytes bytes) throws IOException {
        return new ObjectFile(name, parse(name, bytes));
    }

    private void add(Path file, String name, int depth) throws IOException {
        Path real = file.toAbsolutePath().normalize();
        if (depth > DEPTH_LIMIT || !open.add(real)) {
            throw new IOException(name + ": archives lie in each other without end");
        }
        add(file, name, bytesOf(file, name), depth);
        open.remove(real);
    }

    private void add(Path file, String name, Bytes bytes, int depth) throws IOException {
        if (!ArchiveMembers.isArchive(bytes)) {
            objects.add(read(name, bytes));
            return;
        }
        if (depth >= DEPTH_LIMIT) {
            throw new IOException(name + ": archives lie in each other without end");
        }
        for (Member member : ArchiveMembers.read(name, bytes)) {
            if (member.contents() == null) {
                Path beside = beside(file, name, member);
                if (Files.exists(beside) && !Files.isRegularFile(beside)) {
                    throw new IOException(beside + ": a member of " + name + ", and no file");
                }
                add(beside, beside.toString(), depth + 1);
            } else {
                count(member.contents().size(), name);
                String title = name + "(" + member.name() + ")";
                add(file, title, member.contents(), depth + 1);
            }
        }
    }

    private static Path beside(Path file, String name, Member member) throws IOException {
        try {
            return file.resolveSibling(member.name());
        } catch (java.nio.file.InvalidPathException e) {
            throw new IOException(
                    "%s: the member at offset 0x%x has no name that a file could have"
                            .formatted(name, member.offset()),
                    e);
        }
    }

    private Bytes bytesOf(Path file, String name) throws IOException {
        try {
            Bytes bytes = FileBytes.read(file, KoReader.DEFAULT_LIMIT, byte[]::new);
            count(Math.max(bytes.size(), LEAST), name);
            return bytes;
        } catch (LoadException e) {
            throw new IOException(name + ": " + e.getMessage(), e);
        }
    }

    private void count(long size, String name) throws IOException {
        total += size;
        if (total > TOTAL_LIMIT) {
            throw new IOException(name + ": the objects have more than " + TOTAL_LIMIT + " bytes");
        }
    }

    private static ModuleImage parse(String name, Bytes bytes) throws IOException {
        if (bytes.matches(0, new byte[] {'B', 'C', (byte) 0xc0, (byte) 0xde})) {
            throw new IOException(name + ": is LLVM bitcode, which has to be compiled first");
        }
        try {
            return ElfParser.parse(bytes, null, ElfRules.LINUX_6_1);
        } catch (LoadException e) {
            throw new IOException(name + ": is no relocatable object: " + e.getMessage(), e);
        }
    }
}

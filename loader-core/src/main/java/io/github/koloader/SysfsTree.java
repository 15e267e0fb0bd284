package io.github.koloader;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The files of {@code /sys/module}: a view, always of what is now. Belongs to its kernel's thread.
 *
 * <p>Paths are relative to {@code /sys/module}, separated by slashes, such as {@code
 * hello/sections/.text}; the empty path is {@code /sys/module} itself. Names are one character a
 * byte.
 *
 * <pre>{@code
 * SysfsTree sysfs = kernel.sysModule();
 * sysfs.text("hello/initstate");            // "live\n"
 * sysfs.list("hello/sections");             // .text, .data, ...
 * sysfs.copyTo(Path.of("/tmp/module"));
 * }</pre>
 *
 * @kernel kernel/module/sysfs.c; kernel/params.c
 */
public interface SysfsTree {
    /** What an entry is. */
    enum Kind {
        /** A directory. */
        DIRECTORY,
        /** A file. */
        FILE,
        /** A symbolic link. */
        LINK
    }

    /**
     * What {@code stat} says about an entry; a link is not followed.
     *
     * @param path its path
     * @param kind what it is
     * @param permissions the nine bits for reading, writing and execution, such as {@code 0444}
     * @param size bytes, as {@code stat} has them: 0 for directories and links, a page for most
     *     files, whatever they hold
     */
    record Entry(String path, Kind kind, int permissions, long size) {
        /** {@return its name: what follows the last slash} */
        public String name() {
            return path.substring(path.lastIndexOf('/') + 1);
        }

        /** {@return its {@code st_mode}: kind and permissions, such as {@code 0100444}} */
        public int mode() {
            int type =
                    switch (kind) {
                        case DIRECTORY -> 0040000;
                        case FILE -> 0100000;
                        case LINK -> 0120000;
                    };
            return type | permissions;
        }
    }

    /**
     * {@return the entry of that path, a link as the link that it is; empty if there is none}
     *
     * @param path where it is
     */
    Optional<Entry> entry(String path);

    /**
     * {@return the entries of a directory, those made first first}
     *
     * @param path where the directory is
     * @throws LoadException ENOENT if it does not exist, ENOTDIR if it is a file
     */
    List<Entry> list(String path);

    /**
     * {@return what is in a file}
     *
     * @param path where it is
     * @throws LoadException ENOENT if it does not exist, EISDIR if it is a directory, EACCES if it
     *     may not be read; of a parameter also what its getter answers, and EPERM if it has none
     */
    Bytes read(String path);

    /**
     * {@return what is in a file, one character a byte}
     *
     * @param path where it is
     * @throws LoadException as {@link #read}
     */
    default String text(String path) {
        return read(path).toLatin1();
    }

    /**
     * {@return where a link leads, such as {@code ../../hello}}
     *
     * @param path where the link is
     * @throws LoadException ENOENT if it does not exist, EINVAL if it is no link
     */
    String target(String path);

    /**
     * Writes the tree out, so that other programs can read it. What cannot be read becomes an empty
     * file. Permissions are kept where the file system has such. A name that no file can have
     * ({@code .}, {@code ..}, the empty one, or one with a slash) is written with {@code !} in the
     * place of dots and slashes.
     *
     * @param directory what becomes {@code /sys/module}; made if it is not there
     * @throws IOException if a file cannot be written, or is there already
     */
    default void copyTo(Path directory) throws IOException {
        Files.createDirectories(directory);
        copy("", directory);
    }

    private void copy(String path, Path directory) throws IOException {
        for (Entry entry : list(path)) {
            // a name may hold slashes, so it is what follows the directory's path
            String name = path.isEmpty() ? entry.path() : entry.path().substring(path.length() + 1);
            Path file = directory.resolve(fileName(name));
            switch (entry.kind()) {
                case DIRECTORY -> {
                    Files.createDirectory(file);
                    copy(entry.path(), file);
                }
                case LINK -> Files.createSymbolicLink(file, Path.of(target(entry.path())));
                case FILE -> {
                    Files.createFile(file);
                    Files.write(file, contentsOrNothing(entry.path()));
                    setPermissions(file, entry.permissions());
                }
            }
        }
    }

    private byte[] contentsOrNothing(String path) {
        try {
            return read(path).toByteArray();
        } catch (LoadException e) { // as promised: a file that cannot be read is empty
            return new byte[0];
        }
    }

    private static String fileName(String name) throws IOException {
        String safe = name.replace('/', '!');
        if (safe.isEmpty()) {
            safe = "!";
        } else if (safe.equals(".") || safe.equals("..")) {
            safe = safe.replace('.', '!');
        }
        try {
            return Path.of(safe).toString();
        } catch (InvalidPathException e) {
            throw new IOException("no name for a file here: " + name, e);
        }
    }

    private static void setPermissions(Path file, int permissions) throws IOException {
        if (!file.getFileSystem().supportedFileAttributeViews().contains("posix")) {
            return;
        }
        PosixFilePermission[] bits = PosixFilePermission.values(); // OWNER_READ is 0400, and so on
        Set<PosixFilePermission> set = EnumSet.noneOf(PosixFilePermission.class);
        for (int i = 0; i < bits.length; i++) {
            if ((permissions & 0400 >> i) != 0) {
                set.add(bits[i]);
            }
        }
        Files.setPosixFilePermissions(file, set);
    }
}

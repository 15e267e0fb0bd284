package io.github.koloader.testkit;

import static java.util.Locale.ROOT;

import io.github.koloader.LoadException;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * Finds the module files that recordings name, and makes sure by their SHA-256 that they are the
 * ones that were loaded: below release directories ({@code lib/modules/RELEASE}), also packed; and
 * in zip files {@code own-*.zip} beside the recording.
 */
final class ModuleFiles {
    private static final List<String> SUFFIXES = List.of("", ".xz", ".zst", ".gz");

    private final List<Path> directories;
    private final Map<Path, Map<String, List<Bytes>>> zips = new LinkedHashMap<>();

    ModuleFiles(List<Path> directories) {
        this.directories = List.copyOf(directories);
    }

    /**
     * The bytes of a module file, unpacked.
     *
     * @param recording the file that names it
     * @param release the release it belongs to
     * @param path relative to the release directory, or {@code own/X.ko}
     * @param sha256 of its bytes
     * @return empty if there is no such file with that sum
     */
    Optional<Bytes> find(Path recording, String release, String path, String sha256)
            throws IOException {
        for (Path directory : directories) {
            for (Path base :
                    List.of(
                            directory,
                            directory.resolve(release),
                            directory.resolve("lib/modules").resolve(release))) {
                for (String suffix : SUFFIXES) {
                    Optional<Bytes> bytes = read(base.resolve(path + suffix));
                    if (bytes.isPresent() && sha256(bytes.get()).equals(sha256)) {
                        return bytes;
                    }
                }
            }
        }
        String name = path.substring(path.lastIndexOf('/') + 1);
        for (Bytes bytes :
                zipped(recording.toAbsolutePath().resolveSibling(""))
                        .getOrDefault(name, List.of())) {
            if (sha256(bytes).equals(sha256)) {
                return Optional.of(bytes);
            }
        }
        return Optional.empty();
    }

    private static Optional<Bytes> read(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try {
            return Optional.of(KoReader.any().unpackedBytes(file));
        } catch (LoadException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    private Map<String, List<Bytes>> zipped(Path directory) throws IOException {
        Map<String, List<Bytes>> known = zips.get(directory);
        if (known != null) {
            return known;
        }
        Map<String, List<Bytes>> found = new LinkedHashMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "own-*.zip")) {
            for (Path file : files) {
                readZip(file, found);
            }
        }
        zips.put(directory, found);
        return found;
    }

    private static void readZip(Path file, Map<String, List<Bytes>> found) throws IOException {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            for (ZipEntry entry :
                    (Iterable<ZipEntry>) zip.stream().map(ZipEntry.class::cast)::iterator) {
                String name = entry.getName().substring(entry.getName().lastIndexOf('/') + 1);
                if (!entry.isDirectory() && name.toLowerCase(ROOT).endsWith(".ko")) {
                    try (InputStream in = zip.getInputStream(entry)) {
                        found.computeIfAbsent(name, key -> new ArrayList<>())
                                .add(Bytes.wrap(in.readAllBytes()));
                    }
                }
            }
        }
    }

    /** The SHA-256 of some bytes, in lower-case hexadecimal. */
    static String sha256(Bytes bytes) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.toByteArray()));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}

package io.github.koloader.testkit;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Files for calls that take one, in a directory that is removed afterwards. */
final class SystemCallFiles implements AutoCloseable {
    private @Nullable Path directory;
    private int count;

    /** A new file with these bytes. */
    Path file(Bytes contents) throws IOException {
        Path file = directory().resolve(count++ + ".ko");
        Files.write(file, contents.toByteArray());
        return file;
    }

    /** A directory. */
    Path directory() throws IOException {
        Path current = directory;
        if (current == null) {
            current = Files.createTempDirectory("koloader-replay");
            directory = current;
        }
        return current;
    }

    @Override
    public void close() throws IOException {
        Path current = directory;
        if (current != null) {
            try (Stream<Path> files = Files.walk(current)) {
                List<Path> all = files.sorted(Comparator.reverseOrder()).toList();
                for (Path file : all) {
                    Files.delete(file);
                }
            }
        }
    }
}

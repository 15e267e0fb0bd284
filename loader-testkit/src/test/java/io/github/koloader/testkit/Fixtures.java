package io.github.koloader.testkit;

import java.nio.file.Files;
import java.nio.file.Path;

/** The modules that lie among the test resources of loader-elf, with their sources. */
final class Fixtures {
    private Fixtures() {}

    /** A fixture's file, such as {@code x86_64/hello.ko}. */
    static Path ko(String name) {
        Path file = Path.of("../loader-elf/src/test/resources/ko").resolve(name);
        if (!Files.isRegularFile(file)) {
            throw new AssertionError("no fixture " + file.toAbsolutePath());
        }
        return file;
    }

    /** A test resource of this module. */
    static Path resource(String name) {
        return Path.of("src/test/resources").resolve(name);
    }
}

package io.github.koloader.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;
import java.nio.file.Path;

/** One run of the command: its exit status and what it wrote, one character a byte. */
record Run(int status, String out, String err) {
    private static final Path RESOURCES = Path.of("../loader-elf/src/test/resources");

    static Run of(String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int status = Main.run(out, err, arguments);
        return new Run(status, out.toString(ISO_8859_1), err.toString(ISO_8859_1));
    }

    /** The name of a fixture for Linux 6.1 on x86-64. */
    static String ko(String name) {
        return RESOURCES.resolve("ko/x86_64").resolve(name).toString();
    }

    /** The name of the System.map of a mini kernel. */
    static String map(String kernel) {
        return RESOURCES.resolve("system-map").resolve(kernel + ".map").toString();
    }

    /** The name of a mini kernel. */
    static String vmlinux(String kernel) {
        return RESOURCES.resolve("vmlinux-mini").resolve(kernel + ".elf").toString();
    }

    /** The name of a file with what kmod prints. */
    static Path kmod(String name) {
        return RESOURCES.resolve("modinfo").resolve(name);
    }
}

package io.github.koloader.examples;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;

/** What an example prints. */
final class Output {
    /** An example's main method. */
    @FunctionalInterface
    interface Main {
        void run(String... args) throws IOException;
    }

    private Output() {}

    /** Runs an example with fixtures as its arguments. */
    static String of(Main main, String... fixtures) throws IOException {
        String[] paths = new String[fixtures.length];
        for (int i = 0; i < paths.length; i++) {
            paths[i] =
                    Path.of("..", "loader-elf/src/test/resources/ko/x86_64", fixtures[i])
                            .toString();
        }
        PrintStream before = System.out;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (PrintStream out = new PrintStream(bytes, true, UTF_8)) {
            System.setOut(out);
            main.run(paths);
        } finally {
            System.setOut(before);
        }
        return bytes.toString(UTF_8);
    }
}

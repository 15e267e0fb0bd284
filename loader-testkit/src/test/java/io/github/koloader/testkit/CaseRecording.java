package io.github.koloader.testkit;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Makes recordings of system calls and of sysfs out of our own modules, as there are none of real
 * kernels with modules whose sources we have: what a test expects is written in the test.
 */
final class CaseRecording {
    private final Path directory;
    private final String architecture;
    private final String fixtures;
    private final JsonArray steps = new JsonArray();

    /**
     * A recording in a directory, with the architecture's hello.ko beside it in {@code own-*.zip}.
     */
    CaseRecording(Path directory, String architecture, String fixtures) throws IOException {
        this.directory = directory;
        this.architecture = architecture;
        this.fixtures = fixtures;
        zip("own-test.zip", List.of(file("hello.ko")));
    }

    Path file(String name) {
        return Fixtures.ko(fixtures + "/" + name);
    }

    String release() {
        return KoReader.any()
                .readImage(bytes(file("hello.ko")))
                .modinfo()
                .first("vermagic")
                .orElseThrow()
                .split(" ")[0];
    }

    static Bytes bytes(Path file) {
        try {
            return Bytes.wrap(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    void zip(String name, List<Path> files) throws IOException {
        try (ZipOutputStream zip =
                new ZipOutputStream(Files.newOutputStream(directory.resolve(name)))) {
            for (Path file : files) {
                zip.putNextEntry(new ZipEntry(String.valueOf(file.getFileName())));
                zip.write(Files.readAllBytes(file));
                zip.closeEntry();
            }
        }
    }

    /** A step out of JSON text with single quotes. */
    CaseRecording step(String json) {
        steps.add(JsonParser.parseString(json.replace('\'', '"')));
        return this;
    }

    /** A step that loads a fixture. */
    CaseRecording load(String operation, String name, int errno, String dmesg) {
        JsonObject step = new JsonObject();
        step.addProperty("op", operation);
        step.addProperty("file", name);
        step.addProperty("sha256", ModuleFiles.sha256(bytes(file(name))));
        step.addProperty("params", "");
        step.add("dmesg", JsonParser.parseString(dmesg.replace('\'', '"')));
        step.addProperty("errno", errno);
        if (operation.equals("finit")) {
            step.addProperty("flags", 0);
        }
        steps.add(step);
        return this;
    }

    /** The case, with fields more or other than the usual ones. */
    JsonObject json(String more) {
        JsonObject json = new JsonObject();
        json.addProperty("kind", "errno");
        json.addProperty("arch", architecture);
        json.addProperty("release", release());
        json.addProperty("case", "test");
        json.addProperty("boot", "main");
        json.addProperty("cmdline", "");
        json.add("steps", steps.deepCopy());
        json.addProperty("taint_before", 12288);
        json.addProperty("taint_after", 12288);
        JsonParser.parseString(more.replace('\'', '"'))
                .getAsJsonObject()
                .entrySet()
                .forEach(entry -> json.add(entry.getKey(), entry.getValue()));
        return json;
    }

    /** Replays a record. */
    ReplayResult replay(JsonObject json, ReplayOptions options) throws IOException {
        Path recording = directory.resolve("errno-test.jsonl");
        Files.writeString(recording, json + "\n");
        return new Replay(options).run(recording);
    }

    /** Replays the case. */
    ReplayResult replay(String more) throws IOException {
        return replay(json(more), ReplayOptions.of(List.of()));
    }
}

package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReplayTest {
    @TempDir Path directory;

    @Test
    void everyVectorOfX86_64Passes() throws IOException {
        ReplayResult result = new Replay(List.of()).run(Fixtures.resource("vectors/x86_64.jsonl"));
        assertThat(result.differences()).isEmpty();
        assertThat(result.toString())
                .endsWith("vectors x86_64: 124 compared, 124 identical, 0 different, 0 missing");
        assertThat(result.passed()).isTrue();
    }

    @Test
    void aVectorWithAnotherResultDiffers() throws IOException {
        List<String> lines = new ArrayList<>();
        for (String line : Files.readAllLines(Fixtures.resource("vectors/x86_64.jsonl"))) {
            JsonObject json = JsonParser.parseString(line).getAsJsonObject();
            if (json.has("message")) {
                json.addProperty("message", json.get("message").getAsString() + "!");
            } else if (json.get("number").getAsInt() != 0) {
                String after = json.get("after_bytes_hex").getAsString();
                json.addProperty(
                        "after_bytes_hex",
                        (after.charAt(0) == '0' ? '1' : '0') + after.substring(1));
            } else {
                continue;
            }
            lines.add(json.toString());
        }
        Path file = Files.write(directory.resolve("changed.jsonl"), lines);
        ReplayResult result = new Replay(List.of()).run(file);
        assertThat(result.compared()).isEqualTo(lines.size()).isGreaterThan(100);
        assertThat(result.identical()).isZero();
        assertThat(result.passed()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.1.0-50-amd64", "6.12.0-amd64"})
    void aRecordedLoadReplaysIdentically(String release) throws IOException {
        Path file = record(release, "percpu.ko");
        ReplayResult result = new Replay(List.of(directory)).run(file);
        assertThat(result.differences()).isEmpty();
        assertThat(result.toString())
                .endsWith("reloc x86_64: 1 compared, 1 identical, 0 different, 0 missing");
    }

    @Test
    void aModuleWhoseFileIsAbsentIsMissingAndThatIsAFailure() throws IOException {
        Path file = record("6.1.0-50-amd64", "hello.ko");
        Files.delete(directory.resolve("own/hello.ko"));
        ReplayResult result = new Replay(List.of(directory)).run(file);
        assertThat(result.toString()).endsWith("0 compared, 0 identical, 0 different, 1 missing");
        assertThat(result.passed()).isFalse();
    }

    @Test
    void aFileWithOtherBytesIsNotTheOneThatWasLoaded() throws IOException {
        Path file = record("6.1.0-50-amd64", "hello.ko");
        Files.write(
                directory.resolve("own/hello.ko"),
                Files.readAllBytes(Fixtures.ko("x86_64/oldstyle.ko")));
        assertThat(new Replay(List.of(directory)).run(file).missing()).hasSize(1);
    }

    /** Whatever is changed in a record, the replay sees it. */
    @Test
    void everyRecordedFieldIsCompared() throws IOException {
        Map<String, Consumer<JsonObject>> changes =
                Map.ofEntries(
                        Map.entry(
                                "core size", record -> add(record.getAsJsonObject("core"), "size")),
                        Map.entry(
                                "core text size",
                                record -> add(record.getAsJsonObject("core"), "text_size")),
                        Map.entry(
                                "core read-only size",
                                record -> add(record.getAsJsonObject("core"), "ro_size")),
                        Map.entry(
                                "init size", record -> add(record.getAsJsonObject("init"), "size")),
                        Map.entry("per-CPU size", record -> add(record, "percpu_size")),
                        Map.entry("plain exports", record -> add(record, "num_syms")),
                        Map.entry("GPL-only exports", record -> add(record, "num_gpl_syms")),
                        Map.entry("init function", record -> flip(record, "init_fn")),
                        Map.entry("exit function", record -> flip(record, "exit_fn")),
                        Map.entry(
                                "kallsyms symbols",
                                record -> flip(record.getAsJsonObject("core_kallsyms"), "symtab")),
                        Map.entry(
                                "kallsyms strings",
                                record -> flip(record.getAsJsonObject("core_kallsyms"), "strtab")),
                        Map.entry(
                                "kallsyms types",
                                record -> flip(record.getAsJsonObject("core_kallsyms"), "typetab")),
                        Map.entry(
                                "kallsyms count",
                                record -> add(record.getAsJsonObject("core_kallsyms"), "num")),
                        Map.entry(
                                "kallsyms SHA-256",
                                record -> flip(record.getAsJsonObject("core_kallsyms"), "sha")),
                        Map.entry(
                                "per-CPU data of CPU 0",
                                record -> flip(record.getAsJsonObject("percpu_cpu0"), "sha")),
                        Map.entry(
                                "section", record -> record.getAsJsonArray("sections").remove(3)));
        Path file = record("6.1.0-50-amd64", "percpu.ko");
        for (Map.Entry<String, Consumer<JsonObject>> change : changes.entrySet()) {
            assertThat(differencesAfter(file, change.getValue()))
                    .as(change.getKey())
                    .isNotEmpty()
                    .anySatisfy(
                            difference ->
                                    assertThat(difference.what()).startsWith(change.getKey()));
        }
        int sections = firstRecord(file).getAsJsonArray("sections").size();
        for (int i = 0; i < sections; i++) {
            int index = i;
            for (String field : List.of("addr", "sha", "name")) {
                JsonObject section =
                        firstRecord(file).getAsJsonArray("sections").get(index).getAsJsonObject();
                boolean live = section.get("name").getAsString().equals(ModuleImage.THIS_MODULE);
                if (!live || !field.equals("sha")) {
                    assertThat(
                                    differencesAfter(
                                            file,
                                            record ->
                                                    flip(
                                                            record.getAsJsonArray("sections")
                                                                    .get(index)
                                                                    .getAsJsonObject(),
                                                            field)))
                            .as("%s of %s", field, section.get("name"))
                            .isNotEmpty();
                }
            }
        }
    }

    @Test
    void aDifferingByteIsNamedWithTheRelocationThatCoversIt() throws IOException {
        Path file = record("6.1.0-50-amd64", "hello.ko");
        Consumer<JsonObject> otherSymbol =
                record ->
                        record.getAsJsonObject("undef")
                                .addProperty("_printk", "0xffffffff81000f00");
        List<Difference> differences = differencesAfter(file, otherSymbol);
        assertThat(differences)
                .anySatisfy(
                        difference -> {
                            assertThat(difference.what())
                                    .contains(".init.text")
                                    .contains("byte 0x");
                            assertThat(difference.detail())
                                    .contains("R_X86_64_PLT32")
                                    .contains("_printk");
                        });
    }

    @Test
    void anUnknownKindIsAnError() throws IOException {
        Path file = Files.writeString(directory.resolve("x.jsonl"), "{\"kind\":\"surprise\"}\n");
        assertThatThrownBy(() -> new Replay(List.of()).run(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(":1: unknown kind of record: 'surprise'");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "nonsense",
                "[1]",
                "{\"kind\":\"module\",\"arch\":\"x86_64\"}",
                "{\"kind\":{}}"
            })
    void aMalformedLineIsAnError(String line) throws IOException {
        Path file = Files.writeString(directory.resolve("x.jsonl"), line + "\n");
        assertThatThrownBy(() -> new Replay(List.of()).run(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(":1: ");
    }

    @Test
    void anEmptyRecordingDoesNotPass() throws IOException {
        Path file = Files.writeString(directory.resolve("x.jsonl"), "");
        assertThat(new Replay(List.of()).run(file).passed()).isFalse();
    }

    // ---- helpers ----

    private Path record(String release, String name) throws IOException {
        Path ko = Fixtures.ko((release.startsWith("6.12") ? "x86_64-6.12/" : "x86_64/") + name);
        Path copy = directory.resolve("own").resolve(name);
        Files.createDirectories(copy.getParent());
        Files.write(copy, Files.readAllBytes(ko));
        Bytes file = KoReader.any().unpackedBytes(copy);
        ModuleImage image = KoReader.any().readImage(file);
        Recorder recorder = new Recorder(Architectures.X86_64, release);
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(
                                KernelConfig.forRelease(release).toBuilder()
                                        .checkVermagic(false)
                                        .build())
                        .observer(recorder)
                        .build();
        recorder.next("own/" + name, file, image);
        kernel.load(image, "");
        Path recording = directory.resolve("reloc.jsonl.gz");
        recorder.write(recording);
        return recording;
    }

    private static JsonObject firstRecord(Path recording) throws IOException {
        return Recording.read(recording).lines().get(1).json();
    }

    private List<Difference> differencesAfter(Path recording, Consumer<JsonObject> change)
            throws IOException {
        JsonObject changed = firstRecord(recording).deepCopy();
        change.accept(changed);
        Path file = Files.writeString(directory.resolve("changed.jsonl"), changed + "\n");
        ReplayResult result = new Replay(List.of(directory)).run(file);
        assertThat(result.compared()).isEqualTo(1);
        return result.differences();
    }

    private static void add(JsonObject object, String field) {
        object.addProperty(field, object.get(field).getAsLong() + 1);
    }

    /** Changes the last character of a text. */
    private static void flip(JsonObject object, String field) {
        JsonElement value = object.get(field);
        String text = value.getAsString();
        char last = text.charAt(text.length() - 1);
        object.add(
                field,
                new JsonPrimitive(
                        text.substring(0, text.length() - 1) + (last == '1' ? '2' : '1')));
    }
}

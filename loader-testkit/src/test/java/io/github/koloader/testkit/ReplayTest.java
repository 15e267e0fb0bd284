package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Address;
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
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ReplayTest {
    @TempDir Path directory;

    @ParameterizedTest
    @CsvSource({
        "x86_64, 124",
        "i386, 79",
        "arm64, 296",
        "arm, 226",
        "riscv64, 134",
        "riscv32, 111",
        "ppc64le, 113",
        "mips32, 99",
        "mips32el, 99",
        "mips64, 88",
        "mips64el, 88",
        "loongarch64, 148",
        "m68k, 68"
    })
    void everyVectorPasses(String architecture, int count) throws IOException {
        ReplayResult result =
                new Replay(List.of()).run(Fixtures.resource("vectors/" + architecture + ".jsonl"));
        assertThat(result.differences()).isEmpty();
        assertThat(result.toString())
                .endsWith(
                        "vectors %s: %d compared, %d identical, 0 different, 0 missing"
                                .formatted(architecture, count, count));
        assertThat(result.passed()).isTrue();
    }

    @Test
    void theKernelsOwnSymbolsAreThoseOfTheLineAboutTheRecording() throws IOException {
        Path file =
                Files.writeString(
                        directory.resolve("x.jsonl"),
                        "{\"kind\":\"meta\",\"syms\":{\"ftrace_caller\":\"0xc0312a38\",\"f\":\"0x0\"}}\n");
        assertThat(Recording.read(file).kernelSymbols())
                .containsExactly(
                        Map.entry("ftrace_caller", new Address(0xc0312a38L)),
                        Map.entry("f", Address.NULL));
        assertThat(Recording.read(record("6.1.0-50-amd64", "hello.ko")).kernelSymbols()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "1", "{\"f\":{}}", "{\"f\":\"here\"}", "{\"f\":[\"0x1\"]}"})
    void symbolsOfAnotherFormAreAnError(String symbols) throws IOException {
        Path file =
                Files.writeString(
                        directory.resolve("x.jsonl"),
                        "{\"kind\":\"meta\",\"syms\":" + symbols + "}\n");
        assertThatThrownBy(() -> new Replay(List.of()).run(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("syms");
    }

    /** Four vectors refuse types that the rules of the architecture, and Linux, accept. */
    @Test
    void everyVectorOfS390PassesButThoseThatContradictTheRules() throws IOException {
        ReplayResult result = new Replay(List.of()).run(Fixtures.resource("vectors/s390x.jsonl"));
        assertThat(result.differences())
                .extracting(Difference::subject)
                .containsExactly("s390x-0211", "s390x-0212", "s390x-0214", "s390x-0215");
        assertThat(result.differences())
                .extracting(Difference::found)
                .containsExactly(
                        "00001040",
                        "module vector: relocation error for symbol vector_symbol (r_type 8, value 0xfffffffffffff040)",
                        "0040",
                        "00000040");
        assertThat(result.toString())
                .endsWith("vectors s390x: 154 compared, 150 identical, 4 different, 0 missing");
    }

    @ParameterizedTest
    @CsvSource({"frob, 99", "plt, 36"})
    void everyPlanAndEveryVeneerPasses(String kind, int count) throws IOException {
        ReplayResult result =
                new Replay(List.of()).run(Fixtures.resource("vectors/" + kind + ".jsonl"));
        assertThat(result.differences()).isEmpty();
        assertThat(result.compared()).isEqualTo(count);
        assertThat(result.identical()).isEqualTo(count);
    }

    @Test
    void everyAlternativeIsAppliedAsItsVectorSays() throws IOException {
        ReplayResult result =
                new Replay(List.of()).run(Fixtures.resource("vectors/alternatives.jsonl"));
        assertThat(result.differences()).isEmpty();
        assertThat(result.toString())
                .endsWith(
                        "alternatives arm64,x86_64: 131 compared, 131 identical, 0 different, 0 missing");
        assertThat(result.passed()).isTrue();
    }

    @Test
    void anAlternativeWithAnotherResultDiffers() throws IOException {
        List<String> lines = new ArrayList<>();
        for (String line : Files.readAllLines(Fixtures.resource("vectors/alternatives.jsonl"))) {
            JsonObject json = JsonParser.parseString(line).getAsJsonObject();
            String after = json.get("after_bytes_hex").getAsString();
            json.addProperty(
                    "after_bytes_hex",
                    lines.size() % 2 == 0
                            ? (after.charAt(0) == '0' ? '1' : '0') + after.substring(1)
                            : after.substring(2)); // the last byte must have stayed
            lines.add(json.toString());
        }
        Path file = Files.write(directory.resolve("changed.jsonl"), lines);
        ReplayResult result = new Replay(List.of()).run(file);
        assertThat(result.compared()).isEqualTo(131);
        assertThat(result.identical()).isZero();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'replacement_minus_original':16",
                "'replacement_minus_original':-16777216",
                "'replacement_minus_original':1e3",
                "'inverted':3",
                "'after_bytes_hex':'9'",
                "'original_bytes_hex':{}",
                "'arch':[]"
            })
    void anAlternativeOfAnotherFormIsAnError(String fields) throws IOException {
        String complete =
                "{'kind':'alternative','arch':'x86_64','original_bytes_hex':'90','replacement_bytes_hex':'',"
                        + "'feature_present':true,'inverted':false,'after_bytes_hex':'90','replacement_minus_original':512}";
        JsonObject json = JsonParser.parseString(complete).getAsJsonObject();
        JsonParser.parseString("{" + fields + "}")
                .getAsJsonObject()
                .entrySet()
                .forEach(field -> json.add(field.getKey(), field.getValue()));
        Path file = Files.writeString(directory.resolve("x.jsonl"), json + "\n");
        assertThatThrownBy(() -> new Replay(List.of()).run(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(":1: ");
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

    @Test
    void aBranchThatALoaderWritesIsCompared() throws IOException {
        String line =
                "{\"arch\":\"x86_64\",\"kind\":\"text_gen_call\",\"place\":\"0xffffffffc0a01005\","
                        + "\"target\":\"0xffffffffc0a01100\",\"bytes_hex\":\"e8f6000000\"}\n";
        Path file =
                Files.writeString(
                        directory.resolve("x.jsonl"), line + line.replace("e8f6", "e8f7"));
        ReplayResult result = new Replay(List.of()).run(file);
        assertThat(result.toString())
                .endsWith("plt x86_64: 2 compared, 1 identical, 1 different, 0 missing");
        assertThat(result.differences()).hasSize(1);
        assertThat(result.differences().get(0).found()).isEqualTo("e8f6000000");
    }

    @Test
    void aRecordOfAMachineThatIsNotModelledDiffers() throws IOException {
        Path file =
                Files.writeString(
                        directory.resolve("x.jsonl"),
                        "{\"kind\":\"frob\",\"arch\":\"vax\",\"target_section\":1,\"sym_shndx\":[0],"
                                + "\"relocs\":[],\"expect\":{\"order\":[]}}\n");
        ReplayResult result = new Replay(List.of()).run(file);
        assertThat(result.differences()).hasSize(1);
        assertThat(result.differences().get(0).found()).isEqualTo("not modelled");
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.1.0-50-amd64", "6.12.0-amd64", "6.1.0-50-arm64", "6.12.0-arm64"})
    void aRecordedLoadReplaysIdentically(String release) throws IOException {
        Path file = record(release, "percpu.ko");
        ReplayResult result = new Replay(List.of(directory)).run(file);
        assertThat(result.differences()).isEmpty();
        assertThat(result.toString())
                .endsWith(
                        "reloc %s: 1 compared, 1 identical, 0 different, 0 missing"
                                .formatted(architectureOf(release).name()));
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
                "{\"kind\":\"sort\",\"keys\":[1]}",
                "{\"kind\":\"frob\",\"arch\":\"arm\",\"target_section\":0}",
                "{\"kind\":\"frob\",\"arch\":\"arm\",\"target_section\":2,\"sym_shndx\":[0],\"relocs\":"
                        + "[{\"offset\":0,\"type\":28,\"sym\":1}],\"expect\":{\"order\":[0]}}",
                "{\"kind\":\"frob\",\"arch\":\"arm\",\"target_section\":2,\"sym_shndx\":[0],\"relocs\":[],"
                        + "\"expect\":{\"order\":[],\"surprise\":1}}",
                "{\"kind\":\"plt_entry\",\"arch\":\"x86_64\",\"target\":\"0x0\",\"bytes_hex\":\"\"}",
                "{\"kind\":\"text_gen_call\",\"arch\":\"x86_64\",\"target\":\"0x0\",\"bytes_hex\":\"\"}",
                "{\"arch\":\"s390x\",\"number\":34,\"P\":\"0x0\",\"S\":\"0x0\",\"A\":0,\"before_bytes_hex\":\"0000\","
                        + "\"after_bytes_hex\":\"0000\",\"GOT\":\"0x1000\",\"L\":\"0x1001\"}",
                "{\"arch\":\"riscv64\",\"number\":20,\"P\":\"0x0\",\"S\":\"0x0\",\"A\":0,\"before_bytes_hex\":\"\","
                        + "\"after_bytes_hex\":\"\",\"GOT\":\"0x1008\",\"G\":\"0x1000\"}",
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
        Architecture architecture = architectureOf(release);
        String target = architecture.name() + (release.startsWith("6.12") ? "-6.12/" : "/");
        Path ko = Fixtures.ko(target + name);
        Path copy = directory.resolve("own").resolve(name);
        Files.createDirectories(copy.getParent());
        Files.write(copy, Files.readAllBytes(ko));
        Bytes file = KoReader.any().unpackedBytes(copy);
        ModuleImage image = KoReader.any().readImage(file);
        Recorder recorder = new Recorder(architecture, release);
        Kernel kernel =
                Kernel.builder(architecture)
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

    /** A release's last word is what Debian calls the architecture. */
    private static Architecture architectureOf(String release) {
        return Architectures.named(release.substring(release.lastIndexOf('-') + 1)).orElseThrow();
    }
}

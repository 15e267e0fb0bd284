package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.Module;
import io.github.koloader.SysfsTree;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The recording is made by one kernel and replayed by another, at addresses that are not the
 * replay's own: what it shows is what the first did.
 */
class SysfsReplayTest {
    @TempDir Path directory;

    private JsonObject record() throws IOException {
        CaseRecording recording = new CaseRecording(directory, "x86_64", "x86_64");
        Path file = recording.file("hello.ko");
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(KernelConfig.forRelease(recording.release()))
                        .allocator(
                                new GuardedAllocator(
                                        Architectures.X86_64,
                                        KernelConfig.forRelease(recording.release()),
                                        java.util.Optional.of(new Address(0xffffffffc1234000L))))
                        .build();
        Module module = kernel.load(KoReader.read(file), "");
        JsonObject json = new JsonObject();
        json.addProperty("kind", "sysfs");
        json.addProperty("arch", "x86_64");
        json.addProperty("release", recording.release());
        json.addProperty("module", "hello");
        json.addProperty("params", "");
        json.addProperty("sha256", ModuleFiles.sha256(CaseRecording.bytes(file)));
        JsonObject load = new JsonObject();
        load.addProperty("errno", 0);
        load.add(
                "dmesg",
                JsonParser.parseString(
                        "[[4,'hello: loading out-of-tree module taints kernel.'],[5,'hello: module verification failed:"
                                        .replace('\'', '"')
                                + " signature and/or required key missing - tainting kernel\"],[6,\"Hello World\"]]"));
        load.addProperty("proc_modules", kernel.procModules().strip());
        json.add("load", load);
        JsonObject files = new JsonObject();
        JsonObject directories = new JsonObject();
        SysfsTree tree = kernel.sysModule();
        for (String name : List.of(".", "sections", "notes")) {
            JsonArray entries = new JsonArray();
            for (SysfsTree.Entry entry : tree.list(name.equals(".") ? "hello" : "hello/" + name)) {
                JsonArray line = new JsonArray();
                line.add(entry.name());
                line.add(Integer.toOctalString(entry.mode()));
                line.add(Long.toString(entry.size()));
                entries.add(line);
                if (entry.kind() == SysfsTree.Kind.FILE && (entry.permissions() & 0444) != 0) {
                    files.addProperty(
                            (name.equals(".") ? "" : name + "/") + entry.name(),
                            tree.text(entry.path()));
                }
            }
            directories.add(name, entries);
        }
        json.add("files", files);
        json.add("dirs", directories);
        JsonObject errors = new JsonObject();
        errors.addProperty("uevent", 13);
        errors.addProperty("parameters", 2);
        json.add("errors", errors);
        JsonArray symbols = new JsonArray();
        List.of(kernel.kallsyms(module).split("\n")).forEach(symbols::add);
        json.add("kallsyms", symbols);
        json.add(
                "rm",
                JsonParser.parseString(
                        "[{\"errno\":0,\"dmesg\":[[6,\"Bye Bye World\"]]},{\"errno\":2}]"));
        return json;
    }

    private ReplayResult replay(Consumer<JsonObject> change) throws IOException {
        JsonObject json = record();
        change.accept(json);
        Path file = Files.writeString(directory.resolve("sysfs-test.jsonl"), json + "\n");
        return new Replay(List.of()).run(file);
    }

    @Test
    void theSameIsFoundAtTheRecordedAddresses() throws IOException {
        ReplayResult result = replay(json -> {});
        assertThat(result.differences()).isEmpty();
        assertThat(result.notCompared()).isEmpty();
        assertThat(result.toString())
                .endsWith("sysfs x86_64: 1 compared, 1 identical, 0 different, 0 missing");
    }

    @Test
    void everyKindOfDifferenceIsReported() throws IOException {
        assertDifference(
                json -> json.getAsJsonObject("load").addProperty("errno", 22), "load: errno");
        assertDifference(
                json ->
                        json.getAsJsonObject("load")
                                .getAsJsonArray("dmesg")
                                .get(2)
                                .getAsJsonArray()
                                .set(1, new JsonPrimitive("Hello")),
                "load: log");
        assertDifference(
                json ->
                        json.getAsJsonObject("load")
                                .addProperty(
                                        "proc_modules",
                                        json.getAsJsonObject("load")
                                                .get("proc_modules")
                                                .getAsString()
                                                .replace("(OE)", "(O)")),
                "load: /proc/modules");
        assertDifference(
                json -> json.getAsJsonObject("files").addProperty("initstate", "coming\n"),
                "file initstate");
        assertDifference(
                json -> json.getAsJsonObject("files").addProperty("nothing", "1\n"),
                "file nothing");
        assertDifference(
                json ->
                        json.getAsJsonObject("files")
                                .addProperty("sections/.strtab", "0xffffffffc1239001\n"),
                "file sections/.strtab");
        assertDifference(
                json -> json.getAsJsonObject("errors").addProperty("uevent", 2),
                "errno of reading uevent");
        assertDifference(
                json ->
                        json.getAsJsonObject("dirs")
                                .getAsJsonArray(".")
                                .get(0)
                                .getAsJsonArray()
                                .set(1, new JsonPrimitive("100400")),
                "directory ., entry");
        assertDifference(
                json -> json.getAsJsonObject("dirs").getAsJsonArray("notes").remove(0),
                "directory notes, entry");
        assertDifference(json -> json.getAsJsonArray("kallsyms").remove(0), "kallsyms line 0");
        assertDifference(
                json ->
                        json.getAsJsonArray("kallsyms")
                                .remove(json.getAsJsonArray("kallsyms").size() - 1),
                "lines of kallsyms");
        assertDifference(
                json -> json.getAsJsonArray("rm").get(0).getAsJsonObject().addProperty("errno", 11),
                "first removal: errno");
        assertDifference(
                json -> json.getAsJsonArray("rm").get(0).getAsJsonObject().remove("dmesg"),
                "first removal: log");
        assertDifference(
                json -> json.getAsJsonArray("rm").get(1).getAsJsonObject().addProperty("errno", 0),
                "second removal: errno");
    }

    private void assertDifference(Consumer<JsonObject> change, String what) throws IOException {
        ReplayResult result = replay(change);
        assertThat(result.differences())
                .as(what)
                .extracting(Difference::what)
                .anyMatch(found -> found.startsWith(what));
        assertThat(result.passed()).isFalse();
    }

    @Test
    void referencesThatOnlyCodeHoldsAreTakenAsRecordedAndNamed() throws IOException {
        ReplayResult result =
                replay(
                        json -> {
                            json.getAsJsonObject("files").addProperty("refcnt", "1\n");
                            json.add(
                                    "rm",
                                    JsonParser.parseString(
                                            "[{\"errno\":11},{\"errno\":0,\"dmesg\":[[6,\"Bye Bye World\"]]}]"));
                        });
        assertThat(result.differences()).isEmpty();
        assertThat(result.notCompared())
                .extracting(NotCompared::what)
                .containsExactly("1 of its references", "that attempt 2 to remove it succeeds");
    }

    @Test
    void aModuleThatIsNotAtHandIsMissing() throws IOException {
        ReplayResult result = replay(json -> json.addProperty("sha256", "1".repeat(64)));
        assertThat(result.missing()).hasSize(1);
        assertThat(result.compared()).isZero();
    }
}

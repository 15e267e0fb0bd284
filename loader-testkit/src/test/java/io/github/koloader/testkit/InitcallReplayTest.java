package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.koloader.LinkedKernel;
import io.github.koloader.elf.VmlinuxReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A boot of the mini kernel, as its README says that it goes. */
final class InitcallReplayTest {
    private static final Path IMAGE =
            Path.of("../loader-elf/src/test/resources/vmlinux-mini/x86_64-prel32.elf");

    /** Functions in the order of the README; drv_b_init fails. */
    private static final List<String> ORDER =
            List.of(
                    "levels_console",
                    "levels_early",
                    "levels_pure",
                    "levels_core",
                    "drv_a_core",
                    "levels_core_sync",
                    "levels_postcore",
                    "levels_postcore_sync",
                    "levels_arch",
                    "levels_arch_sync",
                    "levels_subsys",
                    "levels_subsys_sync",
                    "levels_fs",
                    "levels_fs_sync",
                    "levels_rootfs",
                    "levels_device",
                    "drv_a_init",
                    "drv_b_init",
                    "levels_device_sync",
                    "levels_late",
                    "same_name",
                    "same_name",
                    "levels_late_sync",
                    "drv_b_report");

    @TempDir Path directory;

    private final LinkedKernel linked = read();
    private final List<String> order = new ArrayList<>(ORDER);
    private final JsonArray symbols = new JsonArray();
    private final JsonArray lines = new JsonArray();
    private String commandLine = "mini=1 initcall_debug";

    private static LinkedKernel read() {
        try {
            return VmlinuxReader.read(IMAGE);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private ReplayResult replay() throws IOException {
        return replay(Optional.of(IMAGE));
    }

    private ReplayResult replay(Optional<Path> kernel) throws IOException {
        JsonObject json = new JsonObject();
        json.addProperty("kind", "initcall");
        json.addProperty("arch", "x86_64");
        json.addProperty("release", "6.1.0-mini");
        JsonObject info = new JsonObject();
        info.addProperty("/proc/cmdline", commandLine + "\n");
        json.add("info", info);
        JsonArray sequence = new JsonArray();
        boolean seen = false;
        for (String function : order) {
            String place = place(function, seen);
            seen |= function.equals("same_name");
            int returned = function.equals("drv_b_init") ? -19 : 0;
            sequence.add(event("call", place, function.equals("levels_console") ? 0 : 1));
            sequence.add(event("ret", place, returned));
        }
        sequence.addAll(lines);
        json.add("sequence", sequence);
        json.add("kallsyms", symbols);
        Path file = Files.writeString(directory.resolve("initcall.json"), json.toString());
        return new Replay(
                        new ReplayOptions(
                                List.of(), Optional.empty(), Optional.empty(), List.of(), kernel))
                .run(file);
    }

    private static JsonArray event(String kind, String text, int number) {
        JsonArray event = new JsonArray();
        event.add(kind);
        event.add(text);
        event.add(number);
        return event;
    }

    /** How {@code %pS} prints the first or the second function of a name: up to the next symbol. */
    private String place(String function, boolean second) {
        int left = second && function.equals("same_name") ? 1 : 0;
        for (int i = 0; i < linked.symbols().count(); i++) {
            if (linked.symbols().name(i).equals(function) && left-- == 0) {
                long start = linked.symbols().address(i).value();
                int next = i + 1;
                while (linked.symbols().address(next).value() == start) {
                    next++;
                }
                long size = linked.symbols().address(next).value() - start;
                return function + "+0x0/0x" + Long.toHexString(size);
            }
        }
        throw new AssertionError("no symbol " + function);
    }

    @Test
    void aBootAsTheReadmeSaysIsIdentical() throws IOException {
        symbols.add("%x T _printk".formatted(addressOf("_printk")));
        ReplayResult result = replay();
        assertThat(result.differences()).isEmpty();
        assertThat(result.passed()).isTrue();
        assertThat(result.compared()).isEqualTo(49);
        assertThat(result.identical()).isEqualTo(49);
        assertThat(result.kind()).isEqualTo("initcall");
        assertThat(result.sources()).anyMatch(source -> source.contains("x86_64-prel32.elf"));
    }

    private long addressOf(String symbol) {
        return linked.symbols().address(symbol).orElseThrow().value();
    }

    @Test
    void anotherOrderIsADifference() throws IOException {
        order.set(7, ORDER.get(8));
        order.set(8, ORDER.get(7));
        ReplayResult result = replay();
        assertThat(result.passed()).isFalse();
        assertThat(result.identical()).isEqualTo(44);
        assertThat(result.differences())
                .singleElement()
                .satisfies(
                        difference -> {
                            assertThat(difference.subject()).isEqualTo("order");
                            assertThat(difference.recorded()).contains("levels_arch+0x0");
                            assertThat(difference.found()).contains("levels_postcore_sync+0x0");
                        });
    }

    @Test
    void aCallThatWasNotRecordedIsADifferenceAndTheOthersAreNot() throws IOException {
        order.remove("levels_fs");
        ReplayResult result = replay();
        assertThat(result.differences())
                .hasSize(2)
                .allMatch(difference -> difference.subject().startsWith("levels_fs+0x0"))
                .allMatch(difference -> difference.recorded().equals("not recorded"));
        assertThat(result.identical()).isEqualTo(46);
    }

    @Test
    void aSymbolAtAnotherAddressIsADifference() throws IOException {
        symbols.add("%x T _printk".formatted(addressOf("_printk") + 16));
        symbols.add("%x T nowhere\t[module]".formatted(addressOf("_printk")));
        ReplayResult result = replay();
        assertThat(result.compared()).isEqualTo(49);
        assertThat(result.differences())
                .singleElement()
                .satisfies(difference -> assertThat(difference.subject()).isEqualTo("_printk"));
    }

    @Test
    void aKernelThatWasMovedAtBootIsComparedWhereItWasLinked() throws IOException {
        symbols.add("%x T _text".formatted(addressOf("_text") + 0x1000000));
        symbols.add("%x T _printk".formatted(addressOf("_printk") + 0x1000000));
        assertThat(replay().differences())
                .noneMatch(difference -> difference.subject().equals("_printk"));
    }

    @Test
    void linesOfTheMachineAreNamedAndThoseOfTheImageCompared() throws IOException {
        lines.add(event("log", "Freeing initrd memory: 800K", 0));
        lines.add(event("log", "Freeing unused kernel image (initmem) memory: 5K", 0));
        lines.add(event("log", "Kernel command line: mini=1", 0));
        ReplayResult result = replay();
        assertThat(result.notCompared()).hasSize(1);
        assertThat(result.differences())
                .extracting(Difference::subject)
                .containsExactly(
                        "Freeing unused kernel image (initmem) memory: 5K",
                        "Kernel command line: mini=1",
                        "Kernel command line: mini=1 initcall_debug");
    }

    @Test
    void whatIsSaidOfAModulesInitIsCompared() throws IOException {
        String line =
                "do_init_module: 'm'->init suspiciously returned 5, it should follow 0/-E "
                        + "convention\\x0ado_init_module: loading module anyway...";
        lines.add(event("log", line, 0));
        ReplayResult result = replay();
        assertThat(result.notCompared()).isEmpty();
        assertThat(result.differences()).extracting(Difference::subject).containsExactly(line);
    }

    @Test
    void aKernelThatDoesNotComeUpIsAnError() {
        commandLine = "word ".repeat(40);
        assertThatIOException()
                .isThrownBy(this::replay)
                .withMessageContaining("does not boot: Too many boot init vars at `word'");
    }

    @Test
    void withoutTheKernelNothingIsCompared() throws IOException {
        ReplayResult result = replay(Optional.empty());
        assertThat(result.missing()).containsExactly("image of the kernel 6.1.0-mini");
        assertThat(result.compared()).isZero();
        assertThat(result.passed()).isFalse();
    }

    @Test
    void aModuleOfTheRecordThatIsNotThereIsMissing() throws IOException {
        lines.add(event("call", "hello_init+0x0/0x1000 [hello]", 1));
        assertThat(replay().missing()).containsExactly("module hello");
    }

    @Test
    void aRecordOfAnotherFormIsRefused() throws IOException {
        Path file =
                Files.writeString(
                        directory.resolve("broken.json"),
                        "{\"kind\":\"initcall\",\"release\":\"6.1.0\",\"sequence\":[[\"call\",\"f\"]]}");
        assertThatIOException()
                .isThrownBy(() -> new Replay(List.of()).run(file))
                .withMessageContaining("sequence");
    }
}

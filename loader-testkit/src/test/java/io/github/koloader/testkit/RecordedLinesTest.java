package io.github.koloader.testkit;

import static io.github.koloader.Executor.Phase.EXIT;
import static io.github.koloader.Executor.Phase.INIT;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Executor.Call;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.Module;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.memory.Address;
import io.github.koloader.testkit.RecordedLines.Entry;
import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Escapes, formats, dumps, late lines, and answers for code that is not modelled. */
class RecordedLinesTest {
    private static List<Entry> lines(int priority, String... texts) {
        return Stream.of(texts).map(text -> new Entry(priority, text)).toList();
    }

    @Test
    void escapesAreThoseOfKmsgAndOfParameters() {
        assertThat(DmesgText.escape("a\n\u007f\u00e9\\")).isEqualTo("a\\x0a\\x7f\\xe9\\x5c");
        assertThat(DmesgText.unescape("i=1\\nui=2\\t\\xe9\\q\\x4"))
                .isEqualTo("i=1\nui=2\t\u00e9\\q\\x4");
        assertThat(DmesgText.unescape("\u00e9")).isEqualTo("\u00c3\u00a9");
    }

    @Test
    void formatsWantTheirArguments() {
        assertThat(CFormat.format("%d %u %lu %s %%", -1, -1, -1L, "x"))
                .contains("-1 4294967295 18446744073709551615 x %");
        assertThat(CFormat.format("%d")).isEmpty();
        assertThat(CFormat.format("", 1)).isEmpty();
        assertThat(CFormat.format("%s", 1)).isEmpty();
        assertThat(CFormat.format("%d", "1")).isEmpty();
    }

    @Test
    void aDumpGoesAndWhatItIsAboutStays() {
        DumpFilter.Filtered filtered =
                DumpFilter.filter(
                        lines(
                                4,
                                "sysfs: cannot create duplicate filename",
                                "CPU: 0 UID: 0 PID: 1 Comm: init Tainted: G",
                                "Tainted: [O]=OOT_MODULE",
                                "Hardware name: QEMU",
                                "Call Trace:",
                                " <TASK>",
                                "RIP: 0033:0x435ae9",
                                "RAX: ffffffffffffffda RBX: 0",
                                "EAX: ffffffda EBX: 08df6e10",
                                "DS: 007b ES: 007b",
                                "Exception stack(0xf080dfa8 to 0xf080dff0)",
                                "dfa0:                   00000000 00000000",
                                "hello: init"));
        assertThat(filtered.kept())
                .extracting(Entry::text)
                .containsExactly("sysfs: cannot create duplicate filename", "hello: init");
        assertThat(filtered.dumps()).hasSize(11);
        assertThat(filtered.warned()).isFalse();
    }

    @Test
    void withoutItsBeginningNothingIsADump() {
        List<Entry> lines = lines(4, " indented", "Call Trace:", "RIP: 0033:0x435ae9");
        assertThat(DumpFilter.filter(lines).kept()).isEqualTo(lines);
    }

    @Test
    void aDumpEndsWithItsPriority() {
        List<Entry> lines =
                List.of(
                        new Entry(4, "------------[ cut here ]------------"),
                        new Entry(4, "WARNING: CPU: 0 PID: 1 at f"),
                        new Entry(6, " indented"));
        DumpFilter.Filtered filtered = DumpFilter.filter(lines);
        assertThat(filtered.kept()).containsExactly(new Entry(6, " indented"));
        assertThat(filtered.warned()).isTrue();
    }

    @Test
    void onlyALineThatMayBeLateIsWaitedFor() {
        String text = "x: module is marked as livepatch module, but livepatch support is disabled";
        LateLines late = new LateLines(true);
        assertThat(late.difference(List.of(), lines(3, text))).isEmpty();
        assertThat(late.left()).isEqualTo(lines(3, text));
        assertThat(late.difference(lines(3, text), lines(3, text))).isEmpty();
        assertThat(late.left()).isEqualTo(lines(3, text));
        assertThat(late.difference(lines(3, text), List.of())).isEmpty();
        assertThat(late.left()).isEmpty();
        assertThat(late.difference(List.of(), lines(3, "x"))).contains(lines(3, "x"));
        assertThat(late.difference(lines(3, text), List.of())).contains(List.of());
    }

    @Test
    void valuesAreComparedWhereAddressesAreKnown() {
        List<Entry> recorded = lines(3, "overflow in relocation type 10 val ffffffff819fcd47");
        List<Entry> found = lines(3, "overflow in relocation type 10 val ffffffff80400000");
        List<Entry> other = lines(3, "overflow in relocation type 11 val ffffffff80400000");
        assertThat(new LateLines(true).difference(recorded, found)).contains(found);
        LateLines unknown = new LateLines(false);
        assertThat(unknown.difference(recorded, found)).isEmpty();
        assertThat(unknown.valuesLeftOut()).isEqualTo(1);
        assertThat(unknown.difference(recorded, other)).contains(other);
    }

    private static Call call(Kernel kernel, io.github.koloader.Executor.Phase phase)
            throws IOException {
        Module module = kernel.module("hello").orElseGet(() -> kernel.load(image(), ""));
        return new Call(kernel, module, phase, Address.NULL);
    }

    private static io.github.koloader.image.ModuleImage image() {
        return KoReader.any().readImage(CaseRecording.bytes(Fixtures.ko("x86_64/hello.ko")));
    }

    @Test
    void anAnswerGivesTheLinesThatTheLoaderHasNotAndCouldNot() throws IOException {
        Kernel kernel = Kernel.builder(Architectures.X86_64).build();
        Call call = call(kernel, INIT);
        List<Entry> recorded =
                List.of(
                        new Entry(4, "hello: loading out-of-tree module taints kernel."),
                        new Entry(4, "hello: Unknown symbol f (err -2)"),
                        new Entry(6, "driver: caf\\xc3\\xa9"),
                        new Entry(6, "said already"));
        RecordedAnswer answer = new RecordedAnswer(recorded, 19, kernel.log());
        int before = kernel.log().entries().size();
        kernel.log().add(LogLine.of(LogLevel.INFO, "said already"));
        assertThat(answer.call(call)).isEqualTo(-19);
        assertThat(kernel.log().lines().subList(before, kernel.log().entries().size()))
                .containsExactly("said already", "driver: caf\u00c3\u00a9");
        assertThat(new RecordedAnswer(recorded, 19, kernel.log()).call(call(kernel, EXIT)))
                .isZero();
    }

    @Test
    void aPositiveResultIsReadOffTheLoadersRemark() throws IOException {
        Kernel kernel = Kernel.builder(Architectures.X86_64).build();
        Call call = call(kernel, INIT);
        RecordedAnswer answer =
                new RecordedAnswer(
                        lines(
                                4,
                                "do_init_module: 'x'->init suspiciously returned 7, it should follow 0/-E"
                                        + " convention\\x0ado_init_module: loading module anyway..."),
                        0,
                        kernel.log());
        assertThat(answer.call(call)).isEqualTo(7);
    }

    @ParameterizedTest
    @CsvSource({
        "'', true",
        "nokaslr quiet console=ttyS0, true",
        "module.sig_enforce=1, true",
        "module.sig-enforce, true",
        "lockdown=confidentiality, true",
        "lockdown, true",
        "mystery=1, false"
    })
    void wordsOfACommandLineAreKnownOrNot(String line, boolean known) {
        assertThat(CommandLine.apply(KernelConfig.linux6_1(), line).isPresent()).isEqualTo(known);
    }

    @Test
    void wordsOfACommandLineSetOptions() {
        KernelConfig config =
                CommandLine.apply(
                                KernelConfig.linux6_1(),
                                "module.sig_enforce=1 lockdown=integrity nomodule module_blacklist=a,b")
                        .orElseThrow();
        assertThat(config.sigEnforce()).isTrue();
        assertThat(config.lockdown()).isTrue();
        assertThat(config.modulesDisabled()).isTrue();
        assertThat(config.moduleBlacklist()).containsExactly("a", "b");
        assertThat(
                        CommandLine.apply(KernelConfig.linux6_1(), "module.sig_enforce=0")
                                .orElseThrow()
                                .sigEnforce())
                .isFalse();
    }
}

package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ErrnoReplayTest {
    private static final String HELLO = "[[6,'Hello World']]";
    private static final String REMOVED =
            "{'op':'rm','name':'hello','flags':2048,'dmesg':[[6,'Bye Bye World']],'errno':0}";

    @TempDir Path directory;

    private CaseRecording x86() throws IOException {
        return new CaseRecording(directory, "x86_64", "x86_64");
    }

    private static List<String> differences(ReplayResult result) {
        return result.differences().stream().map(Difference::what).toList();
    }

    @ParameterizedTest
    @CsvSource({
        "x86_64, x86_64",
        "x86_64, x86_64-6.12",
        "i386, i386",
        "arm64, arm64",
        "armhf, arm"
    })
    void aModuleSaysWhatItsMemoryHolds(String architecture, String fixtures) throws IOException {
        ReplayResult result =
                new CaseRecording(directory, architecture, fixtures)
                        .load("init", "hello.ko", 0, HELLO)
                        .step(
                                "{'op':'grep','arg':['/proc/modules','nothing'],'lines':[],'dmesg':[]}")
                        .step(
                                "{'op':'cat','arg':['/sys/module/hello/taint'],'content':'OE\\n','dmesg':[]}")
                        .load("finit", "hello.ko", 17, "[]")
                        .step(REMOVED)
                        .replay("{}");
        assertThat(result.differences()).isEmpty();
        assertThat(result.notCompared()).isEmpty();
        assertThat(result.passed()).isTrue();
        assertThat(result.toString())
                .endsWith(
                        "errno %s: 1 compared, 1 identical, 0 different, 0 missing"
                                .formatted(architecture));
    }

    @Test
    void whatIsSaidOnceABootIsSaidByAKernelThatIsNotTainted() throws IOException {
        assertThat(
                        x86().load(
                                        "init",
                                        "hello.ko",
                                        0,
                                        "[[4,'hello: loading out-of-tree module taints kernel.'],"
                                                + "[5,'hello: module verification failed: signature and/or required key missing"
                                                + " - tainting kernel'],[6,'Hello World']]")
                                .replay("{'taint_before':0}")
                                .differences())
                .isEmpty();
    }

    @Test
    void anotherErrnoIsADifference() throws IOException {
        ReplayResult result = x86().load("init", "hello.ko", 22, HELLO).step(REMOVED).replay("{}");
        assertThat(differences(result)).containsExactly("step 1 init hello.ko: errno");
        assertThat(result.differences().get(0).recorded()).isEqualTo("22");
        assertThat(result.differences().get(0).found()).isEqualTo("0");
        assertThat(result.passed()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[]",
                "[[6,'Hello world']]",
                "[[5,'Hello World']]",
                "[[6,'Hello World'],[6,'Hello World']]",
                "[[6,'Hello World'],[4,'hello: Unknown symbol f (err -2)']]"
            })
    void anotherLogIsADifference(String dmesg) throws IOException {
        ReplayResult result = x86().load("init", "hello.ko", 0, dmesg).replay("{}");
        assertThat(differences(result)).containsExactly("step 1 init hello.ko: log");
    }

    @Test
    void otherTaintsAreADifference() throws IOException {
        ReplayResult result =
                x86().load("init", "hello.ko", 0, HELLO).replay("{'taint_after':12290}");
        assertThat(differences(result)).containsExactly("taint_after");
        assertThat(result.differences().get(0).found()).isEqualTo("12288");
    }

    @Test
    void otherContentsLinesAndErrorsOfReadingAreDifferences() throws IOException {
        ReplayResult result =
                x86().load("init", "hello.ko", 0, HELLO)
                        .step(
                                "{'op':'cat','arg':['/sys/module/hello/taint'],'content':'O\\n','dmesg':[]}")
                        .step("{'op':'cat','arg':['/sys/module/hello/taint'],'errno':2,'dmesg':[]}")
                        .step(
                                "{'op':'cat','arg':['/sys/module/no/taint'],'content':'O\\n','dmesg':[]}")
                        .step(
                                "{'op':'grep','arg':['/proc/kallsyms','hello_exit'],'lines':[],'dmesg':[]}")
                        .replay("{}");
        assertThat(differences(result))
                .extracting(what -> what.substring(what.lastIndexOf(' ') + 1))
                .containsExactly("content", "errno", "errno", "lines");
    }

    @Test
    void aKernelThatDiedMustNotGoOn() throws IOException {
        JsonObject json = x86().load("init", "hello.ko", 0, "[]").json("{'crashed':'kernel died'}");
        json.getAsJsonArray("steps").get(0).getAsJsonObject().remove("errno");
        json.remove("taint_after");
        ReplayResult result = x86().replay(json, ReplayOptions.of(List.of()));
        assertThat(result.differences())
                .extracting(Difference::found)
                .containsExactly("success, neither a refusal nor a fault");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'op':'sys','arg':['no-such-call'],'errno':14,'dmesg':[]}",
                "{'op':'dance','arg':['x'],'errno':14,'dmesg':[]}"
            })
    void whatIsNotKnownIsADifference(String step) throws IOException {
        ReplayResult result = x86().step(step).replay("{}");
        assertThat(result.differences())
                .singleElement()
                .satisfies(difference -> assertThat(difference.found()).contains("known here"));
    }

    @ParameterizedTest
    @CsvSource({
        "init-null-image, 14",
        "init-len-huge, 12",
        "init-len-0, 8",
        "finit-badfd, 9",
        "finit-wronly, 9",
        "finit-rdwr, 26",
        "finit-flag8, 22",
        "finit-dir, 22",
        "finit-empty, 22",
        "delete-null, 14",
        "delete-empty, 2",
        "delete-long, 2",
        "nocap-init, 1",
        "nocap-finit, 1",
        "nocap-delete, 1"
    })
    void callsWithOddArgumentsAreKnownByName(String name, int errno) throws IOException {
        ReplayResult result =
                x86().step("{'op':'sys','arg':['%s'],'errno':%d,'dmesg':[]}".formatted(name, errno))
                        .replay("{}");
        assertThat(result.differences()).isEmpty();
    }

    @Test
    void aCommandLineIsObeyedOrADifference() throws IOException {
        CaseRecording recording = x86().load("init", "hello.ko", 1, "[]");
        assertThat(recording.replay("{'cmdline':'nomodule'}").differences()).isEmpty();
        assertThat(recording.replay("{'cmdline':'module_blacklist=x,hello'}").differences())
                .extracting(Difference::what)
                .containsExactly("step 1 init hello.ko: log");
        assertThat(recording.replay("{'cmdline':'frobnicate=1'}").differences())
                .extracting(Difference::what)
                .containsExactly("command line");
    }

    @Test
    void aModuleThatIsNotAtHandIsMissing() throws IOException {
        JsonObject json = x86().load("init", "hello.ko", 0, HELLO).json("{}");
        json.getAsJsonArray("steps").get(0).getAsJsonObject().addProperty("sha256", "0".repeat(64));
        ReplayResult result = x86().replay(json, ReplayOptions.of(List.of()));
        assertThat(result.missing()).singleElement().asString().contains("hello.ko");
        assertThat(result.compared()).isZero();
        assertThat(result.passed()).isFalse();
    }

    @Test
    void aDumpIsNotComparedAndNamed() throws IOException {
        CaseRecording recording = x86();
        recording.zip("files.zip", List.of(recording.file("initpositive.ko")));
        ReplayResult result =
                recording
                        .load(
                                "init",
                                "initpositive.ko",
                                0,
                                "[[6,'initpositive: returning 42'],[4,'do_init_module:"
                                        + " \\u0027initpositive\\u0027->init suspiciously returned 42, it should"
                                        + " follow 0/-E convention\\\\x0ado_init_module: loading module anyway...'],"
                                        + "[4,'CPU: 0 PID: 1 Comm: init Tainted: G'],[4,'Call Trace:'],"
                                        + "[4,' f+0x1/0x2']]")
                        .replay("{}");
        assertThat(result.differences()).isEmpty();
        assertThat(result.notCompared())
                .extracting(NotCompared::what)
                .containsExactly("step 1 init initpositive.ko: 3 lines of a dump");
        assertThat(result.toString())
                .endsWith("; 1 things not compared, 0 whole records among them");
    }

    @Test
    void aSignedModuleNeedsTheKernelsCertificate() throws IOException {
        CaseRecording recording = x86();
        recording.zip("files.zip", List.of(recording.file("hello-signed.ko")));
        JsonObject json =
                recording
                        .load("init", "hello-signed.ko", 0, HELLO)
                        .step(
                                "{'op':'cat','arg':['/sys/module/hello/taint'],'content':'O\\n','dmesg':[]}")
                        .json("{}");
        ReplayResult without = recording.replay(json, ReplayOptions.of(List.of()));
        assertThat(without.leftOut()).isEqualTo(1);
        assertThat(without.compared()).isZero();
        assertThat(without.passed()).isFalse();
        ReplayResult with =
                recording.replay(
                        json,
                        new ReplayOptions(
                                List.of(),
                                Optional.empty(),
                                Optional.empty(),
                                List.of(recording.file("hello-signed.cert.pem")),
                                Optional.empty()));
        assertThat(with.differences()).isEmpty();
        assertThat(with.passed()).isTrue();
        assertThat(with.sources()).anyMatch(source -> source.startsWith("certificates: ["));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'steps':1}",
                "{'steps':[1]}",
                "{'steps':[{}]}",
                "{'steps':[{'op':'init'}]}",
                "{'steps':[{'op':'rm','name':'x'}]}",
                "{'steps':[{'op':'cat','arg':[]}]}",
                "{'steps':[{'op':'grep','arg':['x']}]}",
                "{'steps':[{'op':'sys','arg':['x'],'dmesg':[[6]]}]}",
                "{'steps':[{'op':'sys','arg':['x'],'dmesg':[[8,'x']]}]}",
                "{'steps':[{'op':'sys','arg':['x'],'errno':'EPERM'}]}",
                "{'taint_before':'none'}",
                "{'release':'latest'}"
            })
    void aRecordOfAnotherFormIsAnError(String more) throws IOException {
        CaseRecording recording = x86();
        assertThatThrownBy(() -> recording.replay(more))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("not of the form of its kind");
    }

    /**
     * hello.ko whose relocation of the call of _printk has these last 16 bytes: type and symbol,
     * addend.
     */
    private Path broken(CaseRecording recording, Integer type, Long addend) throws IOException {
        byte[] file = Files.readAllBytes(recording.file("hello.ko"));
        ModuleImage image = KoReader.any().readImage(Bytes.copyOf(file));
        for (RelocationTable table : image.relocationsFor(image.sectionIndex(".init.text"))) {
            for (int i = 0; i < table.count(); i++) {
                if (image.symbols().name(table.symbolIndex(i)).equals("_printk")) {
                    int size = table.format().entrySize();
                    byte[] entry = table.entries().slice(i * size, size).toByteArray();
                    int at = Collections.indexOfSubList(asList(file), asList(entry));
                    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
                    if (type != null) {
                        bytes.putInt(at + 8, type);
                    }
                    if (addend != null) {
                        bytes.putLong(at + 16, addend);
                    }
                }
            }
        }
        Path broken = Files.write(directory.resolve("broken.ko"), file);
        recording.zip("files.zip", List.of(broken));
        return broken;
    }

    private static List<Byte> asList(byte[] bytes) {
        List<Byte> list = new ArrayList<>();
        for (byte one : bytes) {
            list.add(one);
        }
        return list;
    }

    private ReplayResult replayBroken(CaseRecording recording, Path file, boolean crashed)
            throws IOException {
        JsonObject json =
                recording
                        .load("init", "hello.ko", 0, crashed ? "[]" : HELLO)
                        .json(crashed ? "{'crashed':'kernel died'}" : "{}");
        JsonObject step = json.getAsJsonArray("steps").get(0).getAsJsonObject();
        step.addProperty("sha256", ModuleFiles.sha256(CaseRecording.bytes(file)));
        if (crashed) {
            step.remove("errno");
        }
        return recording.replay(json, ReplayOptions.of(List.of()));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aCallThatLeadsNowhereIsAFault(boolean crashed) throws IOException {
        CaseRecording recording = x86();
        Path file = broken(recording, null, -0x80000000L);
        assertThat(differences(replayBroken(recording, file, crashed)))
                .isEqualTo(crashed ? List.of() : List.of("step 1 init hello.ko: fault"));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aBranchToItselfIsAFault(boolean crashed) throws IOException {
        CaseRecording recording = new CaseRecording(directory, "arm64", "arm64");
        Path file = broken(recording, 256, null); // R_AARCH64_NULL
        assertThat(differences(replayBroken(recording, file, crashed)))
                .isEqualTo(crashed ? List.of() : List.of("step 1 init hello.ko: fault"));
    }

    @Test
    void aCallIntoTheMiddleOfAKernelFunctionIsNotModelledAndNamed() throws IOException {
        CaseRecording recording = x86();
        ReplayResult result = replayBroken(recording, broken(recording, null, 1L << 40), false);
        assertThat(result.differences()).isEmpty();
        assertThat(result.notCompared())
                .singleElement()
                .satisfies(left -> assertThat(left.reason()).contains("_printk+0x4"));
    }

    /** On x86 a call that was never relocated calls what is behind it, which runs twice. */
    @Test
    void aCallOfTheNextInstructionRunsTheRestTwice() throws IOException {
        CaseRecording recording = x86();
        Path file = broken(recording, 0, null); // R_X86_64_NONE; the symbol goes as well
        ReplayResult result = replayBroken(recording, file, false);
        assertThat(result.differences())
                .extracting(Difference::what)
                .containsExactly("step 1 init hello.ko: log"); // nothing is printed
    }
}

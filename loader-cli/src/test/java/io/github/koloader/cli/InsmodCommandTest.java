package io.github.koloader.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class InsmodCommandTest {
    @TempDir private Path folder;

    private static JsonObject json(String... arguments) {
        return json(Run.of(arguments));
    }

    private static JsonObject json(Run run) {
        return JsonParser.parseString(run.out()).getAsJsonObject();
    }

    private Path write(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text, ISO_8859_1);
    }

    /** A kernel that exports what the fixture hello needs, with that CRC of {@code _printk}. */
    private Path symvers(String printkCrc) throws IOException {
        return write(
                "Module.symvers",
                "0xbdfb6dbb\t__fentry__\tvmlinux\tEXPORT_SYMBOL\t\n"
                        + printkCrc
                        + "\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n"
                        + "0x5b8239ca\t__x86_return_thunk\tvmlinux\tEXPORT_SYMBOL\t\n");
    }

    @Test
    void aLoneModuleLoadsAndShowsLogSectionsInitAndSummary() {
        Run run = Run.of("insmod", Run.ko("hello.ko"));
        assertThat(run.status()).isZero();
        assertThat(run.err()).isEmpty();
        assertThat(run.out().lines())
                .first()
                .asString()
                .matches("\\[ +\\d+\\.\\d{6}] hello: loading out-of-tree module taints kernel\\.");
        assertThat(run.out().lines())
                .contains("section                    address                 size  rights")
                .contains(".exit.text                 0xffffffffc0000000        12  r-x")
                .contains(
                        ".init.text                 0xffffffffc0005000        24  r-x     dropped"
                                + " after init")
                .contains("init 0xffffffffc0005000 returned 0 (no machine code is run)")
                .last()
                .isEqualTo(
                        "hello: live, 16 relocations, 3 imports, 3 stubs for what nobody exports: "
                                + "__fentry__, _printk, __x86_return_thunk");
    }

    @Test
    void aModuleWithoutInitSaysSo() {
        assertThat(Run.of("insmod", Run.ko("chain.ko")).out()).contains("\nno init function\n");
    }

    @Test
    void perCpuDataIsShownByItsOffset() {
        assertThat(Run.of("insmod", Run.ko("percpu.ko")).out())
                .containsPattern(
                        "\n"
                                + "\\.data\\.\\.percpu +0x[0-9a-f]+ +100  rw- +offset in each CPU's"
                                + " area\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"hello.ko.gz", "hello.ko.xz", "hello.ko.zst", "hello-signed.ko"})
    void packedAndSignedModulesLoad(String name) {
        assertThat(Run.of("insmod", Run.ko(name)).status()).isZero();
    }

    @Test
    void jsonHasTheSameAsData() {
        JsonObject json = json("insmod", "--json", Run.ko("hello.ko"), "unknown=1");
        assertThat(json.keySet())
                .containsExactly(
                        "file",
                        "loaded",
                        "architecture",
                        "release",
                        "log",
                        "module",
                        "state",
                        "sections",
                        "perCpu",
                        "init",
                        "exit",
                        "relocations",
                        "imports",
                        "uses",
                        "exports",
                        "stubs",
                        "taints");
        assertThat(json.get("loaded").getAsBoolean()).isTrue();
        assertThat(json.get("architecture").getAsString()).isEqualTo("x86_64");
        assertThat(json.get("release").getAsString()).isEqualTo("6.1.0-50-amd64");
        assertThat(json.getAsJsonObject("init").get("address").getAsString())
                .isEqualTo("0xffffffffc0005000");
        assertThat(json.getAsJsonObject("init").get("returned").getAsInt()).isZero();
        assertThat(json.get("relocations").getAsInt()).isEqualTo(16);
        assertThat(json.getAsJsonObject("stubs").keySet()).hasSize(3);
        JsonObject section = json.getAsJsonArray("sections").get(0).getAsJsonObject();
        assertThat(section.keySet())
                .containsExactly("index", "name", "address", "size", "memory", "rights", "dropped");
    }

    @Test
    void strictRefusesUnknownSymbolsAfterNamingThemAll() {
        Run run = Run.of("insmod", "--strict", Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out())
                .contains(
                        "hello: Unknown symbol __fentry__ (err -2)\n",
                        "hello: Unknown symbol _printk (err -2)\n");
        assertThat(run.err().lines())
                .startsWith(
                        "insmod: ERROR: could not insert module "
                                + Run.ko("hello.ko")
                                + ": Unknown symbol in module",
                        "  ENOENT: `__fentry__` is exported by nobody.",
                        "  `_printk` is exported by nobody.");
    }

    @Test
    void jsonOfAFailureHasErrnoAndLines() {
        Run run = Run.of("insmod", "--strict", "--json", Run.ko("hello.ko"));
        JsonObject error = json(run).getAsJsonObject("error");
        assertThat(run.status()).isEqualTo(1);
        assertThat(json(run).get("loaded").getAsBoolean()).isFalse();
        assertThat(error.get("errno").getAsString()).isEqualTo("ENOENT");
        assertThat(error.get("number").getAsInt()).isEqualTo(2);
        assertThat(error.getAsJsonArray("lines").get(0).getAsString())
                .isEqualTo("hello: Unknown symbol __fentry__ (err -2)");
    }

    @Test
    void symversGiveWhatTheKernelExports() throws IOException {
        String symvers = symvers("0x92997ed8").toString();
        JsonObject json = json("insmod", "--json", "--symvers", symvers, Run.ko("hello.ko"));
        assertThat(json.get("loaded").getAsBoolean()).isTrue();
        assertThat(json.getAsJsonObject("stubs").keySet()).isEmpty();
    }

    @Test
    void aSymbolOfAnotherVersionIsRefused() throws IOException {
        Run run =
                Run.of("insmod", "--symvers", symvers("0x00000001").toString(), Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out()).contains("hello: disagrees about version of symbol _printk\n");
        assertThat(run.err().lines())
                .first()
                .asString()
                .isEqualTo(
                        "insmod: ERROR: could not insert module "
                                + Run.ko("hello.ko")
                                + ": Invalid parameters");
        assertThat(run.err())
                .contains(
                        "  EINVAL: The CRC of `_printk` is 0x00000001 here (in the kernel),"
                                + " 0x92997ed8 there (in the module).\n");
    }

    @Test
    void aSystemMapGivesAddresses() throws IOException {
        Path map =
                write(
                        "System.map",
                        """
                        ffffffff81000010 T __fentry__
                        ffffffff81000020 T _printk
                        ffffffff81000030 T __x86_return_thunk
                        """);
        Run run =
                Run.of(
                        "insmod",
                        "--strict",
                        "--json",
                        "--system-map",
                        map.toString(),
                        Run.ko("hello.ko"));
        assertThat(run.err()).isEmpty();
        assertThat(json(run).getAsJsonObject("stubs").keySet()).isEmpty();
    }

    @Test
    void prerequisitesAreLoadedBefore() {
        JsonObject json =
                json("insmod", "--json", "--with", Run.ko("exporter.ko"), Run.ko("importer.ko"));
        assertThat(json.getAsJsonArray("uses").get(0).getAsString()).isEqualTo("exporter");
        assertThat(json.getAsJsonObject("stubs").keySet()).doesNotContain("kofix_add");
    }

    @Test
    void aPrerequisiteThatIsRefusedIsNamed() {
        String exporter = Run.ko("exporter.ko");
        Run run = Run.of("insmod", "--with", exporter, "--with", exporter, Run.ko("importer.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err().lines())
                .startsWith("insmod: ERROR: could not insert module " + exporter + ": File exists")
                .anyMatch(line -> line.startsWith("  EEXIST: "));
    }

    @Test
    void baseMovesTheModule() {
        assertThat(Run.of("insmod", "--base", "0xffffffffd0000000", Run.ko("hello.ko")).out())
                .contains(".exit.text                 0xffffffffd0000000 ");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--base=0x1001",
                "--base=0",
                "--base=here",
                "--base=0x12345678901234567",
                "--release=six"
            })
    void aValueThatCannotBeIsWrongUsage(String option) {
        Run run = Run.of("insmod", option, Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.err()).startsWith("koloader: ERROR: Invalid value for option '--");
    }

    @Test
    void releaseChoosesTheLayoutOfThatKernel() {
        JsonObject json = json("insmod", "--json", "--release", "6.12.1", Run.ko("hello.ko"));
        assertThat(json.get("release").getAsString()).isEqualTo("6.12.1");
    }

    @Test
    void dumpWritesEachSectionThatInitSees() throws IOException {
        Path out = folder.resolve("a/b");
        Run run = Run.of("insmod", "--dump", out.toString(), "--json", Run.ko("hello.ko"));
        try (Stream<Path> files = Files.list(out)) {
            List<String> names = files.map(file -> file.getFileName().toString()).toList();
            assertThat(names).contains(".init.text", ".exit.text", ".gnu.linkonce.this_module");
            assertThat(names).hasSize(json(run).getAsJsonArray("sections").size());
        }
        byte[] init = Files.readAllBytes(out.resolve(".init.text"));
        assertThat(init).hasSize(24);
        assertThat(init[0]).isEqualTo((byte) 0xe8); // call __fentry__
        assertThat(init[1] | init[2] | init[3] | init[4]).isNotZero(); // relocated
    }

    /** The fixture hello with other names of two sections. */
    private Path renamed(String first, String second) throws IOException {
        byte[] file = Files.readAllBytes(Path.of(Run.ko("hello.ko")));
        String text = new String(file, ISO_8859_1);
        System.arraycopy(
                bytes(first), 0, file, text.indexOf("\0.note.Linux\0") + 1, first.length());
        System.arraycopy(
                bytes(second), 0, file, text.indexOf("\0.rodata.str1.1\0") + 1, second.length());
        return Files.write(folder.resolve("renamed.ko"), file);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(ISO_8859_1);
    }

    @Test
    void sectionsOfOneNameAreDumpedToFilesOfTheirOwn() throws IOException {
        Path out = folder.resolve("out");
        Run run =
                Run.of(
                        "insmod",
                        "--dump",
                        out.toString(),
                        "--json",
                        renamed(".a\0", ".A\0").toString());
        try (Stream<Path> files = Files.list(out)) {
            List<String> names = files.map(file -> file.getFileName().toString()).toList();
            assertThat(names).hasSize(json(run).getAsJsonArray("sections").size());
            assertThat(names).filteredOn(name -> name.matches("\\.[aA](~\\d+)?")).hasSize(2);
        }
    }

    @Test
    void namesOfSectionsDoNotLeadOutOfTheFolder() throws IOException {
        Path out = Files.createDirectories(folder.resolve("deep/out"));
        Run run = Run.of("insmod", "--dump", out.toString(), renamed("../x\0", "..\0").toString());
        assertThat(run.status()).isZero();
        assertThat(out.resolve(".._x")).exists();
        try (Stream<Path> files = Files.list(folder.resolve("deep"))) {
            assertThat(files).containsExactly(out);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "abc",
                "this is just some text",
                "\u007fELF\u0002\u0001\u0001 and nothing more"
            })
    void hostileFilesAreAnErrorAndWhatItMeans(String text) throws IOException {
        Path file = write("bad.ko", text);
        for (String command : List.of("insmod", "nm", "relocs")) {
            Run run = Run.of(command, file.toString());
            assertThat(run.status()).isEqualTo(1);
            assertThat(run.err().lines()).first().asString().contains("ERROR: ");
            assertThat(run.err().lines().skip(1)).allMatch(line -> line.startsWith("  "));
        }
    }

    @Test
    void aFileOfAnotherMachineIsRefused() throws IOException {
        byte[] file = Files.readAllBytes(Path.of(Run.ko("hello.ko")));
        file[18] = (byte) 0xf3;
        file[19] = 0x77;
        Path other = Files.write(folder.resolve("other.ko"), file);
        Run run = Run.of("insmod", other.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err().lines())
                .startsWith(
                        "insmod: ERROR: could not insert module "
                                + other
                                + ": Invalid module format",
                        "  ENOEXEC (Exec format error): a module for ELF machine 30707, which is not"
                                + " modelled");
    }

    @Test
    void aFileThatIsNotThereCannotBeLoaded() {
        Run run = Run.of("insmod", "nosuch.ko");
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err())
                .isEqualTo(
                        "insmod: ERROR: could not load module nosuch.ko: No such file or"
                                + " directory\n");
        assertThat(
                        json("insmod", "--json", "nosuch.ko")
                                .getAsJsonObject("error")
                                .get("errno")
                                .isJsonNull())
                .isTrue();
    }

    @Test
    void aFolderCannotBeLoaded() {
        Run run = Run.of("insmod", folder.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err())
                .isEqualTo("insmod: ERROR: could not load module " + folder + ": Is a directory\n");
    }

    private static String miniKernel(String name) {
        return "../loader-elf/src/test/resources/vmlinux-mini/" + name + ".elf";
    }

    @Test
    void aKernelsFileGivesWhatItExports() {
        String kernel = miniKernel("x86_64-prel32");
        Run loaded = Run.of("insmod", "--kernel", kernel, "--strict", Run.ko("hello.ko"));
        assertThat(loaded.status()).as(loaded.err()).isZero();
        assertThat(loaded.out()).contains("hello: live").doesNotContain("stub");
        Run refused = Run.of("insmod", "--kernel", kernel, "--strict", Run.ko("chardev.ko"));
        assertThat(refused.status()).isEqualTo(1);
        assertThat(refused.out()).contains("chardev: Unknown symbol ");
    }

    @Test
    void aKernelForAnotherMachineIsWrongUsage() {
        Run run = Run.of("insmod", "--kernel", miniKernel("arm64-abs"), Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.err())
                .startsWith("koloader: ERROR: " + miniKernel("arm64-abs"))
                .contains("is a kernel for arm64, and the module is for x86_64");
    }

    @Test
    void aKernelThatIsNoneIsOneLine() {
        Run run = Run.of("insmod", "--kernel", Run.ko("hello.ko"), Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err().lines()).hasSize(1);
        assertThat(run.err()).startsWith("koloader: ERROR: " + Run.ko("hello.ko"));
    }

    @Test
    void symversThatCannotBeReadAreOneLine() throws IOException {
        Run missing =
                Run.of(
                        "insmod",
                        "--symvers",
                        folder.resolve("none").toString(),
                        Run.ko("hello.ko"));
        assertThat(missing.status()).isEqualTo(1);
        assertThat(missing.err())
                .isEqualTo(
                        "koloader: ERROR: "
                                + folder.resolve("none")
                                + ": No such file or directory\n");
        Run garbage =
                Run.of(
                        "insmod",
                        "--symvers",
                        write("bad", "what?\n").toString(),
                        Run.ko("hello.ko"));
        assertThat(garbage.status()).isEqualTo(1);
        assertThat(garbage.err().lines()).hasSize(1);
    }

    @Test
    void busyboxSaysItInItsOwnWordsAndEndsWithTheErrno() {
        Run run = Run.of("insmod", "--busybox", "--strict", Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.err())
                .startsWith(
                        "insmod: can't insert '"
                                + Run.ko("hello.ko")
                                + "': unknown symbol in module, or unknown parameter\n  ENOENT: ");
    }

    @Test
    void filesOfTheKernelAreShownAfterTheLoad() {
        Run run =
                Run.of(
                        "insmod",
                        "--cat",
                        "/proc/modules",
                        "--cat",
                        "/sys/module/params/parameters/p_int",
                        Run.ko("params.ko"),
                        "p_int=0x10");
        assertThat(run.err()).isEmpty();
        assertThat(run.out())
                .containsPattern(
                        "\n==> /proc/modules <==\nparams \\d+ 0 - Live 0xffffffffc0000000 \\(OE\\)\n")
                .endsWith("\n==> /sys/module/params/parameters/p_int <==\n16\n");
    }

    @Test
    void jsonHasTheFilesAsWell() {
        JsonObject json =
                json("insmod", "--json", "--cat", "/sys/module/hello/taint", Run.ko("hello.ko"));
        assertThat(json.getAsJsonObject("files").get("/sys/module/hello/taint").getAsString())
                .isEqualTo("OE\n");
    }

    @Test
    void aFileThatTheKernelDoesNotHaveIsAnError() {
        Run run = Run.of("insmod", "--cat", "/proc/nothing", Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err()).isEqualTo("cat: /proc/nothing: No such file or directory\n");
    }

    @Test
    void aModuleCanBeUnloadedAgain() {
        Run run = Run.of("insmod", "--rmmod", Run.ko("hello.ko"));
        assertThat(run.status()).isZero();
        assertThat(run.out())
                .contains("hello: live, 16 relocations")
                .endsWith("\nhello: removed\n");
        Run permanent = Run.of("insmod", "--rmmod", Run.ko("permanent.ko"));
        assertThat(permanent.status()).isEqualTo(1);
        assertThat(permanent.err())
                .startsWith(
                        "rmmod: ERROR: could not remove 'permanent': Device or resource busy\n"
                                + "rmmod: ERROR: could not remove module permanent: Device or"
                                + " resource busy\n  EBUSY: ");
    }

    @Test
    void aSignatureCanBeDemanded() {
        Run run = Run.of("insmod", "--sig-enforce", Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out()).contains("Loading of unsigned module is rejected");
        assertThat(run.err()).contains(": Key was rejected by service\n  EKEYREJECTED: ");
    }

    @Test
    void aSignatureByATrustedKeyIsTaken() {
        Run run =
                Run.of(
                        "insmod",
                        "--sig-enforce",
                        "--cert",
                        Run.ko("hello-signed.cert.pem"),
                        "--cat",
                        "/sys/module/hello/taint",
                        Run.ko("hello-signed.ko"));
        assertThat(run.err()).isEmpty();
        assertThat(run.out()).endsWith("\n==> /sys/module/hello/taint <==\nO\n");
    }

    @Test
    void aCertificateThatIsNoneIsOneLine() {
        Run run = Run.of("insmod", "--cert", Run.ko("hello.ko"), Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err())
                .startsWith("koloader: ERROR: " + Run.ko("hello.ko") + ": ")
                .hasLineCount(1);
    }

    @Test
    void kallsymsHasTheKernelsSymbolsAsWell() throws IOException {
        Path map = write("System.map", "ffffffff81000020 T _printk\n");
        Run run =
                Run.of(
                        "insmod",
                        "--system-map",
                        map.toString(),
                        "--cat",
                        "/proc/kallsyms",
                        Run.ko("hello.ko"));
        assertThat(run.out())
                .contains("==> /proc/kallsyms <==\nffffffff81000020 T _printk\n")
                .contains(" t cleanup_module\t[hello]\n");
    }
}

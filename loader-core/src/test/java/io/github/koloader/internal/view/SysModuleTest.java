package io.github.koloader.internal.view;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.BuiltInModule;
import io.github.koloader.Errno;
import io.github.koloader.Images;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.Module;
import io.github.koloader.ModuleParameter;
import io.github.koloader.ModuleState;
import io.github.koloader.SysfsTree;
import io.github.koloader.SysfsTree.Kind;
import io.github.koloader.Viewer;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SysModuleTest {
    private static Kernel.Builder builder(KernelConfig config) {
        return Kernel.builder(Architectures.X86_64).config(config);
    }

    private static Kernel kernel() {
        return builder(Images.quiet6_1()).build();
    }

    private static Errno refusal(SysfsTree tree, String path) {
        LoadException refusal = catchThrowableOfType(LoadException.class, () -> tree.read(path));
        assertThat(refusal).as(path + " is refused").isNotNull();
        assertThat(refusal.lines()).isEmpty();
        return refusal.errno();
    }

    private static List<String> names(SysfsTree tree, String path) {
        return tree.list(path).stream().map(SysfsTree.Entry::name).toList();
    }

    private static Section note(String name, byte... contents) {
        return new Section(
                name,
                SectionType.NOTE,
                SectionFlags.of(SectionFlags.ALLOC),
                0,
                contents.length,
                4,
                0,
                0,
                0,
                Bytes.copyOf(contents));
    }

    // ---- attributes ----

    @Test
    void aModuleHasItsFiles() {
        Kernel kernel = kernel();
        ImageBuilder image =
                Images.module("m").modinfo("version", "1.5").modinfo("srcversion", "ABC");
        image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        image.section(note(".note.a", (byte) 1));
        Module module = kernel.load(image.build(), "");
        SysfsTree tree = kernel.sysModule();
        assertThat(names(tree, "")).containsExactly("m");
        assertThat(names(tree, "m"))
                .containsExactlyInAnyOrder(
                        "holders",
                        "uevent",
                        "version",
                        "srcversion",
                        "initstate",
                        "coresize",
                        "initsize",
                        "taint",
                        "refcnt",
                        "sections",
                        "notes");
        assertThat(tree.text("m/version")).isEqualTo("1.5\n");
        assertThat(tree.text("m/srcversion")).isEqualTo("ABC\n");
        assertThat(tree.text("m/initstate")).isEqualTo("live\n");
        assertThat(tree.text("m/coresize"))
                .isEqualTo(module.layout().blocks().get(0).size() + "\n");
        assertThat(tree.text("m/initsize")).isEqualTo("0\n");
        assertThat(tree.text("m/taint")).isEqualTo("\n");
        assertThat(tree.text("m/refcnt")).isEqualTo("0\n");
        assertThat(tree.list("m/holders")).isEmpty();
    }

    @Test
    void filesHaveTheirModesAndSizes() {
        Kernel kernel = kernel();
        ImageBuilder image = Images.module("m");
        image.section(note(".note.a", (byte) 1, (byte) 2));
        kernel.load(image.build(), "");
        SysfsTree tree = kernel.sysModule();
        assertThat(tree.entry("m").orElseThrow())
                .isEqualTo(new SysfsTree.Entry("m", Kind.DIRECTORY, 0755, 0));
        assertThat(tree.entry("m").orElseThrow().mode()).isEqualTo(040755);
        assertThat(tree.entry("m/coresize").orElseThrow())
                .isEqualTo(new SysfsTree.Entry("m/coresize", Kind.FILE, 0444, 4096));
        assertThat(tree.entry("m/uevent").orElseThrow().mode()).isEqualTo(0100200);
        SysfsTree.Entry section = tree.entry("m/sections/.gnu.linkonce.this_module").orElseThrow();
        assertThat(section.mode()).isEqualTo(0100400);
        assertThat(section.size()).isEqualTo("0x0123456789abcdef\n".length());
        SysfsTree.Entry note = tree.entry("m/notes/.note.a").orElseThrow();
        assertThat(note.mode()).isEqualTo(0100444);
        assertThat(note.size()).isEqualTo(2);
        assertThat(tree.entry("m/nothing")).isEmpty();
        assertThat(tree.entry("n")).isEmpty();
    }

    @Test
    void whileInitRunsTheStateIsComingAndInitHasASize() {
        List<String> seen = new ArrayList<>();
        Kernel kernel =
                builder(Images.quiet6_1())
                        .executor(
                                call -> {
                                    SysfsTree tree = call.kernel().sysModule();
                                    seen.add(tree.text("m/initstate"));
                                    seen.add(tree.text("m/initsize"));
                                    seen.add(tree.text("m/refcnt"));
                                    return 0;
                                })
                        .build();
        kernel.load(Images.withInitAndExit("m"), "");
        assertThat(seen).containsExactly("coming\n", "8192\n", "1\n");
        seen.clear();
        kernel.unload("m");
        assertThat(seen.get(0)).isEqualTo("going\n");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1})
    void aModuleThatIsGoneHasNoDirectory(int initResult) {
        Kernel kernel = builder(Images.quiet6_1()).executor(call -> initResult).build();
        try {
            kernel.load(Images.withInitAndExit("m"), "");
            kernel.unload("m");
        } catch (LoadException e) {
            assertThat(e.errno()).isEqualTo(Errno.EPERM);
        }
        assertThat(kernel.sysModule().list("")).isEmpty();
        assertThat(refusal(kernel.sysModule(), "m/taint")).isEqualTo(Errno.ENOENT);
    }

    @Test
    void aModuleThatIsNotFormedHasNoDirectory() {
        List<Integer> entries = new ArrayList<>();
        Kernel[] kernel = new Kernel[1];
        kernel[0] =
                builder(Images.quiet6_1())
                        .observer(
                                (point, module) ->
                                        entries.add(kernel[0].sysModule().list("").size()))
                        .build();
        kernel[0].load(Images.empty("m"), "");
        assertThat(entries).containsExactly(0, 0, 0, 1);
    }

    @Test
    void withoutUnloadingThereIsNoRefcnt() {
        Kernel kernel = builder(Images.quiet6_1().toBuilder().modUnload(false).build()).build();
        kernel.load(Images.empty("m"), "");
        assertThat(refusal(kernel.sysModule(), "m/refcnt")).isEqualTo(Errno.ENOENT);
    }

    @Test
    void taintsAreLettersWithoutBrackets() {
        Kernel kernel = kernel();
        kernel.load(Images.bare("m").modinfo("license", "no").modinfo("staging", "Y").build(), "");
        assertThat(kernel.sysModule().text("m/taint")).isEqualTo("PC\n");
        assertThat(kernel.taintLetters(kernel.module("m").orElseThrow())).isEqualTo("PC");
    }

    @Test
    void aLongVersionIsCutToAPage() {
        Kernel kernel = kernel();
        kernel.load(Images.module("m").modinfo("version", "v".repeat(5000)).build(), "");
        assertThat(kernel.sysModule().text("m/version")).isEqualTo("v".repeat(4095));
    }

    // ---- refusals ----

    @Test
    void readingSaysWhatIsWrong() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("m", "f"), "");
        kernel.load(Images.importing("user", "f"), "");
        SysfsTree tree = kernel.sysModule();
        assertThat(refusal(tree, "m/nothing")).isEqualTo(Errno.ENOENT);
        assertThat(refusal(tree, "n/taint")).isEqualTo(Errno.ENOENT);
        assertThat(refusal(tree, "m/taint/x")).isEqualTo(Errno.ENOENT);
        assertThat(refusal(tree, "m/holders")).isEqualTo(Errno.EISDIR);
        assertThat(refusal(tree, "m/holders/user")).isEqualTo(Errno.EISDIR);
        assertThat(refusal(tree, "")).isEqualTo(Errno.EISDIR);
        assertThat(refusal(tree, "m/uevent")).isEqualTo(Errno.EACCES);
        assertThat(catchThrowableOfType(LoadException.class, () -> tree.list("m/taint")).errno())
                .isEqualTo(Errno.ENOTDIR);
        assertThat(catchThrowableOfType(LoadException.class, () -> tree.target("m/taint")).errno())
                .isEqualTo(Errno.EINVAL);
    }

    // ---- holders ----

    @Test
    void aUserIsALinkToItsDirectory() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("m", "f"), "");
        kernel.load(Images.importing("user", "f"), "");
        SysfsTree tree = kernel.sysModule();
        assertThat(tree.text("m/refcnt")).isEqualTo("1\n");
        assertThat(tree.entry("m/holders/user").orElseThrow().mode()).isEqualTo(0120777);
        assertThat(tree.target("m/holders/user")).isEqualTo("../../user");
        assertThat(tree.text("m/holders/user/initstate")).isEqualTo("live\n");
        assertThat(names(tree, "m/holders/user")).isEqualTo(names(tree, "user"));
        kernel.unload("user");
        assertThat(tree.list("m/holders")).isEmpty();
    }

    // ---- sections ----

    @Test
    void sectionsWithMemoryAreListedAndEmptyOnesAreNot() {
        Kernel kernel = kernel();
        ImageBuilder image = Images.module("m");
        image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        image.section(Images.text(16));
        image.section(Images.data(".data", 0));
        image.section(Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 8, 32));
        image.section(Images.data(".data..percpu", 8));
        Module module = kernel.load(image.build(), "");
        SysfsTree tree = kernel.sysModule();
        assertThat(names(tree, "m/sections"))
                .containsExactlyInAnyOrder(
                        ".init.text",
                        ".text",
                        ".bss",
                        ".gnu.linkonce.this_module",
                        ".symtab",
                        ".strtab");
        assertThat(tree.text("m/sections/.init.text"))
                .as("stays when init is gone")
                .isEqualTo(module.section(".init.text").orElseThrow().address() + "\n");
    }

    @Test
    void onlyRootSeesAddresses() {
        Kernel kernel = kernel();
        kernel.load(Images.empty("m"), "");
        assertThat(refusal(kernel.sysModule(Viewer.USER), "m/sections/.gnu.linkonce.this_module"))
                .isEqualTo(Errno.EACCES);
        assertThat(kernel.sysModule(Viewer.USER).text("m/initstate")).isEqualTo("live\n");
        Kernel old = builder(Images.quiet(KernelConfig.linux3_10())).build();
        old.load(Images.empty("m"), "");
        String path = "m/sections/.gnu.linkonce.this_module";
        assertThat(old.sysModule(Viewer.USER).text(path)).isEqualTo("0x0000000000000000\n");
        assertThat(old.sysModule().text(path)).startsWith("0xffffffff");
        assertThat(old.sysModule().entry(path).orElseThrow().mode()).isEqualTo(0100444);
        assertThat(old.sysModule().entry(path).orElseThrow().size()).isEqualTo(4096);
    }

    @Test
    void withoutKallsymsThereAreNeitherSectionsNorNotes() {
        Kernel kernel = builder(Images.quiet6_1().toBuilder().kallsyms(false).build()).build();
        ImageBuilder image = Images.module("m");
        image.section(note(".note.a", (byte) 1));
        kernel.load(image.build(), "");
        assertThat(names(kernel.sysModule(), "m")).doesNotContain("sections", "notes");
    }

    @Test
    void twoSectionsOfOneNameWarnAndThenThereAreNone() {
        Kernel kernel = builder(Images.quiet6_1()).clock(Images.STILL).build();
        ImageBuilder image = Images.module("m");
        image.section(Images.data(".data", 8));
        image.section(Images.data(".data", 8));
        image.section(note(".note.a", (byte) 1));
        Module module = kernel.load(image.build(), "");
        assertThat(module.state()).isEqualTo(ModuleState.LIVE);
        assertThat(kernel.log().entries())
                .extracting(entry -> entry.line())
                .containsExactly(
                        LogLine.of(
                                LogLevel.WARNING,
                                "sysfs: cannot create duplicate filename '/module/m/sections/.data'"));
        assertThat(names(kernel.sysModule(), "m"))
                .contains("initstate")
                .doesNotContain("sections", "notes");
    }

    @Test
    void equalNamesOfEmptySectionsAndOfThoseWithoutMemoryDoNotMatter() {
        Kernel kernel = kernel();
        ImageBuilder image = Images.module("m");
        image.section(Images.data(".data", 8));
        image.section(Images.data(".data", 0));
        image.section(Section.progbits(".data", 0, 1, Bytes.copyOf((byte) 1)));
        kernel.load(image.build(), "");
        assertThat(kernel.log().entries()).isEmpty();
        assertThat(names(kernel.sysModule(), "m/sections")).contains(".data");
    }

    // ---- notes ----

    @Test
    void notesAreThereByteForByte() {
        Kernel kernel = kernel();
        ImageBuilder image = Images.module("m");
        image.section(note(".note.a", (byte) 1, (byte) 0, (byte) 0xff));
        image.section(note(".note.empty"));
        image.section(Images.rodata(".note.not", (byte) 1));
        kernel.load(image.build(), "");
        SysfsTree tree = kernel.sysModule();
        assertThat(names(tree, "m/notes")).containsExactly(".note.a");
        assertThat(tree.read("m/notes/.note.a"))
                .isEqualTo(Bytes.copyOf((byte) 1, (byte) 0, (byte) 0xff));
    }

    @Test
    void aNoteThatWasDroppedWithInitCannotBeRead() {
        List<Bytes> seen = new ArrayList<>();
        Kernel kernel =
                builder(Images.quiet6_1())
                        .executor(
                                call -> {
                                    seen.add(call.kernel().sysModule().read("m/notes/.init.note"));
                                    return 0;
                                })
                        .build();
        ImageBuilder image = Images.module("m");
        image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        image.section(note(".init.note", (byte) 7));
        kernel.load(image.build(), "");
        assertThat(seen).containsExactly(Bytes.copyOf((byte) 7));
        assertThat(refusal(kernel.sysModule(), "m/notes/.init.note")).isEqualTo(Errno.EFAULT);
    }

    @Test
    void withoutNotesThereIsNoDirectoryForThem() {
        Kernel kernel = kernel();
        kernel.load(Images.empty("m"), "");
        assertThat(kernel.sysModule().entry("m/notes")).isEmpty();
    }

    // ---- built-in ----

    private record Parameter(String name, int permissions, String text) implements ModuleParameter {
        @Override
        public String read() {
            if (text.isEmpty()) {
                throw LoadException.silent(Errno.EPERM, "no getter");
            }
            return text;
        }

        @Override
        public void write(String value) {
            throw LoadException.silent(Errno.EPERM, "no setter");
        }
    }

    @Test
    void builtInCodeHasParametersAndVersionOnly() {
        Kernel kernel = kernel();
        kernel.addBuiltIn(
                new BuiltInModule(
                        "printk",
                        List.of(
                                new Parameter("time", 0644, "Y\n"),
                                new Parameter("secret", 0600, "1\n"),
                                new Parameter("mute", 0200, "1\n"),
                                new Parameter("opaque", 0444, ""),
                                new Parameter("hidden", 0, "1\n")),
                        Optional.of("2")));
        SysfsTree tree = kernel.sysModule();
        assertThat(names(tree, "printk"))
                .containsExactlyInAnyOrder("uevent", "parameters", "version");
        assertThat(names(tree, "printk/parameters"))
                .containsExactly("time", "secret", "mute", "opaque");
        assertThat(tree.entry("printk/parameters/time").orElseThrow().mode()).isEqualTo(0100644);
        assertThat(tree.text("printk/parameters/time")).isEqualTo("Y\n");
        assertThat(tree.text("printk/parameters/secret")).isEqualTo("1\n");
        assertThat(refusal(tree, "printk/parameters/mute")).isEqualTo(Errno.EACCES);
        assertThat(refusal(tree, "printk/parameters/opaque")).isEqualTo(Errno.EPERM);
        SysfsTree ofUser = kernel.sysModule(Viewer.USER);
        assertThat(refusal(ofUser, "printk/parameters/secret")).isEqualTo(Errno.EACCES);
        assertThat(ofUser.text("printk/parameters/time")).isEqualTo("Y\n");
    }

    @Test
    void builtInCodeThatShowsNothingIsNoObstacle() {
        Kernel kernel = kernel();
        kernel.addBuiltIn(
                new BuiltInModule(
                        "m", List.of(new Parameter("hidden", 0, "1\n")), Optional.empty()));
        assertThat(kernel.sysModule().list("")).isEmpty();
        kernel.load(Images.empty("m"), "");
        assertThat(names(kernel.sysModule(), "")).containsExactly("m");
    }

    // ---- odd names ----

    @Test
    void aSlashInTheNameOfAModuleBecomesAnExclamationMark() {
        Kernel kernel = kernel();
        kernel.load(Images.empty("a/b"), "");
        SysfsTree tree = kernel.sysModule();
        assertThat(names(tree, "")).containsExactly("a!b");
        assertThat(tree.text("a!b/initstate")).isEqualTo("live\n");
        assertThat(tree.entry("a/b")).isEmpty();
        assertThat(tree.entry("a!c")).isEmpty();
    }

    @Test
    void aSlashInTheNameOfASectionHidesItFromReaders() {
        Kernel kernel = kernel();
        ImageBuilder image = Images.module("m");
        image.section(Images.data("a/b", 8));
        ModuleImage built = image.build();
        kernel.load(built, "");
        SysfsTree tree = kernel.sysModule();
        assertThat(tree.list("m/sections"))
                .extracting(SysfsTree.Entry::path)
                .contains("m/sections/a/b");
        assertThat(refusal(tree, "m/sections/a/b")).isEqualTo(Errno.ENOENT);
    }

    @Test
    @Timeout(60)
    void aCopyOfManySectionsIsNotQuadratic(@TempDir Path directory) throws IOException {
        Kernel kernel = kernel();
        ImageBuilder image = Images.module("m");
        for (int i = 0; i < 5_000; i++) {
            image.section(Images.data(".data." + i, 8));
        }
        kernel.load(image.build(), "");
        SysfsTree tree = kernel.sysModule();
        tree.copyTo(directory.resolve("copy"));
        assertThat(directory.resolve("copy/m/sections/.data.4999"))
                .hasContent(tree.text("m/sections/.data.4999"));
        kernel.unload("m");
        assertThat(tree.entry("m/sections")).isEmpty();
    }
}

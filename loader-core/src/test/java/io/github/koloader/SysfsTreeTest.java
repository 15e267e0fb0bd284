package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ImageBuilder;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SysfsTreeTest {
    @TempDir private Path directory;

    private static Kernel kernel() {
        return Kernel.builder(Architectures.X86_64).config(Images.quiet6_1()).build();
    }

    private static void addAll(SysfsTree tree, String path, TreeSet<String> paths) {
        for (SysfsTree.Entry entry : tree.list(path)) {
            paths.add(entry.path());
            if (entry.kind() == SysfsTree.Kind.DIRECTORY) {
                addAll(tree, entry.path(), paths);
            }
        }
    }

    @Test
    void aCopyHasEveryEntryWithItsContents() throws IOException {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("m", "f"), "");
        kernel.load(Images.importing("user", "f"), "");
        SysfsTree tree = kernel.sysModule();
        Path copy = directory.resolve("module");
        tree.copyTo(copy);
        TreeSet<String> expected = new TreeSet<>(List.of(""));
        addAll(tree, "", expected);
        try (Stream<Path> files = Files.walk(copy)) {
            assertThat(files.map(file -> copy.relativize(file).toString()))
                    .containsExactlyInAnyOrderElementsOf(expected);
        }
        assertThat(copy.resolve("m/coresize")).hasContent(tree.text("m/coresize"));
        assertThat(copy.resolve("m/sections/.text")).hasContent(tree.text("m/sections/.text"));
        assertThat(copy.resolve("m/uevent")).isEmptyFile();
        assertThat(Files.readSymbolicLink(copy.resolve("m/holders/user")))
                .isEqualTo(Path.of("../../user"));
        assertThat(copy.resolve("m/holders/user/initstate")).hasContent("live\n");
        assertThat(
                        PosixFilePermissions.toString(
                                Files.getPosixFilePermissions(copy.resolve("m/taint"))))
                .isEqualTo("r--r--r--");
        assertThat(
                        PosixFilePermissions.toString(
                                Files.getPosixFilePermissions(copy.resolve("m/uevent"))))
                .isEqualTo("-w-------");
    }

    @Test
    void noNameLeadsOutOfTheCopy() throws IOException {
        Kernel kernel = kernel();
        ImageBuilder image = Images.module("..");
        image.section(Images.data("../../../escape", 8));
        image.section(Images.data("..", 8));
        image.section(Images.data(".", 8));
        image.section(Images.data("", 8));
        kernel.load(image.build(), "");
        Path copy = directory.resolve("module");
        assertThatThrownBy(() -> kernel.sysModule().copyTo(copy))
                .as("two names become one")
                .isInstanceOf(FileAlreadyExistsException.class);
        assertThat(copy.resolve("!!/sections/..!..!..!escape")).exists();
        assertThat(copy.resolve("!!/sections/!!")).exists();
        assertThat(copy.resolve("!!/sections/!")).exists();
        try (Stream<Path> files = Files.list(directory)) {
            assertThat(files).containsExactly(copy);
        }
    }

    @Test
    void aCopyIsNotMadeOverAnother() throws IOException {
        Kernel kernel = kernel();
        kernel.load(Images.empty("m"), "");
        kernel.sysModule().copyTo(directory);
        assertThatThrownBy(() -> kernel.sysModule().copyTo(directory))
                .isInstanceOf(FileAlreadyExistsException.class);
    }

    @Test
    void theNameOfAnEntryIsTheLastPartOfItsPath() {
        assertThat(new SysfsTree.Entry("a/b/c", SysfsTree.Kind.FILE, 0444, 1).name())
                .isEqualTo("c");
        assertThat(new SysfsTree.Entry("a", SysfsTree.Kind.FILE, 0444, 1).name()).isEqualTo("a");
    }
}

package io.github.koloader.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ListingCommandsTest {
    @Test
    void nmMarksExports() {
        assertThat(Run.of("nm", Run.ko("exporter.ko")).out().lines())
                .contains("0000000000000000 T kofix_add [export] [crc 0x682ab99c]")
                .contains("0000000000000030 T kofix_neg [export] [gpl] [ns KOFIX] [crc 0x4b30c7fa]")
                .contains("0000000000000000 D kofix_counter [export] [crc 0x55342bef]");
    }

    @Test
    void nmMarksImportsWithTheVersionTheyWereBuiltAgainst() {
        assertThat(Run.of("nm", Run.ko("importer.ko")).out().lines())
                .contains("                 U kofix_add [crc 0x682ab99c]");
    }

    @Test
    void nmSortsByName() {
        assertThat(
                        Run.of("nm", Run.ko("hello.ko"))
                                .out()
                                .lines()
                                .map(line -> line.substring(19).replaceAll(" .*", "")))
                .isSorted();
    }

    @Test
    void relocsListsEveryTable() {
        assertThat(Run.of("relocs", Run.ko("hello.ko")).out().lines())
                .contains(".rela.init.text: 4 relocations of .init.text")
                .contains("0000000000000001  R_X86_64_PLT32            __fentry__ - 0x4")
                .contains("0000000000000008  R_X86_64_32S              .rodata.str1.1")
                .contains(".rela.exit.text: 2 relocations of .exit.text");
    }

    @Test
    void relocsOfOneSection() {
        Run run = Run.of("relocs", "--section", ".exit.text", Run.ko("hello.ko"));
        assertThat(run.out())
                .startsWith(".rela.exit.text: 2 relocations of .exit.text\n")
                .doesNotContain(".init.text");
    }

    @Test
    void relocsOfASectionThatIsNotThereIsOneLine() {
        Run run = Run.of("relocs", "--section", ".nosuch", Run.ko("hello.ko"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err())
                .isEqualTo("koloader: ERROR: " + Run.ko("hello.ko") + ": no section .nosuch\n");
    }

    @Test
    void aFileThatIsNotThereIsOneLine() {
        Run run = Run.of("nm", "nosuch.ko");
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err()).isEqualTo("koloader: ERROR: nosuch.ko: No such file or directory\n");
    }

    @Test
    void aFileThatIsNoModuleIsNamed(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("x.ko"), "root:x:0:0:" + "-".repeat(100));
        for (String command : List.of("nm", "relocs")) {
            Run run = Run.of(command, file.toString());
            assertThat(run.status()).isEqualTo(1);
            assertThat(run.err())
                    .isEqualTo(
                            "koloader: ERROR: "
                                    + file
                                    + ": ENOEXEC (Exec format error): Invalid ELF header magic: !="
                                    + " \\x7fELF\n");
            assertThat(Run.of(command, folder.toString()).err())
                    .isEqualTo("koloader: ERROR: " + folder + ": Is a directory\n");
        }
    }
}

package io.github.koloader.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class InitcallsCommandTest {
    private static final String LOG =
            """
            [    0.100000] calling  levels_console+0x0/0x11 @ 0
            [    0.100100] initcall levels_console+0x0/0x11 returned 0 after 100 usecs
            [    0.200000] calling  drv_a_init+0x0/0x19 @ 1
            [    0.205031] initcall drv_a_init+0x0/0x19 returned 0 after 5031 usecs
            [    0.300000] calling  drv_b_init+0x0/0x14 @ 1
            [    0.300001] initcall drv_b_init+0x0/0x14 returned -19 after 1 usecs
            [    0.400000] calling  drv_b_report+0x0/0x30 @ 1
            [    0.500000] calling  r_init+0x0/0x1000 [retneg] @ 97
            [    0.500001] initcall r_init+0x0/0x1000 [retneg] returned -22 after 3 usecs
            """;

    @Test
    void aTableAndCountsOfLevels() {
        Run run = Run.of("initcalls", Run.map("x86_64-prel32"));
        assertThat(run.status()).isZero();
        assertThat(run.out().lines())
                .startsWith(
                        " #  level             function              module  address",
                        " 1  con     console   levels_console        levels  ffffffff81003229",
                        " 2  early   early     levels_early          levels  ffffffff81003218")
                .contains(
                        "15  rootfs  fs        levels_rootfs         levels  ffffffff8100314c",
                        "22  7       late      same_name             drv_c   -",
                        "",
                        "level             calls",
                        "6       device        3")
                .endsWith("all                  24");
        assertThat(run.err())
                .isEqualTo(
                        "koloader: %s: not known: Initcalls: addresses of 2 functions: no symbol,"
                                        .formatted(Run.map("x86_64-prel32"))
                                + " or more than one, has the name.\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86_64-prel32", "i386-prel32", "arm-abs"})
    void aKernelIsListedAsItsMapIs(String kernel) {
        Run image = Run.of("initcalls", Run.vmlinux(kernel));
        assertThat(image.status()).isZero();
        // only the image tells which of two functions of one name is called
        assertThat(image.out().replaceAll("(same_name .*  )[0-9a-f]+\n", "$1-\n"))
                .isEqualTo(Run.of("initcalls", Run.map(kernel)).out());
    }

    @Test
    void whatAStrippedKernelDoesNotTellIsTold() {
        Run run = Run.of("initcalls", Run.vmlinux("x86_64-prel32-stripped"));
        assertThat(run.status()).isZero();
        assertThat(run.out().lines())
                .contains("18  6      device    -         -       ffffffff81003264")
                .contains("all                 24");
        assertThat(run.err())
                .contains("not known: Initcalls: names of 24 functions")
                .contains("not known: Initcalls: modules of 24 calls");
    }

    @Test
    void addressesOf32BitKernelsHaveEightDigits() {
        assertThat(Run.of("initcalls", Run.map("arm-abs")).out().lines())
                .contains(" 1  con     console   levels_console        -       c000b2d8");
    }

    @ParameterizedTest
    @CsvSource({
        "6, 16 17 18",
        "6s, 19",
        "device, 16 17 18 19",
        "module_init, 16 17 18",
        "late_initcall_sync, 23 24",
        "rootfs, 15",
        "fs, 13 14 15",
        "console, 1"
    })
    void oneLevelKeepsItsNumbers(String level, String numbers) {
        Run run = Run.of("initcalls", "--level", level, Run.map("x86_64-prel32"));
        assertThat(
                        run.out()
                                .lines()
                                .takeWhile(line -> !line.isEmpty())
                                .skip(1)
                                .map(line -> line.strip().split(" ")[0]))
                .containsExactly(numbers.split(" "));
    }

    @Test
    void aLevelThatIsNoneIsWrongUsage() {
        Run run = Run.of("initcalls", "--level", "8", Run.map("x86_64-prel32"));
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.err())
                .contains(
                        "8 is no id, pass or macro of a level; ids are con security early 0 1 1s");
    }

    @Test
    void aLogAddsTimesAndResults(@TempDir Path folder) throws IOException {
        Path log = Files.writeString(folder.resolve("dmesg"), LOG);
        Run run = Run.of("initcalls", "--log", log.toString(), Run.map("x86_64-prel32"));
        assertThat(run.out().lines())
                .contains(
                        " 1  con     console     100       0  levels_console        levels "
                                + " ffffffff81003229",
                        "17  6       device     5031       0  drv_a_init            drv_a  "
                                + " ffffffff8100323a",
                        "18  6       device        1     -19  drv_b_init            drv_b  "
                                + " ffffffff81003264",
                        "16  6       device        -       -  levels_device         levels "
                                + " ffffffff8100313b",
                        "24  7s      late          -    none  drv_b_report          drv_b  "
                                + " ffffffff810032a8",
                        "6       device        3   5032       1",
                        "all                  24   5132       1");
        assertThat(run.err())
                .contains("koloader: 20 initcalls are not in the log\n")
                .contains("koloader: 1 calls in the log are of none of them");
    }

    @Test
    void aLogWithoutInitcallDebugIsTold(@TempDir Path folder) throws IOException {
        Path log = Files.writeString(folder.resolve("dmesg"), "[    0.000000] Linux version 6.1\n");
        assertThat(Run.of("initcalls", "--log", log.toString(), Run.map("arm-abs")).err())
                .contains("koloader: " + log + ": no lines of initcall_debug\n");
    }

    @Test
    void jsonHasWhatTheTableHas(@TempDir Path folder) throws IOException {
        Path log = Files.writeString(folder.resolve("dmesg"), LOG);
        Run run = Run.of("initcalls", "--json", "--log", log.toString(), Run.map("x86_64-prel32"));
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.getAsJsonArray("initcalls")).hasSize(24);
        assertThat(json.getAsJsonArray("initcalls").get(17))
                .isEqualTo(
                        JsonParser.parseString(
                                """
                                {"number": 18, "level": "6", "pass": "device",
                                 "function": "drv_b_init", "module": "drv_b",
                                 "address": "0xffffffff81003264", "logged": true, "pid": 1,
                                 "called_at": 300000, "usecs": 1, "result": -19}"""));
        assertThat(json.getAsJsonArray("initcalls").get(20))
                .isEqualTo(
                        JsonParser.parseString(
                                """
                                {"number": 21, "level": "7", "pass": "late",
                                 "function": "same_name", "module": "drv_b", "logged": false}"""));
        assertThat(json.getAsJsonArray("levels"))
                .contains(
                        JsonParser.parseString(
                                """
                                {"level": "6", "pass": "device", "calls": 3, "usecs": 5032,
                                 "failed": 1}"""));
        assertThat(json.getAsJsonArray("other_calls"))
                .containsExactly(
                        JsonParser.parseString(
                                """
                                {"function": "r_init", "module": "retneg", "pid": 97,
                                 "called_at": 500000, "usecs": 3, "result": -22}"""));
        assertThat(json.getAsJsonArray("unknown")).isNotEmpty();
        assertThat(run.err()).isEmpty();
    }

    @Test
    void aFileWithoutInitcallsIsAnError(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("map"), "c1000000 T _text\n");
        Run run = Run.of("initcalls", file.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out()).isEmpty();
        assertThat(run.err())
                .contains("not known: Initcalls: there are no symbols __initcall_")
                .endsWith("koloader: ERROR: " + file + ": no initcalls found\n");
    }

    @Test
    void aFileThatIsNoKernelIsOneLine(@TempDir Path folder) throws IOException {
        Path text = Files.writeString(folder.resolve("x"), "hello, world\n".repeat(9));
        for (String file : new String[] {text.toString(), folder.toString(), "nosuch"}) {
            Run run = Run.of("initcalls", file);
            assertThat(run.status()).isEqualTo(1);
            assertThat(run.out()).isEmpty();
            assertThat(run.err())
                    .startsWith("koloader: ERROR: " + file + ": ")
                    .doesNotContain(file + ": " + file)
                    .hasLineCount(1);
        }
    }

    @Test
    void controlCharactersOfNamesAreShownAsNumbers(@TempDir Path folder) throws IOException {
        Path file =
                Files.writeString(folder.resolve("map"), "c1000000 d __initcall_\u001b[31mred6\n");
        Run run = Run.of("initcalls", file.toString());
        assertThat(run.out()).contains("\\x1b[31mred").doesNotContain("\u001b");
        Path bad = Files.writeString(folder.resolve("bad"), "c1000000 d a\nx\u001b[31m\n");
        assertThat(Run.of("initcalls", bad.toString()).err())
                .isEqualTo(
                        "koloader: ERROR: "
                                + bad
                                + ": 2: not address, type and name: x\\x1b[31m\n");
    }
}

package io.github.koloader.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiffInitcallsCommandTest {
    @Test
    void theSameOrderIsStatusZero() {
        Run run = Run.of("diff-initcalls", Run.map("x86_64-prel32"), Run.map("i386-prel32"));
        assertThat(run.out())
                .isEqualTo(
                        "24 unchanged, 0 removed, 0 added, 0 at another level, 0 at another"
                                + " place\n");
        assertThat(run.status()).isZero();
    }

    @Test
    void changesAreATable(@TempDir Path folder) throws IOException {
        Run run = Run.of("diff-initcalls", Run.map("x86_64-prel32"), changed(folder));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out())
                .isEqualTo(
                        """
                        change   level    from  to  function       module  behind
                        removed  early       2   -  levels_early   levels
                        added    6           -  18  new_init       new     drv_b_init
                        level    7 -> 7s    20  22  levels_late    levels  same_name
                        order    6          16  16  levels_device  levels  drv_a_init

                        21 unchanged, 1 removed, 1 added, 1 at another level, 1 at another place
                        """);
    }

    @Test
    void jsonHasTheChanges(@TempDir Path folder) throws IOException {
        Run run = Run.of("diff-initcalls", "--json", Run.map("x86_64-prel32"), changed(folder));
        assertThat(run.status()).isEqualTo(1);
        assertThat(JsonParser.parseString(run.out()))
                .isEqualTo(
                        JsonParser.parseString(
                                """
                                {"unchanged": 21, "changes": [
                                 {"change": "removed", "level_from": "early", "from": 2,
                                  "function": "levels_early", "module": "levels"},
                                 {"change": "added", "level_to": "6", "to": 18,
                                  "function": "new_init", "module": "new", "behind": "drv_b_init"},
                                 {"change": "level", "level_from": "7", "level_to": "7s",
                                  "from": 20, "to": 22, "function": "levels_late",
                                  "module": "levels", "behind": "same_name"},
                                 {"change": "order", "level_from": "6", "level_to": "6",
                                  "from": 16, "to": 16, "function": "levels_device",
                                  "module": "levels", "behind": "drv_a_init"}]}"""));
    }

    /** One removed, one added, one sync instead of plain, one at another place. */
    private static String changed(Path folder) throws IOException {
        String map = Files.readString(Path.of(Run.map("x86_64-prel32")));
        return Files.writeString(
                        folder.resolve("map"),
                        map.replace("ffffffff810033d0 d __initcall__kmod", "ffffffff810033d0 d x")
                                        // in the table's order now: drv_a_init, levels_device,
                                        // drv_b_init
                                        .replace("ffffffff81003408 d __", "ffffffff8100340b d __")
                                        .replace("ffffffff8100340c d __", "ffffffff81003408 d __")
                                        .replace(
                                                "ffffffff81003418 d __initcall__kmod_levels__1_15_levels_late7",
                                                "ffffffff81003421 d __initcall__kmod_levels__1_15_levels_late7s")
                                + "ffffffff81003412 d __initcall__kmod_new__1_2_new_init6\n")
                .toString();
    }

    @Test
    void aKernelWithoutInitcallsIsAnError(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("map"), "c1000000 T _text\n");
        Run run = Run.of("diff-initcalls", Run.map("arm-abs"), file.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out()).isEmpty();
        assertThat(run.err()).endsWith("koloader: ERROR: " + file + ": no initcalls found\n");
    }

    @Test
    void oneKernelIsWrongUsage() {
        assertThat(Run.of("diff-initcalls", Run.map("arm-abs")).status()).isEqualTo(2);
    }

    @Test
    void formsThatOneKernelDoesNotTellAreNoDifference() {
        String mini = "../loader-elf/src/test/resources/vmlinux-mini/x86_64-prel32";
        Run run = Run.of("diff-initcalls", mini + "-stripped.elf", mini + ".elf");
        assertThat(run.out()).endsWith("0 at another level, 0 at another place\n");
    }
}

package io.github.koloader.elf.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Initcall;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class InitcallSymbolsTest {
    private static final String BOUNDS =
            """
            c0000000 D __initcall_start
            c0000010 D __initcall0_start
            c0000020 D __initcall1_start
            c0000030 D __initcall2_start
            c0000040 D __initcall3_start
            c0000050 D __initcall4_start
            c0000060 D __initcall5_start
            c0000070 D __initcallrootfs_start
            c0000080 D __initcall6_start
            c0000090 D __initcall7_start
            c00000a0 D __con_initcall_start
            c00000a0 D __initcall_end
            c00000b0 D __con_initcall_end
            c00000b0 D __security_initcall_start
            c00000c0 D __security_initcall_end
            """;

    @ParameterizedTest
    @ValueSource(strings = {"x86_64-prel32", "i386-prel32", "arm-abs"})
    void theMiniKernelsRunInTheOrderOfTheirLog(String kernel) throws IOException {
        InitcallSymbols symbols =
                SystemMap.read(Path.of("src/test/resources/system-map", kernel + ".map"))
                        .initcalls();
        assertThat(symbols.initcalls())
                .extracting(call -> call.level().id() + " " + call.name())
                .containsExactly(
                        "con levels_console",
                        "early levels_early",
                        "0 levels_pure",
                        "1 levels_core",
                        "1 drv_a_core",
                        "1s levels_core_sync",
                        "2 levels_postcore",
                        "2s levels_postcore_sync",
                        "3 levels_arch",
                        "3s levels_arch_sync",
                        "4 levels_subsys",
                        "4s levels_subsys_sync",
                        "5 levels_fs",
                        "5s levels_fs_sync",
                        "rootfs levels_rootfs",
                        "6 levels_device",
                        "6 drv_a_init",
                        "6 drv_b_init",
                        "6s levels_device_sync",
                        "7 levels_late",
                        "7 same_name",
                        "7 same_name",
                        "7s levels_late_sync",
                        "7s drv_b_report");
    }

    @Test
    void modulesAreInTheNamesSince5_12() throws IOException {
        InitcallSymbols now = map("x86_64-prel32");
        assertThat(now.initcalls())
                .filteredOn(call -> call.name().equals("same_name"))
                .extracting(call -> call.module().orElseThrow())
                .containsExactly("drv_b", "drv_c");
        assertThat(now.unknown())
                .containsExactly(
                        "Initcalls: addresses of 2 functions: no symbol, or more than one, has the name.");

        InitcallSymbols before = map("arm-abs");
        assertThat(before.initcalls()).allMatch(call -> call.module().isEmpty());
        assertThat(before.unknown())
                .containsExactly(
                        "Initcalls: addresses of 2 functions: no symbol, or more than one, has the name.",
                        "Initcalls: modules of 24 calls: their symbols name none, as before 5.12.");
    }

    private static InitcallSymbols map(String kernel) throws IOException {
        return SystemMap.read(Path.of("src/test/resources/system-map", kernel + ".map"))
                .initcalls();
    }

    @Test
    void addressesAreThoseOfTheFunctions() throws IOException {
        assertThat(
                        read(
                                "c1000000 t loop_init",
                                "c1000010 t twice",
                                "c1000020 t twice",
                                "c0000080 d __initcall_loop_init6",
                                "c0000084 d __initcall_twice6",
                                "c0000088 d __initcall_nowhere6"))
                .extracting(Initcall::function)
                .containsExactly(new Address(0xc100_0000L), Address.NULL, Address.NULL);
    }

    @Test
    void codeIsPreferredToDataOfTheSameName() throws IOException {
        assertThat(read("c2000000 d f", "c1000000 t f", "c0000080 d __initcall_f6"))
                .extracting(Initcall::function)
                .containsExactly(new Address(0xc100_0000L));
        assertThat(read("c2000000 d f", "c0000080 d __initcall_f6"))
                .as("a descriptor")
                .extracting(Initcall::function)
                .containsExactly(new Address(0xc200_0000L));
    }

    @ParameterizedTest
    @CsvSource({
        "c0000000, __initcall_fearly, early, f, ",
        "c0000010, __initcall_f0, 0, f, ",
        "c0000060, __initcall_f5, 5, f, ",
        "c0000064, __initcall_f5s, 5s, f, ",
        "c0000070, __initcall_frootfs, rootfs, f, ",
        "c0000080, __initcall_f16, 6, f1, ",
        "c0000080, __initcall_f6s, 6s, f, ",
        "c0000080, __initcall_f_6s6, 6, f_6s, ",
        "c00000a0, __initcall_f, con, f, ",
        "c00000a0, __initcall_fcon, con, f, ",
        "c00000b0, __initcall_f, security, f, ",
        "c0000080, __initcall__kmod_loop__423_2271_f6, 6, f, loop",
        "c0000084, __initcall__kmod_loop__423_2271_f6s, 6s, f, loop",
        "c00000a0, __initcall__kmod_vt__423_2271_fcon, con, f, vt",
        "c0000080, __initcall__kmod_a__b__1_2_f6, 6, f, a__b",
        "c0000080, __initcall__kmod_a_1_2__3_4_f6, 6, f, a_1_2",
        "c0000080, __initcall__kmod_6, 6, _kmod_, ",
        "c0000080, __initcall__kmod_x6, 6, _kmod_x, ",
        "c0000080, __initcall__kmod___1_2_6, 6, _kmod___1_2_, ",
        "c0000060, __initcall_f6, 5, f6, ",
        "c0000060, __initcall_f, 5, f, ",
    })
    void namesAndPlacesTellLevelFunctionAndModule(
            String address, String symbol, String level, String function, String module)
            throws IOException {
        assertThat(read(address + " d " + symbol))
                .singleElement()
                .satisfies(
                        call -> {
                            assertThat(call.level().id()).isEqualTo(level);
                            assertThat(call.name()).isEqualTo(function);
                            assertThat(call.module().orElse(null)).isEqualTo(module);
                        });
    }

    @Test
    void ofSeveralMeaningsThatOfAFunctionWhichIsThereCounts() throws IOException {
        String entry = "c0000080 d __initcall__kmod_a__1_2_b__3_4_f6";
        assertThat(read(entry, "c1000000 t f")).extracting(Initcall::name).containsExactly("f");
        assertThat(read(entry, "c1000000 t b__3_4_f"))
                .extracting(Initcall::name)
                .containsExactly("b__3_4_f");
        assertThat(read("c00000a0 d __initcall_falcon", "c1000000 t falcon"))
                .extracting(Initcall::name)
                .containsExactly("falcon");
        assertThat(read("c00000a0 d __initcall_falcon", "c1000000 t fal"))
                .extracting(Initcall::name)
                .containsExactly("fal");
    }

    @Test
    void thePlaceCountsMoreThanTheIdInTheName() throws IOException {
        InitcallSymbols symbols =
                SystemMap.parse(BOUNDS + "c0000060 d __initcall_f6\nc1000000 t f\n", "x")
                        .initcalls();
        assertThat(symbols.initcalls())
                .singleElement()
                .satisfies(
                        call -> {
                            assertThat(call.level().id()).isEqualTo("5");
                            assertThat(call.name()).isEqualTo("f");
                        });
        assertThat(symbols.unknown())
                .contains(
                        "Initcalls: why 1 entries have another id in their names than the level that they lie in.");
    }

    @Test
    void whatLiesOutsideOfTheTablesIsNoEntry() throws IOException {
        InitcallSymbols symbols =
                SystemMap.parse(
                                BOUNDS
                                        + "c0000080 d __initcall_a6\n"
                                        + "c0000080 d __initcall_b6\n"
                                        + "c1000000 d __initcall_c6\n",
                                "x")
                        .initcalls();
        assertThat(symbols.initcalls()).extracting(Initcall::name).containsExactly("a");
        assertThat(symbols.unknown())
                .contains(
                        "Initcalls: 2 symbols __initcall_… count as no entries: they lie outside of the"
                                + " tables, or where another one lies.");
    }

    @Test
    void linesMayBeInAnyOrder() throws IOException {
        assertThat(
                        read(
                                "c0000088 d __initcall_c6",
                                "c0000090 d __initcall_d7",
                                "c0000080 d __initcall_a6",
                                "c00000a0 d __initcall_console",
                                "c0000084 d __initcall_b6s"))
                .extracting(Initcall::name)
                .containsExactly("console", "a", "b", "c", "d");
    }

    @Test
    void aStubOfLinkTimeOptimisationIsWhatIsCalled() throws IOException {
        List<Initcall> calls =
                read(
                        "c1000000 t __initstub__kmod_loop__423_2271_loop_init6",
                        "c0000080 d __initcall__kmod_loop__423_2271_loop_init6");
        assertThat(calls)
                .singleElement()
                .satisfies(
                        call -> {
                            assertThat(call.function()).isEqualTo(new Address(0xc100_0000L));
                            assertThat(call.name())
                                    .isEqualTo("__initstub__kmod_loop__423_2271_loop_init6");
                            assertThat(call.sourceName()).isEqualTo("loop_init");
                            assertThat(call.module()).contains("loop");
                        });
    }

    @Test
    void withoutBoundsTheIdsTellTheLevels() throws IOException {
        InitcallSymbols symbols =
                SystemMap.parse(
                                "01 d __initcall_b7\n"
                                        + "02 d __initcall_a6\n"
                                        + "03 d __initcall_conny\n"
                                        + "04 d __initcall_c16s\n",
                                "x")
                        .initcalls();
        assertThat(symbols.initcalls())
                .extracting(call -> call.level().id() + " " + call.name())
                .containsExactly("con conny", "6 a", "6s c1", "7 b");
        assertThat(symbols.unknown())
                .contains(
                        "Initcalls: whether levels are those in the symbols' names: there is no"
                                + " __initcall0_start and the like.");
    }

    @Test
    void boundsThatAreMissingWidenThePartBefore() throws IOException {
        InitcallSymbols symbols =
                SystemMap.parse(
                                "10 D __initcall_start\n"
                                        + "30 D __initcall_end\n"
                                        + "10 d __initcall_fearly\n"
                                        + "14 d __initcall_g6s\n"
                                        + "18 d __initcall_h7\n",
                                "x")
                        .initcalls();
        assertThat(symbols.initcalls())
                .extracting(call -> call.level().id() + " " + call.name())
                .containsExactly("early f", "6s g", "7 h");
    }

    @Test
    void addressesThatAreHiddenTellNoOrder() throws IOException {
        InitcallSymbols symbols =
                SystemMap.parse(
                                "0000000000000000 D __initcall_start\n"
                                        + "0000000000000000 d __initcall_f6\n",
                                "x")
                        .initcalls();
        assertThat(symbols.initcalls()).isEmpty();
        assertThat(symbols.unknown())
                .containsExactly(
                        "Initcalls: all addresses are 0, as /proc/kallsyms shows them to"
                                + " users other than root.");
    }

    @Test
    void withoutSymbolsOfEntriesThereAreNone() throws IOException {
        InitcallSymbols symbols = SystemMap.parse(BOUNDS + "c1000000 t f\n", "x").initcalls();
        assertThat(symbols.initcalls()).isEmpty();
        assertThat(symbols.unknown())
                .singleElement()
                .asString()
                .startsWith("Initcalls: there are no symbols");
    }

    @Test
    void hostileNamesTakeLittleTime() throws IOException {
        String digits = "__initcall__kmod_" + "__1_2_".repeat(200_000) + "f6";
        String many = "c0000080 d __initcall__kmod_" + "__1_2_".repeat(150) + "f6\n";
        String text = BOUNDS + "c0000080 d " + digits + "\n" + many.repeat(2000);
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(20), () -> SystemMap.parse(text, "x").initcalls());
    }

    @Test
    void manyHostileNamesTakeLittleTimeAndMemory() throws IOException {
        String tail = "__1_2_".repeat(150) + "f6\n";
        StringBuilder text = new StringBuilder(BOUNDS);
        for (int i = 0; i < 30_000; i++) {
            text.append("c0000080 d __initcall__kmod_m").append(i).append(tail);
        }
        SystemMap map = SystemMap.parse(text.toString(), "x");
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), map::initcalls);
    }

    @Test
    void moreThanAKernelCanHaveAreNone() throws IOException {
        StringBuilder text = new StringBuilder(BOUNDS);
        for (int i = 0; i <= 100_000; i++) {
            text.append("c0000080 d __initcall_f").append(i).append("_6\n");
        }
        InitcallSymbols symbols = SystemMap.parse(text.toString(), "x").initcalls();
        assertThat(symbols.initcalls()).isEmpty();
        assertThat(symbols.unknown())
                .containsExactly(
                        "Initcalls: 100001 symbols __initcall_… are too many for a kernel.");
    }

    private static List<Initcall> read(String... lines) throws IOException {
        return SystemMap.parse(BOUNDS + String.join("\n", lines) + "\n", "x")
                .initcalls()
                .initcalls();
    }
}

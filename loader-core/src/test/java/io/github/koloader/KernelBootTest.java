package io.github.koloader;

import static io.github.koloader.InitcallLevel.CONSOLE;
import static io.github.koloader.InitcallLevel.CORE;
import static io.github.koloader.InitcallLevel.CORE_SYNC;
import static io.github.koloader.InitcallLevel.DEVICE;
import static io.github.koloader.InitcallLevel.DEVICE_SYNC;
import static io.github.koloader.InitcallLevel.EARLY;
import static io.github.koloader.InitcallLevel.FS;
import static io.github.koloader.InitcallLevel.FS_SYNC;
import static io.github.koloader.InitcallLevel.LATE;
import static io.github.koloader.InitcallLevel.PURE;
import static io.github.koloader.InitcallLevel.ROOTFS;
import static io.github.koloader.InitcallLevel.SECURITY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class KernelBootTest {
    private static final Executor OK = call -> 0;

    private static BootKernel x86() {
        return new BootKernel(Architectures.X86_64);
    }

    private static List<String> boot(Kernel kernel, String commandLine) {
        kernel.boot(commandLine);
        return kernel.log().lines();
    }

    // ---- order ----

    @Test
    void initcallsRunLevelByLevelWhateverTheLinkOrder() {
        BootKernel kernel = x86();
        List<InitcallLevel> levels =
                new ArrayList<>(
                        List.of(
                                CONSOLE,
                                EARLY,
                                PURE,
                                CORE,
                                CORE_SYNC,
                                FS,
                                FS_SYNC,
                                ROOTFS,
                                DEVICE,
                                DEVICE_SYNC,
                                LATE));
        Collections.reverse(levels);
        levels.forEach(level -> kernel.initcall(level, "run_" + level.id(), OK));
        BootReport report = kernel.kernel().build().boot("");
        assertThat(report.called())
                .containsExactly(
                        "run_con",
                        "run_early",
                        "run_0",
                        "run_1",
                        "run_1s",
                        "run_5",
                        "run_5s",
                        "run_rootfs",
                        "run_6",
                        "run_6s",
                        "run_7");
    }

    @Test
    void securityFrameworksRunUpTo4_20() {
        BootKernel kernel = x86().initcall(SECURITY, "selinux_init", OK);
        LinkedKernel linked = kernel.link();
        assertThat(booted(linked, KernelConfig.linux3_10()).called())
                .containsExactly("selinux_init");
        assertThat(booted(linked, KernelConfig.linux6_1()).called()).isEmpty();
    }

    private static BootReport booted(LinkedKernel linked, KernelConfig config) {
        return Kernel.builder(linked.architecture()).config(config).linked(linked).build().boot("");
    }

    @Test
    void aFailureStopsNothingAndIsReported() {
        Kernel kernel =
                x86().initcall(DEVICE, "fails", call -> -19)
                        .initcall(LATE, "goes_on", OK)
                        .kernel()
                        .build();
        BootReport report = kernel.boot("");
        assertThat(report.called()).containsExactly("fails", "goes_on");
        assertThat(report.initcalls().get(0).returned()).isEqualTo(-19);
        assertThat(kernel.log().lines()).noneMatch(line -> line.contains("fails"));
    }

    @Test
    void aKernelBootsOnce() {
        Kernel kernel = x86().kernel().build();
        kernel.boot("");
        assertThatThrownBy(() -> kernel.boot("")).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void whatIsNotJavaIsHandedToTheExecutor() {
        BootKernel kernel = x86();
        Address entry = kernel.initStart().plus(0x100);
        kernel.builder().initcall(new Initcall(DEVICE, entry, "loop_init", Optional.of("loop")));
        List<String> seen = new ArrayList<>();
        JavaExecutor executor =
                JavaExecutor.builder()
                        .bind(
                                "loop",
                                "loop_init",
                                call -> {
                                    seen.add(
                                            call.phase()
                                                    + " "
                                                    + call.owner().orElseThrow()
                                                    + " "
                                                    + call.function().orElseThrow()
                                                    + " "
                                                    + call.isBuiltIn());
                                    assertThat(call.entry()).isEqualTo(entry);
                                    assertThatThrownBy(call::module)
                                            .isInstanceOf(IllegalStateException.class);
                                    return -5;
                                })
                        .build();
        BootReport report = kernel.kernel().executor(executor).build().boot("");
        assertThat(seen).containsExactly("INITCALL loop loop_init true");
        assertThat(report.initcalls().get(0).returned()).isEqualTo(-5);
    }

    @Test
    void aBuiltInFunctionIsBoundByItsNameAlone() {
        BootKernel kernel = x86();
        kernel.builder()
                .initcall(
                        new Initcall(DEVICE, kernel.initStart(), "loop_init", Optional.of("loop")));
        JavaExecutor executor = JavaExecutor.builder().bindBuiltIn("loop_init", call -> -7).build();
        BootReport report = kernel.kernel().executor(executor).build().boot("");
        assertThat(report.initcalls().get(0).returned()).isEqualTo(-7);
    }

    @Test
    void functionsAreBuiltInOneByOne() {
        List<String> order = new ArrayList<>();
        Executor notes = call -> order.add(call.function().orElseThrow()) ? 0 : 1;
        Kernel.Builder builder =
                Kernel.builder(Architectures.X86_64)
                        .builtIn(new BuiltIn(LATE, "last", notes))
                        .builtIn(new BuiltIn(DEVICE, "second", notes))
                        .builtIn(new BuiltIn(DEVICE, "third", notes))
                        .builtIn(new BuiltIn(EARLY, "first", notes));
        Kernel kernel = builder.build();
        Address third = kernel.addressOf("third").orElseThrow();
        kernel.boot("initcall_debug");
        assertThat(order).containsExactly("first", "second", "third", "last");
        assertThat(kernel.log().lines())
                .anyMatch(line -> line.matches("calling  third\\+0x0/0x10 @ 1"));
        assertThatThrownBy(() -> kernel.call(third)).isInstanceOf(AddressFaultException.class);
        assertThatThrownBy(() -> builder.linked(x86().link()).build())
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void constructorsRunBeforeLevelZeroWhereTheyAreConfigured() {
        BootKernel built = x86();
        List<String> order = new ArrayList<>();
        Address table = built.variable(8);
        Address constructor = built.function("ctor", call -> order.add("ctor") ? 0 : 1);
        built.initcall(EARLY, "early", call -> order.add("early") ? 0 : 1);
        built.initcall(PURE, "pure", call -> order.add("pure") ? 0 : 1);
        built.symbol("__ctors_start", table).symbol("__ctors_end", table.plus(8));
        built.pointer(table, constructor);
        LinkedKernel linked = built.link();
        KernelConfig plain = KernelConfig.linux6_1();
        booted(linked, plain);
        assertThat(order).containsExactly("early", "pure");
        order.clear();
        booted(linked, plain.toBuilder().kconfig("CONFIG_CONSTRUCTORS", true).build());
        assertThat(order).containsExactly("early", "ctor", "pure");
    }

    // ---- what is said ----

    /** Goes on by 1,500 ns each time it is asked. */
    private static final class Ticking extends Clock {
        private Instant now = Instant.EPOCH;

        @Override
        public Instant instant() {
            now = now.plus(Duration.ofNanos(1500));
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    }

    @Test
    void initcallDebugLogsEachCallWithItsThreadResultAndTime() {
        Kernel kernel =
                x86().initcall(CONSOLE, "con_init", OK)
                        .initcall(EARLY, "first", OK)
                        .initcall(DEVICE, "fails", call -> -19)
                        .kernel()
                        .clock(new Ticking())
                        .build();
        assertThat(boot(kernel, "initcall_debug"))
                .containsExactly(
                        "Kernel command line: initcall_debug",
                        "calling  con_init+0x0/0x10 @ 0",
                        "initcall con_init+0x0/0x10 returned 0 after 1 usecs",
                        "calling  first+0x0/0x10 @ 1",
                        "initcall first+0x0/0x10 returned 0 after 1 usecs",
                        "calling  fails+0x0/0x10 @ 1",
                        "initcall fails+0x0/0x10 returned -19 after 1 usecs",
                        "Freeing unused kernel image (initmem) memory: 12K");
        assertThat(kernel.log().entries().get(1).line().level()).isEqualTo(LogLevel.DEBUG);
    }

    @Test
    void beforeTracingConsolesAreNotLogged() {
        Kernel kernel =
                x86().initcall(CONSOLE, "con_init", OK)
                        .initcall(EARLY, "first", OK)
                        .kernel()
                        .config(KernelConfig.linux3_10())
                        .build();
        assertThat(boot(kernel, "initcall_debug=1"))
                .contains("calling  first+0x0/0x10 @ 1")
                .noneMatch(line -> line.contains("con_init"));
    }

    @Test
    void initcallDebugIsSwitchedWhileItRuns() {
        BootKernel built = x86();
        built.initcall(
                CORE,
                "switches",
                call -> {
                    call.kernel().initcallDebug(true);
                    return 0;
                });
        built.initcall(DEVICE, "logged", OK);
        assertThat(boot(built.kernel().build(), ""))
                .anyMatch(line -> line.startsWith("calling  logged+0x0/0x10 @ 1"))
                .noneMatch(line -> line.contains("switches"));
    }

    @Test
    void aBlacklistedFunctionIsNotRunAndAnswersEperm() {
        Kernel kernel =
                x86().initcall(DEVICE, "bad_init", OK)
                        .initcall(DEVICE, "good_init", OK)
                        .initcall(LATE, "other_bad", OK)
                        .kernel()
                        .build();
        BootReport report =
                kernel.boot(
                        "initcall_blacklist=bad_init,x initcall_blacklist=other_bad initcall_debug");
        assertThat(report.called()).containsExactly("good_init");
        assertThat(report.initcalls())
                .extracting(BootReport.Result::blacklisted, BootReport.Result::returned)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple(true, -1),
                        org.assertj.core.groups.Tuple.tuple(false, 0),
                        org.assertj.core.groups.Tuple.tuple(true, -1));
        assertThat(kernel.log().lines()).noneMatch(line -> line.contains("calling  bad_init"));
    }

    @Test
    void theBlacklistNeedsKallsyms() {
        Kernel kernel =
                x86().initcall(DEVICE, "bad_init", OK)
                        .kernel()
                        .config(KernelConfig.linux6_1().toBuilder().kallsyms(false).build())
                        .build();
        BootReport report = kernel.boot("initcall_blacklist=bad_init");
        assertThat(report.called()).containsExactly("bad_init");
        assertThat(kernel.log().lines()).contains("initcall_blacklist requires CONFIG_KALLSYMS");
    }

    @Test
    void anImbalanceIsWarnedAboutAndPutRight() {
        Kernel kernel =
                x86().initcall(
                                CORE,
                                "both",
                                call -> {
                                    call.kernel().processor().preemptDisable();
                                    call.kernel().processor().localIrqDisable();
                                    return 0;
                                })
                        .initcall(
                                CORE,
                                "enables",
                                call -> {
                                    assertThat(call.kernel().processor().preemptCount()).isZero();
                                    assertThat(call.kernel().processor().irqsDisabled()).isFalse();
                                    call.kernel().processor().preemptEnable();
                                    return 0;
                                })
                        .kernel()
                        .build();
        BootReport report = kernel.boot("");
        assertThat(kernel.log().lines())
                .contains(
                        "------------[ cut here ]------------",
                        "initcall both+0x0/0x10 returned with preemption imbalance disabled interrupts ",
                        "initcall enables+0x0/0x10 returned with preemption imbalance ");
        assertThat(report.initcalls().get(0).imbalance())
                .isEqualTo("preemption imbalance disabled interrupts ");
        assertThat(kernel.taints()).containsExactly(Taint.WARN);
        assertThat(kernel.processor().preemptCount()).isZero();
    }

    // ---- command line ----

    @Test
    void parametersAreSetBeforeTheInitcallsOfTheirLevel() {
        List<String> order = new ArrayList<>();
        BootKernel built = x86();
        for (InitcallLevel level : List.of(CONSOLE, EARLY, PURE, FS, LATE)) {
            built.initcall(
                    level,
                    "call " + level.id(),
                    call -> {
                        order.add("call " + level.id());
                        return 0;
                    });
        }
        Kernel kernel = built.kernel().build();
        for (int level : new int[] {-1, 0, 5, 7}) {
            kernel.parameters()
                    .add(
                            "m.p" + (level + 1),
                            level,
                            ParameterType.INT,
                            value -> order.add("level " + level + " = " + value));
        }
        kernel.boot("m.p8=8 m.p6=6 m.p1=1 m.p0=42");
        assertThat(order)
                .containsExactly(
                        "level -1 = 42",
                        "call con",
                        "call early",
                        "level 0 = 1",
                        "call 0",
                        "level 5 = 6",
                        "call 5",
                        "level 7 = 8",
                        "call 7");
    }

    @Test
    void aBadValueIsSaidWithTheNameOfThePassAndStopsNothing() {
        Kernel kernel = x86().initcall(LATE, "runs", OK).kernel().build();
        kernel.parameters().add("m.main", -1, ParameterType.INT, value -> {});
        kernel.parameters().add("m.late", 7, ParameterType.INT, value -> {});
        assertThat(kernel.boot("m.main=x m.late=y").called()).containsExactly("runs");
        assertThat(kernel.log().lines())
                .contains(
                        "Booting kernel: `x' invalid for parameter `m.main'",
                        "late: `y' invalid for parameter `m.late'");
    }

    @Test
    void theFirstLevelsPassHadAnotherName() {
        Kernel kernel = x86().kernel().config(KernelConfig.linux3_10()).build();
        kernel.parameters().add("m.p", 0, ParameterType.INT, value -> {});
        assertThat(boot(kernel, "m.p=x")).contains("early: `x' invalid for parameter `m.p'");
    }

    @Test
    void parametersInTheKernelsMemoryAreSetThere() {
        BootKernel built = x86();
        Address operations = built.variable(32);
        Address speed = built.variable(4);
        Address late = built.variable(4);
        List<Integer> seen = new ArrayList<>();
        built.export("param_ops_int", operations)
                .parameter("drv-a.speed", operations, -1, speed)
                .parameter("drv_a.late", operations, 7, late)
                .initcall(
                        DEVICE,
                        "looks",
                        call -> {
                            seen.add(call.memory().readInt(speed));
                            seen.add(call.memory().readInt(late));
                            return 0;
                        });
        Kernel kernel = built.kernel().build();
        kernel.boot("drv_a.speed=-7 drv_a.late=0x10 drv_a.none=1");
        assertThat(seen).containsExactly(-7, 0);
        assertThat(kernel.memory().readInt(late)).isEqualTo(16);
        assertThat(kernel.log().lines()).noneMatch(line -> line.contains("Unknown"));
    }

    @Test
    void textsOfParametersInTheKernelsMemoryAreCopied() {
        BootKernel built = x86();
        Address operations = built.variable(32);
        Address name = built.variable(8);
        built.export("param_ops_charp", operations).parameter("m.name", operations, -1, name);
        Kernel kernel = built.kernel().build();
        kernel.boot("m.name=first m.name=\"last one\"");
        assertThat(kernel.memory().readText(kernel.memory().readPointer(name), 100))
                .isEqualTo("last one");
    }

    @Test
    void handlersInTheKernelsMemoryAreCalledWithACopyOfTheText() {
        BootKernel built = x86();
        List<String> seen = new ArrayList<>();
        Address early =
                built.function(
                        "mini_early",
                        call -> {
                            seen.add(call.phase() + " " + call.optionValue());
                            return call.optionValue().isPresent() ? 0 : -22;
                        });
        Address setup =
                built.function(
                        "quiet_setup",
                        call -> {
                            seen.add(call.phase() + " " + call.optionValue());
                            return 1;
                        });
        Kernel kernel =
                built.option("mini-option", early, true)
                        .option("quiet", setup, false)
                        .kernel()
                        .build();
        int regions = kernel.memory().regions().size();
        BootReport report = kernel.boot("mini_option=1 mini-option quiet quietly=2 other");
        assertThat(seen)
                .containsExactly(
                        "EARLY_OPTION Optional[1]",
                        "EARLY_OPTION Optional.empty",
                        "SETUP_OPTION Optional[]",
                        "SETUP_OPTION Optional[ly=2]");
        assertThat(kernel.log().lines()).contains("Malformed early option 'mini-option'");
        assertThat(report.initArguments()).containsExactly("other");
        assertThat(kernel.memory().regions()).hasSize(regions);
    }

    @Test
    void whatNobodyKnowsIsForInit() {
        Kernel kernel = x86().kernel().build();
        kernel.bootOptions()
                .setup("taken=", value -> 1)
                .setup("refused=", value -> 0)
                .early("early", value -> 0);
        BootReport report =
                kernel.boot(
                        "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet taken=1 refused=2 early=3 splash"
                                + " module.param=4 HOME=/root a=\"b c\" hung_task_panic=1 -- single x=y");
        assertThat(report.initArguments()).containsExactly("splash", "single", "x=y");
        assertThat(report.initEnvironment())
                .containsExactly("HOME=/root", "TERM=linux", "refused=2", "a=b c");
        assertThat(kernel.log().lines())
                .contains(
                        "Unknown kernel command line parameters \"splash refused=2 a=b c\", will be passed to user space.");
    }

    @Test
    void initTakesBackWhatWasForItBefore() {
        assertThat(x86().kernel().build().boot("one init=/bin/sh two").initArguments())
                .containsExactly("two");
    }

    @Test
    void tooManyWordsForInitArePanicOnceConsolesAreThere() {
        List<String> ran = new ArrayList<>();
        Kernel kernel =
                x86().initcall(CONSOLE, "con_init", call -> ran.add("con") ? 0 : 1)
                        .initcall(EARLY, "never", call -> ran.add("never") ? 0 : 1)
                        .kernel()
                        .build();
        String words = "w".repeat(1) + " w".repeat(39);
        assertThatThrownBy(() -> kernel.boot(words))
                .isInstanceOf(KernelPanicException.class)
                .hasMessage("Too many boot init vars at `w'");
        assertThat(ran).containsExactly("con");
        assertThat(kernel.log().lines())
                .contains("Kernel panic - not syncing: Too many boot init vars at `w'")
                .noneMatch(line -> line.startsWith("Unknown kernel command line"));
    }

    // ---- init memory ----

    @Test
    void initMemoryIsPoisonedAndCallingIntoItFaults() {
        BootKernel built = x86().initcall(DEVICE, "gone_init", OK);
        Kernel kernel = built.kernel().build();
        Address entry = built.initStart();
        assertThat(kernel.call(entry)).isZero();
        kernel.boot("");
        assertThat(kernel.memory().read(entry, 3 * BootKernel.PAGE)).containsOnly(0xcc);
        assertThatThrownBy(() -> kernel.call(entry))
                .isInstanceOf(AddressFaultException.class)
                .hasMessageContaining("call into freed init memory");
        assertThat(kernel.memory().regionAt(entry).orElseThrow().rights().executable()).isFalse();
    }

    @Test
    void onlyWholePagesAreFreed() {
        BootKernel built = x86();
        LinkedKernel linked =
                built.builder()
                        .initArea(new AddressRange(built.initStart().plus(8), 2 * BootKernel.PAGE))
                        .block(
                                new LinkedKernel.Block(
                                        built.initStart(),
                                        io.github.koloader.image.Bytes.EMPTY,
                                        3 * BootKernel.PAGE,
                                        io.github.koloader.memory.Rights.READ_WRITE,
                                        ".init"))
                        .build();
        Kernel kernel = Kernel.builder(Architectures.X86_64).linked(linked).build();
        assertThat(boot(kernel, "")).contains("Freeing unused kernel image (initmem) memory: 4K");
        byte[] bytes = kernel.memory().read(built.initStart(), 3 * BootKernel.PAGE);
        int poisoned = 0;
        for (byte each : bytes) {
            poisoned += each == (byte) 0xcc ? 1 : 0;
        }
        assertThat(poisoned).isEqualTo(BootKernel.PAGE);
        assertThat(bytes[BootKernel.PAGE]).isEqualTo((byte) 0xcc);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "x86_64 | 6.12.0 | Freeing unused kernel image (initmem) memory: 12K",
                "x86_64 | 6.1.0 | Freeing unused kernel image (initmem) memory: 12K",
                "arm | 6.1.0 | Freeing unused kernel image (initmem) memory: 12K",
                "arm64 | 6.1.0 | Freeing unused kernel memory: 12K",
                "x86_64 | 4.19.0 | Freeing unused kernel image memory: 12K",
                "arm | 4.19.0 | Freeing unused kernel memory: 12K",
                "x86_64 | 4.14.0 | Freeing unused kernel memory: 12K",
                "x86_64 | 4.4.0 | Freeing unused kernel memory: 12K (ffffffff81002000 - ffffffff81005000)",
                "arm | 3.18.0 | Freeing unused kernel memory: 12K (c0302000 - c0305000)",
                "arm | 3.10.0 | Freeing unused kernel memory: 12K (c0302000 - c0305000)",
                "x86_64 | 3.10.0 | Freeing unused kernel memory: 12k freed"
            })
    void theLineAboutInitMemoryIsThatOfTheVersion(String arch, String release, String line) {
        BootKernel built = new BootKernel(Architectures.named(arch).orElseThrow());
        Kernel kernel = built.kernel().config(KernelConfig.forRelease(release)).build();
        assertThat(boot(kernel, "")).contains(line);
    }

    @Test
    void codeIsWritableUntilTheEndOfBootAndConstantFromThenOn() {
        BootKernel built = x86();
        Address text = Architectures.X86_64.kernelText().start();
        built.initcall(
                DEVICE,
                "patches",
                call -> {
                    call.memory().writeInt(text, 1);
                    return 0;
                });
        Kernel kernel = built.kernel().build();
        kernel.boot("");
        assertThatThrownBy(() -> kernel.memory().writeInt(text, 2))
                .isInstanceOf(AddressFaultException.class);
    }

    @Test
    void protectionCanBeSwitchedOff() {
        Kernel kernel = x86().kernel().build();
        assertThat(boot(kernel, "rodata=off")).contains("Kernel memory protection disabled.");
        kernel.memory().writeInt(Architectures.X86_64.kernelText().start(), 2);
    }

    @Test
    void aKernelForAnotherMachineIsRefused() {
        LinkedKernel arm = new BootKernel(Architectures.ARM).link();
        assertThatThrownBy(() -> Kernel.builder(Architectures.X86_64).linked(arm))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aKernelThatIsLargerThanTheLimitIsRefused() {
        assertThatThrownBy(() -> x86().kernel().memoryLimit(4 * BootKernel.PAGE).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("more than 16384 bytes");
    }

    // ---- with modules ----

    @Test
    void stubsOfAPermissiveKernelLieBehindTheLinkedOne() {
        BootKernel built = x86();
        Kernel kernel = built.kernel().config(Images.quiet6_1()).build();
        kernel.load(Images.importing("m", "nobody_exports"), "");
        assertThat(kernel.stubs().get("nobody_exports"))
                .isGreaterThanOrEqualTo(built.initStart().plus(3 * BootKernel.PAGE));
    }

    @Test
    void stubsLieBehindAKernelThatBeginsBelowWhereItsTextIsUsual() {
        Address below = Architectures.X86_64.kernelText().start().plus(-BootKernel.PAGE);
        LinkedKernel.Block block =
                new LinkedKernel.Block(
                        below, Bytes.EMPTY, 2 * BootKernel.PAGE, Rights.READ_WRITE, ".data");
        Kernel kernel =
                LinkedKernel.builder(Architectures.X86_64)
                        .block(block)
                        .build()
                        .kernel()
                        .config(Images.quiet6_1())
                        .build();
        kernel.load(Images.importing("m", "nobody_exports"), "");
        assertThat(kernel.stubs().get("nobody_exports"))
                .isGreaterThanOrEqualTo(block.range().end());
    }

    @Test
    void aModulesInitIsLoggedCheckedAndBlacklistedAsInitcallsAre() {
        Kernel kernel =
                x86().kernel()
                        .config(Images.quiet6_1())
                        .executor(
                                call -> {
                                    call.kernel().processor().localIrqDisable();
                                    return 0;
                                })
                        .build();
        kernel.boot("initcall_debug initcall_blacklist=exit_fn");
        kernel.load(Images.withInit("hello"), "");
        assertThat(kernel.log().lines())
                .anyMatch(line -> line.matches("calling  .*0x0/0x.* \\[hello\\] @ 1"))
                .anyMatch(line -> line.matches("initcall .*\\[hello\\] returned 0 after 0 usecs"))
                .anyMatch(
                        line ->
                                line.matches(
                                        "initcall .*\\[hello\\] returned with disabled interrupts "));
        assertThat(kernel.taints()).contains(Taint.WARN);
    }
}

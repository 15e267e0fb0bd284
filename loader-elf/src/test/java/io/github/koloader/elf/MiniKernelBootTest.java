package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.BootReport;
import io.github.koloader.Executor;
import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.Kernel;
import io.github.koloader.LinkedKernel;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Boots the mini kernels, with Java in the place of their machine code that reads and writes the
 * same variables, and compares what is said with what the machine code says when it runs.
 */
final class MiniKernelBootTest {
    static List<String> kernels() {
        return MiniKernels.NAMES;
    }

    /** What the functions of the mini kernel do, and what it logs. */
    private static final class MiniCode implements Executor {
        private final LinkedKernel linked;
        private final List<String> log = new ArrayList<>(List.of("start_kernel"));
        private int level = -1;
        private int count;

        MiniCode(LinkedKernel linked) {
            this.linked = linked;
        }

        private Address symbol(String name) {
            return linked.symbols().address(name).orElseThrow();
        }

        @Override
        public int call(Call call) {
            String function = call.function().orElseThrow();
            call.initcall().ifPresent(initcall -> enter(initcall.level()));
            switch (call.phase()) {
                case INITCALL -> count++;
                case EARLY_OPTION -> {
                    assertThat(function).isEqualTo("drv_b_setup");
                    char digit = call.optionValue().orElseThrow().charAt(0);
                    call.memory().writeInt(symbol("early_value"), digit - '0');
                    log.add("drv_b early_param " + digit);
                    return 0;
                }
                case SETUP_OPTION -> {
                    assertThat(function).isEqualTo("quiet_setup");
                    return 1;
                }
                default -> throw new AssertionError(call.phase());
            }
            switch (function) {
                case "drv_a_init" ->
                        log.add(function + " speed=" + call.memory().readInt(symbol("speed")));
                case "drv_b_report" ->
                        log.add(
                                "drv_b early_value="
                                        + call.memory().readInt(symbol("early_value")));
                case "drv_b_init" -> {
                    log.add(function);
                    log.add("initcall returned -19");
                    return -19;
                }
                case "same_name" -> {
                    // drv_b is linked before drv_c
                    boolean first = call.entry().equals(symbol(function));
                    log.add((first ? "drv_b " : "drv_c ") + function);
                }
                default -> log.add(function);
            }
            return 0;
        }

        private void enter(InitcallLevel next) {
            while (level < next.number().orElse(-1)) {
                log.add("level " + ++level + " " + InitcallLevel.passName(level));
            }
        }

        List<String> log() {
            List<String> all = new ArrayList<>(log);
            all.add("done " + count);
            return all;
        }
    }

    private static List<String> expectedLog() throws IOException {
        try (InputStream in =
                MiniKernelBootTest.class.getResourceAsStream("/vmlinux-mini/expected-log.txt")) {
            assertThat(in).isNotNull();
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII).lines().toList();
        }
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void aMiniKernelSaysWhatItsMachineCodeSays(String name) throws IOException {
        LinkedKernel linked = MiniKernels.read(name);
        MiniCode code = new MiniCode(linked);
        Kernel kernel = linked.kernel().executor(code).build();

        BootReport report = kernel.boot("mini=1 quiet");

        assertThat(code.log()).isEqualTo(expectedLog());
        assertThat(report.initcalls())
                .extracting(BootReport.Result::initcall)
                .isEqualTo(linked.initcalls());
        assertThat(kernel.log().lines()).noneMatch(line -> line.startsWith("Unknown kernel"));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void aParameterOnTheCommandLineIsWrittenToItsVariable(String name) throws IOException {
        LinkedKernel linked = MiniKernels.read(name);
        MiniCode code = new MiniCode(linked);

        linked.kernel().executor(code).build().boot("drv-a.speed=0x11 mini=1");

        assertThat(code.log())
                .isEqualTo(
                        expectedLog().stream()
                                .map(line -> line.replace("speed=3", "speed=17"))
                                .toList());
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void withoutSymbolsTheSameFunctionsRunInTheSameOrder(String name) {
        List<Address> full = entries(MiniKernels.read(name));
        List<Address> stripped = entries(MiniKernels.read(name + "-stripped"));

        assertThat(stripped).hasSize(24).isEqualTo(full);
    }

    private static List<Address> entries(LinkedKernel linked) {
        List<Address> entries = new ArrayList<>();
        Executor executor =
                call -> {
                    call.initcall().map(Initcall::function).ifPresent(entries::add);
                    return 0;
                };
        linked.kernel().executor(executor).build().boot("");
        return entries;
    }

    /**
     * The symbols of a mini kernel say that its init area ends within a page, of which only whole
     * ones are given back; without symbols the page of its init sections counts.
     */
    @ParameterizedTest
    @MethodSource("kernels")
    void afterBootThePagesOfItsInitMemoryAreGone(String name) {
        LinkedKernel full = MiniKernels.read(name);
        LinkedKernel stripped = MiniKernels.read(name + "-stripped");
        Address entry = full.symbols().address("drv_a_init").orElseThrow();
        Address printk = full.symbols().address("_printk").orElseThrow();

        Kernel keeps = full.kernel().build();
        keeps.boot("");
        assertThat(keeps.call(entry)).isZero();
        assertThat(keeps.log().lines()).noneMatch(line -> line.startsWith("Freeing"));

        Kernel frees = stripped.kernel().build();
        frees.boot("");
        assertThat(frees.memory().readInt(entry)).isEqualTo(0xcccccccc);
        assertThatThrownBy(() -> frees.call(entry)).isInstanceOf(AddressFaultException.class);
        assertThat(frees.call(printk)).isZero();
        assertThat(frees.log().lines())
                .anyMatch(line -> line.matches("Freeing unused kernel.* memory: 4K"));
    }
}

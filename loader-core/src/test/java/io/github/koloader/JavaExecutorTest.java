package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.verifyNoMoreInteractions;
import static org.mockito.Mockito.when;

import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class JavaExecutorTest {
    private static Kernel kernel(Executor executor) {
        return Kernel.builder(Architectures.X86_64)
                .config(Images.quiet6_1())
                .executor(executor)
                .build();
    }

    @Test
    void aFunctionIsBoundByTheNameOfItsEntry() {
        List<Executor.Phase> phases = new ArrayList<>();
        Kernel kernel =
                kernel(
                        JavaExecutor.builder()
                                .bind("m", "init_module", call -> note(phases, call))
                                .bind("m", "cleanup_module", call -> note(phases, call))
                                .build());
        kernel.load(Images.withInitAndExit("m"), "");
        kernel.unload("m");
        assertThat(phases).containsExactly(Executor.Phase.INIT, Executor.Phase.EXIT);
    }

    @Test
    void exitRunsInAKernelWithoutKallsymsAsWell() {
        List<Executor.Phase> phases = new ArrayList<>();
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1().toBuilder().kallsyms(false).build())
                        .executor(
                                JavaExecutor.builder()
                                        .bind("m", "init_module", call -> note(phases, call))
                                        .bind("m", "cleanup_module", call -> note(phases, call))
                                        .build())
                        .build();
        kernel.load(Images.withInitAndExit("m"), "");
        kernel.unload("m");
        assertThat(phases).containsExactly(Executor.Phase.INIT, Executor.Phase.EXIT);
    }

    private static int note(List<Executor.Phase> phases, Executor.Call call) {
        phases.add(call.phase());
        return 0;
    }

    @Test
    void aFunctionIsBoundByItsLocalNameAsWell() {
        ImageBuilder builder = Images.module("m");
        int text = builder.section(Images.code(".init.text", 32));
        builder.symbol(Symbol.object("hello_init", text, 16, 4));
        ModuleImage image = builder.init(text, 16, Images.ABS64).build();
        Kernel kernel = kernel(JavaExecutor.builder().bind("m", "hello_init", call -> -19).build());
        assertThatThrownBy(() -> kernel.load(image, ""))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
    }

    @Test
    void bindingsOfOtherModulesDoNotCount() {
        Executor other = mock(Executor.class);
        when(other.call(any())).thenReturn(0);
        Kernel kernel =
                kernel(
                        JavaExecutor.builder()
                                .bind("n", "init_module", call -> -1)
                                .otherwise(other)
                                .build());
        kernel.load(Images.withInit("m"), "");
        verify(other).call(any());
        verifyNoMoreInteractions(other);
    }

    @Test
    void aFunctionThatIsNotTheEntryIsNotRun() {
        ImageBuilder builder = Images.module("m");
        int text = builder.section(Images.code(".init.text", 32));
        builder.symbol(Symbol.object("helper", text, 0, 4));
        ModuleImage image = builder.init(text, 16, Images.ABS64).build();
        Kernel kernel = kernel(JavaExecutor.builder().bind("m", "helper", call -> -1).build());
        assertThat(kernel.load(image, "").state()).isEqualTo(ModuleState.LIVE);
    }

    @Test
    void whatIsNotBoundAnswersZero() {
        assertThat(
                        kernel(JavaExecutor.builder().build())
                                .load(Images.withInit("m"), "")
                                .initResult())
                .hasValue(0);
    }

    @Test
    void anInitReadsAndWritesTheModulesMemory() {
        ImageBuilder builder = Images.module("m");
        int data = builder.section(Images.data(".data", 16));
        builder.symbol(Symbol.object("counter", data, 8, 4));
        ModuleImage image =
                builder.init(builder.section(Images.code(".init.text", 16)), 0, Images.ABS64)
                        .build();
        Kernel kernel =
                kernel(
                        JavaExecutor.builder()
                                .bind(
                                        "m",
                                        "init_module",
                                        call -> {
                                            Address counter =
                                                    call.module()
                                                            .addressOf("counter")
                                                            .orElseThrow();
                                            call.memory()
                                                    .writeInt(
                                                            counter,
                                                            call.memory().readInt(counter) + 42);
                                            return 0;
                                        })
                                .build());
        Module module = kernel.load(image, "");
        assertThat(kernel.memory().readInt(module.addressOf("counter").orElseThrow()))
                .isEqualTo(42);
    }

    @Test
    void anInitThatWritesToTextFaults() {
        Kernel kernel =
                kernel(
                        JavaExecutor.builder()
                                .bind(
                                        "m",
                                        "init_module",
                                        call -> {
                                            call.memory().writeByte(call.entry(), 0xcc);
                                            return 0;
                                        })
                                .build());
        assertThatThrownBy(() -> kernel.load(Images.withInit("m"), ""))
                .isInstanceOf(AddressFaultException.class);
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void anInitLogsThroughItsCall() {
        Kernel kernel =
                kernel(
                        JavaExecutor.builder()
                                .bind(
                                        "m",
                                        "init_module",
                                        call -> {
                                            call.printk(
                                                    LogLevel.INFO, "Hello " + call.module().name());
                                            return 0;
                                        })
                                .build());
        kernel.load(Images.withInit("m"), "");
        assertThat(kernel.log().lines()).containsExactly("Hello m");
    }

    @Test
    void theRecordingExecutorRemembersItsCalls() {
        RecordingExecutor executor = new RecordingExecutor();
        Kernel kernel = kernel(executor);
        Module module = kernel.load(Images.withInitAndExit("m"), "");
        assertThat(executor.calls())
                .containsExactly(
                        new Executor.Call(
                                kernel, module, Executor.Phase.INIT, module.init().orElseThrow()));
    }
}

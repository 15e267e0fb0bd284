package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.arch.Architectures;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class KernelParametersTest {
    private final Kernel kernel =
            Kernel.builder(Architectures.X86_64).config(Images.quiet6_1()).build();
    private final List<String> set = new ArrayList<>();
    private final KernelParameters parameters =
            new KernelParameters(kernel)
                    .add("e1000.speed", -1, ParameterType.INT, value -> set.add("speed " + value))
                    .add(
                            "initcall_debug",
                            -1,
                            ParameterType.BOOL,
                            value -> set.add("debug " + value))
                    .add("a.inv", 1, ParameterType.INVBOOL, value -> set.add("inv " + value))
                    .add("early_byte", 1, ParameterType.BYTE, value -> set.add("byte " + value))
                    .add(
                            BuiltInParameter.of(
                                    "text",
                                    7,
                                    value -> {
                                        set.add("text " + value);
                                        return value.equals(Optional.of("bad")) ? -28 : 0;
                                    }));

    @Test
    void onlyThoseOfTheLevelAreSet() {
        String line = "e1000.speed=5 initcall-debug a.inv=n early_byte=7 text other=1 -- init=2";
        parameters.parse("Booting kernel", line, -1);
        assertThat(set).containsExactly("speed 5", "debug 1");
        set.clear();
        parameters.parse("core", line, 1);
        assertThat(set).containsExactly("inv 1", "byte 7");
        set.clear();
        parameters.parse("late", line, 7);
        assertThat(set).containsExactly("text Optional.empty");
        assertThat(kernel.log().entries()).isEmpty();
    }

    @Test
    void errorsAreLoggedAndStopNothing() {
        parameters.parse("core", "early_byte=256 early_byte early_byte=x early_byte=1", 1);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "core: `256' invalid for parameter `early_byte'",
                        "core: `' invalid for parameter `early_byte'",
                        "core: `x' invalid for parameter `early_byte'");
        assertThat(set).containsExactly("byte 1");
        kernel.log().clear();
        parameters.parse("late", "text=bad", 7);
        assertThat(kernel.log().lines())
                .containsExactly("late: `bad' too large for parameter `text'");
    }

    @Test
    void wordsThatNameNothingCanBeTaken() {
        List<String> unknown = new ArrayList<>();
        Optional<String> rest =
                parameters.parse(
                        "Booting kernel",
                        "quiet root=/dev/sda a.inv=1 -- single user",
                        -1,
                        (name, value) -> {
                            unknown.add(name + "=" + value);
                            return name.equals("quiet") ? -2 : 0;
                        });
        assertThat(unknown).containsExactly("quiet=null", "root=/dev/sda");
        assertThat(rest).isEmpty(); // as a word failed
        assertThat(kernel.log().lines())
                .containsExactly("Booting kernel: Unknown parameter `quiet'");
        assertThat(parameters.parse("Booting kernel", "a -- single user", -1, (n, v) -> 0))
                .contains("single user");
    }

    @Test
    void anUnsafeOneTaintsTheKernel() {
        KernelParameters unsafe =
                new KernelParameters(kernel)
                        .add(BuiltInParameter.of("m.x", 6, value -> 0).markedUnsafe());
        unsafe.parse("device", "m.x=1", 6);
        assertThat(kernel.taints()).containsExactly(Taint.USER);
        assertThat(kernel.log().lines())
                .containsExactly("Setting dangerous option m.x - tainting kernel");
        assertThat(unsafe.all())
                .singleElement()
                .satisfies(one -> assertThat(one.level()).isEqualTo(6));
    }

    @Test
    void aLevelAndATypeAreChecked() {
        assertThatThrownBy(() -> BuiltInParameter.of("x", 8, value -> 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> parameters.add("x", 0, ParameterType.CHARP, value -> {}))
                .isInstanceOf(IllegalArgumentException.class);
    }
}

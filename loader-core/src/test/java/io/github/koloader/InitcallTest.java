package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.memory.Address;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class InitcallTest {
    @Test
    void theTitleIsTheNameOrTheAddress() {
        assertThat(named("loop_init").title()).isEqualTo("loop_init");
        assertThat(named("").title()).isEqualTo("0xffffffff81000000");
    }

    @Test
    void ofAStubTheSourceNameIsTheFunctionItCalls() {
        assertThat(named("loop_init").sourceName()).isEqualTo("loop_init");
        assertThat(named("").sourceName()).isEmpty();
        assertThat(named("__initstub__kmod_loop__423_2271_loop_init6").sourceName())
                .isEqualTo("loop_init");
        assertThat(named("__initstub__kmod_a__1_2__b__3_4_f6").sourceName()).isEqualTo("_b__3_4_f");
        assertThat(named("__initstub__kmod_loop__423_2271_loop_init7").sourceName())
                .as("of another level")
                .isEqualTo("__initstub__kmod_loop__423_2271_loop_init7");
    }

    private static Initcall named(String name) {
        return new Initcall(
                InitcallLevel.DEVICE, new Address(0xffffffff_81000000L), name, Optional.empty());
    }
}

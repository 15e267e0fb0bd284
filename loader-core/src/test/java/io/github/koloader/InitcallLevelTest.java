package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

final class InitcallLevelTest {
    @Test
    void levelsRunInTheOrderOfTheirDeclaration() {
        assertThat(Arrays.stream(InitcallLevel.values()).map(InitcallLevel::id))
                .containsExactly(
                        "early", "0", "1", "1s", "2", "2s", "3", "3s", "4", "4s", "5", "5s",
                        "rootfs", "6", "6s", "7", "7s");
    }

    @Test
    void sectionsAreNamedAfterTheLevel() {
        assertThat(InitcallLevel.DEVICE.sectionName()).isEqualTo(".initcall6.init");
        assertThat(InitcallLevel.LATE_SYNC.sectionName()).isEqualTo(".initcall7s.init");
        assertThat(InitcallLevel.ROOTFS.sectionName()).isEqualTo(".initcallrootfs.init");
    }
}

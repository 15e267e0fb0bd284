package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

final class InitcallLevelTest {
    @Test
    void levelsRunInTheOrderOfTheirDeclaration() {
        assertThat(Arrays.stream(InitcallLevel.values()).map(InitcallLevel::id))
                .containsExactly(
                        "con",
                        "security",
                        "early",
                        "0",
                        "1",
                        "1s",
                        "2",
                        "2s",
                        "3",
                        "3s",
                        "4",
                        "4s",
                        "5",
                        "5s",
                        "rootfs",
                        "6",
                        "6s",
                        "7",
                        "7s");
    }

    @ParameterizedTest
    @CsvSource({
        "CONSOLE, console_initcall, .con_initcall.init, console",
        "SECURITY, security_initcall, .security_initcall.init, security",
        "EARLY, early_initcall, .initcallearly.init, early",
        "PURE, pure_initcall, .initcall0.init, pure",
        "CORE_SYNC, core_initcall_sync, .initcall1s.init, core",
        "POSTCORE, postcore_initcall, .initcall2.init, postcore",
        "ARCH_SYNC, arch_initcall_sync, .initcall3s.init, arch",
        "SUBSYS, subsys_initcall, .initcall4.init, subsys",
        "FS, fs_initcall, .initcall5.init, fs",
        "ROOTFS, rootfs_initcall, .initcallrootfs.init, fs",
        "DEVICE, device_initcall, .initcall6.init, device",
        "LATE_SYNC, late_initcall_sync, .initcall7s.init, late"
    })
    void macroSectionAndPassAreNamedAfterTheLevel(
            InitcallLevel level, String macro, String section, String pass) {
        assertThat(level.macroName()).isEqualTo(macro);
        assertThat(level.sectionName()).isEqualTo(section);
        assertThat(level.passName()).isEqualTo(pass);
    }

    @ParameterizedTest
    @EnumSource
    void aLevelIsFoundByItsMacroItsSectionAndItsId(InitcallLevel level) {
        assertThat(InitcallLevel.ofMacro(level.macroName())).contains(level);
        assertThat(InitcallLevel.ofSection(level.sectionName())).contains(level);
        assertThat(InitcallLevel.ofSection(level.sectionName() + "..kmod_loop__1_2_f"))
                .contains(level);
        assertThat(InitcallLevel.ofId(level.id())).contains(level);
    }

    @Test
    void moduleInitOfBuiltInCodeIsLevelSix() {
        assertThat(InitcallLevel.ofMacro("module_init")).contains(InitcallLevel.DEVICE);
        assertThat(InitcallLevel.ofMacro("__initcall")).contains(InitcallLevel.DEVICE);
        assertThat(InitcallLevel.DEVICE.number()).hasValue(6);
    }

    @Test
    void whatRunsByItselfHasNoNumber() {
        assertThat(InitcallLevel.CONSOLE.number()).isEqualTo(OptionalInt.empty());
        assertThat(InitcallLevel.SECURITY.number()).isEqualTo(OptionalInt.empty());
        assertThat(InitcallLevel.EARLY.number()).isEqualTo(OptionalInt.empty());
        assertThat(InitcallLevel.ROOTFS.number()).hasValue(5);
        assertThat(InitcallLevel.LATE_SYNC.number()).hasValue(7);
    }

    @Test
    void thePlainFormIsRunByTheSameLevel() {
        assertThat(InitcallLevel.ROOTFS.plain()).isEqualTo(InitcallLevel.FS);
        assertThat(InitcallLevel.LATE_SYNC.plain()).isEqualTo(InitcallLevel.LATE);
        assertThat(Arrays.stream(InitcallLevel.values()))
                .allMatch(level -> level.plain().number().equals(level.number()))
                .noneMatch(level -> level.plain().isSync());
        assertThat(InitcallLevel.EARLY.plain()).isEqualTo(InitcallLevel.EARLY);
    }

    @Test
    void otherNamesAreNoLevels() {
        assertThat(InitcallLevel.ofMacro("module_exit")).isEmpty();
        assertThat(InitcallLevel.ofMacro("early_initcall_sync")).isEmpty();
        assertThat(InitcallLevel.ofSection(".initcall8.init")).isEmpty();
        assertThat(InitcallLevel.ofSection(".initcall6.init.rodata")).isEmpty();
        assertThat(InitcallLevel.ofId("0s")).isEmpty();
    }
}

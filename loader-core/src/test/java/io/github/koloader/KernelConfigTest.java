package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.arch.Architectures;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

final class KernelConfigTest {
    @Test
    void presetsHaveTheirReleases() {
        assertThat(KernelConfig.linux3_10().version()).isEqualTo(new KernelVersion(3, 10));
        assertThat(KernelConfig.linux6_1().version()).isEqualTo(new KernelVersion(6, 1));
        assertThat(KernelConfig.linux6_12().version()).isEqualTo(new KernelVersion(6, 12));
    }

    @Test
    void aReleaseGetsThePresetNearestFromBelow() {
        assertThat(KernelConfig.forRelease("6.14.2").missingVersion())
                .isEqualTo(KernelConfig.MissingVersion.REFUSE);
        assertThat(KernelConfig.forRelease("5.10.0").vermagic(Architectures.X86_64))
                .doesNotContain("preempt");
        assertThat(KernelConfig.forRelease("2.6.32").livepatch(Architectures.X86_64)).isFalse();
    }

    @Test
    void aReleaseKeepsItsTextAndVersion() {
        KernelConfig config = KernelConfig.forRelease("6.5.3-arch1");
        assertThat(config.release()).isEqualTo("6.5.3-arch1");
        assertThat(config.version()).isEqualTo(new KernelVersion(6, 5));
        assertThat(config.atLeast(6, 4)).isTrue();
        assertThat(config.atLeast(6, 6)).isFalse();
    }

    @Test
    void whatIsNoReleaseIsTheCallersMistake() {
        assertThatThrownBy(() -> KernelConfig.forRelease("amd64"))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> KernelConfig.forVermagic(""))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void vermagicSaysReleaseAndOptions() {
        KernelConfig config = KernelConfig.forRelease("6.1.0-50-amd64");
        assertThat(config.vermagic(Architectures.X86_64))
                .isEqualTo("6.1.0-50-amd64 SMP preempt mod_unload modversions ");
    }

    @Test
    void optionsThatAreOffAreNotInVermagic() {
        KernelConfig config =
                KernelConfig.linux6_1().toBuilder()
                        .smp(false)
                        .preempt("")
                        .modUnload(false)
                        .modversions(false)
                        .build();
        assertThat(config.vermagic(Architectures.X86_64)).isEqualTo("6.1.0 ");
    }

    @Test
    void aVermagicThatIsSetIsTakenAsItIs() {
        KernelConfig config = KernelConfig.linux6_1().toBuilder().vermagic("x y").build();
        assertThat(config.vermagic(Architectures.X86_64)).isEqualTo("x y");
    }

    @Test
    void aProcessorIsKnownOnceItsCapabilitiesAreSaidBeItNone() {
        KernelConfig unknown = KernelConfig.linux6_1();
        assertThat(unknown.cpuKnown()).isFalse();
        assertThat(unknown.toBuilder().cpuCapability("A", true).build().cpuKnown()).isFalse();
        KernelConfig none = unknown.toBuilder().cpuCapabilities(Set.of()).build();
        assertThat(none.cpuKnown()).isTrue();
        assertThat(none).isNotEqualTo(unknown).isEqualTo(none.toBuilder().build());
        assertThat(none.cpuCapability("A")).isFalse();
    }

    @Test
    void capabilitiesTakeThePlaceOfEarlierOnes() {
        KernelConfig config =
                KernelConfig.linux6_1().toBuilder()
                        .cpuCapability("A", true)
                        .cpuCapabilities(Set.of("B", "C"))
                        .cpuCapability("C", false)
                        .build();
        assertThat(config.cpuKnown()).isTrue();
        assertThat(config.cpuCapability("A")).isFalse();
        assertThat(config.cpuCapability("B")).isTrue();
        assertThat(config.cpuCapability("C")).isFalse();
    }

    @Test
    void aVermagicIsReadBack() {
        for (String vermagic :
                List.of(
                        "6.1.0-50-amd64 SMP preempt mod_unload modversions ",
                        "6.1.0-rt SMP preempt_rt mod_unload ",
                        "3.10.0 ")) {
            KernelConfig config = KernelConfig.forVermagic(vermagic);
            assertThat(config.vermagic(Architectures.X86_64)).isEqualTo(vermagic);
            KernelConfig composed = config.toBuilder().vermagic("").build();
            assertThat(composed.vermagic(Architectures.X86_64)).isEqualTo(vermagic);
        }
    }

    @Test
    void theOptionsOfAVermagicAreThoseItLists() {
        KernelConfig config = KernelConfig.forVermagic("6.12.1 SMP mod_unload ");
        assertThat(config.smp()).isTrue();
        assertThat(config.toBuilder().vermagic("").build().vermagic(Architectures.X86_64))
                .doesNotContain("preempt");
        assertThat(config.modUnload()).isTrue();
        assertThat(config.modversions()).isFalse();
    }

    @Test
    void aVermagicHasTheWordsThatAreInIt() {
        KernelConfig config = KernelConfig.forVermagic("6.1.0 SMP mod_unload ARMv7 thumb2 p2v8 ");
        assertThat(config.vermagicHas("thumb2")).isTrue();
        assertThat(config.vermagicHas("thumb")).isFalse();
        assertThat(config.vermagicHas("preempt")).isFalse();
        assertThat(KernelConfig.linux6_1().vermagicHas("SMP")).as("was not set").isFalse();
    }

    @Test
    void equalOptionsMakeEqualConfigurations() {
        assertThat(KernelConfig.linux6_1())
                .isEqualTo(KernelConfig.linux6_1())
                .hasSameHashCodeAs(KernelConfig.linux6_1())
                .isNotEqualTo(KernelConfig.linux6_12())
                .isNotEqualTo("6.1");
    }

    @Test
    void everyOptionTakesPartInEqualityAndIsCopied() {
        List<UnaryOperator<KernelConfig.Builder>> changes =
                List.of(
                        builder -> builder.release("6.1.1"),
                        builder -> builder.vermagic("v"),
                        builder -> builder.checkVermagic(false),
                        builder -> builder.smp(false),
                        builder -> builder.preempt("preempt_rt"),
                        builder -> builder.modUnload(false),
                        builder -> builder.modversions(false),
                        builder -> builder.forceLoad(false),
                        builder -> builder.forceUnload(false),
                        builder -> builder.moduleSig(false),
                        builder -> builder.sigEnforce(true),
                        builder -> builder.lockdown(true),
                        builder -> builder.modulesDisabled(true),
                        builder -> builder.dynamicDebug(false),
                        builder -> builder.moduleCompression("gzip"),
                        builder -> builder.kallsyms(false),
                        builder -> builder.kallsymsAll(false),
                        builder -> builder.strictModuleRwx(false),
                        builder -> builder.livepatch(false),
                        builder -> builder.allowMissingNamespaceImports(true),
                        builder -> builder.missingVersion(KernelConfig.MissingVersion.WARN_ONCE),
                        builder -> builder.retpolineNeeded(false),
                        builder -> builder.moduleBlacklist(List.of("a")),
                        builder -> builder.structModuleSize(OptionalLong.of(896)),
                        builder -> builder.cpus(2));
        for (UnaryOperator<KernelConfig.Builder> change : changes) {
            KernelConfig changed = change.apply(KernelConfig.linux6_1().toBuilder()).build();
            assertThat(changed).isNotEqualTo(KernelConfig.linux6_1());
            assertThat(changed.toBuilder().build()).isEqualTo(changed);
        }
    }

    @Test
    void aBuilderUsedFurtherDoesNotChangeWhatItBuilt() {
        KernelConfig.Builder builder = KernelConfig.linux6_1().toBuilder();
        KernelConfig before = builder.build();
        builder.cpus(9);
        assertThat(before.cpus()).isEqualTo(1);
    }

    @Test
    void theNumberOfProcessorsIsBounded() {
        KernelConfig.Builder builder = KernelConfig.linux6_1().toBuilder();
        assertThatThrownBy(() -> builder.cpus(0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> builder.cpus(8193)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void theTableOfPresetsSaysWhatTheyAre() throws Exception {
        List<KernelConfig> presets =
                List.of(
                        KernelConfig.linux3_10(),
                        KernelConfig.linux6_1(),
                        KernelConfig.linux6_12());
        Set<String> rows = new TreeSet<>();
        String table =
                Files.readString(Path.of("..", "docs", "presets.md")).split("\n\\|---.*\n")[1];
        for (String line : table.substring(0, table.indexOf("\n\n")).split("\n")) {
            String[] cells = line.split("\\|");
            String option = cells[1].trim();
            rows.add(option);
            for (int i = 0; i < presets.size(); i++) {
                Object value = KernelConfig.class.getMethod(option).invoke(presets.get(i));
                assertThat(String.valueOf(value)).as(option).isEqualTo(cells[2 + i].trim());
            }
        }
        Set<String> options =
                Arrays.stream(KernelConfig.class.getDeclaredMethods())
                        .filter(
                                method ->
                                        Modifier.isPublic(method.getModifiers())
                                                && !Modifier.isStatic(method.getModifiers())
                                                && method.getParameterCount() == 0)
                        .map(Method::getName)
                        .collect(Collectors.toCollection(TreeSet::new));
        options.removeAll(Set.of("version", "toBuilder", "cpuKnown", "hashCode", "toString"));
        assertThat(rows).isEqualTo(options);
    }
}

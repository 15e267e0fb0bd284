package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.FaultInjection;
import io.github.koloader.FaultPoint;
import io.github.koloader.FaultRecorder;
import io.github.koloader.FaultRecorder.Passed;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.FirstFitAllocator;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Fails loads of real modules at everything they pass, one point after the other. */
class FaultInjectionFixturesTest {
    private static final List<String> ARCHITECTURES =
            List.of("x86_64", "x86_64-6.12", "arm64", "arm64-6.12", "arm", "i386", "s390x");

    /** What a fixture is loaded with, and which are there already. */
    private static final Map<String, String> PARAMETERS =
            Map.of("params", "p_int=5 p_charp=\"x y\"");

    static Stream<Arguments> fixtures() {
        return ARCHITECTURES.stream()
                .flatMap(
                        architecture ->
                                Stream.of(
                                                "hello",
                                                "params",
                                                "percpu",
                                                "exporter",
                                                "importer",
                                                "proprietary",
                                                "initfail")
                                        .map(name -> Arguments.of(architecture, name)));
    }

    private static ModuleImage image(String architecture, String name) throws IOException {
        return KoReader.read(Fixtures.ko(architecture + "/" + name + ".ko"));
    }

    private static final class Trial {
        private final CountingAllocator allocator;
        private final Kernel kernel;
        private FaultInjection faults = FaultInjection.none();

        Trial(ModuleImage image, List<ModuleImage> before, boolean since6_4) {
            KernelConfig config =
                    (since6_4 ? KernelConfig.linux6_12() : KernelConfig.linux6_1())
                            .toBuilder().checkVermagic(false).modversions(false).build();
            var architecture = Loads.architectureOf(image);
            allocator =
                    new CountingAllocator(
                            new FirstFitAllocator(
                                    architecture.moduleAreas(config),
                                    architecture.imageArea(config),
                                    architecture.perCpuArea(config),
                                    architecture.pageSize()));
            kernel =
                    Kernel.builder(architecture)
                            .config(config)
                            .allocator(allocator)
                            .faults((point, module) -> faults.at(point, module))
                            .build();
            before.forEach(other -> kernel.load(other, ""));
        }

        KernelSnapshot snapshot() {
            return KernelSnapshot.of(
                    kernel, allocator, List.of("kofix_add", "kofix_counter", "kofix_gpl"));
        }

        Optional<LoadException> load(ModuleImage image, String parameters) {
            return Optional.ofNullable(
                    catchThrowableOfType(
                            LoadException.class, () -> kernel.load(image, parameters)));
        }
    }

    @ParameterizedTest
    @MethodSource("fixtures")
    void everyPointThatALoadPassesCanFailAndLeavesTheStateAsItWas(String architecture, String name)
            throws IOException {
        ModuleImage image = image(architecture, name);
        List<ModuleImage> before =
                name.equals("importer") ? List.of(image(architecture, "exporter")) : List.of();
        boolean since6_4 = architecture.endsWith("6.12");
        String parameters = PARAMETERS.getOrDefault(name, "");

        FaultRecorder recorder = new FaultRecorder();
        Trial clean = new Trial(image, before, since6_4);
        clean.faults = recorder;
        assertThat(clean.load(image, parameters)).isEmpty();
        KernelSnapshot loaded = clean.snapshot();
        List<Passed> passed = recorder.passed();
        assertThat(passed).hasSizeGreaterThan(20);
        if (name.equals("params")) {
            assertThat(passed).extracting(Passed::point).contains(FaultPoint.PARAMETER_MEMORY);
        }

        Trial trial = new Trial(image, before, since6_4);
        KernelSnapshot empty = trial.snapshot();
        for (int n = 1; n <= passed.size(); n++) {
            for (Errno errno : List.of(Errno.ENOMEM, Errno.EINTR)) {
                trial.faults = FaultInjection.failNth(n, errno);
                LoadException failure = trial.load(image, parameters).orElseThrow();
                assertThat(failure.errno()).as("%s", passed.get(n - 1)).isEqualTo(errno);
                assertThat(trial.snapshot())
                        .as("after a fault at %s", passed.get(n - 1))
                        .isEqualTo(empty);
            }
        }
        trial.faults = FaultInjection.none();
        assertThat(trial.load(image, parameters)).isEmpty();
        assertThat(trial.snapshot()).isEqualTo(loaded);
    }
}

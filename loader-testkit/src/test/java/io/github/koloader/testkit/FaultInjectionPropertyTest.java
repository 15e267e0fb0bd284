package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.FaultInjection;
import io.github.koloader.FaultPoint;
import io.github.koloader.FaultRecorder;
import io.github.koloader.FaultRecorder.Passed;
import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.image.ModuleImage;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;
import net.jqwik.api.statistics.Statistics;

/** Whatever step of a load or an unload fails, the state after it is the state before it. */
@Domain(ImageArbitraries.class)
@Domain(DomainContext.Global.class)
class FaultInjectionPropertyTest {
    /** Lets pass what comes before, then fails what comes at that position. */
    private static final class Switch implements FaultInjection {
        private FaultInjection inner = FaultInjection.none();

        @Override
        public java.util.Optional<Errno> at(FaultPoint point, String module) {
            return inner.at(point, module);
        }
    }

    private record Trial(Kernel kernel, CountingAllocator allocator, Switch faults) {
        static Trial of(ModuleImage image, boolean sevenBlocks) {
            CountingAllocator allocator = FailedLoadPropertyTest.allocator(image, sevenBlocks);
            Switch faults = new Switch();
            Kernel kernel =
                    FailedLoadPropertyTest.kernel(image, sevenBlocks)
                            .allocator(allocator)
                            .faults(faults)
                            .build();
            kernel.load(FailedLoadPropertyTest.neighbour(image), "");
            return new Trial(kernel, allocator, faults);
        }

        KernelSnapshot snapshot(ModuleImage image) {
            return KernelSnapshot.of(kernel, allocator, FailedLoadPropertyTest.exportsOf(image));
        }
    }

    @Property(tries = 150)
    void whateverALoadPassesCanFailAndLeavesTheStateAsItWas(
            @ForAll ModuleImage image, @ForAll boolean sevenBlocks, @ForAll Errno errno) {
        FaultRecorder recorder = new FaultRecorder();
        Trial clean = Trial.of(image, sevenBlocks);
        clean.faults.inner = recorder;
        clean.kernel.load(image, "");
        KernelSnapshot loaded = clean.snapshot(image);
        List<Passed> passed = recorder.passed();

        Trial trial = Trial.of(image, sevenBlocks); // one kernel for all: leaks would add up
        KernelSnapshot before = trial.snapshot(image);
        for (int n = 1; n <= passed.size(); n++) {
            trial.faults.inner = FaultInjection.failNth(n, errno);
            LoadException failure =
                    catchThrowableOfType(LoadException.class, () -> trial.kernel.load(image, ""));
            assertThat(failure).as("load with a fault at %s", passed.get(n - 1)).isNotNull();
            assertThat(failure.errno()).isEqualTo(errno);
            assertThat(trial.snapshot(image))
                    .as("after a fault at %s", passed.get(n - 1))
                    .isEqualTo(before);
            Statistics.label("point").collect(passed.get(n - 1).point());
        }
        trial.faults.inner = FaultInjection.none();
        trial.kernel.load(image, "");
        assertThat(trial.snapshot(image)).isEqualTo(loaded);

        assertUnloads(trial, image, errno);
        Statistics.label("point")
                .coverage(
                        coverage -> {
                            for (FaultPoint point : FaultPoint.values()) {
                                if (point.compareTo(FaultPoint.INIT) <= 0
                                        && point != FaultPoint.SET_PARAMETER
                                        && point != FaultPoint.PARAMETER_MEMORY
                                        && point != FaultPoint.LIVEPATCH_MEMORY) {
                                    coverage.check(point).count(count -> count > 0);
                                }
                            }
                        });
    }

    private static void assertUnloads(Trial trial, ModuleImage image, Errno errno) {
        String name = image.name().orElseThrow();
        KernelSnapshot live = trial.snapshot(image);
        boolean permanent =
                trial.kernel.module(name).orElseThrow().init().isPresent()
                        && trial.kernel.module(name).orElseThrow().exit().isEmpty();
        if (permanent) {
            return;
        }
        FaultRecorder recorder = new FaultRecorder();
        int points = trial.kernel.module(name).orElseThrow().exit().isPresent() ? 2 : 1;
        for (int n = 1; n <= points; n++) {
            trial.faults.inner = FaultInjection.failNth(n, errno);
            LoadException failure =
                    catchThrowableOfType(LoadException.class, () -> trial.kernel.unload(name));
            assertThat(failure.errno()).isEqualTo(errno);
            assertThat(trial.snapshot(image)).isEqualTo(live);
        }
        trial.faults.inner = recorder;
        trial.kernel.unload(name);
        assertThat(recorder.passed()).hasSize(points);
        trial.kernel.unload(FailedLoadPropertyTest.NEIGHBOUR);
        assertThat(trial.kernel.memory().regions()).isEmpty();
    }
}

package io.github.koloader;

import static io.github.koloader.FaultInjection.failAt;
import static io.github.koloader.FaultInjection.failNth;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.never;
import static org.mockito.Mockito.verify;

import io.github.koloader.FaultRecorder.Passed;
import io.github.koloader.Images.Export;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class FaultInjectionTest {
    private static Kernel.Builder kernel() {
        return Kernel.builder(Architectures.X86_64).config(Images.quiet6_1());
    }

    private static LoadException failing(FaultInjection faults, ModuleImage image) {
        Kernel kernel = kernel().faults(faults).build();
        return catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
    }

    /** Init, exit, per-CPU data, exports of both kinds and a livepatch mark. */
    private static ModuleImage everything() {
        ImageBuilder builder = Images.module("m").modinfo("livepatch", "Y");
        builder.init(builder.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        builder.exit(builder.section(Images.code(".exit.text", 16)), 0, Images.ABS64);
        builder.section(Images.data(".data..percpu", 8));
        return Images.exporting(builder, true, Export.plain("f"), Export.gpl("g")).build();
    }

    @Test
    void aLoadPassesItsPointsInTheKernelsOrder() {
        FaultRecorder recorder = new FaultRecorder();
        Kernel kernel = kernel().faults(recorder).build();
        kernel.load(everything(), "");
        assertThat(recorder.passed().stream().map(Passed::point).distinct())
                .containsExactly(
                        FaultPoint.IMAGE_MEMORY,
                        FaultPoint.SIGNATURE,
                        FaultPoint.SECTION_INDEX,
                        FaultPoint.BLACKLIST,
                        FaultPoint.STRUCT_VERSION,
                        FaultPoint.MODINFO,
                        FaultPoint.ARCH_SECTIONS,
                        FaultPoint.SECTION_RIGHTS,
                        FaultPoint.CORE_MEMORY,
                        FaultPoint.INIT_MEMORY,
                        FaultPoint.ADMISSION,
                        FaultPoint.PER_CPU_MEMORY,
                        FaultPoint.SPECIAL_SECTIONS,
                        FaultPoint.EXPORT_VERSIONS,
                        FaultPoint.SYMBOLS,
                        FaultPoint.RELOCATIONS,
                        FaultPoint.POST_RELOCATION,
                        FaultPoint.ARCH_FINALIZE,
                        FaultPoint.ARGUMENT_MEMORY,
                        FaultPoint.FORMATION,
                        FaultPoint.PREPARE_COMING,
                        FaultPoint.PARAMETERS,
                        FaultPoint.SYSFS,
                        FaultPoint.LIVEPATCH_MEMORY,
                        FaultPoint.INIT_RECORD,
                        FaultPoint.INIT);
        assertThat(recorder.passed()).extracting(Passed::module).containsOnly("m");
        recorder.clear();
        kernel.unload("m");
        assertThat(recorder.passed())
                .containsExactly(
                        new Passed(FaultPoint.UNLOAD, "m"), new Passed(FaultPoint.EXIT, "m"));
    }

    @Test
    void since6_4EachTypeOfMemoryIsAskedFor() {
        FaultRecorder recorder = new FaultRecorder();
        kernel().config(Images.quiet6_12()).faults(recorder).build().load(everything(), "");
        assertThat(recorder.passed().stream().map(Passed::point))
                .filteredOn(
                        point -> point == FaultPoint.CORE_MEMORY || point == FaultPoint.INIT_MEMORY)
                .containsExactly(
                        FaultPoint.CORE_MEMORY,
                        FaultPoint.CORE_MEMORY,
                        FaultPoint.CORE_MEMORY,
                        FaultPoint.INIT_MEMORY,
                        FaultPoint.INIT_MEMORY);
    }

    @ParameterizedTest
    @EnumSource(
            value = FaultPoint.class,
            names = {
                "PARAMETER_MEMORY",
                "SET_PARAMETER",
                "GET_PARAMETER",
                "FREE_PARAMETER",
                "UNLOAD",
                "EXIT"
            },
            mode = EnumSource.Mode.EXCLUDE)
    void aLoadFailsAtAnyPointWithTheErrorChosen(FaultPoint point) {
        LoadException failure = failing(failAt(point, Errno.ERANGE), everything());
        assertThat(failure).isNotNull();
        assertThat(failure.errno()).isEqualTo(Errno.ERANGE);
        if (point == FaultPoint.PER_CPU_MEMORY) {
            assertThat(failure.dmesg()).isEqualTo("m: Could not allocate 8 bytes percpu data");
        } else {
            assertThat(failure.lines()).isEmpty();
        }
    }

    @Test
    void initDoesNotRunWhenItIsMadeToFail() {
        Executor executor = mock(Executor.class);
        Kernel kernel =
                kernel().executor(executor).faults(failAt(FaultPoint.INIT, Errno.ENODEV)).build();
        assertThatThrownBy(() -> kernel.load(Images.withInit("m"), ""))
                .hasMessageContaining("init of m returned -19");
        verify(executor, never()).call(any());
    }

    @ParameterizedTest
    @EnumSource(
            value = FaultPoint.class,
            names = {"UNLOAD", "EXIT"})
    void anUnloadThatIsMadeToFailLeavesTheModuleLive(FaultPoint point) {
        Executor executor = mock(Executor.class);
        Kernel kernel = kernel().executor(executor).faults(failNth(point, 1, Errno.EINTR)).build();
        Module module = kernel.load(everything(), "");
        LoadException failure = catchThrowableOfType(LoadException.class, () -> kernel.unload("m"));
        assertThat(failure.errno()).isEqualTo(Errno.EINTR);
        assertThat(module.state()).isEqualTo(ModuleState.LIVE);
        assertThat(module.referenceCount()).isZero();
        assertThat(kernel.exported("f")).isPresent();
        verify(executor, never())
                .call(
                        org.mockito.ArgumentMatchers.argThat(
                                call -> call != null && call.phase() == Executor.Phase.EXIT));
        kernel.unload("m");
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void theNthTimeCountsThatPointOnly() {
        FaultInjection second = failNth(FaultPoint.RELOCATIONS, 2, Errno.EIO);
        assertThat(second.at(FaultPoint.SYMBOLS, "m")).isEmpty();
        assertThat(second.at(FaultPoint.RELOCATIONS, "m")).isEmpty();
        assertThat(second.at(FaultPoint.SYMBOLS, "m")).isEmpty();
        assertThat(second.at(FaultPoint.RELOCATIONS, "m")).contains(Errno.EIO);
        assertThat(second.at(FaultPoint.RELOCATIONS, "m")).isEmpty();
    }

    @Test
    void faultsForOneModuleSpareTheOthers() {
        FaultInjection faults = failAt(FaultPoint.SYSFS, Errno.EIO).onlyFor("m");
        Kernel kernel = kernel().faults(faults).build();
        kernel.load(Images.empty("other"), "");
        assertThatThrownBy(() -> kernel.load(Images.empty("m"), ""))
                .isInstanceOf(LoadException.class);
        assertThat(kernel.modules()).extracting(Module::name).containsExactly("other");
    }

    @Test
    void theFirstOfTwoThatAnswersCounts() {
        FaultInjection faults =
                failAt(FaultPoint.SYSFS, Errno.EIO)
                        .or(failAt(FaultPoint.SYSFS, Errno.EBUSY))
                        .or(failAt(FaultPoint.INIT, Errno.ENODEV));
        assertThat(faults.at(FaultPoint.SYSFS, "m")).contains(Errno.EIO);
        assertThat(faults.at(FaultPoint.INIT, "m")).contains(Errno.ENODEV);
        assertThat(faults.at(FaultPoint.EXIT, "m")).isEmpty();
        assertThat(FaultInjection.none().at(FaultPoint.EXIT, "m")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1})
    void thereIsNoTimeBeforeTheFirst(int n) {
        assertThatIllegalArgumentException().isThrownBy(() -> failNth(n, Errno.EIO));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> failNth(FaultPoint.INIT, n, Errno.EIO));
    }

    @Test
    void whatTheFaultInjectionThrowsLeavesNothingBehindEither() {
        FaultInjection broken =
                (point, module) -> {
                    if (point == FaultPoint.INIT_RECORD) {
                        throw new IllegalStateException("broken");
                    }
                    return Optional.empty();
                };
        Kernel kernel = kernel().faults(broken).build();
        assertThatThrownBy(() -> kernel.load(everything(), ""))
                .isInstanceOf(IllegalStateException.class);
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
        assertThat(kernel.exported("f")).isEmpty();
    }

    @Test
    void aReferenceOnAUsedModuleIsGivenBackWhereverTheLoadFails() {
        FaultRecorder recorder = new FaultRecorder();
        Kernel recorded = kernel().faults(recorder).build();
        recorded.load(Images.exporting("a", "f"), "");
        recorder.clear();
        recorded.load(Images.importing("m", "f"), "");
        for (int n = 1; n <= recorder.passed().size(); n++) {
            FaultInjection nth = failNth(n, Errno.ENOMEM).onlyFor("m");
            Kernel kernel = kernel().faults(nth).build();
            kernel.load(Images.exporting("a", "f"), "");
            assertThatThrownBy(() -> kernel.load(Images.importing("m", "f"), ""))
                    .isInstanceOf(LoadException.class);
            Module used = kernel.module("a").orElseThrow();
            assertThat(used.referenceCount()).isZero();
            assertThat(used.users()).isEmpty();
            kernel.unload("a");
            assertThat(kernel.memory().regions()).isEmpty();
        }
    }

    @Test
    void aZeroSizedPerCpuSectionPassesNoAllocation() {
        FaultRecorder recorder = new FaultRecorder();
        ImageBuilder builder = Images.module("m");
        builder.section(
                Section.nobits(".data..percpu", SectionFlags.ALLOC | SectionFlags.WRITE, 8, 0));
        kernel().faults(recorder).build().load(builder.build(), "");
        assertThat(recorder.passed())
                .extracting(Passed::point)
                .doesNotContain(FaultPoint.PER_CPU_MEMORY)
                .containsAll(List.of(FaultPoint.SYMBOLS, FaultPoint.INIT_RECORD));
    }
}

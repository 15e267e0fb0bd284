package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What holds for every architecture; one subclass for each. */
abstract class ArchitectureContract {
    static final List<KernelConfig> KERNELS =
            List.of(KernelConfig.linux3_10(), KernelConfig.linux6_1(), KernelConfig.linux6_12());

    abstract Architecture architecture();

    @Test
    final void itAcceptsItsOwnMachineAndNoOther() {
        assertThat(architecture().accepts(header(architecture().elfMachine()))).isTrue();
        assertThat(architecture().accepts(header(0))).isFalse();
    }

    private FileHeader header(int machine) {
        return new FileHeader(architecture().encoding(), machine, 0, 0);
    }

    @Test
    final void aPageIsAPowerOfTwo() {
        assertThat(Integer.bitCount(architecture().pageSize())).isEqualTo(1);
    }

    @Test
    final void areasAreNotEmptyAndPageAligned() {
        for (KernelConfig config : KERNELS) {
            for (AddressRange area : areas(config)) {
                assertThat(area.size()).isPositive();
                assertThat(area.start().value() % architecture().pageSize()).isZero();
                assertThat(area.size() % architecture().pageSize()).isZero();
            }
        }
    }

    private List<AddressRange> areas(KernelConfig config) {
        List<AddressRange> areas = new ArrayList<>(architecture().moduleAreas(config));
        areas.add(architecture().imageArea(config));
        areas.add(architecture().kernelText(config));
        return areas;
    }

    @Test
    final void areasDoNotOverlap() {
        for (KernelConfig config : KERNELS) {
            List<AddressRange> areas = areas(config);
            for (AddressRange one : areas) {
                for (AddressRange other : areas) {
                    assertThat(one != other && one.contains(other.start())).isFalse();
                }
            }
        }
    }

    @Test
    final void addressesOf32BitMachinesHave32Bits() {
        if (architecture().encoding().wide()) {
            return;
        }
        for (KernelConfig config : KERNELS) {
            for (AddressRange area : areas(config)) {
                assertThat(area.end().plus(-1).value() >>> 32).isZero();
            }
        }
    }

    @Test
    final void perCpuAreasOfProcessorsFollowEachOtherWithoutOverlap() {
        long size = architecture().perCpuArea().size();
        assertThat(size).isPositive();
        for (int cpu = 0; cpu < 16; cpu++) {
            long distance = architecture().perCpuOffset(cpu + 1) - architecture().perCpuOffset(cpu);
            assertThat(distance).isGreaterThanOrEqualTo(size);
        }
    }

    @Test
    final void relocationTypesHaveDifferentNamesAndNumbers() {
        Set<Object> seen = new HashSet<>();
        for (RelocationType type : architecture().relocationTypes()) {
            assertThat(seen.add(type.name())).as(type.name()).isTrue();
            assertThat(seen.add(type.code())).as(type.name()).isTrue();
        }
    }

    @Test
    final void fieldsFitIntoPlacesOfAtMostEightBytes() {
        for (RelocationType type : architecture().relocationTypes()) {
            Field field = type.field();
            assertThat(field.size()).isBetween(0, 8);
            assertThat(field.size() == 8 ? 0 : field.mask() >>> 8 * field.size()).isZero();
        }
    }

    @Test
    final void itTakesRelocationsOfAtLeastOneKind() {
        assertThat(
                        architecture().acceptsRelocations(true)
                                || architecture().acceptsRelocations(false))
                .isTrue();
    }

    @Test
    final void initAndExitSectionsAreToldByName() {
        assertThat(architecture().isInitSection(".text")).isFalse();
        assertThat(architecture().isExitSection(".text")).isFalse();
        assertThat(architecture().isExitSection(".exit.text")).isTrue();
    }

    /** The error of a relocation that is refused. */
    Errno errnoOf(RelocationFailure.Kind kind) {
        return Errno.ENOEXEC;
    }

    @Test
    final void everyFailureOfARelocationHasWordsAndItsErrno() {
        for (RelocationFailure.Kind kind : RelocationFailure.Kind.values()) {
            RelocationFailure failure =
                    new RelocationFailure(
                            kind, KernelConfig.linux6_1(), "m", 4, 2, 1, "sym", 1, 2, 3, 4, 8, 64);
            assertThat(architecture().rejection(failure).errnoNumber())
                    .isEqualTo(errnoOf(kind).number());
            assertThat(architecture().rejection(failure).dmesg()).contains("m");
        }
    }

    /** What the linker script leaves out, a module as kbuild makes it would be refused for. */
    @Test
    final void aModuleWithTheSectionsOfTheLinkerScriptCanBePlanned() {
        for (KernelConfig config : KERNELS) {
            ImageBuilder builder =
                    new ImageBuilder(
                            architecture().elfMachine(),
                            architecture().encoding(),
                            architecture().acceptsRelocations(true));
            architecture().scriptSections(config).forEach(builder::section);
            ModuleImage image = builder.build();
            ModuleImage planned = architecture().planSections(image, config, "m").image();
            assertThat(planned.sections()).hasSameSizeAs(image.sections());
        }
    }

    @Test
    final void aTableForASectionThatIsNotThereDoesNotKeepAModuleFromBeingPlanned() {
        for (KernelConfig config : KERNELS) {
            ImageBuilder builder =
                    new ImageBuilder(
                            architecture().elfMachine(),
                            architecture().encoding(),
                            architecture().acceptsRelocations(true));
            architecture().scriptSections(config).forEach(builder::section);
            int text = builder.section(Section.nobits(".text.x", 6, 4, 32));
            int symbol = builder.symbol(Symbol.undefined("f"));
            int type = architecture().relocationTypes().iterator().next().code();
            ModuleImage image = builder.relocate(text, new Relocation(0, type, symbol, 0)).build();
            int index = image.relocationsFor(text).get(0).section();
            Section old = image.section(index);
            for (int target : new int[] {0, -1, image.sections().size(), 1 << 30}) {
                Section table =
                        new Section(
                                old.name(),
                                old.type(),
                                old.flags(),
                                old.offset(),
                                old.size(),
                                old.alignment(),
                                old.link(),
                                target,
                                old.entrySize(),
                                old.contents());
                ModuleImage wild = image.toBuilder().replace(index, table).build();
                assertThat(architecture().planSections(wild, config, "m").image().sections())
                        .hasSameSizeAs(wild.sections());
            }
        }
    }
}

package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.ModuleState;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.FirstFitAllocator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Loads every fixture for 32-bit Arm, within reach of the kernel's text and out of it. */
class ArmFixturesTest {
    private static final Encoding LITTLE = Encoding.ELF32_LSB;

    private int branches;
    private int viaVeneers;

    @ParameterizedTest
    @CsvSource({"arm, 0", "arm, 1", "arm-thumb2, 0", "arm-thumb2, 1"})
    void everyFixtureLoadsAndItsBranchesArrive(String tree, int area) throws IOException {
        List<Path> files;
        try (Stream<Path> found = Files.list(Fixtures.ko(tree + "/hello.ko").getParent())) {
            files = found.filter(file -> file.toString().endsWith(".ko")).sorted().toList();
        }
        assertThat(files).hasSize(24);
        for (Path file : files) {
            ModuleImage image = KoReader.read(file);
            String vermagic = image.modinfo().firstRaw("vermagic").orElseThrow();
            assertThat(vermagic.contains(" thumb2 ")).isEqualTo(tree.equals("arm-thumb2"));
            boolean[] seen = {false};
            Kernel kernel =
                    Kernel.builder(Architectures.ARM)
                            .config(KernelConfig.forVermagic(vermagic))
                            .allocator(allocator(KernelConfig.forVermagic(vermagic), area))
                            .observer(
                                    (point, module) -> {
                                        if (point == Point.RELOCATED) {
                                            seen[0] = true;
                                            followBranches(image, module);
                                        }
                                    })
                            .build();
            Module module = kernel.load(image, "");
            assertThat(module.state()).isEqualTo(ModuleState.LIVE);
            assertThat(module.relocationCount()).isPositive();
            assertThat(seen[0]).isTrue();
            kernel.forceUnload(module.name());
            assertThat(kernel.memory().regions()).isEmpty();
        }
        assertThat(branches).isGreaterThan(100);
        if (area == 0) {
            assertThat(viaVeneers).isZero();
        } else {
            assertThat(viaVeneers).isGreaterThan(100);
        }
    }

    /** One module area alone: the near one, or the one out of reach. */
    private static FirstFitAllocator allocator(KernelConfig config, int area) {
        Architecture architecture = Architectures.ARM;
        AddressRange modules = architecture.moduleAreas(config).get(area);
        return new FirstFitAllocator(
                List.of(modules),
                architecture.imageArea(),
                architecture.perCpuArea(),
                architecture.pageSize());
    }

    private void followBranches(ModuleImage image, Module module) {
        Map<Integer, LoadedSection> sections = new LinkedHashMap<>();
        module.sections().forEach(section -> sections.put(section.index(), section));
        for (RelocationTable table : image.relocations()) {
            LoadedSection section = sections.get(table.target());
            for (int i = 0; section != null && i < table.count(); i++) {
                boolean thumb = table.type(i) == 10 || table.type(i) == 30;
                if (thumb || table.type(i) == 28 || table.type(i) == 29) {
                    branches++;
                    int at = (int) table.offset(i);
                    int before = image.section(table.target()).contents().readInt(at, LITTLE);
                    int after = module.contents(section).readInt(at, LITTLE);
                    int pipeline = thumb ? 4 : 8;
                    long symbol = module.symbolValues()[table.symbolIndex(i)];
                    int wanted = (int) symbol + distance(before, thumb) + pipeline;
                    int target =
                            (int) section.address().value()
                                    + at
                                    + distance(after, thumb)
                                    + pipeline;
                    assertThat(Integer.toHexString(end(module, target) & ~1))
                            .as("%s, relocation %d of section %d", module, i, table.section())
                            .isEqualTo(Integer.toHexString(wanted & ~1));
                }
            }
        }
    }

    /** Where a branch to {@code target} ends: what a veneer there loads, else the target itself. */
    private int end(Module module, int target) {
        for (LoadedSection section : module.sections()) {
            long offset = Integer.toUnsignedLong(target) - section.address().value();
            if (section.name().endsWith(".plt") && offset >= 0 && offset < section.size()) {
                viaVeneers++;
                Bytes veneers = module.contents(section);
                return veneers.readInt((int) offset + 64, LITTLE);
            }
        }
        return target;
    }

    private static int distance(int word, boolean thumb) {
        if (!thumb) {
            return word << 8 >> 6;
        }
        int first = word & 0xffff;
        int second = word >>> 16;
        int s = first >> 10 & 1;
        int i1 = (second >> 13 & 1) == s ? 1 : 0;
        int i2 = (second >> 11 & 1) == s ? 1 : 0;
        int bits = -s << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
        return bits;
    }
}

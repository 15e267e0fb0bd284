package io.github.koloader.testkit;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.FirstFitAllocator;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.ModuleAllocator;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Loads for properties, and what a module looks like in the middle of one. */
final class Loads {
    /**
     * A module once it is relocated, with its init memory still there.
     *
     * @param sections its sections in memory by index
     * @param contents their bytes
     * @param values of its symbols
     * @param layout its layout
     * @param module the module, by now live
     */
    record Relocated(
            Map<Integer, LoadedSection> sections,
            Map<Integer, Bytes> contents,
            long[] values,
            Layout layout,
            Kernel kernel,
            Module module) {}

    private Loads() {}

    static Architecture architectureOf(ModuleImage image) {
        return Architectures.forMachine(image.machine(), image.encoding()).orElseThrow();
    }

    /** The image as its architecture plans it. */
    static ModuleImage planned(ModuleImage image, boolean sevenBlocks) {
        return architectureOf(image)
                .planSections(image, config(sevenBlocks), image.name().orElseThrow())
                .image();
    }

    static KernelConfig config(boolean sevenBlocks) {
        KernelConfig config = sevenBlocks ? KernelConfig.linux6_12() : KernelConfig.linux6_1();
        return config.toBuilder().checkVermagic(false).build();
    }

    /** A permissive kernel whose modules lie {@code delta} bytes higher than they would. */
    static Kernel.Builder kernel(ModuleImage image, boolean sevenBlocks, long delta) {
        KernelConfig config = config(sevenBlocks);
        Architecture architecture = architectureOf(image);
        return Kernel.builder(architecture)
                .config(config)
                .allocator(allocator(architecture, config, delta));
    }

    static ModuleAllocator allocator(Architecture architecture, KernelConfig config, long delta) {
        AddressRange area = architecture.moduleAreas(config).get(0);
        return new FirstFitAllocator(
                List.of(new AddressRange(area.start().plus(delta), area.size() - delta)),
                architecture.imageArea(config),
                architecture.perCpuArea(config),
                architecture.pageSize());
    }

    /** An allocator with room for the per-CPU data of so many modules, be each of it aligned. */
    static ModuleAllocator allocatorFor(
            int modules, Architecture architecture, KernelConfig config) {
        AddressRange perCpu = architecture.perCpuArea(config);
        return new FirstFitAllocator(
                architecture.moduleAreas(config),
                architecture.imageArea(config),
                new AddressRange(perCpu.start(), modules * perCpu.size()),
                architecture.pageSize());
    }

    static Relocated relocated(ModuleImage image, boolean sevenBlocks, long delta) {
        return relocated(image, kernel(image, sevenBlocks, delta));
    }

    static Relocated relocated(ModuleImage image, Kernel.Builder builder) {
        Map<Integer, LoadedSection> sections = new LinkedHashMap<>();
        Map<Integer, Bytes> contents = new LinkedHashMap<>();
        List<long[]> values = new ArrayList<>();
        Kernel kernel =
                builder.observer(
                                (point, module) -> {
                                    if (point == Point.RELOCATED) {
                                        values.add(module.symbolValues());
                                        for (LoadedSection section : module.sections()) {
                                            sections.put(section.index(), section);
                                            contents.put(section.index(), module.contents(section));
                                        }
                                    }
                                })
                        .build();
        Module module = kernel.load(image, "");
        return new Relocated(sections, contents, values.get(0), module.layout(), kernel, module);
    }

    static Address end(LoadedSection section) {
        return section.address().plus(section.size());
    }
}

package io.github.koloader.testkit;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.PlacedModule;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.arch.Relocator;
import io.github.koloader.arch.SectionPlan;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A module of a few sections at addresses of one's own choice, planned and relocated by its
 * architecture without a kernel around it. It is put together first; {@link #plan} and {@link
 * Planned#place} then ask the architecture, and their results can be asked.
 */
final class PlacedImage {
    /** Name of the module. */
    static final String NAME = "vector";

    private static final long PAGE = 4096;

    private final Architecture architecture;
    private final KernelConfig config;
    private final ImageBuilder builder;
    private final List<Long> values = new ArrayList<>();
    private final Map<String, Integer> names = new LinkedHashMap<>();
    private final Map<String, Long> addresses = new HashMap<>();
    private long prefixAddress;
    private boolean prefixPlaced;
    private long restAddress;
    private boolean restPlaced;

    PlacedImage(Architecture architecture, KernelConfig config, boolean addends) {
        this.architecture = architecture;
        this.config = config;
        this.builder =
                new ImageBuilder(architecture.elfMachine(), architecture.encoding(), addends)
                        .name(NAME);
        values.add(0L);
    }

    /** Adds the sections that the architecture's linker script adds. */
    PlacedImage withLoaderSections() {
        LoaderSections.of(architecture, config).forEach(this::section);
        return this;
    }

    /** Adds a section; returns its index. Without {@link #place} it goes where there is room. */
    int section(Section section) {
        int index = builder.section(section);
        names.put(section.name(), index);
        return index;
    }

    /** Adds a section at an address; returns its index. */
    int section(String name, long flags, long address, byte[] contents) {
        addresses.put(name, address);
        return section(Section.progbits(name, flags, 1, Bytes.copyOf(contents)));
    }

    /** Puts a section there, if the module has one of that name. */
    PlacedImage place(String name, long address) {
        addresses.put(name, address);
        return this;
    }

    /** Puts the bytes before the first section there, if the plan asks for some. */
    PlacedImage placePrefix(long address) {
        prefixAddress = address;
        prefixPlaced = true;
        return this;
    }

    /** Puts what has no address there, page by page; behind the code if this is not called. */
    PlacedImage placeRest(long address) {
        restAddress = address;
        restPlaced = true;
        return this;
    }

    /** Adds a symbol with its final value; it must not be local. Returns its index. */
    int symbol(Symbol symbol, long value) {
        values.add(value);
        return builder.symbol(symbol);
    }

    /** Adds a relocation for a section. */
    PlacedImage relocation(int section, Relocation relocation) {
        builder.relocate(section, relocation);
        return this;
    }

    /** The module as a file has it. Once. */
    ModuleImage build() {
        return builder.build();
    }

    /** What the architecture makes of the module that {@link #build} gave. */
    Planned plan(ModuleImage file) {
        return new Planned(architecture.planSections(file, config, NAME));
    }

    /** What the architecture makes of the module. Once. */
    Planned plan() {
        return plan(build());
    }

    /** A module before layout. */
    final class Planned {
        private final SectionPlan plan;

        Planned(SectionPlan plan) {
            this.plan = plan;
        }

        ModuleImage image() {
            return plan.image();
        }

        /** A section as planned. */
        Section section(String name) {
            return image().section(name).orElseThrow(() -> new IllegalStateException(name));
        }

        /** Bytes that the plan wants before the first section. */
        int prefixSize() {
            return plan.textPrefix();
        }

        /** The sections that were added, at their addresses. */
        Placed place() {
            return new Placed(plan);
        }
    }

    /** A module at its addresses. */
    final class Placed {
        private final SectionPlan plan;
        private final Map<Integer, PlacedSection> sections = new HashMap<>();
        private final PlacedSection prefix;
        private final PlacedModule module;
        private final Relocator relocator;
        private long free;

        Placed(SectionPlan plan) {
            this.plan = plan;
            this.free = restPlaced ? restAddress : behindText();
            names.forEach((name, index) -> sections.put(index, memory(name, index)));
            long address = prefixPlaced ? prefixAddress : take(plan.textPrefix());
            this.prefix = memory(new byte[plan.textPrefix()], address);
            this.module =
                    new PlacedModule(
                            config,
                            NAME,
                            plan,
                            values.stream().mapToLong(Long::longValue).toArray(),
                            sections::get,
                            wanted -> false,
                            prefix);
            this.relocator = architecture.relocator(module);
        }

        private long behindText() {
            Integer text = names.get(".text");
            long size = text == null ? 0 : plan.image().section(text).size();
            return addresses.getOrDefault(".text", 0L) + size + PAGE - 1 & -PAGE;
        }

        /** Whole pages behind what has been taken. */
        private long take(long size) {
            long address = free;
            free = address + size + PAGE - 1 & -PAGE;
            return address;
        }

        private PlacedSection memory(String name, int index) {
            Section section = plan.image().section(index);
            byte[] bytes = new byte[(int) section.size()];
            section.contents().copyTo(bytes, 0);
            Long wished = addresses.get(name);
            return memory(bytes, wished != null ? wished : take(bytes.length));
        }

        private PlacedSection memory(byte[] bytes, long address) {
            boolean big = architecture.encoding().bigEndian();
            return new PlacedSection(bytes, 0, bytes.length, address, big);
        }

        /** Applies every table, in order. */
        Placed relocate() {
            tables().forEach(relocator::apply);
            return this;
        }

        /** Does what comes after relocation. */
        Placed finish() {
            architecture.finalizeModule(module);
            return this;
        }

        /** The tables to apply. */
        List<RelocationTable> tables() {
            return plan.image().relocations().stream()
                    .filter(table -> sections.containsKey(table.target()))
                    .toList();
        }

        /** Applies one entry of a table by itself. */
        void relocate(RelocationTable table, int entry) {
            int size = table.format().entrySize();
            relocator.apply(
                    new RelocationTable(
                            table.section(),
                            table.target(),
                            table.entries().slice(entry * size, size),
                            table.encoding(),
                            table.format()));
        }

        /** The memory of a section that was added. */
        PlacedSection section(String name) {
            PlacedSection section = sections.get(names.getOrDefault(name, -1));
            if (section == null) {
                throw new IllegalStateException("no section " + name);
            }
            return section;
        }

        /** The memory before the first section. */
        PlacedSection prefix() {
            return prefix;
        }
    }

    /** Some bytes, in memory order. */
    static byte[] read(PlacedSection section, long address, int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) section.read(address - section.address() + i, 1);
        }
        return bytes;
    }
}

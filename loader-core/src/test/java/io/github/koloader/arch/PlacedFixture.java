package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A module of a few sections at addresses of one's choice, planned and relocated by its
 * architecture without a kernel around it.
 */
final class PlacedFixture {
    static final long CODE = SectionFlags.ALLOC | SectionFlags.EXECINSTR;
    static final long DATA = SectionFlags.ALLOC | SectionFlags.WRITE;

    private final Architecture architecture;
    private final KernelConfig config;
    private final ImageBuilder builder;
    private final List<Long> values = new ArrayList<>(List.of(0L));
    private final Map<Integer, Long> addresses = new LinkedHashMap<>();
    private final Map<Integer, PlacedSection> memory = new HashMap<>();

    PlacedFixture(Architecture architecture) {
        this(architecture, KernelConfig.linux6_1());
    }

    PlacedFixture(Architecture architecture, KernelConfig config) {
        this.architecture = architecture;
        this.config = config;
        this.builder =
                new ImageBuilder(
                                architecture.elfMachine(),
                                architecture.encoding(),
                                architecture.acceptsRelocations(true))
                        .name("m");
    }

    /** Adds a section with these bytes, which will lie at that address. */
    int section(String name, long flags, long address, byte... bytes) {
        int index = builder.section(Section.progbits(name, flags, 1, Bytes.wrap(bytes.clone())));
        addresses.put(index, address);
        return index;
    }

    /** Adds a byte of a section that the loader sizes, which will lie at that address. */
    int placeholder(String name, long address) {
        return section(name, SectionFlags.ALLOC, address, (byte) 0x5a);
    }

    /** Adds an undefined symbol that comes to have that value. */
    int symbol(long value) {
        return symbol(Symbol.undefined("s" + values.size()), value);
    }

    /** Adds a symbol, not a local one, that comes to have that value. */
    int symbol(Symbol symbol, long value) {
        values.add(value);
        return builder.symbol(symbol);
    }

    /** Adds relocations for a section. */
    PlacedFixture relocate(int section, Relocation... relocations) {
        builder.relocate(section, relocations);
        return this;
    }

    /** The module as a file has it. Once. */
    ModuleImage file() {
        return builder.build();
    }

    /** What the architecture makes of the module. Once. */
    SectionPlan plan() {
        return architecture.planSections(file(), config, "m");
    }

    /** Plans, places and relocates the module. Once. */
    PlacedFixture load() {
        return apply(plan());
    }

    /** Places and relocates the module as it is, without asking the architecture before. Once. */
    PlacedFixture loadUnplanned() {
        return apply(SectionPlan.asIs(file()));
    }

    private PlacedFixture apply(SectionPlan plan) {
        ModuleImage image = plan.image();
        addresses.forEach(
                (index, address) -> {
                    Section section = image.section(index);
                    byte[] bytes = new byte[(int) section.size()];
                    section.contents().copyTo(bytes, 0);
                    memory.put(
                            index,
                            new PlacedSection(
                                    bytes,
                                    0,
                                    bytes.length,
                                    address,
                                    architecture.encoding().bigEndian()));
                });
        Relocator relocator =
                architecture.relocator(
                        new PlacedModule(
                                config,
                                "m",
                                plan,
                                values.stream().mapToLong(Long::longValue).toArray(),
                                memory::get,
                                address -> false,
                                new PlacedSection(new byte[0], 0, 0, 0, false)));
        for (RelocationTable table : image.relocations()) {
            if (memory.containsKey(table.target())) {
                relocator.apply(table);
            }
        }
        return this;
    }

    /** The memory of a section, once it is placed. */
    PlacedSection memory(int section) {
        PlacedSection found = memory.get(section);
        if (found == null) {
            throw new IllegalStateException("section " + section + " is not placed");
        }
        return found;
    }

    /** A 32-bit word of a section. */
    int word(int section, long offset) {
        return memory(section).readInt(offset);
    }

    /** All bytes of a section. */
    byte[] bytes(int section) {
        PlacedSection found = memory(section);
        byte[] bytes = new byte[found.size()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) found.read(i, 1);
        }
        return bytes;
    }
}

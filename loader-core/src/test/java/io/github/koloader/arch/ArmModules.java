package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.SymbolTable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/** Modules for 32-bit Arm, made of words, planned and placed. */
final class ArmModules {
    static final KernelConfig ARM = KernelConfig.linux6_1();
    static final KernelConfig THUMB = ARM.toBuilder().kconfig("CONFIG_THUMB2_KERNEL", true).build();

    /** A module area out of reach of the kernel's text. */
    static final long CORE = 0xf100_0000L;

    static final long INIT = 0xf200_0000L;

    private ArmModules() {}

    static ImageBuilder builder() {
        return new ImageBuilder(40, Encoding.ELF32_LSB, false).name("m");
    }

    /** A builder with the two sections for veneers, 1 and 2, as modules have them. */
    static ImageBuilder withPlts() {
        ImageBuilder builder = builder();
        Architectures.ARM.scriptSections(ARM).forEach(builder::section);
        return builder;
    }

    static Section code(String name, int... words) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * words.length).order(ByteOrder.LITTLE_ENDIAN);
        for (int word : words) {
            bytes.putInt(word);
        }
        return Section.progbits(
                name, SectionFlags.ALLOC | SectionFlags.EXECINSTR, 4, Bytes.wrap(bytes.array()));
    }

    static Symbol symbol(String name, int type, Symbol.Place place, long value) {
        return new Symbol(name, Binding.GLOBAL, type, 0, place, value, 0);
    }

    /**
     * A planned module in memory: core sections from one address on, those of init from another.
     */
    static final class Placed {
        final ModuleImage image;
        final PlacedModule module;
        private final Map<Integer, PlacedSection> sections = new LinkedHashMap<>();

        Placed(ModuleImage given, KernelConfig config, Map<String, Long> undefined) {
            SectionPlan plan = Architectures.ARM.planSections(given, config, "m");
            image = plan.image();
            long core = CORE;
            long init = INIT;
            for (int i = 1; i < image.sections().size(); i++) {
                Section section = image.section(i);
                if (!section.flags().alloc()) {
                    continue;
                }
                boolean ofInit = Architectures.ARM.isInitSection(section.name());
                long alignment = Math.max(1, section.alignment());
                long address = ((ofInit ? init : core) + alignment - 1) & -alignment;
                byte[] bytes = new byte[(int) section.size()];
                section.contents().copyTo(bytes, 0);
                sections.put(i, new PlacedSection(bytes, 0, bytes.length, address, false));
                if (ofInit) {
                    init = address + bytes.length;
                } else {
                    core = address + bytes.length;
                }
            }
            SymbolTable symbols = image.symbols();
            long[] values = new long[symbols.count()];
            for (int i = 1; i < values.length; i++) {
                int index = symbols.sectionIndex(i);
                PlacedSection section = sections.get(index);
                values[i] =
                        section != null
                                ? section.address() + symbols.value(i) & 0xffff_ffffL
                                : undefined.getOrDefault(symbols.name(i), 0L);
            }
            long initEnd = init;
            module =
                    new PlacedModule(
                            config,
                            "m",
                            plan,
                            values,
                            sections::get,
                            address -> address >= INIT && address < initEnd,
                            new PlacedSection(new byte[0], 0, 0, 0, false));
        }

        /** Applies all tables with one relocator, as a load does. */
        Placed relocate() {
            Relocator relocator = Architectures.ARM.relocator(module);
            for (RelocationTable table : image.relocations()) {
                if (sections.containsKey(table.target())) {
                    relocator.apply(table);
                }
            }
            return this;
        }

        PlacedSection section(String name) {
            return sections.get(SectionPlan.lastNamed(image, name));
        }

        int word(String name, int offset) {
            return section(name).readInt(offset);
        }
    }
}

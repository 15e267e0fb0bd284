package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.Kernel;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.ModuleState;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.Layout.Block;
import io.github.koloader.memory.Layout.Part;
import io.github.koloader.memory.Region;
import io.github.koloader.testkit.Loads.Relocated;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;
import net.jqwik.api.statistics.Statistics;

/** Laws of a load that succeeds. */
@Domain(ImageArbitraries.class)
@Domain(DomainContext.Global.class)
class LoadPropertyTest {
    @Property(tries = 300)
    void loadThenUnloadRestoresMemory(@ForAll ModuleImage image, @ForAll boolean sevenBlocks) {
        Architecture architecture = Loads.architectureOf(image);
        CountingAllocator allocator =
                new CountingAllocator(Loads.allocator(architecture, Loads.config(sevenBlocks), 0));
        Kernel kernel = Loads.kernel(image, sevenBlocks, 0).allocator(allocator).build();
        KernelSnapshot before = KernelSnapshot.of(kernel, allocator, List.of());

        Module module = kernel.load(image, "");
        assertThat(module.state()).isEqualTo(ModuleState.LIVE);
        List<String> exports = module.exports().stream().map(ExportedSymbol::name).toList();
        kernel.forceUnload(module.name());

        KernelSnapshot after = KernelSnapshot.of(kernel, allocator, exports);
        assertThat(kernel.registry().all()).isEmpty();
        // but the stubs: an address that was made up once is a name's for good
        assertThat(after.withRest(before.rest())).isEqualTo(before);
        Statistics.label("exports").collect(exports.size());
    }

    @Property(tries = 200)
    void regionsNeverOverlap(
            @ForAll("several") List<ModuleImage> images, @ForAll boolean sevenBlocks) {
        Architecture architecture = Loads.architectureOf(images.get(0));
        Kernel kernel =
                Loads.kernel(images.get(0), sevenBlocks, 0)
                        .allocator(
                                Loads.allocatorFor(
                                        images.size(), architecture, Loads.config(sevenBlocks)))
                        .build();
        for (ModuleImage image : images) {
            kernel.load(image, "");
        }
        assertDisjoint(kernel);
        kernel.forceUnload(images.get(0).name().orElseThrow());
        kernel.load(images.get(0), "");
        assertDisjoint(kernel);
        for (ModuleImage image : images) {
            kernel.forceUnload(image.name().orElseThrow());
        }
        assertThat(kernel.memory().regions()).isEmpty();
    }

    private static void assertDisjoint(Kernel kernel) {
        Address free = Address.NULL;
        for (Region region : kernel.memory().regions()) {
            assertThat(region.base()).isGreaterThanOrEqualTo(free);
            free = region.base().plus(region.size());
        }
    }

    /** One to four images of one architecture with names m0, m1 … */
    @Provide
    Arbitrary<List<ModuleImage>> several() {
        return new ImageArbitraries()
                .architectures()
                .flatMap(
                        architecture -> {
                            Arbitrary<List<ModuleImage>> list =
                                    ImageArbitraries.images(architecture, Arbitraries.just("m0"))
                                            .map(List::of);
                            for (int i = 1; i < 4; i++) {
                                Arbitrary<ModuleImage> next =
                                        ImageArbitraries.images(
                                                architecture, Arbitraries.just("m" + i));
                                list =
                                        Combinators.combine(list, next)
                                                .as(
                                                        (images, image) -> {
                                                            List<ModuleImage> more =
                                                                    new ArrayList<>(images);
                                                            more.add(image);
                                                            return more;
                                                        });
                            }
                            return list;
                        });
    }

    @Property(tries = 300)
    void symbolsAreSectionAddressPlusValue(@ForAll ModuleImage image, @ForAll boolean sevenBlocks) {
        Relocated load = Loads.relocated(image, sevenBlocks, 0);
        SymbolTable symbols = image.symbols();
        for (int i = 1; i < symbols.count(); i++) {
            long value = load.values()[i];
            Symbol.Place place = symbols.place(i);
            if (place instanceof Symbol.InSection in) {
                Section section = image.section(in.index());
                long base;
                if (load.sections().containsKey(in.index())) {
                    base = load.sections().get(in.index()).address().value();
                } else if (section.name().equals(".data..percpu")) {
                    base = load.module().perCpuBase().map(Address::value).orElse(0L);
                } else {
                    base = load.module().imageAddress().value() + section.offset();
                }
                assertThat(value).as("%s", symbols.symbol(i)).isEqualTo(base + symbols.value(i));
            } else if (place instanceof Symbol.Absolute) {
                assertThat(value).isEqualTo(symbols.value(i));
            } else {
                assertThat(load.kernel().stubs().get(symbols.name(i)).value()).isEqualTo(value);
            }
        }
    }

    @Property(tries = 300)
    void sectionsLieInTheirPartAlignedAndApart(
            @ForAll ModuleImage image, @ForAll boolean sevenBlocks) {
        Relocated load = Loads.relocated(image, sevenBlocks, 0);
        boolean strict = load.kernel().config().strictModuleRwx();
        int page = strict ? Loads.architectureOf(image).pageSize() : 1;
        ModuleImage planned = Loads.planned(image, sevenBlocks);
        Layout layout = load.layout();
        for (Block block : layout.blocks()) {
            assertThat(block.size() % page).isZero();
            long offset = 0;
            for (Part part : block.parts()) {
                assertThat(part.offset()).isEqualTo(offset);
                assertThat(part.size() % page).isZero();
                offset += part.size();
            }
            assertThat(offset).isEqualTo(block.size());
        }
        List<LoadedSection> sections = new ArrayList<>(load.sections().values());
        for (LoadedSection section : sections) {
            assertThat(planned.section(section.index()).name()).isEqualTo(section.name());
            assertThat(planned.section(section.index()).size()).isEqualTo(section.size());
            long alignment = Math.max(1, planned.section(section.index()).alignment());
            assertThat(section.address().value() & alignment - 1).as("%s", section).isZero();
            long offset = layout.offsetOf(section.index());
            Block block = layout.blocks().get(layout.blockOf(section.index()));
            assertThat(block.parts())
                    .as("%s", section)
                    .anyMatch(
                            part ->
                                    part.type() == section.type()
                                            && offset >= part.offset()
                                            && offset + section.size()
                                                    <= part.offset() + part.size());
        }
        sections.removeIf(section -> section.size() == 0);
        sections.sort((one, other) -> one.address().compareTo(other.address()));
        for (int i = 1; i < sections.size(); i++) {
            assertThat(sections.get(i).address())
                    .isGreaterThanOrEqualTo(Loads.end(sections.get(i - 1)));
        }
    }

    @Property(tries = 300)
    void twoBlocksAndSevenHoldTheSameSections(@ForAll ModuleImage image) {
        Relocated two = Loads.relocated(image, false, 0);
        Relocated seven = Loads.relocated(image, true, 0);
        assertThat(two.layout().blocks()).hasSize(2);
        assertThat(seven.layout().blocks()).hasSize(7);
        assertThat(seven.sections().keySet()).isEqualTo(two.sections().keySet());
        two.sections()
                .forEach(
                        (index, section) -> {
                            assertThat(seven.sections().get(index).type())
                                    .isEqualTo(section.type());
                            assertThat(section.size())
                                    .isEqualTo(Loads.planned(image, false).section(index).size());
                            assertThat(seven.sections().get(index).size())
                                    .isEqualTo(Loads.planned(image, true).section(index).size());
                            assertThat(seven.layout().isInit(index))
                                    .isEqualTo(two.layout().isInit(index));
                        });
    }

    @Property(tries = 300)
    void orderOfSectionsDoesNotChangeWhichSymbolsResolve(
            @ForAll ModuleImage image, @ForAll long seed, @ForAll boolean sevenBlocks) {
        List<Integer> order =
                IntStream.range(1, image.sections().size()).boxed().collect(Collectors.toList());
        Collections.shuffle(order, new Random(seed));
        ModuleImage reordered = ImageEdits.withSectionOrder(image, order);
        Relocated one = Loads.relocated(image, sevenBlocks, 0);
        Relocated other = Loads.relocated(reordered, sevenBlocks, 0);

        assertThat(other.kernel().stubs()).isEqualTo(one.kernel().stubs());
        assertThat(other.module().importCount()).isEqualTo(one.module().importCount());
        assertThat(exports(other)).isEqualTo(exports(one));
        assertThat(other.module().init().isPresent()).isEqualTo(one.module().init().isPresent());
        assertThat(other.module().exit().isPresent()).isEqualTo(one.module().exit().isPresent());
        assertThat(offsets(reordered, other)).isEqualTo(offsets(image, one));
    }

    private static List<String> exports(Relocated load) {
        return load.module().exports().stream().map(ExportedSymbol::name).toList();
    }

    /** Where each symbol came to lie: how far from the section of which name. */
    private static Map<Integer, String> offsets(ModuleImage image, Relocated load) {
        Map<Integer, String> found = new HashMap<>();
        for (int i = 1; i < image.symbols().count(); i++) {
            int section = image.symbols().sectionIndex(i);
            LoadedSection loaded = load.sections().get(section);
            boolean inSection = image.symbols().place(i) instanceof Symbol.InSection;
            long base = loaded == null ? 0 : loaded.address().value();
            found.put(
                    i,
                    (inSection
                                    ? image.section(section).name()
                                    : image.symbols().place(i).toString())
                            + (inSection && loaded == null ? "" : "+" + (load.values()[i] - base)));
        }
        return found;
    }

    @Property(tries = 100)
    void aLoadIsTheSameTwice(@ForAll ModuleImage image, @ForAll boolean sevenBlocks) {
        Relocated one = Loads.relocated(image, sevenBlocks, 0);
        Relocated other = Loads.relocated(image, sevenBlocks, 0);
        assertThat(other.contents()).isEqualTo(one.contents());
        assertThat(other.values()).isEqualTo(one.values());
    }
}

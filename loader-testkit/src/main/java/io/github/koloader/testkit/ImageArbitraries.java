package io.github.koloader.testkit;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.testkit.ImagePlan.RelocationChoice;
import io.github.koloader.testkit.ImagePlan.SectionChoice;
import io.github.koloader.testkit.ImagePlan.SectionKind;
import io.github.koloader.testkit.ImagePlan.SymbolChoice;
import io.github.koloader.testkit.ImagePlan.SymbolKind;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.arbitraries.StringArbitrary;
import net.jqwik.api.domains.DomainContextBase;

/**
 * Random module images that a kernel takes, for properties: a domain of jqwik.
 *
 * <pre>{@code
 * @Property
 * @Domain(ImageArbitraries.class)
 * @Domain(DomainContext.Global.class)
 * void onlyTheTableMoves(@ForAll ModuleImage image, @ForAll @IntRange(max = 512) int pages) { … }
 * }</pre>
 *
 * <p>An image has one to six program sections, symbols of every kind, relocations of its
 * architecture's rows, exports, init and exit functions and modinfo. It is valid as it is made,
 * nothing is filtered: each relocation fits wherever in the architecture's module area the module
 * is placed, places do not overlap, and they are zero where the row demands it. Exports are written
 * as kernels since 5.4 read them. To get a broken image, edit a valid one with {@link ImageEdits}.
 *
 * <p>For an architecture of your own, extend this class and hand it to the constructor, or use
 * {@link #images(Architecture)}.
 */
public class ImageArbitraries extends DomainContextBase {
    private final List<Architecture> architectures;

    /** Images for all architectures of the library. */
    public ImageArbitraries() {
        this(Architectures.all());
    }

    /**
     * Images for these architectures.
     *
     * @param architectures at least one
     */
    protected ImageArbitraries(List<Architecture> architectures) {
        this.architectures = List.copyOf(architectures);
    }

    /** {@return one of the architectures} */
    @Provide
    public Arbitrary<Architecture> architectures() {
        return Arbitraries.of(architectures);
    }

    /** {@return an image for one of the architectures} */
    @Provide
    public Arbitrary<ModuleImage> moduleImages() {
        return Combinators.combine(plans(names()), Arbitraries.of(architectures))
                .as((plan, architecture) -> new ImageAssembler(architecture, plan).assemble())
                .withoutEdgeCases();
    }

    /**
     * {@return images for that architecture}
     *
     * @param architecture whose relocations they have
     */
    public static Arbitrary<ModuleImage> images(Architecture architecture) {
        return images(architecture, names());
    }

    /**
     * {@return images for that architecture with a module name of yours, so that several can be
     * loaded into one kernel}
     *
     * @param architecture whose relocations they have
     * @param name names of modules, as short as the kernel wants them
     */
    public static Arbitrary<ModuleImage> images(Architecture architecture, Arbitrary<String> name) {
        return plans(name)
                .map(plan -> new ImageAssembler(architecture, plan).assemble())
                .withoutEdgeCases();
    }

    private static Arbitrary<String> names() {
        return Combinators.combine(
                        Arbitraries.chars().range('a', 'z'),
                        Arbitraries.strings()
                                .withCharRange('a', 'z')
                                .withCharRange('0', '9')
                                .withChars('_')
                                .ofMaxLength(14))
                .as((first, rest) -> first + rest);
    }

    private static Arbitrary<ImagePlan> plans(Arbitrary<String> name) {
        return Combinators.combine(
                        name,
                        sections(),
                        symbols(),
                        relocations(),
                        Arbitraries.integers().between(0, 3),
                        Combinators.combine(
                                        Arbitraries.of(true, false), Arbitraries.of(true, false))
                                .as(Tuple::of),
                        modinfo(),
                        Arbitraries.integers().between(0, 2))
                .as(
                        (named,
                                sections,
                                symbols,
                                relocations,
                                exports,
                                entries,
                                modinfo,
                                versions) ->
                                new ImagePlan(
                                        named,
                                        sections,
                                        symbols,
                                        relocations,
                                        IntStream.range(0, exports)
                                                .mapToObj(i -> named + "_export_" + i)
                                                .toList(),
                                        entries.get1(),
                                        entries.get2(),
                                        modinfo,
                                        versions));
    }

    /** One section less than there will be: {@code .text} is always there. */
    private static Arbitrary<List<SectionChoice>> sections() {
        return Combinators.combine(
                        Arbitraries.of(SectionKind.class),
                        Arbitraries.integers().between(0, 300),
                        Arbitraries.frequencyOf(
                                Tuple.of(15, Arbitraries.integers().between(0, 6)),
                                Tuple.of(1, Arbitraries.just(12))),
                        Arbitraries.longs())
                .as(SectionChoice::new)
                .list()
                .ofMaxSize(5);
    }

    private static Arbitrary<List<SymbolChoice>> symbols() {
        StringArbitrary names =
                Arbitraries.strings()
                        .withCharRange('a', 'z')
                        .withCharRange('0', '9')
                        .withChars('_', '.', '$')
                        .ofMinLength(1);
        return Combinators.combine(
                        Arbitraries.of(SymbolKind.class),
                        Arbitraries.frequencyOf(
                                Tuple.of(9, names.ofMaxLength(12)),
                                Tuple.of(1, names.ofMaxLength(130))),
                        Arbitraries.integers().between(0, 5),
                        Arbitraries.integers().greaterOrEqual(0))
                .as(SymbolChoice::new)
                .list()
                .ofMaxSize(12);
    }

    private static Arbitrary<List<RelocationChoice>> relocations() {
        return Combinators.combine(
                        Arbitraries.integers().between(0, 1023),
                        Arbitraries.integers().between(0, 5),
                        Arbitraries.integers().between(0, 31),
                        Arbitraries.integers().between(0, 9),
                        Arbitraries.integers().between(-4096, 4096))
                .as(RelocationChoice::new)
                .list()
                .ofMaxSize(20);
    }

    private static Arbitrary<List<String>> modinfo() {
        Arbitrary<String> text = Arbitraries.strings().withCharRange(' ', '~').ofMaxLength(30);
        return Combinators.combine(
                        Arbitraries.of(
                                "alias",
                                "author",
                                "description",
                                "depends",
                                "srcversion",
                                "softdep"),
                        text)
                .as((tag, value) -> tag + "=" + value)
                .list()
                .ofMaxSize(4);
    }
}

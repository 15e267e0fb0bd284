package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.BuiltIn;
import io.github.koloader.Executor;
import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LinkedKernel;
import io.github.koloader.StaticLinker;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.statistics.Statistics;

/**
 * In which order built-in code runs: levels in their order, plain entries before sync ones, rootfs
 * behind 5s, and in link order inside; whether it is Java or in objects, with addresses or
 * distances.
 */
class InitcallOrderPropertyTest {
    /** The order of the specification, in its own words. */
    private static final List<String> ORDER =
            List.of(
                    "con",
                    "security",
                    "early",
                    "0",
                    "1",
                    "1s",
                    "2",
                    "2s",
                    "3",
                    "3s",
                    "4",
                    "4s",
                    "5",
                    "5s",
                    "rootfs",
                    "6",
                    "6s",
                    "7",
                    "7s");

    private static final long CODE = SectionFlags.ALLOC | SectionFlags.EXECINSTR;

    /** One input of a link: a Java function if there is one call, else maybe an object. */
    record Input(boolean java, List<InitcallLevel> calls) {}

    /** What is linked, for which architecture, with distances or addresses as entries. */
    record Link(Architecture architecture, boolean relative, List<Input> inputs) {
        /** Name of each call, in link order, and its level. */
        Map<String, InitcallLevel> calls(List<Integer> order) {
            Map<String, InitcallLevel> calls = new LinkedHashMap<>();
            for (int input : order) {
                for (int i = 0; i < inputs.get(input).calls.size(); i++) {
                    calls.put(name(input, i), inputs.get(input).calls.get(i));
                }
            }
            return calls;
        }

        static String name(int input, int call) {
            return "init_" + input + "_" + call;
        }

        LinkedKernel link(List<Integer> order) {
            StaticLinker linker = StaticLinker.of(architecture, KernelConfig.linux3_10());
            for (int input : order) {
                Input which = inputs.get(input);
                if (which.java) {
                    linker.builtIn(new BuiltIn(which.calls.get(0), name(input, 0), OK));
                } else {
                    linker.object("object" + input + ".o", object(input));
                }
            }
            return linker.link();
        }

        private ModuleImage object(int input) {
            ImageBuilder object =
                    new ImageBuilder(
                            architecture.elfMachine(),
                            architecture.encoding(),
                            architecture.acceptsRelocations(true));
            List<InitcallLevel> calls = inputs.get(input).calls;
            int text =
                    object.section(
                            Section.progbits(
                                    ".init.text",
                                    CODE,
                                    16,
                                    Bytes.wrap(new byte[16 * calls.size()])));
            RelocationType entry = entryType(architecture, relative).orElseThrow();
            int size = entry.field().size();
            for (InitcallLevel level : calls.stream().distinct().toList()) {
                List<Integer> ofLevel =
                        IntStream.range(0, calls.size())
                                .filter(i -> calls.get(i) == level)
                                .boxed()
                                .toList();
                int table =
                        object.section(
                                Section.progbits(
                                        level.sectionName(),
                                        SectionFlags.ALLOC,
                                        size,
                                        Bytes.wrap(new byte[size * ofLevel.size()])));
                for (int i = 0; i < ofLevel.size(); i++) {
                    int call = ofLevel.get(i);
                    int function =
                            object.symbol(
                                    new Symbol(
                                            name(input, call),
                                            Binding.LOCAL,
                                            Symbol.FUNC,
                                            0,
                                            new Symbol.InSection(text),
                                            16L * call,
                                            16));
                    object.relocate(
                            table, new Relocation((long) size * i, entry.code(), function, 0));
                }
            }
            return object.build();
        }
    }

    private static final Executor OK = call -> 0;

    /** The relocation that makes an entry of a table. */
    private static Optional<RelocationType> entryType(Architecture architecture, boolean relative) {
        int size = relative ? 4 : architecture.encoding().wordSize();
        Formula formula = relative ? Formula.PC_RELATIVE : Formula.ABSOLUTE;
        return architecture.relocationTypes().stream()
                .filter(row -> row.formula() == formula && row.field().size() == size)
                .filter(row -> row.field().mask() == -1L >>> 64 - 8 * size)
                .findFirst();
    }

    @Provide
    Arbitrary<Link> links() {
        Arbitrary<InitcallLevel> level = Arbitraries.of(InitcallLevel.class);
        Arbitrary<Input> java = level.map(of -> new Input(true, List.of(of)));
        Arbitrary<Input> object =
                level.list().ofMinSize(1).ofMaxSize(6).map(calls -> new Input(false, calls));
        return Combinators.combine(
                        Arbitraries.of(Architectures.all()),
                        Arbitraries.of(true, false),
                        Arbitraries.oneOf(java, object).list().ofMinSize(1).ofMaxSize(12))
                .as(
                        (architecture, relative, inputs) ->
                                new Link(
                                        architecture,
                                        relative && entryType(architecture, true).isPresent(),
                                        inputs));
    }

    private static List<Integer> given(Link link) {
        return IntStream.range(0, link.inputs.size()).boxed().toList();
    }

    private static List<String> names(LinkedKernel kernel) {
        return kernel.initcalls().stream().map(Initcall::name).toList();
    }

    /** Link order, sorted by nothing but the position of each level in the specification. */
    private static List<String> expected(Map<String, InitcallLevel> calls) {
        List<String> sorted = new ArrayList<>();
        for (String id : ORDER) {
            calls.forEach(
                    (name, level) -> {
                        if (level.id().equals(id)) {
                            sorted.add(name);
                        }
                    });
        }
        return sorted;
    }

    @Property(tries = 500)
    void runningOrderIsLevelOrderThenLinkOrder(@ForAll("links") Link link) {
        LinkedKernel kernel = link.link(given(link));

        Map<String, InitcallLevel> calls = link.calls(given(link));
        assertThat(names(kernel)).containsExactlyElementsOf(expected(calls));
        assertThat(kernel.initcalls())
                .allSatisfy(call -> assertThat(call.level()).isEqualTo(calls.get(call.name())));
        for (InitcallLevel level : calls.values()) {
            Statistics.label("level").collect(level);
        }
        Statistics.label("entries").collect(link.relative ? "distances" : "addresses");
        Statistics.label("architecture").collect(link.architecture.name());
    }

    @Property(tries = 300)
    void bootCallsInRunningOrder(@ForAll("links") Link link) {
        LinkedKernel linked = link.link(given(link));
        List<String> calls = new ArrayList<>();
        Kernel kernel =
                Kernel.builder(link.architecture)
                        .config(KernelConfig.linux3_10())
                        .linked(linked)
                        .executor(call -> note(calls, call))
                        .build();
        List<String> called = kernel.boot("").called();

        assertThat(called).containsExactlyElementsOf(expected(link.calls(given(link))));
        assertThat(calls).isSubsetOf(called); // Java functions do not reach the executor
        assertThat(calls)
                .containsExactlyElementsOf(
                        called.stream().filter(name -> !isJava(link, name)).toList());
    }

    private static int note(List<String> calls, Executor.Call call) {
        calls.add(call.function().orElseThrow());
        return -1; // which stops nothing
    }

    private static boolean isJava(Link link, String name) {
        return link.inputs.get(Integer.parseInt(name.split("_")[1])).java;
    }

    @Property(tries = 500)
    void permutingInputsPermutesOnlyWithinLevels(
            @ForAll("links") Link link, @ForAll Random random) {
        List<Integer> order = new ArrayList<>(given(link));
        java.util.Collections.shuffle(order, random);

        LinkedKernel before = link.link(given(link));
        LinkedKernel after = link.link(order);

        assertThat(after.initcalls().stream().map(Initcall::level))
                .containsExactlyElementsOf(
                        before.initcalls().stream().map(Initcall::level).toList());
        for (InitcallLevel level : InitcallLevel.values()) {
            assertThat(ofLevel(after, level))
                    .containsExactlyInAnyOrderElementsOf(ofLevel(before, level))
                    .isSortedAccordingTo(
                            java.util.Comparator.comparingInt(positionIn(link, order)));
        }
        Statistics.label("order changed").collect(!names(before).equals(names(after)));
    }

    private static List<String> ofLevel(LinkedKernel kernel, InitcallLevel level) {
        return kernel.initcalls().stream()
                .filter(call -> call.level() == level)
                .map(Initcall::name)
                .toList();
    }

    private static ToIntFunction<String> positionIn(Link link, List<Integer> order) {
        List<String> calls = List.copyOf(link.calls(order).keySet());
        return calls::indexOf;
    }

    @Property(tries = 300)
    void everyCallIsAFunctionInInitMemory(@ForAll("links") Link link) {
        LinkedKernel kernel = link.link(given(link));
        for (Initcall call : kernel.initcalls()) {
            assertThat(kernel.symbols().address(call.name())).contains(call.function());
            assertThat(kernel.initArea().orElseThrow().contains(call.function())).isTrue();
        }
    }
}

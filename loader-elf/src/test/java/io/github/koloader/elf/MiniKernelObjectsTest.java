package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import io.github.koloader.BootReport;
import io.github.koloader.Executor;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LinkException;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LinkedKernel.Block;
import io.github.koloader.StaticLinker;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A small kernel linked from objects that a compiler made; its sources lie beside them. */
final class MiniKernelObjectsTest {
    private static final Path LINK = Path.of("src/test/resources/link");
    private static final KernelConfig CONFIG = KernelConfig.linux6_1();

    static LinkedKernel link(String name, String style) throws IOException {
        return link(name, style, ObjectReader.read(LINK.resolve(name).resolve(style + ".a")));
    }

    private static LinkedKernel link(String name, String style, List<ObjectFile> objects) {
        Architecture architecture = Architectures.named(name).orElseThrow();
        StaticLinker linker = StaticLinker.of(architecture, CONFIG);
        for (ObjectFile object : objects) {
            linker.object(object.name(), object.image());
        }
        return linker.link();
    }

    /** The calls of the log, in order: what is no call is text of the kernel itself. */
    private static List<String> expectedCalls() throws IOException {
        List<String> calls = new ArrayList<>();
        for (String line :
                Files.readAllLines(
                        Path.of("src/test/resources/vmlinux-mini/expected-log.txt"), US_ASCII)) {
            if (!line.matches(
                    "start_kernel|done .*|level .*|initcall returned .*|.*early_param.*")) {
                calls.add(line);
            }
        }
        return calls;
    }

    /** What the function of a call prints when it runs. */
    private static String logged(Initcall call) {
        return switch (call.name()) {
            case "drv_a_init" -> "drv_a_init speed=3";
            case "drv_b_report" -> "drv_b early_value=1";
            case "same_name" -> call.module().orElseThrow() + " same_name";
            default -> call.name();
        };
    }

    @ParameterizedTest
    @CsvSource({
        "x86_64,abs",
        "x86_64,prel32",
        "i386,abs",
        "i386,prel32",
        "arm64,abs",
        "arm64,prel32",
        "arm,abs",
        "arm,prel32"
    })
    void callsAreInTheOrderInWhichTheMachineRunsThem(String name, String style) throws IOException {
        LinkedKernel kernel = link(name, style);

        assertThat(kernel.initcalls().stream().map(MiniKernelObjectsTest::logged))
                .containsExactlyElementsOf(expectedCalls());
    }

    @ParameterizedTest
    @CsvSource({"x86_64,abs", "x86_64,prel32", "i386,prel32", "arm64,prel32", "arm,abs"})
    void theWholeTableIsWhereItsBoundsSay(String name, String style) throws IOException {
        LinkedKernel kernel = link(name, style);
        boolean relative = style.equals("prel32");
        int word = Architectures.named(name).orElseThrow().encoding().wordSize();
        long at = address(kernel, "__initcall_start");
        List<Address> functions = new ArrayList<>();

        while (at != address(kernel, "__initcall_end")) {
            long value = read(kernel, at, relative ? 4 : word);
            functions.add(new Address(relative ? word(at + (int) value, word) : value));
            at += relative ? 4 : word;
        }

        assertThat(kernel.initcalls().stream().skip(1).map(Initcall::function))
                .containsExactlyElementsOf(functions);
        assertThat(kernel.initcalls().get(0).level()).isEqualTo(InitcallLevel.CONSOLE);
        assertThat(functions).hasSize(23);
    }

    /** GNU ld linked the same objects by a linker script of its own. */
    @ParameterizedTest
    @CsvSource({
        "x86_64,abs",
        "x86_64,prel32",
        "i386,abs",
        "i386,prel32",
        "arm64,abs",
        "arm64,prel32",
        "arm,abs",
        "arm,prel32"
    })
    void callsAndExportsAreThoseOfTheKernelThatGnuLdLinked(String name, String style)
            throws IOException {
        LinkedKernel ours = link(name, style);
        LinkedKernel theirs = MiniKernels.read(name + "-" + style);

        assertThat(ours.initcalls())
                .extracting(Initcall::level, Initcall::name)
                .isEqualTo(
                        theirs.initcalls().stream()
                                .map(call -> tuple(call.level(), call.name()))
                                .toList());
        assertThat(ours.exports())
                .extracting(
                        ExportedSymbol::name, ExportedSymbol::gplOnly, ExportedSymbol::namespace)
                .containsExactlyInAnyOrderElementsOf(
                        theirs.exports().stream()
                                .map(
                                        export ->
                                                tuple(
                                                        export.name(),
                                                        export.gplOnly(),
                                                        export.namespace()))
                                .toList());
    }

    @ParameterizedTest
    @CsvSource({"x86_64,abs", "x86_64,prel32", "i386,prel32", "arm64,prel32", "arm,abs"})
    void aLinkedKernelBootsWithItsParametersAndOptions(String name, String style)
            throws IOException {
        LinkedKernel linked = link(name, style);
        List<String> options = new ArrayList<>();
        Kernel kernel =
                linked.kernel()
                        .config(CONFIG)
                        .executor(
                                call -> {
                                    if (call.phase() == Executor.Phase.EARLY_OPTION) {
                                        options.add(call.function().orElseThrow());
                                    }
                                    return 0;
                                })
                        .build();

        BootReport report = kernel.boot("drv_a.speed=17 mini=1");

        assertThat(report.called())
                .isEqualTo(linked.initcalls().stream().map(Initcall::name).toList());
        assertThat(kernel.memory().readInt(new Address(address(linked, "speed")))).isEqualTo(17);
        assertThat(options).containsExactly("drv_b_setup");
        assertThat(kernel.memory().readInt(linked.initArea().orElseThrow().start()))
                .isEqualTo(0xcccccccc);
    }

    private static long word(long value, int word) {
        return word == 8 ? value : value & 0xffff_ffffL;
    }

    private static long address(LinkedKernel kernel, String symbol) {
        return kernel.symbols().address(symbol).orElseThrow().value();
    }

    private static long read(LinkedKernel kernel, long address, int size) {
        for (Block block : kernel.memory()) {
            if (block.range().contains(new Address(address))) {
                int offset = (int) (address - block.start().value());
                return size == 8
                        ? block.contents().readLong(offset, kernel.architecture().encoding())
                        : block.contents().readInt(offset, kernel.architecture().encoding())
                                & 0xffff_ffffL;
            }
        }
        throw new AssertionError("nothing at 0x" + Long.toHexString(address));
    }

    @ParameterizedTest
    @CsvSource({"x86_64,abs", "x86_64,prel32", "i386,prel32", "arm64,prel32", "arm,abs"})
    void exportsHaveTheAddressesOfTheirSymbolsLicencesAndNamespaces(String name, String style)
            throws IOException {
        LinkedKernel kernel = link(name, style);

        assertThat(kernel.exports())
                .allSatisfy(
                        export ->
                                assertThat(kernel.symbols().address(export.name()))
                                        .contains(export.address()));
        assertThat(kernel.exports().stream().map(ExportedSymbol::name))
                .contains("_printk", "memcpy", "note_call", "param_ops_int", "mini_percpu");
        assertThat(
                        kernel.exports().stream()
                                .filter(ExportedSymbol::gplOnly)
                                .map(ExportedSymbol::name))
                .containsExactlyInAnyOrder("note_call", "mini_gpl_only", "system_state");
        assertThat(kernel.exportedSymbols().find("mini_namespaced").orElseThrow().namespace())
                .isEqualTo(style.equals("abs") ? "" : "MINI"); // two fields have no room for it
    }

    @ParameterizedTest
    @CsvSource({"x86_64,prel32", "i386,prel32", "arm64,prel32", "arm,abs"})
    void tablesOfExportsAreSortedByName(String name, String style) throws IOException {
        LinkedKernel kernel = link(name, style);
        List<String> entries = new ArrayList<>();
        long end = address(kernel, "__stop___ksymtab");
        for (int i = 0; i < kernel.symbols().count(); i++) {
            long at = kernel.symbols().address(i).value();
            boolean inTable =
                    Long.compareUnsigned(at, address(kernel, "__start___ksymtab")) >= 0
                            && Long.compareUnsigned(at, end) < 0;
            if (inTable && kernel.symbols().name(i).startsWith("__ksymtab_")) {
                entries.add(kernel.symbols().name(i));
            }
        }

        assertThat(entries).hasSizeGreaterThan(6).isSorted();
    }

    @Test
    void permutedObjectsPermuteCallsOnlyWithinTheirLevels() throws IOException {
        List<ObjectFile> objects =
                new ArrayList<>(ObjectReader.read(LINK.resolve("x86_64/prel32.a")));
        List<Initcall> before = link("x86_64", "prel32").initcalls();
        Collections.reverse(objects);

        List<Initcall> after = link("x86_64", "prel32", objects).initcalls();

        for (InitcallLevel level : InitcallLevel.values()) {
            List<String> expected =
                    new ArrayList<>(
                            before.stream()
                                    .filter(call -> call.level() == level)
                                    .map(MiniKernelObjectsTest::logged)
                                    .toList());
            Collections.reverse(expected); // no object has two calls of one level
            assertThat(after.stream().filter(call -> call.level() == level))
                    .extracting(MiniKernelObjectsTest::logged)
                    .containsExactlyElementsOf(expected);
        }
        assertThat(after).extracting(Initcall::level).isSorted();
    }

    @ParameterizedTest
    @CsvSource({"x86_64,true", "i386,true", "arm64,true", "arm,false"})
    void exitTextIsInInitMemoryWhereTheArchitectureKeepsIt(String name, boolean kept)
            throws IOException {
        LinkedKernel kernel = link(name, "prel32");

        Optional<Address> exit = kernel.symbols().address("drv_a_exit");

        assertThat(exit.isPresent()).isEqualTo(kept);
        exit.ifPresent(
                address -> assertThat(kernel.initArea().orElseThrow().contains(address)).isTrue());
        assertThat(kernel.symbols().address("__exitcall_drv_a_exit")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"x86_64", "i386", "arm64", "arm"})
    void initFunctionsAndTablesAreInInitMemoryAndNothingElse(String name) throws IOException {
        LinkedKernel kernel = link(name, "prel32");

        assertThat(kernel.initArea().orElseThrow().start().value() & 4095).isZero();
        assertThat(kernel.initArea().orElseThrow().size() & 4095).isZero();
        assertThat(kernel.initArea().orElseThrow().start())
                .isEqualTo(kernel.symbols().address("__init_begin").orElseThrow());
        for (String symbol :
                List.of("drv_a_init", "start_kernel", "early_value", "__setup_drv_b_setup")) {
            assertThat(inInit(kernel, symbol)).as(symbol).isTrue();
        }
        for (String symbol : List.of("_printk", "speed", "log_buf", "do_one_initcall")) {
            assertThat(inInit(kernel, symbol)).as(symbol).isFalse();
        }
    }

    private static boolean inInit(LinkedKernel kernel, String symbol) {
        return kernel.initArea()
                .orElseThrow()
                .contains(kernel.symbols().address(symbol).orElseThrow());
    }

    @Test
    void modinfoOfBuiltInCodeIsExtracted() throws IOException {
        LinkedKernel kernel = link("x86_64", "prel32");

        assertThat(kernel.modinfo().first("drv_a.license")).contains("Dual MIT/GPL");
        assertThat(kernel.modinfo().first("drv_a.parmtype")).contains("speed:int");
        assertThat(kernel.memory().stream().map(Block::name)).doesNotContain(".modinfo");
    }

    @Test
    void lettersAreThoseOfNm() throws IOException {
        LinkedKernel kernel = link("x86_64", "prel32");

        Map<String, Character> expected =
                Map.of(
                        "_printk", 'T',
                        "number", 't',
                        "drv_a_init", 't',
                        "start_kernel", 'T',
                        "speed", 'd',
                        "log_buf", 'B',
                        "param_ops_int", 'R',
                        "early_value", 'd',
                        "_end", 'D');
        assertThat(letters(kernel)).containsAllEntriesOf(expected);
    }

    private static Map<String, Character> letters(LinkedKernel kernel) {
        Map<String, Character> letters = new java.util.HashMap<>();
        for (int i = 0; i < kernel.symbols().count(); i++) {
            letters.putIfAbsent(kernel.symbols().name(i), kernel.symbols().letter(i));
        }
        return letters;
    }

    @Test
    void withoutTheKernelItselfAllThatDriversMissIsNamedAtOnce() throws IOException {
        List<ObjectFile> drivers = ObjectReader.read(LINK.resolve("x86_64/prel32.a")).subList(2, 5);

        assertThatThrownBy(() -> link("x86_64", "prel32", drivers))
                .isInstanceOfSatisfying(
                        LinkException.class,
                        failure ->
                                assertThat(
                                                failure.problems().stream()
                                                        .map(line -> line.replaceAll(".*`|'", ""))
                                                        .collect(toSet()))
                                        .containsExactlyInAnyOrder(
                                                "_printk", "note_call", "param_ops_int"))
                .hasMessageContaining(
                        "prel32.a(drv_a.o):(.init.text+0x11): undefined reference to `_printk'");
    }

    @Test
    void anObjectLinkedTwiceDefinesItsGlobalsTwice() throws IOException {
        List<ObjectFile> twice =
                new ArrayList<>(ObjectReader.read(LINK.resolve("x86_64/prel32.a")));
        twice.add(twice.get(0));

        assertThatThrownBy(() -> link("x86_64", "prel32", twice))
                .isInstanceOf(LinkException.class)
                .hasMessageContaining("multiple definition of `_printk'")
                .hasMessageContaining("first defined here");
    }
}

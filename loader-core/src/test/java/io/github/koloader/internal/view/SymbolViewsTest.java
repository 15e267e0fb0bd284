package io.github.koloader.internal.view;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Images;
import io.github.koloader.Images.Export;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.Module;
import io.github.koloader.SymbolPlace;
import io.github.koloader.Viewer;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Binding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class SymbolViewsTest {
    private final List<String> seen = new ArrayList<>();

    /** Notes the names that are to be seen while init runs. */
    private Kernel.Builder builder(KernelConfig config) {
        return Kernel.builder(Architectures.X86_64)
                .config(config)
                .executor(
                        call -> {
                            seen.add(call.kernel().kallsyms());
                            return 0;
                        });
    }

    private Kernel kernel() {
        return builder(Images.quiet6_1()).build();
    }

    private static Symbol mark(String name, int section, long value) {
        return new Symbol(name, Binding.LOCAL, 0, 0, new Symbol.InSection(section), value, 0);
    }

    /** Code at 0 and 0x20, marks of assemblers, data, a symbol of init, an undefined one. */
    private static ModuleImage image() {
        ImageBuilder image = Images.module("m");
        int text = image.section(Images.text(0x40));
        int data = image.section(Images.data(".data", 16));
        int init = image.section(Images.code(".init.text", 16));
        image.init(init, 0, Images.ABS64);
        image.symbol(mark("$x", text, 0));
        image.symbol(Symbol.function("first", text, 0, 0x10));
        image.symbol(mark(".L1", text, 0x18));
        image.symbol(Symbol.function("second", text, 0x20, 0x10));
        image.symbol(Symbol.function("alias", text, 0x20, 0x10));
        image.symbol(mark("$d.7", text, 0x30));
        image.symbol(Symbol.object("datum", data, 8, 8));
        image.symbol(Symbol.function("early", init, 0, 16));
        image.symbol(Symbol.undefined("elsewhere"));
        return image.build();
    }

    private static List<String> namesAndLetters(String kallsyms) {
        return kallsyms.lines().map(line -> line.substring(17)).toList();
    }

    // ---- /proc/kallsyms ----

    @Test
    void aLineHasAddressLetterNameAndModule() {
        Kernel kernel = kernel();
        Module module = kernel.load(image(), "");
        String text = Memory.hex(module.section(".text").orElseThrow().address().value(), 8);
        assertThat(kernel.kallsyms().lines()).contains(text + " t first\t[m]");
        assertThat(kernel.kallsyms(module)).isEqualTo(kernel.kallsyms());
    }

    @Test
    void untilInitHasReturnedAllSymbolsAreThereAndThenThoseThatStay() {
        Kernel kernel = kernel();
        kernel.load(image(), "");
        assertThat(namesAndLetters(seen.get(0)))
                .contains(
                        "t $x\t[m]",
                        "t first\t[m]",
                        "d datum\t[m]",
                        "t early\t[m]",
                        "u elsewhere\t[m]");
        assertThat(namesAndLetters(kernel.kallsyms()))
                .contains("t $x\t[m]", "t first\t[m]", "d datum\t[m]")
                .doesNotContain("t early\t[m]", "u elsewhere\t[m]");
    }

    @Test
    void resolvedSymbolsOfOthersAreThereWhileInitRuns() {
        Kernel kernel = kernel();
        Module exporter = kernel.load(Images.exporting("a", "f"), "");
        ImageBuilder image = Images.importing(Images.module("b"), "f");
        image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        kernel.load(image.build(), "");
        String address = Memory.hex(exporter.addressOf("f").orElseThrow().value(), 8);
        assertThat(seen.get(0).lines()).contains(address + " u f\t[b]");
    }

    @Test
    void plainExportsAreInUpperCase() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("m", Export.plain("f"), Export.gpl("g")), "");
        assertThat(namesAndLetters(kernel.kallsyms()))
                .contains("T f\t[m]", "t g\t[m]", "r __ksymtab_f\t[m]");
    }

    @Test
    void perCpuSymbolsHaveLetterA() {
        ImageBuilder image = Images.module("m");
        int perCpu = image.section(Images.data(".data..percpu", 16));
        image.symbol(Symbol.object("counter", perCpu, 8, 8));
        Kernel kernel = kernel();
        kernel.load(image.build(), "");
        assertThat(namesAndLetters(kernel.kallsyms())).contains("a counter\t[m]");
    }

    @Test
    void theKernelsSymbolsComeFirstThenThoseOfTheNewestModule() {
        Kernel kernel =
                builder(Images.quiet6_1())
                        .kallsyms(
                                KernelSymbolTable.builder()
                                        .symbol(new Address(0x1000), 'T', "_stext")
                                        .build())
                        .build();
        kernel.load(image(), "");
        kernel.load(Images.exporting("n", "f"), "");
        List<String> lines = kernel.kallsyms().lines().toList();
        assertThat(lines.get(0)).isEqualTo("0000000000001000 T _stext");
        assertThat(lines.get(1)).endsWith("[n]");
        assertThat(lines.get(lines.size() - 1)).endsWith("[m]");
    }

    @Test
    void onlyRootSeesAddresses() {
        Kernel kernel = kernel();
        kernel.load(image(), "");
        assertThat(kernel.kallsyms(Viewer.USER).lines())
                .isNotEmpty()
                .allMatch(line -> line.startsWith("0000000000000000 "));
    }

    @Test
    void withoutKallsymsThereAreNoNames() {
        Kernel kernel = builder(Images.quiet6_1().toBuilder().kallsyms(false).build()).build();
        Module module = kernel.load(image(), "");
        assertThat(kernel.kallsyms()).isEmpty();
        assertThat(kernel.kallsyms(module)).isEmpty();
        assertThat(kernel.symbolAt(module.section(".text").orElseThrow().address())).isEmpty();
        assertThat(kernel.addressOf("first")).isEmpty();
    }

    @Test
    void aLongNameIsCutToWhatTheKernelsBufferHolds() {
        ImageBuilder image = Images.module("m");
        int text = image.section(Images.text(16));
        image.symbol(Symbol.function("f".repeat(600), text, 0, 16));
        Kernel kernel = kernel();
        kernel.load(image.build(), "");
        assertThat(namesAndLetters(kernel.kallsyms())).contains("t " + "f".repeat(511) + "\t[m]");
        Kernel old = builder(Images.quiet(KernelConfig.linux3_10())).build();
        old.load(image.build(), "");
        assertThat(namesAndLetters(old.kallsyms())).contains("t " + "f".repeat(127) + "\t[m]");
    }

    @Test
    void anUnloadedModuleHasNoNames() {
        Kernel kernel = kernel();
        Module module = kernel.load(Images.exporting("m", "f"), "");
        kernel.unload("m");
        assertThat(kernel.kallsyms()).isEmpty();
        assertThat(kernel.kallsyms(module)).isEmpty();
    }

    // ---- address to name ----

    private static Optional<SymbolPlace> placeAt(Kernel kernel, Module module, long offset) {
        return kernel.symbolAt(module.section(".text").orElseThrow().address().plus(offset));
    }

    @Test
    void anAddressBelongsToTheNearestSymbolBelowItAndMarksDoNotCount() {
        Kernel kernel = kernel();
        Module module = kernel.load(image(), "");
        assertThat(placeAt(kernel, module, 0).orElseThrow()).hasToString("first+0x0/0x20 [m]");
        assertThat(placeAt(kernel, module, 0x1f).orElseThrow()).hasToString("first+0x1f/0x20 [m]");
    }

    @Test
    void ofSeveralSymbolsAtOneAddressTheFirstCountsAndTheLastReachesToTheEndOfTheCode() {
        Kernel kernel = kernel();
        Module module = kernel.load(image(), "");
        assertThat(placeAt(kernel, module, 0x31).orElseThrow())
                .hasToString("second+0x11/0xfe0 [m]");
    }

    @Test
    void theSizeOfDataCountsToTheEndOfTheCodeModulo64Bits() {
        Kernel kernel = kernel();
        Module module = kernel.load(image(), "");
        Address datum = module.addressOf("datum").orElseThrow();
        assertThat(kernel.symbolAt(datum).orElseThrow().toString())
                .startsWith("datum+0x0/0xffffffffffff");
    }

    @Test
    void codeOfInitHasANameWhileItIsThere() {
        List<Optional<SymbolPlace>> places = new ArrayList<>();
        List<Boolean> texts = new ArrayList<>();
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .executor(
                                call -> {
                                    places.add(call.kernel().symbolAt(call.entry().plus(4)));
                                    texts.add(call.kernel().isModuleText(call.entry()));
                                    return 0;
                                })
                        .build();
        Module module = kernel.load(image(), "");
        assertThat(places.get(0).orElseThrow()).hasToString("init_module+0x4/0x1000 [m]");
        assertThat(texts).containsExactly(true);
        Address init = module.init().orElseThrow();
        assertThat(kernel.symbolAt(init)).isEmpty();
        assertThat(kernel.moduleAt(init)).isEmpty();
        assertThat(kernel.isModuleText(init)).isFalse();
    }

    @Test
    void dataIsInTheModuleButIsNoText() {
        Kernel kernel = kernel();
        Module module = kernel.load(image(), "");
        Address data = module.section(".data").orElseThrow().address();
        assertThat(kernel.moduleAt(data)).containsSame(module);
        assertThat(kernel.isModuleText(data)).isFalse();
        assertThat(kernel.isModuleText(module.section(".text").orElseThrow().address())).isTrue();
        assertThat(kernel.moduleAt(new Address(0x1000))).isEmpty();
    }

    @Test
    void kernelAddressesHaveNamesToo() {
        Kernel kernel =
                builder(Images.quiet6_1())
                        .kallsyms(
                                KernelSymbolTable.builder()
                                        .symbol(new Address(0x1000), 'T', "_stext")
                                        .symbol(new Address(0x1010), 't', "f")
                                        .symbol(new Address(0x1020), 'D', "_end")
                                        .build())
                        .build();
        assertThat(kernel.symbolAt(new Address(0x1018)).orElseThrow()).hasToString("f+0x8/0x10");
    }

    // ---- name to address ----

    @Test
    void aNameIsLookedUpInTheKernelThenInTheNewestModule() {
        KernelSymbolTable names =
                KernelSymbolTable.builder().symbol(new Address(0x1000), 'T', "first").build();
        Kernel plain = kernel();
        Kernel named = builder(Images.quiet6_1()).kallsyms(names).build();
        for (Kernel kernel : List.of(plain, named)) {
            kernel.load(image(), "");
        }
        Module module = plain.module("m").orElseThrow();
        assertThat(plain.addressOf("first")).isEqualTo(module.addressOf("first"));
        assertThat(named.addressOf("first")).contains(new Address(0x1000));
        assertThat(named.addressOf("m:first")).isEqualTo(module.addressOf("first"));
        assertThat(plain.addressOf("other:first")).isEmpty();
        assertThat(plain.addressOf("nothing")).isEmpty();
        assertThat(plain.addressOf("")).isEmpty();
        Module newer = plain.load(Images.exporting("n", "first"), "");
        assertThat(plain.addressOf("first")).isEqualTo(newer.addressOf("first"));
        assertThat(plain.addressOf("m:first")).isEqualTo(module.addressOf("first"));
    }

    @Test
    void undefinedSymbolsAreNoAnswerWhileInitRuns() {
        List<Optional<Address>> found = new ArrayList<>();
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .executor(
                                call -> {
                                    found.add(call.kernel().addressOf("elsewhere"));
                                    found.add(call.kernel().addressOf("early"));
                                    return 0;
                                })
                        .build();
        Module module = kernel.load(image(), "");
        assertThat(found).containsExactly(Optional.empty(), module.init());
    }
}

package io.github.koloader.internal.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Images;
import io.github.koloader.Images.Export;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.TestArchitecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Rights;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class FinalizeTest {
    static List<Encoding> encodings() {
        return List.of(
                Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB);
    }

    private static Kernel kernel() {
        return Kernel.builder(Architectures.X86_64).config(Images.quiet6_1()).build();
    }

    private static LoadException refusal(Kernel kernel, ModuleImage image) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(refusal).as("refused").isNotNull();
        return refusal;
    }

    @Test
    void exportsAreFoundWhereTheyLie() {
        for (KernelConfig config : List.of(Images.quiet6_1(), Images.quiet6_12())) {
            Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).build();
            Module module =
                    kernel.load(Images.exporting("a", Export.plain("f"), Export.gpl("g")), "");
            Address text = module.section(".text").orElseThrow().address();
            assertThat(kernel.exported("f")).contains(text);
            assertThat(kernel.exported("g")).contains(text.plus(16));
            assertThat(module.exports()).extracting(ExportedSymbol::name).containsExactly("f", "g");
        }
    }

    @Test
    void exportsCanBeFoundWhileInitRuns() {
        ImageBuilder image = Images.exporting(Images.module("a"), true, Export.plain("f"));
        image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        boolean[] found = new boolean[1];
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .executor(
                                call -> {
                                    found[0] = call.kernel().exported("f").isPresent();
                                    return 0;
                                })
                        .build();
        kernel.load(image.build(), "");
        assertThat(found[0]).isTrue();
    }

    @Test
    void anExportThatExistsAlreadyIsRefused() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("a", "f"), "");
        LoadException refusal = refusal(kernel, Images.exporting("b", "e", "f", "g"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("b: exports duplicate symbol f (owned by a)");
        assertThat(kernel.exported("e")).isEmpty();
        assertThat(kernel.module("a").orElseThrow().exports())
                .extracting(ExportedSymbol::name)
                .containsExactly("f");
    }

    @Test
    void anExportOfTheKernelIsRefused() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .symbols(KernelSymbols.of(Map.of("f", new Address(1))))
                        .build();
        assertThat(refusal(kernel, Images.exporting("b", "f")).dmesg())
                .isEqualTo("b: exports duplicate symbol f (owned by kernel)");
    }

    @Test
    void plainExportsAreLookedAtBeforeGplOnlyOnes() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("a", "f", "g"), "");
        assertThat(
                        refusal(kernel, Images.exporting("b", Export.gpl("f"), Export.plain("g")))
                                .dmesg())
                .isEqualTo("b: exports duplicate symbol g (owned by a)");
    }

    @Test
    void aSymbolExportedAgainAfterItsOwnerIsGoneIsFine() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("a", "f"), "");
        kernel.unload("a");
        kernel.load(Images.exporting("b", "f"), "");
        assertThat(kernel.exported("f")).isPresent();
    }

    @Test
    void aDuplicateInAnUnsortedTableIsRefusedThoughNoSearchWouldFindIt() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("a", "d"), "");
        assertThat(refusal(kernel, Images.exporting("b", "d", "c", "b")).dmesg())
                .isEqualTo("b: exports duplicate symbol d (owned by a)");
    }

    @Test
    void anUnsortedTableLosesTheSymbolsThatBisectionMisses() {
        // The kernel looks at c first, then goes right for what is greater and left for what is
        // smaller.
        Kernel kernel = kernel();
        Module module = kernel.load(Images.exporting("a", "d", "c", "b"), "");
        assertThat(module.exports())
                .extracting(ExportedSymbol::name)
                .containsExactly("d", "c", "b");
        assertThat(kernel.exported("c")).isPresent();
        assertThat(kernel.exported("d")).isEmpty();
        assertThat(kernel.exported("b")).isEmpty();
    }

    @Test
    void orderIsThatOfBytesNotOfLetters() {
        Kernel kernel = kernel();
        Module module = kernel.load(Images.exporting("a", "B", "_", "a", "\u00e9"), "");
        assertThat(module.exports())
                .extracting(ExportedSymbol::name)
                .containsExactly("B", "_", "a", "\u00e9");
    }

    @Test
    void exportsWithoutCrcsForceTheLoadWithVersions() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1().toBuilder().modversions(true).build())
                        .build();
        Module module =
                kernel.load(
                        Images.exporting(Images.module("a"), false, Export.plain("f")).build(), "");
        assertThat(module.taints()).containsExactly(Taint.FORCED_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "a: no versions for exported symbols: kernel tainted.",
                        Images.LOCK_DEBUGGING);
    }

    @Test
    void aCrcTableThatIsTooShortGivesZero() {
        ImageBuilder image =
                Images.exporting(Images.module("a"), false, Export.plain("f"), Export.plain("g"));
        image.section(Images.rodata("__kcrctab", (byte) 1, (byte) 0, (byte) 0, (byte) 0));
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1().toBuilder().modversions(true).build())
                        .build();
        kernel.load(image.build(), "");
        kernel.load(Images.importing(Images.module("b").version("f", 1), "f").build(), "");
        kernel.load(Images.importing(Images.module("c").version("g", 0), "g").build(), "");
    }

    /** A permissive kernel's importer of a symbol with that CRC. */
    private static ModuleImage importer(String name, String symbol, int crc) {
        return Images.importing(Images.module(name).version(symbol, crc), symbol).build();
    }

    @Test
    void eachExportHasTheCrcAtItsPlaceInTheTable() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1().toBuilder().modversions(true).build())
                        .build();
        kernel.load(
                Images.exporting(
                        "a",
                        new Export("f", false, "", 0x11),
                        new Export("g", false, "", 0x22),
                        new Export("h", false, "", 0x33),
                        new Export("i", true, "", 0x44),
                        new Export("j", true, "", 0x55)),
                "");
        kernel.load(importer("f1", "f", 0x11), "");
        kernel.load(importer("g1", "g", 0x22), "");
        kernel.load(importer("h1", "h", 0x33), "");
        kernel.load(importer("i1", "i", 0x44), "");
        kernel.load(importer("j1", "j", 0x55), "");
        assertThat(refusal(kernel, importer("g2", "g", 0x11)).errno()).isEqualTo(Errno.EINVAL);
    }

    @Test
    void aCrcBehindTheEndOfItsTableIsZeroWhateverLiesThere() {
        ImageBuilder image =
                Images.exporting(Images.module("a"), false, Export.plain("f"), Export.plain("g"));
        image.section(Images.rodata("__kcrctab", (byte) 1, (byte) 0, (byte) 0, (byte) 0));
        image.section(
                Section.progbits(
                        ".rodata.behind",
                        SectionFlags.ALLOC,
                        1,
                        Bytes.copyOf(new byte[] {9, 9, 9, 9})));
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1().toBuilder().modversions(true).build())
                        .build();
        kernel.load(image.build(), "");
        kernel.load(importer("c", "g", 0), "");
    }

    @Test
    void ofTwoExportsOfOneNameTheOneThatBisectionFindsCounts() {
        Kernel kernel = kernel();
        Module module = kernel.load(Images.exporting("a", "f", "f"), "");
        assertThat(kernel.exported("f"))
                .contains(module.section(".text").orElseThrow().address().plus(16));
    }

    @Test
    void aNameThatNothingEndsGoesToTheEndOfItsMemory() {
        for (byte[] name : List.of(new byte[] {'f'}, new byte[] {'l', 'o', 'n', 'g'})) {
            ImageBuilder image = Images.module("a");
            int text = image.section(Images.text(16));
            int strings =
                    image.section(
                            Section.progbits(
                                    ".init.data",
                                    SectionFlags.ALLOC | SectionFlags.WRITE,
                                    1,
                                    Bytes.copyOf(name)));
            int table = image.section(Images.rodata("__ksymtab", new byte[12]));
            image.relocate(
                    table,
                    new Relocation(
                            0, Images.PC32, image.symbol(Symbol.function("s", text, 4, 4)), 0),
                    new Relocation(4, Images.PC32, image.symbol(Symbol.section(strings)), 0));
            Kernel kernel =
                    Kernel.builder(Architectures.X86_64)
                            .config(
                                    Images.quiet6_1().toBuilder()
                                            .kallsyms(false)
                                            .strictModuleRwx(false)
                                            .build())
                            .build();
            Module module = kernel.load(image.build(), "");
            assertThat(kernel.exported(new String(name, StandardCharsets.ISO_8859_1)))
                    .contains(module.section(".text").orElseThrow().address().plus(4));
        }
    }

    @Test
    void manyExportsWithNamesFarIntoALargeModuleAreRead() {
        ImageBuilder image = Images.module("a");
        image.section(Images.rodata(".rodata", new byte[1 << 20]));
        Export[] exports = new Export[50];
        for (int i = 0; i < exports.length; i++) {
            exports[i] = Export.plain("export_%02d".formatted(i));
        }
        Kernel kernel = kernel();
        Module module = kernel.load(Images.exporting(image, true, exports).build(), "");
        assertThat(module.exports()).hasSize(50);
        assertThat(kernel.exported("export_49")).isPresent();
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void absoluteTablesAreReadInEveryEncoding(Encoding encoding) {
        for (KernelConfig config :
                List.of(Images.quiet(KernelConfig.linux3_10()), Images.quiet6_1())) {
            int fields = config.atLeast(5, 4) ? 3 : 2;
            int word = encoding.wordSize();
            TestArchitecture architecture = new TestArchitecture(encoding);
            ImageBuilder image =
                    new ImageBuilder(TestArchitecture.MACHINE, encoding, true)
                            .name("a")
                            .modinfo("license", "GPL")
                            .modinfo("intree", "Y");
            int text = image.section(Images.text(32));
            int f = image.symbol(Symbol.function("f", text, 8, 4));
            int g = image.symbol(Symbol.function("g", text, 16, 4));
            int strings =
                    image.section(
                            Images.rodata(
                                    "__ksymtab_strings",
                                    "f\0g\0NS\0".getBytes(StandardCharsets.ISO_8859_1)));
            int string = image.symbol(Symbol.section(strings));
            int table = image.section(Images.rodata("__ksymtab", new byte[2 * fields * word]));
            image.relocate(
                    table,
                    new Relocation(0, architecture.word(), f, 0),
                    new Relocation(word, architecture.word(), string, 0),
                    new Relocation((long) fields * word, architecture.word(), g, 0),
                    new Relocation((long) (fields + 1) * word, architecture.word(), string, 2));
            if (fields == 3) {
                image.relocate(table, new Relocation(5L * word, architecture.word(), string, 4));
            }
            Kernel kernel = Kernel.builder(architecture).config(config).strict().build();
            Module module = kernel.load(image.build(), "");
            Address start = module.section(".text").orElseThrow().address();
            assertThat(kernel.exported("f")).contains(start.plus(8));
            assertThat(kernel.exported("g")).contains(start.plus(16));
            ImageBuilder importer =
                    new ImageBuilder(TestArchitecture.MACHINE, encoding, true)
                            .name("b")
                            .modinfo("license", "GPL")
                            .modinfo("intree", "Y");
            importer.symbol(Symbol.undefined("f"));
            importer.symbol(Symbol.undefined("g"));
            if (fields == 3) {
                assertThat(refusal(kernel, importer.build()).dmesg()).contains("from namespace NS");
            } else {
                kernel.load(importer.build(), "");
            }
        }
    }

    @Test
    void x86TablesAreAbsoluteBefore419() {
        ImageBuilder image = Images.module("a");
        int text = image.section(Images.text(16));
        int strings = image.section(Images.rodata("__ksymtab_strings", (byte) 'f', (byte) 0));
        int table = image.section(Images.rodata("__ksymtab", new byte[16]));
        image.relocate(
                table,
                new Relocation(0, Images.ABS64, image.symbol(Symbol.function("f", text, 4, 4)), 0),
                new Relocation(8, Images.ABS64, image.symbol(Symbol.section(strings)), 0));
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet(KernelConfig.forRelease("4.18.0")))
                        .build();
        Module module = kernel.load(image.build(), "");
        assertThat(kernel.exported("f"))
                .contains(module.section(".text").orElseThrow().address().plus(4));
    }

    @Test
    void aNamespaceDistanceOfZeroIsNone() {
        ImageBuilder image = Images.module("a");
        int text = image.section(Images.text(16));
        int strings = image.section(Images.rodata("__ksymtab_strings", (byte) 'f', (byte) 0));
        int table = image.section(Images.rodata("__ksymtab", new byte[12]));
        image.relocate(
                table,
                new Relocation(0, Images.PC32, image.symbol(Symbol.function("f", text, 4, 4)), 0),
                new Relocation(4, Images.PC32, image.symbol(Symbol.section(strings)), 0));
        Kernel kernel = kernel();
        kernel.load(image.build(), "");
        kernel.load(Images.importing("b", "f"), "");
    }

    @Test
    void aRestOfATableShorterThanAnEntryIsNotLookedAt() {
        ImageBuilder image = Images.module("a");
        image.section(Images.rodata("__ksymtab", new byte[11]));
        assertThat(kernel().load(image.build(), "").exports())
                .extracting(ExportedSymbol::name)
                .isEmpty();
    }

    @Test
    void withoutStrictRwxNothingIsProtected() {
        ImageBuilder image = Images.module("m");
        image.section(Images.text(16));
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1().toBuilder().strictModuleRwx(false).build())
                        .build();
        Module module = kernel.load(image.build(), "");
        assertThat(module.section(".text").orElseThrow().rights())
                .isEqualTo(Rights.READ_WRITE_EXECUTE);
        assertThat(module.sections()).anyMatch(section -> !section.present());
        assertThat(module.sections())
                .allMatch(section -> section.rights().equals(Rights.READ_WRITE_EXECUTE));
    }

    @Test
    void anExportOfJustNameAndAddressIsForEverybody() {
        ExportedSymbol symbol = ExportedSymbol.of("f", new Address(5));
        assertThat(symbol.gplOnly()).isFalse();
        assertThat(symbol.namespace()).isEmpty();
        assertThat(symbol.crc()).isEmpty();
    }
}

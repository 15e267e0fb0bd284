package io.github.koloader.internal.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.mockito.ArgumentMatchers.anyString;
import static org.mockito.Mockito.atLeast;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.times;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.when;

import io.github.koloader.Errno;
import io.github.koloader.Executor;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Images;
import io.github.koloader.Images.Export;
import io.github.koloader.JavaExecutor;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.Module;
import io.github.koloader.SymbolWatcher;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Binding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

final class ResolveSymbolsTest {
    private static final Address PRINTK = new Address(0xffffffff_81234560L);
    private static final KernelConfig VERSIONED =
            Images.quiet6_1().toBuilder().modversions(true).forceLoad(true).build();

    private final SymbolWatcher watcher = new SymbolWatcher("f", "printk", "w");

    private static KernelSymbols exporting(ExportedSymbol... symbols) {
        return name ->
                Arrays.stream(symbols).filter(symbol -> symbol.name().equals(name)).findFirst();
    }

    private static ExportedSymbol plain(String name) {
        return ExportedSymbol.of(name, PRINTK);
    }

    private static ExportedSymbol withCrc(String name, int crc) {
        return new ExportedSymbol(name, PRINTK, false, "", OptionalInt.of(crc));
    }

    private Kernel.Builder builder(KernelConfig config, ExportedSymbol... symbols) {
        return Kernel.builder(Architectures.X86_64)
                .config(config)
                .symbols(exporting(symbols))
                .observer(watcher)
                .strict();
    }

    private Kernel kernel(ExportedSymbol... symbols) {
        return builder(Images.quiet6_1(), symbols).build();
    }

    private static LoadException refusal(Kernel kernel, ModuleImage image) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(refusal).as("refused").isNotNull();
        return refusal;
    }

    private static ModuleImage with(Symbol... symbols) {
        ImageBuilder builder = Images.module("m");
        builder.section(Images.data(".data", 8));
        for (Symbol symbol : symbols) {
            builder.symbol(symbol);
        }
        return builder.build();
    }

    private static ModuleImage proprietary(String name, String... imports) {
        return Images.importing(Images.bare(name).modinfo("license", "Proprietary"), imports)
                .build();
    }

    // ---- where a symbol is found ----

    @Test
    void theKernelsSymbolsAreFound() {
        kernel(plain("printk")).load(Images.importing("m", "printk"), "");
        assertThat(watcher.of("m", "printk")).isEqualTo(PRINTK);
    }

    @Test
    void aRelocatedWordHoldsTheAddress() {
        Kernel kernel = kernel(plain("printk"));
        Module module = kernel.load(Images.importing("m", "printk"), "");
        assertThat(kernel.memory().readPointer(module.section(".data").orElseThrow().address()))
                .isEqualTo(PRINTK);
    }

    @Test
    void theKernelIsAskedOnceForEachNameThatItExports() {
        KernelSymbols symbols = mock(KernelSymbols.class);
        when(symbols.find(anyString())).thenReturn(Optional.empty());
        when(symbols.find("printk")).thenReturn(Optional.of(plain("printk")));
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .symbols(symbols)
                        .build();
        kernel.load(Images.importing("a", "printk", "f"), "");
        kernel.load(Images.importing("b", "printk", "f"), "");
        verify(symbols, times(1)).find("printk");
        verify(symbols, atLeast(2)).find("f");
    }

    @Test
    void theKernelComesBeforeModules() {
        // A module may not export what the kernel exports, so the kernel's is GPL-only and the
        // seekers differ.
        ExportedSymbol gplOnly = new ExportedSymbol("f", PRINTK, true, "", OptionalInt.empty());
        Kernel kernel = kernel(gplOnly);
        kernel.load(Images.importing("gpl", "f"), "");
        assertThat(watcher.of("gpl", "f")).isEqualTo(PRINTK);
    }

    @Test
    void manyExportsAreAllFound() {
        String[] names = new String[3000];
        for (int i = 0; i < names.length; i++) {
            names[i] = "symbol_%05d".formatted(i);
        }
        Kernel kernel = kernel();
        Module exporter = kernel.load(Images.exporting("a", names), "");
        assertThat(kernel.load(Images.importing("b", names), "").importCount())
                .isEqualTo(names.length);
        assertThat(exporter.exports()).extracting(ExportedSymbol::name).containsExactly(names);
        kernel.unload("b");
        kernel.unload("a");
        for (String name : names) {
            assertThat(kernel.exported(name)).isEmpty();
        }
    }

    @Test
    void aGplOnlySymbolOfAModuleIsFoundByAGplModule() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("a", Export.gpl("f")), "");
        kernel.load(Images.importing("b", "f"), "");
        assertThat(kernel.exported("f")).contains(watcher.of("b", "f"));
    }

    // ---- what cannot be found ----

    @Test
    void everyUnknownSymbolIsNamed() {
        LoadException refusal =
                refusal(kernel(plain("printk")), Images.importing("m", "a", "printk", "b", "c"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: Unknown symbol a (err -2)\nm: Unknown symbol b (err -2)\nm: Unknown symbol c (err -2)");
        assertThat(refusal.lines()).extracting(LogLine::level).containsOnly(LogLevel.WARNING);
    }

    @Test
    void before419TheNumberShownIsZero() {
        Kernel kernel = builder(Images.quiet(KernelConfig.forRelease("4.18.0"))).build();
        LoadException refusal = refusal(kernel, Images.importing("m", "a"));
        assertThat(refusal.dmesg()).isEqualTo("m: Unknown symbol a (err 0)");
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
    }

    @Test
    void theErrorIsThatOfTheLastSymbol() {
        Symbol common = new Symbol("c", Binding.GLOBAL, 0, 0, new Symbol.Common(), 8, 4);
        LoadException lastUnknown = refusal(kernel(), with(common, Symbol.undefined("u")));
        assertThat(lastUnknown.errno()).isEqualTo(Errno.ENOENT);
        LoadException lastCommon = refusal(kernel(), with(Symbol.undefined("u"), common));
        assertThat(lastCommon.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(lastCommon.dmesg())
                .isEqualTo("m: Unknown symbol u (err -2)\nm: please compile with -fno-common");
    }

    @Test
    void aWeakSymbolMayStayUndefined() {
        kernel().load(with(Symbol.weak("w")), "");
        assertThat(watcher.has("m", "w")).isFalse();
    }

    @Test
    void aWeakSymbolThatIsExportedIsResolved() {
        kernel(plain("w")).load(with(Symbol.weak("w")), "");
        assertThat(watcher.of("m", "w")).isEqualTo(PRINTK);
    }

    @Test
    void aWeakSymbolIsNotExcusedFromAnError() {
        ExportedSymbol inNamespace =
                new ExportedSymbol("w", PRINTK, false, "NS", OptionalInt.empty());
        assertThat(refusal(kernel(inNamespace), with(Symbol.weak("w"))).errno())
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void theGotSymbolMayStayUndefinedOnX86() {
        assertThat(kernel().load(with(Symbol.undefined("_GLOBAL_OFFSET_TABLE_")), "").importCount())
                .isZero();
        Kernel old = builder(Images.quiet(KernelConfig.forRelease("5.10.0"))).build();
        assertThat(refusal(old, with(Symbol.undefined("_GLOBAL_OFFSET_TABLE_"))).errno())
                .isEqualTo(Errno.ENOENT);
    }

    @Test
    void commonSymbolsOfLtoAreIgnored() {
        kernel().load(
                        with(
                                new Symbol(
                                        "__gnu_lto_v1",
                                        Binding.GLOBAL,
                                        0,
                                        0,
                                        new Symbol.Common(),
                                        8,
                                        4)),
                        "");
    }

    @Test
    void absoluteAndLivepatchSymbolsKeepTheirValue() {
        kernel().load(
                        with(
                                new Symbol("f", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 77, 0),
                                new Symbol(
                                        "w",
                                        Binding.GLOBAL,
                                        0,
                                        0,
                                        new Symbol.Reserved(0xff20),
                                        78,
                                        0)),
                        "");
        assertThat(watcher.of("m", "f")).isEqualTo(new Address(77));
        assertThat(watcher.of("m", "w")).isEqualTo(new Address(78));
    }

    @Test
    void aSymbolWhoseSectionIsNotThereIsRefused() {
        ModuleImage image =
                with(new Symbol("bad", Binding.GLOBAL, 0, 0, new Symbol.InSection(0x1234), 0, 0));
        LoadException refusal = refusal(kernel(), image);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: Symbol bad has an invalid section index 4660 (max "
                                + (image.sections().size() - 1)
                                + ")");
        assertThat(refusal.lines().get(0).level()).isEqualTo(LogLevel.ERR);
    }

    @Test
    void theFirstSectionIndexThatIsNotThereIsRefusedBeforeAnyMemoryIsLost() {
        int count =
                with(new Symbol("x", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 0, 0))
                        .sections()
                        .size();
        ModuleImage image =
                with(new Symbol("x", Binding.GLOBAL, 0, 0, new Symbol.InSection(count), 0, 0));
        Kernel kernel = kernel();
        assertThat(refusal(kernel, image).dmesg())
                .isEqualTo(
                        "m: Symbol x has an invalid section index %d (max %d)"
                                .formatted(count, count - 1));
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void symbolsThatNobodyNeedsToResolveKeepTheValueOfTheFile() {
        kernel().load(
                        with(
                                new Symbol("w", Binding.WEAK, 0, 0, new Symbol.Undefined(), 7, 0),
                                new Symbol(
                                        "__gnu_lto_v1",
                                        Binding.GLOBAL,
                                        Symbol.OBJECT,
                                        0,
                                        new Symbol.Common(),
                                        9,
                                        1)),
                        "");
        assertThat(watcher.values("m")).contains(7L, 9L);
    }

    @Test
    void aSymbolOfASectionWithoutMemoryPointsIntoTheTemporaryCopy() {
        ImageBuilder builder = Images.module("m");
        int comment =
                builder.section(
                        io.github.koloader.image.Section.progbits(
                                ".comment",
                                0,
                                1,
                                io.github.koloader.image.Bytes.copyOf(new byte[8])));
        builder.symbol(Symbol.object("f", comment, 4, 1));
        ModuleImage image = builder.build();
        Module module = kernel().load(image, "");
        assertThat(watcher.of("m", "f"))
                .isEqualTo(module.imageAddress().plus(image.section(comment).offset() + 4));
    }

    // ---- licences ----

    @Test
    void aProprietaryModuleDoesNotFindGplOnlySymbols() {
        Kernel kernel = kernel(new ExportedSymbol("f", PRINTK, true, "", OptionalInt.empty()));
        LoadException refusal = refusal(kernel, proprietary("m", "f"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg()).isEqualTo("m: Unknown symbol f (err -2)");
    }

    @Test
    void aPermissiveKernelMakesUpNoAddressForAGplOnlySymbol() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .symbols(
                                exporting(
                                        new ExportedSymbol(
                                                "f", PRINTK, true, "", OptionalInt.empty())))
                        .build();
        assertThat(refusal(kernel, proprietary("m", "f")).errno()).isEqualTo(Errno.ENOENT);
        assertThat(kernel.stubs()).isEmpty();
    }

    @Test
    void aModuleThatUsesAProprietaryModulesSymbolsInheritsItsTaint() {
        Kernel kernel = kernel();
        kernel.load(
                Images.exporting(
                                Images.bare("p").modinfo("license", "Proprietary"),
                                true,
                                Export.plain("f"))
                        .build(),
                "");
        Module module = kernel.load(Images.importing("m", "f"), "");
        assertThat(module.taints()).containsExactly(Taint.PROPRIETARY_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "p: module license 'Proprietary' taints kernel.",
                        Images.LOCK_DEBUGGING,
                        "m: module uses symbols f from proprietary module p, inheriting taint.");
    }

    @Test
    void aModuleThatUsesGplOnlySymbolsMayNotUseThoseOfAProprietaryModule() {
        Kernel kernel = kernel(new ExportedSymbol("a", PRINTK, true, "", OptionalInt.empty()));
        kernel.load(
                Images.exporting(
                                Images.bare("p").modinfo("license", "Proprietary"),
                                true,
                                Export.plain("f"))
                        .build(),
                "");
        LoadException refusal = refusal(kernel, Images.importing("m", "a", "f"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: module using GPL-only symbols uses symbols f from proprietary module p.\n"
                                + "m: Unknown symbol f (err -2)");
    }

    @Test
    void anInheritedTaintHidesGplOnlySymbolsThatComeLater() {
        Kernel kernel = kernel(new ExportedSymbol("z", PRINTK, true, "", OptionalInt.empty()));
        kernel.load(
                Images.exporting(
                                Images.bare("p").modinfo("license", "Proprietary"),
                                true,
                                Export.plain("f"))
                        .build(),
                "");
        assertThat(refusal(kernel, Images.importing("m", "f", "z")).dmesg())
                .isEqualTo("m: Unknown symbol z (err -2)");
    }

    // ---- namespaces ----

    private static final ExportedSymbol IN_NAMESPACE =
            new ExportedSymbol("f", PRINTK, false, "NS", OptionalInt.empty());

    @Test
    void aSymbolOfANamespaceNeedsItsImport() {
        LoadException refusal = refusal(kernel(IN_NAMESPACE), Images.importing("m", "f"));
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: module uses symbol (f) from namespace NS, but does not import it.\n"
                                + "m: Unknown symbol f (err -22)");
        assertThat(refusal.lines())
                .extracting(LogLine::level)
                .containsExactly(LogLevel.ERR, LogLevel.WARNING);
    }

    @Test
    void anImportedNamespaceIsOpen() {
        ImageBuilder builder =
                Images.module("m").modinfo("import_ns", "OTHER").modinfo("import_ns", "NS");
        kernel(IN_NAMESPACE).load(Images.importing(builder, "f").build(), "");
        assertThat(watcher.of("m", "f")).isEqualTo(PRINTK);
    }

    @Test
    void missingImportsMayBeAllowedWithAWarning() {
        Kernel kernel =
                builder(
                                Images.quiet6_1().toBuilder()
                                        .allowMissingNamespaceImports(true)
                                        .build(),
                                IN_NAMESPACE)
                        .build();
        kernel.load(Images.importing("m", "f"), "");
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: module uses symbol (f) from namespace NS, but does not import it.");
        assertThat(kernel.log().entries().get(0).line().level()).isEqualTo(LogLevel.WARNING);
    }

    @Test
    void namespacesOfModulesExportsCountAsWell() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("a", new Export("f", false, "NS", 1)), "");
        assertThat(refusal(kernel, Images.importing("m", "f")).errno()).isEqualTo(Errno.EINVAL);
        kernel.load(
                Images.importing(Images.module("n").modinfo("import_ns", "NS"), "f").build(), "");
    }

    @Test
    void linesAreLoggedInTheOrderOfTheSymbols() {
        Kernel kernel =
                builder(
                                Images.quiet6_1().toBuilder()
                                        .allowMissingNamespaceImports(true)
                                        .build(),
                                IN_NAMESPACE)
                        .build();
        refusal(kernel, Images.importing("m", "a", "f", "z"));
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: Unknown symbol a (err -2)",
                        "m: module uses symbol (f) from namespace NS, but does not import it.",
                        "m: Unknown symbol z (err -2)");
    }

    // ---- versions ----

    @Test
    void theSameCrcIsAccepted() {
        Kernel kernel = builder(VERSIONED, withCrc("f", 0x80000001)).build();
        kernel.load(Images.importing(Images.module("m").version("f", 0x80000001), "f").build(), "");
        assertThat(kernel.taints()).isEmpty();
        assertThat(watcher.of("m", "f")).isEqualTo(PRINTK);
    }

    @Test
    void anotherCrcIsRefused() {
        Kernel kernel = builder(VERSIONED, withCrc("f", 1)).build();
        LoadException refusal =
                refusal(kernel, Images.importing(Images.module("m").version("f", 2), "f").build());
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg())
                .isEqualTo("m: disagrees about version of symbol f\nm: Unknown symbol f (err -22)");
    }

    @Test
    void theFirstOfTwoEntriesForOneSymbolCounts() {
        Kernel kernel = builder(VERSIONED, withCrc("f", 1)).build();
        kernel.load(
                Images.importing(Images.module("m").version("f", 1).version("f", 2), "f").build(),
                "");
        assertThat(
                        refusal(
                                        kernel,
                                        Images.importing(
                                                        Images.module("n")
                                                                .version("f", 2)
                                                                .version("f", 1),
                                                        "f")
                                                .build())
                                .errno())
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void manyVersionsAreAllFound() {
        ImageBuilder builder = Images.module("m");
        ExportedSymbol[] exports = new ExportedSymbol[500];
        String[] names = new String[exports.length];
        for (int i = 0; i < exports.length; i++) {
            names[i] = "s" + i;
            exports[i] = withCrc(names[i], i + 1);
            builder.version(names[i], i + 1);
        }
        Kernel kernel = builder(VERSIONED, exports).build();
        assertThat(kernel.load(Images.importing(builder, names).build(), "").importCount())
                .isEqualTo(500);
    }

    @Test
    void aMissingEntryIsRefusedOrWarnedAboutOnce() {
        ModuleImage image = Images.importing(Images.module("m").version("x", 1), "f", "g").build();
        Kernel refusing = builder(VERSIONED, withCrc("f", 1), withCrc("g", 1)).build();
        assertThat(refusal(refusing, image).dmesg())
                .isEqualTo(
                        "m: no symbol version for f\nm: Unknown symbol f (err -22)\n"
                                + "m: no symbol version for g\nm: Unknown symbol g (err -22)");
        Kernel warning =
                builder(
                                VERSIONED.toBuilder()
                                        .missingVersion(KernelConfig.MissingVersion.WARN_ONCE)
                                        .build(),
                                withCrc("f", 1),
                                withCrc("g", 1))
                        .build();
        warning.load(image, "");
        assertThat(warning.log().lines()).containsExactly("m: no symbol version for f");
    }

    @Test
    void aModuleWithoutVersionsIsForced() {
        Kernel kernel = builder(VERSIONED, withCrc("f", 1)).build();
        assertThat(kernel.load(Images.importing("m", "f"), "").taints())
                .containsExactly(Taint.FORCED_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly("m: f: kernel tainted.", Images.LOCK_DEBUGGING);
    }

    @Test
    void aModuleWithoutVersionsIsRefusedWhereNothingIsForced() {
        Kernel kernel =
                builder(VERSIONED.toBuilder().forceLoad(false).build(), withCrc("f", 1)).build();
        LoadException refusal = refusal(kernel, Images.importing("m", "f"));
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEqualTo("m: Unknown symbol f (err -22)");
    }

    @Test
    void anExporterWithoutCrcsAcceptsEverything() {
        Kernel kernel = builder(VERSIONED, plain("f")).build();
        kernel.load(Images.importing("m", "f"), "");
        assertThat(kernel.taints()).isEmpty();
    }

    @Test
    void withoutModversionsNothingIsCompared() {
        Kernel kernel = kernel(withCrc("f", 1));
        kernel.load(Images.importing(Images.module("m").version("f", 2), "f").build(), "");
        assertThat(kernel.log().lines()).isEmpty();
    }

    @Test
    void crcsOfModulesExportsAreCompared() {
        Kernel kernel = builder(VERSIONED).build();
        kernel.load(Images.exporting("a", new Export("f", false, "", 0xcafe)), "");
        kernel.load(Images.importing(Images.module("b").version("f", 0xcafe), "f").build(), "");
        assertThat(
                        refusal(
                                        kernel,
                                        Images.importing(
                                                        Images.module("c").version("f", 0xbeef),
                                                        "f")
                                                .build())
                                .errno())
                .isEqualTo(Errno.EINVAL);
    }

    // ---- owners that are not live ----

    @Test
    void anOwnerWhoseInitStillRunsIsBusy() {
        List<LoadException> refusals = new ArrayList<>();
        Executor executor =
                JavaExecutor.builder()
                        .bind(
                                "a",
                                "init_module",
                                call -> {
                                    refusals.add(
                                            refusal(call.kernel(), Images.importing("b", "f")));
                                    return 0;
                                })
                        .build();
        Kernel kernel = builder(Images.quiet6_1()).executor(executor).build();
        ImageBuilder exporter = Images.exporting(Images.module("a"), true, Export.plain("f"));
        exporter.init(exporter.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        kernel.load(exporter.build(), "");
        assertThat(refusals).extracting(LoadException::errno).containsExactly(Errno.EBUSY);
        assertThat(refusals.get(0).dmesg())
                .isEqualTo(
                        "b: gave up waiting for init of module a.\nb: Unknown symbol f (err -16)");
        assertThat(kernel.load(Images.importing("b", "f"), "").uses()).containsExactly("a");
    }

    @Test
    void anOwnerThatIsOnItsWayOutIsNotFound() {
        List<LoadException> refusals = new ArrayList<>();
        Executor executor =
                call -> {
                    if (call.phase() == Executor.Phase.EXIT) {
                        refusals.add(refusal(call.kernel(), Images.importing("b", "f")));
                    }
                    return 0;
                };
        Kernel kernel = builder(Images.quiet6_1()).executor(executor).build();
        ImageBuilder exporter = Images.exporting(Images.module("a"), true, Export.plain("f"));
        exporter.init(exporter.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        exporter.exit(exporter.section(Images.code(".exit.text", 16)), 0, Images.ABS64);
        kernel.load(exporter.build(), "");
        kernel.unload("a");
        assertThat(refusals).extracting(LoadException::errno).containsExactly(Errno.ENOENT);
        assertThat(refusals.get(0).dmesg()).isEqualTo("b: Unknown symbol f (err -2)");
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void manySymbolsOfABusyOwnerAreWaitedForOneByOne() {
        LoadException[] refusal = new LoadException[1];
        Executor executor =
                call -> {
                    refusal[0] = refusal(call.kernel(), Images.importing("b", "f", "g"));
                    return 0;
                };
        Kernel kernel = builder(Images.quiet6_1()).executor(executor).build();
        ImageBuilder exporter =
                Images.exporting(Images.module("a"), true, Export.plain("f"), Export.plain("g"));
        exporter.init(exporter.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        kernel.load(exporter.build(), "");
        assertThat(refusal[0].lines()).hasSize(4);
    }
}

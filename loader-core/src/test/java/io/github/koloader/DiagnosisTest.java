package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Images.Export;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What people are told, word for word. */
final class DiagnosisTest {
    private static Kernel kernel(UnaryOperator<KernelConfig.Builder> change) {
        return kernel(change, KernelSymbols.none());
    }

    private static Kernel kernel(
            UnaryOperator<KernelConfig.Builder> change, KernelSymbols symbols) {
        return Kernel.builder(Architectures.X86_64)
                .config(change.apply(Images.quiet6_1().toBuilder()).build())
                .symbols(symbols)
                .strict()
                .build();
    }

    private static Kernel kernel() {
        return kernel(config -> config);
    }

    private static Diagnosis diagnosis(Kernel kernel, ModuleImage image) {
        LoadException failure =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(failure).isNotNull();
        return failure.diagnosis();
    }

    // ---- vermagic ----

    private static Diagnosis vermagic(String given, UnaryOperator<KernelConfig.Builder> change) {
        return diagnosis(
                kernel(
                        config ->
                                change.apply(config.checkVermagic(true).release("6.1.0-50-amd64"))),
                Images.module("m").modinfo("vermagic", given).build());
    }

    @Test
    void anotherReleaseIsNamed() {
        Diagnosis diagnosis = vermagic("6.1.0-49-amd64 SMP preempt mod_unload ", config -> config);
        assertThat(diagnosis.cause())
                .isEqualTo("`m` was built for `6.1.0-49-amd64`, this kernel is `6.1.0-50-amd64`.");
        assertThat(diagnosis.location())
                .isEqualTo("section `.modinfo`, vermagic=`6.1.0-49-amd64 SMP preempt mod_unload `");
        assertThat(diagnosis.advice())
                .startsWith("Build the module for `6.1.0-50-amd64` (install its headers");
    }

    @Test
    void wordsOfVermagicThatDifferAreNamed() {
        assertThat(vermagic("6.1.0-50-amd64 SMP preempt_rt mod_unload ", config -> config).cause())
                .isEqualTo(
                        "The module was built with `preempt_rt`, this kernel without.\n"
                                + "This kernel is built with `preempt`, the module without.");
    }

    @Test
    void aVermagicOfTheSameWordsIsStillAnother() {
        assertThat(vermagic("6.1.0-50-amd64 preempt SMP mod_unload ", config -> config).cause())
                .isEqualTo(
                        "The words of both vermagics are the same, but not their order or spaces.");
    }

    // ---- symbols ----

    @Test
    void similarNamesAreSuggested() {
        Kernel kernel =
                kernel(
                        config -> config,
                        KernelSymbols.of(
                                Map.of(
                                        "_printk", new Address(1),
                                        "register_netdevice", new Address(2),
                                        "kmalloc", new Address(3))));
        Diagnosis diagnosis =
                diagnosis(kernel, Images.importing("m", "printk", "register_netdev", "frobnicate"));
        assertThat(diagnosis.cause())
                .isEqualTo(
                        "`printk` is exported by nobody. Similar names: `_printk`.\n"
                                + "`register_netdev` is exported by nobody. Similar names:"
                                + " `register_netdevice`.\n"
                                + "`frobnicate` is exported by nobody.");
        assertThat(diagnosis.location()).isEqualTo("symbol 1 of the symbol table");
        assertThat(diagnosis.advice())
                .startsWith("Load the module that exports it first (`modprobe` does")
                .doesNotContain("\n");
    }

    @Test
    void theModuleThatWouldExportASymbolIsNamed() {
        KernelSymbols symbols =
                new KernelSymbols() {
                    @Override
                    public Optional<ExportedSymbol> find(String name) {
                        return Optional.empty();
                    }

                    @Override
                    public Optional<String> exporterOf(String name) {
                        return Optional.of("drivers/net/mii").filter(any -> name.equals("mii_ok"));
                    }
                };
        Diagnosis diagnosis =
                diagnosis(kernel(config -> config, symbols), Images.importing("m", "mii_ok"));
        assertThat(diagnosis.cause())
                .isEqualTo("`mii_ok` is exported by `drivers/net/mii.ko`, which is not loaded.");
        assertThat(diagnosis.advice())
                .isEqualTo("Load `drivers/net/mii.ko` first, as `modprobe` does.");
    }

    @Test
    void aGplOnlySymbolIsNamedWithItsOwnerAndTheLicence() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("bar", Export.gpl("foo")), "");
        ImageBuilder closed = Images.bare("m").modinfo("license", "Proprietary");
        assertThat(diagnosis(kernel, Images.importing(closed, "foo").build()).cause())
                .isEqualTo(
                        "`foo` is exported GPL-only by `bar.ko`, and this module counts as proprietary"
                                + " (licence `Proprietary`).");
    }

    @Test
    void bothCrcsAreTold() {
        KernelSymbols symbols =
                name ->
                        name.equals("x")
                                ? Optional.of(
                                        new ExportedSymbol(
                                                "x",
                                                new Address(1),
                                                false,
                                                "",
                                                OptionalInt.of(0xdeadbeef)))
                                : Optional.empty();
        Kernel kernel = kernel(config -> config.modversions(true), symbols);
        ImageBuilder builder = Images.module("m").version("x", 0x1234);
        assertThat(diagnosis(kernel, Images.importing(builder, "x").build()).cause())
                .isEqualTo(
                        "The CRC of `x` is 0xdeadbeef here (in the kernel), 0x00001234 there (in the"
                                + " module).");
    }

    @Test
    void theLineThatImportsANamespaceIsGiven() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("bar", new Export("foo", false, "SPACE", 1)), "");
        Diagnosis diagnosis = diagnosis(kernel, Images.importing("m", "foo"));
        assertThat(diagnosis.cause())
                .isEqualTo(
                        "`foo` is exported by `bar.ko` in the namespace `SPACE`, which this module"
                                + " does not import.");
        assertThat(diagnosis.advice())
                .isEqualTo("Add the line `MODULE_IMPORT_NS(SPACE);` to a source of the module.");
    }

    @Test
    void ofManySymbolsTheFirstTenAreTold() {
        String[] names = new String[1000];
        for (int i = 0; i < names.length; i++) {
            names[i] = "symbol_number_" + i;
        }
        Diagnosis diagnosis = diagnosis(kernel(), Images.importing("m", names));
        assertThat(diagnosis.cause().lines()).hasSize(11);
        assertThat(diagnosis.cause()).endsWith("\nAnd 990 more symbols.");
    }

    @Test
    void aDuplicateNamesTheOwner() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("bar", "foo"), "");
        assertThat(diagnosis(kernel, Images.exporting("m", "foo")).cause())
                .isEqualTo("`m` exports `foo`, which `bar` exports already.");
    }

    // ---- the file ----

    @Test
    void theArchitecturesAreNamed() {
        assertThat(diagnosis(kernel(), new ImageBuilder(183, Encoding.ELF64_LSB, true).build()))
                .hasToString(
                        """
                        The file is for arm64, this kernel is for x86-64.
                        Where: ELF header, e_machine at file offset 0x12
                        What to do: Take the module from the package for this kernel's architecture,\
                         or build it with its compiler (ARCH= and CROSS_COMPILE=).""");
    }

    @Test
    void aRelocationIsNamedWithTypeSymbolAndPlace() {
        ImageBuilder builder = Images.module("m");
        int data = builder.section(Images.data(".data", 8));
        int symbol =
                builder.symbol(
                        new Symbol(
                                "far",
                                io.github.koloader.image.Binding.GLOBAL,
                                0,
                                0,
                                new Symbol.Absolute(),
                                0,
                                0));
        builder.relocate(data, new Relocation(4, 11, symbol, 1L << 40));
        Diagnosis diagnosis = diagnosis(kernel(), builder.build());
        assertThat(diagnosis.cause())
                .matches(
                        "R_X86_64_32S against `far`: the value 0x10000000000 does not fit into the 4"
                                + " bytes of its place\\.");
        assertThat(diagnosis.location())
                .matches("relocation 0 of section \\d+, for offset 0x4 of `\\.data`");
    }

    // ---- parameters ----

    @Test
    void anUnknownParameterIsNamedWithThoseThatThereAre() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet(KernelConfig.linux3_10()))
                        .build();
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                kernel.load(
                                        Images.module("m").modinfo("parmtype", "debug:int").build(),
                                        "debgu=1"));
        assertThat(failure.diagnosis().cause())
                .isEqualTo("`m` has no parameter `debgu`. It has `debug`.");
    }

    // ---- init ----

    @Test
    void whatInitUsuallyMeansIsTold() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .executor(call -> -19)
                        .build();
        assertThat(diagnosis(kernel, Images.withInit("m")).cause())
                .isEqualTo(
                        "The module was taken, but its init function returned -19 (ENODEV), which"
                                + " usually means: the device that it drives was not found.");
    }

    @Test
    void usersOfAModuleAreNamed() {
        Kernel kernel = kernel();
        kernel.load(Images.exporting("a", "f"), "");
        kernel.load(Images.importing("b", "f"), "");
        LoadException failure = catchThrowableOfType(LoadException.class, () -> kernel.unload("a"));
        assertThat(failure.diagnosis().cause()).isEqualTo("`a` is used by the modules `b`.");
    }

    // ---- the texts themselves ----

    @ParameterizedTest
    @EnumSource(Errno.class)
    void whereNothingBetterIsKnownTheErrorIsExplained(Errno errno) {
        LoadException failure = LoadException.silent(errno, "for a reason");
        assertThat(failure.isDiagnosed()).isFalse();
        assertThat(failure.diagnosis().cause()).isEqualTo(failure.getMessage());
        assertThat(failure.diagnosis().location()).isEmpty();
        assertThat(failure.diagnosis().advice()).endsWith(".");
    }

    @Test
    void anErrorWithoutANameIsExplainedAsWell() {
        assertThat(LoadException.ofInit(4711, "for a reason").diagnosis())
                .hasToString(
                        "errno 4711: for a reason\n"
                                + "What to do: Look at the kernel's log for what was said before.");
    }

    @Test
    void controlCharactersAreEscapedAndLongNamesCut() {
        assertThat(Diagnosis.quote("a\u001b[31m\n\u0000\u009b\u202e\ud800b"))
                .isEqualTo("`a\\x1b[31m\\x0a\\x00\\x9b\\u202e\\ud800b`");
        assertThat(Diagnosis.quote("x".repeat(1 << 20)))
                .isEqualTo("`" + "x".repeat(100) + "… (1048576 characters)`");
        Diagnosis diagnosis = new Diagnosis("a\u001bb\nc", "\r", "y".repeat(5000));
        assertThat(diagnosis.cause()).isEqualTo("a\\x1bb\nc");
        assertThat(diagnosis.location()).isEqualTo("\\x0d");
        assertThat(diagnosis.advice()).isEqualTo("y".repeat(4000) + "… (5000 characters)");
    }

    @Test
    void aHostileModuleCannotReachTheTerminalOrFillIt() {
        String hostile = "\u001b]0;owned\u0007" + "n".repeat(1 << 20);
        for (ModuleImage image :
                new ModuleImage[] {
                    Images.importing("m", hostile, hostile + "2"),
                    Images.exporting("m", hostile),
                    Images.module("m").modinfo("vermagic", hostile).build()
                }) {
            Kernel kernel =
                    kernel(
                            config -> config.checkVermagic(image.modinfo().has("vermagic")),
                            KernelSymbols.of(Map.of(hostile, new Address(1))));
            LoadException failure =
                    catchThrowableOfType(
                            LoadException.class,
                            () -> {
                                kernel.load(image, "");
                                kernel.unload(hostile);
                            });
            assertThat(failure.diagnosis().toString())
                    .hasSizeLessThan(9_000)
                    .doesNotContainPattern("[\\p{Cntrl}&&[^\n]]");
        }
    }

    @Test
    void aCopyWithACauseKeepsItsDiagnosis() {
        Diagnosis diagnosis = new Diagnosis("a", "b", "c");
        LoadException failure =
                LoadException.silent(Errno.EIO, "x")
                        .diagnosed(diagnosis)
                        .causedBy(new IllegalStateException());
        assertThat(failure.diagnosis()).isEqualTo(diagnosis);
        assertThat(failure).hasCauseInstanceOf(IllegalStateException.class);
    }
}

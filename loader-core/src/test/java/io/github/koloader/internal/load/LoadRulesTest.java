package io.github.koloader.internal.load;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.Executor;
import io.github.koloader.Executor.Phase;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Images;
import io.github.koloader.Images.Export;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelConfig.MissingVersion;
import io.github.koloader.LoadException;
import io.github.koloader.LoadRequest;
import io.github.koloader.Module;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The rules of a load that depend on the request, on the kernel's version or on what came before.
 */
final class LoadRulesTest {
    private static final KernelConfig OLD = Images.quiet(KernelConfig.linux3_10());
    private static final LoadRequest PLAIN = LoadRequest.of("");
    private static final LoadRequest WITHOUT_CRCS = new LoadRequest("", true, false, false);
    private static final LoadRequest WITHOUT_VERMAGIC = new LoadRequest("", false, true, false);
    private static final LoadRequest SIGNED = new LoadRequest("", false, false, true);

    private static Kernel.Builder builder(KernelConfig config) {
        return Kernel.builder(Architectures.X86_64).config(config).strict();
    }

    private static Kernel kernel(KernelConfig config) {
        return builder(config).build();
    }

    private static KernelConfig versioned(KernelConfig config) {
        return config.toBuilder().modversions(true).build();
    }

    private static KernelConfig release(String release) {
        return Images.quiet(KernelConfig.forRelease(release));
    }

    /** A kernel that exports {@code module_layout} and {@code f} with CRC 1. */
    private static Kernel withCrcs(KernelConfig config) {
        return builder(versioned(config))
                .symbols(
                        name ->
                                List.of("module_layout", "f", LONG_NAME).contains(name)
                                        ? Optional.of(
                                                new ExportedSymbol(
                                                        name,
                                                        new Address(0x1000),
                                                        false,
                                                        "",
                                                        OptionalInt.of(1)))
                                        : Optional.empty())
                .build();
    }

    private static LoadException refusal(Kernel kernel, ModuleImage image, LoadRequest request) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, request));
        assertThat(refusal).as("refused").isNotNull();
        return refusal;
    }

    // ---- flags of the request ----

    @Test
    void anIgnoredVermagicIsAMissingOne() {
        Kernel kernel = kernel(Images.quiet6_1().toBuilder().checkVermagic(true).build());
        ModuleImage image = Images.module("m").modinfo("vermagic", "bad").build();
        assertThat(kernel.load(image, WITHOUT_VERMAGIC).taints())
                .containsExactly(Taint.FORCED_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly("m: bad vermagic: kernel tainted.", Images.LOCK_DEBUGGING);
    }

    @Test
    void anIgnoredVermagicIsRefusedWhereNothingIsForced() {
        Kernel kernel =
                kernel(Images.quiet6_1().toBuilder().checkVermagic(true).forceLoad(false).build());
        ModuleImage image =
                Images.module("m")
                        .modinfo("vermagic", kernel.config().vermagic(Architectures.X86_64))
                        .build();
        assertThat(refusal(kernel, image, WITHOUT_VERMAGIC).errno()).isEqualTo(Errno.ENOEXEC);
    }

    @Test
    void withoutItsCrcsVermagicIsComparedWhole() {
        Kernel kernel = withCrcs(Images.quiet6_1().toBuilder().checkVermagic(true).build());
        ModuleImage image =
                Images.module("m")
                        .modinfo("vermagic", "9.9.9 SMP preempt mod_unload modversions ")
                        .version("module_layout", 1)
                        .build();
        assertThat(refusal(kernel, image, WITHOUT_CRCS).dmesg())
                .isEqualTo(
                        "m: version magic '9.9.9 SMP preempt mod_unload modversions ' should be"
                                + " '6.1.0 SMP preempt mod_unload modversions '");
        kernel.load(image, PLAIN);
    }

    @Test
    void ignoredCrcsForceTheLoadAndStayInMemory() {
        Kernel kernel = withCrcs(Images.quiet6_1());
        ModuleImage image = Images.module("m").version("module_layout", 2).build();
        assertThat(refusal(kernel, image, PLAIN).errno()).isEqualTo(Errno.ENOEXEC);
        Module module = kernel.load(image, WITHOUT_CRCS);
        assertThat(module.taints()).containsExactly(Taint.FORCED_MODULE);
        assertThat(module.section("__versions")).isPresent();
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: disagrees about version of symbol module_layout",
                        "m: module_layout: kernel tainted.",
                        Images.LOCK_DEBUGGING);
    }

    @Test
    void aModuleWithAValidSignatureIsNotTainted() {
        Kernel kernel = kernel(Images.quiet6_1().toBuilder().moduleSig(true).build());
        assertThat(kernel.load(Images.empty("m"), SIGNED).taints()).isEmpty();
        assertThat(kernel.taints()).isEmpty();
        assertThat(kernel.log().lines()).isEmpty();
    }

    @Test
    void aModuleWithAValidSignatureIsTakenWhereOthersAreNot() {
        KernelConfig config =
                Images.quiet6_1().toBuilder()
                        .moduleSig(true)
                        .sigEnforce(true)
                        .lockdown(true)
                        .build();
        assertThat(kernel(config).load(Images.empty("m"), SIGNED).name()).isEqualTo("m");
    }

    // ---- order and names ----

    private static ModuleImage withEveryTag() {
        return new ImageBuilder(Images.X86_64, Encoding.ELF64_LSB, true)
                .name("m")
                .modinfo("staging", "Y")
                .modinfo("livepatch", "Y")
                .modinfo("test", "Y")
                .build();
    }

    @Test
    void upTo63TaintsComeBeforeLayoutAndTheSignatureAfterAdmission() {
        Kernel kernel = kernel(KernelConfig.linux6_1());
        Module module = kernel.load(withEveryTag(), PLAIN);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: bad vermagic: kernel tainted.",
                        Images.LOCK_DEBUGGING,
                        "m: loading out-of-tree module taints kernel.",
                        "Spectre V2 : System may be vulnerable to spectre v2",
                        "m: loading module not compiled with retpoline compiler.",
                        "m: module is from the staging directory, the quality is unknown, you have been warned.",
                        "m: tainting kernel with TAINT_LIVEPATCH",
                        "m: module license 'unspecified' taints kernel.",
                        "m: loading test module taints kernel.",
                        "m: module verification failed: signature and/or required key missing - tainting kernel");
        assertThat(Taint.mask(module.taints())).isEqualTo(0x4b403);
    }

    @Test
    void since64TheLicenceIsSpokenOfTwice() {
        Kernel kernel = kernel(KernelConfig.linux6_12());
        kernel.load(withEveryTag(), PLAIN);
        assertThat(kernel.log().lines())
                .endsWith(
                        "m: tainting kernel with TAINT_LIVEPATCH",
                        "m: module license 'unspecified' taints kernel.",
                        "m: loading test module taints kernel.",
                        "m: module verification failed: signature and/or required key missing - tainting kernel",
                        "m: module license taints kernel.");
    }

    @Test
    void in310OnlySomeTagsAreKnown() {
        Kernel kernel = kernel(KernelConfig.linux3_10());
        Module module = kernel.load(withEveryTag(), PLAIN);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: bad vermagic: kernel tainted.",
                        Images.LOCK_DEBUGGING,
                        "m: module is from the staging directory, the quality is unknown, you have been warned.",
                        "m: module license 'unspecified' taints kernel.",
                        "m: module verification failed: signature and/or required key missing - tainting kernel");
        assertThat(module.taints())
                .containsExactly(
                        Taint.PROPRIETARY_MODULE,
                        Taint.FORCED_MODULE,
                        Taint.CRAP,
                        Taint.OOT_MODULE);
    }

    @Test
    void in310AModuleWithoutSignatureCountsAsForcedAndLeavesLockDebuggingOn() {
        Kernel kernel = kernel(OLD.toBuilder().moduleSig(true).build());
        assertThat(kernel.load(Images.empty("m"), PLAIN).taints())
                .containsExactly(Taint.FORCED_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: module verification failed: signature and/or required key missing - tainting kernel");
    }

    @Test
    void whatIsSaidOnceABootIsNotSaidAgainByAKernelThatIsTaintedAlready() {
        Kernel kernel =
                builder(KernelConfig.linux6_1())
                        .taints(
                                Set.of(
                                        Taint.PROPRIETARY_MODULE,
                                        Taint.FORCED_MODULE,
                                        Taint.OOT_MODULE,
                                        Taint.UNSIGNED_MODULE,
                                        Taint.LIVEPATCH,
                                        Taint.TEST))
                        .build();
        kernel.load(withEveryTag(), PLAIN);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "Spectre V2 : System may be vulnerable to spectre v2",
                        "m: loading module not compiled with retpoline compiler.",
                        "m: module is from the staging directory, the quality is unknown, you have been warned.");
    }

    private static ModuleImage named(String info, String structure) {
        return Images.withStructureName(Images.importing(info, "f"), structure);
    }

    @Test
    void messagesAboutVersionsNameTheModuleAsModinfoDoes() {
        Kernel kernel = withCrcs(Images.quiet6_1());
        ModuleImage image =
                Images.withStructureName(
                        Images.importing(
                                        Images.module("info")
                                                .version("module_layout", 1)
                                                .version("f", 2),
                                        "f")
                                .build(),
                        "struct");
        assertThat(refusal(kernel, image, PLAIN).dmesg())
                .isEqualTo(
                        "info: disagrees about version of symbol f\n"
                                + "struct: Unknown symbol f (err -22)");
        assertThat(refusal(withCrcs(OLD), image, PLAIN).dmesg())
                .isEqualTo(
                        "struct: disagrees about version of symbol f\n"
                                + "struct: Unknown symbol f (err -22)");
    }

    @Test
    void messagesAboutForcedLoadsNameTheModuleAsItsStructureDoes() {
        Kernel kernel = withCrcs(Images.quiet6_1().toBuilder().checkVermagic(true).build());
        kernel.load(named("info", "struct"), PLAIN);
        assertThat(kernel.log().lines())
                .containsExactly("struct: module_layout: kernel tainted.", Images.LOCK_DEBUGGING);
    }

    @Test
    void theBlacklistGoesByTheNameInModinfoToTheLetter() {
        KernelConfig config =
                Images.quiet6_1().toBuilder().moduleBlacklist(List.of("a-b", "struct")).build();
        Kernel kernel = kernel(config);
        kernel.load(Images.withStructureName(Images.empty("a_b"), "struct"), PLAIN);
        assertThat(
                        refusal(
                                        kernel,
                                        Images.withStructureName(Images.empty("a-b"), "other"),
                                        PLAIN)
                                .dmesg())
                .isEqualTo("Module a-b is blacklisted");
    }

    @Test
    void withoutANameInModinfoTheBlacklistGoesByTheStructure() {
        ModuleImage image = Images.withRenamed(Images.empty("m"), ".modinfo", ".other");
        Kernel kernel = kernel(Images.quiet6_1().toBuilder().moduleBlacklist(List.of("m")).build());
        assertThat(refusal(kernel, image, PLAIN).errno()).isEqualTo(Errno.EPERM);
    }

    @Test
    void in310ThereIsNoBlacklist() {
        Kernel kernel = kernel(OLD.toBuilder().moduleBlacklist(List.of("m")).build());
        assertThat(kernel.load(Images.empty("m"), PLAIN).name()).isEqualTo("m");
    }

    @Test
    void anEmptyModinfoIsFineAndSoIsOneThatBeginsWithZeros() {
        for (byte[] contents : new byte[][] {{}, "\0\0\0license=GPL\0".getBytes(ISO_8859_1)}) {
            ModuleImage image = Images.empty("m");
            int index = image.sectionIndex(".modinfo");
            Section section =
                    Section.progbits(
                            ".modinfo", 2, 1, io.github.koloader.image.Bytes.copyOf(contents));
            Kernel kernel = kernel(Images.quiet6_12());
            Module module = kernel.load(Images.withSection(image, index, section), PLAIN);
            assertThat(module.taints().contains(Taint.PROPRIETARY_MODULE))
                    .isEqualTo(contents.length == 0);
        }
    }

    @ParameterizedTest
    @CsvSource({"x86_64, true", "arm64, false", "arm, false", "i386, false", "ppc64le, true"})
    void livepatchModulesAreTakenWhereDebianTakesThem(String name, boolean taken) {
        Architecture architecture = Architectures.named(name).orElseThrow();
        assertThat(KernelConfig.linux6_1().livepatch(architecture)).isEqualTo(taken);
        assertThat(
                        KernelConfig.linux6_1().toBuilder()
                                .livepatch(!taken)
                                .build()
                                .livepatch(architecture))
                .isEqualTo(!taken);
    }

    // ---- struct module ----

    @Test
    void aNameThatFillsItsFieldLoadsSince64AndIsNeverUnloaded() {
        String name = "n".repeat(56);
        Kernel kernel = kernel(Images.quiet6_12());
        kernel.load(Images.withStructureName(Images.empty("m"), name), PLAIN);
        assertThat(kernel.module(name)).isPresent();
        assertThatThrownBy(() -> kernel.unload(name))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT));
        assertThat(kernel.module(name)).isPresent();
    }

    @Test
    void theLongestNameIsUnloaded() {
        String name = "n".repeat(55);
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(Images.empty(name), PLAIN);
        kernel.unload(name);
        assertThat(kernel.modules()).isEmpty();
    }

    @Test
    void in310ANameThatIsTooLongIsCutOff() {
        String name = "n".repeat(55);
        Kernel kernel = kernel(OLD);
        kernel.load(Images.empty(name), PLAIN);
        kernel.unload(name + "more");
        assertThat(kernel.modules()).isEmpty();
    }

    @Test
    void aReadOnlyStructureIsFatalOnlyWhereRightsAreEnforced() {
        ModuleImage image = Images.empty("m");
        int index = image.sectionIndex(ModuleImage.THIS_MODULE);
        ModuleImage readOnly =
                Images.withSection(
                        image,
                        index,
                        Section.progbits(
                                ModuleImage.THIS_MODULE,
                                SectionFlags.ALLOC,
                                64,
                                image.section(index).contents()));
        Kernel lax = kernel(Images.quiet6_1().toBuilder().strictModuleRwx(false).build());
        assertThat(lax.load(readOnly, PLAIN).name()).isEqualTo("m");
        for (KernelConfig config : List.of(Images.quiet6_1(), Images.quiet6_12())) {
            assertThat(refusal(kernel(config), readOnly, PLAIN).errno()).isEqualTo(Errno.ENOEXEC);
        }
    }

    @Test
    void theKernelOfAModuleRefusesAStructureOfAnotherSize() {
        ModuleImage own =
                Images.module("own")
                        .modinfo("vermagic", "6.12.1-x SMP mod_unload ")
                        .structSize(1280)
                        .build();
        KernelConfig config = KernelConfig.forModule(own);
        assertThat(config.release()).isEqualTo("6.12.1-x");
        assertThat(config.modversions()).isFalse();
        assertThat(config.structModuleSize()).isEqualTo(OptionalLong.of(1280));
        Kernel kernel = kernel(config);
        kernel.load(own, PLAIN);
        ModuleImage other =
                Images.module("other")
                        .modinfo("vermagic", "6.12.1-x SMP mod_unload ")
                        .structSize(1344)
                        .build();
        assertThat(refusal(kernel, other, PLAIN).dmesg())
                .startsWith("module other: .gnu.linkonce.this_module section size must match");
    }

    @Test
    void aModuleWithoutVermagicIsOfNoKernel() {
        assertThatThrownBy(() -> KernelConfig.forModule(Images.empty("m")))
                .isInstanceOf(IllegalArgumentException.class);
    }

    // ---- names that are taken ----

    @ParameterizedTest
    @CsvSource({"3.10.0, EEXIST", "6.1.0, EBUSY", "6.12.0, EBUSY"})
    void aModuleThatIsStillComingIsInTheWay(String release, Errno errno) {
        List<Errno> answers = new ArrayList<>();
        Executor executor =
                call -> {
                    answers.add(refusal(call.kernel(), Images.empty("m"), PLAIN).errno());
                    return 0;
                };
        builder(release(release)).executor(executor).build().load(Images.withInit("m"), PLAIN);
        assertThat(answers).containsExactly(errno);
    }

    // ---- references ----

    @Test
    void whileExitRunsTheModuleHasNoReferenceAndGivesNone() {
        List<String> seen = new ArrayList<>();
        Executor executor =
                call -> {
                    seen.add(
                            call.phase()
                                    + " "
                                    + call.module().referenceCount()
                                    + " "
                                    + call.kernel().get("m"));
                    if (call.phase() == Phase.INIT) {
                        call.kernel().put("m");
                    }
                    return 0;
                };
        Kernel kernel = builder(Images.quiet6_1()).executor(executor).build();
        kernel.load(Images.withInitAndExit("m"), PLAIN);
        kernel.unload("m");
        assertThat(seen).containsExactly("INIT 1 true", "EXIT -1 false");
    }

    @Test
    void aReferenceTakenInInitStaysWithTheModule() {
        Kernel kernel =
                builder(Images.quiet6_1())
                        .executor(call -> call.kernel().get("m") ? 0 : -1)
                        .build();
        assertThat(kernel.load(Images.withInitAndExit("m"), PLAIN).referenceCount()).isEqualTo(1);
        assertThatThrownBy(() -> kernel.unload("m")).isInstanceOf(LoadException.class);
        kernel.put("m");
        assertThatThrownBy(() -> kernel.put("m")).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aForcedUnloadLeavesTheReferencesWhileExitRuns() {
        List<Integer> seen = new ArrayList<>();
        Executor executor =
                call -> {
                    seen.add(call.module().referenceCount());
                    return 0;
                };
        Kernel kernel = builder(Images.quiet6_1()).executor(executor).build();
        kernel.load(Images.withInitAndExit("m"), PLAIN);
        kernel.get("m");
        kernel.forceUnload("m");
        assertThat(seen).containsExactly(1, 1);
        assertThat(kernel.taints()).containsExactly(Taint.FORCED_RMMOD);
        assertThat(kernel.log().lines()).containsExactly(Images.LOCK_DEBUGGING);
    }

    // ---- extended versions ----

    private static final String LONG_NAME = "a_name_that_is_too_long_for_an_entry".repeat(2);

    private static ModuleImage extended(int crc, String... names) {
        ImageBuilder image = Images.module("m");
        byte[] crcs = new byte[4 * names.length];
        for (int i = 0; i < names.length; i++) {
            crcs[4 * i] = (byte) crc;
        }
        image.section(Images.rodata("__version_ext_crcs", crcs));
        String joined = String.join("\0", names) + "\0";
        image.section(Images.rodata("__version_ext_names", joined.getBytes(ISO_8859_1)));
        return Images.importing(image, LONG_NAME).build();
    }

    @Test
    void extendedVersionsAreComparedAndTakeNoMemory() {
        Kernel kernel = withCrcs(release("6.14.0"));
        Module module = kernel.load(extended(1, "module_layout", LONG_NAME), PLAIN);
        assertThat(module.taints()).isEmpty();
        assertThat(module.section("__version_ext_crcs")).isEmpty();
        assertThat(module.section("__version_ext_names")).isEmpty();
    }

    @Test
    void anotherExtendedVersionIsRefused() {
        ModuleImage image = extended(2, LONG_NAME, "module_layout");
        assertThat(refusal(withCrcs(release("6.14.0")), image, PLAIN).dmesg())
                .isEqualTo("m: disagrees about version of symbol module_layout");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aMissingExtendedVersionIsRefusedOrWarnedAbout(boolean accepted) {
        KernelConfig config =
                release("6.14.0").toBuilder()
                        .missingVersion(accepted ? MissingVersion.WARN_ONCE : MissingVersion.REFUSE)
                        .build();
        Kernel kernel = withCrcs(config);
        ModuleImage image = extended(1, "module_layout");
        if (accepted) {
            kernel.load(image, PLAIN);
            assertThat(kernel.log().lines())
                    .containsExactly("m: no symbol version for " + LONG_NAME);
        } else {
            assertThat(refusal(kernel, image, PLAIN).errno()).isEqualTo(Errno.EINVAL);
        }
    }

    @Test
    void before614ExtendedVersionsAreDataLikeAnyOther() {
        Kernel kernel = withCrcs(release("6.12.0"));
        Module module = kernel.load(extended(2, "module_layout"), PLAIN);
        assertThat(module.taints()).containsExactly(Taint.FORCED_MODULE);
        assertThat(module.section("__version_ext_crcs")).isPresent();
    }

    @Test
    void ignoredExtendedVersionsAreNotLookedAt() {
        Kernel kernel = withCrcs(release("6.14.0"));
        ImageBuilder image = Images.module("m");
        image.section(Images.rodata("__version_ext_crcs", new byte[4]));
        assertThat(kernel.load(image.build(), WITHOUT_CRCS).taints())
                .containsExactly(Taint.FORCED_MODULE);
    }

    // ---- exports ----

    /** A module with a table as before 4.19: of addresses, two to an entry. */
    private static ModuleImage exportingIn(String table, String name, String symbol) {
        ImageBuilder image = Images.module(name);
        int text = image.section(Images.text(16));
        int strings =
                image.section(
                        Images.rodata("__ksymtab_strings", (symbol + "\0").getBytes(ISO_8859_1)));
        int entries = image.section(Images.rodata(table, new byte[16]));
        image.relocate(
                entries,
                new Relocation(0, Images.ABS64, image.symbol(Symbol.section(text)), 0),
                new Relocation(8, Images.ABS64, image.symbol(Symbol.section(strings)), 0));
        return image.build();
    }

    private static ModuleImage proprietary(String symbol) {
        return Images.importing(Images.bare("p").modinfo("license", "Proprietary"), symbol).build();
    }

    @Test
    void in310AProprietaryModuleIsToldOfSymbolsThatWillBeGplOnly() {
        Kernel kernel = kernel(OLD);
        kernel.load(exportingIn("__ksymtab_gpl_future", "e", "f"), PLAIN);
        kernel.load(Images.importing("g", "f"), PLAIN);
        assertThat(kernel.log().lines()).isEmpty();
        kernel.load(proprietary("f"), PLAIN);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "p: module license 'Proprietary' taints kernel.",
                        Images.LOCK_DEBUGGING,
                        "Symbol f is being used by a non-GPL module, which will not be allowed in the future");
    }

    @Test
    void in310UnusedSymbolsAreExportedWhereThatIsAnOption() {
        ModuleImage exporter = exportingIn("__ksymtab_unused", "e", "f");
        Kernel without = kernel(OLD);
        without.load(exporter, PLAIN);
        assertThat(without.exported("f")).isEmpty();
        Kernel with = kernel(OLD.toBuilder().kconfig("CONFIG_UNUSED_SYMBOLS", true).build());
        with.load(exporter, PLAIN);
        with.load(proprietary("f"), PLAIN);
    }

    @Test
    void in310UnusedSymbolsMayBeGplOnly() {
        Kernel kernel = kernel(OLD.toBuilder().kconfig("CONFIG_UNUSED_SYMBOLS", true).build());
        kernel.load(exportingIn("__ksymtab_unused_gpl", "e", "f"), PLAIN);
        kernel.load(Images.importing("g", "f"), PLAIN);
        assertThat(refusal(kernel, proprietary("f"), PLAIN).dmesg())
                .isEqualTo("p: Unknown symbol f (err 0)");
    }

    @Test
    void laterThereAreTwoTablesOnly() {
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(exportingIn("__ksymtab_gpl_future", "e", "f"), PLAIN);
        assertThat(kernel.exported("f")).isEmpty();
    }

    @Test
    void anEmptyTableOfExportsNeedsNoCrcs() {
        ImageBuilder image = Images.module("m");
        image.section(Images.rodata("__ksymtab"));
        Kernel kernel = kernel(versioned(Images.quiet6_1()));
        assertThat(kernel.load(image.build(), PLAIN).taints()).isEmpty();
    }

    @Test
    void aPlainExportIsFoundBehindAGplOnlyOneThatMayNotBeUsed() {
        Kernel kernel =
                builder(Images.quiet6_1())
                        .symbols(
                                name ->
                                        Optional.of(
                                                        new ExportedSymbol(
                                                                "f",
                                                                new Address(0x1000),
                                                                true,
                                                                "",
                                                                OptionalInt.empty()))
                                                .filter(symbol -> symbol.name().equals(name)))
                        .build();
        assertThat(refusal(kernel, Images.exporting("e", Export.plain("f")), PLAIN).dmesg())
                .isEqualTo("e: exports duplicate symbol f (owned by kernel)");
        ModuleImage both =
                Images.exporting("b", Export.gpl("g"), Export.plain("g"), Export.gpl("h"));
        kernel.load(both, PLAIN);
        assertThat(kernel.load(proprietary("g"), PLAIN).importCount()).isEqualTo(1);
    }

    // ---- namespaces ----

    @ParameterizedTest
    @CsvSource({
        "'module:m', true",
        "'module:a,m,b', true",
        "'module:a,b', false",
        "'module:m*', true",
        "'module:*', true",
        "'module:mm', false",
        "'module:', false"
    })
    void since616ANamespaceMayNameItsModules(String namespace, boolean taken) {
        ModuleImage exporter = Images.exporting("e", new Export("f", false, namespace, 0));
        ModuleImage importer = Images.importing("m", "f");
        Kernel kernel = kernel(release("6.16.0"));
        kernel.load(exporter, PLAIN);
        if (taken) {
            kernel.load(importer, PLAIN);
        } else {
            assertThat(refusal(kernel, importer, PLAIN).dmesg())
                    .isEqualTo(
                            "m: module uses symbol (f) from namespace "
                                    + namespace
                                    + ", but does not import it.\nm: Unknown symbol f (err -22)");
        }
        Kernel before = kernel(release("6.12.0"));
        before.load(exporter, PLAIN);
        assertThat(refusal(before, importer, PLAIN).errno()).isEqualTo(Errno.EINVAL);
    }

    @Test
    void namesInANamespaceKnowNoDifferenceOfDashAndUnderscore() {
        assertThat(ResolveSymbols.names("snd-hda-*,b", "snd_hda_core")).isTrue();
        assertThat(ResolveSymbols.names("b_c", "b-c")).isTrue();
        assertThat(ResolveSymbols.names("b_c", "b-cd")).isFalse();
    }

    @Test
    void aNamespaceOfOtherThanAsciiIsComparedByItsBytes() {
        Kernel kernel = kernel(Images.quiet6_1());
        String bytes =
                new String("Größe".getBytes(java.nio.charset.StandardCharsets.UTF_8), ISO_8859_1);
        kernel.load(Images.exporting("e", new Export("f", false, bytes, 0)), PLAIN);
        ModuleImage importer =
                Images.importing(Images.module("m").modinfo("import_ns", "Größe"), "f").build();
        assertThat(kernel.load(importer, PLAIN).importCount()).isEqualTo(1);
    }

    @Test
    void in310ThereAreNoNamespaces() {
        Kernel kernel =
                builder(OLD)
                        .symbols(
                                name ->
                                        Optional.of(
                                                new ExportedSymbol(
                                                        name,
                                                        new Address(0x1000),
                                                        false,
                                                        "N",
                                                        OptionalInt.empty())))
                        .build();
        assertThat(kernel.load(Images.importing("m", "f"), PLAIN).importCount()).isEqualTo(1);
    }

    // ---- constructors ----

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void constructorsRunBeforeInitWhereThatIsAnOption(boolean option) {
        ImageBuilder image = Images.module("m");
        int text = image.section(Images.text(64));
        int array = image.section(Images.data(".init_array", 16));
        int symbol = image.symbol(Symbol.section(text));
        image.relocate(
                array,
                new Relocation(0, Images.ABS64, symbol, 32),
                new Relocation(8, Images.ABS64, symbol, 16));
        image.init(text, 0, Images.ABS64);
        List<Long> called = new ArrayList<>();
        Executor executor =
                call -> {
                    Address start = call.module().section(".text").orElseThrow().address();
                    called.add(call.entry().value() - start.value());
                    return call.entry().equals(start) ? 0 : -22;
                };
        KernelConfig config =
                Images.quiet6_1().toBuilder().kconfig("CONFIG_CONSTRUCTORS", option).build();
        builder(config).executor(executor).build().load(image.build(), PLAIN);
        assertThat(called)
                .containsExactlyElementsOf(option ? Arrays.asList(32L, 16L, 0L) : List.of(0L));
    }
}

package io.github.koloader.internal.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.Executor.Phase;
import io.github.koloader.Images;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.Module;
import io.github.koloader.ModuleState;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Whole loads, for what only a whole load shows of the passes. */
final class LoadSequenceTest {
    private static Kernel.Builder builder() {
        return Kernel.builder(Architectures.X86_64).config(Images.quiet6_1());
    }

    private static LoadException refusal(Kernel kernel, ModuleImage image) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(refusal).as("refused").isNotNull();
        return refusal;
    }

    /** The relocations of {@code .data} become those of another section. */
    private static ModuleImage retargeted(ModuleImage image, int target) {
        int table = image.relocationsFor(image.sectionIndex(".data")).get(0).section();
        Section old = image.section(table);
        return Images.withSection(
                image,
                table,
                new Section(
                        old.name(),
                        old.type(),
                        old.flags(),
                        old.offset(),
                        old.size(),
                        old.alignment(),
                        old.link(),
                        target,
                        old.entrySize(),
                        old.contents()));
    }

    private static ModuleImage withWord(long value) {
        ImageBuilder builder = Images.module("m");
        int data = builder.section(Images.data(".data", 64));
        int symbol =
                builder.symbol(
                        new Symbol("v", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), value, 0));
        return builder.relocate(data, new Relocation(8, Images.ABS64, symbol, 0)).build();
    }

    // ---- relocations ----

    @Test
    void relocationsForASectionThatIsNotThereAreSkipped() {
        ModuleImage image = withWord(77);
        for (int target : new int[] {0, -1, image.sections().size(), image.sections().size() + 1}) {
            Module module = builder().build().load(retargeted(image, target), "");
            assertThat(module.relocationCount()).as("target %d", target).isZero();
        }
        assertThat(builder().build().load(image, "").relocationCount()).isEqualTo(1);
    }

    @Test
    void relocationsForTheSymbolTableAreAppliedAsItTakesMemory() {
        ModuleImage image = withWord(0x1122334455667788L);
        List<Long> words = new ArrayList<>();
        builder()
                .observer(
                        (point, module) -> {
                            if (point == Point.RELOCATED) {
                                Bytes symtab =
                                        module.contents(module.section(".symtab").orElseThrow());
                                words.add(symtab.readLong(8, Encoding.ELF64_LSB));
                            }
                        })
                .build()
                .load(retargeted(image, image.symbolSection()), "");
        assertThat(words).containsExactly(0x1122334455667788L);
    }

    // ---- sections known by name ----

    @Test
    void aSectionWithoutMemoryIsNoneOfThoseKnownByName() {
        ImageBuilder image = Images.module("m");
        byte[] garbage = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        for (String name : List.of("__ksymtab", "__ksymtab_gpl", "__ex_table", "__obsparm")) {
            image.section(Section.progbits(name, 0, 1, Bytes.copyOf(garbage)));
        }
        image.section(
                Section.progbits(".data..percpu", SectionFlags.WRITE, 8, Bytes.copyOf(garbage)));
        Kernel kernel = builder().build();
        Module module = kernel.load(image.build(), "");
        assertThat(module.exports()).isEmpty();
        assertThat(module.perCpuBase()).isEmpty();
        assertThat(kernel.log().lines()).isEmpty();
    }

    @Test
    void ofTwoSectionsOfAKnownNameTheFirstCounts() {
        ImageBuilder image = Images.module("m");
        image.section(Images.data(".data..percpu", 16));
        image.section(Images.data(".data..percpu", 32));
        Module module = builder().build().load(image.build(), "");
        assertThat(module.perCpuRegions().get(0).size()).isEqualTo(16);
        assertThat(module.section(".data..percpu").orElseThrow().size()).isEqualTo(32);
    }

    // ---- memory ----

    @Test
    void aModuleMayTakeAllTheMemoryThatModulesMayTakeAndNotAByteMore() {
        for (KernelConfig config : List.of(Images.quiet6_1(), Images.quiet6_12())) {
            ImageBuilder image = Images.module("m");
            image.section(Images.text(16));
            ModuleImage built = image.build();
            long[] size = {0};
            builder()
                    .config(config)
                    .observer(
                            (point, module) ->
                                    size[0] =
                                            module.layout().blocks().stream()
                                                    .mapToLong(block -> block.size())
                                                    .sum())
                    .build()
                    .load(built, "");
            builder().config(config).memoryLimit(size[0]).build().load(built, "");
            Kernel tight = builder().config(config).memoryLimit(size[0] - 1).build();
            assertThat(refusal(tight, built).errno()).isEqualTo(Errno.ENOMEM);
            assertThat(tight.memory().regions()).isEmpty();
        }
    }

    @Test
    void aLoadThatFailsTakesNothingFromWhatModulesMayTake() {
        ModuleImage image = Images.withInit("m");
        int[] results = {-Errno.EIO.number()};
        Kernel kernel = builder().memoryLimit(0x6000).executor(call -> results[0]).build();
        for (int i = 0; i < 10; i++) {
            assertThat(refusal(kernel, image).errno()).isEqualTo(Errno.EIO);
        }
        results[0] = 0;
        assertThat(kernel.load(image, "").state()).isEqualTo(ModuleState.LIVE);
    }

    // ---- entry points ----

    /** The image, its struct module no larger than that, with init as its last word. */
    private static ModuleImage withInitInTheLastWord(int structSize, long field) {
        ImageBuilder image = Images.module("m").structSize(structSize);
        int text = image.section(Images.text(64));
        int data = image.section(Images.data(".data", 8));
        int init = image.symbol(Symbol.function("init_module", text, 48, 4));
        ModuleImage built =
                image.relocate(data, new Relocation(field, Images.ABS64, init, 0)).build();
        return retargeted(built, built.sectionIndex(ModuleImage.THIS_MODULE));
    }

    @Test
    void theInitFieldMayBeTheLastWordOfTheStructure() {
        List<Long> entries = new ArrayList<>();
        Kernel kernel =
                builder()
                        .executor(
                                call -> {
                                    entries.add(call.entry().value());
                                    return 0;
                                })
                        .build();
        Module module = kernel.load(withInitInTheLastWord(512, 504), "");
        assertThat(entries)
                .containsExactly(module.section(".text").orElseThrow().address().plus(48).value());
    }

    // ---- the point of no return ----

    @Test
    void anObserverThatThrowsOnceTheModuleIsLiveLeavesItLive() {
        Kernel kernel =
                builder()
                        .observer(
                                (point, module) -> {
                                    if (point == Point.LIVE) {
                                        throw new IllegalStateException("seen");
                                    }
                                })
                        .build();
        ModuleImage image = Images.exporting("m", "f");
        assertThatThrownBy(() -> kernel.load(image, ""))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("seen");
        Module module = kernel.module("m").orElseThrow();
        assertThat(module.state()).isEqualTo(ModuleState.LIVE);
        assertThat(kernel.exported("f")).contains(module.section(".text").orElseThrow().address());
        assertThat(kernel.memory().regions()).isNotEmpty();
        kernel.unload("m");
        assertThat(kernel.memory().regions()).isEmpty();
    }

    // ---- stubs ----

    @Test
    void stubsOfAModuleThatAFailingInitHasLoadedStay() {
        Kernel kernel =
                builder()
                        .executor(
                                call -> {
                                    call.kernel().load(Images.importing("inner", "a"), "");
                                    return -Errno.EIO.number();
                                })
                        .build();
        assertThat(refusal(kernel, Images.withInit("outer")).errno()).isEqualTo(Errno.EIO);
        assertThat(kernel.modules()).extracting(Module::name).containsExactly("inner");
        assertThat(kernel.stubs()).containsOnlyKeys("a");
    }

    // ---- unloading ----

    @Test
    void anUnloadedModuleUsesNobodyAnyMore() {
        Kernel kernel = builder().strict().build();
        Module exporter = kernel.load(Images.exporting("exporter", "f"), "");
        Module importer = kernel.load(Images.importing("importer", "f"), "");
        assertThat(importer.uses()).containsExactly("exporter");
        kernel.unload("importer");
        assertThat(importer.uses()).isEmpty();
        assertThat(exporter.users()).isEmpty();
    }

    @Test
    void aModuleInUseIsRefusedWithTheNamesOfItsUsers() {
        Kernel kernel = builder().strict().build();
        kernel.load(Images.exporting("exporter", "f"), "");
        kernel.load(Images.importing("one", "f"), "");
        kernel.load(Images.importing("two", "f"), "");
        assertThatThrownBy(() -> kernel.unload("exporter"))
                .isInstanceOf(LoadException.class)
                .hasMessageContaining("one")
                .hasMessageContaining("two");
    }

    @Test
    void aFailedLoadRunsNoExit() {
        List<Phase> phases = new ArrayList<>();
        Kernel kernel =
                builder()
                        .executor(
                                call -> {
                                    phases.add(call.phase());
                                    return -Errno.ENODEV.number();
                                })
                        .build();
        assertThat(refusal(kernel, Images.withInitAndExit("m")).errno()).isEqualTo(Errno.ENODEV);
        assertThat(phases).containsExactly(Phase.INIT);
    }
}

package io.github.koloader;

import static io.github.koloader.Executor.Phase.EXIT;
import static io.github.koloader.Executor.Phase.INIT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.ArgumentMatchers.argThat;
import static org.mockito.Mockito.inOrder;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.never;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.verifyNoMoreInteractions;
import static org.mockito.Mockito.when;

import io.github.koloader.LoadObserver.Point;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.TestArchitecture;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.memory.FirstFitAllocator;
import io.github.koloader.memory.ModuleAllocator;
import io.github.koloader.memory.Region;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mockito.InOrder;

final class KernelTest {
    static List<KernelConfig> configs() {
        return List.of(
                Images.quiet(KernelConfig.linux3_10()), Images.quiet6_1(), Images.quiet6_12());
    }

    static List<Encoding> encodings() {
        return List.of(
                Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB);
    }

    private static Kernel.Builder builder() {
        return Kernel.builder(Architectures.X86_64).config(Images.quiet6_1());
    }

    private static Kernel kernel(Executor executor) {
        return builder().executor(executor).build();
    }

    private static Kernel answering(int result) {
        return kernel(call -> call.phase() == INIT ? result : 0);
    }

    private static LoadException refusal(Kernel kernel, ModuleImage image) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(refusal).as("refused").isNotNull();
        return refusal;
    }

    // ---- the good case ----

    @ParameterizedTest
    @MethodSource("configs")
    void aModuleBecomesLive(KernelConfig config) {
        Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).build();
        Module module = kernel.load(Images.withInitAndExit("hello"), " ");
        assertThat(module.state()).isEqualTo(ModuleState.LIVE);
        assertThat(module.name()).isEqualTo("hello");
        assertThat(module.arguments()).isEqualTo(" ");
        assertThat(module.initResult()).hasValue(0);
        assertThat(module.referenceCount()).isZero();
        assertThat(kernel.modules()).containsExactly(module);
        assertThat(kernel.module("hello")).containsSame(module);
        assertThat(module).hasToString("Module[hello, live]");
    }

    @Test
    void aQuietLoadLogsNothing() {
        Kernel kernel = builder().build();
        kernel.load(Images.withInitAndExit("hello"), "");
        assertThat(kernel.log().entries()).isEmpty();
        assertThat(kernel.taints()).isEmpty();
    }

    @Test
    void theObserverSeesEachPointOnceWithItsState() {
        List<String> seen = new ArrayList<>();
        Kernel[] kernel = new Kernel[1];
        LoadObserver observer =
                (point, module) ->
                        seen.add(
                                point
                                        + " "
                                        + module.state()
                                        + (kernel[0].module("m").isPresent()
                                                ? " listed"
                                                : " hidden"));
        kernel[0] = builder().observer(observer).build();
        kernel[0].load(Images.withInit("m"), "");
        assertThat(seen)
                .containsExactly(
                        "RESOLVED UNFORMED hidden",
                        "RELOCATED UNFORMED hidden",
                        "FORMED COMING listed",
                        "LIVE LIVE listed");
    }

    @Test
    void initRunsOnceAtItsAddressWithTheModuleComing() {
        Executor executor = mock(Executor.class);
        List<ModuleState> states = new ArrayList<>();
        when(executor.call(any()))
                .thenAnswer(
                        invocation -> {
                            Executor.Call call = invocation.getArgument(0);
                            states.add(call.module().state());
                            assertThat(call.module().referenceCount()).isEqualTo(1);
                            return 0;
                        });
        SymbolWatcher watcher = new SymbolWatcher("init_module");
        Kernel kernel = builder().executor(executor).observer(watcher).build();
        Module module = kernel.load(Images.withInit("m"), "");
        verify(executor)
                .call(
                        argThat(
                                call ->
                                        call.phase() == INIT
                                                && call.entry()
                                                        .equals(module.init().orElseThrow())));
        verifyNoMoreInteractions(executor);
        assertThat(module.init()).contains(watcher.of("m", "init_module"));
        assertThat(states).containsExactly(ModuleState.COMING);
    }

    @Test
    void aModuleWithoutInitRunsNothing() {
        Executor executor = mock(Executor.class);
        Module module = kernel(executor).load(Images.empty("m"), "");
        verify(executor, never()).call(any());
        assertThat(module.init()).isEmpty();
        assertThat(module.exit()).isEmpty();
        assertThat(module.initResult()).isEmpty();
        assertThat(module.state()).isEqualTo(ModuleState.LIVE);
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void modulesOfEveryWordSizeAndByteOrderLoadWithRelAndRela(Encoding encoding) {
        TestArchitecture architecture = new TestArchitecture(encoding);
        for (boolean addends : new boolean[] {false, true}) {
            ImageBuilder builder =
                    new ImageBuilder(TestArchitecture.MACHINE, encoding, addends)
                            .name("m")
                            .modinfo("license", "GPL")
                            .modinfo("intree", "Y");
            int data = builder.section(Images.data(".data", 16));
            int text = builder.section(Images.text(16));
            int printk = builder.symbol(Symbol.undefined("printk"));
            builder.relocate(data, new Relocation(8, architecture.word(), printk, addends ? 4 : 0));
            builder.init(text, 8, architecture.word()).exit(text, 0, architecture.word());
            SymbolWatcher watcher = new SymbolWatcher("init_module");
            Kernel kernel =
                    Kernel.builder(architecture)
                            .config(Images.quiet6_1())
                            .strict()
                            .observer(watcher)
                            .symbols(KernelSymbols.of(Map.of("printk", new Address(0x8000_1000L))))
                            .build();
            Module module = kernel.load(builder.build(), "");
            Address start = module.section(".data").orElseThrow().address();
            assertThat(kernel.memory().readWord(start.plus(8)))
                    .isEqualTo(addends ? 0x8000_1004L : 0x8000_1000L);
            assertThat(module.init()).contains(watcher.of("m", "init_module"));
            assertThat(module.relocationCount()).isEqualTo(3);
            kernel.unload("m");
            assertThat(kernel.memory().regions()).isEmpty();
        }
    }

    @Test
    void aModuleForAnotherEncodingIsRefused() {
        Kernel kernel =
                Kernel.builder(new TestArchitecture(Encoding.ELF32_MSB))
                        .config(Images.quiet6_1())
                        .build();
        ModuleImage image =
                new ImageBuilder(TestArchitecture.MACHINE, Encoding.ELF32_LSB, true).build();
        assertThat(refusal(kernel, image).errno()).isEqualTo(Errno.ENOEXEC);
    }

    @Test
    void numbersOfImportsAndRelocationsAreCounted() {
        Module module = builder().build().load(Images.importing("m", "a", "b"), "");
        assertThat(module.importCount()).isEqualTo(2);
        assertThat(module.relocationCount()).isEqualTo(2);
    }

    @Test
    void aPermissiveKernelGivesEachUnknownSymbolAnAddressOfItsOwn() {
        SymbolWatcher watcher = new SymbolWatcher("a", "b");
        Kernel kernel = builder().observer(watcher).build();
        kernel.load(Images.importing("m", "a", "b"), "");
        kernel.load(Images.importing("n", "b"), "");
        assertThat(watcher.of("m", "a"))
                .isNotEqualTo(watcher.of("m", "b"))
                .isEqualTo(kernel.stubs().get("a"));
        assertThat(watcher.of("n", "b")).isEqualTo(watcher.of("m", "b"));
        assertThat(kernel.stubs()).containsOnlyKeys("a", "b");
        assertThat(Architectures.X86_64.kernelText().contains(kernel.stubs().get("a"))).isTrue();
    }

    @Test
    void theSymbolsOfAModuleHaveTheirFinalValues() {
        ImageBuilder image = Images.module("m");
        int data = image.section(Images.data(".data", 16));
        image.symbol(Symbol.object("d", data, 8, 4));
        image.symbol(new Symbol("abs", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 77, 0));
        SymbolWatcher watcher = new SymbolWatcher("d", "abs", "nothing");
        Module module = builder().observer(watcher).build().load(image.build(), "");
        assertThat(watcher.of("m", "d"))
                .isEqualTo(module.section(".data").orElseThrow().address().plus(8));
        assertThat(watcher.of("m", "abs")).isEqualTo(new Address(77));
        assertThat(watcher.has("m", "nothing")).isFalse();
    }

    @Test
    void theSymbolsThatStayAreThoseOfCodeAndDataThatStay() {
        for (KernelConfig config : configs()) {
            ImageBuilder image = Images.module("m");
            int data = image.section(Images.data(".data", 16));
            image.symbol(Symbol.object("d", data, 8, 4));
            image.symbol(Symbol.function("f", image.section(Images.text(16)), 4, 4));
            image.symbol(Symbol.undefined("u"));
            image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
            Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).build();
            Module module = kernel.load(image.build(), "");
            assertThat(module.addressOf("d"))
                    .contains(module.section(".data").orElseThrow().address().plus(8));
            assertThat(module.addressOf("f"))
                    .contains(module.section(".text").orElseThrow().address().plus(4));
            assertThat(module.addressOf("u")).isEmpty();
            assertThat(module.addressOf("init_module")).isEmpty();
        }
    }

    @Test
    void withoutAllSymbolsOnlyThoseOfCodeStay() {
        ImageBuilder image = Images.module("m");
        image.symbol(Symbol.object("d", image.section(Images.data(".data", 16)), 8, 4));
        image.symbol(Symbol.function("f", image.section(Images.text(16)), 4, 4));
        KernelConfig config = Images.quiet6_1().toBuilder().kallsymsAll(false).build();
        Module module = builder().config(config).build().load(image.build(), "");
        assertThat(module.addressOf("d")).isEmpty();
        assertThat(module.addressOf("f")).isPresent();
    }

    // ---- init that fails ----

    @ParameterizedTest
    @MethodSource("configs")
    void anInitThatFailsLeavesNothing(KernelConfig config) {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64).config(config).executor(call -> -19).build();
        LoadException refusal = refusal(kernel, Images.withInitAndExit("m"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENODEV);
        assertThat(refusal.lines()).isEmpty();
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
        assertThat(kernel.log().entries()).isEmpty();
    }

    @Test
    void theErrnoOfInitReachesTheCallerWhateverItIs() {
        assertThat(refusal(answering(-512), Images.withInit("m")).errnoNumber()).isEqualTo(512);
    }

    @Test
    void aFailedInitDoesNotRunExit() {
        Executor executor = mock(Executor.class);
        when(executor.call(any())).thenReturn(-5);
        refusal(kernel(executor), Images.withInitAndExit("m"));
        verify(executor).call(argThat(call -> call.phase() == INIT));
        verifyNoMoreInteractions(executor);
    }

    @Test
    void aModuleWhoseInitFailedIsGoing() {
        Module[] seen = new Module[1];
        Kernel kernel =
                kernel(
                        call -> {
                            seen[0] = call.module();
                            return -5;
                        });
        refusal(kernel, Images.withInit("m"));
        assertThat(seen[0].state()).isEqualTo(ModuleState.GOING);
        assertThat(seen[0].initResult()).hasValue(-5);
    }

    @Test
    void anInitThatAnswersAPositiveNumberIsWarnedAboutAndLoads() {
        Kernel kernel = answering(1);
        Module module = kernel.load(Images.withInit("m"), "");
        assertThat(module.state()).isEqualTo(ModuleState.LIVE);
        assertThat(module.initResult()).hasValue(1);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "do_init_module: 'm'->init suspiciously returned 1, it should follow 0/-E convention\n"
                                + "do_init_module: loading module anyway...");
        assertThat(kernel.log().entries().get(0).line().level()).isEqualTo(LogLevel.WARNING);
    }

    @Test
    void anExecutorThatThrowsUnwindsTheLoad() {
        Kernel kernel =
                kernel(
                        call -> {
                            throw new UnsupportedOperationException("boom");
                        });
        assertThatThrownBy(() -> kernel.load(Images.withInit("m"), ""))
                .isInstanceOf(UnsupportedOperationException.class)
                .hasMessage("boom");
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void anObserverThatThrowsUnwindsTheLoad() {
        for (Point stop : new Point[] {Point.RESOLVED, Point.RELOCATED, Point.FORMED}) {
            Kernel kernel =
                    builder()
                            .observer(
                                    (point, module) -> {
                                        if (point == stop) {
                                            throw new UnsupportedOperationException("boom");
                                        }
                                    })
                            .build();
            assertThatThrownBy(() -> kernel.load(Images.exporting("m", "f"), ""))
                    .isInstanceOf(UnsupportedOperationException.class);
            assertThat(kernel.modules()).isEmpty();
            assertThat(kernel.memory().regions()).isEmpty();
            assertThat(kernel.exported("f")).isEmpty();
        }
    }

    // ---- memory ----

    @ParameterizedTest
    @MethodSource("configs")
    void initMemoryIsGoneOnceTheModuleIsLive(KernelConfig config) {
        Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).build();
        Module module = kernel.load(Images.withInit("m"), "");
        assertThatThrownBy(() -> kernel.memory().readByte(module.init().orElseThrow()))
                .isInstanceOf(AddressFaultException.class);
        LoadedSection init = module.section(".init.text").orElseThrow();
        assertThat(init.present()).isFalse();
        assertThatThrownBy(() -> module.contents(init))
                .isInstanceOf(java.util.NoSuchElementException.class);
    }

    @ParameterizedTest
    @MethodSource("configs")
    void initMemoryIsThereWhileInitRuns(KernelConfig config) {
        Rights[] rights = new Rights[1];
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(config)
                        .executor(
                                call -> {
                                    rights[0] =
                                            call.memory()
                                                    .regionAt(call.entry())
                                                    .orElseThrow()
                                                    .rights();
                                    return 0;
                                })
                        .build();
        kernel.load(Images.withInit("m"), "");
        assertThat(rights[0]).isEqualTo(Rights.READ_EXECUTE);
    }

    @Test
    void dataThatIsReadOnlyAfterInitIsWritableWhileInitRuns() {
        for (KernelConfig config : List.of(Images.quiet6_1(), Images.quiet6_12())) {
            ImageBuilder image = Images.module("m");
            int data = image.section(Images.data(".data..ro_after_init", 8));
            image.symbol(Symbol.object("d", data, 0, 8));
            image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
            Kernel kernel =
                    Kernel.builder(Architectures.X86_64)
                            .config(config)
                            .executor(
                                    call -> {
                                        call.memory()
                                                .writeInt(
                                                        call.module().addressOf("d").orElseThrow(),
                                                        5);
                                        return 0;
                                    })
                            .build();
            Module module = kernel.load(image.build(), "");
            Address d = module.addressOf("d").orElseThrow();
            assertThat(kernel.memory().readInt(d)).isEqualTo(5);
            assertThatThrownBy(() -> kernel.memory().writeInt(d, 6))
                    .isInstanceOf(AddressFaultException.class);
        }
    }

    @Test
    void rightsFollowTheKindOfMemory() {
        for (KernelConfig config : configs()) {
            ImageBuilder image = Images.module("m");
            image.section(Images.text(16));
            image.section(Images.rodata(".rodata", (byte) 1));
            image.section(Images.data(".data", 8));
            Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).build();
            Module module = kernel.load(image.build(), "");
            assertThat(module.section(".text").orElseThrow().rights())
                    .isEqualTo(Rights.READ_EXECUTE);
            assertThat(module.section(".rodata").orElseThrow().rights())
                    .isEqualTo(Rights.READ_ONLY);
            assertThat(module.section(".data").orElseThrow().rights()).isEqualTo(Rights.READ_WRITE);
        }
    }

    @Test
    void sectionsHoldTheirBytesFromTheFile() {
        ImageBuilder image = Images.module("m");
        image.section(Images.rodata(".rodata", (byte) 1, (byte) 2, (byte) 3));
        image.section(Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 8, 5));
        Kernel kernel = builder().build();
        Module module = kernel.load(image.build(), "");
        LoadedSection rodata = module.section(".rodata").orElseThrow();
        assertThat(module.contents(rodata)).isEqualTo(Bytes.copyOf((byte) 1, (byte) 2, (byte) 3));
        assertThat(kernel.memory().read(rodata.address(), 3)).containsExactly(1, 2, 3);
        assertThat(module.contents(module.section(".bss").orElseThrow()))
                .isEqualTo(Bytes.copyOf(new byte[5]));
    }

    @Test
    void modinfoAndVersionsTakeNoMemory() {
        Module module =
                builder().build().load(Images.module("m").version("module_layout", 1).build(), "");
        assertThat(module.section(".modinfo")).isEmpty();
        assertThat(module.section("__versions")).isEmpty();
    }

    @Test
    void memoryIsAsBeforeAfterUnload() {
        for (KernelConfig config : configs()) {
            Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).build();
            kernel.load(Images.empty("stays"), "");
            List<Region> before = List.copyOf(kernel.memory().regions());
            kernel.load(Images.exporting("goes", "f"), "");
            kernel.unload("goes");
            assertThat(kernel.memory().regions()).containsExactlyElementsOf(before);
            assertThat(kernel.modules()).extracting(Module::name).containsExactly("stays");
            assertThat(kernel.exported("f")).isEmpty();
        }
    }

    @Test
    void aReloadGetsTheSameAddresses() {
        for (KernelConfig config : configs()) {
            Kernel kernel =
                    Kernel.builder(Architectures.X86_64)
                            .config(config.toBuilder().cpus(2).build())
                            .build();
            ModuleImage image = perCpu(24, 8);
            Module first = kernel.load(image, "");
            kernel.unload("m");
            Module second = kernel.load(image, "");
            assertThat(second.blockAddresses()).isEqualTo(first.blockAddresses());
            assertThat(second.imageAddress()).isEqualTo(first.imageAddress());
            assertThat(second.perCpuBase()).isEqualTo(first.perCpuBase());
            assertThat(second.addressOf("counter")).isEqualTo(first.addressOf("counter"));
        }
    }

    @Test
    void aLoadAfterAFailedOneGetsTheAddressesTheFailedOneHad() {
        int[] answers = {-5, 0};
        int[] calls = {0};
        Kernel kernel = kernel(call -> answers[calls[0]++]);
        List<List<Address>> addresses = new ArrayList<>();
        refusal(kernel, Images.withInit("m"));
        addresses.add(kernel.load(Images.withInit("m"), "").blockAddresses());
        addresses.add(answering(0).load(Images.withInit("m"), "").blockAddresses());
        assertThat(addresses.get(0)).isEqualTo(addresses.get(1));
    }

    @Test
    void whatModulesTakeTogetherIsLimited() {
        Kernel kernel = builder().memoryLimit(0x6000).build();
        kernel.load(Images.empty("a"), "");
        ImageBuilder large = Images.module("b");
        large.section(Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 1, 0x6000));
        assertThat(refusal(kernel, large.build()).errno()).isEqualTo(Errno.ENOMEM);
        assertThat(kernel.modules()).extracting(Module::name).containsExactly("a");
        kernel.unload("a");
        kernel.load(Images.empty("c"), "");
    }

    @Test
    void memoryOfUnloadedModulesCountsNoMore() {
        Kernel kernel = builder().memoryLimit(0x8000).build();
        for (int i = 0; i < 20; i++) {
            kernel.load(Images.withInitAndExit("m"), "");
            kernel.unload("m");
        }
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void anImageSoLargeThatItsSizesOverflowIsRefused() {
        for (long size :
                new long[] {Long.MAX_VALUE, -1, 1L << 40, Integer.MAX_VALUE, Long.MIN_VALUE}) {
            for (KernelConfig config : configs()) {
                ImageBuilder image = Images.module("m");
                image.section(
                        Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 1, size));
                image.section(
                        Section.nobits(".bss2", SectionFlags.ALLOC | SectionFlags.WRITE, 1, size));
                Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).build();
                assertThat(refusal(kernel, image.build()).errno()).isEqualTo(Errno.ENOMEM);
                assertThat(kernel.memory().regions()).isEmpty();
            }
        }
    }

    @Test
    void anAlignmentSoLargeThatItOverflowsIsRefused() {
        for (long alignment : new long[] {1L << 62, 1L << 40, Long.MAX_VALUE}) {
            ImageBuilder image = Images.module("m");
            image.section(Images.data(".data", 8));
            image.section(
                    Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, alignment, 8));
            Kernel kernel = builder().build();
            LoadException refusal =
                    catchThrowableOfType(LoadException.class, () -> kernel.load(image.build(), ""));
            if (Long.bitCount(alignment) == 1) {
                assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM);
            }
        }
    }

    @Test
    void aFileSizeThatOverflowsIsRefused() {
        ModuleImage image = Images.empty("m");
        ModuleImage.Builder copy = ModuleImage.builder(image.machine(), image.encoding());
        image.sections().stream().skip(1).forEach(copy::section);
        Kernel kernel = builder().build();
        assertThat(refusal(kernel, copy.fileSize(Long.MAX_VALUE).build()).errno())
                .isEqualTo(Errno.ENOMEM);
    }

    // ---- allocator ----

    /** Answers as the default one, but for the request of that number, counted from 0. */
    static final class FailingAllocator implements ModuleAllocator {
        private final ModuleAllocator real;
        private final List<Request> outstanding = new ArrayList<>();
        private int left;

        FailingAllocator(int failing) {
            Architecture architecture = Architectures.X86_64;
            this.real =
                    new FirstFitAllocator(
                            architecture.moduleAreas(KernelConfig.linux6_1()),
                            architecture.imageArea(),
                            architecture.perCpuArea(),
                            4096);
            this.left = failing;
        }

        @Override
        public Optional<Address> allocate(Request request) {
            if (left-- == 0) {
                return Optional.empty();
            }
            outstanding.add(request);
            return real.allocate(request);
        }

        @Override
        public void free(Address address, Request request) {
            assertThat(outstanding.remove(request)).as("was given out").isTrue();
            real.free(address, request);
        }
    }

    @Test
    void withoutRoomForAnyOfItsPiecesALoadFailsWithEnomemAndGivesTheOthersBack() {
        for (KernelConfig config : configs()) {
            int failing = 0;
            for (; failing < 20; failing++) {
                FailingAllocator allocator = new FailingAllocator(failing);
                Kernel kernel =
                        Kernel.builder(Architectures.X86_64)
                                .config(config)
                                .allocator(allocator)
                                .build();
                LoadException refusal =
                        catchThrowableOfType(
                                LoadException.class, () -> kernel.load(perCpu(24, 8), ""));
                if (refusal == null) {
                    break;
                }
                assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM);
                assertThat(allocator.outstanding).isEmpty();
                assertThat(kernel.memory().regions()).isEmpty();
                assertThat(kernel.modules()).isEmpty();
            }
            assertThat(failing).isGreaterThan(3).isLessThan(20);
        }
    }

    @Test
    void everyPieceIsGivenBackAfterUnload() {
        FailingAllocator allocator = new FailingAllocator(-1);
        Kernel kernel = builder().allocator(allocator).build();
        kernel.load(perCpu(24, 8), "");
        assertThat(allocator.outstanding)
                .extracting(ModuleAllocator.Request::purpose)
                .containsExactly(ModuleAllocator.Purpose.MODULE, ModuleAllocator.Purpose.PER_CPU);
        kernel.unload("m");
        assertThat(allocator.outstanding).isEmpty();
    }

    @Test
    void theAllocatorIsAskedForWholePagesOfTheModule() {
        ModuleAllocator allocator = mock(ModuleAllocator.class);
        when(allocator.allocate(any())).thenReturn(Optional.empty());
        refusal(builder().allocator(allocator).build(), Images.empty("m"));
        verify(allocator)
                .allocate(
                        argThat(
                                request ->
                                        request.purpose() == ModuleAllocator.Purpose.IMAGE
                                                && request.module().equals("m")));
        verifyNoMoreInteractions(allocator);
    }

    // ---- per-CPU data ----

    private static ModuleImage perCpu(long size, long alignment) {
        ImageBuilder image = Images.module("m");
        byte[] bytes = new byte[(int) size];
        Arrays.fill(bytes, (byte) 7);
        int section =
                image.section(
                        Section.progbits(
                                ".data..percpu",
                                SectionFlags.ALLOC | SectionFlags.WRITE,
                                alignment,
                                Bytes.copyOf(bytes)));
        image.symbol(Symbol.object("counter", section, 8, 8));
        image.section(Images.text(16));
        return image.build();
    }

    @Test
    void perCpuDataIsCopiedToEveryProcessor() {
        SymbolWatcher watcher = new SymbolWatcher("counter");
        Kernel kernel =
                builder()
                        .config(Images.quiet6_1().toBuilder().cpus(3).build())
                        .observer(watcher)
                        .build();
        Module module = kernel.load(perCpu(24, 8), "");
        assertThat(module.perCpuRegions()).hasSize(3);
        for (int cpu = 0; cpu < 3; cpu++) {
            Address counter =
                    new Address(
                            Architectures.X86_64.perCpuOffset(cpu)
                                    + watcher.of("m", "counter").value());
            assertThat(kernel.memory().readByte(counter)).isEqualTo(7);
            kernel.memory().writeByte(counter, cpu);
            assertThat(kernel.memory().readByte(counter)).isEqualTo(cpu);
        }
        assertThat(module.section(".data..percpu")).isEmpty();
    }

    @Test
    void aPerCpuSymbolIsAnOffset() {
        Module module = builder().build().load(perCpu(24, 8), "");
        assertThat(module.addressOf("counter")).contains(module.perCpuBase().orElseThrow().plus(8));
    }

    @Test
    void perCpuMemoryIsGoneAfterUnload() {
        Kernel kernel = builder().config(Images.quiet6_1().toBuilder().cpus(3).build()).build();
        kernel.load(perCpu(24, 8), "");
        kernel.unload("m");
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void withoutSmpPerCpuDataIsOrdinaryData() {
        Kernel kernel = builder().config(Images.quiet6_1().toBuilder().smp(false).build()).build();
        Module module = kernel.load(perCpu(24, 8), "");
        assertThat(module.perCpuBase()).isEmpty();
        assertThat(module.addressOf("counter"))
                .contains(module.section(".data..percpu").orElseThrow().address().plus(8));
    }

    @Test
    void aPerCpuAlignmentBeyondAPageIsCutWithAWarning() {
        Kernel kernel = builder().build();
        kernel.load(perCpu(24, 8192), "");
        assertThat(kernel.log().lines()).containsExactly("m: per-cpu alignment 8192 > 4096");
    }

    @Test
    void perCpuDataThatIsNotInTheFileIsZero() {
        ImageBuilder image = Images.module("m");
        image.section(
                Section.nobits(".data..percpu", SectionFlags.ALLOC | SectionFlags.WRITE, 8, 16));
        Kernel kernel = builder().build();
        Module module = kernel.load(image.build(), "");
        assertThat(module.perCpuRegions().get(0).contents()).isEqualTo(Bytes.copyOf(new byte[16]));
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 40, 0x2001})
    void perCpuDataOfAnAbsurdSizeIsRefused(long size) {
        ImageBuilder image = Images.module("m");
        image.section(
                Section.nobits(".data..percpu", SectionFlags.ALLOC | SectionFlags.WRITE, 8, size));
        Kernel kernel = builder().build();
        LoadException refusal = refusal(kernel, image.build());
        assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: Could not allocate "
                                + Long.toUnsignedString(size)
                                + " bytes percpu data");
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void relocationsOfPerCpuDataAreNotApplied() {
        ImageBuilder image = Images.module("m");
        int section = image.section(Images.data(".data..percpu", 16));
        image.relocate(
                section, new Relocation(0, Images.ABS64, image.symbol(Symbol.undefined("f")), 0));
        Module module = builder().build().load(image.build(), "");
        assertThat(module.perCpuRegions().get(0).contents()).isEqualTo(Bytes.copyOf(new byte[16]));
        assertThat(module.relocationCount()).isZero();
    }

    // ---- relocation ----

    @Test
    void relocationsForSectionsWithoutMemoryAreSkipped() {
        ImageBuilder image = Images.module("m");
        int debug = image.section(Section.progbits(".debug_info", 0, 1, Bytes.copyOf(new byte[8])));
        image.relocate(debug, new Relocation(99, 77, image.symbol(Symbol.undefined("f")), 0));
        assertThat(builder().build().load(image.build(), "").relocationCount()).isZero();
    }

    @Test
    void relocationsThatLivepatchAppliesAreLeftToIt() {
        ImageBuilder builder = Images.module("m");
        int data = builder.section(Images.data(".data", 8));
        builder.relocate(data, new Relocation(0, 77, builder.symbol(Symbol.undefined("f")), 0));
        ModuleImage image = builder.build();
        int table = image.relocationsFor(data).get(0).section();
        ModuleImage edited =
                Images.withSection(
                        image,
                        table,
                        image.section(table)
                                .withFlags(
                                        SectionFlags.of(
                                                SectionFlags.ALLOC | SectionFlags.RELA_LIVEPATCH)));
        assertThat(builder().build().load(edited, "").relocationCount()).isZero();
    }

    @Test
    void theExceptionTableIsSortedByInstruction() {
        ImageBuilder image = Images.module("m");
        int text = image.section(Images.text(64));
        int table = image.section(Images.rodata("__ex_table", new byte[24]));
        int symbol = image.symbol(Symbol.section(text));
        image.relocate(
                table,
                new Relocation(0, Images.PC32, symbol, 32),
                new Relocation(4, Images.PC32, symbol, 33),
                new Relocation(12, Images.PC32, symbol, 16),
                new Relocation(16, Images.PC32, symbol, 17));
        Kernel kernel = builder().build();
        Module module = kernel.load(image.build(), "");
        Address at = module.section("__ex_table").orElseThrow().address();
        Address code = module.section(".text").orElseThrow().address();
        long[] targets = new long[4];
        for (int i = 0; i < 4; i++) {
            Address field = at.plus(i / 2 * 12 + i % 2 * 4);
            targets[i] = field.value() + kernel.memory().readInt(field) - code.value();
        }
        assertThat(targets).containsExactly(16, 17, 32, 33);
    }

    @Test
    void exceptionEntriesOfInitCodeAreSortedBehindThoseOfCode() {
        ImageBuilder image = Images.module("m");
        int text = image.section(Images.text(64));
        int init =
                image.section(
                        Section.progbits(
                                ".init.text",
                                SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                                16,
                                Bytes.copyOf(new byte[64])));
        int table = image.section(Images.rodata("__ex_table", new byte[24]));
        int inText = image.symbol(Symbol.section(text));
        int inInit = image.symbol(Symbol.section(init));
        image.relocate(
                table,
                new Relocation(0, Images.PC32, inInit, 8),
                new Relocation(4, Images.PC32, inText, 33),
                new Relocation(12, Images.PC32, inText, 16),
                new Relocation(16, Images.PC32, inText, 17));
        List<Address> instructions = new ArrayList<>();
        Kernel kernel =
                builder()
                        .observer(
                                (point, module) -> {
                                    Address at =
                                            module.section("__ex_table").orElseThrow().address();
                                    Bytes bytes =
                                            module.contents(
                                                    module.section("__ex_table").orElseThrow());
                                    if (point == LoadObserver.Point.RELOCATED) {
                                        instructions.add(
                                                at.plus(bytes.readInt(0, Encoding.ELF64_LSB)));
                                        instructions.add(
                                                at.plus(12)
                                                        .plus(
                                                                bytes.readInt(
                                                                        12, Encoding.ELF64_LSB)));
                                    }
                                })
                        .build();
        Module module = kernel.load(image.build(), "");
        assertThat(instructions)
                .containsExactly(
                        module.section(".text").orElseThrow().address().plus(16),
                        module.section(".init.text").orElseThrow().address().plus(8));
    }

    @Test
    void anExportTableWithoutBytesIsRefused() {
        ImageBuilder image = Images.module("m");
        image.section(Section.nobits("__ksymtab", SectionFlags.ALLOC, 8, 20 << 20));
        image.section(Section.nobits("__kcrctab", SectionFlags.ALLOC, 8, 16));
        Kernel kernel = builder().build();
        assertThat(refusal(kernel, image.build()).errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void aFailedLoadGivesItsStubsBack() {
        Kernel kernel = Kernel.builder(Architectures.X86_64).build();
        kernel.load(Images.importing("first", "a"), "");
        ImageBuilder image = Images.module("m");
        image.symbol(Symbol.undefined("b"));
        image.symbol(new Symbol("bad", Binding.GLOBAL, 0, 0, new Symbol.InSection(0x7000), 0, 0));
        assertThat(refusal(kernel, image.build()).errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(kernel.stubs()).containsOnlyKeys("a");
    }

    @Test
    void memoryThatSomebodyElseHasMappedIsNoMemory() {
        Kernel kernel = builder().build();
        Region there =
                Region.zeroed(
                        new Address(0xffffffff_c0000000L), 0x1000, Rights.READ_WRITE, "there");
        kernel.memory().map(there);
        assertThat(refusal(kernel, Images.empty("m")).errno()).isEqualTo(Errno.ENOMEM);
        assertThat(kernel.memory().regions()).containsExactly(there);
    }

    @Test
    void anEntryFieldOutsideTheStructureIsRefused() {
        // R_X86_64_NONE is not checked against the section's size, but its place is read as an
        // entry point.
        for (long offset : new long[] {1L << 30, 1L << 40, -8, 0x7fff_ffffL}) {
            ImageBuilder builder = Images.module("m");
            int text = builder.section(Images.text(16));
            int init = builder.symbol(Symbol.function("init_module", text, 0, 4));
            ModuleImage built = builder.relocate(text, new Relocation(offset, 0, init, 0)).build();
            int table = built.relocationsFor(text).get(0).section();
            Section old = built.section(table);
            ModuleImage image =
                    Images.withSection(
                            built,
                            table,
                            new Section(
                                    old.name(),
                                    SectionType.RELA,
                                    old.flags(),
                                    old.offset(),
                                    old.size(),
                                    old.alignment(),
                                    old.link(),
                                    built.sectionIndex(ModuleImage.THIS_MODULE),
                                    old.entrySize(),
                                    old.contents()));
            Kernel kernel = builder().build();
            assertThatThrownBy(() -> kernel.load(image, "")).isInstanceOf(LoadException.class);
            assertThat(kernel.memory().regions()).isEmpty();
        }
    }

    @Test
    void aSymbolTableWhoseStringsAreNoSectionIsRefused() {
        ModuleImage image = Images.empty("m");
        int symtab = image.symbolSection();
        Section old = image.section(symtab);
        ModuleImage edited =
                Images.withSection(
                        image,
                        symtab,
                        new Section(
                                old.name(),
                                old.type(),
                                old.flags(),
                                old.offset(),
                                old.size(),
                                old.alignment(),
                                99,
                                old.info(),
                                old.entrySize(),
                                old.contents()));
        Kernel kernel = builder().build();
        assertThatThrownBy(() -> kernel.load(edited, "")).isInstanceOf(LoadException.class);
        assertThat(kernel.memory().regions()).isEmpty();
    }

    // ---- modules that use each other ----

    @Test
    void anImporterResolvesIntoItsExporter() {
        SymbolWatcher watcher = new SymbolWatcher("f");
        Kernel kernel = builder().strict().observer(watcher).build();
        Module exporter = kernel.load(Images.exporting("a", "f"), "");
        Module importer = kernel.load(Images.importing("b", "f"), "");
        assertThat(exporter.addressOf("f"))
                .contains(watcher.of("b", "f"))
                .isEqualTo(kernel.exported("f"));
        assertThat(importer.uses()).containsExactly("a");
        assertThat(exporter.users()).containsExactly("b");
        assertThat(exporter.referenceCount()).isEqualTo(1);
    }

    @Test
    void anImporterBeforeItsExporterIsRefused() {
        Kernel kernel = builder().strict().build();
        LoadException refusal = refusal(kernel, Images.importing("b", "f"));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg()).isEqualTo("b: Unknown symbol f (err -2)");
    }

    @Test
    void severalSymbolsOfOneModuleTakeOneReference() {
        Kernel kernel = builder().strict().build();
        Module exporter = kernel.load(Images.exporting("a", "f", "g"), "");
        kernel.load(Images.importing("b", "f", "g"), "");
        assertThat(exporter.referenceCount()).isEqualTo(1);
        assertThat(exporter.users()).containsExactly("b");
    }

    @Test
    void anExporterInUseCannotBeUnloadedNotEvenByForce() {
        Kernel kernel = builder().strict().build();
        kernel.load(Images.exporting("a", "f"), "");
        kernel.load(Images.importing("b", "f"), "");
        assertThatThrownBy(() -> kernel.unload("a"))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EAGAIN));
        assertThatThrownBy(() -> kernel.forceUnload("a"))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EAGAIN));
        kernel.unload("b");
        kernel.unload("a");
        assertThat(kernel.modules()).isEmpty();
    }

    @Test
    void aFailedImporterGivesItsReferenceBack() {
        Kernel kernel = builder().strict().build();
        Module exporter = kernel.load(Images.exporting("a", "f"), "");
        refusal(kernel, Images.importing("b", "f", "unknown"));
        assertThat(exporter.referenceCount()).isZero();
        assertThat(exporter.users()).isEmpty();
        kernel.unload("a");
    }

    @Test
    void modulesAreListedNewestFirst() {
        Kernel kernel = builder().build();
        kernel.load(Images.empty("a"), "");
        kernel.load(Images.empty("b"), "");
        assertThat(kernel.modules()).extracting(Module::name).containsExactly("b", "a");
    }

    @Test
    void usersAreListedNewestFirst() {
        Kernel kernel = builder().strict().build();
        Module exporter = kernel.load(Images.exporting("a", "f"), "");
        kernel.load(Images.importing("b", "f"), "");
        kernel.load(Images.importing("c", "f"), "");
        assertThat(exporter.users()).containsExactly("c", "b");
    }

    // ---- loads inside loads ----

    @Test
    void anInitMayLoadAnotherModule() {
        Kernel kernel =
                kernel(
                        JavaExecutor.builder()
                                .bind(
                                        "outer",
                                        "init_module",
                                        call -> {
                                            call.kernel().load(Images.empty("inner"), "");
                                            return 0;
                                        })
                                .build());
        kernel.load(Images.withInit("outer"), "");
        assertThat(kernel.modules()).extracting(Module::name).containsExactly("inner", "outer");
        assertThat(kernel.modules()).extracting(Module::state).containsOnly(ModuleState.LIVE);
    }

    @Test
    void aModuleLoadedByAnInitThatFailsStays() {
        Kernel kernel =
                kernel(
                        JavaExecutor.builder()
                                .bind(
                                        "outer",
                                        "init_module",
                                        call -> {
                                            call.kernel().load(Images.empty("inner"), "");
                                            return -5;
                                        })
                                .build());
        refusal(kernel, Images.withInit("outer"));
        assertThat(kernel.modules()).extracting(Module::name).containsExactly("inner");
        kernel.unload("inner");
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void aNestedFailureThatEscapesInitIsLoggedOnce() {
        Kernel kernel =
                builder()
                        .strict()
                        .executor(
                                call -> {
                                    call.kernel().load(Images.importing("inner", "f"), "");
                                    return 0;
                                })
                        .build();
        refusal(kernel, Images.withInit("outer"));
        assertThat(kernel.log().lines()).containsExactly("inner: Unknown symbol f (err -2)");
    }

    // ---- unload ----

    @Test
    void exitFunctionRunsOnceOnUnload() {
        Executor executor = mock(Executor.class);
        Kernel kernel = kernel(executor);
        Module hello = kernel.load(Images.withInitAndExit("hello"), "");
        kernel.unload("hello");
        InOrder order = inOrder(executor);
        order.verify(executor).call(argThat(call -> call.phase() == INIT));
        order.verify(executor)
                .call(
                        argThat(
                                call ->
                                        call.phase() == EXIT
                                                && call.entry()
                                                        .equals(hello.exit().orElseThrow())));
        verifyNoMoreInteractions(executor);
        assertThat(hello.state()).isEqualTo(ModuleState.GOING);
    }

    @Test
    void whatExitAnswersIsIgnored() {
        Kernel kernel = kernel(call -> call.phase() == EXIT ? -5 : 0);
        kernel.load(Images.withInitAndExit("m"), "");
        kernel.unload("m");
        assertThat(kernel.modules()).isEmpty();
    }

    @Test
    void anExitThatThrowsStillUnloads() {
        Kernel kernel =
                kernel(
                        call -> {
                            if (call.phase() == EXIT) {
                                throw new UnsupportedOperationException("boom");
                            }
                            return 0;
                        });
        kernel.load(Images.withInitAndExit("m"), "");
        assertThatThrownBy(() -> kernel.unload("m"))
                .isInstanceOf(UnsupportedOperationException.class);
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void aModuleWithNeitherInitNorExitCanBeUnloaded() {
        Kernel kernel = builder().build();
        kernel.load(Images.empty("m"), "");
        kernel.unload("m");
        assertThat(kernel.modules()).isEmpty();
    }

    @Test
    void aModuleWithInitButWithoutExitIsPermanent() {
        Kernel kernel = builder().build();
        kernel.load(Images.withInit("m"), "");
        assertThatThrownBy(() -> kernel.unload("m"))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));
        assertThat(kernel.module("m")).isPresent();
    }

    @Test
    void forceUnloadsAPermanentModuleAndTaints() {
        Kernel kernel = builder().build();
        kernel.load(Images.withInit("m"), "");
        kernel.forceUnload("m");
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.taints()).containsExactly(Taint.FORCED_RMMOD);
        assertThat(kernel.log().lines()).containsExactly(Images.LOCK_DEBUGGING);
    }

    @Test
    void forceDoesNothingWhereItIsNotConfigured() {
        Kernel kernel =
                builder().config(Images.quiet6_1().toBuilder().forceUnload(false).build()).build();
        kernel.load(Images.withInit("m"), "");
        assertThatThrownBy(() -> kernel.forceUnload("m")).isInstanceOf(LoadException.class);
        assertThat(kernel.taints()).isEmpty();
    }

    @Test
    void forceUnloadsAModuleWithReferences() {
        Kernel kernel = builder().build();
        kernel.load(Images.withInitAndExit("m"), "");
        kernel.get("m");
        kernel.forceUnload("m");
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.taints()).containsExactly(Taint.FORCED_RMMOD);
    }

    @Test
    void forceThatIsNotNeededDoesNotTaint() {
        Kernel kernel = builder().build();
        kernel.load(Images.withInitAndExit("m"), "");
        kernel.forceUnload("m");
        assertThat(kernel.taints()).isEmpty();
    }

    @Test
    void aReferenceKeepsAModule() {
        Kernel kernel = builder().build();
        Module module = kernel.load(Images.withInitAndExit("m"), "");
        assertThat(kernel.get("m")).isTrue();
        assertThat(module.referenceCount()).isEqualTo(1);
        assertThatThrownBy(() -> kernel.unload("m"))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EAGAIN));
        kernel.put("m");
        kernel.unload("m");
        assertThat(kernel.modules()).isEmpty();
    }

    @Test
    void aReferenceThatWasNotTakenCannotBeGivenBack() {
        Kernel kernel = builder().strict().build();
        kernel.load(Images.exporting("a", "f"), "");
        kernel.load(Images.importing("b", "f"), "");
        assertThatThrownBy(() -> kernel.put("a")).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> kernel.put("b")).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> kernel.put("c")).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theReferenceThatALoadHoldsCannotBeGivenBackByInit() {
        Kernel kernel =
                kernel(
                        call -> {
                            assertThatThrownBy(() -> call.kernel().put("m"))
                                    .isInstanceOf(IllegalStateException.class);
                            return 0;
                        });
        assertThat(kernel.load(Images.withInit("m"), "").referenceCount()).isZero();
    }

    @Test
    void thereIsNoReferenceOnAModuleThatIsNotThereOrGoing() {
        boolean[] given = {true};
        Kernel kernel =
                kernel(
                        call -> {
                            if (call.phase() == EXIT) {
                                given[0] = call.kernel().get("m");
                            }
                            return 0;
                        });
        assertThat(kernel.get("m")).isFalse();
        kernel.load(Images.withInitAndExit("m"), "");
        kernel.unload("m");
        assertThat(given[0]).isFalse();
    }

    @Test
    void withoutUnloadSupportExitIsNotKnown() {
        Kernel kernel =
                builder().config(Images.quiet6_1().toBuilder().modUnload(false).build()).build();
        Module module = kernel.load(Images.withInitAndExit("m"), "");
        assertThat(module.exit()).isEmpty();
        assertThat(module.section(".exit.text").orElseThrow().present()).isFalse();
    }

    // ---- what a load says ----

    @Test
    void anOutOfTreeModuleTaintsAndIsWarnedAboutOnce() {
        Kernel kernel = builder().build();
        for (String name : new String[] {"a", "b"}) {
            ModuleImage image =
                    new ImageBuilder(62, Encoding.ELF64_LSB, true)
                            .name(name)
                            .modinfo("license", "GPL")
                            .modinfo("retpoline", "Y")
                            .build();
            assertThat(kernel.load(image, "").taints()).containsExactly(Taint.OOT_MODULE);
        }
        assertThat(kernel.log().lines())
                .containsExactly("a: loading out-of-tree module taints kernel.");
    }

    @Test
    void aProprietaryModuleTaintsAndIsWarnedAboutOnce() {
        Kernel kernel = builder().build();
        assertThat(
                        kernel.load(Images.bare("a").modinfo("license", "Proprietary").build(), "")
                                .taints())
                .containsExactly(Taint.PROPRIETARY_MODULE);
        assertThat(kernel.load(Images.bare("b").build(), "").taints())
                .containsExactly(Taint.PROPRIETARY_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "a: module license 'Proprietary' taints kernel.", Images.LOCK_DEBUGGING);
    }

    @Test
    void aModuleWithoutLicenceIsUnspecified() {
        Kernel kernel = builder().build();
        kernel.load(Images.bare("a").build(), "");
        assertThat(kernel.log().lines())
                .containsExactly(
                        "a: module license 'unspecified' taints kernel.", Images.LOCK_DEBUGGING);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "GPL",
                "GPL v2",
                "GPL and additional rights",
                "Dual BSD/GPL",
                "Dual MIT/GPL",
                "Dual MPL/GPL"
            })
    void gplCompatibleLicencesDoNotTaint(String license) {
        Kernel kernel = builder().build();
        kernel.load(Images.bare("a").modinfo("license", license).build(), "");
        assertThat(kernel.taints()).isEmpty();
    }

    @Test
    void theFirstLicenceCounts() {
        Kernel kernel = builder().build();
        kernel.load(
                Images.bare("a").modinfo("license", "MIT").modinfo("license", "GPL").build(), "");
        assertThat(kernel.taints()).containsExactly(Taint.PROPRIETARY_MODULE);
    }

    @Test
    void aStagingModuleIsWarnedAboutEveryTime() {
        Kernel kernel = builder().build();
        kernel.load(Images.module("a").modinfo("staging", "Y").build(), "");
        kernel.load(Images.module("b").modinfo("staging", "Y").build(), "");
        assertThat(kernel.log().lines())
                .containsExactly(
                        "a: module is from the staging directory, the quality is unknown, you have been warned.",
                        "b: module is from the staging directory, the quality is unknown, you have been warned.");
        assertThat(kernel.taints()).containsExactly(Taint.CRAP);
    }

    @Test
    void aTestModuleIsWarnedAboutOnce() {
        Kernel kernel = builder().build();
        kernel.load(Images.module("a").modinfo("test", "Y").build(), "");
        kernel.load(Images.module("b").modinfo("test", "Y").build(), "");
        assertThat(kernel.log().lines()).containsExactly("a: loading test module taints kernel.");
        assertThat(kernel.taints()).containsExactly(Taint.TEST);
    }

    @Test
    void aModuleWithoutRetpolinesIsWarnedAboutWhereTheyAreNeeded() {
        ModuleImage image =
                new ImageBuilder(62, Encoding.ELF64_LSB, true)
                        .name("a")
                        .modinfo("license", "GPL")
                        .modinfo("intree", "Y")
                        .build();
        Kernel kernel = builder().build();
        kernel.load(image, "");
        assertThat(kernel.log().lines())
                .containsExactly(
                        "Spectre V2 : System may be vulnerable to spectre v2",
                        "a: loading module not compiled with retpoline compiler.");
        Kernel old = builder().config(Images.quiet(KernelConfig.linux3_10())).build();
        old.load(image, "");
        assertThat(old.log().lines()).isEmpty();
    }

    @Test
    void anUnsignedModuleIsNotedOnceABoot() {
        Kernel kernel =
                builder().config(Images.quiet6_1().toBuilder().moduleSig(true).build()).build();
        assertThat(kernel.load(Images.empty("a"), "").taints())
                .containsExactly(Taint.UNSIGNED_MODULE);
        assertThat(kernel.load(Images.empty("b"), "").taints())
                .containsExactly(Taint.UNSIGNED_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "a: module verification failed: signature and/or required key missing - tainting kernel");
        assertThat(kernel.log().entries().get(0).line().level()).isEqualTo(LogLevel.NOTICE);
    }

    @Test
    void aLivepatchModuleTaintsAndIsNotedOnce() {
        Kernel kernel = builder().build();
        kernel.load(Images.module("a").modinfo("livepatch", "Y").build(), "");
        kernel.load(Images.module("b").modinfo("livepatch", "Y").build(), "");
        assertThat(kernel.log().lines()).containsExactly("a: tainting kernel with TAINT_LIVEPATCH");
        assertThat(kernel.taints()).containsExactly(Taint.LIVEPATCH);
    }

    @Test
    void namesOfWrappersTaint() {
        Kernel kernel = builder().build();
        assertThat(kernel.load(Images.empty("ndiswrapper"), "").taints()).isEmpty();
        assertThat(kernel.load(Images.empty("lve"), "").taints())
                .containsExactly(Taint.PROPRIETARY_MODULE);
        assertThat(kernel.log().lines())
                .containsExactly(
                        Images.LOCK_DEBUGGING, "ndiswrapper: module license taints kernel.");
    }

    @Test
    void obsoleteParametersAreWarnedAbout() {
        ImageBuilder image = Images.module("a");
        image.section(Images.rodata("__obsparm", (byte) 0));
        Kernel kernel = builder().build();
        kernel.load(image.build(), "");
        assertThat(kernel.log().lines()).containsExactly("a: Ignoring obsolete parameters");
    }

    @Test
    void aMissingVermagicForcesTheLoad() {
        Kernel kernel =
                builder().config(Images.quiet6_1().toBuilder().checkVermagic(true).build()).build();
        assertThat(kernel.load(Images.empty("a"), "").taints())
                .containsExactly(Taint.FORCED_MODULE);
        kernel.load(Images.empty("b"), "");
        assertThat(kernel.log().lines())
                .containsExactly("a: bad vermagic: kernel tainted.", Images.LOCK_DEBUGGING);
    }

    @Test
    void withVersionsVermagicIsComparedFromItsFirstSpace() {
        KernelConfig config =
                Images.quiet6_1().toBuilder().checkVermagic(true).modversions(true).build();
        String magic = "6.1.0-other SMP preempt mod_unload modversions ";
        Kernel kernel = builder().config(config).build();
        kernel.load(Images.module("a").modinfo("vermagic", magic).version("x", 1).build(), "");
        assertThat(refusal(kernel, Images.module("b").modinfo("vermagic", magic).build()).errno())
                .isEqualTo(Errno.ENOEXEC);
    }

    @Test
    void aRejectedDuplicateTaintsUpTo63AndNoLongerSince64() {
        for (KernelConfig config : List.of(Images.quiet6_1(), Images.quiet6_12())) {
            Kernel kernel = builder().config(config).build();
            kernel.load(Images.empty("a"), "");
            assertThat(refusal(kernel, Images.bare("a").build()).errno()).isEqualTo(Errno.EEXIST);
            assertThat(kernel.taints().contains(Taint.PROPRIETARY_MODULE))
                    .isEqualTo(!config.atLeast(6, 4));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.4.0", "6.5.0", "6.12.0"})
    void since64ADuplicateIsRefusedBeforeItsSectionsAreLookedAt(String release) {
        ImageBuilder duplicate = Images.module("a");
        duplicate.section(
                Section.progbits(
                        "wx",
                        SectionFlags.ALLOC | SectionFlags.WRITE | SectionFlags.EXECINSTR,
                        1,
                        Bytes.copyOf((byte) 0)));
        Kernel kernel = builder().config(Images.quiet(KernelConfig.forRelease(release))).build();
        kernel.load(Images.empty("a"), "");
        assertThat(refusal(kernel, duplicate.build()).errno()).isEqualTo(Errno.EEXIST);
    }

    @Test
    void textOfFailuresDoesNotDependOnTheDefaultLocale() {
        java.util.Locale before = java.util.Locale.getDefault();
        try {
            java.util.Locale.setDefault(java.util.Locale.forLanguageTag("ar-EG-u-nu-arab"));
            assertThat(refusal(builder().strict().build(), Images.importing("b", "f")).dmesg())
                    .isEqualTo("b: Unknown symbol f (err -2)");
        } finally {
            java.util.Locale.setDefault(before);
        }
    }
}

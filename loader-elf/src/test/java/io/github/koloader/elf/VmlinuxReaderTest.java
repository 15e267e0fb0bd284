package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.Initcall;
import io.github.koloader.Kernel;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LinkedKernel.Block;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.Module;
import io.github.koloader.image.Bytes;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

final class VmlinuxReaderTest {
    static List<String> kernels() {
        return MiniKernels.NAMES;
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void initcallsAreInTheOrderInWhichTheKernelRunsThem(String name) {
        LinkedKernel kernel = MiniKernels.read(name);

        List<String> expected = MiniKernels.INITCALLS;
        if (name.endsWith("-abs")) { // entries of that style do not name their module
            expected = expected.stream().map(MiniKernels::withoutModule).toList();
            assertThat(kernel.unknown())
                    .anyMatch(text -> text.startsWith("Initcalls: modules of 24 calls: "));
        }
        assertThat(kernel.initcalls().stream().map(MiniKernels::line)).isEqualTo(expected);
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void withoutSymbolsTheInitcallsAreTheSameByPass(String name) {
        LinkedKernel kernel = MiniKernels.read(name + "-stripped");
        LinkedKernel full = MiniKernels.read(name);

        assertThat(kernel.symbols().count()).isZero();
        assertThat(kernel.initcalls())
                .extracting(Initcall::function)
                .isEqualTo(full.initcalls().stream().map(Initcall::function).toList());
        assertThat(kernel.initcalls())
                .extracting(Initcall::level)
                .isEqualTo(
                        full.initcalls().stream()
                                .map(call -> MiniKernels.plain(call.level()))
                                .toList());
        assertThat(kernel.initcalls()).allMatch(call -> call.name().isEmpty());
        assertThat(kernel.unknown())
                .anyMatch(text -> text.startsWith("Symbols: "))
                .anyMatch(text -> text.startsWith("Initcalls: names of 24 functions: "))
                .anyMatch(text -> text.startsWith("Initcalls: modules of 24 calls: "))
                .anyMatch(text -> text.startsWith("Initcalls: whether 21 calls are of the sync"));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void exportsAreAtTheAddressesOfTheirSymbols(String name) {
        LinkedKernel kernel = MiniKernels.read(name);

        assertThat(kernel.exports())
                .extracting(ExportedSymbol::name)
                .contains("_printk", "memcpy", "module_layout", "mini_gpl_only", "mini_namespaced");
        for (ExportedSymbol export : kernel.exports()) {
            assertThat(kernel.symbols().address(export.name())).contains(export.address());
            assertThat(export.gplOnly())
                    .isEqualTo(
                            List.of("mini_gpl_only", "note_call", "system_state")
                                    .contains(export.name()));
            assertThat(export.namespace()) // two fields have no room for it
                    .isEqualTo(
                            export.name().equals("mini_namespaced") && name.endsWith("-prel32")
                                    ? "MINI"
                                    : "");
            assertThat(export.crc()).isEmpty();
        }
        assertThat(MiniKernels.read(name + "-stripped").exports()).isEqualTo(kernel.exports());
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void tablesOfParametersAndOptionsAreBetweenTheirSymbols(String name) {
        LinkedKernel kernel = MiniKernels.read(name);

        int word = kernel.architecture().encoding().wordSize();
        assertThat(kernel.parameterTable()).contains(between(kernel, "__start___param", 5 * word));
        assertThat(kernel.setupTable()).contains(between(kernel, "__setup_start", 6 * word));
        LinkedKernel stripped = MiniKernels.read(name + "-stripped");
        assertThat(stripped.parameterTable()).isEqualTo(kernel.parameterTable());
        assertThat(stripped.setupTable()).isEqualTo(kernel.setupTable());
    }

    private static AddressRange between(LinkedKernel kernel, String start, int size) {
        return new AddressRange(kernel.symbols().address(start).orElseThrow(), size);
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void initAreaIsBetweenItsSymbolsElseThePagesOfInitSections(String name) {
        LinkedKernel kernel = MiniKernels.read(name);
        LinkedKernel stripped = MiniKernels.read(name + "-stripped");

        AddressRange area = kernel.initArea().orElseThrow();
        assertThat(kernel.symbols().address("__init_begin")).contains(area.start());
        assertThat(kernel.symbols().address("__init_end")).contains(area.end());
        assertThat(kernel.unknown()).noneMatch(text -> text.startsWith("Init area"));
        assertThat(stripped.initArea()).contains(new AddressRange(area.start(), 4096));
        assertThat(stripped.unknown()).anyMatch(text -> text.startsWith("Init area: "));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void memoryIsDisjointAndHasTheRightsOfItsSections(String name) {
        LinkedKernel kernel = MiniKernels.read(name);

        List<Block> blocks = kernel.memory();
        assertThat(blocks).isSortedAccordingTo(Comparator.comparing(Block::start));
        for (int i = 1; i < blocks.size(); i++) {
            assertThat(blocks.get(i - 1).range().end()).isLessThanOrEqualTo(blocks.get(i).start());
        }
        assertThat(rights(kernel, "_printk")).isEqualTo(Rights.READ_EXECUTE);
        assertThat(rights(kernel, "param_ops_int")).isEqualTo(Rights.READ_ONLY);
        assertThat(rights(kernel, "__start___param")).isEqualTo(Rights.READ_ONLY);
        assertThat(rights(kernel, "speed")).isEqualTo(Rights.READ_WRITE);
        assertThat(rights(kernel, "log_buf")).isEqualTo(Rights.READ_WRITE);
        assertThat(rights(kernel, "start_kernel")).isEqualTo(Rights.READ_WRITE_EXECUTE);
        Block bss = blocks.get(blocks.size() - 1);
        assertThat(bss.contents()).isEqualTo(Bytes.EMPTY);
        assertThat(bss.range().end()).isEqualTo(kernel.symbols().address("_end").orElseThrow());
    }

    private static Rights rights(LinkedKernel kernel, String symbol) {
        Address address = kernel.symbols().address(symbol).orElseThrow();
        return kernel.memory().stream()
                .filter(block -> block.range().contains(address))
                .findFirst()
                .orElseThrow()
                .rights();
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86_64", "i386", "arm64", "arm"})
    void aModuleLoadsAgainstTheRealAddresses(String arch) {
        LinkedKernel linked = MiniKernels.read(arch + "-prel32");
        List<Address> resolved = new ArrayList<>();
        Kernel kernel =
                linked.kernel()
                        .strict()
                        .observer((point, module) -> resolvedPrintk(point, module, resolved))
                        .build();

        kernel.load(KoReader.read(Kos.real(arch + "/hello.ko")), "");

        Address printk = linked.symbols().address("_printk").orElseThrow();
        assertThat(resolved).containsExactly(printk);
        assertThat(kernel.addressOf("_printk")).contains(printk);
        assertThat(kernel.kallsyms()).contains("_printk\n");
    }

    private static void resolvedPrintk(Point point, Module module, List<Address> resolved) {
        if (point == Point.RESOLVED) {
            module.addressOf("_printk").ifPresent(resolved::add);
        }
    }

    @Test
    void whatTheKernelDoesNotExportIsAnUnknownSymbol() {
        Kernel kernel = MiniKernels.read("x86_64-abs").kernel().strict().build();

        assertThatThrownBy(() -> kernel.load(KoReader.read(Kos.real("x86_64/chardev.ko")), ""))
                .isInstanceOf(LoadException.class)
                .hasMessageContaining("Unknown symbol");
    }

    @Test
    void aFileIsNamedInWhatIsWrongWithIt(@TempDir Path directory) throws IOException {
        Path file = Files.write(directory.resolve("broken"), new byte[] {1, 2, 3});

        assertThatIOException()
                .isThrownBy(() -> VmlinuxReader.read(file))
                .withMessageContaining(file + ": offset 0: ");
        assertThatIOException().isThrownBy(() -> VmlinuxReader.read(directory.resolve("none")));
        assertThatIOException().isThrownBy(() -> VmlinuxReader.read(directory));
    }

    @Test
    void anArchitectureThatIsNotKnownIsRefused() {
        byte[] file = MiniKernels.bytes("x86_64-abs");
        Kos.edit(file).putShort(18, (short) Kos.NO_MACHINE);

        assertThatIOException()
                .isThrownBy(() -> VmlinuxReader.read(Bytes.wrap(file), "odd"))
                .withMessage("odd: a kernel for machine 32343, which is not known here");
    }
}

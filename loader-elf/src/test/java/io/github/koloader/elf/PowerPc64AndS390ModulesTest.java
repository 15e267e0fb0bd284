package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadObserver;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Modules that a compiler made for ppc64le and s390x, from the sources beside them. */
final class PowerPc64AndS390ModulesTest {
    /** Every fixture; those that import come behind those that export. */
    private static final List<String> NAMES =
            List.of(
                    "exporter",
                    "importer",
                    "importer2",
                    "chain",
                    "aliases",
                    "chardev",
                    "compute",
                    "ctors",
                    "extable",
                    "farcall",
                    "hello",
                    "initcalls",
                    "initfail",
                    "initpositive",
                    "kofix-combo",
                    "oldstyle",
                    "params",
                    "percpu",
                    "permanent",
                    "platdrv",
                    "proprietary",
                    "sections",
                    "statickey",
                    "weakref");

    private static Kernel kernel(String tree) {
        Architecture architecture = Architectures.named(tree).orElseThrow();
        return Kernel.builder(architecture)
                .config(KernelConfig.linux6_1().toBuilder().checkVermagic(false).build())
                .build();
    }

    private static Module load(Kernel kernel, String tree, String name) {
        return kernel.load(KoReader.read(Kos.real(tree + "/" + name + ".ko")), "");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ppc64le", "s390x"})
    void everyModuleLoadsAndLeavesNothingBehind(String tree) {
        Kernel kernel = kernel(tree);
        for (String name : NAMES) {
            assertThat(load(kernel, tree, name).relocationCount()).as(name).isPositive();
        }
        for (Module module : kernel.modules()) {
            kernel.forceUnload(module.name());
        }
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"ppc64le", "s390x"})
    void writtenModulesReadAsTheSame(String tree) {
        for (String name : NAMES) {
            byte[] file = Kos.real(tree + "/" + name + ".ko");
            assertThat(KoReader.read(KoWriter.write(KoReader.read(file))))
                    .as(name)
                    .isEqualTo(KoReader.read(file));
        }
    }

    /**
     * A function begins with r2 made from r12; before it lies the distance from itself to the TOC;
     * each call in it leaves the module, so it leads to a stub, and r2 is loaded behind it.
     */
    @Test
    void callsOnPowerPcGoThroughStubs() {
        Kernel kernel = kernel("ppc64le");
        Module hello = load(kernel, "ppc64le", "hello");
        long init = hello.init().orElseThrow().value();
        LoadedSection stubs = hello.section(".stubs").orElseThrow();
        LoadedSection code = hello.section(".init.text").orElseThrow();
        assertThat(hello.contents(code).size()).isEqualTo(72);
        assertThat(init).isEqualTo(code.address().value() + 8);
        long r2 = (hello.section(".toc").orElseThrow().address().value() & ~0xffL) + 0x8000;
        assertThat(hello.contents(code).readLong(0, Encoding.ELF64_LSB))
                .isEqualTo(r2 - 8 - (init - 8));
        int high = word(hello, code, 8);
        int low = word(hello, code, 12);
        assertThat(high >>> 16).as("addis r2, r12").isEqualTo(0x3c4c);
        assertThat(low >>> 16).as("addi r2, r2").isEqualTo(0x3842);
        assertThat(init + ((long) (short) high << 16) + (short) low).isEqualTo(r2);
        List<Integer> slots = new ArrayList<>();
        for (int offset : new int[] {0x14, 0x2c}) {
            int call = word(hello, code, offset);
            assertThat(call & 0xfc000003).as("bl").isEqualTo(0x48000001);
            long stub = code.address().value() + offset + ((call & 0x03fffffc) << 6 >> 6);
            slots.add((int) (stub - stubs.address().value()));
        }
        assertThat(slots).as("_mcount has the higher symbol index").containsExactly(0, 40);
        assertThat(word(hello, stubs, 0)).as("through the kernel's TOC").isEqualTo(0xe98d0010);
        assertThat(word(hello, stubs, 28)).isEqualTo(0x73747562);
        assertThat(word(hello, stubs, 40 + 8)).as("saves r2").isEqualTo(0xf8410018);
        assertThat(word(hello, code, 0x18)).as("not behind _mcount").isNotEqualTo(0xe8410018);
        assertThat(word(hello, code, 0x30)).as("behind _printk").isEqualTo(0xe8410018);
        assertThat(stubs.size()).as("1, 2 of init, 1 of exit, 2 of the tracer").isEqualTo(6 * 40);
    }

    @Test
    void theTocsSymbolHasItsValueInMemory() {
        List<Long> values = new ArrayList<>();
        Kernel kernel =
                Kernel.builder(Architectures.PPC64LE)
                        .config(KernelConfig.linux6_1().toBuilder().checkVermagic(false).build())
                        .observer(
                                (point, module) -> {
                                    if (point == LoadObserver.Point.RELOCATED) {
                                        values.add(tocSymbol(module));
                                    }
                                })
                        .build();
        Module hello = load(kernel, "ppc64le", "hello");
        long toc = hello.section(".toc").orElseThrow().address().value();
        assertThat(values).containsExactly((toc & ~0xffL) + 0x8000);
    }

    private static long tocSymbol(Module module) {
        int symbol = KoReader.read(Kos.real("ppc64le/hello.ko")).symbols().indexOf(".TOC.");
        LoadedSection table = module.section(".symtab").orElseThrow();
        return module.contents(table).readLong(24 * symbol + 8, Encoding.ELF64_LSB);
    }

    private static int word(Module module, LoadedSection section, int offset) {
        return module.contents(section).readInt(offset, Encoding.ELF64_LSB);
    }

    /** The kernel is too far away for a branch, so its functions are reached through the PLT. */
    @Test
    void callsOnS390GoThroughThePlt() {
        Kernel kernel = kernel("s390x");
        Module hello = load(kernel, "s390x", "hello");
        long base = hello.blockAddresses().get(0).value();
        LoadedSection code = hello.section(".exit.text").orElseThrow();
        Bytes core = hello.blockContents(0);
        assertThat(core.readInt(0, Encoding.ELF64_MSB)).isEqualTo(0x0d10e310);
        assertThat(core.readInt(4, Encoding.ELF64_MSB)).isEqualTo(0x100c0004);
        assertThat(core.readInt(8, Encoding.ELF64_MSB)).isEqualTo(0x07f10000);
        long printk = core.readLong(14, Encoding.ELF64_MSB);
        assertThat(Architectures.S390X.kernelText().contains(new Address(printk))).isTrue();
        int halfwords = hello.contents(code).readInt(8, Encoding.ELF64_MSB);
        assertThat(code.address().value() + 8 - 2 + 2L * halfwords).isEqualTo(base);
        assertThat(code.address().value()).as("behind the PLT").isEqualTo(base + 24);
    }
}

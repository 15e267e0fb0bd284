package io.github.koloader.benchmarks;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.Module;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.PlacedModule;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.KoWriter;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** The parts of a load, on a built module with as many relocations as asked for. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class LoadBenchmark {
    /** Number of relocations. */
    @Param({"100", "10000"})
    public int relocations;

    private Bytes file = Bytes.EMPTY;
    private ModuleImage image = ModuleImage.builder(62, Encoding.ELF64_LSB).build();
    private Kernel kernel = Kernel.builder(Architectures.X86_64).build();
    private byte[] text = new byte[0];
    private long[] values = new long[0];

    /** For JMH. */
    public LoadBenchmark() {}

    /** Builds the module. */
    @Setup
    public void build() {
        ImageBuilder builder =
                new ImageBuilder(62, Encoding.ELF64_LSB, true).modinfo("license", "GPL");
        int section =
                builder.section(
                        Section.progbits(
                                ".text",
                                SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                                16,
                                Bytes.wrap(new byte[8 * relocations])));
        for (int i = 0; i < relocations; i++) {
            int symbol =
                    i % 10 == 0
                            ? builder.symbol(Symbol.undefined("function_" + i))
                            : builder.symbol(Symbol.function("local_" + i, section, i, 1));
            builder.relocate(section, new Relocation(8L * i, i % 2 == 0 ? 4 : 1, symbol, -4));
        }
        image = builder.build();
        file = Bytes.wrap(KoWriter.write(image));
        kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(KernelConfig.linux6_1().toBuilder().checkVermagic(false).build())
                        .build();
        text = new byte[8 * relocations];
        values = new long[image.symbols().count()];
        Arrays.fill(values, 0xffffffff_81000000L);
    }

    /** Reading the file. */
    @Benchmark
    public ModuleImage read() {
        return KoReader.any().readImage(file);
    }

    /**
     * Applying the relocations alone; the section is cleared each time, as places have to be zero.
     */
    @Benchmark
    public byte[] relocate() {
        Arrays.fill(text, (byte) 0);
        RelocationTable table = image.relocations().get(0);
        PlacedModule module =
                PlacedModule.ofSection(
                        kernel.config(),
                        image,
                        values,
                        table.target(),
                        new PlacedSection(text, 0, text.length, 0xffffffff_c0000000L, false));
        Architectures.X86_64.relocator(module).apply(table);
        return text;
    }

    /** Loading and unloading. */
    @Benchmark
    public Module load() {
        Module module = kernel.load(image, "");
        kernel.unload(module.name());
        return module;
    }
}

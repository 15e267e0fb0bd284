package io.github.koloader.benchmarks;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.kernel.ModuleSymvers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Loads a list of modules into one kernel, again and again, and prints a line a pass. A pass is
 * everything from the names of the files on: Module.symvers is parsed, each file is read, checked,
 * laid out, resolved with CRCs, relocated, formed and initialised, and all modules are resident at
 * its end. One thread.
 */
public final class LoadPasses {
    private LoadPasses() {}

    /**
     * Arguments: LIST (a file with one module file a line, exporters first), Module.symvers,
     * release, number of passes, and how many modules of the list to load (0 for all).
     */
    public static void main(String[] arguments) throws IOException {
        List<Path> files = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            files.add(Path.of(line));
        }
        int limit = Integer.parseInt(arguments[4]);
        if (limit > 0 && limit < files.size()) {
            files = files.subList(0, limit);
        }
        int passes = Integer.parseInt(arguments[3]);
        for (int pass = 1; pass <= passes; pass++) {
            run(pass, files, Path.of(arguments[1]), arguments[2]);
            System.gc(); // outside of the time taken: a pass begins with what the one before has
            // left cleared away
        }
    }

    private static void run(int pass, List<Path> files, Path symvers, String release)
            throws IOException {
        double cpu = Cpu.seconds();
        long start = System.nanoTime();
        Architecture architecture =
                KoReader.architectureOf(KoReader.any().unpackedBytes(files.get(0))).orElseThrow();
        KernelConfig config =
                KoReader.read(files.get(0))
                        .modinfo()
                        .first("vermagic")
                        .map(KernelConfig::forVermagic)
                        .orElseGet(() -> KernelConfig.forRelease(release));
        Kernel kernel =
                Kernel.builder(architecture)
                        .config(config)
                        .symbols(ModuleSymvers.read(symvers).symbols(architecture, config))
                        .strict()
                        .build();
        KoReader reader = KoReader.of(architecture);
        KoReader.Buffer buffer = new KoReader.Buffer();
        long relocations = 0;
        long imports = 0;
        for (Path file : files) {
            Module module = kernel.load(reader.readImage(file, buffer), "");
            relocations += module.relocationCount();
            imports += module.importCount();
        }
        double cpuTaken = Cpu.seconds() - cpu;
        double wall = (System.nanoTime() - start) / 1e9;
        System.out.printf(
                Locale.ROOT,
                "pass=%d modules=%d relocations=%d symbols_resolved=%d wall_s=%.3f cpu_s=%.3f cpu_since_start_s=%.3f"
                        + " peak_heap_mib=%d%n",
                pass,
                kernel.modules().size(),
                relocations,
                imports,
                wall,
                cpuTaken,
                Cpu.seconds(),
                Cpu.peakHeapMebibytes());
    }
}

package io.github.koloader.examples;

import io.github.koloader.Errno;
import io.github.koloader.FaultInjection;
import io.github.koloader.FaultRecorder;
import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.file.Path;

/**
 * What becomes of a driver when the machine is short of memory: a load is made to fail at each
 * thing it does, and each time nothing of the module may be left, and the module it uses must be
 * free again. Needs the fixtures {@code exporter.ko} and {@code importer.ko}.
 */
public final class FailingLoads {
    private FailingLoads() {}

    /**
     * Runs the example.
     *
     * @param args the paths of {@code exporter.ko} and {@code importer.ko}
     * @throws IOException if they cannot be read
     */
    public static void main(String... args) throws IOException {
        ModuleImage library = KoReader.read(Path.of(args[0]));
        ModuleImage driver = KoReader.read(Path.of(args[1]));
        // README start
        FaultRecorder recorder = new FaultRecorder();
        kernel(recorder.onlyFor("importer"), library).load(driver, "");

        for (int n = 1; n <= recorder.passed().size(); n++) {
            FaultInjection nth = FaultInjection.failNth(n, Errno.ENOMEM).onlyFor("importer");
            Kernel kernel = kernel(nth, library);
            try {
                kernel.load(driver, "");
                throw new AssertionError("loaded in spite of " + recorder.passed().get(n - 1));
            } catch (LoadException e) {
                System.out.println(recorder.passed().get(n - 1).point() + ": " + e.errno());
            }
            kernel.unload("exporter"); // fails with EAGAIN if a reference was left
        }
        // README end
    }

    private static Kernel kernel(FaultInjection faults, ModuleImage library) {
        Kernel kernel = Kernel.builder(Architectures.X86_64).faults(faults).build();
        kernel.load(library, "");
        return kernel;
    }
}

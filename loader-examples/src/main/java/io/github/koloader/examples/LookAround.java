package io.github.koloader.examples;

import io.github.koloader.Kernel;
import io.github.koloader.Module;
import io.github.koloader.ModuleParameter;
import io.github.koloader.SysfsTree;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Loads a module with parameters, looks at it through the files of {@code /proc} and {@code /sys},
 * and changes a parameter. Needs the fixture {@code params.ko}.
 */
public final class LookAround {
    private LookAround() {}

    /**
     * Runs the example.
     *
     * @param args the path of {@code params.ko}
     * @throws IOException if it cannot be read
     */
    public static void main(String... args) throws IOException {
        Kernel kernel = Kernel.builder(Architectures.X86_64).build();
        // README start
        Module params = kernel.load(KoReader.read(Path.of(args[0])), "p_int=0x10 p_array=1,2,3");
        System.out.print(kernel.procModules());

        SysfsTree sysfs = kernel.sysModule();
        System.out.print(sysfs.text("params/parameters/p_int"));
        for (ModuleParameter parameter : params.parameters()) {
            if (parameter.name().equals("p_int")) {
                parameter.write("17"); // echo 17 > /sys/module/params/parameters/p_int
            }
        }
        System.out.print(sysfs.text("params/parameters/p_int"));
        // README end
    }
}

package io.github.koloader.examples;

import io.github.koloader.Kernel;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.file.Path;

/** Reads a {@code .ko}, loads it, and prints its log, its state and where its sections are. */
public final class FirstModule {
    private FirstModule() {}

    /**
     * Runs the example.
     *
     * @param args the path of a {@code .ko}
     * @throws IOException if it cannot be read
     */
    public static void main(String... args) throws IOException {
        // README start
        ModuleImage image = KoReader.read(Path.of(args[0]));
        Kernel kernel = Kernel.builder(Architectures.X86_64).build();
        Module module = kernel.load(image, "");

        System.out.print(kernel.log().dmesg());
        System.out.println(module.name() + " is " + module.state().text());
        for (LoadedSection section : module.sections()) {
            System.out.println(section.address() + " " + section.rights() + " " + section.name());
        }
        kernel.unload(module.name());
        // README end
    }
}

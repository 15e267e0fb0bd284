package io.github.koloader.examples;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.Kernel;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/** Loads two modules of which one needs the other, and shows what happens in the wrong order. */
public final class Dependencies {
    private Dependencies() {}

    /**
     * Runs the example.
     *
     * @param args the paths of {@code exporter.ko} and {@code importer.ko}
     * @throws IOException if they cannot be read
     */
    public static void main(String... args) throws IOException {
        ModuleImage exporter = KoReader.read(Path.of(args[0]));
        ModuleImage importer = KoReader.read(Path.of(args[1]));

        // A strict kernel that exports all but the symbols of the exporter.
        Address somewhere = Architectures.X86_64.kernelText().start();
        KernelSymbols symbols =
                name ->
                        name.startsWith("kofix_")
                                ? Optional.empty()
                                : Optional.of(ExportedSymbol.of(name, somewhere));
        Kernel kernel = Kernel.builder(Architectures.X86_64).symbols(symbols).strict().build();

        attempt("importer alone", () -> kernel.load(importer, ""));
        Module exporting = kernel.load(exporter, "");
        Module importing = kernel.load(importer, "");
        System.out.println(importing.name() + " uses " + importing.uses());
        System.out.println(exporting.name() + " is used by " + exporting.users());
        attempt("unloading the exporter first", () -> kernel.unload("exporter"));
        kernel.unload("importer");
        kernel.unload("exporter");
        System.out.println("modules left: " + kernel.modules());
    }

    private static void attempt(String what, Runnable action) {
        try {
            action.run();
        } catch (LoadException e) {
            System.out.println(what + ": " + e.getMessage());
        }
    }
}

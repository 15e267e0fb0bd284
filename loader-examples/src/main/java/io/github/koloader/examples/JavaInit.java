package io.github.koloader.examples;

import io.github.koloader.Errno;
import io.github.koloader.Executor.Call;
import io.github.koloader.JavaExecutor;
import io.github.koloader.Kernel;
import io.github.koloader.LogLevel;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Runs init and exit of a module as Java: they read and write the memory of modules, log, and
 * register things with the kernel. Needs the fixtures {@code exporter.ko}, which has a counter, and
 * {@code importer.ko}, which counts.
 */
public final class JavaInit {
    private JavaInit() {}

    /**
     * Runs the example.
     *
     * @param args the paths of {@code exporter.ko} and {@code importer.ko}
     * @throws IOException if they cannot be read
     */
    public static void main(String... args) throws IOException {
        JavaExecutor executor =
                JavaExecutor.builder()
                        .bind("importer", "importer_init", JavaInit::init)
                        .bind("importer", "importer_exit", JavaInit::exit)
                        .build();
        Kernel kernel = Kernel.builder(Architectures.X86_64).executor(executor).build();
        kernel.load(KoReader.read(Path.of(args[0])), "");
        kernel.load(KoReader.read(Path.of(args[1])), "");
        System.out.println("registered: " + kernel.registry().of("importer"));
        kernel.unload("importer");
        System.out.println("registered: " + kernel.registry().of("importer"));
        System.out.print(kernel.log().dmesg());
    }

    private static int init(Call call) {
        count(call, 1);
        return call.kernel()
                .registry()
                .register(call.module(), "chrdev", "counter", "counts its users");
    }

    private static int exit(Call call) {
        count(call, -1);
        return call.kernel().registry().unregister("chrdev", "counter")
                ? 0
                : -Errno.ENOENT.number();
    }

    private static void count(Call call, int change) {
        Address counter = call.kernel().exported("kofix_counter").orElseThrow();
        call.memory().writeInt(counter, call.memory().readInt(counter) + change);
        call.printk(LogLevel.INFO, "importer: counter=" + call.memory().readInt(counter) + "\n");
    }
}

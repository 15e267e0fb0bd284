package io.github.koloader.examples;

import io.github.koloader.BootReport;
import io.github.koloader.Executor;
import io.github.koloader.Executor.Call;
import io.github.koloader.Initcall;
import io.github.koloader.JavaExecutor;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.StaticLinker;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.ObjectReader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * One C source, two lives: {@code hello.c} built into a kernel, where {@code module_init} is an
 * entry in {@code .initcall6.init}, and as a module that is loaded. Its functions do the same; what
 * differs is when init runs, who cares what it answers, whether exit ever runs, and when init
 * memory goes.
 */
public final class SameSourceTwice {
    private SameSourceTwice() {}

    /**
     * Runs the example.
     *
     * @param args the paths of {@code hello.ko} and {@code hello.o}, made from one source
     * @throws IOException if they cannot be read
     */
    public static void main(String... args) throws IOException {
        ModuleImage module = KoReader.read(Path.of(args[0]));
        ModuleImage object = ObjectReader.read(Path.of(args[1])).get(0).image();
        LinkedKernel linked =
                StaticLinker.of(Architectures.X86_64, KernelConfig.forModule(module))
                        .object("hello.o", object)
                        .symbols(
                                KernelSymbols.of(
                                        Map.of("_printk", new Address(0xffffffff_81200000L))))
                        .link();
        System.out.println("---- init answers 0");
        run(linked, module, 0);
        System.out.println("---- init answers -ENODEV");
        run(linked, module, -19);
    }

    private static void run(LinkedKernel linked, ModuleImage module, int answer) {
        Executor hello =
                JavaExecutor.builder()
                        .bind("hello", "hello_init", call -> say(call, "Hello World\n", answer))
                        .bind("hello", "hello_exit", call -> say(call, "Bye Bye World\n", 0))
                        .build();
        Kernel kernel = linked.kernel().executor(hello).build();

        BootReport report = kernel.boot("");
        Initcall initcall = report.initcalls().get(0).initcall();
        System.out.println(
                "built in: %s of %s, %s, level %d"
                        .formatted(
                                initcall.name(),
                                initcall.module().orElseThrow(),
                                initcall.level().macroName(),
                                initcall.level().number().orElseThrow()));
        System.out.println("built in: answered " + report.initcalls().get(0).returned());
        try {
            kernel.call(initcall.function());
        } catch (AddressFaultException e) {
            System.out.println("built in: init is gone after boot");
        }

        try {
            kernel.load(module, "");
            System.out.println("loaded: " + kernel.modules());
            kernel.unload("hello");
        } catch (LoadException e) {
            System.out.println("loaded: " + e.errno());
        }
        kernel.log().lines().stream()
                .filter(line -> line.endsWith("World"))
                .forEach(System.out::println);
    }

    private static int say(Call call, String text, int answer) {
        call.printk(LogLevel.INFO, text);
        return answer;
    }
}

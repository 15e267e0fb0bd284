package io.github.koloader.examples;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.SystemCalls;
import java.nio.file.Path;

/**
 * What a kernel says about a module that was built for another one, and what that means. Needs the
 * fixture {@code hello.ko}.
 */
public final class WhyNot {
    private WhyNot() {}

    /**
     * Runs the example.
     *
     * @param args the path of {@code hello.ko}
     */
    public static void main(String... args) {
        // README start
        KernelConfig config =
                KernelConfig.forRelease("6.1.0-51-rt-amd64").toBuilder()
                        .preempt("preempt_rt")
                        .build();
        Kernel kernel = Kernel.builder(Architectures.X86_64).config(config).strict().build();

        SystemCalls.Result result = SystemCalls.of(kernel).finitModule(Path.of(args[0]), 0, "");
        System.out.println("errno " + result.errno());
        result.lines().forEach(line -> System.out.println(line.level() + " " + line.text()));
        System.out.println(result.failure().map(LoadException::diagnosis).orElseThrow());
        // README end
    }
}

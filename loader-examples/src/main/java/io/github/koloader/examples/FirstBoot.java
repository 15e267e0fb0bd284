package io.github.koloader.examples;

import io.github.koloader.BootReport;
import io.github.koloader.BuiltIn;
import io.github.koloader.Executor;
import io.github.koloader.InitcallLevel;
import io.github.koloader.Kernel;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LogLevel;
import io.github.koloader.ParameterType;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.VmlinuxReader;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;

/** Boots: two functions in Java, then a kernel from its file. */
public final class FirstBoot {
    private FirstBoot() {}

    /**
     * Runs the example.
     *
     * @param args the path of a {@code vmlinux} or {@code vmlinuz}
     * @throws IOException if it cannot be read
     */
    public static void main(String... args) throws IOException {
        // README start
        Clock clock = Clock.fixed(Instant.EPOCH, ZoneOffset.UTC);
        int[] disks = {8};
        Executor loop =
                call -> {
                    call.printk(LogLevel.INFO, disks[0] + " loop disks");
                    return 0;
                };
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .clock(clock)
                        .builtIn(new BuiltIn(InitcallLevel.DEVICE, "loop_init", loop))
                        .builtIn(new BuiltIn(InitcallLevel.SUBSYS, "bus_init", call -> -19))
                        .build();
        kernel.parameters()
                .add("loop.max_loop", -1, ParameterType.INT, value -> disks[0] = (int) value);
        BootReport report = kernel.boot("loop.max_loop=2 initcall_debug splash");
        System.out.print(kernel.log().dmesg());
        System.out.println(report.called() + ", for init: " + report.initArguments());

        LinkedKernel linked = VmlinuxReader.read(Path.of(args[0])); // vmlinuz, Image, zImage too
        System.out.println(
                linked.initcalls().size() + " calls, " + linked.exports().size() + " exports");
        Kernel real = linked.kernel().build(); // its memory, its symbols, its exports
        System.out.println(real.boot("").called().subList(0, 3));
        // README end
    }
}

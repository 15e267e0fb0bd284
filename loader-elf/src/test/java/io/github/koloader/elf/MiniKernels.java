package io.github.koloader.elf;

import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.LinkedKernel;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.stream.Stream;

/** The mini kernels of {@code vmlinux-mini}, and what their README says of them. */
public final class MiniKernels {
    /** Their names, without {@code -stripped} and {@code .elf}. */
    public static final List<String> NAMES =
            Stream.of("x86_64", "i386", "arm64", "arm")
                    .flatMap(arch -> Stream.of(arch + "-abs", arch + "-prel32"))
                    .toList();

    /** Level, function and module of each initcall, in the order in which they run. */
    public static final List<String> INITCALLS =
            List.of(
                    "con levels_console levels",
                    "early levels_early levels",
                    "0 levels_pure levels",
                    "1 levels_core levels",
                    "1 drv_a_core drv_a",
                    "1s levels_core_sync levels",
                    "2 levels_postcore levels",
                    "2s levels_postcore_sync levels",
                    "3 levels_arch levels",
                    "3s levels_arch_sync levels",
                    "4 levels_subsys levels",
                    "4s levels_subsys_sync levels",
                    "5 levels_fs levels",
                    "5s levels_fs_sync levels",
                    "rootfs levels_rootfs levels",
                    "6 levels_device levels",
                    "6 drv_a_init drv_a",
                    "6 drv_b_init drv_b",
                    "6s levels_device_sync levels",
                    "7 levels_late levels",
                    "7 same_name drv_b",
                    "7 same_name drv_c",
                    "7s levels_late_sync levels",
                    "7s drv_b_report drv_b");

    private MiniKernels() {}

    /** The bytes of a file, such as {@code arm-abs-stripped}. */
    public static byte[] bytes(String name) {
        try (InputStream in =
                MiniKernels.class.getResourceAsStream("/vmlinux-mini/" + name + ".elf")) {
            if (in == null) {
                throw new IllegalArgumentException("no fixture " + name);
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The kernel in a file. */
    public static LinkedKernel read(String name) {
        try {
            return VmlinuxReader.read(Bytes.wrap(bytes(name)), name);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** An initcall as {@link #INITCALLS} has it; without the module where that is not known. */
    public static String line(Initcall call) {
        return (call.level().id() + " " + call.name() + " " + call.module().orElse("")).strip();
    }

    /** A line of {@link #INITCALLS} for a kernel whose entries do not name the module. */
    public static String withoutModule(String line) {
        return line.substring(0, line.lastIndexOf(' '));
    }

    /** A level as it is known by the pass that runs it. */
    public static InitcallLevel plain(InitcallLevel level) {
        return level == InitcallLevel.ROOTFS
                ? InitcallLevel.FS
                : InitcallLevel.ofId(level.id().replaceFirst("(\\d)s", "$1")).orElseThrow();
    }
}

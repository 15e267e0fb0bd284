package io.github.koloader.cli;

import io.github.koloader.Kernel;
import java.io.IOException;
import java.nio.file.NoSuchFileException;

/** The files by which a kernel tells about its modules, by the paths that Linux has them at. */
final class Views {
    /** What the paths can be, for help. */
    static final String PATHS =
            "/proc/modules, /proc/kallsyms, /proc/sys/kernel/tainted, or a file below /sys/module";

    private static final String SYSFS = "/sys/module/";

    private Views() {}

    /**
     * What is in such a file, one character a byte.
     *
     * @throws io.github.koloader.LoadException if it cannot be read
     * @throws IOException if there is none of that path
     */
    static String read(Kernel kernel, String path) throws IOException {
        if (path.startsWith(SYSFS)) {
            String below = path.substring(SYSFS.length());
            return kernel.sysModule().text(below.replaceFirst("/+$", ""));
        }
        return switch (path) {
            case "/proc/modules" -> kernel.procModules();
            case "/proc/kallsyms" -> kernel.kallsyms();
            case "/proc/sys/kernel/tainted" -> kernel.taintMask() + "\n";
            default -> throw new NoSuchFileException(path);
        };
    }
}

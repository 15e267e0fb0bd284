package io.github.koloader.testkit;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.LoadException;

/** Files of a simulated kernel by their paths, as the steps of recordings name them. */
final class KernelFiles {
    private static final String SYS_MODULE = "/sys/module/";
    private static final String BUILT_IN = "module/parameters/";

    private final Kernel kernel;

    KernelFiles(Kernel kernel) {
        this.kernel = kernel;
    }

    /**
     * What is in a file.
     *
     * @throws LoadException ENOENT, EACCES … as {@code open(2)} or {@code read(2)} answer
     */
    String read(String path) {
        return switch (path) {
            case "/proc/sys/kernel/tainted" -> kernel.taintMask() + "\n";
            case "/proc/sys/kernel/modules_disabled" ->
                    (kernel.config().modulesDisabled() ? 1 : 0) + "\n";
            case "/proc/modules" -> kernel.procModules();
            case "/proc/kallsyms" -> kernel.kallsyms();
            default -> {
                if (!path.startsWith(SYS_MODULE)) {
                    throw LoadException.silent(Errno.ENOENT, "no file " + path + " is modelled");
                }
                yield sysModule(path.substring(SYS_MODULE.length()));
            }
        };
    }

    private String sysModule(String name) {
        String compression = kernel.config().moduleCompression();
        if (name.equals("compression") && !compression.isEmpty()) {
            return compression + "\n";
        }
        return name.startsWith(BUILT_IN)
                ? builtIn(name.substring(BUILT_IN.length()))
                : kernel.sysModule().text(name);
    }

    /** Parameters of the loader itself. */
    private String builtIn(String parameter) {
        return switch (parameter) {
            case "sig_enforce" -> kernel.config().sigEnforce() ? "Y\n" : "N\n";
            case "async_probe" ->
                    kernel.config().kconfig("module.async_probe", false) ? "Y\n" : "N\n";
            default ->
                    throw LoadException.silent(
                            Errno.ENOENT, "no parameter " + parameter + " is modelled");
        };
    }
}

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
        switch (path) {
            case "/proc/sys/kernel/tainted":
                return kernel.taintMask() + "\n";
            case "/proc/sys/kernel/modules_disabled":
                return (kernel.config().modulesDisabled() ? 1 : 0) + "\n";
            case "/proc/modules":
                return kernel.procModules();
            case "/proc/kallsyms":
                return kernel.kallsyms();
            case SYS_MODULE + "compression":
                if (!kernel.config().moduleCompression().isEmpty()) {
                    return kernel.config().moduleCompression() + "\n";
                }
                break;
            default:
                break;
        }
        if (path.startsWith(SYS_MODULE)) {
            String name = path.substring(SYS_MODULE.length());
            return name.startsWith(BUILT_IN)
                    ? builtIn(name.substring(BUILT_IN.length()))
                    : kernel.sysModule().text(name);
        }
        throw LoadException.silent(Errno.ENOENT, "no file " + path + " is modelled");
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

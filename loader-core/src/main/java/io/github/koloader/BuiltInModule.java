package io.github.koloader;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.Optional;

/**
 * Code built into the kernel, as {@code /sys/module} knows it. It has a directory there only if it
 * has a version or a parameter with a file; then no module of its name can be loaded.
 *
 * @param name its name; core parameters, which have no module's name before them, belong to {@code
 *     kernel}
 * @param parameters its parameters
 * @param version its version, if it names one
 * @kernel kernel/params.c, param_sysfs_builtin(), version_sysfs_builtin()
 */
public record BuiltInModule(
        String name, List<ModuleParameter> parameters, Optional<String> version) {
    /**
     * Copies the list.
     *
     * @param name its name
     * @param parameters its parameters
     * @param version its version, if it names one
     */
    public BuiltInModule {
        requireNonNull(name);
        requireNonNull(version);
        parameters = List.copyOf(parameters);
    }

    /** {@return whether it has a directory} */
    public boolean visible() {
        return version.isPresent()
                || parameters.stream().anyMatch(parameter -> parameter.permissions() != 0);
    }
}

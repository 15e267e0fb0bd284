package io.github.koloader;

/**
 * A parameter of a module in memory: what {@code /sys/module/NAME/parameters/PARAMETER} gives
 * access to.
 *
 * @kernel kernel/params.c, struct param_attribute
 */
public interface ModuleParameter {
    /** {@return its name as the module's source has it, without the module's name} */
    String name();

    /** {@return the mode of its file in sysfs, such as {@code 0644}; 0 if it has none} */
    int permissions();

    /**
     * {@return its value as its file shows it, with the newline at the end; one character a byte}
     *
     * @throws LoadException with the errno of the read: EPERM if it has no getter
     */
    String read();

    /**
     * Sets it as a write to its file does, whatever its permissions.
     *
     * @param value the text, with or without a newline at its end; one character a byte
     * @throws LoadException with the errno of the write: EPERM if it has no setter, EINVAL, ERANGE,
     *     ENOSPC as its type says
     */
    void write(String value);
}

package io.github.koloader;

import static java.util.Objects.requireNonNull;

import io.github.koloader.memory.Address;
import java.util.Optional;

/**
 * An entry of a table of initcalls: a function that is run at boot.
 *
 * @param level what it was registered for
 * @param function address of the function; where functions have descriptors, of that; 0 if it is
 *     not known
 * @param name name of the function, one character a byte; empty if it is not known
 * @param module the {@code KBUILD_MODNAME} of the code that registered it, as the entry's own
 *     symbol has it since 5.12; empty if it is not known
 * @kernel include/linux/init.h, ___define_initcall()
 */
public record Initcall(
        InitcallLevel level, Address function, String name, Optional<String> module) {
    /**
     * Checks for nulls.
     *
     * @param level what it was registered for
     * @param function address of the function
     * @param name name of the function; empty if it is not known
     * @param module the module that registered it, if it is known
     */
    public Initcall {
        requireNonNull(level);
        requireNonNull(function);
        requireNonNull(name);
        requireNonNull(module);
    }

    /** {@return the function's name, or its address where that is not known} */
    public String title() {
        return name.isEmpty() ? function.toString() : name;
    }
}

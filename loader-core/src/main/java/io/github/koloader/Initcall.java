package io.github.koloader;

import static java.util.Objects.requireNonNull;

import io.github.koloader.memory.Address;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
    private static final Pattern STUB = Pattern.compile("__initstub__kmod_.+?__\\d+_\\d+_(.+)");

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

    /**
     * {@return the function's name in the source} Where Clang optimises at link time, what is
     * called, and has the {@link #name()}, is a stub {@code
     * __initstub__kmod_<module>__<counter>_<line>_<function><id>}; then this is the function that
     * the stub calls. Else it is the name; empty if that is not known.
     *
     * @kernel include/linux/init.h, ____define_initcall()
     */
    public String sourceName() {
        Matcher stub = STUB.matcher(name);
        return stub.matches() && stub.group(1).endsWith(level.id())
                ? stub.group(1).substring(0, stub.group(1).length() - level.id().length())
                : name;
    }
}

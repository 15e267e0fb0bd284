package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

/**
 * A built-in initcall that is Java: what a level macro registers in C.
 *
 * <pre>{@code
 * BuiltIn loop = new BuiltIn(InitcallLevel.DEVICE, "loop_init", call -> {
 *     call.printk(LogLevel.INFO, "loop: module loaded");
 *     return 0;
 * });
 * }</pre>
 *
 * @param level what it is registered for
 * @param name name of the function, as in symbol tables; not empty
 * @param function what is run; answers 0 or a negative errno, which the boot ignores
 */
public record BuiltIn(InitcallLevel level, String name, Executor function) {
    /**
     * Checks the name.
     *
     * @param level what it is registered for
     * @param name name of the function; not empty
     * @param function what is run
     */
    public BuiltIn {
        requireNonNull(level);
        requireNonNull(function);
        checkArgument(!name.isEmpty(), "an initcall without a name");
    }
}

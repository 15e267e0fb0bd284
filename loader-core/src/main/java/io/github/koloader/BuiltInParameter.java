package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import java.util.Optional;

/**
 * A parameter of the kernel itself or of code that is built in, kept in Java.
 *
 * @param name {@code module.parameter}, or a bare word for the core's; dashes are underscores
 * @param level −1 for one that is set before all initcalls, 0 … 7 for one that is set before that
 *     level's
 * @param valueOptional whether it may be given without a value
 * @param unsafe whether setting it taints the kernel
 * @param setter takes the value
 * @see KernelParameters
 */
public record BuiltInParameter(
        String name, int level, boolean valueOptional, boolean unsafe, Setter setter) {
    /** Takes a value. */
    @FunctionalInterface
    public interface Setter {
        /**
         * Takes a value.
         *
         * @param value the text, one character a byte; empty if none was given
         * @return 0, or a negative errno
         */
        int set(Optional<String> value);
    }

    /** Takes what a text was read as. */
    @FunctionalInterface
    public interface Variable {
        /**
         * Takes a value.
         *
         * @param value the number; 1 or 0 for a boolean
         */
        void set(long value);
    }

    /**
     * Checks the level.
     *
     * @param name {@code module.parameter}, or a bare word
     * @param level −1 … 7
     * @param valueOptional whether it may be given without a value
     * @param unsafe whether setting it taints the kernel
     * @param setter takes the value
     */
    public BuiltInParameter {
        requireNonNull(name);
        requireNonNull(setter);
        checkArgument(level >= -1 && level <= 7, "level %s", level);
    }

    /**
     * {@return a parameter whose setter says itself what it takes}
     *
     * @param name {@code module.parameter}, or a bare word
     * @param level −1 … 7
     * @param setter takes the value
     */
    public static BuiltInParameter of(String name, int level, Setter setter) {
        return new BuiltInParameter(name, level, true, false, setter);
    }

    /** {@return the same parameter, marked as unsafe} */
    public BuiltInParameter markedUnsafe() {
        return new BuiltInParameter(name, level, valueOptional, true, setter);
    }
}

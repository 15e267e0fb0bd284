package io.github.koloader.internal.params;

import io.github.koloader.ParameterType;
import org.jspecify.annotations.Nullable;

/**
 * How a parameter is set, shown and freed: a {@code struct kernel_param_ops}.
 *
 * @param valueOptional whether it may be given without a value
 * @param set the setter, if it has one
 * @param get the getter, if it has one
 * @param free what frees what the setter has taken, if anything
 */
record Operations(
        boolean valueOptional,
        @Nullable Function set,
        @Nullable Function get,
        @Nullable Function free) {
    /** One of the functions. */
    sealed interface Function permits Standard, Array, OfModule {}

    /**
     * The kernel's own for that type.
     *
     * @param type the type
     */
    record Standard(ParameterType type) implements Function {}

    /** The kernel's own for arrays. */
    record Array() implements Function {}

    /**
     * A module's own.
     *
     * @param address its entry
     */
    record OfModule(long address) implements Function {}

    /** Those of arrays. */
    static final Operations ARRAY = new Operations(false, new Array(), new Array(), new Array());

    /** Those of a type. */
    static Operations of(ParameterType type) {
        Function own = new Standard(type);
        Function free = type == ParameterType.CHARP ? own : null;
        return new Operations(type.valueOptional(), own, own, free);
    }
}

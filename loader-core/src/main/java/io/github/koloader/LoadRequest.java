package io.github.koloader;

import static java.util.Objects.requireNonNull;

import org.jspecify.annotations.Nullable;

/**
 * How a module is to be loaded: what {@code init_module(2)} and {@code finit_module(2)} are told
 * besides the module itself.
 *
 * @param parameters {@code name=value} words, separated by blanks, one character a byte; {@code
 *     null} is a bad pointer, which Linux only finds out once the module is relocated: EFAULT
 * @param ignoreModversions {@code MODULE_INIT_IGNORE_MODVERSIONS}: do as if the module had no CRCs
 * @param ignoreVermagic {@code MODULE_INIT_IGNORE_VERMAGIC}: do as if it had no vermagic
 * @param signatureValid whether its signature was verified; without that it counts as unsigned
 */
public record LoadRequest(
        @Nullable String parameters,
        boolean ignoreModversions,
        boolean ignoreVermagic,
        boolean signatureValid) {
    /**
     * {@return a request without flags, for a module that counts as unsigned}
     *
     * @param parameters {@code name=value} words, separated by blanks; one character a byte
     */
    public static LoadRequest of(String parameters) {
        return new LoadRequest(requireNonNull(parameters), false, false, false);
    }
}

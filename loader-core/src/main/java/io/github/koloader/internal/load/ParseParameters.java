package io.github.koloader.internal.load;

import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;

/**
 * Reads the module's table of parameters and sets those that it was given.
 *
 * @kernel kernel/params.c, parse_args()
 */
final class ParseParameters {
    private ParseParameters() {}

    static void run(KernelState kernel, LoadedModule module, Undo undo) {}
}

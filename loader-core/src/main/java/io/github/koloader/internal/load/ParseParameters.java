package io.github.koloader.internal.load;

import io.github.koloader.ModuleState;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.params.ModuleArguments;
import io.github.koloader.internal.params.ModuleParameters;

/**
 * Sets the parameters that the module was given.
 *
 * @kernel kernel/params.c, parse_args()
 */
final class ParseParameters {
    private ParseParameters() {}

    /**
     * Sets parameters.
     *
     * @param section index of the table, or 0
     */
    static void run(KernelState kernel, LoadedModule module, int section, Undo undo) {
        if (section == 0) {
            if (!module.arguments.isEmpty()) {
                ModuleArguments.run(kernel, module, 0, 0);
            }
            return;
        }
        ModuleParameters parameters = new ModuleParameters(kernel, module, section);
        module.parameters = parameters;
        undo.add(
                () -> {
                    module.state = ModuleState.GOING;
                    parameters.free();
                });
        if (!module.arguments.isEmpty()) {
            parameters.parse();
        }
    }

    /** Frees what parameters have taken. */
    static void free(LoadedModule module) {
        if (module.parameters instanceof ModuleParameters parameters) {
            parameters.free();
        }
    }
}

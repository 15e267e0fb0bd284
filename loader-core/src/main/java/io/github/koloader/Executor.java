package io.github.koloader;

import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressSpace;

/** What runs a module's code. The loader only says when, and at which address. */
@FunctionalInterface
public interface Executor {
    /**
     * Runs a function of a module to its end.
     *
     * @param call the function, and what it belongs to
     * @return for init: 0, or a negative errno, as in C; what exit answers is ignored
     */
    int call(Call call);

    /** Why a function is run. */
    enum Phase {
        /** At load. */
        INIT,
        /** At unload. */
        EXIT
    }

    /**
     * A function to run.
     *
     * @param kernel the kernel
     * @param module the module it belongs to
     * @param phase why it is run
     * @param entry its address
     */
    record Call(Kernel kernel, Module module, Phase phase, Address entry) {
        /** {@return the memory it sees} */
        public AddressSpace memory() {
            return kernel.memory();
        }

        /**
         * Logs a line.
         *
         * @param level its priority
         * @param text what it says
         */
        public void printk(LogLevel level, String text) {
            kernel.log().printk(level, text);
        }
    }
}

package io.github.koloader;

import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressSpace;
import java.util.List;

/** What runs a module's code. The loader only says when, and at which address. */
@FunctionalInterface
public interface Executor {
    /**
     * Runs a function of a module to its end.
     *
     * @param call the function, and what it belongs to
     * @return for init and for setters: 0, or a negative errno, as in C; for getters: the number of
     *     bytes written, or a negative errno; what the others answer is ignored
     */
    int call(Call call);

    /** Why a function is run. */
    enum Phase {
        /** At load. */
        INIT,
        /** At unload. */
        EXIT,
        /**
         * A parameter's own {@code set(const char *val, const struct kernel_param *kp)}; {@code
         * val} is 0 for a parameter without value.
         */
        SET_PARAMETER,
        /**
         * A parameter's own {@code get(char *buffer, const struct kernel_param *kp)}; the buffer
         * has 4,096 bytes.
         */
        GET_PARAMETER,
        /** A parameter's own {@code free(void *arg)}. */
        FREE_PARAMETER
    }

    /**
     * A function to run.
     *
     * @param kernel the kernel
     * @param module the module it belongs to
     * @param phase why it is run
     * @param entry its address
     * @param arguments what it is called with, pointers into {@link #memory()}; init and exit have
     *     none
     */
    record Call(Kernel kernel, Module module, Phase phase, Address entry, List<Address> arguments) {
        /**
         * Copies the arguments.
         *
         * @param kernel the kernel
         * @param module the module it belongs to
         * @param phase why it is run
         * @param entry its address
         * @param arguments what it is called with
         */
        public Call {
            arguments = List.copyOf(arguments);
        }

        /**
         * A call without arguments.
         *
         * @param kernel the kernel
         * @param module the module it belongs to
         * @param phase why it is run
         * @param entry its address
         */
        public Call(Kernel kernel, Module module, Phase phase, Address entry) {
            this(kernel, module, phase, entry, List.of());
        }

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

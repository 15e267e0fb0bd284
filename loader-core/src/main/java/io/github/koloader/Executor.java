package io.github.koloader;

import io.github.koloader.internal.params.ParameterAccess;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressSpace;
import java.util.List;
import java.util.Optional;

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

        /**
         * {@return the text that a setter is to set; empty if it was given none} One character a
         * byte.
         *
         * @throws IllegalStateException if this is no call of a setter
         */
        public Optional<String> parameterValue() {
            Address value = argument(Phase.SET_PARAMETER, 0);
            return value.isNull()
                    ? Optional.empty()
                    : Optional.of(memory().readText(value, Integer.MAX_VALUE));
        }

        /**
         * {@return the {@code kp->arg} that a setter or getter is called for, or what a free
         * function is given}
         *
         * @throws IllegalStateException if this is no call for a parameter
         */
        public Address parameterVariable() {
            return phase == Phase.FREE_PARAMETER
                    ? argument(phase, 0)
                    : parameters().argumentOf(argument(phase, 1));
        }

        /**
         * Writes what a getter shows, and a NUL.
         *
         * @param text what the file shows, with the newline at its end; one character a byte, at
         *     most 4,095
         * @return what the getter is to answer: the number of bytes
         * @throws IllegalStateException if this is no call of a getter
         */
        public int show(String text) {
            memory().writeText(argument(Phase.GET_PARAMETER, 0), text);
            return text.length();
        }

        /**
         * Does what the kernel's {@code param_set_TYPE(val, kp)} does.
         *
         * @param type whose setter
         * @return 0, or a negative errno
         * @throws IllegalStateException if this is no call of a setter
         */
        public int setAs(ParameterType type) {
            Optional<String> value = parameterValue();
            return parameters().setAs(type, value.orElse(null), argument(phase, 1));
        }

        /**
         * Does what the kernel's {@code param_get_TYPE(buffer, kp)} does.
         *
         * @param type whose getter
         * @return the number of bytes
         * @throws IllegalStateException if this is no call of a getter
         */
        public int showAs(ParameterType type) {
            return show(parameters().getAs(type, argument(Phase.GET_PARAMETER, 1)));
        }

        private ParameterAccess parameters() {
            return new ParameterAccess(kernel.state(), module.record());
        }

        private Address argument(Phase wanted, int index) {
            if (phase != wanted || index >= arguments.size()) {
                throw new IllegalStateException(
                        "a call of phase " + phase + " has no such argument");
            }
            return arguments.get(index);
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

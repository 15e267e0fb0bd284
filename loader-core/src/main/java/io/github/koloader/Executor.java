package io.github.koloader;

import static java.util.Objects.requireNonNull;

import io.github.koloader.internal.params.ParameterAccess;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressSpace;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What runs code of modules, and of the kernel itself at boot. The loader only says when, and at
 * which address.
 */
@FunctionalInterface
public interface Executor {
    /**
     * Runs a function to its end.
     *
     * @param call the function, and what it belongs to
     * @return for init, initcalls and setters: 0, or a negative errno, as in C; for getters: the
     *     number of bytes written, or a negative errno; for handlers of options see {@link Phase};
     *     what the others answer is ignored, but for {@link Kernel#call}, which returns it
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
        FREE_PARAMETER,
        /** An initcall of built-in code, at boot. */
        INITCALL,
        /**
         * The handler of an {@code early_param()}, with its value: 0, or an errno. The value is 0
         * for an option without one.
         */
        EARLY_OPTION,
        /**
         * The handler of a {@code __setup()}, with what follows its text in the word: 1 if it took
         * the option, 0 if others are to be asked.
         */
        SETUP_OPTION,
        /** {@link Kernel#call}. */
        CALL
    }

    /**
     * A function to run.
     *
     * @param kernel the kernel
     * @param module the module it belongs to; code that is built in belongs to none
     * @param phase why it is run
     * @param entry its address
     * @param arguments what it is called with, pointers into {@link #memory()}; init, exit and
     *     initcalls have none
     */
    record Call(
            Kernel kernel,
            @Nullable Module module,
            Phase phase,
            Address entry,
            List<Address> arguments) {
        /**
         * Copies the arguments.
         *
         * @param kernel the kernel
         * @param module the module it belongs to, if it belongs to one
         * @param phase why it is run
         * @param entry its address
         * @param arguments what it is called with
         */
        public Call {
            requireNonNull(kernel);
            requireNonNull(phase);
            requireNonNull(entry);
            arguments = List.copyOf(arguments);
        }

        /**
         * A call without arguments.
         *
         * @param kernel the kernel
         * @param module the module it belongs to, if it belongs to one
         * @param phase why it is run
         * @param entry its address
         */
        public Call(Kernel kernel, @Nullable Module module, Phase phase, Address entry) {
            this(kernel, module, phase, entry, List.of());
        }

        /**
         * {@return the module it belongs to}
         *
         * @throws IllegalStateException if it is built in; see {@link #isBuiltIn}
         */
        @Override
        public Module module() {
            if (module == null) {
                throw new IllegalStateException("code that is built in belongs to no module");
            }
            return module;
        }

        /** {@return whether it is code of the kernel itself} */
        public boolean isBuiltIn() {
            return module == null;
        }

        /**
         * {@return name of the module it belongs to; of an initcall, the {@code KBUILD_MODNAME} of
         * the code that registered it, if that is known} Of other built-in code it is empty.
         */
        public Optional<String> owner() {
            return module != null
                    ? Optional.of(module.name())
                    : initcall().flatMap(Initcall::module);
        }

        /** {@return the entry of a table of initcalls that it is run for, if that is why} */
        public Optional<Initcall> initcall() {
            return phase == Phase.INITCALL
                    ? Optional.ofNullable(kernel.state().initcall)
                    : Optional.empty();
        }

        /** {@return name of the function, if symbols tell it} */
        public Optional<String> function() {
            return initcall()
                    .map(Initcall::name)
                    .filter(name -> !name.isEmpty())
                    .or(
                            () ->
                                    kernel.symbolAt(entry)
                                            .filter(at -> at.offset() == 0)
                                            .map(SymbolPlace::symbol));
        }

        /**
         * {@return the text that the handler of an option is given: the value of an early one,
         * which may be absent, or what follows the text of a {@code __setup()}} One character a
         * byte.
         *
         * @throws IllegalStateException if this is no call of such a handler
         */
        public Optional<String> optionValue() {
            if (phase != Phase.EARLY_OPTION && phase != Phase.SETUP_OPTION) {
                throw new IllegalStateException("a call of phase " + phase + " has no option");
            }
            Address value = arguments.get(0);
            return value.isNull()
                    ? Optional.empty()
                    : Optional.of(memory().readText(value, Integer.MAX_VALUE));
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
            return new ParameterAccess(kernel.state(), module == null ? null : module.record());
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

package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.internal.params.KernelArguments;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The parameters of what is built in: parses a kernel command line for those of one level. Belongs
 * to its kernel's thread.
 *
 * @kernel init/main.c, do_initcall_level()
 */
public final class KernelParameters {
    /** What becomes of a word that names no parameter. */
    @FunctionalInterface
    public interface Unknown {
        /**
         * Takes a word.
         *
         * @param name its name
         * @param value its value; {@code null} if it has none
         * @return 0, or a negative errno
         */
        int take(String name, @org.jspecify.annotations.Nullable String value);
    }

    /** As a level: no parameter is looked at, and all words are unknown. */
    public static final int NO_LEVEL = Integer.MIN_VALUE;

    private final Kernel kernel;
    private final List<BuiltInParameter> parameters = new ArrayList<>();
    private final Map<String, BuiltInParameter> byName = new HashMap<>();

    /**
     * No parameters yet.
     *
     * @param kernel whose log and taints are used, and whose version says what is a number
     */
    public KernelParameters(Kernel kernel) {
        this.kernel = requireNonNull(kernel);
    }

    /**
     * Adds a parameter.
     *
     * @param parameter the parameter
     * @return this
     */
    public KernelParameters add(BuiltInParameter parameter) {
        parameters.add(requireNonNull(parameter));
        byName.putIfAbsent(KernelArguments.folded(parameter.name()), parameter);
        return this;
    }

    /**
     * Adds a parameter of a standard type that is kept in Java.
     *
     * @param name {@code module.parameter}, or a bare word
     * @param level −1 … 7
     * @param type a number or a boolean
     * @param variable takes the number, or 1 and 0
     * @return this
     * @throws IllegalArgumentException if the type is a text, or one that looks at its old value
     */
    public KernelParameters add(
            String name, int level, ParameterType type, BuiltInParameter.Variable variable) {
        checkArgument(
                type != ParameterType.CHARP
                        && type != ParameterType.STRING
                        && type != ParameterType.BOOL_ENABLE_ONLY,
                "%s is no number and no boolean",
                type);
        return add(
                new BuiltInParameter(
                        name,
                        level,
                        type.valueOptional(),
                        false,
                        KernelArguments.setter(kernel.state(), type, variable)));
    }

    /** {@return the parameters, in the order in which they were added} */
    public List<BuiltInParameter> all() {
        return List.copyOf(parameters);
    }

    /**
     * Sets those parameters of a level that a command line names, those in the {@linkplain
     * LinkedKernel#parameterTable() linked kernel} too; words that name others, or none, are passed
     * over. Errors are logged and stop nothing.
     *
     * @param who begins the messages: the name of the level
     * @param commandLine the words; one character a byte
     * @param level −1 … 7
     */
    public void parse(String who, String commandLine, int level) {
        parse(who, commandLine, level, (name, value) -> 0);
    }

    /**
     * As {@link #parse(String, String, int)}, with something to be done about words that name no
     * parameter.
     *
     * @param who begins the messages
     * @param commandLine the words; one character a byte
     * @param level −1 … 7, or {@link #NO_LEVEL}
     * @param unknown takes words that name no parameter
     * @return what follows {@code --}; empty if there is no such word
     */
    public java.util.Optional<String> parse(
            String who, String commandLine, int level, Unknown unknown) {
        return KernelArguments.parse(kernel.state(), byName, who, commandLine, level, unknown);
    }
}

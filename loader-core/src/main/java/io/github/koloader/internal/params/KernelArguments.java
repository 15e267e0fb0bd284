package io.github.koloader.internal.params;

import io.github.koloader.BuiltInParameter;
import io.github.koloader.BuiltInParameter.Setter;
import io.github.koloader.BuiltInParameter.Variable;
import io.github.koloader.Errno;
import io.github.koloader.KernelParameters;
import io.github.koloader.KernelParameters.Unknown;
import io.github.koloader.ParameterType;
import io.github.koloader.Taint;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Warnings;
import java.util.Map;
import java.util.Optional;

/**
 * Sets parameters of built-in code that a kernel command line names.
 *
 * @kernel kernel/params.c, parse_args()
 */
public final class KernelArguments extends ArgumentParser {
    private final String who;
    private final Map<String, BuiltInParameter> parameters;
    private final int level;
    private final Unknown unknown;

    private KernelArguments(
            KernelState kernel,
            String who,
            Map<String, BuiltInParameter> parameters,
            int level,
            Unknown unknown) {
        super(kernel);
        this.who = who;
        this.parameters = parameters;
        this.level = level;
        this.unknown = unknown;
    }

    /**
     * Parses a command line for one level; what follows {@code --} is returned.
     *
     * @param parameters the first of each name, by {@link #folded} name
     */
    public static Optional<String> parse(
            KernelState kernel,
            Map<String, BuiltInParameter> parameters,
            String who,
            String commandLine,
            int level,
            Unknown unknown) {
        KernelArguments arguments = new KernelArguments(kernel, who, parameters, level, unknown);
        return Optional.ofNullable(arguments.parse(who, TextBuffer.of(commandLine)).rest());
    }

    /** A name as it is compared: a dash and an underscore are the same. */
    public static String folded(String name) {
        return name.replace('-', '_');
    }

    /** Reads values as a setter of that type does. */
    public static Setter setter(KernelState kernel, ParameterType type, Variable variable) {
        int wordSize = kernel.architecture.encoding().wordSize();
        return value -> {
            Numbers.Parsed parsed =
                    type.isInteger()
                            ? Numbers.integer(
                                    kernel.config,
                                    value.orElse(""),
                                    type.isSigned(),
                                    type.bits(wordSize),
                                    8 * wordSize)
                            : Numbers.bool(kernel.config, value.orElse("1"));
            if (parsed.error() == 0) {
                boolean inverted = type == ParameterType.INVBOOL;
                variable.set(inverted ? 1 - parsed.value() : parsed.value());
            }
            return parsed.error();
        };
    }

    @Override
    int set(TextBuffer text, int name, int value) {
        if (level != KernelParameters.NO_LEVEL) {
            String folded = folded(text.text(name));
            BuiltInParameter parameter = parameters.get(folded);
            if (parameter != null) {
                return parameter.level() == level ? set(parameter, text, value) : 0;
            }
            BuiltInTable table = kernel.builtInTable();
            Long entry = table.find(folded);
            if (entry != null) {
                return table.level(entry) == level ? table.set(entry, text, value, this::say) : 0;
            }
        }
        if (kernel.dynamicDebug.prints(DynamicDebug.Site.PARSE_ONE)) {
            kernel.log.add(Warnings.unknownDebug(who, text.text(name), text.textOrNull(value)));
        }
        return unknown.take(text.text(name), text.textOrNull(value));
    }

    private int set(BuiltInParameter parameter, TextBuffer text, int value) {
        if (value < 0 && !parameter.valueOptional()) {
            return -Errno.EINVAL.number();
        }
        if (parameter.unsafe()) {
            kernel.log.add(Warnings.dangerousOption(parameter.name()));
            kernel.taint(Taint.USER);
        }
        return parameter.setter().set(Optional.ofNullable(text.textOrNull(value)));
    }
}

package io.github.koloader.internal.params;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Warnings;
import io.github.koloader.memory.AddressFaultException;
import org.jspecify.annotations.Nullable;

/**
 * Sets the parameters of a module that it is given at load.
 *
 * @kernel kernel/module/main.c, load_module(), unknown_module_param_cb()
 */
public final class ModuleArguments extends ArgumentParser {
    private static final int NO_PARAMETER = -Errno.ENOENT.number();

    private final ParameterAccess access;
    private final LoadedModule module;
    private final long table;
    private final int count;

    private ModuleArguments(ParameterAccess access, long table, int count) {
        super(access.kernel);
        this.access = access;
        this.module = access.module;
        this.table = table;
        this.count = count;
    }

    /**
     * Parses the module's arguments.
     *
     * @param table address of the table of parameters
     * @param count number of its entries
     * @throws LoadException with what the last word that failed gave; its lines are in the log
     */
    public static void run(ParameterAccess access, long table, int count) {
        ModuleArguments arguments = new ModuleArguments(access, table, count);
        LoadedModule module = access.module;
        try {
            Result result = arguments.parse(module.name, TextBuffer.of(module.arguments));
            if (result.error() < 0 && result.error() >= -4095) {
                throw Failures.parameters(
                        module.name,
                        -result.error(),
                        result.lines(),
                        module.modinfo,
                        arguments.failedName,
                        arguments.failedValue);
            }
            if (result.rest() != null) {
                access.kernel.log.add(Warnings.parametersAfterDashes(module.name, result.rest()));
            } else if (result.error()
                    != 0) { // a positive result is taken for a pointer to the rest
                access.kernel.log.add(Warnings.parametersAfterDashes(module.name, "(efault)"));
            }
        } catch (AddressFaultException | WildParameterException e) {
            LoadException failure =
                    Failures.wildParameter(module.name, String.valueOf(e.getMessage()));
            access.kernel.log.addAll(failure.lines());
            throw failure.causedBy(e);
        }
    }

    @Override
    int set(TextBuffer text, int name, int value) {
        for (int i = 0; i < count; i++) {
            long entry = table + (long) i * access.layout.entrySize();
            if (access.isNamed(access.word(entry), text, name)) {
                return access.set(entry, text, value, this::say);
            }
        }
        return unknown(text, name, value);
    }

    private int unknown(TextBuffer text, int name, int value) {
        boolean fatal = !config.atLeast(3, 11);
        if (kernel.dynamicDebug.prints(DynamicDebug.Site.PARSE_ONE)) {
            kernel.log.add(
                    Warnings.unknownDebug(module.name, text.text(name), text.textOrNull(value)));
        }
        String word = text.text(name);
        if (word.equals("async_probe") && config.atLeast(4, 2)) {
            module.asyncProbe = isTrue(text.textOrNull(value));
            return 0;
        }
        if (config.dynamicDebug()) {
            int dot = word.indexOf('.');
            String query = text.textOrNull(value);
            if (dot >= 0) {
                text.bytes[name + dot] = 0;
            }
            if (word.substring(dot + 1).equals("dyndbg")) {
                String target = dot < 0 ? module.name : word.substring(0, dot);
                kernel.dynamicDebug.run(kernel.log, query == null ? "+p" : query, target);
                return 0; // whatever came of it
            }
        } else if (word.equals("dyndbg")) {
            kernel.log.add(Warnings.noDynamicDebug());
            return 0;
        }
        if (fatal) {
            return NO_PARAMETER;
        }
        kernel.log.add(Warnings.parameterIgnored(module.name, text.text(name)));
        return 0;
    }

    private boolean isTrue(@Nullable String value) {
        if (value == null) {
            return true;
        }
        Numbers.Parsed parsed = Numbers.bool(config, value);
        return parsed.error() != 0 || parsed.value() != 0;
    }
}

package io.github.koloader.internal.params;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Warnings;
import io.github.koloader.memory.AddressFaultException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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

    /** Entries and bytes of names that are looked at one by one before names are indexed. */
    private static final long SMALL = 1 << 16;

    /** Bytes of names that are looked at in all: words × names is the product of two sizes. */
    private static final long MOST = 1 << 24;

    private final long table;
    private final int count;

    /** What has been looked at. */
    private long looks;

    /** The first entry of each name, once there is much to look at. */
    private @Nullable Map<String, Integer> byName;

    /** Entries whose names cannot be read, or not to their ends; in order. */
    private final List<Integer> unreadable = new ArrayList<>();

    private ModuleArguments(ParameterAccess access, LoadedModule module, long table, int count) {
        super(access.kernel);
        this.access = access;
        this.module = module;
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
    public static void run(KernelState kernel, LoadedModule module, long table, int count) {
        ParameterAccess access = new ParameterAccess(kernel, module);
        ModuleArguments arguments = new ModuleArguments(access, module, table, count);
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
        int found = find(text, name);
        return found < 0
                ? unknown(text, name, value)
                : access.set(entry(found), text, value, this::say);
    }

    private long entry(int index) {
        return table + (long) index * access.layout.entrySize();
    }

    /** Index of the first entry of that name, or −1. */
    private int find(TextBuffer text, int name) {
        int end = text.end(name);
        if (byName == null && looks > SMALL) {
            byName = index(text.bytes.length - name);
        }
        if (byName != null) {
            Integer known = byName.get(text.text(name).replace('-', '_'));
            int before = known == null ? count : known;
            for (int i : unreadable) {
                if (i >= before) {
                    break;
                }
                if (isNamed(i, text, name, end)) { // or it is a fault, as it is for Linux
                    return i;
                }
            }
            if (known == null || isNamed(known, text, name, end)) {
                return known == null ? -1 : known;
            }
        }
        for (int i = 0; i < count; i++) { // a name that was indexed may have been overwritten
            if (isNamed(i, text, name, end)) {
                return i;
            }
        }
        return -1;
    }

    private boolean isNamed(int index, TextBuffer text, int name, int end) {
        int same = access.sameBytes(access.word(entry(index)), text, name, end);
        look(same + 1L);
        return same > end - name;
    }

    private void look(long bytes) {
        looks += bytes;
        if (looks > MOST) {
            throw new WildParameterException("too many names are too long");
        }
    }

    /** Reads each name once; those of {@code limit} bytes are longer than any word. */
    private Map<String, Integer> index(int limit) {
        looks = 0;
        Map<String, Integer> index = new HashMap<>();
        for (int i = 0; i < count; i++) {
            try {
                String name = access.folded(access.word(entry(i)), limit, this::look);
                if (name.length() < limit) {
                    index.putIfAbsent(name, i);
                }
            } catch (AddressFaultException e) { // a fault when a word gets as far
                unreadable.add(i);
            }
        }
        return index;
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

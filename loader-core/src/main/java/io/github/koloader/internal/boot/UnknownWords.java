package io.github.koloader.internal.boot;

import io.github.koloader.BootOptions.Option;
import io.github.koloader.KernelPanicException;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Warnings;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What becomes of words on the command line that name no parameter: options are handled, the rest
 * is for init.
 *
 * @kernel init/main.c, do_early_param(), unknown_bootoption(), print_unknown_bootoptions()
 */
final class UnknownWords {
    private static final int MOST = 32;

    /** Words that are other names for what can be set as sysctl. */
    private static final Set<String> SYSCTL_ALIASES =
            Set.of(
                    "hardlockup_all_cpu_backtrace",
                    "hung_task_panic",
                    "numa_zonelist_order",
                    "softlockup_all_cpu_backtrace");

    private final KernelState kernel;
    private final List<Option> options;

    /** Indexes of options, ascending, by text in which dashes are underscores. */
    private final Map<String, List<Integer>> byText = new HashMap<>();

    /** How long these texts are. */
    private final TreeSet<Integer> lengths = new TreeSet<>();

    private final List<Integer> consoles = new ArrayList<>();
    private final List<String> arguments = new ArrayList<>();
    private final List<String> environment = new ArrayList<>(List.of("HOME=/", "TERM=linux"));
    private String tooMany = "";
    private boolean rodata = true;

    UnknownWords(KernelState kernel, List<Option> options) {
        this.kernel = kernel;
        this.options = options;
        for (int i = 0; i < options.size(); i++) {
            String text = folded(options.get(i).text());
            byText.computeIfAbsent(text, key -> new ArrayList<>()).add(i);
            lengths.add(text.length());
            if (text.equals("console") || options.get(i).text().equals("earlycon")) {
                consoles.add(i);
            }
        }
    }

    /** What init is called with. */
    List<String> arguments() {
        return arguments;
    }

    /** Environment of init. */
    List<String> environment() {
        return environment;
    }

    /** Whether read-only data is to be made so. */
    boolean rodata() {
        return rodata;
    }

    /** A word in the early pass: all handlers of that name are called. */
    int early(String name, @Nullable String value) {
        List<Integer> named =
                name.equals("console") ? consoles : byText.getOrDefault(folded(name), List.of());
        for (int index : named) {
            Option option = options.get(index);
            if (option.early()) {
                int result = option.handler().handle(Optional.ofNullable(value));
                if (result != 0) {
                    kernel.log.add(Warnings.malformedEarlyOption(name));
                }
            }
        }
        return 0;
    }

    /** A word in the main pass that names no parameter. */
    int unknown(String name, @Nullable String value) {
        String word = value == null ? name : name + "=" + value;
        if (kernel.config.atLeast(5, 8)
                && (SYSCTL_ALIASES.contains(name) || name.startsWith("sysctl."))) {
            return 0;
        }
        if (kernel.config.atLeast(5, 19)
                && (value != null && name.equals("BOOT_IMAGE") || name.startsWith("kexec"))) {
            return 0;
        }
        if (handled(name, word) || name.indexOf('.') >= 0) {
            return 0; // a word with a dot may be for a module
        }
        if (value == null) {
            argument(name, null);
        } else {
            addVariable(name, word);
        }
        return 0;
    }

    private boolean handled(String name, String word) {
        if (own(word)) {
            return true;
        }
        boolean wasEarly = false;
        String folded = folded(word);
        TreeSet<Integer> fitting = new TreeSet<>();
        for (int length : lengths.headSet(word.length(), true)) {
            fitting.addAll(byText.getOrDefault(folded.substring(0, length), List.of()));
        }
        for (int index : fitting) {
            Option option = options.get(index);
            String text = option.text();
            if (option.early()) {
                wasEarly |= text.length() == name.length(); // then it is the name
            } else if (option.handler().handle(Optional.of(word.substring(text.length()))) != 0) {
                return true;
            }
        }
        return wasEarly;
    }

    /** What is ours: options that say what a boot does. */
    private boolean own(String word) {
        int equals = word.indexOf('=');
        String name = equals < 0 ? "" : word.substring(0, equals).replace('-', '_');
        String value = word.substring(equals + 1);
        switch (name) {
            case "init", "rdinit" -> {
                arguments.clear();
                return true;
            }
            case "rodata" -> {
                rodata = !Set.of("off", "0", "n", "N", "f", "F").contains(value);
                return true;
            }
            case "initcall_blacklist" -> {
                return kernel.config.atLeast(3, 16) && blacklist(value);
            }
            default -> {
                return false;
            }
        }
    }

    /** Adds functions; whether that counts as handled. */
    private boolean blacklist(String functions) {
        if (!kernel.config.kallsyms()) {
            kernel.log.add(Warnings.blacklistNeedsKallsyms());
        } else {
            kernel.initcallBlacklist.addAll(Arrays.asList(functions.split(",", -1)));
        }
        return kernel.config.atLeast(5, 18);
    }

    /** A word for init. */
    int argument(String name, @Nullable String value) {
        // its own name is the first
        if (arguments.size() + 1 >= MOST && tooMany.isEmpty()) {
            tooMany = Warnings.tooManyForInit("init", name);
        }
        if (tooMany.isEmpty()) {
            arguments.add(value == null ? name : name + "=" + value);
        }
        return 0;
    }

    private void addVariable(String name, String word) {
        for (int i = 0; i < environment.size(); i++) {
            if (environment.get(i).startsWith(name + "=")) {
                environment.set(i, word);
                return;
            }
        }
        if (environment.size() >= MOST && tooMany.isEmpty()) {
            tooMany = Warnings.tooManyForInit("env", name);
        }
        if (tooMany.isEmpty()) {
            environment.add(word);
        }
    }

    /** Says what is passed on; where it is too much, nothing is. */
    void report() {
        if (!kernel.config.atLeast(5, 14) || !tooMany.isEmpty()) {
            return;
        }
        List<String> unknown = new ArrayList<>(arguments);
        unknown.addAll(environment.subList(2, environment.size()));
        if (!unknown.isEmpty()) {
            kernel.log.add(Warnings.unknownForInit(String.join(" ", unknown)));
        }
    }

    /** A kernel does not go on with more words than it has room for. */
    void panicIfTooMany() {
        if (!tooMany.isEmpty()) {
            kernel.log.add(Warnings.panic(tooMany));
            throw new KernelPanicException(tooMany);
        }
    }

    /** A name as it is compared: dashes are underscores. */
    private static String folded(String name) {
        return name.replace('-', '_');
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.InitcallLevel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the name of an initcall's entry says. Since 5.12 it is {@code
 * __initcall__kmod_<module>__<counter>_<line>_<function><id>}, before {@code
 * __initcall_<function><id>}. Where Clang optimises at link time, the entry leads to a stub {@code
 * __initstub__kmod_…} whose name says the same.
 *
 * @param module the {@code KBUILD_MODNAME} of the code, if it is in the name
 * @param level the level, if it is in the name
 * @kernel include/linux/init.h, ___define_initcall()
 */
record InitcallEntry(Optional<String> module, Optional<InitcallLevel> level) {
    private static final Pattern NAME =
            Pattern.compile("__init(?:call|stub)__kmod_(.+?)__\\d+_\\d+_(.+)");
    private static final String OLD = "__initcall_";
    private static final InitcallEntry NOTHING =
            new InitcallEntry(Optional.empty(), Optional.empty());

    /**
     * Reads names.
     *
     * @param entry names of the entry
     * @param functions names of what it leads to
     * @param possible levels that it may have, going by where it is
     */
    static InitcallEntry of(
            List<String> entry, List<String> functions, List<InitcallLevel> possible) {
        List<String> names = new ArrayList<>(entry);
        names.addAll(functions);
        for (String name : names) {
            Matcher matcher = NAME.matcher(name);
            if (matcher.matches()) {
                String function = matcher.group(2);
                return new InitcallEntry(
                        Optional.of(matcher.group(1)),
                        possible.stream().filter(level -> ends(function, level)).findFirst());
            }
        }
        for (String name : entry) {
            if (!name.startsWith(OLD)) {
                continue;
            }
            for (InitcallLevel level : possible) {
                String id = oldId(level);
                int end = name.length() - id.length();
                if (end > OLD.length()
                        && name.endsWith(id)
                        && functions.contains(name.substring(OLD.length(), end))) {
                    return new InitcallEntry(Optional.empty(), Optional.of(level));
                }
            }
        }
        return NOTHING;
    }

    private static boolean ends(String function, InitcallLevel level) {
        return function.length() > level.id().length() && function.endsWith(level.id());
    }

    private static String oldId(InitcallLevel level) {
        return switch (level) {
            case CONSOLE, SECURITY -> "";
            default -> level.id();
        };
    }
}

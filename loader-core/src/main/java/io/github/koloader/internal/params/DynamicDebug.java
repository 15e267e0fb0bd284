package io.github.koloader.internal.params;

import io.github.koloader.Errno;
import io.github.koloader.KernelLog;
import io.github.koloader.internal.Warnings;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Which of the kernel's debug lines about parameters are printed, as queries have set it. Lines of
 * modules' own code are not known here; a query for a module is checked, and has an effect if that
 * module is called as the kernel's file is: {@code params}.
 *
 * @kernel lib/dynamic_debug.c; Documentation/admin-guide/dynamic-debug-howto.rst
 */
public final class DynamicDebug {
    /** A line of the kernel that can be switched on. */
    enum Site {
        /** A line of arguments is going to be parsed. */
        PARSE_ARGS("parse_args", "doing %s, parsing ARGS: '%s'\n"),
        /** A word names no parameter. */
        PARSE_ONE("parse_one", "doing %s: %s='%s'\n");

        private static final String MODULE = "params";
        private static final String FILE = "kernel/params.c";

        private final String function;
        private final String format;

        Site(String function, String format) {
            this.function = function;
            this.format = format;
        }
    }

    private static final String FLAGS = "pfmltsd";
    private static final List<String> KEYWORDS =
            List.of("func", "file", "module", "line", "format", "class");

    private final EnumMap<Site, Integer> flagsOf = new EnumMap<>(Site.class);

    /** Nothing is printed. */
    public DynamicDebug() {}

    /** Whether a line is printed. */
    boolean prints(Site site) {
        return (flagsOf.getOrDefault(site, 0) & 1) != 0;
    }

    /**
     * Runs queries, separated by {@code ;} or newlines; those that are wrong are complained about.
     *
     * @param module the module that all of them are for; {@code null} for any
     * @return 0, or −EINVAL if one was wrong
     */
    int run(KernelLog log, String queries, @Nullable String module) {
        int result = 0;
        for (String query : queries.split("[;\n]", -1)) {
            String trimmed = query.strip();
            if (!trimmed.isEmpty() && !trimmed.startsWith("#") && !runOne(log, trimmed, module)) {
                result = -Errno.EINVAL.number();
            }
        }
        return result;
    }

    private boolean runOne(KernelLog log, String query, @Nullable String module) {
        List<String> words = words(query);
        if (words == null) {
            log.add(Warnings.dynamicDebug("unclosed quote", query));
            return false;
        }
        String change = words.get(words.size() - 1);
        int bits = flags(log, change);
        if (bits < 0) {
            log.add(Warnings.debugFlagsFailed());
            return false;
        }
        Map<String, String> wanted = specs(words.subList(0, words.size() - 1), module);
        if (wanted == null) {
            log.add(Warnings.dynamicDebug("match specification is wrong", query));
            return false;
        }
        for (Site site : Site.values()) {
            if (matches(site, wanted)) {
                int old = flagsOf.getOrDefault(site, 0);
                int changed =
                        switch (change.charAt(0)) {
                            case '+' -> old | bits;
                            case '-' -> old & ~bits;
                            default -> bits;
                        };
                flagsOf.put(site, changed);
            }
        }
        return true;
    }

    /** Words between blanks or in quotes, up to a comment; {@code null} if a quote stays open. */
    private static @Nullable List<String> words(String query) {
        List<String> words = new ArrayList<>();
        int at = 0;
        while (at < query.length() && query.charAt(at) != '#') {
            char first = query.charAt(at);
            int end;
            if (first == '"' || first == '\'') {
                end = query.indexOf(first, ++at);
                if (end < 0) {
                    return null;
                }
                words.add(query.substring(at, end++));
            } else {
                end = at;
                while (end < query.length() && !isBlank(query.charAt(end))) {
                    end++;
                }
                words.add(query.substring(at, end));
            }
            at = end;
            while (at < query.length() && isBlank(query.charAt(at))) {
                at++;
            }
        }
        return words;
    }

    private static boolean isBlank(char character) {
        return ArgumentWords.isBlank((byte) character);
    }

    /** The flags that a change names, or −1. */
    private static int flags(KernelLog log, String change) {
        char operator = change.isEmpty() ? 0 : change.charAt(0);
        if (operator != '+' && operator != '-' && operator != '=') {
            log.add(Warnings.debugOperator(operator, change));
            return -1;
        }
        int bits = 0;
        for (char flag : change.substring(1).toCharArray()) {
            int index = FLAGS.indexOf(flag);
            if (index >= 0) {
                bits |= 1 << index;
            } else if (flag != '_') {
                log.add(Warnings.dynamicDebug("no flag " + flag, change));
                return -1;
            }
        }
        return bits;
    }

    /** What is to match, by keyword; {@code null} if it is no list of pairs, each kind once. */
    private static @Nullable Map<String, String> specs(
            List<String> words, @Nullable String module) {
        Map<String, String> wanted = new HashMap<>();
        if (module != null) {
            wanted.put("module", module);
        }
        if (words.size() % 2 != 0) {
            return null;
        }
        for (int i = 0; i < words.size(); i += 2) {
            String keyword = words.get(i);
            String value = words.get(i + 1);
            boolean good =
                    KEYWORDS.contains(keyword)
                            && wanted.putIfAbsent(keyword, value) == null
                            && (!keyword.equals("line") || isLineRange(value));
            if (!good) {
                return null;
            }
        }
        return wanted;
    }

    private static boolean isLineRange(String range) {
        if (!range.matches("\\d{1,10}|\\d{0,10}-\\d{0,10}")) {
            return false;
        }
        String[] ends = range.split("-", -1);
        boolean open = ends.length == 1 || ends[0].isEmpty() || ends[1].isEmpty();
        return open || Long.parseLong(ends[0]) <= Long.parseLong(ends[1]);
    }

    /** The lines have no class and, as kernels differ, no number: either excludes them. */
    private static boolean matches(Site site, Map<String, String> wanted) {
        String file = wanted.getOrDefault("file", "*");
        String format = wanted.getOrDefault("format", "");
        return !wanted.containsKey("line")
                && !wanted.containsKey("class")
                && wildcard(wanted.getOrDefault("module", "*"), Site.MODULE)
                && wildcard(wanted.getOrDefault("func", "*"), site.function)
                && (wildcard(file, Site.FILE) || wildcard(file, "params.c"))
                && formatMatches(unescaped(format), site.format);
    }

    private static boolean formatMatches(String wanted, String format) {
        return wanted.startsWith("^")
                ? format.startsWith(wanted.substring(1))
                : format.contains(wanted);
    }

    private static String unescaped(String text) {
        return java.util.regex.Pattern.compile("\\\\([0-7]{3})")
                .matcher(text)
                .replaceAll(
                        match ->
                                java.util.regex.Matcher.quoteReplacement(
                                        String.valueOf(
                                                (char)
                                                        (Integer.parseInt(match.group(1), 8)
                                                                & 0xff))));
    }

    /** Whether a pattern with {@code *} and {@code ?} matches all of a text; in linear space. */
    static boolean wildcard(String pattern, String text) {
        int p = 0;
        int t = 0;
        int star = -1;
        int from = 0;
        while (t < text.length()) {
            if (p < pattern.length() && pattern.charAt(p) == '*') {
                star = p++;
                from = t;
            } else if (p < pattern.length()
                    && (pattern.charAt(p) == '?' || pattern.charAt(p) == text.charAt(t))) {
                p++;
                t++;
            } else if (star >= 0) {
                p = star + 1;
                t = ++from;
            } else {
                return false;
            }
        }
        while (p < pattern.length() && pattern.charAt(p) == '*') {
            p++;
        }
        return p == pattern.length();
    }
}

package io.github.koloader.elf.kernel;

import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The initcalls of a kernel as far as its symbols tell. Each entry of a table of initcalls has a
 * symbol; its address tells order and level, its name function, sync form and, since 5.12, module:
 *
 * <pre>
 * __initcall__kmod_loop__423_2271_loop_init6     since 5.12: module, counter, line, function, id
 * __initcall_loop_init6                          before: function, id
 * </pre>
 *
 * <p>The level is that of the part of the table that the entry lies in, between {@code
 * __initcall6_start} and {@code __initcall7_start}; that is what the kernel goes by. Only without
 * such bounds it is that of the id. Immutable.
 *
 * @kernel include/linux/init.h, ___define_initcall(); include/asm-generic/vmlinux.lds.h, INIT_CALLS
 */
public final class InitcallSymbols {
    private static final String ENTRY = "__initcall_";
    private static final String STUB = "__initstub_";
    private static final String WITH_MODULE = "_kmod_";
    private static final int MOST = 100_000; // a kernel has some 3,000 at most
    private static final int LONGEST_NAME = 1024; // KSYM_NAME_LEN is 512 at most
    private static final int MOST_READINGS = 4; // where a module's name looks like a place
    private static final Pattern PLACE = Pattern.compile("__\\d+_\\d+_(?=.)");
    private static final Pattern BOUND =
            Pattern.compile("__(?:con_|security_)?initcall(?:\\d|rootfs)?_(?:start|end)");

    /** What ends each part of the table of levels, and what begins the next. */
    private static final List<String> LEVELS =
            List.of(
                    "__initcall_start",
                    "__initcall0_start",
                    "__initcall1_start",
                    "__initcall2_start",
                    "__initcall3_start",
                    "__initcall4_start",
                    "__initcall5_start",
                    "__initcallrootfs_start",
                    "__initcall6_start",
                    "__initcall7_start");

    private final List<Initcall> initcalls;
    private final List<String> unknown;

    private InitcallSymbols(List<Initcall> initcalls, List<String> unknown) {
        this.initcalls = List.copyOf(initcalls);
        this.unknown = List.copyOf(unknown);
    }

    /**
     * Looks for initcalls.
     *
     * @param table all symbols of a kernel, in any order
     * @return its initcalls; none, if there are no symbols of entries
     */
    public static InitcallSymbols of(KernelSymbolTable table) {
        return new Search(table).run();
    }

    /**
     * {@return the initcalls in running order} The address of a function is 0 where no symbol, or
     * more than one, has its name.
     */
    public List<Initcall> initcalls() {
        return initcalls;
    }

    /** {@return what could not be found out, one sentence each, with the reason} */
    public List<String> unknown() {
        return unknown;
    }

    /**
     * A part of the tables.
     *
     * @param start address of its first entry
     * @param end address behind its last entry
     * @param levels what its entries may be registered for, the likeliest first
     */
    private record Part(Address start, Address end, List<InitcallLevel> levels) {
        boolean has(Address address) {
            return address.compareTo(start) >= 0 && address.compareTo(end) < 0;
        }
    }

    /** What the name of an entry may mean. */
    private record Reading(String function, Optional<String> module) {}

    private static final class Search {
        private final KernelSymbolTable table;
        private final Map<String, Address> functions = new HashMap<>();
        private final Map<String, Address> stubs = new HashMap<>();
        private final List<Initcall> initcalls = new ArrayList<>();
        private final List<String> unknown = new ArrayList<>();
        private int strays;
        private int contradictions;

        Search(KernelSymbolTable table) {
            this.table = table;
        }

        InitcallSymbols run() {
            int[] entries = entries();
            if (entries.length > MOST) {
                unknown.add(
                        "Initcalls: %d symbols __initcall_… are too many for a kernel."
                                .formatted(entries.length));
                return new InitcallSymbols(List.of(), unknown);
            }
            if (entries.length == 0) {
                unknown.add(
                        "Initcalls: there are no symbols __initcall_…; a /proc/kallsyms of a kernel"
                                + " without CONFIG_KALLSYMS_ALL has none.");
                return new InitcallSymbols(List.of(), unknown);
            }
            if (Arrays.stream(entries).allMatch(entry -> table.address(entry).isNull())) {
                unknown.add(
                        "Initcalls: all addresses are 0, as /proc/kallsyms shows them to"
                                + " users other than root.");
                return new InitcallSymbols(List.of(), unknown);
            }
            findFunctions(entries);
            List<Part> parts = parts();
            if (parts.isEmpty()) {
                withoutBounds(entries);
            } else {
                betweenBounds(entries, parts);
            }
            say(
                    strays,
                    "Initcalls: %d symbols __initcall_… count as no entries: they lie outside of the"
                            + " tables, or where another one lies.");
            say(
                    contradictions,
                    "Initcalls: why %d entries have another id in their names than the level that they lie in.");
            say(
                    initcalls.stream().filter(call -> call.function().isNull()).count(),
                    "Initcalls: addresses of %d functions: no symbol, or more than one, has the name.");
            say(
                    initcalls.stream().filter(call -> call.module().isEmpty()).count(),
                    "Initcalls: modules of %d calls: their symbols name none, as before 5.12.");
            return new InitcallSymbols(initcalls, unknown);
        }

        private void say(long count, String sentence) {
            if (count > 0) {
                unknown.add(sentence.formatted(count));
            }
        }

        /** Indexes of the entries' symbols by address; of several at one place, the first. */
        private int[] entries() {
            List<Integer> found = new ArrayList<>();
            for (int i = 0; i < table.count(); i++) {
                String name = table.name(i);
                if (name.startsWith(ENTRY)
                        && name.length() > ENTRY.length()
                        && !BOUND.matcher(name).matches()) {
                    found.add(i);
                }
            }
            if (found.size() <= MOST) {
                found.sort(Comparator.comparing(table::address));
            }
            return found.stream().mapToInt(Integer::intValue).toArray();
        }

        /** Addresses of all functions that entries may lead to, and of stubs; 0 if not unique. */
        private void findFunctions(int[] entries) {
            Set<String> wanted = new HashSet<>();
            for (int entry : entries) {
                for (Reading reading : readings(table.name(entry))) {
                    wanted.add(reading.function());
                    for (InitcallLevel level : InitcallLevel.values()) {
                        without(reading.function(), level).ifPresent(wanted::add);
                    }
                }
            }
            Map<String, Address> descriptors = new HashMap<>();
            for (int i = 0; i < table.count(); i++) {
                String name = table.name(i);
                Address address = table.address(i);
                if (wanted.contains(name)) {
                    boolean code = "tTwW".indexOf(table.letter(i)) >= 0;
                    (code ? functions : descriptors)
                            .merge(
                                    name,
                                    address,
                                    (one, other) -> one.equals(other) ? one : Address.NULL);
                } else if (name.startsWith(STUB)) {
                    stubs.put(name.substring(STUB.length()), address);
                }
            }
            descriptors.forEach(functions::putIfAbsent);
        }

        /** The parts of the tables, in running order; none if there are no bounds. */
        private List<Part> parts() {
            List<Part> parts = new ArrayList<>();
            part(
                    "__con_initcall_start",
                    "__con_initcall_end",
                    List.of(InitcallLevel.CONSOLE),
                    parts);
            part(
                    "__security_initcall_start",
                    "__security_initcall_end",
                    List.of(InitcallLevel.SECURITY),
                    parts);
            int consoles = parts.size();
            for (int i = 0; i < LEVELS.size(); i++) {
                if (table.address(LEVELS.get(i)).isPresent()) {
                    int next = i + 1;
                    while (next < LEVELS.size() && table.address(LEVELS.get(next)).isEmpty()) {
                        next++;
                    }
                    String end = next < LEVELS.size() ? LEVELS.get(next) : "__initcall_end";
                    part(LEVELS.get(i), end, levels(i, next), parts);
                }
            }
            return parts.size() == consoles ? List.of() : parts;
        }

        private void part(String start, String end, List<InitcallLevel> levels, List<Part> parts) {
            Address from = table.address(start).orElse(null);
            Address to = table.address(end).orElse(null);
            if (from != null && to != null) {
                parts.add(new Part(from, to, levels));
            }
        }

        /** Levels of the parts from one bound up to another. */
        private static List<InitcallLevel> levels(int from, int to) {
            List<InitcallLevel> levels = new ArrayList<>();
            for (String bound : LEVELS.subList(from, to)) {
                String id =
                        bound.substring("__initcall".length(), bound.length() - "_start".length());
                for (InitcallLevel level : InitcallLevel.values()) {
                    boolean here =
                            id.isEmpty()
                                    ? level == InitcallLevel.EARLY
                                    : level.id().equals(id) || level.id().equals(id + "s");
                    if (here) {
                        levels.add(level);
                    }
                }
            }
            return levels;
        }

        private void betweenBounds(int[] entries, List<Part> parts) {
            BitSet used = new BitSet();
            for (Part part : parts) {
                Address last = null;
                for (int i = 0; i < entries.length; i++) {
                    Address address = table.address(entries[i]);
                    if (part.has(address) && !address.equals(last)) {
                        initcalls.add(initcall(table.name(entries[i]), part.levels()));
                        used.set(i);
                        last = address;
                    }
                }
            }
            strays = entries.length - used.cardinality();
        }

        private void withoutBounds(int[] entries) {
            unknown.add(
                    "Initcalls: whether levels are those in the symbols' names: there is no"
                            + " __initcall0_start and the like.");
            for (int entry : entries) {
                initcalls.add(initcall(table.name(entry), List.of(InitcallLevel.values())));
            }
            initcalls.sort(Comparator.comparing(Initcall::level)); // stable
        }

        private Initcall initcall(String entry, List<InitcallLevel> levels) {
            Initcall best = null;
            for (Reading reading : readings(entry)) {
                for (InitcallLevel level : levels) {
                    String function = without(reading.function(), level).orElse(null);
                    if (function != null) {
                        Initcall read = initcall(level, function, reading.module(), entry);
                        if (functions.containsKey(function)) {
                            return read;
                        }
                        best = best == null ? read : best;
                    }
                }
                if (mayLackId(levels.get(0)) && functions.containsKey(reading.function())) {
                    return initcall(levels.get(0), reading.function(), reading.module(), entry);
                }
            }
            return best != null ? best : other(entry, levels);
        }

        private Initcall initcall(
                InitcallLevel level, String function, Optional<String> module, String entry) {
            String tail = entry.substring(ENTRY.length());
            Address stub = stubs.get(tail);
            return stub != null
                    ? new Initcall(level, stub, STUB + tail, module)
                    : new Initcall(
                            level,
                            functions.getOrDefault(function, Address.NULL),
                            function,
                            module);
        }

        /** An entry whose name does not end in an id that it may have where it is. */
        private Initcall other(String entry, List<InitcallLevel> levels) {
            Reading reading = readings(entry).get(0);
            InitcallLevel level = levels.get(0);
            if (mayLackId(level)) {
                return initcall(level, reading.function(), reading.module(), entry);
            }
            contradictions++;
            String function =
                    Arrays.stream(InitcallLevel.values())
                            .flatMap(any -> without(reading.function(), any).stream())
                            .filter(functions::containsKey)
                            .findFirst()
                            .orElse(reading.function());
            return initcall(level, function, reading.module(), entry);
        }

        /** Whether names of its entries ended in no id once. */
        private static boolean mayLackId(InitcallLevel level) {
            return level == InitcallLevel.CONSOLE || level == InitcallLevel.SECURITY;
        }

        /** What the name of an entry may mean, with the id still at the end of the function. */
        private static List<Reading> readings(String entry) {
            String text = entry.substring(ENTRY.length());
            List<Reading> readings = new ArrayList<>();
            boolean named = text.startsWith(WITH_MODULE) && text.length() <= LONGEST_NAME;
            Matcher place = PLACE.matcher(text);
            int from = WITH_MODULE.length() + 1; // a module's name is not empty
            while (named
                    && readings.size() < MOST_READINGS
                    && from <= text.length()
                    && place.find(from)) {
                String module = text.substring(WITH_MODULE.length(), place.start());
                readings.add(new Reading(text.substring(place.end()), Optional.of(module)));
                from = place.start() + 1;
            }
            readings.add(new Reading(text, Optional.empty()));
            return readings;
        }

        private static Optional<String> without(String function, InitcallLevel level) {
            int length = function.length() - level.id().length();
            return length > 0 && function.endsWith(level.id())
                    ? Optional.of(function.substring(0, length))
                    : Optional.empty();
        }
    }
}

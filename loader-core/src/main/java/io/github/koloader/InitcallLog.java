package io.github.koloader;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a kernel booted with {@code initcall_debug} has logged of its initcalls. A call is two
 * lines, and only the first has the process id:
 *
 * <pre>
 * calling  loop_init+0x0/0x109 @ 1
 * initcall loop_init+0x0/0x109 returned 0 after 5031 usecs
 * </pre>
 *
 * <p>Lines may be as {@code dmesg} prints them, with whatever options but for colours, as the
 * console got them, as {@code journalctl -k} has kept them, or read from {@code /dev/kmsg}. All
 * others are passed over; so are those of probes. Immutable.
 *
 * @kernel init/main.c, trace_initcall_start_cb(), trace_initcall_finish_cb()
 */
public final class InitcallLog {
    /**
     * A call.
     *
     * @param function name of the function, without offset and size; an address where the kernel
     *     knew no name
     * @param module the loaded module it belongs to; empty if it is built in
     * @param pid id of the process that ran it: 0 before there are processes, 1 at boot, that of a
     *     loader of modules later; empty if the line is not in the log
     * @param calledAt microseconds from power-on to the call, if the log has them
     * @param result what it returned; empty if it did not, or the line is not in the log
     * @param duration microseconds, as the kernel measured them, never negative; empty as the
     *     result is
     * @param blacklisted whether {@code initcall_blacklist=} kept it from being called
     * @param complaint what the kernel found wrong afterwards, such as {@code preemption
     *     imbalance}; empty if nothing
     */
    public record Call(
            String function,
            Optional<String> module,
            OptionalInt pid,
            OptionalLong calledAt,
            OptionalInt result,
            OptionalLong duration,
            boolean blacklisted,
            String complaint) {
        /**
         * Checks for nulls.
         *
         * @param function name of the function
         * @param module the loaded module it belongs to
         * @param pid id of the process that ran it
         * @param calledAt microseconds from power-on to the call
         * @param result what it returned
         * @param duration microseconds
         * @param blacklisted whether it was kept from being called
         * @param complaint what the kernel found wrong afterwards
         */
        public Call {
            requireNonNull(function);
            requireNonNull(module);
            requireNonNull(pid);
            requireNonNull(calledAt);
            requireNonNull(result);
            requireNonNull(duration);
            requireNonNull(complaint);
        }

        /** {@return whether it returned, and something other than 0} */
        public boolean failed() {
            return result.isPresent() && result.getAsInt() != 0;
        }
    }

    private static final int LARGEST = 128 << 20;
    private static final Pattern TIME =
            Pattern.compile("\\[ *+(\\d{1,12})\\.(\\d{1,6})\\d*+(?: <[^>]*+>)?+\\]");
    private static final Pattern KMSG = Pattern.compile("\\d{1,6},\\d{1,20},(\\d{1,18}),[^;]*+;");
    private static final Pattern FACILITY = // dmesg --decode
            Pattern.compile("(?:<\\d{1,3}>)?+[a-z0-9]{1,8} *+:[a-z]{1,8} *+:");
    private static final Pattern CALLING = Pattern.compile("calling {1,2}(.+) @ (\\d{1,9})");
    private static final Pattern RETURNED =
            Pattern.compile("initcall (.+) returned (-?\\d{1,10}) after (-?\\d{1,18}) usecs");
    private static final Pattern COMPLAINT = Pattern.compile("initcall (.+) returned with (.+)");
    private static final Pattern BLACKLISTED = Pattern.compile("initcall (\\S+) blacklisted");

    /** What link-time optimisation calls instead: function and id of the level are at the end. */
    private static final Pattern STUB = Pattern.compile("__initstub__kmod_.+?__\\d+_\\d+_(.+)");

    private final List<Call> calls;

    private InitcallLog(List<Call> calls) {
        this.calls = calls;
    }

    /**
     * Reads a file with a log.
     *
     * @param file what {@code dmesg} and the like have printed
     * @return its calls; none, if it was not written with {@code initcall_debug}
     * @throws IOException if it cannot be read or is larger than 128 MiB
     */
    public static InitcallLog read(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(LARGEST);
            if (bytes.length == LARGEST && in.read() >= 0) {
                throw new IOException(file + ": more than " + LARGEST + " bytes");
            }
            return parse(new String(bytes, ISO_8859_1));
        }
    }

    /**
     * Reads a log.
     *
     * @param text lines of a kernel's log, one character a byte
     * @return its calls; none, if it was not written with {@code initcall_debug}
     */
    public static InitcallLog parse(String text) {
        Reader reader = new Reader();
        int start = 0;
        while (start < text.length()) {
            int newline = text.indexOf('\n', start);
            int end = newline < 0 ? text.length() : newline;
            if (end - start <= Reader.LONGEST) {
                reader.line(text.substring(start, end));
            }
            start = end + 1;
        }
        return new InitcallLog(reader.calls());
    }

    /**
     * {@return all calls, in the order in which they were made; one whose first line is not in the
     * log, in the order in which it returned}
     */
    public List<Call> calls() {
        return calls;
    }

    /**
     * Finds the calls of built-in functions. Of several of one name the first in the list is the
     * first in the log, and so on.
     *
     * @param initcalls initcalls of the kernel that has written the log, in running order
     * @return for each of them its call, or empty if the log has none
     */
    public List<Optional<Call>> callsOf(List<Initcall> initcalls) {
        Map<String, Deque<Call>> byName = new HashMap<>();
        for (Call call : calls) {
            if (call.module().isEmpty()) {
                byName.computeIfAbsent(withoutStub(call.function()), name -> new ArrayDeque<>())
                        .add(call);
            }
        }
        List<Optional<Call>> found = new ArrayList<>();
        for (Initcall initcall : initcalls) {
            Call call = poll(byName, withoutStub(initcall.title()));
            if (call == null) { // the kernel called a stub, and the list has the function
                call = poll(byName, initcall.name() + initcall.level().id());
            }
            found.add(Optional.ofNullable(call));
        }
        return found;
    }

    private static @Nullable Call poll(Map<String, Deque<Call>> calls, String name) {
        Deque<Call> waiting = calls.get(name);
        return waiting == null ? null : waiting.poll();
    }

    private static String withoutStub(String name) {
        Matcher stub = STUB.matcher(name);
        return stub.matches() ? stub.group(1) : name;
    }

    /** Puts the lines of a call together. */
    private static final class Reader {
        /** The kernel's own limit for a line is 1,024, without what is put before it. */
        static final int LONGEST = 4096;

        private final List<Draft> drafts = new ArrayList<>();
        private final Map<String, Deque<Draft>> open = new HashMap<>();
        private final Map<String, Draft> finished = new HashMap<>();

        List<Call> calls() {
            return drafts.stream().map(Draft::call).toList();
        }

        void line(String line) {
            String message = line.stripTrailing();
            for (int at = message.indexOf("call"); at >= 0; at = message.indexOf("call", at + 1)) {
                int start = message.startsWith("calling ", at) ? at : at - "init".length();
                boolean found = start == at || start >= 0 && message.startsWith("initcall ", start);
                if (found && endsAPrefix(message, start)) {
                    message(message.substring(start), message.substring(0, start));
                    return;
                }
            }
        }

        /**
         * Whether a message may begin here: at the start of the line, or behind what programs put
         * before it: priority, facility, date and host, time, caller.
         */
        private static boolean endsAPrefix(String line, int end) {
            String prefix = line.substring(0, end).strip();
            return prefix.isEmpty()
                    || prefix.endsWith("]")
                    || prefix.endsWith(">")
                    || prefix.endsWith(" kernel:")
                    || FACILITY.matcher(prefix).matches()
                    || KMSG.matcher(prefix).matches();
        }

        private void message(String message, String prefix) {
            Matcher calling = CALLING.matcher(message);
            Matcher returned = RETURNED.matcher(message);
            Matcher complaint = COMPLAINT.matcher(message);
            Matcher blacklisted = BLACKLISTED.matcher(message);
            if (calling.matches()) {
                Draft call = begin(calling.group(1));
                call.pid = OptionalInt.of(Integer.parseInt(calling.group(2)));
                call.calledAt = time(prefix);
                open.computeIfAbsent(call.symbol, name -> new ArrayDeque<>()).push(call);
            } else if (returned.matches()) {
                long result = Long.parseLong(returned.group(2));
                if (result == (int) result) {
                    long duration = Math.max(0, Long.parseLong(returned.group(3)));
                    end(returned.group(1), (int) result, duration);
                }
            } else if (complaint.matches()) {
                Draft call = finished.get(complaint.group(1));
                if (call != null) { // else of a call that is not in the log
                    call.complaint = complaint.group(2);
                }
            } else if (blacklisted.matches()) {
                begin(blacklisted.group(1)).blacklisted = true;
            }
        }

        private Draft begin(String symbol) {
            Draft call = new Draft(symbol);
            drafts.add(call);
            return call;
        }

        private void end(String symbol, int result, long duration) {
            Draft call = Optional.ofNullable(open.get(symbol)).map(Deque::poll).orElse(null);
            if (call == null) {
                call = begin(symbol);
            }
            call.result = OptionalInt.of(result);
            call.duration = OptionalLong.of(duration);
            finished.put(symbol, call);
        }

        private static OptionalLong time(String prefix) {
            Matcher record = KMSG.matcher(prefix);
            if (record.lookingAt()) {
                return OptionalLong.of(Long.parseLong(record.group(1)));
            }
            OptionalLong last = OptionalLong.empty();
            for (Matcher time = TIME.matcher(prefix); time.find(); ) {
                String fraction = (time.group(2) + "00000").substring(0, 6);
                last =
                        OptionalLong.of(
                                Long.parseLong(time.group(1)) * 1_000_000
                                        + Long.parseLong(fraction));
            }
            return last;
        }
    }

    /** A call of which not all lines have been read yet. */
    private static final class Draft {
        /** As in the log: {@code f+0x0/0x10 [m]}. */
        final String symbol;

        OptionalInt pid = OptionalInt.empty();
        OptionalLong calledAt = OptionalLong.empty();
        OptionalInt result = OptionalInt.empty();
        OptionalLong duration = OptionalLong.empty();
        boolean blacklisted;
        String complaint = "";

        Draft(String symbol) {
            this.symbol = symbol;
        }

        Call call() {
            int offset = symbol.indexOf("+0x");
            int bracket = symbol.indexOf(" [");
            int end = offset >= 0 ? offset : bracket >= 0 ? bracket : symbol.length();
            Optional<String> module =
                    bracket >= 0 && symbol.endsWith("]")
                            ? Optional.of(symbol.substring(bracket + 2, symbol.length() - 1))
                            : Optional.empty();
            return new Call(
                    symbol.substring(0, end),
                    module,
                    pid,
                    calledAt,
                    result,
                    duration,
                    blacklisted,
                    complaint);
        }
    }
}

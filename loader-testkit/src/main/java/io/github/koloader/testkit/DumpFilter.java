package io.github.koloader.testkit;

import io.github.koloader.testkit.RecordedLines.Entry;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Takes out of a recorded log what only a real machine can print: dumps of its processor and its
 * stack, which the kernel adds to a warning. The line that says what the warning is about stays.
 *
 * <p>A dump begins with {@code CPU: N … PID: N Comm: …}, {@code WARNING: CPU: …} or the line {@code
 * ------------[ cut here ]------------}; it goes on while lines have the same priority and are of a
 * form that dumps have: indented, registers, {@code Call Trace:} and the like, rows of hexadecimal
 * words.
 */
final class DumpFilter {
    private static final Pattern CPU = Pattern.compile("CPU: \\d+ (UID: \\d+ )?PID: \\d+ Comm: .*");
    private static final Pattern CUT = Pattern.compile("-+\\[ cut here \\]-+");
    private static final Pattern PART =
            Pattern.compile(
                    " .*"
                            + "|Hardware name: .*|Tainted: .*|Modules linked in:.*|Workqueue: .*"
                            + "|Call [Tt]race: ?.*|Backtrace: ?.*|Stack:.*|Code: .*"
                            + "|pstate: .*|pc : .*|lr : .*|sp : .*|psr: .*|PC is at .*|LR is at .*|Flags: .*"
                            + "|[xr]\\d+ ?: .*|[re]?(ip|sp|flags)\\b ?: .*"
                            + "|(CS|DS|FS|GS|CR[0-9]|DR[0-9]): .*"
                            + "|[RE](IP|AX|BX|CX|DX|SI|DI|BP|SP): .*|R\\d\\d: .*"
                            + "|Exception stack\\(.*|[0-9a-f]{1,16}: [ 0-9a-f]*"
                            + "|unwind_backtrace .*|-+\\[ end trace .*");
    private static final Pattern WARNING = Pattern.compile("WARNING: CPU: .*");

    /**
     * What stays and what goes.
     *
     * @param kept lines to compare
     * @param dumps lines of dumps
     * @param warned whether a dump was that of a warning that taints the kernel
     */
    record Filtered(List<Entry> kept, List<Entry> dumps, boolean warned) {}

    private DumpFilter() {}

    /** Separates dumps from the rest. */
    static Filtered filter(List<Entry> lines) {
        List<Entry> kept = new ArrayList<>();
        List<Entry> dumps = new ArrayList<>();
        boolean warned = false;
        int priority = -1; // of the dump that we are in
        for (Entry line : lines) {
            boolean warning = WARNING.matcher(line.text()).matches();
            boolean begins =
                    warning
                            || CPU.matcher(line.text()).matches()
                            || CUT.matcher(line.text()).matches();
            boolean goesOn = line.priority() == priority && PART.matcher(line.text()).matches();
            if (begins || goesOn) {
                priority = line.priority();
                dumps.add(line);
                warned |= warning;
            } else {
                priority = -1;
                kept.add(line);
            }
        }
        return new Filtered(List.copyOf(kept), List.copyOf(dumps), warned);
    }
}

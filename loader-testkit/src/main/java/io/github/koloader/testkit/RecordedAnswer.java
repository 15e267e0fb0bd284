package io.github.koloader.testkit;

import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.KernelLog;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.testkit.RecordedLines.Entry;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Answers for a module's code that is not modelled, such as that of real drivers: as the record
 * implies. Its result is what the recorded errno and the loader's remark about a positive result
 * say; its lines are those recorded ones that are not of a form in which the loader itself speaks.
 * So whatever the loader says and does is still compared.
 */
final class RecordedAnswer {
    private static final Pattern SUSPICIOUS =
            Pattern.compile("do_init_module: '.*'->init suspiciously returned (\\d+), .*");

    /** How the loader speaks. Lines of module code look otherwise. */
    private static final Pattern LOADERS =
            Pattern.compile(
                    SUSPICIOUS.pattern()
                            + "|[^ ]*: loading out-of-tree module taints kernel\\."
                            + "|[^ ]*: module verification failed: .*"
                            + "|[^ ]*: module license .*taints kernel\\."
                            + "|[^ ]*: Unknown symbol .* \\(err -?\\d+\\)"
                            + "|[^ ]*: (disagrees about|no symbol) version .*"
                            + "|[^ ]*: version magic '.*' should be .*"
                            + "|[^ ]*: .*: kernel tainted\\."
                            + "|[^ ]*: module (uses|using|is from|has no|is marked) .*"
                            + "|[^ ]*: exports duplicate symbol .*"
                            + "|[^ ]*: unknown parameter '.*' ignored"
                            + "|[^ ]*: `.*' (invalid|too large) for parameter `.*'"
                            + "|[^ ]*: loading (test module|module not compiled) .*"
                            + "|(module|dyndbg): .*|sysfs: cannot create .*|kobject_add_internal .*"
                            + "|Spectre V2 : System may be vulnerable .*|Lockdown: .*"
                            + "|Disabling lock debugging due to kernel taint"
                            + "|Loading of .* is rejected|Setting dangerous option .*"
                            + "|(Invalid|Only one|Exactly one) .*|ELF Spec violation: .*"
                            + "|Module .* is blacklisted");

    private final List<Entry> lines;
    private final int errno;
    private final KernelLog log;
    private final int logged;

    /**
     * An answer for one step.
     *
     * @param lines what was logged in it, without dumps
     * @param errno what it answered
     * @param log the simulated kernel's log, as it is before the step
     */
    RecordedAnswer(List<Entry> lines, int errno, KernelLog log) {
        this.lines = List.copyOf(lines);
        this.errno = errno;
        this.log = log;
        this.logged = log.entries().size();
    }

    /** Logs the function's lines and answers its result. */
    int call(Call call) {
        ownLines().forEach(call.kernel().log()::add);
        if (call.phase() != Phase.INIT) {
            return 0;
        }
        for (Entry line : lines) {
            Matcher suspicious = SUSPICIOUS.matcher(line.text());
            if (suspicious.matches()) {
                return Integer.parseInt(suspicious.group(1));
            }
        }
        return -errno;
    }

    /** Recorded lines that neither the loader has logged nor could have. */
    private List<LogLine> ownLines() {
        List<LogLine> all = log.entries().stream().map(KernelLog.Entry::line).toList();
        List<Entry> said =
                new ArrayList<>(
                        RecordedLines.of(all.subList(Math.min(logged, all.size()), all.size())));
        List<LogLine> own = new ArrayList<>();
        for (Entry line : lines) {
            if (!said.remove(line) && !LOADERS.matcher(line.text()).matches()) {
                own.add(
                        LogLine.of(
                                LogLevel.values()[line.priority() & 7],
                                DmesgText.unescape(line.text())));
            }
        }
        return own;
    }
}

package io.github.koloader.cli;

import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.InitcallLog;
import io.github.koloader.InitcallLog.Call;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Initcalls in running order, each with what a log tells of it.
 *
 * @param rows the initcalls
 * @param others calls of the log that are of none of them, such as those of loaded modules
 * @param logged whether there is a log
 */
record BootOrder(List<Row> rows, List<Call> others, boolean logged) {
    /**
     * An initcall.
     *
     * @param number its place in running order, from 1
     * @param initcall what is called
     * @param call what the log tells of it
     */
    record Row(int number, Initcall initcall, Optional<Call> call) {
        /** Microseconds that it took; 0 if that is not known. */
        long duration() {
            return call.map(logged -> logged.duration().orElse(0)).orElse(0L);
        }

        boolean failed() {
            return call.map(Call::failed).orElse(false);
        }
    }

    /** Initcalls without a log. */
    static BootOrder of(List<Initcall> initcalls) {
        return of(initcalls, Optional.empty());
    }

    /** Initcalls with the log of a boot of that kernel. */
    static BootOrder of(List<Initcall> initcalls, Optional<InitcallLog> log) {
        List<Optional<Call>> calls =
                log.map(known -> known.callsOf(initcalls))
                        .orElse(Collections.nCopies(initcalls.size(), Optional.empty()));
        List<Row> rows = new ArrayList<>();
        Set<Call> found = Collections.newSetFromMap(new IdentityHashMap<>());
        for (int i = 0; i < initcalls.size(); i++) {
            rows.add(new Row(i + 1, initcalls.get(i), calls.get(i)));
            calls.get(i).ifPresent(found::add);
        }
        List<Call> others =
                log.map(InitcallLog::calls).orElse(List.of()).stream()
                        .filter(call -> !found.contains(call))
                        .toList();
        return new BootOrder(rows, others, log.isPresent());
    }

    /** The initcalls of one level; numbers stay. */
    List<Row> rowsOf(InitcallLevel level) {
        return rows.stream().filter(row -> row.initcall().level() == level).toList();
    }

    /** Microseconds of all of them, no more than fit. */
    static long duration(List<Row> rows) {
        long sum = 0;
        for (Row row : rows) {
            sum = Math.min(Long.MAX_VALUE / 4, sum + Math.min(row.duration(), Long.MAX_VALUE / 4));
        }
        return sum;
    }
}

package io.github.koloader.testkit;

import io.github.koloader.LogLine;
import io.github.koloader.testkit.RecordedLines.Entry;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Lines that reach the log late: a message that the kernel prints without a newline, or one that
 * fills its record, is not there for readers before the next one comes. So it may be recorded with
 * a later step of the case, or after the case and not at all.
 */
final class LateLines {
    private static final Pattern WITHOUT_NEWLINE =
            Pattern.compile(
                    ".*: module is marked as livepatch module, but livepatch support is disabled");

    private static final Pattern VALUE = Pattern.compile("\\bval [0-9a-f]{1,16}\\b");

    private final boolean valuesKnown;
    private final List<Entry> late = new ArrayList<>();
    private int values;

    /**
     * Compares the lines of a case.
     *
     * @param valuesKnown whether values made of addresses, as messages about relocations have them,
     *     are those of the recorded kernel
     */
    LateLines(boolean valuesKnown) {
        this.valuesKnown = valuesKnown;
    }

    /**
     * Compares the lines of a step.
     *
     * @param recorded what was recorded
     * @param logged what the simulated kernel has logged
     * @return the lines that are there for readers, if they are not those recorded
     */
    Optional<List<Entry>> difference(List<Entry> recorded, List<Entry> logged) {
        List<Entry> found = new ArrayList<>(late);
        found.addAll(logged);
        late.clear();
        if (same(found, recorded)) {
            return Optional.empty();
        }
        int last = found.size() - 1;
        if (last >= 0 && mayBeLate(found.get(last)) && same(found.subList(0, last), recorded)) {
            late.add(found.get(last));
            return Optional.empty();
        }
        return Optional.of(found);
    }

    /** Lines that no step of the case has shown. */
    List<Entry> left() {
        return List.copyOf(late);
    }

    /** {@return how many values in lines were not compared, because addresses are not known} */
    int valuesLeftOut() {
        return values;
    }

    private boolean same(List<Entry> found, List<Entry> recorded) {
        if (found.equals(recorded)) {
            return true;
        }
        if (valuesKnown || !masked(found).equals(masked(recorded))) {
            return false;
        }
        values++;
        return true;
    }

    private static List<Entry> masked(List<Entry> lines) {
        return lines.stream()
                .map(
                        line ->
                                new Entry(
                                        line.priority(),
                                        VALUE.matcher(line.text()).replaceAll("val …")))
                .toList();
    }

    private static boolean mayBeLate(Entry line) {
        return WITHOUT_NEWLINE.matcher(line.text()).matches()
                || DmesgText.unescape(line.text()).length()
                        >= LogLine.LIMIT - 32; // the room before 6.3
    }
}

package io.github.koloader.testkit;

import java.util.List;

/**
 * What came of replaying one recording file.
 *
 * @param file its name
 * @param kind what it records: {@code reloc}, {@code vectors} …
 * @param architecture whose
 * @param compared how many records were compared
 * @param identical how many of them were identical in everything recorded
 * @param missing records whose module file is absent, each with what is missing
 * @param differences all differences, in the file's order
 * @param notCompared what was recorded and cannot be known to a model, so was not compared
 * @param sources where what is known of the recorded kernel was taken from
 */
public record ReplayResult(
        String file,
        String kind,
        String architecture,
        int compared,
        int identical,
        List<String> missing,
        List<Difference> differences,
        List<NotCompared> notCompared,
        List<String> sources) {
    /**
     * Copies the lists.
     *
     * @param file its name
     * @param kind what it records: {@code reloc}, {@code vectors} …
     * @param architecture whose
     * @param compared how many records were compared
     * @param identical how many of them were identical in everything recorded
     * @param missing records whose module file is absent, each with what is missing
     * @param differences all differences, in the file's order
     * @param notCompared what was recorded and cannot be known to a model
     * @param sources where what is known of the recorded kernel was taken from
     */
    public ReplayResult {
        missing = List.copyOf(missing);
        differences = List.copyOf(differences);
        notCompared = List.copyOf(notCompared);
        sources = List.copyOf(sources);
    }

    /** {@return number of records that differ} */
    public int different() {
        return compared - identical;
    }

    /** {@return whether something was compared, nothing differs and nothing is missing} */
    public boolean passed() {
        return compared > 0 && differences.isEmpty() && missing.isEmpty();
    }

    /** {@return number of records of which nothing was compared} */
    public int leftOut() {
        return (int) notCompared.stream().filter(NotCompared::isWholeRecord).count();
    }

    /**
     * {@code FILE: KIND ARCH: N compared, N identical, N different, N missing}, and if there are
     * such, {@code ; N things not compared, N whole records among them}.
     */
    @Override
    public String toString() {
        String line =
                "%s: %s %s: %d compared, %d identical, %d different, %d missing"
                        .formatted(
                                file,
                                kind,
                                architecture,
                                compared,
                                identical,
                                different(),
                                missing.size());
        return notCompared.isEmpty()
                ? line
                : "%s; %d things not compared, %d whole records among them"
                        .formatted(line, notCompared.size(), leftOut());
    }
}

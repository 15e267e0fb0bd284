package io.github.koloader.testkit;

import io.github.koloader.testkit.Recording.Kind;
import io.github.koloader.testkit.Recording.Line;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Does again what was recorded of a real kernel, and compares.
 *
 * <pre>{@code
 * ReplayResult result = new Replay(List.of(Path.of("/lib/modules/6.1.0-50-amd64"))).run(Path.of("reloc.jsonl.gz"));
 * assertThat(result.passed()).as(result.toString()).isTrue();
 * }</pre>
 */
public final class Replay {
    private final ModuleFiles files;
    private final ReplayInputs inputs;

    /**
     * A replay that looks for module files below these directories, and in {@code own-*.zip} beside
     * a recording.
     *
     * @param modules release directories ({@code lib/modules/RELEASE}), possibly none
     */
    public Replay(List<Path> modules) {
        this(ReplayOptions.of(modules));
    }

    /**
     * A replay that is told where things are.
     *
     * @param options where to find what recordings need and what does not lie beside them
     */
    public Replay(ReplayOptions options) {
        this.files = new ModuleFiles(options.modules());
        this.inputs = new ReplayInputs(options);
    }

    /**
     * Replays a file.
     *
     * @param file a recording
     * @return what came of it
     * @throws IOException if it or a module file cannot be read, or a record has a kind or a form
     *     that is not known
     */
    public ReplayResult run(Path file) throws IOException {
        return run(Recording.read(file));
    }

    /**
     * Replays a recording.
     *
     * @param recording what to replay
     * @return what came of it
     * @throws IOException if a module file cannot be read, or a record has a form that is not known
     */
    public ReplayResult run(Recording recording) throws IOException {
        TreeSet<String> kinds = new TreeSet<>();
        TreeSet<String> architectures = new TreeSet<>();
        List<String> missing = new ArrayList<>();
        List<Difference> differences = new ArrayList<>();
        List<NotCompared> notCompared = new ArrayList<>();
        Set<String> sources = new LinkedHashSet<>();
        Map<Integer, List<String>> sysfsMissing = new HashMap<>();
        List<Difference> sysfsDifferences = new ArrayList<>();
        if (recording.lines().stream().anyMatch(line -> line.kind() == Kind.SYSFS)) {
            SysfsReplay.run(
                    inputs, recording, sysfsMissing, sysfsDifferences, notCompared, sources);
        }
        int compared = 0;
        int identical = 0;
        for (Line line : recording.lines()) {
            if (line.kind() == Kind.META) {
                continue;
            }
            kinds.add(line.kind().fileKind());
            String architecture = line.text("arch", "");
            if (!architecture.isEmpty()) {
                architectures.add(architecture);
            }
            int missingBefore = missing.size();
            int differencesBefore = differences.size();
            int notComparedBefore = notCompared.size();
            RecordForm.check(recording.path(), line);
            if (line.kind() == Kind.INITCALL) {
                InitcallReplay.Counts counts =
                        InitcallReplay.run(
                                inputs,
                                recording,
                                line,
                                missing,
                                differences,
                                notCompared,
                                sources);
                compared += counts.compared();
                identical += counts.identical();
                continue;
            }
            if (line.kind() == Kind.SYSFS) {
                missing.addAll(sysfsMissing.getOrDefault(line.number(), List.of()));
                List<Difference> own =
                        sysfsDifferences.stream()
                                .filter(found -> found.subject().equals(line.text("module", "")))
                                .toList();
                differences.addAll(own);
                sysfsDifferences.removeAll(own);
            }
            replay(recording, line, missing, differences, notCompared, sources);
            boolean left =
                    notCompared.subList(notComparedBefore, notCompared.size()).stream()
                            .anyMatch(NotCompared::isWholeRecord);
            if (missing.size() == missingBefore && !left) {
                compared++;
                identical += differences.size() == differencesBefore ? 1 : 0;
            }
        }
        differences.addAll(sysfsDifferences); // of modules that have no record
        return new ReplayResult(
                recording.path().toString(),
                kinds.isEmpty() ? "empty" : String.join(",", kinds),
                architectures.isEmpty() ? "?" : String.join(",", architectures),
                compared,
                identical,
                missing,
                differences,
                notCompared,
                List.copyOf(sources));
    }

    private void replay(
            Recording recording,
            Line line,
            List<String> missing,
            List<Difference> differences,
            List<NotCompared> notCompared,
            Set<String> sources)
            throws IOException {
        switch (line.kind()) {
            case META, SYSFS, INITCALL -> {}
            case MODULE -> ModuleReplay.run(files, recording, line, missing, differences);
            case VECTOR -> VectorReplay.run(line, differences);
            case FROB -> FrobReplay.run(line, differences);
            case VENEER -> VeneerReplay.run(line, differences);
            case ALTERNATIVE -> AlternativesReplay.run(line, differences);
            case ERRNO ->
                    ErrnoReplay.run(
                            inputs, recording, line, missing, differences, notCompared, sources);
        }
    }
}

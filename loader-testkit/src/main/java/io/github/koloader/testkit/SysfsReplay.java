package io.github.koloader.testkit;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelLog;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LoadRequest;
import io.github.koloader.Module;
import io.github.koloader.SysfsTree;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.ModuleSignature;
import io.github.koloader.elf.SystemCalls;
import io.github.koloader.elf.TrustedKeys;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.testkit.DumpFilter.Filtered;
import io.github.koloader.testkit.RecordedLines.Entry;
import io.github.koloader.testkit.Recording.Kind;
import io.github.koloader.testkit.Recording.Line;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Loads the modules of a recording of {@code /proc} and {@code /sys} one after the other into one
 * kernel; compares errno, log and line of {@code /proc/modules} after each load; when all are
 * loaded, their directories, files and lines of {@code /proc/kallsyms}; then errno and log of two
 * attempts to remove each, in order of loading and in reverse.
 *
 * <p>Modules that the recorded ones need, or that the recording names as their holders, are loaded
 * as well where the recording has no record of them; nothing is compared for those.
 */
final class SysfsReplay {
    /** One module of the run. */
    private static final class Part {
        final String name;
        final String subject;
        final @Nullable Line line; // none: not recorded
        final Bytes file;
        final ModuleImage image;

        Part(String name, String subject, @Nullable Line line, Bytes file, ModuleImage image) {
            this.name = name;
            this.subject = subject;
            this.line = line;
            this.file = file;
            this.image = image;
        }
    }

    /** What the loader says once a boot, by the taint that comes with it. */
    private static final Map<Taint, Pattern> ONCE =
            Map.of(
                    Taint.OOT_MODULE,
                            Pattern.compile(".*: loading out-of-tree module taints kernel\\."),
                    Taint.UNSIGNED_MODULE, Pattern.compile(".*: module verification failed: .*"),
                    Taint.PROPRIETARY_MODULE,
                            Pattern.compile(".*: module license .*taints kernel\\."),
                    Taint.FORCED_MODULE, Pattern.compile(".*: kernel tainted\\."),
                    Taint.LIVEPATCH, Pattern.compile(".*: tainting kernel with TAINT_LIVEPATCH"),
                    Taint.TEST, Pattern.compile(".*: loading test module taints kernel\\."));

    private final ReplayInputs inputs;
    private final Recording recording;
    private final KernelFacts facts;
    private final List<Line> lines;
    private final Map<Integer, List<String>> missing;
    private final List<Difference> differences;
    private final List<NotCompared> notCompared;

    private final Map<String, Part> parts = new LinkedHashMap<>(); // in order of loading
    private final Map<String, Part> recorded = new LinkedHashMap<>();
    private final Set<String> notFound = new LinkedHashSet<>();
    private final Map<String, Integer> taken = new HashMap<>(); // references by modules' code
    private Optional<Kernel> kernel = Optional.empty();
    private final CodeModel model;
    private @Nullable ModuleImage image;
    private @Nullable RecordedAnswer answer;
    private String subject = "";
    private String step = "";

    private SysfsReplay(
            ReplayInputs inputs,
            Recording recording,
            KernelFacts facts,
            List<Line> lines,
            Map<Integer, List<String>> missing,
            List<Difference> differences,
            List<NotCompared> notCompared) {
        this.inputs = inputs;
        this.recording = recording;
        this.facts = facts;
        this.lines = lines;
        this.missing = missing;
        this.differences = differences;
        this.notCompared = notCompared;
        this.model = new CodeModel(facts, this::unknownCode);
    }

    /**
     * Replays all records of that kind in a recording.
     *
     * @param missing gets what is missing, by number of the line
     */
    static void run(
            ReplayInputs inputs,
            Recording recording,
            Map<Integer, List<String>> missing,
            List<Difference> differences,
            List<NotCompared> notCompared,
            Set<String> sources)
            throws IOException {
        Map<String, List<Line>> kernels = new LinkedHashMap<>();
        for (Line line : recording.lines()) {
            if (line.kind() == Kind.SYSFS) {
                RecordForm.check(recording.path(), line);
                kernels.computeIfAbsent(
                                line.text("arch", "?") + " " + line.text("release", ""),
                                key -> new ArrayList<>())
                        .add(line);
            }
        }
        for (List<Line> lines : kernels.values()) {
            Line first = lines.get(0);
            String name = first.text("arch", "?");
            Optional<Architecture> architecture = Architectures.named(name);
            if (architecture.isEmpty()) {
                lines.forEach(
                        line ->
                                differences.add(
                                        new Difference(
                                                line.text("module", "?"),
                                                "architecture",
                                                name,
                                                "not modelled",
                                                "")));
                continue;
            }
            KernelFacts facts =
                    inputs.facts(recording.path(), architecture.get(), first.text("release", ""));
            sources.addAll(facts.sources());
            new SysfsReplay(inputs, recording, facts, lines, missing, differences, notCompared)
                    .replay();
        }
    }

    private void differ(String what, String recordedValue, String found, String detail) {
        differences.add(
                new Difference(
                        subject,
                        step.isEmpty() ? what : step + ": " + what,
                        recordedValue,
                        found,
                        detail));
    }

    private void notCompared(String what, String reason) {
        notCompared.add(new NotCompared(subject, what, reason));
    }

    /**
     * Loads a module. Where the kernel's certificates are not known, a signature counts as valid if
     * there is one, unless the recorded module is tainted as an unsigned one.
     */
    private SystemCalls.Result initModule(Part part, String parameters) {
        boolean signed = ModuleSignature.of(part.file).isPresent();
        if (facts.keys().isPresent() || !signed) {
            return calls().initModule(part.file.toByteArray(), parameters);
        }
        boolean valid = part.line == null || !files(part).getOrDefault("taint", "").contains("E");
        if (part.line != null) {
            notCompared(
                    "whether its signature is valid",
                    "the kernel's certificates are not known, see --cert: taken as recorded");
        }
        KernelLog log = kernel().log();
        int before = log.entries().size();
        Optional<LoadException> failure = Optional.empty();
        try {
            kernel().load(part.image, new LoadRequest(parameters, false, false, valid));
        } catch (LoadException e) {
            failure = Optional.of(e);
        }
        return new SystemCalls.Result(
                failure.map(LoadException::errnoNumber).orElse(0),
                log.entries().subList(before, log.entries().size()).stream()
                        .map(KernelLog.Entry::line)
                        .toList(),
                failure);
    }

    private SystemCalls calls() {
        return SystemCalls.of(kernel()).trusting(facts.keys().orElse(TrustedKeys.none()));
    }

    private Kernel kernel() {
        return kernel.orElseThrow();
    }

    private void replay() throws IOException {
        gather();
        KernelConfig config = facts.config();
        GuardedAllocator allocator =
                new GuardedAllocator(facts.architecture(), config, facts.moduleStart());
        Map<String, ExportedSymbol> learned = learnedExports();
        kernel =
                Optional.of(
                        Kernel.builder(facts.architecture())
                                .config(config)
                                .symbols(
                                        name ->
                                                Optional.ofNullable(
                                                        facts.exports()
                                                                .getOrDefault(
                                                                        name, learned.get(name))))
                                .strict()
                                .allocator(allocator)
                                .executor(model)
                                .taints(saidBefore())
                                .observer(
                                        (point, module) -> {
                                            ModuleImage current = image;
                                            if (point == Point.RELOCATED && current != null) {
                                                model.relocated(
                                                        new ModuleCode(
                                                                facts.architecture(),
                                                                module,
                                                                current));
                                            }
                                        })
                                .build());
        ShownAddresses shown = shownAddresses();
        for (Part part : recorded.values()) {
            allocator.show(nameOf(part), shown.of(facts, config, part.image));
        }
        parts.values().forEach(this::load);
        takeReferences();
        for (Part part : recorded.values()) {
            subject = part.subject;
            step = "";
            look(part);
        }
        List<Part> order = new ArrayList<>(parts.values());
        remove(order, 0);
        Collections.reverse(order);
        remove(order, 1);
    }

    // ---- which modules ----

    private void gather() throws IOException {
        for (Line line : lines) {
            String name = line.text("module", "");
            Optional<Bytes> file =
                    inputs.module(
                            recording.path(),
                            name.replace('-', '_'),
                            line.text("sha256", "").toLowerCase(Locale.ROOT));
            if (file.isEmpty()) {
                missing.put(
                        line.number(),
                        List.of("%s (SHA-256 %s)".formatted(name, line.text("sha256", "?"))));
                continue;
            }
            try {
                recorded.put(name, part(name, line, file.get()));
            } catch (LoadException e) {
                subject = name;
                differ("file", "a module", "refused: " + e.getMessage(), "");
            }
        }
        for (Part part : recorded.values()) {
            addWithDependencies(part);
        }
        for (Part part : List.copyOf(recorded.values())) {
            for (String holder : holders(part)) {
                if (!parts.containsKey(holder)) {
                    addUnrecorded(holder);
                }
            }
        }
        for (String name : notFound) {
            missing.computeIfAbsent(lines.get(0).number(), key -> new ArrayList<>())
                    .add(name + ": not recorded, but needed by a recorded module");
        }
    }

    private Part part(String name, @Nullable Line line, Bytes file) {
        return new Part(
                name,
                name,
                line,
                file,
                KoReader.of(facts.architecture(), facts.config()).readImage(file));
    }

    private void addWithDependencies(Part part) throws IOException {
        if (parts.containsKey(part.name)) {
            return;
        }
        for (String needed : part.image.modinfo().first("depends").orElse("").split(",", -1)) {
            String name = needed.trim().replace('-', '_');
            if (!name.isEmpty() && !parts.containsKey(name) && !recorded.containsKey(name)) {
                addUnrecorded(name);
            }
        }
        parts.put(part.name, part);
    }

    private void addUnrecorded(String name) throws IOException {
        Optional<Bytes> file = inputs.dependency(recording.path(), facts, name);
        if (file.isEmpty()) {
            notFound.add(name);
        } else {
            addWithDependencies(part(name, null, file.get()));
        }
    }

    private static List<String> holders(Part part) {
        List<String> names = new ArrayList<>();
        for (JsonElement entry : directory(part, "holders")) {
            names.add(entry.getAsJsonArray().get(0).getAsString());
        }
        return names;
    }

    private static JsonObject json(Part part) {
        Line line = part.line;
        if (line == null) {
            throw new AssertionError("only asked of recorded modules");
        }
        return line.json();
    }

    /** What a recorded module's directory has in it; nothing if the record leaves it out. */
    private static JsonArray directory(Part part, String name) {
        JsonObject json = json(part);
        JsonElement directory = json.has("dirs") ? json.getAsJsonObject("dirs").get(name) : null;
        return directory == null ? new JsonArray() : directory.getAsJsonArray();
    }

    private static Map<String, String> files(Part part) {
        Map<String, String> files = new LinkedHashMap<>();
        if (json(part).has("files")) {
            json(part)
                    .getAsJsonObject("files")
                    .entrySet()
                    .forEach(entry -> files.put(entry.getKey(), entry.getValue().getAsString()));
        }
        return files;
    }

    /**
     * Where no {@code Module.symvers} is at hand: what the modules of the run import and none of
     * them exports.
     */
    private Map<String, ExportedSymbol> learnedExports() {
        if (facts.exportsComplete()) {
            return Map.of();
        }
        List<ModuleImage> images = parts.values().stream().map(part -> part.image).toList();
        return ReplayInputs.importsOf(images, facts);
    }

    /**
     * What the kernel has said to modules that this recording, which may be a part of a boot, does
     * not have: whatever it says once a boot and no record shows.
     */
    private Set<Taint> saidBefore() {
        EnumSet<Taint> before = EnumSet.noneOf(Taint.class);
        ONCE.forEach(
                (taint, pattern) -> {
                    if (lines.stream()
                            .flatMap(
                                    line ->
                                            RecordedLines.of(line.json().getAsJsonObject("load"))
                                                    .stream())
                            .noneMatch(entry -> pattern.matcher(entry.text()).matches())) {
                        before.add(taint);
                    }
                });
        return before;
    }

    private ShownAddresses shownAddresses() {
        ShownAddresses shown = new ShownAddresses();
        for (Part part : recorded.values()) {
            JsonObject load = json(part).getAsJsonObject("load");
            if (load.has("proc_modules")) {
                shown.line(load.get("proc_modules").getAsString());
            }
            if (json(part).has("kallsyms")) {
                json(part)
                        .getAsJsonArray("kallsyms")
                        .forEach(line -> shown.line(line.getAsString()));
            }
            files(part)
                    .forEach(
                            (name, text) -> {
                                if (name.startsWith("sections/")
                                        && text.strip().matches("0x[0-9a-f]{1,16}")) {
                                    shown.section(
                                            part.name,
                                            name.substring(9),
                                            Address.parse(text.strip()));
                                }
                            });
        }
        return shown;
    }

    // ---- loading ----

    private void load(Part part) {
        subject = part.subject;
        step = "load";
        image = part.image;
        try {
            if (part.line == null) {
                loadUnrecorded(part);
            } else {
                loadRecorded(part);
            }
        } finally {
            image = null;
        }
    }

    private void loadUnrecorded(Part part) {
        answer = null;
        call(() -> initModule(part, ""))
                .filter(result -> !result.ok())
                .ifPresent(
                        result ->
                                differ(
                                        "module that is not recorded",
                                        "loaded",
                                        "refused: " + reason(result),
                                        ""));
    }

    private void loadRecorded(Part part) {
        KernelLog log = kernel().log();
        int before = log.entries().size();
        JsonObject load = json(part).getAsJsonObject("load");
        int errno = load.get("errno").getAsInt();
        Filtered expected = filtered(load);
        answer = new RecordedAnswer(expected.kept(), errno, log);
        String parameters =
                json(part).has("params")
                        ? DmesgText.unescape(json(part).get("params").getAsString())
                        : "";
        call(() -> initModule(part, parameters)).ifPresent(result -> compareErrno(errno, result));
        compareLog(expected, before);
        if (load.has("proc_modules")) {
            compare("/proc/modules", load.get("proc_modules").getAsString(), procModules(part));
        }
    }

    /** Does a call; nothing comes of one that ends in a fault, which is a difference. */
    private Optional<SystemCalls.Result> call(Supplier<SystemCalls.Result> action) {
        try {
            return Optional.of(action.get());
        } catch (AddressFaultException | ModelFaultException e) {
            differ("fault", "none", String.valueOf(e.getMessage()), "");
        } catch (RuntimeException e) { // a mistake of ours, which is what a replay is to find
            differ("exception", "none", e.toString(), String.valueOf(e.getStackTrace()[0]));
        }
        return Optional.empty();
    }

    private void compareErrno(int errno, SystemCalls.Result result) {
        if (errno != result.errno()) {
            differ(
                    "errno",
                    Integer.toString(errno),
                    Integer.toString(result.errno()),
                    reason(result));
        }
    }

    private static String reason(SystemCalls.Result result) {
        return result.failure().map(e -> String.valueOf(e.getMessage())).orElse("");
    }

    private static String nameOf(Part part) {
        return part.image.thisModule().map(structure -> structure.name()).orElse(part.name);
    }

    private String procModules(Part part) {
        for (String line : kernel().procModules().split("\n", -1)) {
            if (line.startsWith(nameOf(part) + " ")) {
                return line.stripTrailing();
            }
        }
        return "no line";
    }

    private Filtered filtered(JsonObject json) {
        Filtered filtered = DumpFilter.filter(RecordedLines.of(json));
        if (!filtered.dumps().isEmpty()) {
            notCompared(
                    "%s: %d lines of a dump".formatted(step, filtered.dumps().size()),
                    "processor and stack of the recorded machine");
        }
        return filtered;
    }

    private void compareLog(Filtered expected, int before) {
        KernelLog log = kernel().log();
        List<Entry> found =
                RecordedLines.of(
                        log.entries().subList(before, log.entries().size()).stream()
                                .map(KernelLog.Entry::line)
                                .toList());
        if (!found.equals(expected.kept())) {
            differ("log", expected.kept().toString(), found.toString(), "");
        }
    }

    private void compare(String what, String expected, String found) {
        if (!expected.equals(found)) {
            differ(
                    what,
                    '"' + DmesgText.escape(expected) + '"',
                    '"' + DmesgText.escape(found) + '"',
                    "");
        }
    }

    /** A parameter's own getter is not modelled. */
    private static final class GetterException extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    private int unknownCode(Call call, String reason) {
        if (call.phase() == Phase.GET_PARAMETER) {
            throw new GetterException();
        }
        RecordedAnswer recordedAnswer = answer;
        if (recordedAnswer == null) {
            return 0; // a module that is not recorded: nothing of it is compared
        }
        notCompared(
                "%s: what %s returns and prints"
                        .formatted(step, call.phase().name().toLowerCase(Locale.ROOT)),
                "its code is not modelled: " + reason);
        return recordedAnswer.call(call);
    }

    /**
     * References that code of modules holds, such as that of users of an algorithm, show in the
     * recorded count only: those that are neither users nor explained otherwise are taken.
     */
    private void takeReferences() {
        for (Part part : recorded.values()) {
            String count = files(part).getOrDefault("refcnt", "").strip();
            Optional<Module> module = kernel().module(nameOf(part));
            if (module.isEmpty() || !count.matches("[0-9]{1,6}")) {
                continue;
            }
            int held = Integer.parseInt(count) - holders(part).size();
            if (held > 0) {
                subject = part.subject;
                notCompared(
                        "%d of its references".formatted(held),
                        "held by code of modules, which is not run: taken as recorded");
                taken.put(part.name, held);
                for (int i = 0; i < held; i++) {
                    kernel().get(nameOf(part));
                }
            }
        }
    }

    // ---- looking ----

    private void look(Part part) {
        JsonObject json = json(part);
        if (kernel().module(nameOf(part)).isEmpty()) {
            if (json.getAsJsonObject("load").get("errno").getAsInt() == 0) {
                differ("module", "loaded", "not loaded: nothing of it to look at", "");
            }
            return;
        }
        SysfsTree tree = kernel().sysModule();
        String root = nameOf(part);
        if (json.has("dirs")) {
            lookAtDirectories(part, tree, root);
        }
        files(part).forEach((name, text) -> lookAtFile(name, text, tree, root));
        if (json.has("errors")) {
            json.getAsJsonObject("errors")
                    .entrySet()
                    .forEach(
                            entry ->
                                    compare(
                                            "errno of reading " + entry.getKey(),
                                            entry.getValue().getAsString(),
                                            errnoOf(tree, root + "/" + entry.getKey())));
        }
        if (json.has("kallsyms")) {
            lookAtSymbols(part, json.getAsJsonArray("kallsyms"));
        }
    }

    private void lookAtFile(String name, String text, SysfsTree tree, String root) {
        try {
            compare("file " + name, text, tree.text(root + "/" + name));
        } catch (LoadException e) {
            differ("file " + name, text, String.valueOf(e.getMessage()), "");
        } catch (GetterException e) {
            notCompared("file " + name, "the module's code makes it, which is not modelled");
        }
    }

    private static String errnoOf(SysfsTree tree, String path) {
        try {
            tree.read(path);
            return "0";
        } catch (LoadException e) {
            return Integer.toString(e.errnoNumber());
        }
    }

    private void lookAtDirectories(Part part, SysfsTree tree, String root) {
        Set<String> names = new LinkedHashSet<>();
        names.add(".");
        json(part).getAsJsonObject("dirs").keySet().forEach(names::add);
        for (JsonElement entry : directory(part, ".")) {
            if (entry.getAsJsonArray().get(1).getAsString().startsWith("4")) {
                names.add(entry.getAsJsonArray().get(0).getAsString());
            }
        }
        for (String name : names) {
            TreeMap<String, String> expected = new TreeMap<>();
            for (JsonElement element : directory(part, name)) {
                JsonArray entry = element.getAsJsonArray();
                expected.put(
                        entry.get(0).getAsString(),
                        entry.get(1).getAsString() + " " + entry.get(2).getAsString());
            }
            if (name.equals(".") && expected.remove("drivers") != null) {
                notCompared(
                        "directory drivers",
                        "made by code of the module, which is not run: it has registered drivers");
            }
            if (name.equals("drivers")) {
                continue; // said above
            }
            TreeMap<String, String> found = new TreeMap<>();
            try {
                for (SysfsTree.Entry entry :
                        tree.list(name.equals(".") ? root : root + "/" + name)) {
                    found.put(
                            entry.name(), Integer.toOctalString(entry.mode()) + " " + entry.size());
                }
            } catch (LoadException e) {
                differ("directory " + name, expected.toString(), e.toString(), "");
                continue;
            }
            compareEntries(name, expected, found);
        }
    }

    private void compareEntries(
            String directory, Map<String, String> expected, Map<String, String> found) {
        Set<String> names = new java.util.TreeSet<>(expected.keySet());
        names.addAll(found.keySet());
        for (String name : names) {
            String left = expected.getOrDefault(name, "absent");
            String right = found.getOrDefault(name, "absent");
            if (!left.equals(right)) {
                differ("directory %s, entry %s".formatted(directory, name), left, right, "");
            }
        }
    }

    private void lookAtSymbols(Part part, JsonArray expected) {
        Optional<Module> module = kernel().module(nameOf(part));
        String text = module.map(kernel()::kallsyms).orElse("");
        List<String> found = text.isEmpty() ? List.of() : List.of(text.split("\n"));
        int common = Math.min(found.size(), expected.size());
        for (int i = 0; i < common; i++) {
            if (!found.get(i).equals(expected.get(i).getAsString())) {
                compare("kallsyms line " + i, expected.get(i).getAsString(), found.get(i));
                break; // the rest is shifted, or alike
            }
        }
        if (found.size() != expected.size()) {
            differ(
                    "lines of kallsyms",
                    Integer.toString(expected.size()),
                    Integer.toString(found.size()),
                    "");
        }
    }

    // ---- removing ----

    private void remove(List<Part> order, int attempt) {
        for (Part part : order) {
            subject = part.subject;
            step = attempt == 0 ? "first removal" : "second removal";
            JsonArray removals =
                    part.line != null && json(part).has("rm")
                            ? json(part).getAsJsonArray("rm")
                            : new JsonArray();
            if (attempt < removals.size()) {
                remove(part, removals.get(attempt).getAsJsonObject(), attempt);
            } else {
                answer = null;
                call(() -> calls().deleteModule(nameOf(part), SystemCalls.O_NONBLOCK));
            }
        }
    }

    private void remove(Part part, JsonObject removal, int attempt) {
        KernelLog log = kernel().log();
        int before = log.entries().size();
        int errno = removal.get("errno").getAsInt();
        giveBack(part, attempt, errno);
        Filtered expected = filtered(removal);
        answer = new RecordedAnswer(expected.kept(), errno, log);
        call(() -> calls().deleteModule(nameOf(part), SystemCalls.O_NONBLOCK))
                .ifPresent(result -> compareErrno(errno, result));
        compareLog(expected, before);
    }

    /** References that code held are given back by code, before the attempt that succeeds. */
    private void giveBack(Part part, int attempt, int errno) {
        Integer held = taken.get(part.name);
        if (held != null && errno == 0) {
            notCompared(
                    "that attempt %d to remove it succeeds".formatted(attempt + 1),
                    "references that code of modules held are given back as recorded");
            for (int i = 0; i < held; i++) {
                kernel().put(nameOf(part));
            }
            taken.remove(part.name);
        }
    }
}

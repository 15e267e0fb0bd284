package io.github.koloader.testkit;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelLog;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LogLine;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.ModuleSignature;
import io.github.koloader.elf.SystemCalls;
import io.github.koloader.elf.TrustedKeys;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.testkit.DumpFilter.Filtered;
import io.github.koloader.testkit.RecordedLines.Entry;
import io.github.koloader.testkit.Recording.Line;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Does the system calls of one recorded case again, on a kernel of its own, and compares after each
 * step its errno and every line that was logged with its priority, or what was read; and after all
 * of them the kernel's taints.
 *
 * <p>A case begins with the taints that the recorded kernel had; what a kernel says once a boot on
 * the way to those, it has said.
 */
final class ErrnoReplay {
    private final ReplayInputs inputs;
    private final Recording recording;
    private final JsonObject json;
    private final String subject;
    private final List<String> missing;
    private final List<Difference> differences;
    private final List<NotCompared> notCompared;

    private final KernelFacts facts;
    private final Kernel kernel;
    private final GuardedAllocator allocator;
    private final ShownAddresses shown = new ShownAddresses();
    private final CodeModel model;
    private final LateLines late;
    private @Nullable ModuleImage image; // of the load that is being done
    private @Nullable RecordedAnswer answer;
    private String step = "";
    private boolean warned;

    private ErrnoReplay(
            ReplayInputs inputs,
            Recording recording,
            Line line,
            KernelFacts facts,
            KernelConfig config,
            List<String> missing,
            List<Difference> differences,
            List<NotCompared> notCompared) {
        this.inputs = inputs;
        this.recording = recording;
        this.json = line.json();
        this.subject = line.text("case", "line " + line.number());
        this.missing = missing;
        this.differences = differences;
        this.notCompared = notCompared;
        this.facts = facts;
        this.late = new LateLines(facts.valuesKnown());
        this.allocator = new GuardedAllocator(facts.architecture(), config, facts.moduleStart());
        this.model = new CodeModel(facts, this::unknownCode);
        this.kernel =
                Kernel.builder(facts.architecture())
                        .config(config)
                        .symbols(facts.symbols())
                        .strict()
                        .allocator(allocator)
                        .executor(model)
                        .taints(taints(json.get("taint_before").getAsLong()))
                        .observer(
                                (point, module) -> {
                                    ModuleImage current = image;
                                    if (point == Point.RELOCATED && current != null) {
                                        model.relocated(
                                                new ModuleCode(
                                                        facts.architecture(), module, current));
                                    }
                                })
                        .build();
    }

    static void run(
            ReplayInputs inputs,
            Recording recording,
            Line line,
            List<String> missing,
            List<Difference> differences,
            List<NotCompared> notCompared,
            Set<String> sources)
            throws IOException {
        String name = line.text("arch", "?");
        Optional<Architecture> architecture = Architectures.named(name);
        String subject = line.text("case", "line " + line.number());
        if (architecture.isEmpty()) {
            differences.add(new Difference(subject, "architecture", name, "not modelled", ""));
            return;
        }
        KernelFacts facts =
                inputs.facts(recording.path(), architecture.get(), line.text("release", ""));
        sources.addAll(facts.sources());
        Optional<KernelConfig> config = CommandLine.apply(facts.config(), line.text("cmdline", ""));
        if (config.isEmpty()) {
            differences.add(
                    new Difference(
                            subject, "command line", line.text("cmdline", ""), "not modelled", ""));
            return;
        }
        new ErrnoReplay(
                        inputs,
                        recording,
                        line,
                        facts,
                        config.get(),
                        missing,
                        differences,
                        notCompared)
                .replay();
    }

    /** The taints of a mask; bits without a meaning here are left out. */
    static Set<Taint> taints(long mask) {
        EnumSet<Taint> taints = EnumSet.noneOf(Taint.class);
        for (Taint taint : Taint.values()) {
            if ((mask & taint.bit()) != 0) {
                taints.add(taint);
            }
        }
        return taints;
    }

    private void differ(String what, String recorded, String found, String detail) {
        differences.add(
                new Difference(
                        subject,
                        step.isEmpty() ? what : step + ": " + what,
                        recorded,
                        found,
                        detail));
    }

    private void replay() throws IOException {
        Map<String, Bytes> files = new HashMap<>();
        for (JsonElement element : json.getAsJsonArray("steps")) {
            JsonObject current = element.getAsJsonObject();
            if (current.has("lines")) {
                current.getAsJsonArray("lines").forEach(line -> shown.line(line.getAsString()));
            }
            if (current.has("sha256")) {
                String sha256 = current.get("sha256").getAsString();
                Optional<Bytes> file = inputs.zipped(recording.path(), sha256);
                if (file.isEmpty()) {
                    missing.add(
                            "%s: %s (SHA-256 %s)"
                                    .formatted(subject, current.get("file").getAsString(), sha256));
                    return;
                }
                files.put(sha256, file.get());
            }
        }
        if (facts.keys().isEmpty() && files.values().stream().anyMatch(ErrnoReplay::isSigned)) {
            notCompared.add(
                    new NotCompared(
                            subject,
                            NotCompared.WHOLE_RECORD,
                            "a module is signed, and the kernel's certificates are not known: see --cert"));
            return;
        }
        try (SystemCallFiles temporary = new SystemCallFiles()) {
            int number = 0;
            for (JsonElement element : json.getAsJsonArray("steps")) {
                number++;
                JsonObject current = element.getAsJsonObject();
                step = "step " + number + " " + describe(current);
                if (!replay(current, files, temporary)) {
                    return;
                }
            }
        }
        step = "";
        for (Entry line : late.left()) {
            notCompared.add(
                    new NotCompared(
                            subject,
                            "when the line '" + line.text() + "' is there to be read",
                            "a message without newline comes with the next one, after the case"));
        }
        if (late.valuesLeftOut() > 0) {
            notCompared.add(
                    new NotCompared(
                            subject,
                            "values in messages about relocations",
                            "the kernel's addresses are not known: see --system-map"));
        }
        if (json.has("crashed")) {
            differ("the real kernel", json.get("crashed").getAsString(), "went on", "");
            return;
        }
        long recorded = json.get("taint_after").getAsLong();
        long found = kernel.taintMask();
        if (warned && (recorded & Taint.WARN.bit()) != 0 && (found & Taint.WARN.bit()) == 0) {
            notCompared.add(
                    new NotCompared(
                            subject, "taint W", "set by a warning that only a machine has"));
            found |= Taint.WARN.bit();
        }
        if (recorded != found) {
            differ("taint_after", Long.toString(recorded), Long.toString(found), "");
        }
    }

    /** Whether a file has a signature by some key, or may have one that is packed with it. */
    private static boolean isSigned(Bytes file) {
        return file.size() > 0 && file.get(0) == (byte) 0xfd // xz
                || ModuleSignature.of(file).filter(by -> !by.keyId().isEmpty()).isPresent();
    }

    private static String describe(JsonObject step) {
        StringBuilder text = new StringBuilder(step.get("op").getAsString());
        for (String field : List.of("file", "name", "arg", "params", "flags")) {
            if (step.has(field)) {
                String value =
                        step.get(field).isJsonArray()
                                ? step.get(field).toString()
                                : step.get(field).getAsString();
                if (!value.isEmpty()) {
                    text.append(' ')
                            .append(value.length() > 60 ? value.substring(0, 60) + "…" : value);
                }
            }
        }
        return text.toString();
    }

    /** Does one step; whether there is a kernel left to go on with. */
    private boolean replay(JsonObject current, Map<String, Bytes> files, SystemCallFiles temporary)
            throws IOException {
        Filtered recorded = DumpFilter.filter(RecordedLines.of(current));
        warned |= recorded.warned();
        if (!recorded.dumps().isEmpty()) {
            notCompared.add(
                    new NotCompared(
                            subject,
                            "%s: %d lines of a dump".formatted(step, recorded.dumps().size()),
                            "processor and stack of the recorded machine"));
        }
        KernelLog log = kernel.log();
        int before = log.entries().size();
        boolean crashed = json.has("crashed") && !current.has("errno");
        answer =
                new RecordedAnswer(
                        recorded.kept(),
                        current.has("errno") ? current.get("errno").getAsInt() : 0,
                        log);
        Outcome outcome;
        try {
            outcome = perform(current, files, temporary);
        } catch (AddressFaultException | ModelFaultException e) {
            if (!crashed) {
                differ("fault", "none", String.valueOf(e.getMessage()), "");
            }
            return false;
        } catch (RuntimeException e) { // a mistake of ours, which is what a replay is to find
            differ("exception", "none", e.toString(), String.valueOf(e.getStackTrace()[0]));
            return false;
        }
        if (crashed) {
            if (outcome.errno == 0) {
                differ(
                        "the real kernel",
                        json.get("crashed").getAsString(),
                        "success, neither a refusal nor a fault",
                        "");
            }
            return false;
        }
        if (outcome.notModelled != null) {
            differ("step", current.toString(), outcome.notModelled, "");
            return true;
        }
        if (current.has("errno") || outcome.errno != 0) {
            int errno = current.has("errno") ? current.get("errno").getAsInt() : 0;
            if (errno != outcome.errno) {
                differ(
                        "errno",
                        Integer.toString(errno),
                        Integer.toString(outcome.errno),
                        outcome.why);
            }
        }
        if (current.has("content") && outcome.errno == 0) {
            String content = current.get("content").getAsString();
            if (!content.equals(outcome.text)) {
                differ("content", quoted(content), quoted(outcome.text), "");
            }
        }
        if (current.has("lines")) {
            compareLines(current.getAsJsonArray("lines"), outcome.text);
        }
        List<LogLine> logged =
                log.entries().subList(before, log.entries().size()).stream()
                        .map(KernelLog.Entry::line)
                        .toList();
        List<Entry> found = RecordedLines.of(logged);
        late.difference(recorded.kept(), found)
                .ifPresent(
                        shownLines ->
                                differ(
                                        "log",
                                        recorded.kept().toString(),
                                        shownLines.toString(),
                                        ""));
        return true;
    }

    private void compareLines(JsonArray recorded, String text) {
        List<String> lines = new ArrayList<>();
        recorded.forEach(line -> lines.add(line.getAsString()));
        List<String> found = text.isEmpty() ? List.of() : List.of(text.split("\n"));
        if (!lines.equals(found)) {
            differ("lines", lines.toString(), found.toString(), "");
        }
    }

    private static String quoted(String text) {
        return '"' + DmesgText.escape(text) + '"';
    }

    private int unknownCode(io.github.koloader.Executor.Call call, String reason) {
        RecordedAnswer recorded = answer;
        if (recorded == null) {
            throw new ModelFaultException("code that is not modelled runs outside a step");
        }
        notCompared.add(
                new NotCompared(
                        subject,
                        "%s: what %s of %s returns and prints"
                                .formatted(
                                        step,
                                        call.phase().name().toLowerCase(java.util.Locale.ROOT),
                                        call.module().name()),
                        "its code is not modelled: " + reason));
        return recorded.call(call);
    }

    // ---- steps ----

    /** What a step came to. */
    private static final class Outcome {
        final int errno;
        final String text;
        final String why;
        final @Nullable String notModelled;

        private Outcome(int errno, String text, String why, @Nullable String notModelled) {
            this.errno = errno;
            this.text = text;
            this.why = why;
            this.notModelled = notModelled;
        }

        static Outcome of(SystemCalls.Result result) {
            return new Outcome(
                    result.errno(),
                    "",
                    result.failure().map(e -> String.valueOf(e.getMessage())).orElse(""),
                    null);
        }

        static Outcome text(String text) {
            return new Outcome(0, text, "", null);
        }

        static Outcome failed(LoadException e) {
            return new Outcome(e.errnoNumber(), "", String.valueOf(e.getMessage()), null);
        }

        static Outcome notModelled(String why) {
            return new Outcome(0, "", "", why);
        }
    }

    private Outcome perform(JsonObject current, Map<String, Bytes> files, SystemCallFiles temporary)
            throws IOException {
        SystemCalls calls =
                SystemCalls.of(kernel).trusting(facts.keys().orElse(TrustedKeys.none()));
        String operation = current.get("op").getAsString();
        return switch (operation) {
            case "init", "finit" -> load(current, files, temporary, calls);
            case "rm" ->
                    Outcome.of(
                            calls.deleteModule(
                                    DmesgText.unescape(current.get("name").getAsString()),
                                    current.get("flags").getAsInt()));
            case "cat" -> read(arguments(current).get(0));
            case "grep" -> grep(arguments(current));
            case "sys" -> oddCall(arguments(current).get(0), calls, temporary);
            default -> Outcome.notModelled("no such operation is known here");
        };
    }

    private Outcome oddCall(String name, SystemCalls calls, SystemCallFiles temporary)
            throws IOException {
        Optional<Bytes> hello = inputs.dependency(recording.path(), facts, "hello");
        if (hello.isEmpty()) {
            missing.add(subject + ": hello.ko of this kernel, for calls with odd arguments");
            return Outcome.notModelled("no module at hand");
        }
        return new OddCalls(hello.get(), temporary)
                .perform(name, calls)
                .map(Outcome::of)
                .orElseGet(() -> Outcome.notModelled("no such system call is known here"));
    }

    private static List<String> arguments(JsonObject current) {
        List<String> arguments = new ArrayList<>();
        current.getAsJsonArray("arg").forEach(argument -> arguments.add(argument.getAsString()));
        return arguments;
    }

    private Outcome load(
            JsonObject current,
            Map<String, Bytes> files,
            SystemCallFiles temporary,
            SystemCalls calls)
            throws IOException {
        Bytes file = files.get(current.get("sha256").getAsString());
        if (file == null) {
            throw new AssertionError("all files were found before the first step");
        }
        image = parse(file);
        if (image != null) {
            image.thisModule()
                    .ifPresent(
                            structure ->
                                    allocator.show(
                                            structure.name(),
                                            shown.of(facts, kernel.config(), parsed())));
        }
        String parameters =
                current.has("params")
                        ? DmesgText.unescape(current.get("params").getAsString())
                        : "";
        try {
            return Outcome.of(
                    current.get("op").getAsString().equals("init")
                            ? calls.initModule(file.toByteArray(), parameters)
                            : calls.finitModule(
                                    temporary.file(file),
                                    current.get("flags").getAsInt(),
                                    parameters));
        } finally {
            image = null;
        }
    }

    private ModuleImage parsed() {
        ModuleImage current = image;
        if (current == null) {
            throw new AssertionError("only asked with an image");
        }
        return current;
    }

    /** The module in a file, for a look at its code; none if it is not one. */
    private @Nullable ModuleImage parse(Bytes file) {
        try {
            return KoReader.of(facts.architecture(), facts.config()).readImage(file);
        } catch (LoadException e) {
            return null; // the load will say why
        }
    }

    private Outcome read(String path) {
        try {
            return Outcome.text(new KernelFiles(kernel).read(path));
        } catch (LoadException e) {
            return Outcome.failed(e);
        }
    }

    private Outcome grep(List<String> arguments) {
        Outcome file = read(arguments.get(0));
        StringBuilder lines = new StringBuilder();
        for (String line : file.text.split("\n", 0)) {
            if (line.contains(arguments.get(1))) {
                lines.append(line).append('\n');
            }
        }
        return Outcome.text(lines.toString());
    }
}

package io.github.koloader.testkit;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.Kernel;
import io.github.koloader.KernelPanicException;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LoadException;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.VmlinuxReader;
import io.github.koloader.image.Bytes;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.testkit.Recording.Line;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Boots a kernel's image with a recorded command line, and compares what {@code initcall_debug}
 * says with what it said on the real machine. What functions return is taken from the record; which
 * are called, in which order, by which thread, and how they are named is not.
 *
 * <p>Each recorded call counts, and each recorded symbol.
 */
final class InitcallReplay {
    private static final Pattern CALLING = Pattern.compile("calling {2}(.*) @ (-?\\d+)");
    private static final Pattern RETURNED =
            Pattern.compile("initcall (.*) returned (-?\\d+) after \\d+ usecs");
    private static final Pattern OF_MODULE = Pattern.compile(".* \\[(.*)]");

    /** Lines that follow from image, command line and modules; others tell of the machine. */
    private static final Pattern OF_THE_IMAGE =
            Pattern.compile(
                    "((?:Linux version) |(?:Kernel command line:)|(?:Unknown kernel command) "
                            + "|(?:Malformed early option) |(?:Freeing unused (?:kernel|decrypted)) "
                            + "|(?:Write protecting )|(?:Kernel memory protection )"
                            + "|(?:do_init_module: )).*");

    /** Which of those lines the recording has at all: a recording may leave kinds out. */
    private final Set<String> kindsOfLines = new HashSet<>();

    private final ReplayInputs inputs;
    private final Recording recording;
    private final JsonObject json;
    private final List<String> missing;
    private final List<Difference> differences;
    private final List<NotCompared> notCompared;

    /** What functions are to return: by how {@code %pS} prints them, in order of their calls. */
    private final Map<String, Deque<Integer>> returns = new HashMap<>();

    private InitcallReplay(
            ReplayInputs inputs,
            Recording recording,
            Line line,
            List<String> missing,
            List<Difference> differences,
            List<NotCompared> notCompared) {
        this.inputs = inputs;
        this.recording = recording;
        this.json = line.json();
        this.missing = missing;
        this.differences = differences;
        this.notCompared = notCompared;
    }

    /**
     * How much was compared.
     *
     * @param compared recorded calls and symbols
     * @param identical those of them that are the same
     */
    record Counts(int compared, int identical) {}

    static Counts run(
            ReplayInputs inputs,
            Recording recording,
            Line line,
            List<String> missing,
            List<Difference> differences,
            List<NotCompared> notCompared,
            Set<String> sources)
            throws IOException {
        String release = line.text("release", "");
        Optional<Path> image = inputs.kernelImage(release);
        if (image.isEmpty()) {
            missing.add("image of the kernel " + release);
            return new Counts(0, 0);
        }
        sources.add("initcalls, symbols and init memory: " + image.get());
        LinkedKernel linked = VmlinuxReader.read(image.get());
        String found = linked.release().orElse(release); // an image without a version is trusted
        if (!found.equals(release)) {
            throw new IOException(
                    "%s is %s, not the recorded %s".formatted(image.get(), found, release));
        }
        return new InitcallReplay(inputs, recording, line, missing, differences, notCompared)
                .compare(linked);
    }

    /** A call, a return or a line, as it is recorded. */
    private record Event(String kind, String text, int number) {
        @Override
        public String toString() {
            return switch (kind) {
                case "call" -> "call of " + text + " by thread " + number;
                case "ret" -> text + " returned " + number;
                default -> "line '" + text + "'";
            };
        }
    }

    private Counts compare(LinkedKernel linked) throws IOException {
        List<Event> recorded = recordedEvents();
        for (Event event : recorded) {
            if (event.kind().equals("ret")) {
                returns.computeIfAbsent(event.text(), key -> new ArrayDeque<>())
                        .add(event.number());
            }
        }
        Kernel kernel = boot(linked);
        loadModules(kernel, recorded);
        List<Event> found = foundEvents(kernel);
        int same = compareEvents(recorded, found);
        List<String> symbols = recordedSymbols();
        return new Counts(recorded.size() + symbols.size(), same + compareSymbols(linked, symbols));
    }

    private Kernel boot(LinkedKernel linked) throws IOException {
        JsonObject info = json.getAsJsonObject("info");
        JsonElement commandLine = info == null ? null : info.get("/proc/cmdline");
        try {
            Kernel kernel = linked.kernel().executor(this::answer).build();
            kernel.boot(commandLine == null ? "initcall_debug" : commandLine.getAsString().strip());
            return kernel;
        } catch (AddressFaultException | KernelPanicException | IllegalArgumentException e) {
            throw new IOException("the kernel's image does not boot: " + e.getMessage(), e);
        }
    }

    /** Lines of {@code /proc/kallsyms}, without those of modules. */
    private List<String> recordedSymbols() {
        List<String> lines = new ArrayList<>();
        if (json.has("kallsyms")) {
            for (JsonElement element : json.getAsJsonArray("kallsyms")) {
                if (!element.getAsString().endsWith("]")) {
                    lines.add(element.getAsString());
                }
            }
        }
        return lines;
    }

    private List<Event> recordedEvents() {
        List<Event> events = new ArrayList<>();
        for (JsonElement element : json.getAsJsonArray("sequence")) {
            JsonArray fields = element.getAsJsonArray();
            String kind = fields.get(0).getAsString();
            String text = fields.get(1).getAsString();
            if (!kind.equals("log")) {
                events.add(new Event(kind, text, fields.get(2).getAsInt()));
            } else if (OF_THE_IMAGE.matcher(text).matches()) {
                kindsOfLines.add(kindOf(text));
                events.add(new Event(kind, text, 0));
            } else {
                notCompared.add(
                        new NotCompared(
                                "log", "line '" + text + "'", "it tells of the machine that ran"));
            }
        }
        return events;
    }

    private int answer(Call call) {
        if (call.phase() == Phase.SETUP_OPTION) {
            return 1;
        }
        String place = call.kernel().symbolAt(call.entry()).map(Object::toString).orElse("");
        Deque<Integer> left = returns.get(place);
        return left == null || left.isEmpty() ? 0 : left.remove();
    }

    /** Modules that were loaded at the end, each with one call. */
    private void loadModules(Kernel kernel, List<Event> recorded) throws IOException {
        for (Event event : recorded) {
            Matcher matcher = OF_MODULE.matcher(event.text());
            if (!event.kind().equals("call") || !matcher.matches()) {
                continue;
            }
            Optional<Bytes> file =
                    inputs.ownModule(
                            recording.path(),
                            kernel.architecture(),
                            kernel.config().release(),
                            matcher.group(1));
            if (file.isEmpty()) {
                missing.add("module " + matcher.group(1));
                continue;
            }
            try {
                kernel.load(
                        KoReader.of(kernel.architecture(), kernel.config()).readImage(file.get()),
                        "");
            } catch (LoadException e) {
                boolean byInit = returns.containsKey(event.text()) && e.dmesg().isEmpty();
                if (!byInit) {
                    differences.add(
                            new Difference(
                                    matcher.group(1), "load", "its init ran", e.toString(), ""));
                }
            }
        }
    }

    private static String kindOf(String line) {
        Matcher matcher = OF_THE_IMAGE.matcher(line);
        return matcher.matches() ? matcher.group(1) : "";
    }

    private List<Event> foundEvents(Kernel kernel) {
        List<Event> events = new ArrayList<>();
        for (String text : kernel.log().lines()) {
            String line = text.replace("\n", "\\x0a"); // as in a recording
            Matcher calling = CALLING.matcher(line);
            Matcher returned = RETURNED.matcher(line);
            if (calling.matches()) {
                events.add(new Event("call", calling.group(1), Integer.parseInt(calling.group(2))));
            } else if (returned.matches()) {
                events.add(
                        new Event("ret", returned.group(1), Integer.parseInt(returned.group(2))));
            } else if (kindsOfLines.contains(kindOf(line))) {
                events.add(new Event("log", line, 0));
            }
        }
        return events;
    }

    /** Compares what is there at all, then the order of what is on both sides. */
    private int compareEvents(List<Event> recorded, List<Event> found) {
        List<Event> onlyRecorded = without(recorded, found);
        List<Event> onlyFound = without(found, recorded);
        onlyRecorded.forEach(event -> differences.add(difference(event, "recorded", "not found")));
        onlyFound.forEach(event -> differences.add(difference(event, "not recorded", "found")));
        List<Event> left = without(recorded, onlyRecorded);
        List<Event> right = without(found, onlyFound);
        int moved = 0;
        for (int i = 0; i < left.size(); i++) {
            if (!left.get(i).equals(right.get(i))) {
                if (moved++ == 0) {
                    differences.add(
                            new Difference(
                                    "order",
                                    "event " + (i + 1),
                                    left.get(i).toString(),
                                    right.get(i).toString(),
                                    "the first of those that are out of order"));
                }
            }
        }
        return recorded.size() - onlyRecorded.size() - moved;
    }

    private static Difference difference(Event event, String recorded, String found) {
        return new Difference(event.text(), event.toString(), recorded, found, "");
    }

    /** What is in a list more often than in the other, in its order; of equals the last ones. */
    private static List<Event> without(List<Event> events, List<Event> others) {
        Map<Event, Integer> left = new HashMap<>();
        others.forEach(event -> left.merge(event, 1, Integer::sum));
        List<Event> rest = new ArrayList<>();
        for (Event event : events) {
            if (left.merge(event, -1, Integer::sum) < 0) {
                rest.add(event);
            }
        }
        return rest;
    }

    /** Each recorded line of {@code /proc/kallsyms} is in the image, at its address. */
    private int compareSymbols(LinkedKernel linked, List<String> lines) {
        KernelSymbolTable symbols = linked.symbols();
        Map<String, Integer> known = new HashMap<>();
        for (int i = 0; i < symbols.count(); i++) {
            known.merge(
                    symbols.address(i) + " " + symbols.letter(i) + " " + symbols.name(i),
                    1,
                    Integer::sum);
        }
        long shift = shift(symbols, lines);
        int same = 0;
        for (String line : lines) {
            String[] fields = line.split(" ", 3);
            Address address = new Address(Long.parseUnsignedLong(fields[0], 16) - shift);
            String symbol = address + " " + fields[1] + " " + fields[2];
            if (known.merge(symbol, -1, Integer::sum) >= 0) {
                same++;
            } else {
                differences.add(
                        new Difference(
                                fields[2],
                                "symbol",
                                line,
                                symbols.address(fields[2]).map(Object::toString).orElse("none"),
                                ""));
            }
        }
        return same;
    }

    /** How far the recorded kernel was moved at boot. */
    private static long shift(KernelSymbolTable symbols, List<String> lines) {
        for (String line : lines) {
            String[] fields = line.split(" ", 3);
            if (fields[2].equals("_text")) {
                long text = symbols.address("_text").map(Address::value).orElse(0L);
                return text == 0 ? 0 : Long.parseUnsignedLong(fields[0], 16) - text;
            }
        }
        return 0;
    }
}

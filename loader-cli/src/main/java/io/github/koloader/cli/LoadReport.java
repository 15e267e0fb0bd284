package io.github.koloader.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Kernel;
import io.github.koloader.KernelLog;
import io.github.koloader.LoadException;
import io.github.koloader.LoadedSection;
import io.github.koloader.LogLine;
import io.github.koloader.Module;
import io.github.koloader.Taint;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** What became of a load, as text and as JSON. */
final class LoadReport {
    private static final Gson GSON =
            new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().serializeNulls().create();
    private static final int WIDEST_NAME = 40;
    private static final int STUBS_NAMED = 8;

    /**
     * Why a load failed.
     *
     * @param errno name of the error, empty if the file could not be read
     * @param number the error, 0 if the file could not be read
     * @param line what the tool says
     * @param lines what the kernel says
     * @param diagnosis what it means, for people; empty if the line says it all
     * @param status how the tool ends
     */
    record Failure(
            String errno,
            int number,
            String line,
            List<String> lines,
            String diagnosis,
            int status) {
        /** What is printed: the tool's line, and below what it means. */
        String message() {
            return diagnosis.isEmpty() ? line : line + "\n" + diagnosis;
        }
    }

    private final Path file;
    private KernelLog log = new KernelLog(Clock.systemUTC());
    private @Nullable Kernel kernel;
    private String moduleText = "";
    private String removed = "";
    private final JsonObject moduleJson = new JsonObject();
    private @Nullable Failure failure;
    private final Map<String, String> views = new LinkedHashMap<>();
    private final List<String> problems = new ArrayList<>();

    LoadReport(Path file) {
        this.file = file;
    }

    /** Says which kernel it is. */
    void kernel(Kernel newKernel) {
        this.kernel = newKernel;
        this.log = newKernel.log();
    }

    /** Says that the load has succeeded, and takes down how the module is now. */
    void module(Module module, Kernel of) {
        StringBuilder text = new StringBuilder("\n");
        appendSections(text, module, of.architecture().encoding().wordSize());
        text.append('\n');
        appendInit(text, module);
        appendSummary(text, module, of.stubs());
        this.moduleText = text.toString();
        addModule(moduleJson, module, of);
    }

    /** Says that the load has failed. */
    void refused(Path refused, LoadException e, ToolWording wording) {
        failed(
                e,
                wording.notInserted(Output.bytesOf(refused.toString()), e.errnoNumber()),
                wording);
    }

    /** Says that the module was unloaded again. */
    void removed(String name) {
        removed = Output.printable(name) + ": removed\n";
        moduleJson.addProperty("removed", true);
    }

    /** Says that the module could not be unloaded again. */
    void notRemoved(String name, LoadException e, ToolWording wording) {
        failed(e, String.join("\n", wording.notRemoved(name, e.errnoNumber())), wording);
    }

    private void failed(LoadException e, String line, ToolWording wording) {
        if (!loggedAlready(e)) {
            log.addAll(e.lines());
        }
        this.failure =
                new Failure(
                        e.errnoName(),
                        e.errnoNumber(),
                        line,
                        e.lines().stream().map(LogLine::text).toList(),
                        Output.explained(e),
                        wording.status(e.errnoNumber()));
    }

    /** A kernel logs why it refuses a module; what refuses a file before is only told. */
    private boolean loggedAlready(LoadException e) {
        List<KernelLog.Entry> entries = log.entries();
        int from = entries.size() - e.lines().size();
        return from >= 0
                && entries.subList(from, entries.size()).stream()
                        .map(KernelLog.Entry::line)
                        .toList()
                        .equals(e.lines());
    }

    /** Says that a file could not be read. */
    void unreadable(Path unread, IOException e, ToolWording wording) {
        String line = wording.notRead(Output.bytesOf(unread.toString()), Main.reasonOf(e));
        this.failure = new Failure("", 0, line, List.of(), "", 1);
    }

    /** Takes what a file of the kernel's says. */
    void view(String path, String contents) {
        views.put(path, contents);
    }

    /** Says that a file of the kernel's could not be read. */
    void unreadableView(String path, String why) {
        problems.add("cat: " + Output.bytesOf(path) + ": " + why);
    }

    /** What went wrong besides, line by line. */
    List<String> problems() {
        return problems;
    }

    /** Why the load failed; empty if it did not. */
    Optional<Failure> failure() {
        return Optional.ofNullable(failure);
    }

    // ---- text ----

    /** Log, sections, init and summary, one character a byte. */
    String text() {
        StringBuilder text = new StringBuilder(log.dmesg()).append(moduleText);
        text.append(removed);
        views.forEach(
                (path, contents) ->
                        text.append("\n==> ").append(path).append(" <==\n").append(contents));
        return text.toString();
    }

    private static void appendSections(StringBuilder text, Module module, int wordSize) {
        List<LoadedSection> sections = byAddress(module);
        int widest = ".data..percpu".length();
        for (LoadedSection section : sections) {
            widest =
                    Math.max(
                            widest,
                            Math.min(WIDEST_NAME, Output.printable(section.name()).length()));
        }
        int digits = 2 + 2 * wordSize;
        String row = "%-" + widest + "s  %-" + digits + "s  %8s  %-6s%s";
        appendRow(text, row, "section", "address", "size", "rights", "");
        for (LoadedSection section : sections) {
            appendRow(
                    text,
                    row,
                    Output.printable(section.name()),
                    section.address().toString(),
                    String.valueOf(section.size()),
                    section.rights().toString(),
                    section.present() ? "" : "  dropped after init");
        }
        if (module.perCpuBase().isPresent()) {
            appendRow(
                    text,
                    row,
                    ".data..percpu",
                    module.perCpuBase().get().toString(),
                    String.valueOf(module.perCpuRegions().get(0).size()),
                    "rw-",
                    "  offset in each CPU's area");
        }
    }

    private static void appendRow(
            StringBuilder text,
            String row,
            String name,
            String address,
            String size,
            String rights,
            String note) {
        text.append(row.formatted(name, address, size, rights, note).stripTrailing()).append('\n');
    }

    private static List<LoadedSection> byAddress(Module module) {
        return module.sections().stream()
                .sorted(
                        Comparator.comparing(LoadedSection::address)
                                .thenComparingInt(LoadedSection::index))
                .toList();
    }

    private static void appendInit(StringBuilder text, Module module) {
        if (module.init().isEmpty()) {
            text.append("no init function\n");
        } else if (module.initResult().isPresent()) {
            text.append(
                    "init %s returned %d (no machine code is run)\n"
                            .formatted(module.init().get(), module.initResult().getAsInt()));
        }
    }

    private static void appendSummary(
            StringBuilder text, Module module, Map<String, Address> stubs) {
        text.append(
                "%s: %s, %s, %s"
                        .formatted(
                                Output.printable(module.name()),
                                module.state().text(),
                                count(module.relocationCount(), "relocation"),
                                count(module.importCount(), "import")));
        if (!stubs.isEmpty()) {
            String names =
                    String.join(
                            ", ",
                            stubs.keySet().stream()
                                    .limit(STUBS_NAMED)
                                    .map(Output::printable)
                                    .toList());
            int more = stubs.size() - STUBS_NAMED;
            text.append(
                    ", %s for what nobody exports: %s%s"
                            .formatted(
                                    count(stubs.size(), "stub"),
                                    names,
                                    more > 0 ? " and " + more + " more (--json names all)" : ""));
        }
        text.append('\n');
    }

    private static String count(int number, String what) {
        return number + " " + what + (number == 1 ? "" : "s");
    }

    // ---- JSON ----

    /** The same as JSON, as the bytes of UTF-8. */
    byte[] json() {
        JsonObject json = new JsonObject();
        json.addProperty("file", file.toString());
        json.addProperty("loaded", !moduleText.isEmpty());
        if (kernel != null) {
            json.addProperty("architecture", kernel.architecture().name());
            json.addProperty("release", Output.decode(kernel.config().release()));
        }
        if (failure != null) {
            json.add("error", error(failure));
        }
        json.add("log", log());
        moduleJson.entrySet().forEach(entry -> json.add(entry.getKey(), entry.getValue()));
        if (!views.isEmpty()) {
            JsonObject files = new JsonObject();
            views.forEach((path, contents) -> files.addProperty(path, Output.decode(contents)));
            json.add("files", files);
        }
        return (GSON.toJson(json) + "\n").getBytes(StandardCharsets.UTF_8);
    }

    private static JsonObject error(Failure failure) {
        JsonObject json = new JsonObject();
        json.add(
                "errno",
                failure.number() == 0 ? JsonNull.INSTANCE : new JsonPrimitive(failure.errno()));
        json.add(
                "number",
                failure.number() == 0 ? JsonNull.INSTANCE : new JsonPrimitive(failure.number()));
        json.addProperty("message", Output.decode(failure.line()));
        json.add("lines", strings(failure.lines()));
        json.addProperty("diagnosis", Output.decode(failure.diagnosis()).stripIndent());
        return json;
    }

    private JsonArray log() {
        JsonArray array = new JsonArray();
        for (KernelLog.Entry entry : log.entries()) {
            JsonObject line = new JsonObject();
            line.addProperty("seconds", BigDecimal.valueOf(entry.time().toNanos() / 1000, 6));
            line.addProperty("level", entry.line().level().name().toLowerCase(Locale.ROOT));
            line.addProperty("text", Output.decode(entry.line().text()));
            array.add(line);
        }
        return array;
    }

    private static void addModule(JsonObject json, Module module, Kernel kernel) {
        json.addProperty("module", Output.decode(module.name()));
        json.addProperty("state", module.state().text());
        JsonArray sections = new JsonArray();
        byAddress(module).forEach(section -> sections.add(section(section)));
        json.add("sections", sections);
        json.add("perCpu", perCpu(module));
        json.add("init", init(module));
        json.add(
                "exit",
                module.exit().<JsonElement>map(LoadReport::address).orElse(JsonNull.INSTANCE));
        json.addProperty("relocations", module.relocationCount());
        json.addProperty("imports", module.importCount());
        json.add("uses", strings(module.uses()));
        json.add("exports", strings(module.exports().stream().map(ExportedSymbol::name).toList()));
        JsonObject stubs = new JsonObject();
        kernel.stubs().forEach((name, address) -> stubs.add(Output.decode(name), address(address)));
        json.add("stubs", stubs);
        json.add(
                "taints",
                strings(module.taints().stream().map(Taint::letter).map(String::valueOf).toList()));
    }

    private static JsonObject section(LoadedSection section) {
        JsonObject json = new JsonObject();
        json.addProperty("index", section.index());
        json.addProperty("name", Output.decode(section.name()));
        json.add("address", address(section.address()));
        json.addProperty("size", section.size());
        json.addProperty("memory", section.type().name().toLowerCase(Locale.ROOT));
        json.addProperty("rights", section.rights().toString());
        json.addProperty("dropped", !section.present());
        return json;
    }

    private static JsonElement perCpu(Module module) {
        if (module.perCpuBase().isEmpty()) {
            return JsonNull.INSTANCE;
        }
        JsonObject json = new JsonObject();
        json.add("offset", address(module.perCpuBase().get()));
        json.addProperty("size", module.perCpuRegions().get(0).size());
        return json;
    }

    private static JsonElement init(Module module) {
        if (module.init().isEmpty()) {
            return JsonNull.INSTANCE;
        }
        JsonObject json = new JsonObject();
        json.add("address", address(module.init().get()));
        json.addProperty("returned", module.initResult().orElse(0));
        return json;
    }

    private static JsonPrimitive address(Address address) {
        return new JsonPrimitive(address.toString());
    }

    private static JsonArray strings(List<String> texts) {
        JsonArray array = new JsonArray();
        texts.forEach(text -> array.add(Output.decode(text)));
        return array;
    }
}

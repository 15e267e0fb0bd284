package io.github.koloader.testkit;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.koloader.testkit.Recording.Line;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Whether a record has the fields that a replay reads, in the form it reads them in: asked before
 * anything is loaded, so that what goes wrong later is not taken for a mistake of the record.
 */
final class RecordForm {
    static final Pattern ADDRESS = Pattern.compile("(0x)?[0-9a-fA-F]{1,16}");
    static final Pattern NUMBER = Pattern.compile("-?[0-9]{1,18}");
    static final Pattern HEX = Pattern.compile("([0-9a-fA-F]{2})*");
    private static final Pattern BASE64 =
            Pattern.compile("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?");
    static final Pattern RELEASE = Pattern.compile("\\d{1,6}\\.\\d{1,6}(?!\\d).*");
    static final Pattern PATH = Pattern.compile("[^\\p{Cntrl}]{1,4096}");
    static final Pattern TEXT = Pattern.compile("(?s).*");

    private final Path path;
    private final Line line;

    private RecordForm(Path path, Line line) {
        this.path = path;
        this.line = line;
    }

    /** Throws if a field is absent or of another form. */
    static void check(Path path, Line line) throws IOException {
        RecordForm form = new RecordForm(path, line);
        switch (line.kind()) {
            case META -> form.checkMeta(line.json());
            case MODULE -> form.checkModule(line.json());
            case VECTOR -> new VectorForm(form, line.json()).checkVector();
            case FROB -> new VectorForm(form, line.json()).checkFrob();
            case VENEER -> new VectorForm(form, line.json()).checkVeneer();
            case ALTERNATIVE -> new VectorForm(form, line.json()).checkAlternative();
            case ERRNO -> new CaseForm(form, line.json()).checkErrno();
            case INITCALL -> form.checkInitcall(line.json());
            case SYSFS -> new CaseForm(form, line.json()).checkSysfs();
        }
    }

    private void checkModule(JsonObject json) throws IOException {
        field(json, "release", RELEASE);
        field(json, "path", PATH);
        field(json, "sha256", TEXT);
        for (String name : List.of("image", "percpu", "init_fn", "exit_fn")) {
            field(json, name, ADDRESS);
        }
        for (String name : List.of("percpu_size", "num_syms", "num_gpl_syms")) {
            field(json, name, NUMBER);
        }
        if (json.has("mem")) {
            for (JsonElement element : array(json, "mem")) {
                JsonObject memory = object(element, "mem");
                field(memory, "type", TEXT);
                field(memory, "base", ADDRESS);
                field(memory, "size", NUMBER);
            }
        } else {
            for (String name : List.of("core", "init")) {
                JsonObject block = object(json.get(name), name);
                field(block, "base", ADDRESS);
                for (String size : List.of("size", "text_size", "ro_size", "ro_after_init_size")) {
                    field(block, size, NUMBER);
                }
            }
        }
        for (JsonElement element : array(json, "sections")) {
            JsonObject section = object(element, "sections");
            field(section, "i", NUMBER);
            field(section, "name", TEXT);
            field(section, "addr", ADDRESS);
            field(section, "size", NUMBER);
            field(section, "sha", TEXT);
            optional(section, "hex", HEX);
        }
        for (Map.Entry<String, JsonElement> entry : object(json.get("undef"), "undef").entrySet()) {
            value(entry.getValue(), "undef " + entry.getKey(), ADDRESS);
        }
        checkKallsyms(json);
        if (json.has("percpu_cpu0")) {
            field(object(json.get("percpu_cpu0"), "percpu_cpu0"), "sha", TEXT);
        }
        for (String name : List.of("raw", "raw_mem")) {
            if (json.has(name)) {
                for (Map.Entry<String, JsonElement> entry :
                        object(json.get(name), name).entrySet()) {
                    value(entry.getValue(), name + " " + entry.getKey(), BASE64);
                }
            }
        }
        optional(json, "raw_core", BASE64);
        optional(json, "raw_init", BASE64);
    }

    private void checkInitcall(JsonObject json) throws IOException {
        field(json, "release", RELEASE);
        if (json.has("info")) {
            JsonObject info = object(json.get("info"), "info");
            if (info.has("/proc/cmdline")) {
                field(info, "/proc/cmdline", TEXT);
            }
        }
        for (JsonElement element : array(json, "sequence")) {
            if (!element.isJsonArray() || element.getAsJsonArray().size() < 2) {
                throw wrong("sequence");
            }
            JsonArray event = element.getAsJsonArray();
            value(event.get(0), "sequence", Pattern.compile("call|ret|log"));
            value(event.get(1), "sequence", TEXT);
            if (!event.get(0).getAsString().equals("log")) {
                value(
                        event.size() > 2 ? event.get(2) : event.get(0),
                        "sequence",
                        Pattern.compile("-?[0-9]{1,9}"));
            }
        }
        if (json.has("kallsyms")) {
            for (JsonElement symbol : array(json, "kallsyms")) {
                value(symbol, "kallsyms", Pattern.compile("[0-9a-f]{1,16} \\S \\S.*"));
            }
        }
    }

    private void checkKallsyms(JsonObject json) throws IOException {
        if (!json.has("core_kallsyms")) {
            return;
        }
        JsonObject kallsyms = object(json.get("core_kallsyms"), "core_kallsyms");
        for (String name : List.of("symtab", "strtab", "typetab")) {
            field(kallsyms, name, ADDRESS);
        }
        field(kallsyms, "num", NUMBER);
        field(kallsyms, "sha", TEXT);
        field(kallsyms, "types", TEXT);
    }

    private void checkMeta(JsonObject json) throws IOException {
        if (json.has("syms")) {
            for (Map.Entry<String, JsonElement> symbol :
                    object(json.get("syms"), "syms").entrySet()) {
                value(symbol.getValue(), "syms " + symbol.getKey(), ADDRESS);
            }
        }
    }

    void optional(JsonObject object, String name, Pattern form) throws IOException {
        if (object.has(name)) {
            field(object, name, form);
        }
    }

    void field(JsonObject object, String name, Pattern form) throws IOException {
        value(object.get(name), name, form);
    }

    void value(JsonElement element, String name, Pattern form) throws IOException {
        if (!(element instanceof JsonPrimitive value)) {
            throw wrong(name);
        }
        if (form != TEXT && !matches(form, value.getAsString())) {
            throw wrong(name);
        }
    }

    private static boolean matches(Pattern form, String text) {
        return text.length() > 1 << 12 ? isPlain(text) : form.matcher(text).matches();
    }

    /** Long texts are base64 or hexadecimal; a pattern with a group would need a stack for them. */
    private static boolean isPlain(String text) {
        return text.length() % 2 == 0
                && text.chars()
                        .allMatch(c -> Character.isLetterOrDigit(c) || "+/=".indexOf(c) >= 0);
    }

    JsonObject object(JsonElement element, String name) throws IOException {
        if (element == null || !element.isJsonObject()) {
            throw wrong(name);
        }
        return element.getAsJsonObject();
    }

    JsonArray array(JsonObject object, String name) throws IOException {
        JsonElement element = object.get(name);
        if (element == null || !element.isJsonArray()) {
            throw wrong(name);
        }
        return element.getAsJsonArray();
    }

    IOException wrong(String name) {
        return new IOException(
                "%s:%d: the record is not of the form of its kind: %s"
                        .formatted(path, line.number(), name));
    }
}

package io.github.koloader.testkit;

import static io.github.koloader.testkit.RecordForm.NUMBER;
import static io.github.koloader.testkit.RecordForm.PATH;
import static io.github.koloader.testkit.RecordForm.RELEASE;
import static io.github.koloader.testkit.RecordForm.TEXT;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Whether a record of system calls, or of a module in sysfs, has the fields that a replay reads.
 */
final class CaseForm {
    private static final Pattern PRIORITY = Pattern.compile("[0-7]");
    private static final Pattern ERROR = Pattern.compile("[0-9]{1,4}");
    private static final Pattern FLAGS = Pattern.compile("-?[0-9]{1,9}");
    private static final Pattern SUM = Pattern.compile("[0-9a-fA-F]{64}");
    private static final Pattern MODE = Pattern.compile("[0-7]{1,7}");

    private final RecordForm form;
    private final JsonObject json;

    CaseForm(RecordForm form, JsonObject json) {
        this.form = form;
        this.json = json;
    }

    void checkErrno() throws IOException {
        form.field(json, "arch", TEXT);
        form.field(json, "release", RELEASE);
        form.field(json, "case", TEXT);
        form.field(json, "taint_before", NUMBER);
        form.optional(json, "cmdline", TEXT);
        if (json.has("crashed")) {
            form.field(json, "crashed", TEXT);
        } else {
            form.field(json, "taint_after", NUMBER);
        }
        for (JsonElement element : form.array(json, "steps")) {
            checkStep(form.object(element, "steps"));
        }
    }

    private void checkStep(JsonObject step) throws IOException {
        form.field(step, "op", TEXT);
        String operation = step.get("op").getAsString();
        if (List.of("init", "finit").contains(operation)) {
            form.field(step, "file", PATH);
            form.field(step, "sha256", SUM);
            form.optional(step, "params", TEXT);
        }
        if (List.of("finit", "rm").contains(operation)) {
            form.field(step, "flags", FLAGS);
        }
        if (operation.equals("rm")) {
            form.field(step, "name", TEXT);
        }
        int arguments =
                switch (operation) {
                    case "cat", "sys" -> 1;
                    case "grep" -> 2;
                    default -> 0;
                };
        if (arguments > 0) {
            checkTexts(step, "arg", arguments);
        }
        if (step.has("lines")) {
            checkTexts(step, "lines", 0);
        }
        form.optional(step, "errno", ERROR);
        form.optional(step, "content", TEXT);
        checkLog(step);
    }

    private void checkTexts(JsonObject object, String name, int least) throws IOException {
        JsonArray array = form.array(object, name);
        if (array.size() < least) {
            throw form.wrong(name);
        }
        for (JsonElement element : array) {
            form.value(element, name, TEXT);
        }
    }

    private void checkLog(JsonObject object) throws IOException {
        if (!object.has("dmesg")) {
            return;
        }
        for (JsonElement element : form.array(object, "dmesg")) {
            if (!element.isJsonArray() || element.getAsJsonArray().size() != 2) {
                throw form.wrong("dmesg");
            }
            form.value(element.getAsJsonArray().get(0), "dmesg", PRIORITY);
            form.value(element.getAsJsonArray().get(1), "dmesg", TEXT);
        }
    }

    void checkSysfs() throws IOException {
        form.field(json, "arch", TEXT);
        form.field(json, "release", RELEASE);
        form.field(json, "module", TEXT);
        form.field(json, "sha256", SUM);
        form.optional(json, "params", TEXT);
        JsonObject load = form.object(json.get("load"), "load");
        form.field(load, "errno", ERROR);
        form.optional(load, "proc_modules", TEXT);
        checkLog(load);
        if (json.has("files")) {
            checkMap("files", TEXT);
        }
        if (json.has("errors")) {
            checkMap("errors", ERROR);
        }
        if (json.has("dirs")) {
            for (Map.Entry<String, JsonElement> entry :
                    form.object(json.get("dirs"), "dirs").entrySet()) {
                if (!entry.getValue().isJsonArray()) {
                    throw form.wrong("dirs");
                }
                for (JsonElement element : entry.getValue().getAsJsonArray()) {
                    if (!element.isJsonArray() || element.getAsJsonArray().size() != 3) {
                        throw form.wrong("dirs");
                    }
                    form.value(element.getAsJsonArray().get(0), "dirs", TEXT);
                    form.value(element.getAsJsonArray().get(1), "dirs", MODE);
                    form.value(element.getAsJsonArray().get(2), "dirs", NUMBER);
                }
            }
        }
        if (json.has("kallsyms")) {
            checkTexts(json, "kallsyms", 0);
        }
        if (json.has("rm")) {
            for (JsonElement element : form.array(json, "rm")) {
                JsonObject removal = form.object(element, "rm");
                form.field(removal, "errno", ERROR);
                checkLog(removal);
            }
        }
    }

    private void checkMap(String name, Pattern pattern) throws IOException {
        for (Map.Entry<String, JsonElement> entry : form.object(json.get(name), name).entrySet()) {
            form.value(entry.getValue(), name + " " + entry.getKey(), pattern);
        }
    }
}

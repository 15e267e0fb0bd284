package io.github.koloader.testkit;

import static io.github.koloader.testkit.RecordForm.ADDRESS;
import static io.github.koloader.testkit.RecordForm.HEX;
import static io.github.koloader.testkit.RecordForm.NUMBER;
import static io.github.koloader.testkit.RecordForm.TEXT;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/** Whether records that no module file belongs to have the fields that their replay reads. */
final class VectorForm {
    private static final Pattern TRUTH = Pattern.compile("true|false");
    private static final Pattern CODE = Pattern.compile("([0-9a-fA-F]{2}){0,255}");

    /** Bytes, or entries, that a small image has room for. */
    private static final long ROOM = 1 << 16;

    private static final Set<String> COUNTS =
            Set.of(
                    "count",
                    "plts",
                    "gots",
                    "plt_size",
                    "got_size",
                    "got_plt_size",
                    "plt_start",
                    "target_align",
                    "stubs_size_with_ftrace_regs",
                    "core_size_before_sections",
                    "branch_entries_sorted");

    /** Kinds of veneers: whose they are, and the addresses that they need. */
    private static final Map<String, List<String>> VENEERS =
            Map.ofEntries(
                    Map.entry("arm64 plt_entry", List.of("entry", "target")),
                    Map.entry("arm64 adrp_veneer", List.of("entry", "adrp_at", "page", "rd")),
                    Map.entry("arm64 adrp_replaced_by_branch", List.of("place", "veneer")),
                    Map.entry("arm64 adrp_to_adr", List.of("place", "page", "rd")),
                    Map.entry("arm64 branch_nolink", List.of("place", "target")),
                    Map.entry("arm plt_group_arm", List.of("entry", "target")),
                    Map.entry("arm plt_group_thumb2", List.of("entry", "target")),
                    Map.entry("riscv64 plt_entry", List.of("entry", "got_plt")),
                    Map.entry("riscv32 plt_entry", List.of("entry", "got_plt")),
                    Map.entry("ppc64le stub", List.of("entry", "TOC", "target")),
                    Map.entry("ppc64le toc_restore", List.of()),
                    Map.entry(
                            "ppc64le ftrace_stub",
                            List.of("entry", "target", "kernel_toc", "paca_kernel_toc_offset")),
                    Map.entry("s390x plt_entry_plain", List.of("entry", "target")),
                    Map.entry("s390x plt_entry_expoline", List.of("entry", "target", "thunk")),
                    Map.entry("loongarch64 plt_entry", List.of("target")),
                    Map.entry("x86_64 text_gen_call", List.of("place", "target")),
                    Map.entry("x86_64 text_gen_jmp32", List.of("place", "target")));

    private final RecordForm form;
    private final JsonObject json;

    VectorForm(RecordForm form, JsonObject json) {
        this.form = form;
        this.json = json;
    }

    // ---- one relocation ----

    void checkVector() throws IOException {
        relocation(json);
        form.field(json, "number", NUMBER);
        form.field(json, "before_bytes_hex", HEX);
        if (json.has("error")) {
            form.field(json, "error", TEXT);
        } else {
            form.field(json, "after_bytes_hex", HEX);
        }
        if (json.has("message") && !json.get("message").isJsonNull()) {
            form.field(json, "message", TEXT);
        }
        for (String name : List.of("G", "GOT", "L", "TOC")) {
            form.optional(json, name, ADDRESS);
        }
        for (String name : List.of("plt", "erratum_843419")) {
            form.optional(json, name, TRUTH);
        }
        for (String name : List.of("sym_type", "rel")) {
            form.optional(json, name, TEXT);
        }
        form.optional(json, "lo_insn_hex", HEX);
        form.optional(json, "local_entry_offset", NUMBER);
        for (String name : List.of("G", "L")) {
            if (json.has("GOT") && json.has(name)) {
                checkRoom(
                        name, address(json, name) - address(json, "GOT"), name.equals("L") ? 2 : 4);
            }
        }
        if (json.has("lo_insn_hex") && json.get("lo_insn_hex").getAsString().length() != 8) {
            throw form.wrong("lo_insn_hex");
        }
        if (json.has("hi20")) {
            JsonObject high = form.object(json.get("hi20"), "hi20");
            form.field(high, "type", TEXT);
            relocation(high);
            checkRoom("hi20", Math.abs(address(high, "P") - address(json, "P")), 1);
        }
        if (json.has("stack_ops")) {
            for (JsonElement element : form.array(json, "stack_ops")) {
                JsonObject operation = form.object(element, "stack_ops");
                form.field(operation, "number", NUMBER);
                form.field(operation, "S", ADDRESS);
                form.field(operation, "A", NUMBER);
            }
        }
    }

    private void relocation(JsonObject object) throws IOException {
        form.field(object, "P", ADDRESS);
        form.field(object, "S", ADDRESS);
        form.field(object, "A", NUMBER);
    }

    private void checkRoom(String name, long distance, int step) throws IOException {
        if (distance < 0 || distance > ROOM || distance % step != 0) {
            throw form.wrong(name);
        }
    }

    private static long address(JsonObject object, String name) {
        return Address.parse(object.get(name).getAsString()).value();
    }

    // ---- before layout ----

    void checkFrob() throws IOException {
        if (json.get("kind").getAsString().equals("sort")) {
            numbers(form.array(json, "keys"), "keys", Long.MAX_VALUE);
            numbers(form.array(json, "order"), "order", ROOM);
            return;
        }
        form.field(json, "arch", TEXT);
        int target = number(json, "target_section", 16);
        if (target < 1) {
            throw form.wrong("target_section");
        }
        if (json.has("target_align")) {
            number(json, "target_align", ROOM);
        }
        form.optional(json, "erratum_843419", TRUTH);
        JsonArray symbols = form.array(json, "sym_shndx");
        numbers(symbols, "sym_shndx", 16);
        for (JsonElement element : form.array(json, "relocs")) {
            JsonObject entry = form.object(element, "relocs");
            number(entry, "offset", ROOM);
            number(entry, "type", Integer.MAX_VALUE);
            number(entry, "sym", symbols.size() - 1);
            form.optional(entry, "addend", NUMBER);
            form.optional(entry, "word", ADDRESS);
        }
        JsonObject expect = form.object(json.get("expect"), "expect");
        numbers(form.array(expect, "order"), "order", ROOM);
        for (Map.Entry<String, JsonElement> entry : expect.entrySet()) {
            String name = entry.getKey();
            if (name.equals("got_offsets") || name.equals("plt_offsets")) {
                checkSlots(name, entry.getValue(), symbols.size() - 1);
            } else if (COUNTS.contains(name)) {
                form.value(entry.getValue(), name, NUMBER);
            } else if (!name.equals("order")) {
                throw form.wrong(name);
            }
        }
        boolean s390 = json.get("arch").getAsString().equals("s390x");
        for (String name : List.of("got_offsets", "plt_offsets", "plt_start", "plt_size")) {
            if (s390 && !expect.has(name)) {
                throw form.wrong(name);
            }
        }
    }

    private void checkSlots(String name, JsonElement slots, long lastSymbol) throws IOException {
        for (Map.Entry<String, JsonElement> slot : form.object(slots, name).entrySet()) {
            bounded(new JsonPrimitive(slot.getKey()), name, lastSymbol);
            form.value(slot.getValue(), name, NUMBER);
        }
    }

    private int number(JsonObject object, String name, long last) throws IOException {
        return bounded(object.get(name), name, last);
    }

    /** A number from 0 on. */
    private int bounded(JsonElement element, String name, long last) throws IOException {
        form.value(element, name, NUMBER);
        long number = element.getAsLong();
        if (number < 0 || number > last) {
            throw form.wrong(name);
        }
        return (int) number;
    }

    private void numbers(JsonArray array, String name, long last) throws IOException {
        if (array.size() > ROOM) {
            throw form.wrong(name);
        }
        for (JsonElement element : array) {
            if (last == Long.MAX_VALUE) {
                form.value(element, name, NUMBER);
            } else {
                bounded(element, name, last);
            }
        }
    }

    // ---- veneers ----

    void checkVeneer() throws IOException {
        form.field(json, "arch", TEXT);
        form.field(json, "bytes_hex", HEX);
        List<String> needed =
                VENEERS.get(json.get("arch").getAsString() + " " + json.get("kind").getAsString());
        if (needed == null) {
            throw form.wrong("kind");
        }
        for (String name : needed) {
            form.field(json, name, ADDRESS);
        }
        if (json.has("stride")) {
            number(json, "stride", 128);
        }
        if (needed.contains("thunk")) {
            checkRoom("thunk", address(json, "thunk") - address(json, "entry"), 2);
        }
    }

    // ---- alternatives ----

    /** With the bytes of the original (x86), or with its address and the replacement's (arm64). */
    void checkAlternative() throws IOException {
        form.field(json, "arch", TEXT);
        form.field(json, "replacement_bytes_hex", CODE);
        form.field(json, "after_bytes_hex", CODE);
        if (json.has("original_bytes_hex")) {
            form.field(json, "original_bytes_hex", CODE);
            form.field(json, "replacement_minus_original", NUMBER);
            form.field(json, "feature_present", TRUTH);
            form.field(json, "inverted", TRUTH);
        } else {
            form.field(json, "original", ADDRESS);
            form.field(json, "replacement", ADDRESS);
        }
        long distance = Math.abs(AlternativesReplay.distance(json));
        if (distance < AlternativesReplay.ROOM || distance >= AlternativesReplay.FARTHEST) {
            throw form.wrong("distance of the replacement");
        }
    }
}

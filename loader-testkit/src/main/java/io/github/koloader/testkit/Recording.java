package io.github.koloader.testkit;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.github.koloader.memory.Address;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;

/**
 * A file of what a real kernel, or a linker, did: one JSON object a line, each naming its kind,
 * packed with gzip if its name ends in {@code .gz}.
 *
 * <p>Kinds: {@code meta} (about the recording: release, kernel symbols), {@code module} (a module
 * as it lay in memory after relocation), {@code vector} (one relocation: a line without a kind, but
 * with {@code number} and {@code P}), {@code sort} and {@code frob} (what a loader does before
 * layout), {@code alternative} (code that a loader changes to suit the processor), {@code errno}
 * (system calls one after the other), {@code sysfs} (a module in {@code /proc} and {@code /sys}),
 * {@code initcall} (a boot with {@code initcall_debug}), and the kinds of veneers and branches that
 * loaders make ({@code plt_entry} …).
 *
 * @param path the file
 * @param lines its lines
 */
public record Recording(Path path, List<Line> lines) {
    /** What a line records. */
    public enum Kind {
        /** About the recording. */
        META("meta"),
        /** A module in memory after relocation. */
        MODULE("reloc"),
        /** One relocation. */
        VECTOR("vectors"),
        /** What a loader does with relocations before layout. */
        FROB("frob"),
        /** A veneer, or a branch that a loader writes. */
        VENEER("plt"),
        /** Code that is changed to suit the processor. */
        ALTERNATIVE("alternatives"),
        /** System calls that load and unload modules, and what the kernel answered and logged. */
        ERRNO("errno"),
        /** A module that is loaded and looked at in {@code /proc} and {@code /sys}. */
        SYSFS("sysfs"),
        /** A boot: which initcalls ran, in which order. */
        INITCALL("initcall");

        private final String fileKind;

        Kind(String fileKind) {
            this.fileKind = fileKind;
        }

        /** {@return the kind of a file that has such lines} */
        public String fileKind() {
            return fileKind;
        }
    }

    /** One line. */
    public static final class Line {
        private final int number;
        private final Kind kind;
        private final JsonObject json;

        Line(int number, Kind kind, JsonObject json) {
            this.number = number;
            this.kind = kind;
            this.json = json;
        }

        /** {@return its number, from 1} */
        public int number() {
            return number;
        }

        /** {@return what it records} */
        public Kind kind() {
            return kind;
        }

        /**
         * {@return the text of a field, or {@code otherwise} if it is absent or not a plain value}
         *
         * @param field name of the field
         * @param otherwise what to answer without it
         */
        public String text(String field, String otherwise) {
            JsonElement element = json.get(field);
            return element == null || !element.isJsonPrimitive()
                    ? otherwise
                    : element.getAsString();
        }

        JsonObject json() {
            return json;
        }

        /** The line itself. */
        @Override
        public String toString() {
            return json.toString();
        }
    }

    /**
     * Copies the list.
     *
     * @param path the file
     * @param lines its lines
     */
    public Recording {
        lines = List.copyOf(lines);
    }

    /**
     * Reads a recording.
     *
     * @param path the file, packed if its name ends in {@code .gz}
     * @return its lines; blank ones are left out
     * @throws IOException if the file cannot be read, a line is no JSON object, or its kind is
     *     unknown
     */
    public static Recording read(Path path) throws IOException {
        List<Line> lines = new ArrayList<>();
        try (BufferedReader reader = open(path)) {
            int number = 0;
            for (String text; (text = reader.readLine()) != null; ) {
                number++;
                if (!text.isBlank()) {
                    lines.add(line(path, number, text));
                }
            }
        }
        return new Recording(path, lines);
    }

    /**
     * {@return the addresses of the kernel's own symbols that its line about the recording has, by
     * name; none if there is no such line}
     */
    public Map<String, Address> kernelSymbols() {
        Map<String, Address> symbols = new LinkedHashMap<>();
        for (Line line : lines) {
            if (line.kind() == Kind.META && line.json().has("syms")) {
                line.json()
                        .getAsJsonObject("syms")
                        .entrySet()
                        .forEach(
                                symbol ->
                                        symbols.put(
                                                symbol.getKey(),
                                                Address.parse(symbol.getValue().getAsString())));
            }
        }
        return symbols;
    }

    static BufferedReader open(Path path) throws IOException {
        InputStream raw = Files.newInputStream(path);
        try {
            InputStream in =
                    path.toString().endsWith(".gz") ? new GZIPInputStream(raw, 1 << 16) : raw;
            return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
        } catch (IOException e) {
            raw.close();
            throw e;
        }
    }

    private static Line line(Path path, int number, String text) throws IOException {
        JsonObject json;
        try {
            JsonElement element = JsonParser.parseString(text);
            if (!element.isJsonObject()) {
                throw new IOException(path + ":" + number + ": not a JSON object");
            }
            json = element.getAsJsonObject();
        } catch (JsonParseException e) {
            throw new IOException(path + ":" + number + ": not JSON", e);
        }
        JsonElement kind = json.get("kind");
        if (kind == null && json.has("number") && json.has("P")) {
            return new Line(number, Kind.VECTOR, json);
        }
        String name = kind != null && kind.isJsonPrimitive() ? kind.getAsString() : "";
        return switch (name) {
            case "meta" -> {
                Line meta = new Line(number, Kind.META, json);
                RecordForm.check(path, meta);
                yield meta;
            }
            case "module" -> new Line(number, Kind.MODULE, json);
            case "alternative" -> new Line(number, Kind.ALTERNATIVE, json);
            case "errno" -> new Line(number, Kind.ERRNO, json);
            case "initcall" -> new Line(number, Kind.INITCALL, json);
            case "sysfs" -> new Line(number, Kind.SYSFS, json);
            case "sort", "frob" -> new Line(number, Kind.FROB, json);
            case "plt_entry",
                    "plt_entry_plain",
                    "plt_entry_expoline",
                    "plt_group_arm",
                    "plt_group_thumb2",
                    "stub",
                    "ftrace_stub",
                    "toc_restore",
                    "adrp_veneer",
                    "adrp_replaced_by_branch",
                    "adrp_to_adr",
                    "branch_nolink",
                    "text_gen_call",
                    "text_gen_jmp32" ->
                    new Line(number, Kind.VENEER, json);
            default ->
                    throw new IOException(
                            path + ":" + number + ": unknown kind of record: '" + name + "'");
        };
    }
}

package io.github.koloader.testkit;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.testkit.PlacedImage.Placed;
import io.github.koloader.testkit.Recording.Line;
import io.github.koloader.testkit.VectorImage.Variant;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Applies one relocation at its address, with those that it needs around it, and compares the
 * bytes, or the error and its message.
 *
 * <p>A vector that a kernel without module PLTs refuses, and another takes by a detour ({@code
 * plt}), is applied under both: the first has to refuse as recorded, the second has to write what a
 * branch to the first PLT entry is.
 *
 * <p>Some loaders take a symbol value in the last page of the address space for an error and refuse
 * it (ENOENT). Vectors were made by a linker, to which it is a value as any other: the same S + A
 * is then reached from a symbol one page lower, with an addend one page higher.
 */
final class VectorReplay {
    private static final String UNRESOLVED = "ENOENT";

    /** What came of it: bytes of the place in hexadecimal, or the name of an errno and messages. */
    private record Outcome(String found, List<String> messages, int table, int entry) {}

    private final String id;
    private final Architecture architecture;
    private final JsonObject json;
    private final String detail;
    private final List<Difference> differences;

    private VectorReplay(
            Line line, String id, Architecture architecture, List<Difference> differences) {
        this.id = id;
        this.architecture = architecture;
        this.json = line.json();
        this.detail = "%s at %s".formatted(line.text("type", "?"), line.text("P", "?"));
        this.differences = differences;
    }

    static void run(Line line, List<Difference> differences) {
        String id = line.text("id", "line " + line.number());
        String name = line.text("arch", "?");
        Architecture architecture = Architectures.named(name).orElse(null);
        if (architecture == null) {
            differences.add(new Difference(id, "architecture", name, "not modelled", ""));
            return;
        }
        VectorReplay replay = new VectorReplay(line, id, architecture, differences);
        if (replay.isTrue("plt")) {
            replay.compareDetour();
            if (!replay.json.has("message")) {
                return; // no kernel of that architecture is without PLTs
            }
        }
        replay.compare();
    }

    private void differ(String what, String recorded, String found) {
        differences.add(new Difference(id, what, recorded, found, detail));
    }

    private boolean isTrue(String field) {
        return json.has(field) && json.get(field).getAsBoolean();
    }

    // ---- as recorded ----

    private void compare() {
        boolean refused = json.has("error");
        String expected = json.get(refused ? "error" : "after_bytes_hex").getAsString();
        KernelConfig config = config(!isTrue("plt"));
        Variant recorded = Variant.of(json);
        Outcome outcome = apply(config, recorded);
        if (outcome.found.equals(UNRESOLVED) && !expected.equals(UNRESOLVED)) {
            outcome = apply(config, recorded.lower());
        }
        if (!outcome.found.equals(expected)) {
            String messages = String.join("; ", outcome.messages);
            differ(
                    refused ? "error" : "bytes",
                    expected,
                    outcome.found + (messages.isEmpty() ? "" : ": " + messages));
        } else if (refused && json.has("message")) {
            compareMessage(json.get("message"), outcome);
        }
    }

    private void compareMessage(JsonElement message, Outcome outcome) {
        boolean same =
                message.isJsonNull()
                        ? outcome.messages.isEmpty()
                        : outcome.messages.stream()
                                .anyMatch(
                                        pattern(message.getAsString(), outcome).asMatchPredicate());
        if (!same) {
            differ(
                    "message",
                    message.isJsonNull() ? "none" : message.getAsString(),
                    String.join("; ", outcome.messages));
        }
    }

    /** A message with its placeholders; what {@code %p} prints is not compared. */
    private static Pattern pattern(String message, Outcome outcome) {
        String pattern =
                Arrays.stream(message.split("(?=\\{)|(?<=\\})"))
                        .map(
                                part ->
                                        switch (part) {
                                            case "{mod}" -> PlacedImage.NAME;
                                            case "{sym}" -> VectorImage.SYMBOL;
                                            case "{relsec}" -> "" + outcome.table;
                                            case "{n}" -> "" + outcome.entry;
                                            case "{loc}" -> "([0-9a-f]+|\\(____ptrval____\\))";
                                            default -> Pattern.quote(part);
                                        })
                        .collect(Collectors.joining());
        return Pattern.compile(pattern);
    }

    // ---- with PLTs ----

    /** The place has to hold what a branch to the first PLT entry is. */
    private void compareDetour() {
        VeneerForms forms = VeneerForms.of(architecture, VectorImage.isThumb(json));
        KernelConfig config = config(true);
        Variant recorded = Variant.of(json);
        Outcome found = apply(config, recorded);
        String expected;
        try {
            VectorImage image = new VectorImage(architecture, json, config, recorded);
            long slot = forms.firstSlot(image.image().plan().place());
            long p = VectorImage.address(json, "P");
            expected =
                    isTrue("erratum_843419")
                            ? HexFormat.of().formatHex(forms.branch(architecture, config, p, slot))
                            : apply(
                                            config,
                                            recorded.to(
                                                    slot,
                                                    forms.addend(),
                                                    forms.withoutAddend(
                                                            recorded.place().toByteArray())))
                                    .found;
        } catch (LoadException e) {
            expected = "a branch to a PLT entry";
        }
        if (!found.found.equals(expected)) {
            differ("bytes with PLT", expected, found.found + found.messages);
        }
    }

    private Outcome apply(KernelConfig config, Variant variant) {
        VectorImage vector = new VectorImage(architecture, json, config, variant);
        ModuleImage file = vector.image().build();
        List<String> messages = List.of();
        String found;
        try {
            Placed placed = vector.image().plan(file).place().relocate();
            byte[] bytes =
                    PlacedImage.read(
                            placed.section(VectorImage.TEXT),
                            VectorImage.address(json, "P"),
                            variant.place().size());
            found = HexFormat.of().formatHex(bytes);
        } catch (LoadException e) {
            found = e.errno().name();
            messages = e.lines().stream().map(LogLine::text).toList();
        }
        int table = file.relocationsFor(vector.section()).get(0).section();
        return new Outcome(found, messages, table, vector.entry());
    }

    private KernelConfig config(boolean plts) {
        KernelConfig.Builder config = KernelConfig.linux6_1().toBuilder();
        if (isTrue("plt")) {
            VeneerForms.PLT_OPTIONS.forEach(option -> config.kconfig(option, plts));
        }
        return config.kconfig("CONFIG_THUMB2_KERNEL", VectorImage.isThumb(json))
                .kconfig("CONFIG_DYNAMIC_FTRACE", false) // no PLT entries for ftrace
                .cpuCapability("ARM64_WORKAROUND_843419", isTrue("erratum_843419"))
                .build();
    }
}

package io.github.koloader.testkit;

import com.google.gson.JsonObject;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.PlacedModule;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.testkit.Recording.Line;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Applies one relocation at its address, and compares the bytes, or the error and its message. */
final class VectorReplay {
    private static final String MODULE = "vector";
    private static final String SYMBOL = "vector_symbol";

    private VectorReplay() {}

    static void run(Line line, List<Difference> differences) {
        JsonObject json = line.json();
        String id = line.text("id", "line " + line.number());
        String name = line.text("arch", "?");
        Architecture architecture = Architectures.named(name).orElse(null);
        if (architecture == null) {
            differences.add(new Difference(id, "architecture", name, "not modelled", ""));
            return;
        }
        byte[] before = HexFormat.of().parseHex(json.get("before_bytes_hex").getAsString());
        byte[] after = before.clone();
        String found;
        String messages = "";
        try {
            apply(architecture, json, after);
            found = HexFormat.of().formatHex(after);
        } catch (LoadException e) {
            found = e.errno().name();
            messages = e.lines().stream().map(LogLine::text).collect(Collectors.joining("\n"));
        }
        boolean refused = json.has("error");
        String expected = json.get(refused ? "error" : "after_bytes_hex").getAsString();
        String type = "%s at %s".formatted(line.text("type", "?"), line.text("P", "?"));
        if (!found.equals(expected)) {
            differences.add(new Difference(id, refused ? "error" : "bytes", expected, found, type));
        } else if (refused && json.has("message")) {
            String message = json.get("message").getAsString();
            if (!Arrays.stream(messages.split("\n"))
                    .anyMatch(pattern(message).asMatchPredicate())) {
                differences.add(new Difference(id, "message", message, messages, type));
            }
        }
    }

    private static void apply(Architecture architecture, JsonObject json, byte[] place) {
        long p = Address.parse(json.get("P").getAsString()).value();
        long s = Address.parse(json.get("S").getAsString()).value();
        long a = json.get("A").getAsLong();
        boolean addends = architecture.acceptsRelocations(true);
        ImageBuilder builder =
                new ImageBuilder(architecture.elfMachine(), architecture.encoding(), addends)
                        .name(MODULE);
        int section =
                builder.section(
                        Section.progbits(
                                ".text",
                                SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                                1,
                                Bytes.copyOf(place)));
        int symbol = builder.symbol(Symbol.undefined(SYMBOL));
        builder.relocate(
                section, new Relocation(0, json.get("number").getAsInt(), symbol, addends ? a : 0));
        ModuleImage image = builder.build();
        RelocationTable table = image.relocationsFor(section).get(0);
        long[] values = new long[image.symbols().count()];
        values[table.symbolIndex(0)] = s;
        PlacedModule module =
                PlacedModule.ofSection(
                        KernelConfig.linux6_1(),
                        image,
                        values,
                        section,
                        new PlacedSection(
                                place, 0, place.length, p, architecture.encoding().bigEndian()));
        architecture.relocator(module).apply(table);
    }

    /** A message with its placeholders; what {@code %p} prints is not compared. */
    private static Pattern pattern(String message) {
        String pattern =
                Arrays.stream(message.split("(?=\\{)|(?<=\\})"))
                        .map(
                                part ->
                                        switch (part) {
                                            case "{mod}" -> MODULE;
                                            case "{sym}" -> SYMBOL;
                                            case "{loc}", "{relsec}", "{n}" -> "[0-9a-f]+";
                                            default -> Pattern.quote(part);
                                        })
                        .collect(Collectors.joining());
        return Pattern.compile(pattern);
    }
}

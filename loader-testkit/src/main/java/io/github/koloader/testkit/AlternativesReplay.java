package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;

import com.google.gson.JsonObject;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.memory.Address;
import io.github.koloader.testkit.Recording.Line;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/**
 * Has an architecture finish a module with one alternative, as far from its replacement as the
 * record says, and compares what the code became. Behind the code lie bytes that have to stay.
 */
final class AlternativesReplay {
    /** Bytes at the original and at the replacement: more than a record can name. */
    static final int ROOM = 0x108;

    private static final String TEXT = ".text";
    private static final int FILLER = 0xcc;
    private static final int FEATURE = 1;
    private static final int FLAG = 0x8000;
    private static final int RECORD = 12;

    /** No replacement is as many bytes away from its original. */
    static final long FARTHEST = 1L << 24;

    /** Bytes between the code and the table of records, which lies on the other side of it. */
    private static final long TABLE_DISTANCE = 1L << 20;

    private final Architecture architecture;
    private final JsonObject json;
    private final byte[] replacement;
    private final int length;
    private final long at;

    private AlternativesReplay(Architecture architecture, JsonObject json) {
        this.architecture = architecture;
        this.json = json;
        this.replacement = bytes(json, "replacement_bytes_hex");
        this.length = isX86(json) ? bytes(json, "original_bytes_hex").length : replacement.length;
        this.at =
                isX86(json)
                        ? architecture.moduleAreas(KernelConfig.linux6_1()).get(0).start().value()
                                + 2 * FARTHEST
                        : address(json, "original");
    }

    static void run(Line line, List<Difference> differences) {
        String name = line.text("arch", "?");
        String subject = "line %d: %s alternative".formatted(line.number(), name);
        Architecture architecture = Architectures.named(name).orElse(null);
        if (architecture == null) {
            differences.add(new Difference(subject, "architecture", name, "not modelled", ""));
            return;
        }
        AlternativesReplay replay = new AlternativesReplay(architecture, line.json());
        byte[] expected = replay.withFiller(bytes(line.json(), "after_bytes_hex"));
        try {
            replay.compare(subject, expected, replay.patched(), differences);
        } catch (LoadException e) {
            List<String> messages = e.lines().stream().map(LogLine::text).toList();
            differences.add(
                    new Difference(
                            subject, "error", "none", e.errno().name(), messages.toString()));
        }
    }

    private void compare(
            String subject, byte[] expected, byte[] found, List<Difference> differences) {
        if (!Arrays.equals(expected, found)) {
            int size = bytes(json, "after_bytes_hex").length;
            int changed = found.length;
            while (changed > size && (found[changed - 1] & 0xff) == FILLER) {
                changed--;
            }
            differences.add(
                    new Difference(
                            subject,
                            "bytes",
                            HexFormat.of().formatHex(expected, 0, size),
                            HexFormat.of().formatHex(found, 0, changed),
                            ""));
        }
    }

    // ---- the record ----

    private static boolean isX86(JsonObject json) {
        return json.has("original_bytes_hex");
    }

    /** Bytes from the original to its replacement. */
    static long distance(JsonObject json) {
        return isX86(json)
                ? json.get("replacement_minus_original").getAsLong()
                : address(json, "replacement") - address(json, "original");
    }

    private static long address(JsonObject json, String field) {
        return Address.parse(json.get(field).getAsString()).value();
    }

    private static byte[] bytes(JsonObject json, String field) {
        return HexFormat.of().parseHex(json.get(field).getAsString());
    }

    private boolean isTrue(String field) {
        return json.has(field) && json.get(field).getAsBoolean();
    }

    // ---- the module ----

    private byte[] withFiller(byte[] code) {
        byte[] bytes = Arrays.copyOf(code, ROOM);
        Arrays.fill(bytes, code.length, ROOM, (byte) FILLER);
        return bytes;
    }

    private KernelConfig config() {
        boolean present = !isX86(json) || isTrue("feature_present");
        String name = (isX86(json) ? "X86_FEATURE_" : "ARM64_CAP_") + FEATURE;
        return KernelConfig.linux6_1().toBuilder()
                .cpuCapabilities(present ? Set.of(name) : Set.of())
                .build();
    }

    /** What lies at the original once the module is finished. */
    private byte[] patched() {
        PlacedImage image =
                new PlacedImage(architecture, config(), architecture.acceptsRelocations(true));
        byte[] original = isX86(json) ? bytes(json, "original_bytes_hex") : new byte[length];
        long away = -Long.signum(distance(json)) * TABLE_DISTANCE;
        long table = at + away;
        image.section(TEXT, ALLOC | EXECINSTR, at, withFiller(original));
        image.section(".altinstr_replacement", ALLOC | EXECINSTR, at + distance(json), replacement);
        image.section(".altinstructions", ALLOC, table, record(table));
        image.withLoaderSections().placeRest(table + away & -0x1000);
        PlacedSection text = image.plan().place().finish().section(TEXT);
        return PlacedImage.read(text, at, ROOM);
    }

    private byte[] record(long address) {
        byte[] bytes = new byte[RECORD];
        Words.write(bytes, 0, 4, at - address, false);
        Words.write(bytes, 4, 4, at + distance(json) - (address + 4), false);
        Words.write(bytes, 8, 2, FEATURE | (isTrue("inverted") ? FLAG : 0), false);
        Words.write(bytes, 10, 1, length, false);
        Words.write(bytes, 11, 1, replacement.length, false);
        return bytes;
    }
}

package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;
import static io.github.koloader.image.SectionFlags.WRITE;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import io.github.koloader.testkit.PlacedImage.Placed;
import io.github.koloader.testkit.PlacedImage.Planned;
import io.github.koloader.testkit.Recording.Line;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * What an architecture makes of relocations before layout: their order, and the sizes of what the
 * loader makes.
 *
 * <p>Plain sorts ({@code kind: sort}) are done by {@link #SORTER}, which sorts a whole table by
 * addend where all else is equal: so it is the sort of all architectures that is proven, together
 * with the exchange of entries. {@code branch_entries_sorted} is not compared by itself: it shows
 * in the order.
 */
final class FrobReplay {
    /** The architecture that sorts every table for code by {@code r_info} and addend. */
    private static final String SORTER = "loongarch64";

    private static final String TARGET = ".text";
    private static final int R_LARCH_64 = 2;
    private static final int R_390_GOT64 = 24;
    private static final int R_390_PLT32DBL = 20;
    private static final int R_ARM_CALL = 28;

    /** Above every value that a relocation with 32 bits could reach from a module. */
    private static final long FAR = 0x700_0000_0000L;

    private final String id;
    private final Architecture architecture;
    private final JsonObject json;
    private final List<Difference> differences;

    private FrobReplay(
            String id, Architecture architecture, JsonObject json, List<Difference> differences) {
        this.id = id;
        this.architecture = architecture;
        this.json = json;
        this.differences = differences;
    }

    static void run(Line line, List<Difference> differences) {
        String id = line.text("id", "line " + line.number());
        boolean sort = line.text("kind", "").equals("sort");
        String name = sort ? SORTER : line.text("arch", "?");
        Architecture architecture = Architectures.named(name).orElse(null);
        if (architecture == null) {
            differences.add(new Difference(id, "architecture", name, "not modelled", ""));
            return;
        }
        FrobReplay replay = new FrobReplay(id, architecture, line.json(), differences);
        try {
            if (sort) {
                replay.sort();
            } else {
                replay.frob();
            }
        } catch (LoadException e) {
            List<String> messages = e.lines().stream().map(LogLine::text).toList();
            differences.add(
                    new Difference(id, "error", "none", e.errno().name(), messages.toString()));
        }
    }

    private void compare(String what, Object recorded, Object found) {
        if (!recorded.equals(found)) {
            differences.add(new Difference(id, what, recorded.toString(), found.toString(), ""));
        }
    }

    // ---- sort ----

    private void sort() {
        List<Long> keys = longs(json.getAsJsonArray("keys"));
        PlacedImage image = new PlacedImage(architecture, config(), true).withLoaderSections();
        int section = image.section(TARGET, ALLOC | EXECINSTR, 0, new byte[8 * keys.size()]);
        int symbol = image.symbol(Symbol.undefined("sorted"), 0);
        for (int i = 0; i < keys.size(); i++) {
            image.relocation(section, new Relocation(8L * i, R_LARCH_64, symbol, keys.get(i)));
        }
        Planned planned = image.plan();
        List<Long> order = offsets(planned, section).stream().map(offset -> offset / 8).toList();
        compare("order", longs(json.getAsJsonArray("order")), order);
    }

    private static List<Long> offsets(Planned planned, int section) {
        RelocationTable table = planned.image().relocationsFor(section).get(0);
        return IntStream.range(0, table.count()).mapToObj(table::offset).toList();
    }

    private static List<Long> longs(JsonArray array) {
        List<Long> numbers = new ArrayList<>();
        array.forEach(element -> numbers.add(element.getAsLong()));
        return numbers;
    }

    // ---- frob ----

    private KernelConfig config() {
        boolean erratum = json.has("erratum_843419") && json.get("erratum_843419").getAsBoolean();
        return KernelConfig.linux6_1().toBuilder()
                .cpuCapability("ARM64_WORKAROUND_843419", erratum)
                .build();
    }

    private void frob() {
        JsonObject expect = json.getAsJsonObject("expect");
        int target = json.get("target_section").getAsInt();
        PlacedImage image = image();
        Planned planned = image.plan();
        List<Long> order =
                json.getAsJsonArray("relocs").isEmpty() ? List.of() : offsets(planned, target);
        compare("order", longs(expect.getAsJsonArray("order")), order);
        for (Map.Entry<String, JsonElement> entry : expect.entrySet()) {
            String what = entry.getKey();
            switch (what) {
                case "order", "branch_entries_sorted" -> {}
                case "got_offsets", "plt_offsets", "plt_start" -> {} // see compareSlots
                default -> compare(what, entry.getValue().getAsLong(), number(what, planned));
            }
        }
        if (expect.has("got_offsets")) {
            compareSlots(expect);
        }
    }

    private long number(String what, Planned planned) {
        JsonObject expect = json.getAsJsonObject("expect");
        boolean s390 = expect.has("plt_start");
        return switch (what) {
            case "target_align" ->
                    planned.image().section(json.get("target_section").getAsInt()).alignment();
            case "plt_size" ->
                    s390
                            ? planned.prefixSize() - expect.get("plt_start").getAsLong()
                            : planned.section(".plt").size();
            case "got_size" ->
                    s390
                            ? planned.prefixSize() - expect.get("plt_size").getAsLong()
                            : planned.section(".got").size();
            case "got_plt_size" -> planned.section(".got.plt").size();
            case "stubs_size_with_ftrace_regs" -> planned.section(".stubs").size();
            case "core_size_before_sections" -> planned.prefixSize();
            case "gots" -> planned.section(".got").size() / 8 - 1;
            case "plts", "count" -> count(planned);
            default -> throw new IllegalStateException("nothing to compare " + what + " with");
        };
    }

    /** Veneers that the relocations cause, without those that are always there. */
    private long count(Planned planned) {
        return switch (architecture.name()) {
            case "arm64", "riscv64" -> planned.section(".plt").size() / 12 - 1;
            case "loongarch64" -> planned.section(".plt").size() / 16 - 1;
            case "ppc64le" -> planned.section(".stubs").size() / 40 - 3;
            case "arm" -> armCount(planned.section(".plt").size());
            default -> throw new IllegalStateException("no count for " + architecture.name());
        };
    }

    /**
     * Arm rounds up to whole groups: how many entries there are shows in how many more make the
     * section grow. Two are always there, for ftrace.
     */
    private long armCount(long size) {
        int more = 0;
        while (withMoreCalls(more + 1).plan().section(".plt").size() == size) {
            more++;
        }
        return size / 8 - 2 - more;
    }

    private PlacedImage withMoreCalls(int number) {
        PlacedImage image = image();
        int section = image.section(".text.more", ALLOC | EXECINSTR, 0, new byte[4 * number]);
        for (int i = 0; i < number; i++) {
            int symbol = image.symbol(Symbol.undefined("more_" + i), 0);
            image.relocation(section, new Relocation(4L * i, R_ARM_CALL, symbol, 0));
        }
        return image;
    }

    /** The image of the record: section and symbol indexes are as there. */
    private PlacedImage image() {
        boolean addends = architecture.acceptsRelocations(true);
        PlacedImage image = new PlacedImage(architecture, config(), addends);
        List<Long> places = longs(json.getAsJsonArray("sym_shndx"));
        int target = json.get("target_section").getAsInt();
        long last = Math.max(target, places.stream().mapToLong(Long::longValue).max().orElse(0));
        for (int i = 1; i <= last; i++) {
            Bytes zeros = Bytes.wrap(new byte[8]);
            image.section(
                    i == target
                            ? target()
                            : Section.progbits(".data." + i, ALLOC | WRITE, 8, zeros));
        }
        image.withLoaderSections();
        for (int i = 1; i < places.size(); i++) {
            int section = places.get(i).intValue();
            Symbol.Place place =
                    section == 0 ? new Symbol.Undefined() : new Symbol.InSection(section);
            image.symbol(
                    new Symbol("symbol_" + i, Binding.GLOBAL, Symbol.NOTYPE, 0, place, 0, 0),
                    FAR + 0x1000L * i);
        }
        for (JsonElement element : json.getAsJsonArray("relocs")) {
            JsonObject entry = element.getAsJsonObject();
            image.relocation(
                    target,
                    new Relocation(
                            entry.get("offset").getAsLong(),
                            entry.get("type").getAsInt(),
                            entry.get("sym").getAsInt(),
                            entry.has("addend") ? entry.get("addend").getAsLong() : 0));
        }
        return image;
    }

    private Section target() {
        int size = 8;
        for (JsonElement element : json.getAsJsonArray("relocs")) {
            size = Math.max(size, element.getAsJsonObject().get("offset").getAsInt() + 8);
        }
        byte[] bytes = new byte[size];
        for (JsonElement element : json.getAsJsonArray("relocs")) {
            JsonObject entry = element.getAsJsonObject();
            if (entry.has("word")) {
                Words.write(
                        bytes,
                        entry.get("offset").getAsInt(),
                        4,
                        Long.parseLong(entry.get("word").getAsString(), 16),
                        architecture.encoding().bigEndian());
            }
        }
        long alignment = json.has("target_align") ? json.get("target_align").getAsLong() : 4;
        return Section.progbits(TARGET, ALLOC | EXECINSTR, alignment, Bytes.wrap(bytes));
    }

    // ---- s390 ----

    /** Which slot a symbol was given shows in relocations that are applied behind the others. */
    private void compareSlots(JsonObject expect) {
        JsonObject gots = expect.getAsJsonObject("got_offsets");
        JsonObject plts = expect.getAsJsonObject("plt_offsets");
        PlacedImage image = image();
        long text = 0x3ff_8000_0000L;
        image.place(TARGET, text);
        String name = ".text.probe";
        int probe =
                image.section(
                        name,
                        ALLOC | EXECINSTR,
                        text + 0x100000,
                        new byte[8 * (gots.size() + plts.size()) + 8]);
        List<Relocation> probes = new ArrayList<>();
        for (String symbol : gots.keySet()) {
            probes.add(
                    new Relocation(8L * probes.size(), R_390_GOT64, Integer.parseInt(symbol), 0));
        }
        for (String symbol : plts.keySet()) {
            probes.add(
                    new Relocation(
                            8L * probes.size(), R_390_PLT32DBL, Integer.parseInt(symbol), 0));
        }
        probes.forEach(relocation -> image.relocation(probe, relocation));
        Placed placed = image.plan().place();
        if (probes.isEmpty()) {
            return;
        }
        RelocationTable table =
                placed.tables().stream().filter(each -> each.target() == probe).findFirst().get();
        PlacedSection section = placed.section(name);
        for (int i = 0; i < probes.size(); i++) {
            placed.relocate(table, i);
            String symbol = "" + probes.get(i).symbolIndex();
            if (i < gots.size()) {
                compare(
                        "GOT offset of symbol " + symbol,
                        gots.get(symbol).getAsLong(),
                        section.read(8L * i, 8));
            } else {
                long entry = section.address() + 8L * i + 2L * section.readInt(8L * i);
                compare(
                        "PLT offset of symbol " + symbol,
                        expect.get("plt_start").getAsLong() + plts.get(symbol).getAsLong(),
                        entry - placed.prefix().address());
            }
        }
    }
}

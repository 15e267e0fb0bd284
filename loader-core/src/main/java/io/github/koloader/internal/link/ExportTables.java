package io.github.koloader.internal.link;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.arch.RelocationTypes;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What the linked code exports: the entries of {@code __ksymtab} and its kin, found by their
 * symbols and read back from their bytes; and since 6.5 the records in {@code .export_symbol}, of
 * which the kernel's build makes the tables only for the final link.
 *
 * @kernel include/linux/export.h; include/linux/export-internal.h
 */
final class ExportTables {
    private static final String ENTRY = "__ksymtab_";
    private static final String CRC = "__crc_";
    private static final String RECORD = "__export_symbol_";

    private final RelocationTypes types;
    private final LinkedMemory memory;
    private final MergedImage merged;
    private final long[] values;
    private final List<ExportedSymbol> found = new ArrayList<>();
    private final Set<String> names = new HashSet<>();
    private final List<String> unread = new ArrayList<>();

    ExportTables(RelocationTypes types, LinkedMemory memory, MergedImage merged, long[] values) {
        this.types = types;
        this.memory = memory;
        this.merged = merged;
        this.values = values;
    }

    /** What is exported, in link order. */
    List<ExportedSymbol> found() {
        return found;
    }

    /** Sections of exports that could not be read, one sentence each. */
    List<String> unread() {
        return unread;
    }

    void run(List<@Nullable LinkedObject> objects) {
        for (LinkedObject object : objects) {
            if (object != null) {
                addEntries(object);
            }
        }
        for (LinkedObject object : objects) {
            if (object != null) {
                addRecords(object);
            }
        }
    }

    // ---- tables ----

    private void addEntries(LinkedObject object) {
        SymbolTable symbols = object.symbols;
        Map<Integer, Integer> entriesIn = new HashMap<>();
        Map<String, Integer> crcs = new HashMap<>();
        List<Integer> entries = new ArrayList<>();
        for (int i = 1; i < symbols.count(); i++) {
            String name = symbols.name(i);
            Piece piece = object.piece(symbols.sectionIndex(i));
            if (name.startsWith(CRC)) {
                crcs.put(name.substring(CRC.length()), i);
            } else if (piece != null && name.startsWith(ENTRY) && isExports(piece)) {
                entries.add(i);
                entriesIn.merge(piece.section, 1, Integer::sum);
            }
        }
        Map<Integer, Map<Long, Integer>> places = new HashMap<>();
        for (int entry : entries) {
            int section = symbols.sectionIndex(entry);
            Map<Long, Integer> known =
                    places.computeIfAbsent(section, key -> CollectSections.places(object, key));
            Piece piece = object.piece(section);
            if (piece != null) {
                long size = piece.size / entriesIn.getOrDefault(section, 1);
                addEntry(object, entry, piece, size, known, crcs);
            }
        }
        for (Piece piece : object.pieces) {
            if (piece != null
                    && piece.size > 0
                    && isExports(piece)
                    && !entriesIn.containsKey(piece.section)) {
                unread.add(
                        "%s: section %s has no symbol %sx, so its exports are not known"
                                .formatted(object.name, object.sectionName(piece.section), ENTRY));
            }
        }
    }

    private static boolean isExports(Piece piece) {
        String output = piece.target.output();
        return output.startsWith("__ksymtab") && !output.equals("__ksymtab_strings");
    }

    private void addEntry(
            LinkedObject object,
            int symbol,
            Piece piece,
            long size,
            Map<Long, Integer> places,
            Map<String, Integer> crcs) {
        String name = object.symbols.name(symbol).substring(ENTRY.length());
        long offset = object.symbols.value(symbol);
        Integer type = places.get(offset);
        RelocationType row = type == null ? null : EntryStyle.row(types, type);
        Optional<EntryStyle> style =
                row == null ? Optional.empty() : EntryStyle.of(row, memory.wordSize());
        if (style.isEmpty()) {
            unread.add(
                    "%s: the value of %s%s is not known: no relocation gives it one"
                            .formatted(object.name, ENTRY, name));
            return;
        }
        long place = memory.address(merged.indexOf(piece.target.output())) + piece.offset + offset;
        int field = style.get().size();
        Optional<Long> value = pointer(place, style.get());
        String title = pointer(place + field, style.get()).flatMap(memory::text).orElse(name);
        String namespace =
                size < 3L * field
                        ? ""
                        : pointer(place + 2L * field, style.get()).flatMap(memory::text).orElse("");
        boolean gpl = isGpl(piece.target.output());
        value.ifPresent(address -> names.add(title));
        value.ifPresent(
                address ->
                        found.add(
                                new ExportedSymbol(
                                        title,
                                        new Address(address),
                                        gpl,
                                        namespace,
                                        crc(object, crcs.get(name)))));
    }

    private static boolean isGpl(String table) {
        return table.equals("__ksymtab_gpl") || table.equals("__ksymtab_unused_gpl");
    }

    /** Where a field leads; empty if it is null. */
    private Optional<Long> pointer(long place, EntryStyle style) {
        return memory.read(place, style.size())
                .filter(value -> value != 0)
                .map(value -> style.relative() ? memory.word(place + (int) (long) value) : value);
    }

    private OptionalInt crc(LinkedObject object, @Nullable Integer symbol) {
        if (symbol == null) {
            return OptionalInt.empty();
        }
        int section = object.symbols.sectionIndex(symbol);
        long value = object.symbols.value(symbol);
        if (section == SymbolTable.ABS) {
            return OptionalInt.of((int) value);
        }
        Piece piece = object.piece(section);
        Optional<Long> number =
                piece == null
                        ? Optional.empty()
                        : memory.read(
                                memory.address(merged.indexOf(piece.target.output()))
                                        + piece.offset
                                        + value,
                                4);
        return number.isPresent() ? OptionalInt.of((int) (long) number.get()) : OptionalInt.empty();
    }

    // ---- records ----

    /** A record is a licence, empty or GPL, a namespace, and a pointer to what is exported. */
    private void addRecords(LinkedObject object) {
        SymbolTable symbols = object.symbols;
        for (int i = 1; i < symbols.count(); i++) {
            int section = symbols.sectionIndex(i);
            String name = symbols.name(i);
            if (!name.startsWith(RECORD)
                    || !object.isDiscarded(section)
                    || !object.sectionName(section).equals(".export_symbol")) {
                continue;
            }
            Bytes bytes = object.section(section).contents();
            long at = symbols.value(i);
            String export = name.substring(RECORD.length());
            int target = merged.globalIndex(export);
            if (at < 0 || at >= bytes.size() || target <= 0) {
                unread.add("%s: the export of %s is not known".formatted(object.name, export));
                continue;
            }
            String licence = bytes.text((int) at);
            int next = (int) at + licence.length() + 1;
            String namespace = next <= bytes.size() ? bytes.text(next) : "";
            if (names.add(export)) {
                found.add(
                        new ExportedSymbol(
                                export,
                                new Address(memory.word(values[target])),
                                licence.equals("GPL"),
                                namespace,
                                OptionalInt.empty()));
            }
        }
    }
}

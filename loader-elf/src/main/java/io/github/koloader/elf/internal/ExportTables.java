package io.github.koloader.elf.internal;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BiPredicate;
import java.util.stream.Collectors;

/**
 * What a linked kernel exports. Its tables are bounded by symbols, or are sections of their own; in
 * other images they are searched for.
 *
 * @kernel include/asm-generic/vmlinux.lds.h, RO_DATA; kernel/module/main.c, find_symbol()
 */
final class ExportTables {
    /** Tables in the order in which they are searched; later ones are gone since 5.12. */
    private enum Kind {
        PLAIN("", false),
        GPL("_gpl", true),
        GPL_FUTURE("_gpl_future", false),
        UNUSED("_unused", false),
        UNUSED_GPL("_unused_gpl", true);

        private final String suffix;
        private final boolean gplOnly;

        Kind(String suffix, boolean gplOnly) {
            this.suffix = suffix;
            this.gplOnly = gplOnly;
        }
    }

    /** Where a table is said to be. */
    private record Place(Kind kind, LinkedImage.Piece piece, int at, int size) {}

    private final LinkedImage image;
    private final SymbolIndex symbols;
    private final Encoding encoding;
    private final SymbolNames names;
    private final List<ExportedSymbol> exports = new ArrayList<>();
    private final List<String> unknown = new ArrayList<>();
    private int wrong;

    ExportTables(LinkedImage image, SymbolIndex symbols) {
        this.image = image;
        this.symbols = symbols;
        this.encoding = image.encoding();
        this.names = new SymbolNames(image);
    }

    List<ExportedSymbol> exports() {
        return exports;
    }

    /** What could not be found out. */
    List<String> unknown() {
        return unknown;
    }

    /** Finds and reads the tables. */
    ExportTables read() {
        List<ExportTable> tables = known();
        if (tables.isEmpty()) {
            tables = new ExportSearch(image, names).find();
            if (tables.isEmpty()) {
                unknown.add(
                        "Exports: neither symbols nor sections say where their tables are, and no"
                                + " table of ascending names stands out.");
            } else if (tables.size() == 1) {
                unknown.add(
                        "Exports: which are GPL-only: there is one table only, or nothing tells"
                                + " where it ends; all count as plain.");
            }
        }
        CrcTables crcs = new CrcTables(image, symbols, tables);
        tables.forEach(table -> readTable(table, crcs));
        if (wrong > 0) {
            unknown.add("Exports: " + wrong + " entries have no name and are left out.");
        }
        if (names.exhausted()) {
            unknown.add("Exports: the image has more text than can be looked at.");
        }
        checkAddresses();
        return this;
    }

    /** Tables that symbols or sections tell of. */
    private List<ExportTable> known() {
        List<Place> places = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            place(kind).ifPresent(places::add);
        }
        if (places.stream().allMatch(place -> place.size() == 0)) {
            return List.of();
        }
        Optional<ExportEntryForm> form = form(places);
        if (form.isEmpty()) {
            unknown.add("Exports: their tables are of no form that is known.");
            return List.of();
        }
        List<ExportTable> tables = new ArrayList<>();
        for (Place place : places) {
            tables.add(table(place, form.get()));
        }
        return tables;
    }

    private Optional<Place> place(Kind kind) {
        String section = "__ksymtab" + kind.suffix;
        Optional<Long> start = symbols.address("__start_" + section);
        Optional<Long> end = symbols.address("__stop_" + section);
        if (start.isPresent() && end.isPresent()) {
            long size = end.get() - start.get();
            Optional<LinkedImage.Piece> piece =
                    size < 0 ? Optional.empty() : image.pieceAt(start.get(), size);
            if (piece.isPresent()) {
                int at = (int) (start.get() - piece.get().address());
                return Optional.of(new Place(kind, piece.get(), at, (int) size));
            }
            if (size != 0) {
                unknown.add("Exports: the symbols of " + section + " bound nothing in the image.");
            }
        }
        return image.section(section).map(piece -> new Place(kind, piece, 0, piece.bytes().size()));
    }

    /** The form in which most entries have a name, if that is most of them. */
    private Optional<ExportEntryForm> form(List<Place> places) {
        Optional<ExportEntryForm> best = Optional.empty();
        double most = 0.5;
        for (ExportEntryForm form : ExportEntryForm.ALL) {
            int all = 0;
            int named = 0;
            for (Place place : places) {
                ExportTable table = table(place, form);
                all += table.count();
                for (int entry = 0; entry < table.count(); entry++) {
                    named += table.name(entry, names, encoding).isPresent() ? 1 : 0;
                }
            }
            if (all > 0 && (double) named / all > most) {
                most = (double) named / all;
                best = Optional.of(form);
            }
        }
        return best;
    }

    private ExportTable table(Place place, ExportEntryForm form) {
        return new ExportTable(
                place.kind().suffix,
                place.kind().gplOnly,
                place.piece(),
                place.at(),
                place.size() / form.size(encoding),
                form);
    }

    private void readTable(ExportTable table, CrcTables crcs) {
        String last = "";
        int disorder = 0;
        for (int entry = 0; entry < table.count(); entry++) {
            Optional<String> name = table.name(entry, names, encoding);
            if (name.isEmpty()) {
                wrong++;
                continue;
            }
            disorder += name.get().compareTo(last) < 0 ? 1 : 0;
            last = name.get();
            exports.add(
                    new ExportedSymbol(
                            name.get(),
                            new Address(table.field(entry, 0, encoding)),
                            table.gplOnly(),
                            table.namespace(entry, names, encoding),
                            crcs.crc(table, entry)));
        }
        if (disorder > 0) {
            unknown.add(
                    "Exports: __ksymtab"
                            + table.suffix()
                            + " is not sorted; a kernel, which searches it by halves, would not"
                            + " find all of it.");
        }
    }

    /** Where there are symbols as well, they are to agree. */
    private void checkAddresses() {
        BiPredicate<String, Long> isThere =
                symbols.placesOf(
                        exports.stream().map(ExportedSymbol::name).collect(Collectors.toSet()));
        int different = 0;
        String first = "";
        for (ExportedSymbol export : exports) {
            if (symbols.address(export.name()).isPresent()
                    && !isThere.test(export.name(), export.address().value())) {
                first = different++ == 0 ? export.name() : first;
            }
        }
        if (different > 0) {
            unknown.add(
                    "Exports: "
                            + different
                            + " are not at the address of a symbol of their name, such as "
                            + first
                            + ".");
        }
    }
}

package io.github.koloader.internal.link;

import io.github.koloader.Initcall;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The initcalls as the linked table has them, read back from its bytes. */
final class InitcallTable {
    private final OutputSection table;
    private final EntryStyle style;
    private final List<@Nullable LinkedObject> objects;
    private final LinkedMemory memory;
    private final SymbolNames names;
    private final Problems problems;
    private final long start;

    InitcallTable(
            OutputSection table,
            EntryStyle style,
            List<@Nullable LinkedObject> objects,
            LinkedMemory memory,
            long start,
            SymbolNames names,
            Problems problems) {
        this.table = table;
        this.style = style;
        this.objects = objects;
        this.memory = memory;
        this.start = start;
        this.names = names;
        this.problems = problems;
    }

    /** No entry may stand apart from the one before it: a kernel would run what is between. */
    static void checkHoles(
            OutputSection table, List<@Nullable LinkedObject> objects, Problems problems) {
        long end = 0;
        for (Piece piece : table.pieces) {
            LinkedObject object = objects.get(piece.input);
            if (piece.offset != end && object != null) {
                String section = object.sectionName(piece.section);
                problems.holeInTable(object.name, section, piece.alignment);
            }
            end = piece.end();
        }
    }

    /** Makes a Java function's entry lead to its code. */
    void writeEntry(Piece entry, long function, String name) {
        long place = start + entry.offset;
        long value = style.relative() ? function - place : function;
        if (style.relative() && value != (int) value) {
            problems.entryTooFar(name);
        }
        memory.write(place, style.size(), value);
    }

    List<Initcall> run() {
        List<Initcall> calls = new ArrayList<>();
        Map<LinkedObject, Map<Long, EntrySymbol>> entrySymbols = new HashMap<>();
        for (Piece piece : table.pieces) {
            LinkedObject object = objects.get(piece.input);
            Map<Long, EntrySymbol> known =
                    object == null
                            ? Map.of()
                            : entrySymbols.computeIfAbsent(object, this::entrySymbols);
            for (long at = 0; at < piece.size; at += style.size()) {
                long place = start + piece.offset + at;
                long function = function(place);
                if (function == 0 && object != null) {
                    String section = object.sectionName(piece.section);
                    problems.callOfNothing(object.name, section, at);
                    continue;
                }
                Optional<EntrySymbol> symbol = Optional.ofNullable(known.get(place - start));
                calls.add(
                        new Initcall(
                                ImageScript.levelOf(piece.target.rank()),
                                new Address(function),
                                names.nameOf(function, symbol).orElse(""),
                                symbol.map(EntrySymbol::module)
                                        .or(
                                                () ->
                                                        Optional.ofNullable(object)
                                                                .map(of -> of.module))));
            }
        }
        return calls;
    }

    /** What an entry leads to; 0 if it leads nowhere. */
    private long function(long place) {
        long value = memory.read(place, style.size()).orElse(0L);
        if (!style.relative()) {
            return value;
        }
        long target = place + (int) value;
        return memory.wide() ? target : target & 0xffff_ffffL;
    }

    /** What the symbols of an object's entries say, by offset in the table. */
    private Map<Long, EntrySymbol> entrySymbols(LinkedObject object) {
        Map<Long, EntrySymbol> found = new HashMap<>();
        SymbolTable symbols = object.symbols;
        for (int i = 1; i < symbols.count(); i++) {
            Piece piece = object.piece(symbols.sectionIndex(i));
            if (piece != null && CollectSections.isTable(piece)) {
                long offset = piece.offset + symbols.value(i);
                EntrySymbol.parse(symbols.name(i))
                        .ifPresent(entry -> found.putIfAbsent(offset, entry));
            }
        }
        return found;
    }
}

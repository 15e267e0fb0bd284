package io.github.koloader.elf.internal;

import io.github.koloader.image.Encoding;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * CRCs of a kernel's exports: as many as entries, in the same order. Their tables lie between the
 * tables of exports and the names of these. An element is a word, or 32 bits; for some versions
 * these are the distance to where the CRC is.
 */
final class CrcTables {
    private static final int LONGEST_GAP = 16;

    private record Crcs(long start, int elementSize, boolean relative) {}

    private final LinkedImage image;
    private final Encoding encoding;
    private final IdentityHashMap<ExportTable, Crcs> tables = new IdentityHashMap<>();

    CrcTables(LinkedImage image, SymbolIndex symbols, List<ExportTable> exports) {
        this.image = image;
        this.encoding = image.encoding();
        IdentityHashMap<ExportTable, Long> starts = new IdentityHashMap<>();
        List<Long> bounds = new ArrayList<>();
        for (ExportTable table : exports) {
            start(symbols, "__kcrctab" + table.suffix())
                    .ifPresent(
                            start -> {
                                starts.put(table, start);
                                bounds.add(start);
                            });
        }
        OptionalLong strings = strings(exports);
        strings.ifPresent(bounds::add);
        if (starts.isEmpty() && strings.isPresent()) {
            guess(exports, strings.getAsLong());
        }
        starts.forEach((table, start) -> add(table, start, elementSize(table, start, bounds)));
    }

    private Optional<Long> start(SymbolIndex symbols, String section) {
        return symbols.address("__start_" + section)
                .or(() -> image.section(section).map(LinkedImage.Piece::address));
    }

    /** Where names and namespaces begin. */
    private OptionalLong strings(List<ExportTable> exports) {
        long lowest = -1;
        for (ExportTable table : exports) {
            for (int entry = 0; entry < table.count(); entry++) {
                for (int field = 1; field < table.form().fields(); field++) {
                    long at = table.field(entry, field, encoding);
                    if (at != 0 && Long.compareUnsigned(at, lowest) < 0) {
                        lowest = at;
                    }
                }
            }
        }
        return lowest == -1 ? OptionalLong.empty() : OptionalLong.of(lowest);
    }

    /** A word, if there is room for so many up to what follows; else 32 bits. */
    private int elementSize(ExportTable table, long start, List<Long> bounds) {
        long room = Long.MAX_VALUE;
        for (long bound : bounds) {
            long distance = bound - start;
            if (distance > 0) {
                room = Math.min(room, distance);
            }
        }
        Optional<LinkedImage.Piece> section = image.section("__kcrctab" + table.suffix());
        if (section.isPresent() && section.get().address() == start) {
            room = section.get().bytes().size();
        }
        return room >= (long) table.count() * encoding.wordSize() ? encoding.wordSize() : 4;
    }

    /** Goes by how much room there is between the tables of exports and the names. */
    private void guess(List<ExportTable> exports, long strings) {
        ExportTable last = exports.get(exports.size() - 1);
        long all = exports.stream().mapToLong(ExportTable::count).sum();
        for (int size : new int[] {encoding.wordSize(), 4}) {
            long at = last.end(encoding) + size - 1 & -size;
            long spare = strings - at - all * size;
            if (spare >= 0 && spare < LONGEST_GAP) {
                for (ExportTable table : exports) {
                    add(table, at, size);
                    at += (long) table.count() * size;
                }
                return;
            }
        }
    }

    private void add(ExportTable table, long start, int size) {
        if (table.count() > 0 && image.has(start, (long) table.count() * size)) {
            tables.put(table, new Crcs(start, size, size == 4 && relative(start, table.count())));
        }
    }

    /** Whether each element leads to something in the image, as no number at random would. */
    private boolean relative(long start, int count) {
        boolean some = false;
        for (int i = 0; i < count; i++) {
            long at = start + 4L * i;
            int distance = image.readInt(at);
            if (distance != 0 && !image.has(target(at, distance), 4)) {
                return false;
            }
            some |= distance != 0;
        }
        return some;
    }

    private long target(long at, int distance) {
        return encoding.wide() ? at + distance : at + distance & 0xffff_ffffL;
    }

    /** Whether a table has CRCs. */
    boolean has(ExportTable table) {
        return tables.containsKey(table);
    }

    /** The CRC of an entry; empty if the kernel has none. */
    OptionalInt crc(ExportTable table, int entry) {
        Crcs crcs = tables.get(table);
        if (crcs == null) {
            return OptionalInt.empty();
        }
        long at = crcs.start() + (long) entry * crcs.elementSize();
        if (crcs.elementSize() == 8) {
            return OptionalInt.of((int) image.readWord(at));
        }
        int value = image.readInt(at);
        return OptionalInt.of(
                crcs.relative() && value != 0 ? image.readInt(target(at, value)) : value);
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Encoding;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Looks for tables of exports in an image that does not say where they are. Entries are sorted by
 * name, so their names ascend for longer than those of anything else in a kernel. The table of
 * GPL-only exports follows the other one, and starts over with the alphabet.
 */
final class ExportSearch {
    private static final int SHORTEST_TABLE = 8;
    private static final int SHORTEST_NEIGHBOUR = 2;
    private static final int LONGEST_GAP = 16; // what tables are aligned to

    private final LinkedImage image;
    private final Encoding encoding;
    private final SymbolNames names;

    ExportSearch(LinkedImage image, SymbolNames names) {
        this.image = image;
        this.encoding = image.encoding();
        this.names = names;
    }

    /** The plain table, and the GPL-only one where it can be told; none if nothing stands out. */
    List<ExportTable> find() {
        List<ExportTable> runs = new ArrayList<>();
        for (ExportEntryForm form : ExportEntryForm.ALL) {
            for (LinkedImage.Piece piece : image.pieces()) {
                addRuns(piece, form, runs);
            }
        }
        ExportTable longest = null;
        for (ExportTable run : runs) {
            if (longest == null || run.count() > longest.count()) {
                longest = run;
            }
        }
        if (longest == null) {
            return List.of();
        }
        Optional<ExportTable> before = before(longest);
        Optional<ExportTable> behind = behind(longest);
        for (ExportTable run : runs) {
            boolean part =
                    overlap(run, longest)
                            || before.isPresent() && overlap(run, before.get())
                            || behind.isPresent() && overlap(run, behind.get());
            if (!part && 2L * run.count() > longest.count()) {
                return List.of();
            }
        }
        if (behind.isPresent() && before.isEmpty()) {
            return List.of(longest, gplOnly(behind.get()));
        }
        if (before.isPresent() && behind.isEmpty()) {
            return List.of(before.get(), gplOnly(longest));
        }
        return before.isEmpty() ? List.of(longest) : List.of();
    }

    private boolean overlap(ExportTable a, ExportTable b) {
        return a.start() - b.start() < b.end(encoding) - b.start()
                && b.start() - a.start() < a.end(encoding) - a.start()
                && a.piece().equals(b.piece());
    }

    private static ExportTable gplOnly(ExportTable table) {
        return new ExportTable(
                "_gpl", true, table.piece(), table.at(), table.count(), table.form());
    }

    private void addRuns(LinkedImage.Piece piece, ExportEntryForm form, List<ExportTable> runs) {
        int align = form.kind().size(encoding);
        int at = (int) (-piece.address() & align - 1);
        while (at <= piece.bytes().size() - SHORTEST_TABLE * form.size(encoding)) {
            int count = ascending(piece, at, form);
            if (count >= SHORTEST_TABLE) {
                runs.add(new ExportTable("", false, piece, at, count, form));
                at += count * form.size(encoding);
            } else {
                at += align;
            }
        }
    }

    /** How many entries from an index on have names that ascend. */
    private int ascending(LinkedImage.Piece piece, int at, ExportEntryForm form) {
        String last = "";
        int count = 0;
        for (int index = at; index <= piece.bytes().size() - form.size(encoding); count++) {
            Optional<String> name = name(piece, index, form);
            if (name.isEmpty() || name.get().compareTo(last) <= 0) {
                break;
            }
            last = name.get();
            index += form.size(encoding);
        }
        return count;
    }

    /** The same for entries that end at an index: names descend from there to the front. */
    private int descending(LinkedImage.Piece piece, int end, ExportEntryForm form) {
        String last = null;
        int count = 0;
        for (int index = end - form.size(encoding); index >= 0; count++) {
            Optional<String> name = name(piece, index, form);
            if (name.isEmpty() || last != null && name.get().compareTo(last) >= 0) {
                break;
            }
            last = name.get();
            index -= form.size(encoding);
        }
        return count;
    }

    private Optional<String> name(LinkedImage.Piece piece, int index, ExportEntryForm form) {
        return names.at(form.field(1, piece.bytes(), index, piece.address() + index, encoding));
    }

    private Optional<ExportTable> behind(ExportTable table) {
        int end = table.at() + table.count() * table.form().size(encoding);
        for (int gap = 0; gap < LONGEST_GAP; gap += 4) {
            int count = ascending(table.piece(), end + gap, table.form());
            if (count >= SHORTEST_NEIGHBOUR) {
                return Optional.of(
                        new ExportTable("", false, table.piece(), end + gap, count, table.form()));
            }
        }
        return Optional.empty();
    }

    private Optional<ExportTable> before(ExportTable table) {
        for (int gap = 0; gap < LONGEST_GAP; gap += 4) {
            int end = table.at() - gap;
            int count = descending(table.piece(), end, table.form());
            if (count >= SHORTEST_NEIGHBOUR) {
                int at = end - count * table.form().size(encoding);
                return Optional.of(
                        new ExportTable("", false, table.piece(), at, count, table.form()));
            }
        }
        return Optional.empty();
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Encoding;
import java.util.Optional;

/**
 * A table of exports in a piece of an image, all of it.
 *
 * @param suffix of its section's name, such as {@code _gpl}
 * @param gplOnly whether only GPL-compatible modules may use what is in it
 * @param piece what has its bytes
 * @param at index of its first byte in there
 * @param count number of entries
 * @param form what they look like
 */
record ExportTable(
        String suffix,
        boolean gplOnly,
        LinkedImage.Piece piece,
        int at,
        int count,
        ExportEntryForm form) {

    /** Address of its first byte. */
    long start() {
        return piece.address() + at;
    }

    /** The first address behind it. */
    long end(Encoding encoding) {
        return start() + (long) count * form.size(encoding);
    }

    /** What a field of an entry leads to; 0 if it leads nowhere. */
    long field(int entry, int number, Encoding encoding) {
        int index = at + entry * form.size(encoding);
        return form.field(number, piece.bytes(), index, piece.address() + index, encoding);
    }

    /** The name of an entry, if it leads to what may be one. */
    Optional<String> name(int entry, SymbolNames names, Encoding encoding) {
        return names.at(field(entry, 1, encoding));
    }

    /** The namespace of an entry: empty for none. */
    String namespace(int entry, SymbolNames names, Encoding encoding) {
        return form.fields() < 3 ? "" : names.namespaceAt(field(entry, 2, encoding)).orElse("");
    }
}

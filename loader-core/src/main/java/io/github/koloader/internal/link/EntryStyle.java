package io.github.koloader.internal.link;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.arch.RelocationTypes;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * How an entry of a table leads somewhere: a word with the address, or 32 bits with the distance
 * from the entry itself (PREL32).
 *
 * @param size bytes
 * @param relative whether it is a distance
 */
record EntryStyle(int size, boolean relative) {
    private static final EntryStyle DISTANCE = new EntryStyle(4, true);

    /** Entries of Java functions, unless those of objects are otherwise. */
    static EntryStyle of(Architecture architecture, boolean relative) {
        return relative ? DISTANCE : new EntryStyle(architecture.encoding().wordSize(), false);
    }

    /** The row of a relocation type; of the types that 64-bit MIPS puts together, of the first. */
    static @Nullable RelocationType row(RelocationTypes types, int type) {
        RelocationType row = types.byCode(type);
        return row != null ? row : types.byCode(type & 0xff);
    }

    /**
     * What a relocation makes of the place it patches. A distance may also be made by adding one
     * address and subtracting another.
     *
     * @param word bytes of a word
     * @return empty if that is no entry
     */
    static Optional<EntryStyle> of(RelocationType row, int word) {
        int size = row.field().size();
        boolean whole = size > 0 && row.field().mask() == -1L >>> 64 - 8 * size;
        boolean sum = row.name().contains("_ADD") || row.name().contains("_SUB");
        return switch (row.formula()) {
            case ABSOLUTE ->
                    whole && size == word
                            ? Optional.of(new EntryStyle(size, false))
                            : Optional.empty();
            case PC_RELATIVE -> whole && size == 4 ? Optional.of(DISTANCE) : Optional.empty();
            case OWN -> sum && size == 4 ? Optional.of(DISTANCE) : Optional.empty();
            case NONE, PAGE_RELATIVE -> Optional.empty();
        };
    }

    /** What messages call it. */
    @Override
    public String toString() {
        return relative ? "distances of 32 bits" : "addresses of " + 8 * size + " bits";
    }
}

package io.github.koloader.arch;

import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.RelocationTable;

/**
 * Applies the relocations of one module, table by table in file order: looks the row up, computes
 * the value, checks it, writes it. A rejected entry leaves its place as it was.
 *
 * <p>An architecture for which rows say all needs nothing else. Others extend this class: by {@link
 * #outOfRange} for veneers, by {@link #apply(RelocationEntry)} for types whose formula is {@link
 * Formula#OWN}, by {@link #begin} and {@link #end} for what spans entries. One object serves one
 * load, so what it remembers is the module's.
 */
public class Relocator {
    /** Entries that are read at once. */
    private static final int CHUNK = 512;

    private final Architecture architecture;
    private final PlacedModule module;
    private final RelocationTypes rows;
    private final boolean wide;
    private final long[] offsets = new long[CHUNK];
    private final int[] types = new int[CHUNK];
    private final int[] symbols = new int[CHUNK];
    private final long[] addends = new long[CHUNK];

    /**
     * A relocator for one module.
     *
     * @param architecture whose rows, and whose words for a rejected entry
     * @param module the module in memory
     */
    public Relocator(Architecture architecture, PlacedModule module) {
        this.architecture = architecture;
        this.module = module;
        this.rows = architecture.relocationTypes(module.config());
        this.wide = architecture.encoding().wide();
    }

    /** {@return the module} */
    public final PlacedModule module() {
        return module;
    }

    /**
     * Applies every entry of a table, in order.
     *
     * @param table relocations for a section that takes memory
     * @throws LoadException the architecture's {@link Architecture#rejection} of the first entry
     *     that cannot be applied
     */
    public final void apply(RelocationTable table) {
        PlacedSection section = module.section(table.target());
        if (section == null) {
            throw new IllegalArgumentException(
                    "section " + table.target() + " takes no memory and cannot be relocated");
        }
        RelocationEntry entry = new RelocationEntry(architecture, module, table, section);
        begin(table);
        int count = table.count();
        for (int from = 0; from < count; from += CHUNK) {
            int number = Math.min(CHUNK, count - from);
            table.read(from, number, offsets, types, symbols, addends);
            for (int i = 0; i < number; i++) {
                entry.moveTo(from + i, types[i], symbols[i], offsets[i], addends[i]);
                apply(entry);
            }
        }
        end(table);
    }

    /**
     * Called before the first entry of a table.
     *
     * @param table the table
     */
    protected void begin(RelocationTable table) {}

    /**
     * Called after the last entry of a table.
     *
     * @param table the table
     */
    protected void end(RelocationTable table) {}

    /**
     * Applies one entry. This one does what the entry's row says.
     *
     * @param entry the entry; valid until this method returns
     * @throws LoadException if it cannot be applied
     */
    protected void apply(RelocationEntry entry) {
        RelocationType row = row(entry);
        if (row.formula() != Formula.NONE) {
            applyRow(row, entry);
        }
    }

    /**
     * {@return the row of an entry's type}
     *
     * @param entry the entry
     * @throws LoadException if this kernel has no such type
     */
    protected final RelocationType row(RelocationEntry entry) {
        RelocationType row = rows.byCode(entry.type());
        if (row == null) {
            throw entry.rejected(Kind.UNKNOWN_TYPE, 0);
        }
        return row;
    }

    /**
     * Does what a row with a formula says.
     *
     * @param row the row; not of formula {@link Formula#OWN}
     * @param entry the entry
     * @throws LoadException if the value does not fit, the place is outside of its section or,
     *     where the field wants zero, is not zero
     */
    protected final void applyRow(RelocationType row, RelocationEntry entry) {
        Field field = row.field();
        int size = field.size();
        entry.checkPlace(size);
        long s = entry.s();
        PlacedSection section = entry.section();
        long old = section.read(entry.offset(), size);
        long a = entry.table().hasAddends() ? entry.a() : field.implicitAddend(old);
        long value = word(row.formula().value(s, a, entry.p()));
        if (field.ontoZero() && old != 0) {
            throw entry.rejected(Kind.PLACE_NOT_ZERO, value);
        }
        if (!field.fits(value)) {
            long veneer = outOfRange(row, entry, a, value);
            value = word(row.formula().value(veneer, 0, entry.p()));
            if (!field.fits(value)) {
                throw entry.rejectedVia(Kind.OVERFLOW, veneer, value);
            }
        }
        section.write(entry.offset(), size, field.insert(old, value));
    }

    /** A result as the kernel's word has it: 64 bits, or 32 sign-extended. */
    private long word(long value) {
        return wide ? value : (int) value;
    }

    /**
     * Called when a value does not fit. This one refuses; with veneers it makes one.
     *
     * @param row the row of the entry's type
     * @param entry the entry
     * @param a its addend, be it carried or found in the place
     * @param value what does not fit
     * @return what to take in the place of S + A
     * @throws LoadException if there is no other way
     */
    protected long outOfRange(RelocationType row, RelocationEntry entry, long a, long value) {
        throw entry.rejected(Kind.OVERFLOW, value);
    }
}

package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.Words;
import java.util.Objects;

/** A section at its final address, with what its relocations need. */
public final class RelocationTarget {
    /** Entries that are read at once. */
    private static final int CHUNK = 512;

    private final KernelConfig config;
    private final String module;
    private final byte[] array;
    private final int start;
    private final long size;
    private final long address;
    private final SymbolTable symbols;
    private final long[] values;

    /**
     * A section to be relocated.
     *
     * @param config the kernel
     * @param module name of the module
     * @param array where the section's bytes live
     * @param start index of the first
     * @param size bytes of the section
     * @param address address of its first byte
     * @param symbols the module's symbols
     * @param values their final values by index
     */
    public RelocationTarget(
            KernelConfig config,
            String module,
            byte[] array,
            int start,
            int size,
            long address,
            SymbolTable symbols,
            long[] values) {
        Objects.checkFromIndexSize(start, size, array.length);
        this.config = config;
        this.module = module;
        this.array = array;
        this.start = start;
        this.size = size;
        this.address = address;
        this.symbols = symbols;
        this.values = values;
    }

    /** {@return the kernel} */
    public KernelConfig config() {
        return config;
    }

    /** {@return name of the module} */
    public String module() {
        return module;
    }

    /** {@return address of the section's first byte} */
    public long address() {
        return address;
    }

    /** {@return the module's symbols} */
    public SymbolTable symbols() {
        return symbols;
    }

    /**
     * Applies every entry of {@code table} in order: looks its row up, computes the value, checks
     * it, writes it. A rejected entry leaves its place as it was.
     *
     * @param architecture whose rows, and whose words for a rejected entry
     * @param table relocations for this section
     * @throws LoadException the architecture's {@link Architecture#rejection}
     */
    public void applyRows(Architecture architecture, RelocationTable table) {
        int count = table.count();
        int chunk = Math.min(count, CHUNK);
        long[] offsets = new long[chunk];
        int[] types = new int[chunk];
        int[] symbolIndexes = new int[chunk];
        long[] addends = new long[chunk];
        for (int from = 0; from < count; from += chunk) {
            int number = Math.min(chunk, count - from);
            table.read(from, number, offsets, types, symbolIndexes, addends);
            apply(architecture, table, from, number, offsets, types, symbolIndexes, addends);
        }
    }

    /** Applies entries {@code [from, from + number)}, which have been read into the arrays. */
    private void apply(
            Architecture architecture,
            RelocationTable table,
            int from,
            int number,
            long[] offsets,
            int[] types,
            int[] symbolIndexes,
            long[] addends) {
        RelocationTypes rows = architecture.relocationTypes(config);
        boolean bigEndian = table.encoding().bigEndian();
        boolean wide = table.encoding().wide();
        boolean explicit = table.hasAddends();
        for (int i = 0; i < number; i++) {
            RelocationType row = rows.byCode(types[i]);
            if (row == null) {
                throw rejection(architecture, table, from + i, Kind.UNKNOWN_TYPE, 0);
            }
            Field field = row.field();
            int fieldSize = field.size();
            if (fieldSize == 0) {
                continue;
            }
            long offset = offsets[i];
            if (offset < 0 || offset > size - fieldSize) {
                throw rejection(architecture, table, from + i, Kind.OUTSIDE_SECTION, 0);
            }
            int symbol = symbolIndexes[i];
            if (symbol < 0 || symbol >= values.length) {
                throw rejection(architecture, table, from + i, Kind.NO_SUCH_SYMBOL, 0);
            }
            int at = start + (int) offset;
            long old = readField(at, fieldSize, bigEndian);
            long a = explicit ? addends[i] : field.implicitAddend(old);
            long full = row.formula().value(values[symbol], a, address + offset);
            long value = wide ? full : (int) full;
            if (field.ontoZero() && old != 0) {
                throw rejection(architecture, table, from + i, Kind.PLACE_NOT_ZERO, value);
            }
            if (!field.fits(value)) {
                throw rejection(architecture, table, from + i, Kind.OVERFLOW, value);
            }
            writeField(at, fieldSize, field.insert(old, value), bigEndian);
        }
    }

    private long readField(int at, int fieldSize, boolean bigEndian) {
        return switch (fieldSize) {
            case 8 -> Words.readLong(array, at, bigEndian);
            case 4 -> Integer.toUnsignedLong(Words.readInt(array, at, bigEndian));
            case 2 -> Words.readShort(array, at, bigEndian) & 0xffffL;
            default -> array[at] & 0xffL;
        };
    }

    private void writeField(int at, int fieldSize, long value, boolean bigEndian) {
        switch (fieldSize) {
            case 8 -> Words.writeLong(array, at, value, bigEndian);
            case 4 -> Words.writeInt(array, at, (int) value, bigEndian);
            case 2 -> Words.writeShort(array, at, (int) value, bigEndian);
            default -> array[at] = (byte) value;
        }
    }

    private LoadException rejection(
            Architecture architecture, RelocationTable table, int entry, Kind kind, long value) {
        int symbol = table.symbolIndex(entry);
        boolean known = symbol >= 0 && symbol < values.length;
        return architecture.rejection(
                new RelocationFailure(
                        kind,
                        config,
                        module,
                        table.section(),
                        entry,
                        table.type(entry),
                        known ? symbols.name(symbol) : "",
                        known ? values[symbol] : 0,
                        table.addend(entry),
                        address + table.offset(entry),
                        value,
                        table.offset(entry)));
    }
}

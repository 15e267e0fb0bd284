package io.github.koloader.elf.internal;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.memory.Address;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Reads the names and addresses that a kernel has of itself, for {@code /proc/kallsyms}. Addresses
 * are those that it is linked for.
 *
 * @kernel kernel/kallsyms.c
 */
public final class KallsymsDecoder {
    private KallsymsDecoder() {}

    /**
     * Looks for them.
     *
     * @param image a linked kernel
     * @return all symbols, in the kernel's order: lowest address first; empty if it has none, as
     *     without CONFIG_KALLSYMS, or tables that do not agree with each other
     */
    public static Optional<KernelSymbolTable> decode(LinkedImage image) {
        NavigableMap<Long, Long> sizes = new TreeMap<>(Long::compareUnsigned);
        for (LinkedImage.Piece piece : image.pieces()) {
            sizes.merge(piece.address(), piece.size(), Math::max);
        }
        for (LinkedImage.Piece piece : image.pieces()) {
            Optional<KallsymsTables> tables =
                    KallsymsTables.find(
                            piece.bytes(), image.encoding(), value -> isInside(sizes, value));
            if (tables.isPresent()) {
                return Optional.of(table(tables.get(), tables.get().baseValue()));
            }
        }
        return Optional.empty();
    }

    /** All symbols, going by a value of the base. */
    static KernelSymbolTable table(KallsymsTables tables, long base) {
        KernelSymbolTable.Builder table = KernelSymbolTable.builder();
        KallsymsTables.Names names = tables.names();
        for (int i = 0; i < tables.count(); i++) {
            String text = names.next();
            table.symbol(new Address(tables.address(i, base)), text.charAt(0), text.substring(1));
        }
        return table.build();
    }

    private static boolean isInside(NavigableMap<Long, Long> sizes, long value) {
        Map.Entry<Long, Long> below = sizes.floorEntry(value);
        return below != null && Long.compareUnsigned(value - below.getKey(), below.getValue()) <= 0;
    }
}

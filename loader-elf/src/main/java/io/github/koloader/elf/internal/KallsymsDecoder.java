package io.github.koloader.elf.internal;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.memory.Address;
import java.util.Optional;

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
        for (LinkedImage.Piece piece : image.pieces()) {
            Optional<KallsymsTables> tables =
                    KallsymsTables.find(
                            piece.bytes(), image.encoding(), value -> isInside(image, value));
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

    private static boolean isInside(LinkedImage image, long value) {
        for (LinkedImage.Piece piece : image.pieces()) {
            if (Long.compareUnsigned(value - piece.address(), piece.size()) <= 0) {
                return true;
            }
        }
        return false;
    }
}

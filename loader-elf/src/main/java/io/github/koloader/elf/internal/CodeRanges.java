package io.github.koloader.elf.internal;

import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.List;

/**
 * Where a linked kernel has code that a table may point to: its executable sections or, in a raw
 * image, what the bounds among its symbols leave of it.
 */
final class CodeRanges {
    private final List<AddressRange> ranges = new ArrayList<>();
    private final SymbolIndex symbols;

    CodeRanges(LinkedImage image, SymbolIndex symbols) {
        this.symbols = symbols;
        boolean sections = image.pieces().stream().anyMatch(piece -> !piece.executable());
        symbols.between("_stext", "_etext").ifPresent(ranges::add);
        symbols.between("_sinittext", "_einittext").ifPresent(ranges::add);
        if (sections || ranges.isEmpty()) {
            for (LinkedImage.Piece piece : image.pieces()) {
                if (piece.executable()) {
                    ranges.add(new AddressRange(new Address(piece.address()), piece.size()));
                }
            }
        }
    }

    /** Whether a function may begin there: where functions have names, one of them does. */
    boolean isFunction(long address) {
        return isCode(address) && (symbols.isEmpty() || symbols.startsAt(address));
    }

    /** Whether there is code. */
    boolean isCode(long address) {
        for (AddressRange range : ranges) {
            long offset = address - range.start().value();
            if (Long.compareUnsigned(offset, range.size()) < 0) {
                return true;
            }
        }
        return false;
    }
}

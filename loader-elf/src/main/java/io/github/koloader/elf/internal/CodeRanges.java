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
    private final List<AddressRange> init = new ArrayList<>();
    private final SymbolIndex symbols;

    CodeRanges(LinkedImage image, SymbolIndex symbols) {
        this.symbols = symbols;
        boolean sections = image.pieces().stream().anyMatch(piece -> !piece.executable());
        symbols.between("_stext", "_etext").ifPresent(ranges::add);
        symbols.between("_sinittext", "_einittext").ifPresent(init::add);
        ranges.addAll(init);
        if (sections || ranges.size() < 2) {
            for (LinkedImage.Piece piece : image.pieces()) {
                if (piece.executable()) {
                    AddressRange range =
                            new AddressRange(new Address(piece.address()), piece.size());
                    ranges.add(range);
                    if (piece.name().startsWith(".init.text")) {
                        init.add(range);
                    }
                }
            }
        }
    }

    /** Whether a function may begin there: where functions have names, one of them does. */
    boolean isFunction(long address) {
        return isCode(address) && (symbols.isEmpty() || symbols.startsAt(address));
    }

    /** Whether there is code that is freed after boot, as far as it is known where that is. */
    boolean isInit(long address) {
        return isInside(init, address);
    }

    /** Whether there is code. */
    boolean isCode(long address) {
        return isInside(ranges, address);
    }

    private static boolean isInside(List<AddressRange> ranges, long address) {
        for (AddressRange range : ranges) {
            long offset = address - range.start().value();
            if (Long.compareUnsigned(offset, range.size()) < 0) {
                return true;
            }
        }
        return false;
    }
}

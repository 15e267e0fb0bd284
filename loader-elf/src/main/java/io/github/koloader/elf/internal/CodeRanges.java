package io.github.koloader.elf.internal;

import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Where a linked kernel has code that a table may point to: its executable sections or, in a raw
 * image, what the bounds among its symbols leave of it.
 */
final class CodeRanges {
    /** Disjoint ranges; what overlaps is one. */
    private static final class Ranges {
        private final long[] firsts; // ascending
        private final long[] lasts;
        private int count;

        Ranges(List<AddressRange> parts) {
            List<AddressRange> ranges = new ArrayList<>(parts);
            ranges.removeIf(range -> range.size() == 0);
            ranges.sort(Comparator.comparing(AddressRange::start));
            this.firsts = new long[ranges.size()];
            this.lasts = new long[ranges.size()];
            for (AddressRange range : ranges) {
                long first = range.start().value();
                long last = first + (range.size() - 1);
                if (count == 0 || Long.compareUnsigned(lasts[count - 1], first) < 0) {
                    firsts[count] = first;
                    lasts[count++] = last;
                } else if (Long.compareUnsigned(lasts[count - 1], last) < 0) {
                    lasts[count - 1] = last; // they overlap
                }
            }
        }

        boolean contain(long address) {
            int low = 0;
            int high = count;
            while (low < high) {
                int middle = low + high >>> 1;
                if (Long.compareUnsigned(firsts[middle], address) <= 0) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return low > 0 && Long.compareUnsigned(address, lasts[low - 1]) <= 0;
        }
    }

    private final Ranges code;
    private final Ranges init;
    private final SymbolIndex symbols;

    CodeRanges(LinkedImage image, SymbolIndex symbols) {
        this.symbols = symbols;
        List<AddressRange> ranges = new ArrayList<>();
        List<AddressRange> initRanges = new ArrayList<>();
        boolean sections = image.pieces().stream().anyMatch(piece -> !piece.executable());
        symbols.between("_stext", "_etext").ifPresent(ranges::add);
        symbols.between("_sinittext", "_einittext").ifPresent(initRanges::add);
        ranges.addAll(initRanges);
        if (sections || ranges.size() < 2) {
            for (LinkedImage.Piece piece : image.pieces()) {
                if (piece.executable()) {
                    AddressRange range =
                            new AddressRange(new Address(piece.address()), piece.size());
                    ranges.add(range);
                    if (piece.name().startsWith(".init.text")) {
                        initRanges.add(range);
                    }
                }
            }
        }
        this.code = new Ranges(ranges);
        this.init = new Ranges(initRanges);
    }

    /** Whether a function may begin there: where functions have names, one of them does. */
    boolean isFunction(long address) {
        return isCode(address) && (symbols.isEmpty() || symbols.startsAt(address));
    }

    /** Whether there is code that is freed after boot, as far as it is known where that is. */
    boolean isInit(long address) {
        return init.contain(address);
    }

    /** Whether there is code. */
    boolean isCode(long address) {
        return code.contain(address);
    }
}

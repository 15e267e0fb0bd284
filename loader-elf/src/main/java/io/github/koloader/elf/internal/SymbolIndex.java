package io.github.koloader.elf.internal;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiPredicate;

/**
 * Symbols of a linked kernel, by address. Several at one address keep the order of the table: the
 * first is the one that the kernel prints.
 *
 * <p>On Arm a function of Thumb code has an odd address where it is pointed to, and an even one in
 * the table.
 */
final class SymbolIndex {
    private static final int EM_ARM = 40;

    /** Names of one address that are looked at: more than any function has. */
    private static final int MOST_NAMES = 64;

    private final KernelSymbolTable table;
    private final long[] sorted; // addresses, unsigned ascending
    private final int[] symbols; // for each its index in the table
    private final long mask;

    SymbolIndex(KernelSymbolTable table, int elfMachine) {
        this.table = table;
        this.mask = elfMachine == EM_ARM ? ~1L : ~0L;
        int count = table.count();
        Integer[] order = new Integer[count];
        for (int i = 0; i < count; i++) {
            order[i] = i;
        }
        Arrays.sort(order, (a, b) -> table.address(a).compareTo(table.address(b))); // stable
        this.sorted = new long[count];
        this.symbols = new int[count];
        for (int i = 0; i < count; i++) {
            symbols[i] = order[i];
            sorted[i] = table.address(symbols[i]).value();
        }
    }

    boolean isEmpty() {
        return sorted.length == 0;
    }

    /** The address of the first symbol of that name. */
    Optional<Long> address(String name) {
        return table.address(name).map(Address::value);
    }

    /** From one symbol to another, if both are there and the second is not below the first. */
    Optional<AddressRange> between(String start, String end) {
        Optional<Long> from = address(start);
        Optional<Long> to = address(end);
        if (from.isEmpty() || to.isEmpty() || Long.compareUnsigned(from.get(), to.get()) > 0) {
            return Optional.empty();
        }
        long size = to.get() - from.get();
        return size < 0
                ? Optional.empty()
                : Optional.of(AddressRange.between(from.get(), to.get()));
    }

    /** Whether a symbol has that very address. */
    boolean startsAt(long address) {
        int found = firstNotBelow(address & mask);
        return found < sorted.length && sorted[found] == (address & mask);
    }

    /** The first symbol at that very address. */
    Optional<String> nameAt(long address) {
        int found = firstNotBelow(address & mask);
        return found < sorted.length && sorted[found] == (address & mask)
                ? Optional.of(table.name(symbols[found]))
                : Optional.empty();
    }

    /** The symbols at that very address; of very many the first. */
    List<String> namesAt(long address) {
        List<String> names = new ArrayList<>();
        for (int i = firstNotBelow(address & mask);
                i < sorted.length && sorted[i] == (address & mask) && names.size() < MOST_NAMES;
                i++) {
            names.add(table.name(symbols[i]));
        }
        return names;
    }

    /** Where symbols of some names are: a predicate of name and address. */
    BiPredicate<String, Long> placesOf(Set<String> names) {
        Map<String, Set<Long>> places = new HashMap<>();
        for (int i = 0; i < sorted.length; i++) {
            String name = table.name(symbols[i]);
            if (names.contains(name)) {
                places.computeIfAbsent(name, key -> new HashSet<>()).add(sorted[i]);
            }
        }
        return (name, address) -> places.getOrDefault(name, Set.of()).contains(address & mask);
    }

    private int firstNotBelow(long address) {
        int low = 0;
        int high = sorted.length;
        while (low < high) {
            int middle = low + high >>> 1;
            if (Long.compareUnsigned(sorted[middle], address) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}

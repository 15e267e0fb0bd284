package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.memory.Address;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * All symbols of the kernel itself, exported or not: the kernel's part of {@code /proc/kallsyms}.
 * Immutable.
 */
public final class KernelSymbolTable {
    /** A kernel without names. */
    public static final KernelSymbolTable EMPTY = builder().build();

    private final long[] addresses;
    private final char[] letters;
    private final String[] names;
    private @Nullable Map<String, Integer> index; // made when first asked for; two threads may
    private final boolean sorted;

    private KernelSymbolTable(Builder builder) {
        this.addresses = Arrays.copyOf(builder.addresses, builder.count);
        this.letters = Arrays.copyOf(builder.letters, builder.count);
        this.names = Arrays.copyOf(builder.names, builder.count);
        boolean ascending = true;
        for (int i = 1; i < addresses.length && ascending; i++) {
            ascending = Long.compareUnsigned(addresses[i - 1], addresses[i]) <= 0;
        }
        this.sorted = ascending;
    }

    /** {@return a builder of a table without symbols} */
    public static Builder builder() {
        return new Builder();
    }

    /** {@return number of symbols} */
    public int count() {
        return addresses.length;
    }

    /**
     * {@return the address of a symbol}
     *
     * @param symbol its index, below {@link #count()}
     */
    public Address address(int symbol) {
        return new Address(addresses[symbol]);
    }

    /**
     * {@return the type letter of a symbol, in upper case if it is global}
     *
     * @param symbol its index, below {@link #count()}
     */
    public char letter(int symbol) {
        return letters[symbol];
    }

    /**
     * {@return the name of a symbol, one character a byte}
     *
     * @param symbol its index, below {@link #count()}
     */
    public String name(int symbol) {
        return names[symbol];
    }

    /**
     * {@return the address of the first symbol of that name; empty if there is none}
     *
     * @param name name of the symbol
     */
    public Optional<Address> address(String name) {
        Integer found = index().get(name);
        return found == null ? Optional.empty() : Optional.of(address(found));
    }

    private Map<String, Integer> index() {
        Map<String, Integer> made = index;
        if (made == null) {
            made = new HashMap<>(names.length * 2);
            for (int i = 0; i < names.length; i++) {
                made.putIfAbsent(names[i], i);
            }
            index = made;
        }
        return made;
    }

    /**
     * The symbol that an address of the kernel lies in: the first of those with the greatest
     * address that is not above it. The kernel's image goes from {@code _stext} (else from the
     * first symbol) to {@code _end} (else to the last).
     *
     * @param address any address
     * @return empty if it does not lie in the kernel's image, or the table is not in the order of
     *     addresses
     * @kernel kernel/kallsyms.c, get_symbol_pos()
     */
    public Optional<SymbolPlace> placeOf(Address address) {
        if (addresses.length == 0 || !sorted) {
            return Optional.empty();
        }
        long start = address("_stext").map(Address::value).orElse(addresses[0]);
        long end = address("_end").map(Address::value).orElse(addresses[addresses.length - 1]);
        long value = address.value();
        if (Long.compareUnsigned(value, start) < 0 || Long.compareUnsigned(value, end) > 0) {
            return Optional.empty();
        }
        int above = firstAbove(value);
        if (above == 0) {
            return Optional.empty();
        }
        long found = addresses[above - 1];
        int symbol = found == 0 ? 0 : firstAbove(found - 1);
        long next = above < addresses.length ? addresses[above] : end;
        return Optional.of(
                new SymbolPlace(
                        names[symbol],
                        value - addresses[symbol],
                        next - addresses[symbol],
                        Optional.empty()));
    }

    /** Index of the first symbol with an address above {@code value}. */
    private int firstAbove(long value) {
        int low = 0;
        int high = addresses.length;
        while (low < high) {
            int middle = low + high >>> 1;
            if (Long.compareUnsigned(addresses[middle], value) <= 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    @Override
    public String toString() {
        return "KernelSymbolTable[" + count() + "]";
    }

    /** Collects symbols. */
    public static final class Builder {
        private long[] addresses = new long[16];
        private char[] letters = new char[16];
        private String[] names = new String[16];
        private int count;

        private Builder() {}

        /**
         * Adds a symbol.
         *
         * @param address where it is; symbols are expected lowest first
         * @param letter its type letter, in upper case if it is global
         * @param name its name, one character a byte; not empty
         * @return this builder
         */
        public Builder symbol(Address address, char letter, String name) {
            checkArgument(!name.isEmpty(), "a symbol without a name");
            if (count == names.length) {
                addresses = Arrays.copyOf(addresses, count * 2);
                letters = Arrays.copyOf(letters, count * 2);
                names = Arrays.copyOf(names, count * 2);
            }
            addresses[count] = address.value();
            letters[count] = letter;
            names[count++] = requireNonNull(name);
            return this;
        }

        /** {@return the table} */
        public KernelSymbolTable build() {
            return new KernelSymbolTable(this);
        }
    }
}

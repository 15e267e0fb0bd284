package io.github.koloader;

import io.github.koloader.memory.Address;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;

/** Looks at final values of symbols while all of them are still known. */
public final class SymbolWatcher implements LoadObserver {
    private final String[] watched;
    private final Map<String, Address> seen = new HashMap<>();
    private final Map<String, List<Long>> values = new HashMap<>();

    /** Watches these symbols. */
    public SymbolWatcher(String... watched) {
        this.watched = watched.clone();
    }

    @Override
    public void reached(Point point, Module module) {
        if (point == Point.FORMED) {
            values.put(module.name(), Arrays.stream(module.symbolValues()).boxed().toList());
            for (String symbol : watched) {
                module.addressOf(symbol)
                        .ifPresent(address -> seen.put(module.name() + ' ' + symbol, address));
            }
        }
    }

    /** The value that a symbol had in a module. */
    public Address of(String module, String symbol) {
        Address address = seen.get(module + ' ' + symbol);
        if (address == null) {
            throw new NoSuchElementException(symbol + " of " + module);
        }
        return address;
    }

    /** The values that the symbols of a module had. */
    public List<Long> values(String module) {
        return Objects.requireNonNull(values.get(module));
    }

    /** Whether a symbol had a value in a module. */
    public boolean has(String module, String symbol) {
        return seen.containsKey(module + ' ' + symbol);
    }
}

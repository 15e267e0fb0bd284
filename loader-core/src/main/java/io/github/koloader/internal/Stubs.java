package io.github.koloader.internal;

import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Addresses for symbols that nobody exports: one of its own for each name, in the kernel's text.
 */
public final class Stubs {
    private static final int SIZE = 16;

    private final AddressRange area;
    private final Map<String, Address> addresses = new LinkedHashMap<>();

    /** Stubs in that area; none if it is empty. */
    public Stubs(AddressRange area) {
        this.area = area;
    }

    /** The stub of that name; empty if there is no room for another. */
    public Optional<Address> find(String name) {
        Address known = addresses.get(name);
        if (known != null) {
            return Optional.of(known);
        }
        long offset = (long) addresses.size() * SIZE;
        if (offset > area.size() - SIZE) {
            return Optional.empty();
        }
        Address address = area.start().plus(offset);
        addresses.put(name, address);
        return Optional.of(address);
    }

    /** Number of stubs given out. */
    public int count() {
        return addresses.size();
    }

    /** Takes back the stubs from {@code from} on, if none has been given out after {@code to}. */
    public void takeBack(int from, int to) {
        if (addresses.size() == to) {
            List<String> names = List.copyOf(addresses.keySet());
            names.subList(from, to).forEach(addresses::remove);
        }
    }

    /** All stubs given out, oldest first; a view. */
    public Map<String, Address> all() {
        return Collections.unmodifiableMap(addresses);
    }
}

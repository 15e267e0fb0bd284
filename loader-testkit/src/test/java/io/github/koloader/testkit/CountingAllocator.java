package io.github.koloader.testkit;

import io.github.koloader.memory.Address;
import io.github.koloader.memory.ModuleAllocator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** Knows what is out, objects to what was not, and can be told to have no room for one request. */
final class CountingAllocator implements ModuleAllocator {
    private final ModuleAllocator real;
    private final Map<Address, Request> out = new LinkedHashMap<>();
    private int requestsUntilFull = Integer.MAX_VALUE;

    CountingAllocator(ModuleAllocator real) {
        this.real = real;
    }

    /** From now on, takes that many requests and then has no room. */
    void fullAfter(int requests) {
        requestsUntilFull = requests;
    }

    @Override
    public Optional<Address> allocate(Request request) {
        if (requestsUntilFull-- <= 0) {
            return Optional.empty();
        }
        Optional<Address> address = real.allocate(request);
        address.ifPresent(
                at -> {
                    if (out.put(at, request) != null) {
                        throw new IllegalStateException(at + " given out twice");
                    }
                });
        return address;
    }

    @Override
    public void free(Address address, Request request) {
        if (!request.equals(out.remove(address))) {
            throw new IllegalStateException(request + " is not out at " + address);
        }
        real.free(address, request);
    }

    Map<Address, Request> out() {
        return Map.copyOf(out);
    }
}

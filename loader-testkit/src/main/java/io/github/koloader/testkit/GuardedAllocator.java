package io.github.koloader.testkit;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.FirstFitAllocator;
import io.github.koloader.memory.MemoryType;
import io.github.koloader.memory.ModuleAllocator;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Places modules as the kernels of the recordings do that were booted without address
 * randomisation: each block at the lowest free address, with an unmapped page behind it; except
 * where a recording shows the address.
 *
 * @kernel mm/vmalloc.c, __vmalloc_node_range()
 */
final class GuardedAllocator implements ModuleAllocator {
    /** Addresses that a recording shows: of blocks by the memory types they hold, and per-CPU. */
    record Shown(Map<MemoryType, Address> blocks, Optional<Address> perCpu) {
        static final Shown NOTHING = new Shown(Map.of(), Optional.empty());
    }

    private final ModuleAllocator others;
    private final List<AddressRange> areas;
    private final long page;
    private final TreeMap<Long, Long> taken = new TreeMap<>(Long::compareUnsigned); // start to end
    private final Map<String, Shown> shown = new HashMap<>();

    GuardedAllocator(Architecture architecture, KernelConfig config, Optional<Address> start) {
        this.page = architecture.pageSize();
        this.others =
                new FirstFitAllocator(
                        architecture.moduleAreas(config),
                        architecture.imageArea(config),
                        architecture.perCpuArea(config),
                        architecture.pageSize());
        List<AddressRange> from = new ArrayList<>();
        for (AddressRange area : architecture.moduleAreas(config)) {
            if (start.isPresent() && area.contains(start.get())) {
                from.add(
                        new AddressRange(
                                start.get(),
                                area.size() - (start.get().value() - area.start().value())));
            } else {
                from.add(area);
            }
        }
        this.areas = List.copyOf(from);
    }

    /** From now on the blocks of that module go where the recording shows them. */
    void show(String module, Shown addresses) {
        shown.put(module, addresses);
    }

    @Override
    public Optional<Address> allocate(Request request) {
        Shown addresses = shown.getOrDefault(request.module(), Shown.NOTHING);
        if (request.purpose() == Purpose.PER_CPU && addresses.perCpu().isPresent()) {
            return addresses.perCpu();
        }
        if (request.purpose() != Purpose.MODULE) {
            return others.allocate(request);
        }
        for (MemoryType type : request.types()) {
            Address address = addresses.blocks().get(type);
            if (address != null && !overlaps(address.value(), request.size())) {
                taken.put(address.value(), address.value() + request.size() + page);
                return Optional.of(address);
            }
        }
        return firstFit(request.size());
    }

    private Optional<Address> firstFit(long size) {
        for (AddressRange area : areas) {
            long at = area.start().value();
            while (area.contains(new Address(at))
                    && area.size() - (at - area.start().value()) >= size) {
                Map.Entry<Long, Long> next = overlap(at, size);
                if (next == null) {
                    taken.put(at, at + size + page);
                    return Optional.of(new Address(at));
                }
                at = next.getValue();
            }
        }
        return Optional.empty();
    }

    private boolean overlaps(long start, long size) {
        return overlap(start, size) != null;
    }

    private Map.@org.jspecify.annotations.Nullable Entry<Long, Long> overlap(
            long start, long size) {
        Map.Entry<Long, Long> before = taken.lowerEntry(start + size + page);
        return before != null && Long.compareUnsigned(before.getValue(), start) > 0 ? before : null;
    }

    @Override
    public void free(Address address, Request request) {
        if (request.purpose() == Purpose.MODULE) {
            taken.remove(address.value());
        } else if (request.purpose() == Purpose.IMAGE
                || shown.getOrDefault(request.module(), Shown.NOTHING).perCpu().isEmpty()) {
            others.free(address, request);
        }
    }
}

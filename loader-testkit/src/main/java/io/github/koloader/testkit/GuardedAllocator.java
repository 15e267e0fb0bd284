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
import org.jspecify.annotations.Nullable;

/**
 * Places modules as the kernels of the recordings do that were booted without address
 * randomisation: each block at the lowest free address, with an unmapped page behind it; except
 * where a recording shows the address.
 *
 * @kernel mm/vmalloc.c, __vmalloc_node_range()
 */
final class GuardedAllocator implements ModuleAllocator {
    /** Where a recording shows blocks, by the memory types they hold, and per-CPU data. */
    record Shown(Map<MemoryType, AddressRange> blocks, Optional<AddressRange> perCpu) {
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

    /**
     * From now on the blocks of that module go where the recording shows them, and those of other
     * modules do not.
     */
    void show(String module, Shown addresses) {
        shown.put(module, addresses);
    }

    @Override
    public Optional<Address> allocate(Request request) {
        Shown addresses = shown.getOrDefault(request.module(), Shown.NOTHING);
        if (request.purpose() == Purpose.PER_CPU) {
            return addresses.perCpu().isPresent()
                    ? addresses.perCpu().map(AddressRange::start)
                    : perCpu(request);
        }
        if (request.purpose() != Purpose.MODULE) {
            return others.allocate(request);
        }
        for (MemoryType type : request.types()) {
            AddressRange range = addresses.blocks().get(type);
            if (range != null && overlap(range.start().value(), request.size()) == null) {
                long start = range.start().value();
                taken.put(start, start + request.size() + page);
                return Optional.of(range.start());
            }
        }
        return firstFit(request.size());
    }

    /** The lowest free place that no module is shown at. */
    private Optional<Address> perCpu(Request request) {
        List<Address> skipped = new ArrayList<>();
        Optional<Address> found = others.allocate(request);
        while (found.isPresent() && isShownPerCpu(found.get().value(), request.size())) {
            skipped.add(found.get());
            found = others.allocate(request);
        }
        skipped.forEach(address -> others.free(address, request));
        return found;
    }

    private boolean isShownPerCpu(long start, long size) {
        return shown.values().stream()
                .flatMap(addresses -> addresses.perCpu().stream())
                .anyMatch(range -> meet(range, start, size));
    }

    private static boolean meet(AddressRange range, long start, long size) {
        long first = range.start().value();
        return Long.compareUnsigned(start, first + range.size()) < 0
                && Long.compareUnsigned(first, start + size) < 0;
    }

    private Optional<Address> firstFit(long size) {
        for (AddressRange area : areas) {
            long at = area.start().value();
            while (area.contains(new Address(at))
                    && area.size() - (at - area.start().value()) >= size) {
                Long next = behindWhatIsThere(at, size);
                if (next == null) {
                    taken.put(at, at + size + page);
                    return Optional.of(new Address(at));
                }
                at = next;
            }
        }
        return Optional.empty();
    }

    /** Where to look on, if that place is taken, or some module is shown there. */
    private @Nullable Long behindWhatIsThere(long start, long size) {
        Map.Entry<Long, Long> there = overlap(start, size);
        if (there != null) {
            return there.getValue();
        }
        for (Shown addresses : shown.values()) {
            for (AddressRange range : addresses.blocks().values()) {
                if (meet(range, start, size + page)) {
                    return range.end().value() + page;
                }
            }
        }
        return null;
    }

    private Map.@Nullable Entry<Long, Long> overlap(long start, long size) {
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

package io.github.koloader.memory;

import java.util.Optional;
import java.util.OptionalLong;

/**
 * Gives out the lowest free addresses, as the kernel does without address randomisation: module
 * memory in whole pages with an unused guard page behind each block, temporary copies from a range
 * of their own, per-CPU data in a reserved chunk.
 *
 * @kernel mm/vmalloc.c, alloc_vmap_area(); mm/percpu.c, __alloc_reserved_percpu()
 */
public final class FirstFitAllocator implements ModuleAllocator {
    private final long pageSize;
    private final FreeList modules;
    private final FreeList images;
    private final FreeList perCpu;

    /**
     * An allocator over these ranges, all free.
     *
     * @param moduleArea where modules go
     * @param imageArea where the temporary copies of files go
     * @param perCpuArea offsets in each CPU's area that modules may use
     * @param pageSize bytes of a page
     */
    public FirstFitAllocator(
            AddressRange moduleArea,
            AddressRange imageArea,
            AddressRange perCpuArea,
            long pageSize) {
        this.pageSize = pageSize;
        this.modules = new FreeList(moduleArea, pageSize);
        this.images = new FreeList(imageArea, pageSize);
        this.perCpu = new FreeList(perCpuArea, 1);
    }

    @Override
    public Optional<Address> allocate(Request request) {
        if (request.size() <= 0 || request.size() > Long.MAX_VALUE - 2 * pageSize) {
            return Optional.empty();
        }
        OptionalLong address = listFor(request).allocate(sizeOf(request), request.alignment());
        return address.isPresent()
                ? Optional.of(new Address(address.getAsLong()))
                : Optional.empty();
    }

    @Override
    public void free(Address address, Request request) {
        listFor(request).free(address.value(), sizeOf(request));
    }

    private FreeList listFor(Request request) {
        return switch (request.purpose()) {
            case MODULE -> modules;
            case IMAGE -> images;
            case PER_CPU -> perCpu;
        };
    }

    private long sizeOf(Request request) {
        if (request.purpose() == Purpose.PER_CPU) {
            return request.size();
        }
        long pages = request.size() + pageSize - 1 & -pageSize;
        return pages + pageSize; // the guard page
    }
}

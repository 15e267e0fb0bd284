package io.github.koloader.memory;

import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Gives out the lowest free addresses, as the kernel does without address randomisation: module
 * memory in whole pages with an unused guard page behind each block, temporary copies from a range
 * of their own, the end of which is the heap, and per-CPU data in a reserved chunk.
 *
 * @kernel mm/vmalloc.c, alloc_vmap_area(); mm/percpu.c, __alloc_reserved_percpu()
 */
public final class FirstFitAllocator implements ModuleAllocator {
    private static final int HEAP_SHARE = 32;
    private static final long HEAP_GRANULE = 16;

    private final long pageSize;
    private final List<AddressRange> moduleAreas;
    private final List<FreeList> modules;
    private final List<FreeList> images;
    private final List<FreeList> perCpu;
    private final List<FreeList> heap;

    /**
     * An allocator over these ranges, all free.
     *
     * @param moduleAreas where modules go: a later range is used when those before it have no room
     * @param imageArea where the temporary copies of files go; its last 32nd is the heap
     * @param perCpuArea offsets in each CPU's area that modules may use
     * @param pageSize bytes of a page
     */
    public FirstFitAllocator(
            List<AddressRange> moduleAreas,
            AddressRange imageArea,
            AddressRange perCpuArea,
            long pageSize) {
        this.pageSize = pageSize;
        this.moduleAreas = List.copyOf(moduleAreas);
        this.modules = moduleAreas.stream().map(area -> new FreeList(area, pageSize)).toList();
        long heapSize = imageArea.size() / HEAP_SHARE & -pageSize;
        Address heapStart = imageArea.start().plus(imageArea.size() - heapSize);
        AddressRange imagesOnly = new AddressRange(imageArea.start(), imageArea.size() - heapSize);
        this.images = List.of(new FreeList(imagesOnly, pageSize));
        this.heap = List.of(new FreeList(new AddressRange(heapStart, heapSize), HEAP_GRANULE));
        this.perCpu = List.of(new FreeList(perCpuArea, 1));
    }

    @Override
    public Optional<Address> allocate(Request request) {
        if (request.size() <= 0 || request.size() > Long.MAX_VALUE - 2 * pageSize) {
            return Optional.empty();
        }
        for (FreeList list : listsFor(request)) {
            OptionalLong address = list.allocate(sizeOf(request), request.alignment());
            if (address.isPresent()) {
                return Optional.of(new Address(address.getAsLong()));
            }
        }
        return Optional.empty();
    }

    @Override
    public void free(Address address, Request request) {
        List<FreeList> lists = listsFor(request);
        int index = 0;
        while (index + 1 < lists.size() && !moduleAreas.get(index).contains(address)) {
            index++;
        }
        lists.get(index).free(address.value(), sizeOf(request));
    }

    private List<FreeList> listsFor(Request request) {
        return switch (request.purpose()) {
            case MODULE -> modules;
            case IMAGE -> images;
            case PER_CPU -> perCpu;
            case HEAP -> heap;
        };
    }

    private long sizeOf(Request request) {
        if (request.purpose() == Purpose.PER_CPU) {
            return request.size();
        }
        if (request.purpose() == Purpose.HEAP) {
            return request.size() + HEAP_GRANULE - 1 & -HEAP_GRANULE;
        }
        long pages = request.size() + pageSize - 1 & -pageSize;
        return pages + pageSize; // the guard page
    }
}

package io.github.koloader.memory;

import java.util.Optional;
import java.util.Set;

/**
 * Finds addresses for what a load needs. One allocator serves one kernel, in that kernel's thread.
 *
 * @see FirstFitAllocator
 */
public interface ModuleAllocator {
    /**
     * What memory is asked for.
     *
     * @param module name of the module
     * @param purpose what for
     * @param types the memory types it will hold; empty unless {@code purpose} is {@link
     *     Purpose#MODULE}
     * @param size bytes, at least 1; for {@link Purpose#MODULE} whole pages
     * @param alignment a power of two, bytes
     */
    record Request(
            String module, Purpose purpose, Set<MemoryType> types, long size, long alignment) {}

    /** What memory is for. */
    enum Purpose {
        /** A block of the module itself. */
        MODULE,
        /**
         * The kernel's temporary copy of the file: only its address matters, nothing is mapped
         * there.
         */
        IMAGE,
        /** Per-CPU data: an offset in each CPU's area. */
        PER_CPU,
        /**
         * A piece of the kernel's heap: a copy of a parameter's text, arguments that the module's
         * code looks at. It is given back with the module at the latest.
         */
        HEAP
    }

    /**
     * Finds room.
     *
     * @param request what memory is asked for
     * @return its address, a multiple of the alignment; empty if there is no room, so that the load
     *     fails with ENOMEM
     */
    Optional<Address> allocate(Request request);

    /**
     * Gives back what {@link #allocate} answered to an equal request.
     *
     * @param address what {@link #allocate} answered
     * @param request what it was asked
     */
    void free(Address address, Request request);
}

package io.github.koloader.internal.params;

import io.github.koloader.internal.KernelState;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.ModuleAllocator.Purpose;
import io.github.koloader.memory.ModuleAllocator.Request;
import io.github.koloader.memory.Region;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What the parameters of one module have taken from the kernel's heap: copies of texts, its
 * arguments, buffers for its code. Nothing of it outlives the module.
 *
 * @kernel kernel/params.c, kmalloc_parameter()
 */
public final class ParameterHeap {
    /**
     * A piece of the heap.
     *
     * @param region its memory
     * @param copy whether it is a copy of a parameter's text
     * @param request what the allocator was asked
     */
    public record Block(Region region, boolean copy, Request request) {
        /** Address of its first byte. */
        public long address() {
            return region.base().value();
        }
    }

    private final KernelState kernel;
    private final String module;
    private final Map<Long, Block> blocks = new TreeMap<>();

    /** An empty heap. */
    public ParameterHeap(KernelState kernel, String module) {
        this.kernel = kernel;
        this.module = module;
    }

    /**
     * Gives bytes an address; they are shared.
     *
     * @return {@code null} if there is no memory
     */
    public @Nullable Block map(byte[] bytes, boolean copy) {
        int size = bytes.length;
        if (size > kernel.memoryLimit - kernel.memoryUsed) {
            return null;
        }
        Request request = new Request(module, Purpose.HEAP, Set.of(), size, 8);
        Optional<Address> base = kernel.allocator.allocate(request);
        if (base.isEmpty()) {
            return null;
        }
        Region region =
                new Region(base.get(), bytes, 0, size, Rights.READ_WRITE, module, "parameter heap");
        try {
            kernel.memory.map(region);
        } catch (IllegalArgumentException e) { // something else is there: no memory either
            kernel.allocator.free(base.get(), request);
            return null;
        }
        kernel.memoryUsed += size;
        Block block = new Block(region, copy, request);
        blocks.put(block.address(), block);
        return block;
    }

    /** Gives a piece back. */
    public void free(Block block) {
        if (blocks.remove(block.address(), block)) {
            kernel.memoryUsed -= block.region.size();
            kernel.memory.unmap(block.region);
            kernel.allocator.free(block.region.base(), block.request);
        }
    }

    /** Gives the copy of a text at that address back, if there is one. */
    void freeCopy(long address) {
        Block block = blocks.get(address);
        if (block != null && block.copy) {
            free(block);
        }
    }

    /** Gives everything back, also what the module has lost the pointers to. */
    public void freeAll() {
        List<Block> all = new ArrayList<>(blocks.values());
        all.forEach(this::free);
    }
}

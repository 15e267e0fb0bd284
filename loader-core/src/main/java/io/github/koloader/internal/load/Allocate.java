package io.github.koloader.internal.load;

import io.github.koloader.FaultPoint;
import io.github.koloader.image.Section;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.Layout.Block;
import io.github.koloader.memory.Layout.Part;
import io.github.koloader.memory.ModuleAllocator.Purpose;
import io.github.koloader.memory.ModuleAllocator.Request;
import io.github.koloader.memory.Region;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Finds memory for the blocks of a layout and copies the sections there.
 *
 * @kernel kernel/module/main.c, move_module()
 */
final class Allocate {
    private Allocate() {}

    static Placement run(
            KernelState kernel,
            String name,
            Layout layout,
            List<Section> sections,
            long[] flags,
            long imageAddress,
            Undo undo) {
        List<PlacedBlock> placed = new ArrayList<>();
        for (Block block : layout.blocks()) {
            placed.add(block(kernel, name, block, undo));
        }
        Placement placement = new Placement(layout, sections, flags, placed, imageAddress);
        for (int i = 1; i < sections.size(); i++) {
            if (layout.blockOf(i) >= 0) {
                sections.get(i).contents().copyTo(placement.blockOf(i).array, placement.start(i));
            }
        }
        return placement;
    }

    private static PlacedBlock block(KernelState kernel, String name, Block block, Undo undo) {
        if (block.size() == 0) {
            return new PlacedBlock(block, 0, new byte[0], List.of());
        }
        kernel.step(block.isInit() ? FaultPoint.INIT_MEMORY : FaultPoint.CORE_MEMORY, name);
        Request request =
                new Request(
                        name,
                        Purpose.MODULE,
                        block.types(),
                        block.size(),
                        kernel.architecture.pageSize());
        if (block.size() > kernel.memoryLimit - kernel.memoryUsed) {
            throw Failures.noMemory(name, block.size());
        }
        Address base =
                kernel.allocator
                        .allocate(request)
                        .orElseThrow(() -> Failures.noMemory(name, block.size()));
        undo.add(() -> kernel.allocator.free(base, request));
        byte[] array = zeroed(name, block.size());
        kernel.memoryUsed += block.size();
        undo.add(() -> kernel.memoryUsed -= block.size());
        List<Region> regions = new ArrayList<>(block.parts().size());
        PlacedBlock placed = new PlacedBlock(block, base.value(), array, regions);
        for (Part part : block.parts()) {
            Region region =
                    new Region(
                            base.plus(part.offset()),
                            array,
                            (int) part.offset(),
                            (int) part.size(),
                            Rights.READ_WRITE_EXECUTE,
                            name,
                            part.type().kernelName());
            map(kernel, region);
            undo.add(() -> kernel.memory.unmap(region));
            regions.add(region);
        }
        return placed;
    }

    /** Maps a region; where another one is already, there is no memory. */
    static void map(KernelState kernel, Region region) {
        try {
            kernel.memory.map(region);
        } catch (IllegalArgumentException e) {
            throw Failures.noMemory(region.owner(), region.size()).causedBy(e);
        }
    }

    private static byte[] zeroed(String name, long size) {
        try {
            return new byte[(int) size];
        } catch (OutOfMemoryError e) { // what the module asks for this host lacks: ENOMEM
            throw Failures.noMemory(name, size).causedBy(e);
        }
    }

    /** Gives a block's memory back. */
    static void free(KernelState kernel, String name, PlacedBlock block) {
        if (!block.present) {
            return;
        }
        block.regions.forEach(kernel.memory::unmap);
        block.drop();
        if (block.block.size() == 0) {
            return;
        }
        kernel.memoryUsed -= block.block.size();
        kernel.allocator.free(
                new Address(block.base),
                new Request(
                        name,
                        Purpose.MODULE,
                        block.block.types(),
                        block.block.size(),
                        kernel.architecture.pageSize()));
    }

    /** An address for the kernel's temporary copy of the file, and its return. */
    static Address image(KernelState kernel, String name, long size, Undo undo) {
        kernel.step(FaultPoint.IMAGE_MEMORY, name);
        Request request =
                new Request(
                        name,
                        Purpose.IMAGE,
                        Set.of(),
                        Math.max(1, size),
                        kernel.architecture.pageSize());
        Address address =
                kernel.allocator.allocate(request).orElseThrow(() -> Failures.noMemory(name, size));
        undo.always(() -> kernel.allocator.free(address, request));
        return address;
    }
}

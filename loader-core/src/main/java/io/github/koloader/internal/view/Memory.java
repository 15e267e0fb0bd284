package io.github.koloader.internal.view;

import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.MemoryType;

/** Sizes and addresses of a module's memory, as the kernel counts them. */
final class Memory {
    private Memory() {}

    /** Bytes of the memory that stays, or of the memory that is dropped after init. */
    static long size(LoadedModule module, boolean init) {
        long size = 0;
        for (PlacedBlock block : module.placement.blocks()) {
            if (block.block.isInit() == init && block.present) {
                size += block.block.size();
            }
        }
        return size;
    }

    /** Where its code begins, which is what is called its address. */
    static long address(LoadedModule module) {
        return blockOf(module, MemoryType.TEXT).base;
    }

    /** Where the code ends that an address belongs to: that of init, or that which stays. */
    static long textEnd(LoadedModule module, long address) {
        PlacedBlock found = module.placement.find(address, 1);
        boolean init = found != null && found.block.isInit();
        MemoryType type = init ? MemoryType.INIT_TEXT : MemoryType.TEXT;
        PlacedBlock block = blockOf(module, type);
        return block.base + partOf(block, type).size();
    }

    /** Whether an address lies in code. */
    static boolean isText(LoadedModule module, long address) {
        PlacedBlock found = module.placement.find(address, 1);
        if (found == null) {
            return false;
        }
        MemoryType type = found.block.isInit() ? MemoryType.INIT_TEXT : MemoryType.TEXT;
        for (Layout.Part part : found.block.parts()) {
            if (part.type() == type
                    && Long.compareUnsigned(address - found.base - part.offset(), part.size())
                            < 0) {
                return true;
            }
        }
        return false;
    }

    private static PlacedBlock blockOf(LoadedModule module, MemoryType type) {
        for (PlacedBlock block : module.placement.blocks()) {
            for (Layout.Part part : block.block.parts()) {
                if (part.type() == type) {
                    return block;
                }
            }
        }
        throw new IllegalStateException("no " + type + " in the layout of " + module.name);
    }

    private static Layout.Part partOf(PlacedBlock block, MemoryType type) {
        for (Layout.Part part : block.block.parts()) {
            if (part.type() == type) {
                return part;
            }
        }
        throw new IllegalStateException("no " + type + " in this block");
    }

    /** Hexadecimal digits of a whole word. */
    static String hex(long value, int wordSize) {
        String digits = Long.toHexString(value);
        int width = 2 * wordSize;
        return digits.length() >= width
                ? digits.substring(digits.length() - width)
                : "0".repeat(width - digits.length()) + digits;
    }
}

package io.github.koloader.memory;

import static com.google.common.base.Preconditions.checkArgument;

import com.google.common.collect.ImmutableList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * How a module's memory is cut: blocks, each allocated as a whole, and for each section its block
 * and offset. Up to Linux 6.3 there are two blocks (core and init), since 6.4 one for each {@link
 * MemoryType}.
 *
 * @kernel kernel/module/main.c, layout_sections(); kernel/module/kallsyms.c, layout_symtab()
 */
public final class Layout {
    /**
     * A piece of a block with memory of one type.
     *
     * @param type what it is for
     * @param offset bytes from the start of the block
     * @param size bytes
     */
    public record Part(MemoryType type, long offset, long size) {}

    /**
     * Memory that is allocated as a whole.
     *
     * @param size bytes, whole pages where the kernel separates rights
     * @param parts its pieces, lowest first, without gaps; none of size 0 is left out
     */
    public record Block(long size, List<Part> parts) {
        /**
         * Copies the list.
         *
         * @param size bytes, whole pages where the kernel separates rights
         * @param parts its pieces, lowest first, without gaps; none of size 0 is left out
         */
        public Block {
            parts = List.copyOf(parts);
            checkArgument(!parts.isEmpty(), "a block without parts");
        }

        /** {@return the types it holds} */
        public Set<MemoryType> types() {
            EnumSet<MemoryType> types = EnumSet.noneOf(MemoryType.class);
            for (Part part : parts) {
                types.add(part.type());
            }
            return Collections.unmodifiableSet(types);
        }

        /** {@return whether it is dropped once init has run} */
        public boolean isInit() {
            return parts.get(0).type().isInit();
        }
    }

    /**
     * Where the module's symbols go.
     *
     * @param coreBlock index of the block with the copy that stays
     * @param coreSymbols offset in it of the symbols that stay
     * @param coreStrings offset in it of their names
     * @param coreTypes offset in it of their type letters
     * @param coreCount number of symbols that stay
     * @param coreStringSize bytes of their names
     * @param initBlock index of the block with the full tables
     * @param initRecord offset in it of the record that points at the tables
     * @param initTypes offset in it of the type letters of all symbols
     */
    public record Kallsyms(
            int coreBlock,
            long coreSymbols,
            long coreStrings,
            long coreTypes,
            int coreCount,
            long coreStringSize,
            int initBlock,
            long initRecord,
            long initTypes) {
        /** For a kernel without kallsyms. */
        public static final Kallsyms NONE = new Kallsyms(-1, 0, 0, 0, 0, 0, -1, 0, 0);

        /** {@return whether there are tables} */
        public boolean present() {
            return coreBlock >= 0;
        }
    }

    private final ImmutableList<Block> blocks;
    private final int[] sectionBlocks;
    private final long[] sectionOffsets;
    private final MemoryType[] sectionTypes;
    private final Kallsyms kallsyms;

    /**
     * A layout.
     *
     * @param blocks the blocks, in the order in which they are allocated; one of size 0 is not
     * @param sectionBlocks for each section the index of its block, or −1 if it takes no memory
     * @param sectionOffsets for each section its offset in that block
     * @param sectionTypes for each section the kind of memory it lies in; anything if it takes none
     * @param kallsyms where the symbols go
     */
    public Layout(
            List<Block> blocks,
            int[] sectionBlocks,
            long[] sectionOffsets,
            MemoryType[] sectionTypes,
            Kallsyms kallsyms) {
        this.blocks = ImmutableList.copyOf(blocks);
        this.sectionBlocks = sectionBlocks.clone();
        this.sectionOffsets = sectionOffsets.clone();
        this.sectionTypes = sectionTypes.clone();
        this.kallsyms = kallsyms;
    }

    /** {@return the blocks, in the order in which they are allocated} */
    public List<Block> blocks() {
        return blocks;
    }

    /** {@return number of sections, section 0 included} */
    public int sectionCount() {
        return sectionBlocks.length;
    }

    /**
     * {@return index of the block a section lies in, or −1 if it takes no memory}
     *
     * @param section index of the section, {@code [0, sectionCount())}
     */
    public int blockOf(int section) {
        return sectionBlocks[section];
    }

    /**
     * {@return offset of a section in its block, bytes}
     *
     * @param section index of the section, {@code [0, sectionCount())}
     */
    public long offsetOf(int section) {
        return sectionOffsets[section];
    }

    /**
     * {@return the kind of memory a section lies in; of one that takes no memory, anything}
     *
     * @param section index of the section, {@code [0, sectionCount())}
     */
    public MemoryType typeOf(int section) {
        return sectionTypes[section];
    }

    /**
     * {@return whether a section lies in memory that is dropped once init has run}
     *
     * @param section index of the section, {@code [0, sectionCount())}
     */
    public boolean isInit(int section) {
        return sectionBlocks[section] >= 0 && blocks.get(sectionBlocks[section]).isInit();
    }

    /** {@return where the symbols go} */
    public Kallsyms kallsyms() {
        return kallsyms;
    }
}

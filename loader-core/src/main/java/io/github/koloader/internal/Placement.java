package io.github.koloader.internal;

import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.MemoryType;
import io.github.koloader.memory.Region;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A layout at its addresses: the memory of each block, and where each section came to lie. */
public final class Placement {
    /** One block in memory. */
    public static final class PlacedBlock {
        /** Its layout. */
        public final Layout.Block block;

        /** Its address; 0 for a block of size 0. */
        public final long base;

        /** Its bytes; none once its memory is gone. */
        public byte[] array;

        /** A region for each part, in the order of the parts; those of size 0 are not mapped. */
        public List<Region> regions;

        /** Whether its memory is still there. */
        public boolean present = true;

        private List<Rights> lastRights = List.of();

        /** A block whose memory is set up. */
        public PlacedBlock(Layout.Block block, long base, byte[] array, List<Region> regions) {
            this.block = block;
            this.base = base;
            this.array = array;
            this.regions = regions;
        }

        /** Its memory is gone. */
        public void drop() {
            present = false;
            lastRights = new ArrayList<>(regions.size());
            for (Region region : regions) {
                lastRights.add(region.rights());
            }
            array = new byte[0];
            regions = List.of();
        }
    }

    private static final int[] NO_NOTES = {};

    private final Layout layout;
    private List<Section> sections;
    private int[] notes = NO_NOTES;
    private final String[] names;
    private final long[] sizes;
    private final long[] flags;
    private final PlacedBlock[] blocks;
    private final long[] addresses;
    private final long imageAddress;

    /**
     * Places a layout.
     *
     * @param layout where sections go in blocks
     * @param sections the planned sections
     * @param flags their flags as the loader has changed them
     * @param blocks the blocks in memory
     * @param imageAddress address of the kernel's temporary copy of the file
     */
    public Placement(
            Layout layout,
            List<Section> sections,
            long[] flags,
            List<PlacedBlock> blocks,
            long imageAddress) {
        this.layout = layout;
        this.sections = sections;
        this.flags = flags;
        this.blocks = blocks.toArray(PlacedBlock[]::new);
        this.imageAddress = imageAddress;
        this.addresses = new long[sections.size()];
        this.names = new String[addresses.length];
        this.sizes = new long[addresses.length];
        for (int i = 0; i < addresses.length; i++) {
            names[i] = sections.get(i).name();
            sizes[i] = sections.get(i).size();
            if (i == 0) {
                continue;
            }
            int block = layout.blockOf(i);
            addresses[i] =
                    block < 0
                            ? imageAddress + sections.get(i).offset()
                            : this.blocks[block].base + layout.offsetOf(i);
        }
    }

    /** Where sections go in blocks. */
    public Layout layout() {
        return layout;
    }

    /** The planned sections; none once the load is over. */
    public List<Section> sections() {
        return sections;
    }

    /**
     * Lets go of the file: of the sections only names, sizes and addresses stay, and which of them
     * hold notes.
     */
    public void dropFile() {
        int count = 0;
        for (int pass = 0; pass < 2; pass++) {
            notes = count == 0 ? NO_NOTES : new int[count];
            count = 0;
            for (int i = 1; i < sections.size(); i++) {
                if (isVisible(i) && sections.get(i).type().equals(SectionType.NOTE)) {
                    if (pass == 1) {
                        notes[count] = i;
                    }
                    count++;
                }
            }
        }
        sections = List.of();
    }

    /** Number of sections, section 0 included. */
    public int count() {
        return addresses.length;
    }

    /** Name of a section. */
    public String name(int section) {
        return names[section];
    }

    /** Bytes of a section. */
    public long size(int section) {
        return sizes[section];
    }

    /** Flags of a section, as the loader has changed them. */
    public long flags(int section) {
        return flags[section];
    }

    /** Whether a section takes memory. */
    public boolean alloc(int section) {
        return (flags[section] & SectionFlags.ALLOC) != 0;
    }

    /** Whether it has a file in sysfs: whether it takes memory, and any. */
    public boolean isVisible(int section) {
        return sizes[section] != 0 && alloc(section);
    }

    /** Whether a section holds notes. */
    public boolean isNote(int section) {
        return sections.isEmpty()
                ? Arrays.binarySearch(notes, section) >= 0
                : sections.get(section).type().equals(SectionType.NOTE);
    }

    /** The blocks, in the order in which they were allocated. */
    public PlacedBlock[] blocks() {
        return blocks;
    }

    /** Address of a section: in its block, or in the temporary copy if it takes no memory. */
    public long address(int section) {
        return addresses[section];
    }

    /** Address of the temporary copy. */
    public long imageAddress() {
        return imageAddress;
    }

    /** The block of a section that takes memory. */
    public PlacedBlock blockOf(int section) {
        return blocks[layout.blockOf(section)];
    }

    /** Index in its block's array of a section that takes memory. */
    public int start(int section) {
        return (int) layout.offsetOf(section);
    }

    /** The region of a section that takes memory. */
    public Region region(int section) {
        PlacedBlock block = blockOf(section);
        MemoryType type = layout.typeOf(section);
        for (int i = 0; i < block.regions.size(); i++) {
            if (block.block.parts().get(i).type() == type) {
                return block.regions.get(i);
            }
        }
        throw new IllegalStateException("section " + section + " lies in no part of its block");
    }

    /** What may be done with a section that takes memory, or could be before that was dropped. */
    public Rights rights(int section) {
        PlacedBlock block = blockOf(section);
        MemoryType type = layout.typeOf(section);
        if (!block.regions.isEmpty()) {
            return region(section).rights();
        }
        for (int i = 0; i < block.lastRights.size(); i++) {
            if (block.block.parts().get(i).type() == type) {
                return block.lastRights.get(i);
            }
        }
        return type.rights();
    }

    /** Whether an address lies in memory that is dropped once init has run. */
    public boolean isInit(long address) {
        PlacedBlock found = find(address, 1);
        return found != null && found.block.isInit();
    }

    /** The block that {@code size} bytes at {@code address} lie in, or {@code null}. */
    public @org.jspecify.annotations.Nullable PlacedBlock find(long address, long size) {
        for (PlacedBlock block : blocks) {
            if (block.present
                    && Long.compareUnsigned(address - block.base, block.array.length) < 0
                    && size <= block.array.length - (address - block.base)) {
                return block;
            }
        }
        return null;
    }
}

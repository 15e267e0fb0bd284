package io.github.koloader.arch;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A section of address-sized slots that fills while a module is relocated: a GOT, or the addresses
 * beside a PLT. Each address has one slot. The plan gave the section one slot more than it counted;
 * that one stays free. The kernel looks through the slots in turn, a map here gives the same
 * answer.
 */
final class AddressSlots {
    /** What {@link #slot} answers when there is no room. */
    static final int FULL = -1;

    private final @Nullable PlacedSection section;
    private final int size;
    private final int capacity;
    private final Map<Long, Integer> indexes = new HashMap<>();

    /**
     * The slots of a module's last section of that name; none if it has none.
     *
     * @param module the module
     * @param name name of the section
     * @param size bytes of a slot: 4 or 8
     */
    AddressSlots(PlacedModule module, String name, int size) {
        int index = SectionPlan.lastNamed(module.image(), name);
        this.section = index == 0 ? null : module.section(index);
        this.size = size;
        this.capacity = section == null ? 0 : Math.max(0, section.size() / size - 1);
    }

    /** Number of slots in use. */
    int count() {
        return indexes.size();
    }

    /** Index of the slot that holds an address, filled now if there was none; or {@link #FULL}. */
    int slot(long value) {
        Integer known = indexes.get(value);
        if (known != null) {
            return known;
        }
        int next = indexes.size();
        if (section == null || next >= capacity) {
            return FULL;
        }
        section.write((long) next * size, size, value);
        indexes.put(value, next);
        return next;
    }

    /** Address of a slot in use. */
    long address(int index) {
        if (section == null) {
            throw new IllegalStateException("no slots");
        }
        return section.address() + (long) index * size;
    }
}

package io.github.koloader;

import io.github.koloader.memory.Address;
import io.github.koloader.memory.MemoryType;
import io.github.koloader.memory.Rights;

/**
 * A section in memory.
 *
 * @param index its index in the file
 * @param name its name
 * @param address where it was placed; stays known when init memory is gone
 * @param size bytes
 * @param type the kind of memory it was placed in
 * @param rights what may be done with it, or may have been before it was dropped
 * @param present whether its memory is still there
 */
public record LoadedSection(
        int index,
        String name,
        Address address,
        long size,
        MemoryType type,
        Rights rights,
        boolean present) {}

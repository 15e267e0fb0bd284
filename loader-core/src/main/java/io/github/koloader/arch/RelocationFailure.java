package io.github.koloader.arch;

import io.github.koloader.KernelConfig;

/**
 * A relocation that cannot be applied, for an architecture to say so in its words.
 *
 * @param kind what is wrong
 * @param config the kernel
 * @param module name of the module
 * @param relocationSection index of the relocation section
 * @param entry index of the entry in it
 * @param type its number
 * @param symbol name of the symbol
 * @param s value of the symbol
 * @param a addend
 * @param p address of the place
 * @param value what would have been written
 * @param offset bytes from the start of the section it patches
 * @param sectionSize bytes of that section
 */
public record RelocationFailure(
        Kind kind,
        KernelConfig config,
        String module,
        int relocationSection,
        int entry,
        int type,
        String symbol,
        long s,
        long a,
        long p,
        long value,
        long offset,
        long sectionSize) {
    /** What is wrong with a relocation. */
    public enum Kind {
        /** The architecture has no such type. */
        UNKNOWN_TYPE,
        /** The value does not fit. */
        OVERFLOW,
        /** The place holds something already. */
        PLACE_NOT_ZERO,
        /** The place is not in the section: Linux would write wild memory. */
        OUTSIDE_SECTION,
        /** There is no such symbol: Linux would read wild memory. */
        NO_SUCH_SYMBOL
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;

/**
 * How a table points to things: by addresses, or by 32-bit distances from the pointer itself. Which
 * it is does not follow from the architecture: x86 and arm64 changed with 4.19, others later.
 */
enum EntryKind {
    /** A word. */
    ABSOLUTE,
    /** PREL32. */
    RELATIVE;

    /** Bytes of a pointer. */
    int size(Encoding encoding) {
        return this == ABSOLUTE ? encoding.wordSize() : 4;
    }

    /**
     * What a pointer leads to.
     *
     * @param bytes the piece that has it
     * @param at index of the pointer in there
     * @param address of the pointer
     */
    long target(Bytes bytes, int at, long address, Encoding encoding) {
        if (this == ABSOLUTE) {
            return bytes.readWord(at, encoding);
        }
        long target = address + bytes.readInt(at, encoding);
        return encoding.wide() ? target : target & 0xffff_ffffL;
    }

    /** Whether a pointer leads nowhere. */
    boolean isNull(long target, long address) {
        return target == (this == ABSOLUTE ? 0 : address);
    }
}

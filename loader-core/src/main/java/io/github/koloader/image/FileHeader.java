package io.github.koloader.image;

/**
 * What an ELF header says about the machine that a file is for.
 *
 * @param encoding word size and byte order that the identification bytes name, be they true or not
 * @param machine {@code e_machine}, 0 … 65535
 * @param flags {@code e_flags}
 * @param entry {@code e_entry}; 0 in modules
 */
public record FileHeader(Encoding encoding, int machine, int flags, long entry) {}

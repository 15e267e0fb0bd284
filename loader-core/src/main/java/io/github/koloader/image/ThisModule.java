package io.github.koloader.image;

import java.util.Optional;

/**
 * What the file says in {@code .gnu.linkonce.this_module}, the {@code struct module} that the
 * loader fills in.
 *
 * <p>The structure's layout depends on the kernel's configuration, so the fields for init and exit
 * are found through the relocations that fill them; {@link ModuleImage#entryDisagreements()}
 * compares them with the symbols {@code init_module} and {@code cleanup_module}.
 *
 * @param section index of the section
 * @param name the name field: at byte 24 of the structure on 64-bit, at 12 on 32-bit kernels
 * @param init the entry that runs at load
 * @param exit the entry that runs at unload
 */
public record ThisModule(int section, String name, Optional<Entry> init, Optional<Entry> exit) {
    /**
     * An entry point.
     *
     * @param fieldOffset offset of the field in the structure
     * @param symbolIndex the symbol that the relocation refers to
     */
    public record Entry(long fieldOffset, int symbolIndex) {}

    /**
     * {@return bytes of the name field, NUL included: 56 on 64-bit, 60 on 32-bit kernels}
     *
     * @param wordSize bytes of a word: 4 or 8
     */
    public static int nameLength(int wordSize) {
        return 64 - wordSize;
    }

    /**
     * {@return offset of the name field in the structure, bytes: 24 on 64-bit, 12 on 32-bit
     * kernels}
     *
     * @param wordSize bytes of a word: 4 or 8
     */
    public static int nameOffset(int wordSize) {
        return wordSize == 8 ? 24 : 12;
    }
}

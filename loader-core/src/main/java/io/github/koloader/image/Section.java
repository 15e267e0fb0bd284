package io.github.koloader.image;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

/**
 * One section of a module file.
 *
 * @param name as in the section name table
 * @param type {@code sh_type}
 * @param flags {@code sh_flags}
 * @param offset where its bytes lie in the file; for a symbol of a section without memory this
 *     decides its value
 * @param size bytes it takes in memory ({@code sh_size}); with {@link SectionType#NOBITS} there are
 *     none in the file
 * @param alignment {@code sh_addralign}; 0 counts as 1
 * @param link {@code sh_link}, a section index or 0
 * @param info {@code sh_info}; of a relocation section the index of the section it patches
 * @param entrySize {@code sh_entsize}, bytes
 * @param contents its bytes: {@code size} of them, or none for NULL and NOBITS
 */
public record Section(
        String name,
        SectionType type,
        SectionFlags flags,
        long offset,
        long size,
        long alignment,
        int link,
        int info,
        long entrySize,
        Bytes contents) {
    /** Section 0: all zero. */
    public static final Section NULL =
            new Section("", SectionType.NULL, SectionFlags.NONE, 0, 0, 0, 0, 0, 0, Bytes.EMPTY);

    /**
     * Checks that size and contents agree.
     *
     * @param name as in the section name table
     * @param type {@code sh_type}
     * @param flags {@code sh_flags}
     * @param offset where its bytes lie in the file; for a symbol of a section without memory this
     *     decides its value
     * @param size bytes it takes in memory ({@code sh_size}); with {@link SectionType#NOBITS} there
     *     are none in the file
     * @param alignment {@code sh_addralign}; 0 counts as 1
     * @param link {@code sh_link}, a section index or 0
     * @param info {@code sh_info}; of a relocation section the index of the section it patches
     * @param entrySize {@code sh_entsize}, bytes
     * @param contents its bytes: {@code size} of them, or none for NULL and NOBITS
     * @throws IllegalArgumentException if they do not
     */
    public Section {
        requireNonNull(name);
        checkArgument(
                contents.size() == (type.hasContents() ? size : 0),
                "section %s of type %s has size %s and %s bytes",
                name,
                type,
                size,
                contents.size());
    }

    /**
     * {@return a section of the program: PROGBITS with these bytes}
     *
     * @param name its name
     * @param flags {@code sh_flags}: bits of {@link SectionFlags}
     * @param alignment {@code sh_addralign}, bytes
     * @param contents its bytes, shared
     */
    public static Section progbits(String name, long flags, long alignment, Bytes contents) {
        return new Section(
                name,
                SectionType.PROGBITS,
                SectionFlags.of(flags),
                0,
                contents.size(),
                alignment,
                0,
                0,
                0,
                contents);
    }

    /**
     * {@return space of {@code size} zero bytes that takes none in the file: NOBITS}
     *
     * @param name its name
     * @param flags {@code sh_flags}: bits of {@link SectionFlags}
     * @param alignment {@code sh_addralign}, bytes
     * @param size bytes it takes in memory
     */
    public static Section nobits(String name, long flags, long alignment, long size) {
        return new Section(
                name,
                SectionType.NOBITS,
                SectionFlags.of(flags),
                0,
                size,
                alignment,
                0,
                0,
                0,
                Bytes.EMPTY);
    }

    /**
     * {@return the same with another place in the file}
     *
     * @param newOffset bytes from the start of the file
     */
    public Section withOffset(long newOffset) {
        return new Section(
                name, type, flags, newOffset, size, alignment, link, info, entrySize, contents);
    }

    /**
     * {@return the same with other flags}
     *
     * @param newFlags its {@code sh_flags}
     */
    public Section withFlags(SectionFlags newFlags) {
        return new Section(
                name, type, newFlags, offset, size, alignment, link, info, entrySize, contents);
    }

    /**
     * {@return the same with another alignment}
     *
     * @param newAlignment its {@code sh_addralign}
     */
    public Section withAlignment(long newAlignment) {
        return new Section(
                name, type, flags, offset, size, newAlignment, link, info, entrySize, contents);
    }

    /**
     * {@return the same with other bytes, and their number as its size}
     *
     * @param newContents its bytes, shared
     */
    public Section withContents(Bytes newContents) {
        return new Section(
                name,
                type,
                flags,
                offset,
                newContents.size(),
                alignment,
                link,
                info,
                entrySize,
                newContents);
    }
}

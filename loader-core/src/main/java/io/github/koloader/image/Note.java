package io.github.koloader.image;

import java.util.ArrayList;
import java.util.List;

/**
 * One ELF note.
 *
 * @param name its owner, without the NUL
 * @param type its type, meaningful to the owner
 * @param description its bytes
 */
public record Note(String name, int type, Bytes description) {
    /** {@code NT_GNU_BUILD_ID}. */
    public static final int GNU_BUILD_ID = 3;

    /**
     * {@return the notes of a section, up to the first that does not fit into it}
     *
     * @param section the section's contents
     * @param encoding how numbers are written
     */
    public static List<Note> parse(Bytes section, Encoding encoding) {
        List<Note> notes = new ArrayList<>();
        int at = 0;
        while (section.size() - at >= 12) {
            long nameSize = Integer.toUnsignedLong(section.readInt(at, encoding));
            long size = Integer.toUnsignedLong(section.readInt(at + 4, encoding));
            int type = section.readInt(at + 8, encoding);
            long description = at + 12 + (nameSize + 3 & ~3L);
            if (description + size > section.size()) {
                break;
            }
            notes.add(
                    new Note(
                            section.slice(at + 12, (int) nameSize).text(0),
                            type,
                            section.slice((int) description, (int) size)));
            at = (int) Math.min(section.size(), description + (size + 3 & ~3L));
        }
        return List.copyOf(notes);
    }
}

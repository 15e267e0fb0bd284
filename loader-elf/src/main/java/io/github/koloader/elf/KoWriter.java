package io.github.koloader.elf;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.elf.internal.ElfWriter;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Writes images as relocatable ELF files. Sections lie where the image says; section headers come
 * last. Reading what was written gives an equal image.
 */
public final class KoWriter {
    private KoWriter() {}

    /**
     * {@return the bytes of a file with that image}
     *
     * @param image what to write
     * @throws IllegalArgumentException if it has no section {@code .shstrtab} that holds the names
     *     of all sections, or a section does not lie behind the ELF header and below 2 GiB
     */
    public static byte[] write(ModuleImage image) {
        int names = image.sectionIndex(".shstrtab");
        checkArgument(names != 0, "the image has no section .shstrtab");
        int[] nameOffsets = new int[image.sections().size()];
        Map<String, Integer> offsets = offsets(image, names);
        for (int i = 1; i < nameOffsets.length; i++) {
            Integer offset = offsets.get(image.section(i).name());
            checkArgument(
                    offset != null,
                    "the name of section %s is not in .shstrtab",
                    image.section(i).name());
            nameOffsets[i] = requireNonNull(offset);
        }
        return ElfWriter.write(image, names, nameOffsets);
    }

    /**
     * Writes a file; see {@link #write(ModuleImage)}.
     *
     * @param image what to write
     * @param file where to; an existing file is replaced
     * @throws IOException if it cannot be written
     */
    public static void write(ModuleImage image, Path file) throws IOException {
        Files.write(file, write(image));
    }

    /**
     * Where the name of each section starts: at a string of the table, or, as linkers share them,
     * at the end of one.
     */
    private static Map<String, Integer> offsets(ModuleImage image, int names) {
        Bytes table = image.section(names).contents();
        Map<String, Integer> found = new HashMap<>();
        Set<Integer> lengths = new TreeSet<>();
        for (Section section : image.sections()) {
            lengths.add(section.name().length());
        }
        for (int at = 0; at < table.size(); ) {
            String string = table.text(at);
            if (at + string.length() == table.size()) {
                break; // no NUL behind it
            }
            for (int length : lengths) {
                int from = string.length() - length;
                if (from == 0) {
                    found.merge(string, at, (old, now) -> shared(table, old) ? now : old);
                } else if (from > 0) {
                    found.putIfAbsent(string.substring(from), at + from);
                }
            }
            at += string.length() + 1;
        }
        return found;
    }

    /** Whether the string at an offset is the end of a longer one. */
    private static boolean shared(Bytes table, int offset) {
        return offset > 0 && table.get(offset - 1) != 0;
    }
}

package io.github.koloader.elf;

import static com.google.common.base.Preconditions.checkArgument;
import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.elf.internal.ElfWriter;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

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
        String table = '\0' + image.section(names).contents().toLatin1();
        for (int i = 1; i < nameOffsets.length; i++) {
            Section section = image.section(i);
            nameOffsets[i] = offsetOf(table, section.name());
            checkArgument(
                    nameOffsets[i] >= 0,
                    "the name of section %s is not in .shstrtab",
                    section.name());
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

    /** Where a name that ends in NUL starts; {@code table} has one more character in front. */
    private static int offsetOf(String table, String name) {
        String wanted = new String(name.getBytes(ISO_8859_1), ISO_8859_1) + '\0';
        int whole = table.indexOf('\0' + wanted);
        return whole >= 0 ? whole : table.indexOf(wanted) - 1;
    }
}

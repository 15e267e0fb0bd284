package io.github.koloader.testkit;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Single edits of an image. All but {@link #withSectionOrder} may break it, which is what they are
 * for: break a valid image by one of them, and assert the exact errno.
 *
 * <pre>{@code
 * ModuleImage broken = ImageEdits.withMachine(image, 0x7e57);
 * LoadException failure = assertThrows(LoadException.class, () -> kernel.load(broken, ""));
 * assertEquals(Errno.ENOEXEC, failure.errno());
 * }</pre>
 *
 * <p>The image itself never changes. An index that is not in the image is an {@link
 * IndexOutOfBoundsException}.
 */
public final class ImageEdits {
    private ImageEdits() {}

    /**
     * {@return the first {@code length} bytes of a file}
     *
     * @param file what to cut
     * @param length bytes that stay, 0 … the file's length
     */
    public static byte[] truncatedAt(byte[] file, int length) {
        Objects.checkIndex(length, file.length + 1);
        return Arrays.copyOf(file, length);
    }

    /**
     * {@return the image for another machine}
     *
     * @param image what to edit
     * @param machine {@code e_machine}, 0 … 65535
     */
    public static ModuleImage withMachine(ModuleImage image, int machine) {
        ModuleImage.Builder builder = ModuleImage.builder(machine, image.encoding());
        image.sections().stream().skip(1).forEach(builder::section);
        return builder.flags(image.flags()).fileSize(image.fileSize()).build();
    }

    /**
     * {@return the image with another section in the place of one; sections keep their places in
     * the file}
     *
     * @param image what to edit
     * @param index index of the section that goes
     * @param section what comes in its place
     */
    public static ModuleImage withSection(ModuleImage image, int index, Section section) {
        Objects.checkIndex(index, image.sections().size());
        ModuleImage.Builder builder = ModuleImage.builder(image.machine(), image.encoding());
        for (int i = 1; i < image.sections().size(); i++) {
            builder.section(i == index ? section : image.section(i));
        }
        return builder.flags(image.flags()).fileSize(image.fileSize()).build();
    }

    /**
     * {@return the image with other flags of a section}
     *
     * @param image what to edit
     * @param index index of the section
     * @param flags {@code sh_flags}: bits of {@link SectionFlags}
     */
    public static ModuleImage withSectionFlags(ModuleImage image, int index, long flags) {
        return withSection(image, index, image.section(index).withFlags(SectionFlags.of(flags)));
    }

    /**
     * {@return the image with another type of a section that has bytes before and after}
     *
     * @param image what to edit
     * @param index index of the section
     * @param type its {@code sh_type}
     */
    public static ModuleImage withSectionType(ModuleImage image, int index, SectionType type) {
        Section old = image.section(index);
        return withSection(
                image,
                index,
                new Section(
                        old.name(),
                        type,
                        old.flags(),
                        old.offset(),
                        old.size(),
                        old.alignment(),
                        old.link(),
                        old.info(),
                        old.entrySize(),
                        old.contents()));
    }

    /**
     * {@return the image with another size of a section without bytes in the file}
     *
     * @param image what to edit
     * @param index index of the section
     * @param size bytes it takes in memory
     * @throws IllegalArgumentException if it has bytes
     */
    public static ModuleImage withNobitsSize(ModuleImage image, int index, long size) {
        Section old = image.section(index);
        check(!old.type().hasContents(), "section %s has bytes", old.name());
        return withSection(
                image,
                index,
                new Section(
                        old.name(),
                        old.type(),
                        old.flags(),
                        old.offset(),
                        size,
                        old.alignment(),
                        old.link(),
                        old.info(),
                        old.entrySize(),
                        old.contents()));
    }

    /**
     * {@return the image with one more section at its end}
     *
     * @param image what to edit
     * @param section what to add
     */
    public static ModuleImage withAddedSection(ModuleImage image, Section section) {
        ModuleImage.Builder builder = ModuleImage.builder(image.machine(), image.encoding());
        image.sections().stream().skip(1).forEach(builder::section);
        return builder.section(section).flags(image.flags()).fileSize(image.fileSize()).build();
    }

    /**
     * {@return the image with other bytes in a section, from {@code offset} on}
     *
     * @param image what to edit
     * @param section index of the section
     * @param offset bytes from its start
     * @param bytes what comes there, inside the section
     */
    public static ModuleImage withBytes(ModuleImage image, int section, int offset, byte... bytes) {
        byte[] contents = image.section(section).contents().toByteArray();
        Objects.checkFromIndexSize(offset, bytes.length, contents.length);
        System.arraycopy(bytes, 0, contents, offset, bytes.length);
        return withSection(
                image, section, image.section(section).withContents(Bytes.wrap(contents)));
    }

    /**
     * {@return the image with another type of one relocation, 0 … 255 in a 32-bit file}
     *
     * @param image what to edit
     * @param table one of its {@linkplain ModuleImage#relocations() relocation tables}
     * @param entry index of the relocation in it
     * @param type number of the type
     */
    public static ModuleImage withRelocationType(
            ModuleImage image, RelocationTable table, int entry, int type) {
        return withInfo(image, table, entry, table.symbolIndex(entry), type);
    }

    /**
     * {@return the image with another symbol of one relocation}
     *
     * @param image what to edit
     * @param table one of its {@linkplain ModuleImage#relocations() relocation tables}
     * @param entry index of the relocation in it
     * @param symbolIndex index of the symbol; any number that the entry has bits for
     */
    public static ModuleImage withSymbolIndex(
            ModuleImage image, RelocationTable table, int entry, int symbolIndex) {
        return withInfo(image, table, entry, symbolIndex, table.type(entry));
    }

    private static ModuleImage withInfo(
            ModuleImage image, RelocationTable table, int entry, int symbolIndex, int type) {
        boolean big = table.encoding().bigEndian();
        byte[] info;
        switch (table.format()) {
            case REL32, RELA32 -> info = word(symbolIndex << 8 | type & 0xff, 4, big);
            case REL64, RELA64 ->
                    info = word((long) symbolIndex << 32 | Integer.toUnsignedLong(type), 8, big);
            default -> { // MIPS64: symbol, then one byte each: special symbol, third, second, first
                // type
                info = new byte[8];
                Words.write(info, 0, 4, symbolIndex, big);
                Words.write(info, 5, 3, type, true);
            }
        }
        return withEntryField(image, table, entry, table.encoding().wordSize(), info);
    }

    /**
     * {@return the image with another offset of one relocation, bytes from the start of the section
     * that it patches}
     *
     * @param image what to edit
     * @param table one of its {@linkplain ModuleImage#relocations() relocation tables}
     * @param entry index of the relocation in it
     * @param offset its {@code r_offset}
     */
    public static ModuleImage withRelocationOffset(
            ModuleImage image, RelocationTable table, int entry, long offset) {
        return withEntryField(image, table, entry, 0, word(offset, table.encoding()));
    }

    /**
     * {@return the image with another addend of one relocation}
     *
     * @param image what to edit
     * @param table one of its {@linkplain ModuleImage#relocations() relocation tables}
     * @param entry index of the relocation in it
     * @param addend its {@code r_addend}, signed
     * @throws IllegalArgumentException if entries of that table carry none
     */
    public static ModuleImage withAddend(
            ModuleImage image, RelocationTable table, int entry, long addend) {
        check(table.hasAddends(), "%s has no addends", table);
        return withEntryField(
                image,
                table,
                entry,
                2 * table.encoding().wordSize(),
                word(addend, table.encoding()));
    }

    private static ModuleImage withEntryField(
            ModuleImage image, RelocationTable table, int entry, int field, byte[] bytes) {
        int at = Objects.checkIndex(entry, table.count()) * table.format().entrySize();
        return withBytes(image, table.section(), at + field, bytes);
    }

    /**
     * {@return the image with another section index of one symbol: {@code st_shndx}, 0 … 65535}
     *
     * @param image what to edit
     * @param symbol index of the symbol
     * @param section index of a section, or one of the reserved numbers
     */
    public static ModuleImage withSymbolSection(ModuleImage image, int symbol, int section) {
        Encoding encoding = image.encoding();
        Objects.checkIndex(symbol, image.symbols().count());
        return withBytes(
                image,
                image.symbolSection(),
                symbol * encoding.symbolSize() + (encoding.wide() ? 6 : 14),
                word(section, 2, encoding.bigEndian()));
    }

    /**
     * {@return the image with another value of one symbol}
     *
     * @param image what to edit
     * @param symbol index of the symbol
     * @param value its {@code st_value}; a 32-bit file takes the low half
     */
    public static ModuleImage withSymbolValue(ModuleImage image, int symbol, long value) {
        Encoding encoding = image.encoding();
        Objects.checkIndex(symbol, image.symbols().count());
        return withBytes(
                image,
                image.symbolSection(),
                symbol * encoding.symbolSize() + (encoding.wide() ? 8 : 4),
                word(value, encoding));
    }

    /**
     * {@return a valid image with its sections in another order: links, relocation sections and
     * symbols follow}
     *
     * @param image what to reorder
     * @param order indexes of its sections, each from 1 on once, in the order that they get
     */
    public static ModuleImage withSectionOrder(ModuleImage image, List<Integer> order) {
        int count = image.sections().size();
        int[] moved = new int[count];
        for (int i = 0; i < order.size(); i++) {
            moved[order.get(i)] = i + 1;
        }
        check(
                order.size() == count - 1
                        && order.stream().distinct().count() == count - 1
                        && moved[0] == 0,
                "order %s of %s sections",
                order,
                count);
        ModuleImage.Builder builder =
                ModuleImage.builder(image.machine(), image.encoding()).flags(image.flags());
        for (int index : order) {
            Section old = image.section(index);
            boolean relocations =
                    old.type().equals(SectionType.RELA) || old.type().equals(SectionType.REL);
            boolean linked = old.link() > 0 && old.link() < count;
            builder.section(
                    new Section(
                            old.name(),
                            old.type(),
                            old.flags(),
                            0,
                            old.size(),
                            old.alignment(),
                            linked ? moved[old.link()] : old.link(),
                            relocations && old.info() > 0 && old.info() < count
                                    ? moved[old.info()]
                                    : old.info(),
                            old.entrySize(),
                            index == image.symbolSection()
                                    ? Bytes.wrap(movedSymbols(image.symbols(), moved))
                                    : old.contents()));
        }
        return builder.build();
    }

    private static byte[] movedSymbols(SymbolTable symbols, int[] moved) {
        Encoding encoding = symbols.encoding();
        byte[] entries = symbols.entries().toByteArray();
        for (int i = 0; i < symbols.count(); i++) {
            int section = symbols.sectionIndex(i);
            if (section < moved.length) {
                int at = i * encoding.symbolSize() + (encoding.wide() ? 6 : 14);
                Words.write(entries, at, 2, moved[section], encoding.bigEndian());
            }
        }
        return entries;
    }

    private static void check(boolean good, String format, Object... arguments) {
        if (!good) {
            throw new IllegalArgumentException(format.formatted(arguments));
        }
    }

    private static byte[] word(long value, Encoding encoding) {
        return word(value, encoding.wordSize(), encoding.bigEndian());
    }

    private static byte[] word(long value, int size, boolean bigEndian) {
        byte[] bytes = new byte[size];
        Words.write(bytes, 0, size, value, bigEndian);
        return bytes;
    }
}

package io.github.koloader.elf.internal;

import static com.google.common.base.Preconditions.checkArgument;

import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import java.nio.ByteBuffer;

/** Lays an image down as a file. */
public final class ElfWriter {
    private ElfWriter() {}

    /** The file: ELF header, contents of the sections, section headers. */
    public static byte[] write(ModuleImage image, int nameSection, int[] nameOffsets) {
        Encoding encoding = image.encoding();
        long end = ElfConstants.headerSize(encoding);
        for (Section section : image.sections()) {
            if (section.contents().size() > 0) {
                checkArgument(
                        section.offset() >= ElfConstants.headerSize(encoding)
                                && section.offset() < Integer.MAX_VALUE - section.contents().size(),
                        "section %s at offset %s",
                        section.name(),
                        section.offset());
                end = Math.max(end, section.offset() + section.contents().size());
            }
        }
        long headers = end + 7 & -8;
        int count = image.sections().size();
        long size = headers + (long) count * ElfConstants.sectionHeaderSize(encoding);
        checkArgument(
                size < Integer.MAX_VALUE - 8 && count < 0xff00,
                "%s sections, %s bytes",
                count,
                size);
        byte[] file = new byte[(int) size];
        ByteBuffer out = ByteBuffer.wrap(file).order(encoding.byteOrder());
        writeHeader(out, image, (int) headers, nameSection);
        for (Section section : image.sections()) {
            if (section.contents().size() > 0) {
                section.contents().copyTo(file, (int) section.offset());
            }
        }
        out.position((int) headers);
        for (int i = 0; i < count; i++) {
            writeSectionHeader(out, image.section(i), nameOffsets[i], encoding.wide());
        }
        return file;
    }

    private static void writeHeader(
            ByteBuffer out, ModuleImage image, int headers, int nameSection) {
        Encoding encoding = image.encoding();
        out.put(
                new byte[] {
                    0x7f,
                    'E',
                    'L',
                    'F',
                    (byte) (encoding.wide() ? ElfConstants.ELFCLASS64 : ElfConstants.ELFCLASS32),
                    (byte)
                            (encoding.bigEndian()
                                    ? ElfConstants.ELFDATA2MSB
                                    : ElfConstants.ELFDATA2LSB),
                    1
                });
        out.putShort(ElfConstants.E_TYPE, (short) ElfConstants.ET_REL);
        out.putShort(ElfConstants.E_MACHINE, (short) image.machine());
        out.putInt(20, 1); // e_version
        if (encoding.wide()) {
            out.putLong(ElfConstants.shoffAt(encoding), headers);
        } else {
            out.putInt(ElfConstants.shoffAt(encoding), headers);
        }
        out.putInt(ElfConstants.flagsAt(encoding), image.flags());
        out.putShort(ElfConstants.ehsizeAt(encoding), (short) ElfConstants.headerSize(encoding));
        out.putShort(
                ElfConstants.shentsizeAt(encoding),
                (short) ElfConstants.sectionHeaderSize(encoding));
        out.putShort(ElfConstants.shnumAt(encoding), (short) image.sections().size());
        out.putShort(ElfConstants.shstrndxAt(encoding), (short) nameSection);
    }

    private static void writeSectionHeader(
            ByteBuffer out, Section section, int nameOffset, boolean wide) {
        out.putInt(nameOffset).putInt(section.type().code());
        putWord(out, section.flags().bits(), wide);
        putWord(out, 0, wide);
        putWord(out, section.offset(), wide);
        putWord(out, section.size(), wide);
        out.putInt(section.link()).putInt(section.info());
        putWord(out, section.alignment(), wide);
        putWord(out, section.entrySize(), wide);
    }

    private static void putWord(ByteBuffer out, long value, boolean wide) {
        if (wide) {
            out.putLong(value);
        } else {
            out.putInt((int) value);
        }
    }
}

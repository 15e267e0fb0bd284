package io.github.koloader.elf;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Module files: real ones, small written ones, and named edits of them. */
public final class Kos {
    /** A machine that there is not. */
    public static final int NO_MACHINE = 0x7e57;

    private Kos() {}

    /** The bytes of a real file, such as {@code x86_64/hello.ko}. */
    public static byte[] real(String name) {
        try (InputStream in = Kos.class.getResourceAsStream("/ko/" + name)) {
            if (in == null) {
                throw new IllegalArgumentException("no fixture " + name);
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A small module with init, data, a relocation and an undefined symbol. */
    public static ModuleImage image(int machine, Encoding encoding, boolean addends) {
        ImageBuilder builder =
                new ImageBuilder(machine, encoding, addends)
                        .name("small")
                        .modinfo("license", "GPL");
        int text =
                builder.section(
                        Section.progbits(
                                ".text",
                                SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                                16,
                                Bytes.copyOf(new byte[32])));
        builder.section(Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 8, 100));
        int printk = builder.symbol(Symbol.undefined("printk"));
        builder.relocate(text, new Relocation(8, 1, printk, addends ? -4 : 0));
        return builder.init(text, 0, 1).exit(text, 16, 1).build();
    }

    /** The file of a small x86-64 module. */
    public static byte[] small() {
        return KoWriter.write(image(62, Encoding.ELF64_LSB, true));
    }

    /** A view of a 64-bit little-endian file to edit. */
    public static ByteBuffer edit(byte[] file) {
        return ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Offset of the section header of that index in a 64-bit little-endian file. */
    public static int header(byte[] file, int section) {
        return (int) edit(file).getLong(40) + 64 * section;
    }

    /** Offset of the header of the section of that name. */
    public static int header(byte[] file, String section) {
        return header(file, KoReader.read(file).sectionIndex(section));
    }
}

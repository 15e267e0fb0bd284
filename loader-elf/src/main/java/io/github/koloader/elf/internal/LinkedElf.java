package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.IOException;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A linked kernel in an ELF file: its sections that take up memory; where the section headers were
 * stripped away, its segments. Unlike that of a module, the header's own class and byte order
 * count.
 */
final class LinkedElf {
    private static final byte[] MAGIC = {0x7f, 'E', 'L', 'F'};
    private static final int PT_LOAD = 1;
    private static final int SHT_NOBITS = 8;
    private static final int SHF_WRITE = 1;
    private static final int SHF_ALLOC = 2;
    private static final int SHF_EXECINSTR = 4;
    private static final int LONGEST_NAME = 128;
    private static final int PF_X = 1;
    private static final int PF_W = 2;

    private final Bytes file;
    private final String name;
    private final Encoding encoding;

    private LinkedElf(Bytes file, String name, Encoding encoding) {
        this.file = file;
        this.name = name;
        this.encoding = encoding;
    }

    static boolean isElf(Bytes file) {
        return file.matches(0, MAGIC);
    }

    /** Class and byte order, and the machine. */
    record Header(Encoding encoding, int elfMachine) {}

    /**
     * Reads what the header says.
     *
     * @throws IOException if it says nothing that can be
     */
    static Header header(Bytes file, String name) throws IOException {
        if (file.size() < 20 || !isElf(file)) {
            throw new IOException(name + ": offset 0: not an ELF file");
        }
        int elfClass = file.get(ElfConstants.EI_CLASS);
        int data = file.get(ElfConstants.EI_DATA);
        if (elfClass != ElfConstants.ELFCLASS32 && elfClass != ElfConstants.ELFCLASS64
                || data != ElfConstants.ELFDATA2LSB && data != ElfConstants.ELFDATA2MSB) {
            throw new IOException(
                    name + ": offset 4: neither a class nor a byte order of ELF files");
        }
        Encoding encoding =
                new Encoding(
                        elfClass == ElfConstants.ELFCLASS64 ? 8 : 4,
                        data == ElfConstants.ELFDATA2MSB
                                ? ByteOrder.BIG_ENDIAN
                                : ByteOrder.LITTLE_ENDIAN);
        if (file.size() < ElfConstants.headerSize(encoding)) {
            throw new IOException(name + ": offset " + file.size() + ": ends inside the header");
        }
        return new Header(encoding, file.unsignedShort(ElfConstants.E_MACHINE, encoding));
    }

    /**
     * Reads a file.
     *
     * @throws IOException if a header, section or segment lies outside of the file
     */
    static LinkedImage read(Bytes file, String name) throws IOException {
        Header header = header(file, name);
        return new LinkedElf(file, name, header.encoding()).read(header.elfMachine());
    }

    private LinkedImage read(int machine) throws IOException {
        if (file.unsignedShort(ElfConstants.E_TYPE, encoding) == ElfConstants.ET_REL) {
            throw new IOException(at(ElfConstants.E_TYPE) + "an object or module, not yet linked");
        }
        List<LinkedImage.Piece> pieces = sections();
        if (pieces.isEmpty()) {
            pieces = segments();
        }
        long total = pieces.stream().mapToLong(piece -> piece.bytes().size()).sum();
        if (total > 2L * file.size()) {
            throw new IOException(
                    name + ": " + total + " bytes of sections in " + file.size() + " of the file");
        }
        if (pieces.isEmpty()) {
            throw new IOException(name + ": neither a section nor a segment that takes up memory");
        }
        return new LinkedImage(encoding, machine, pieces);
    }

    private List<LinkedImage.Piece> sections() throws IOException {
        long table = file.readWord(ElfConstants.shoffAt(encoding), encoding);
        if (table == 0) {
            return List.of();
        }
        int size = ElfConstants.sectionHeaderSize(encoding);
        int each = file.unsignedShort(ElfConstants.shentsizeAt(encoding), encoding);
        long count = file.unsignedShort(ElfConstants.shnumAt(encoding), encoding);
        long names = file.unsignedShort(ElfConstants.shstrndxAt(encoding), encoding);
        if (each != size) {
            throw new IOException(
                    at(ElfConstants.shentsizeAt(encoding)) + "section headers of " + each);
        }
        checkTable("section headers", table, 1, size);
        if (count == 0) { // numbers that do not fit stand in section 0
            count = new SectionHeader((int) table).size();
        }
        if (names == 0xffff) {
            names = Integer.toUnsignedLong(new SectionHeader((int) table).link());
        }
        checkTable("section headers", table, count, size);
        Bytes strings = Bytes.EMPTY;
        if (names != 0 && names < count) {
            strings = contents(new SectionHeader((int) (table + names * size)));
        }
        List<LinkedImage.Piece> pieces = new ArrayList<>();
        for (int i = 1; i < count; i++) {
            SectionHeader header = new SectionHeader((int) (table + (long) i * size));
            if ((header.flags() & SHF_ALLOC) != 0) {
                pieces.add(piece(header, strings));
            }
        }
        return pieces;
    }

    private LinkedImage.Piece piece(SectionHeader header, Bytes strings) throws IOException {
        checkEnd(header.at(), header.address(), header.size());
        return new LinkedImage.Piece(
                name(strings, header.name()),
                header.address(),
                contents(header),
                header.size(),
                (header.flags() & SHF_WRITE) != 0,
                (header.flags() & SHF_EXECINSTR) != 0);
    }

    /** A name; one that is longer than any is cut off. */
    private static String name(Bytes strings, int at) {
        return at < 0 || at >= strings.size()
                ? ""
                : strings.slice(at, Math.min(LONGEST_NAME, strings.size() - at)).text(0);
    }

    private Bytes contents(SectionHeader header) throws IOException {
        return header.type() == SHT_NOBITS
                ? Bytes.EMPTY
                : slice(header.at(), header.offset(), header.size());
    }

    private List<LinkedImage.Piece> segments() throws IOException {
        boolean wide = encoding.wide();
        long table = file.readWord(wide ? 32 : 28, encoding);
        int each = file.unsignedShort(wide ? 54 : 42, encoding);
        int count = file.unsignedShort(wide ? 56 : 44, encoding);
        if (table == 0 || count == 0) {
            return List.of();
        }
        if (each != (wide ? 56 : 32)) {
            throw new IOException(at(wide ? 54 : 42) + "program headers of " + each);
        }
        checkTable("program headers", table, count, each);
        List<LinkedImage.Piece> pieces = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int header = (int) table + i * each;
            if (file.readInt(header, encoding) != PT_LOAD) {
                continue;
            }
            int flags = file.readInt(header + (wide ? 4 : 24), encoding);
            long offset = file.readWord(header + (wide ? 8 : 4), encoding);
            long address = file.readWord(header + (wide ? 16 : 8), encoding);
            long inFile = file.readWord(header + (wide ? 32 : 16), encoding);
            long inMemory = file.readWord(header + (wide ? 40 : 20), encoding);
            if (Long.compareUnsigned(inMemory, inFile) < 0) {
                throw new IOException(at(header) + "a segment larger in the file than in memory");
            }
            checkEnd(header, address, inMemory);
            pieces.add(
                    new LinkedImage.Piece(
                            "",
                            address,
                            slice(header, offset, inFile),
                            inMemory,
                            (flags & PF_W) != 0,
                            (flags & PF_X) != 0));
        }
        return pieces;
    }

    private Bytes slice(int header, long offset, long size) throws IOException {
        if (size == 0) {
            return Bytes.EMPTY;
        }
        if (offset < 0 || size < 0 || size > file.size() || offset > file.size() - size) {
            throw new IOException(
                    at(header)
                            + Long.toUnsignedString(size)
                            + " bytes from offset "
                            + Long.toUnsignedString(offset)
                            + " on are not in the file, which has "
                            + file.size());
        }
        return file.slice((int) offset, (int) size);
    }

    /** Nothing goes beyond the last address. */
    private void checkEnd(int header, long address, long size) throws IOException {
        long last = encoding.wide() ? -1L : 0xffff_ffffL;
        if (size < 0 || size != 0 && Long.compareUnsigned(size - 1, last - address) > 0) {
            throw new IOException(
                    at(header)
                            + Long.toUnsignedString(size)
                            + " bytes do not fit into memory from 0x"
                            + Long.toHexString(address)
                            + " on");
        }
    }

    private void checkTable(String what, long offset, long count, int size) throws IOException {
        if (offset < 0
                || count < 0
                || count > file.size() / size
                || offset > file.size() - count * size) {
            throw new IOException(
                    name
                            + ": offset "
                            + Long.toUnsignedString(offset)
                            + ": the "
                            + what
                            + " are not in the file, which has "
                            + file.size()
                            + " bytes");
        }
    }

    private String at(int offset) {
        return name + ": offset " + offset + ": ";
    }

    /** A header that lies in the file. */
    private final class SectionHeader {
        private final int at;

        SectionHeader(int at) {
            this.at = at;
        }

        int at() {
            return at;
        }

        int name() {
            return file.readInt(at, encoding);
        }

        int type() {
            return file.readInt(at + 4, encoding);
        }

        long flags() {
            return file.readWord(at + 8, encoding);
        }

        long address() {
            return word(2);
        }

        long offset() {
            return word(3);
        }

        long size() {
            return word(4);
        }

        int link() {
            return file.readInt(at + (encoding.wide() ? 40 : 24), encoding);
        }

        /** A word counted from the one of the flags, which is number 1. */
        private long word(int number) {
            return file.readWord(at + 8 + (number - 1) * encoding.wordSize(), encoding);
        }
    }
}

package io.github.koloader.elf.internal;

import static io.github.koloader.elf.internal.ElfConstants.EI_CLASS;
import static io.github.koloader.elf.internal.ElfConstants.EI_DATA;
import static io.github.koloader.elf.internal.ElfConstants.ELFCLASS32;
import static io.github.koloader.elf.internal.ElfConstants.ELFCLASS64;
import static io.github.koloader.elf.internal.ElfConstants.ELFDATA2LSB;
import static io.github.koloader.elf.internal.ElfConstants.ELFDATA2MSB;

import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import java.nio.ByteOrder;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Turns the bytes of a relocatable ELF file into an image. Checks are those of the kernel, in its
 * order; what it does not check but would read wild memory by is refused with the offset.
 *
 * @kernel kernel/module/main.c, elf_validity_check()
 */
public final class ElfParser {
    private static final byte[] MAGIC = {0x7f, 'E', 'L', 'F'};

    /** Bytes that names of sections may have together, beyond a small multiple of the file's. */
    private static final long NAME_BUDGET = 1 << 20;

    private final Bytes file;
    private final @Nullable Architecture expected;
    private final ElfRules rules;
    private final Encoding encoding;
    private long nameBytes;

    private ElfParser(
            Bytes file, @Nullable Architecture expected, ElfRules rules, Encoding encoding) {
        this.file = file;
        this.expected = expected;
        this.rules = rules;
        this.encoding = encoding;
    }

    /**
     * Reads a file.
     *
     * @param file all of its bytes
     * @param expected the architecture it must be for; {@code null} for any
     * @param rules what is checked
     * @throws LoadException ENOEXEC with the kernel's message
     */
    public static ModuleImage parse(Bytes file, @Nullable Architecture expected, ElfRules rules) {
        Encoding encoding = expected != null ? expected.encoding() : encodingOf(file);
        return new ElfParser(file, expected, rules, encoding).parse();
    }

    /**
     * The architecture that a file is for, going by its machine number; empty if it is none that is
     * known.
     */
    public static Optional<Architecture> architectureOf(Bytes file) {
        if (file.size() < ElfConstants.E_MACHINE + 2 || !file.matches(0, MAGIC)) {
            return Optional.empty();
        }
        ByteOrder named =
                file.get(EI_DATA) == ELFDATA2MSB ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
        ByteOrder other =
                named == ByteOrder.BIG_ENDIAN ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
        return architectureOf(file, named).or(() -> architectureOf(file, other));
    }

    /** Word size as the class byte says, or the other one: kernels do not go by it. */
    private static Optional<Architecture> architectureOf(Bytes file, ByteOrder order) {
        int named = file.get(EI_CLASS) == ELFCLASS32 ? 4 : 8;
        int machine = file.unsignedShort(ElfConstants.E_MACHINE, new Encoding(8, order));
        return Architectures.forMachine(machine, new Encoding(named, order))
                .or(() -> Architectures.forMachine(machine, new Encoding(12 - named, order)));
    }

    /** As a kernel does, go by the machine where it is known, not by the class and data bytes. */
    private static Encoding encodingOf(Bytes file) {
        if (file.size() < 20) {
            throw ElfFailures.headerTooShort(file);
        }
        if (!file.matches(0, MAGIC)) {
            throw ElfFailures.wrongMagic(file);
        }
        Optional<Architecture> architecture = architectureOf(file);
        if (architecture.isPresent()) {
            return architecture.get().encoding();
        }
        int elfClass = file.get(EI_CLASS);
        int data = file.get(EI_DATA);
        if (elfClass != ELFCLASS32 && elfClass != ELFCLASS64
                || data != ELFDATA2LSB && data != ELFDATA2MSB) {
            throw ElfFailures.unknownClass(elfClass & 0xff, data & 0xff);
        }
        return new Encoding(
                elfClass == ELFCLASS64 ? 8 : 4,
                data == ELFDATA2MSB ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    }

    private ModuleImage parse() {
        if (file.size() < ElfConstants.headerSize(encoding)) {
            throw refused(ElfFailures.headerTooShort(file));
        }
        if (!file.matches(0, MAGIC)) {
            throw refused(ElfFailures.wrongMagic(file));
        }
        int type = file.unsignedShort(ElfConstants.E_TYPE, encoding);
        if (type != ElfConstants.ET_REL) {
            throw refused(ElfFailures.wrongType(type));
        }
        int machine = file.unsignedShort(ElfConstants.E_MACHINE, encoding);
        int flags = file.readInt(ElfConstants.flagsAt(encoding), encoding);
        if (expected != null && !expected.accepts(header(machine, flags))) {
            throw refused(ElfFailures.wrongMachine(machine, expected));
        }
        int headerSize = ElfConstants.sectionHeaderSize(encoding);
        if (file.unsignedShort(ElfConstants.shentsizeAt(encoding), encoding) != headerSize) {
            throw refused(ElfFailures.wrongSectionHeaderSize());
        }
        long headers = file.readWord(ElfConstants.shoffAt(encoding), encoding);
        int count = file.unsignedShort(ElfConstants.shnumAt(encoding), encoding);
        if (headers < 0
                || headers >= file.size()
                || (long) count * headerSize > file.size() - headers) {
            throw refused(
                    ElfFailures.sectionHeadersBeyondEnd(
                            headers, headers + (long) count * headerSize, file.size()));
        }
        Header header = new Header(file, encoding, (int) headers);
        int names = file.unsignedShort(ElfConstants.shstrndxAt(encoding), encoding);
        long namesAt =
                !rules.named()
                        ? checkLengths(header, count, names)
                        : rules.regrouped()
                                ? checkPlacesThenNames(header, count, names)
                                : checkSections(header, count, names);
        ModuleImage.Builder builder =
                ModuleImage.builder(machine, encoding).flags(flags).fileSize(file.size());
        for (int i = 1; i < count; i++) {
            header.at(i);
            builder.section(section(header, i, namesAt));
        }
        ModuleImage image = withinBudget(builder.build());
        if (rules.unique()) {
            new UniqueSections(image, rules).check();
        }
        return image;
    }

    /** A failure of the header, of which old kernels say nothing. */
    private LoadException refused(LoadException failure) {
        return rules.named() ? failure : ElfFailures.unnamed(failure);
    }

    /** The header, with what its identification bytes say in the place of our own encoding. */
    private FileHeader header(int machine, int flags) {
        Encoding named =
                new Encoding(
                        file.get(EI_CLASS) == ELFCLASS32 ? 4 : 8,
                        file.get(EI_DATA) == ELFDATA2MSB
                                ? ByteOrder.BIG_ENDIAN
                                : ByteOrder.LITTLE_ENDIAN);
        return new FileHeader(named, machine, flags, file.readWord(ElfConstants.E_ENTRY, encoding));
    }

    /**
     * As kernels before 5.18: nothing but lengths.
     *
     * @return where names begin in the file
     * @kernel kernel/module.c, rewrite_section_headers()
     */
    private long checkLengths(Header header, int count, int names) {
        for (int i = 1; i < count; i++) {
            header.at(i);
            if (header.type() != SectionType.NOBITS.code() && !header.fits(file.size())) {
                throw ElfFailures.truncated(
                        file.size(), i, header.type(), header.offset(), header.size());
            }
        }
        if (names >= count) {
            throw ElfFailures.namesOutside(names);
        }
        header.at(names);
        return header.offset();
    }

    /** As kernels of 5.18 to 6.11. */
    private long checkSections(Header header, int count, int names) {
        checkNameIndex(names, count);
        header.at(names);
        if (!header.fits(file.size())) {
            throw ElfFailures.nameTableBeyondEnd(
                    names, header.type(), header.offset(), header.size(), file.size());
        }
        checkNameTable(header);
        long namesAt = header.offset();
        long namesSize = header.size();
        checkSectionZero(header);
        for (int i = 1; i < count; i++) {
            header.at(i);
            int type = header.type();
            if (type == SectionType.NULL.code() || type == SectionType.NOBITS.code()) {
                continue;
            }
            if (type == SectionType.SYMTAB.code()) {
                checkLink(header.link(), count);
            }
            if (!header.fits(file.size())) {
                throw ElfFailures.sectionBeyondEnd(
                        i, type, header.offset(), header.size(), file.size());
            }
            if ((header.flags() & SectionFlags.ALLOC) != 0) {
                checkName(header, i, namesSize);
            }
        }
        return namesAt;
    }

    /**
     * As kernels since 6.12.
     *
     * @kernel kernel/module/main.c, elf_validity_cache_sechdrs(), elf_validity_cache_secstrings()
     */
    private long checkPlacesThenNames(Header header, int count, int names) {
        if (count > 0) { // without sections the index of names is refused below
            checkSectionZero(header);
        }
        for (int i = 1; i < count; i++) {
            header.at(i);
            int type = header.type();
            if (type != SectionType.NULL.code()
                    && type != SectionType.NOBITS.code()
                    && !header.fits(file.size())) {
                throw ElfFailures.sectionBeyondEnd(
                        i, type, header.offset(), header.size(), file.size());
            }
        }
        checkNameIndex(names, count);
        header.at(names);
        if (header.type() != SectionType.STRTAB.code()) {
            throw ElfFailures.nameTableType(header.type());
        }
        checkNameTable(header);
        long namesAt = header.offset();
        long namesSize = header.size();
        for (int i = 1; i < count; i++) {
            header.at(i);
            if (header.type() != SectionType.NULL.code()) {
                checkName(header, i, namesSize);
            }
        }
        return namesAt;
    }

    private static void checkNameIndex(int names, int count) {
        if (names == 0 || names >= count) {
            throw ElfFailures.wrongNameIndex(names, count);
        }
    }

    private void checkNameTable(Header header) {
        if (header.size() == 0) {
            throw ElfFailures.emptyNameTable();
        }
        if (file.get((int) (header.offset() + header.size() - 1)) != 0) {
            throw ElfFailures.nameTableUnterminated();
        }
    }

    private static void checkSectionZero(Header header) {
        header.at(0);
        if (header.type() != 0 || header.size() != 0 || header.address() != 0) {
            throw ElfFailures.sectionZeroInUse(header.type());
        }
    }

    private static void checkLink(int link, int count) {
        if (link <= 0 || link >= count) {
            throw ElfFailures.wrongLink(link, count);
        }
    }

    private static void checkName(Header header, int index, long namesSize) {
        if (header.name() < 0 || header.name() >= namesSize) {
            throw ElfFailures.sectionNameOutside(index, header.type());
        }
    }

    /** What a file cannot hold it must not make a reader hold, by names or tables that overlap. */
    private ModuleImage withinBudget(ModuleImage image) {
        SymbolTable symbols = image.symbols();
        long budget = NAME_BUDGET + 4L * symbols.strings().size();
        boolean within = (long) symbols.count() * symbols.strings().size() <= budget;
        for (int i = 0; i < symbols.count() && !within; i++) {
            budget -= symbols.nameLength(i);
            if (budget < 0) {
                long offset = Integer.toUnsignedLong(symbols.nameOffset(i));
                throw ElfFailures.symbolNamesTooLong(i, offset);
            }
        }
        long left = file.size();
        for (RelocationTable table : image.relocations()) {
            left -= table.entries().size();
            if (left < 0) {
                throw ElfFailures.relocationsOverlap(
                        table.section(), image.section(table.section()).offset());
            }
        }
        return image;
    }

    private Section section(Header header, int index, long namesAt) {
        long nameAt = namesAt + Integer.toUnsignedLong(header.name());
        if (nameAt < 0 || nameAt >= file.size()) {
            throw ElfFailures.nameBeyondEnd(index, nameAt);
        }
        String name = SectionNames.read(file, (int) nameAt);
        nameBytes += name.length();
        if (nameBytes > NAME_BUDGET + 4L * file.size()) {
            throw ElfFailures.namesTooLong(index, nameAt);
        }
        SectionType type = SectionType.of(header.type());
        boolean contents = type.hasContents();
        long size = header.size();
        if (contents && !header.fits(file.size())) { // only of type NULL, which is not checked
            if ((header.flags() & SectionFlags.ALLOC) != 0) {
                throw ElfFailures.sectionBeyondEnd(
                        index, header.type(), header.offset(), header.size(), file.size());
            }
            size = 0;
        }
        return new Section(
                name,
                type,
                SectionFlags.of(header.flags()),
                header.offset(),
                size,
                header.alignment(),
                header.link(),
                header.info(),
                header.entrySize(),
                contents && size > 0 ? file.slice((int) header.offset(), (int) size) : Bytes.EMPTY);
    }

    /** A view on one section header after the other. */
    private static final class Header {
        private final Bytes file;
        private final Encoding encoding;
        private final int table;
        private final int word;
        private int at;

        Header(Bytes file, Encoding encoding, int table) {
            this.file = file;
            this.encoding = encoding;
            this.table = table;
            this.word = encoding.wordSize();
        }

        void at(int index) {
            this.at = table + index * ElfConstants.sectionHeaderSize(encoding);
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
            return file.readWord(at + 8 + word, encoding);
        }

        long offset() {
            return file.readWord(at + 8 + 2 * word, encoding);
        }

        long size() {
            return file.readWord(at + 8 + 3 * word, encoding);
        }

        int link() {
            return file.readInt(at + 8 + 4 * word, encoding);
        }

        int info() {
            return file.readInt(at + 12 + 4 * word, encoding);
        }

        long alignment() {
            return file.readWord(at + 16 + 4 * word, encoding);
        }

        long entrySize() {
            return file.readWord(at + 16 + 5 * word, encoding);
        }

        boolean fits(long fileSize) {
            long offset = offset();
            long size = size();
            return offset >= 0 && size >= 0 && offset <= fileSize && size <= fileSize - offset;
        }
    }
}

package io.github.koloader.elf.internal;

import static io.github.koloader.elf.internal.ElfConstants.EI_CLASS;
import static io.github.koloader.elf.internal.ElfConstants.EI_DATA;
import static io.github.koloader.elf.internal.ElfConstants.ELFCLASS32;
import static io.github.koloader.elf.internal.ElfConstants.ELFCLASS64;
import static io.github.koloader.elf.internal.ElfConstants.ELFDATA2LSB;
import static io.github.koloader.elf.internal.ElfConstants.ELFDATA2MSB;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * Finds one section in a file as kmod's tools do: far fewer checks than the kernel's, and none of
 * section types or flags. Sections that do not lie in the file are passed over.
 */
public final class SectionFinder {
    private static final byte[] MAGIC = {0x7f, 'E', 'L', 'F'};
    private static final int IDENT_SIZE = 16;

    private SectionFinder() {}

    /**
     * The bytes of the first section of that name.
     *
     * @throws LoadException with errno ENOEXEC if the file is not ELF, EINVAL if its section
     *     headers cannot be read, ENOENT if it has no such section
     */
    public static Bytes find(Bytes file, String name) {
        Encoding encoding = encodingOf(file);
        int headerSize = ElfConstants.sectionHeaderSize(encoding);
        if (file.size() < ElfConstants.headerSize(encoding)
                || file.unsignedShort(ElfConstants.shentsizeAt(encoding), encoding) != headerSize) {
            throw unreadable("ELF header");
        }
        long headers = file.readWord(ElfConstants.shoffAt(encoding), encoding);
        int count = file.unsignedShort(ElfConstants.shnumAt(encoding), encoding);
        if (headers < 0 || headers > file.size() - (long) count * headerSize) {
            throw unreadable("section headers");
        }
        int namesIndex = file.unsignedShort(ElfConstants.shstrndxAt(encoding), encoding);
        if (namesIndex == 0 || namesIndex >= count) {
            throw unreadable("section names");
        }
        Bytes names = contents(file, encoding, (int) headers + namesIndex * headerSize);
        if (names == null || names.isEmpty() || names.get(names.size() - 1) != 0) {
            throw unreadable("section names");
        }
        for (int i = 1; i < count; i++) {
            int header = (int) headers + i * headerSize;
            Bytes contents = contents(file, encoding, header);
            long nameAt = Integer.toUnsignedLong(file.readInt(header, encoding));
            if (contents != null
                    && nameAt < names.size()
                    && names.text((int) nameAt).equals(name)) {
                return contents;
            }
        }
        throw LoadException.silent(Errno.ENOENT, "there is no section " + name);
    }

    private static Encoding encodingOf(Bytes file) {
        if (file.size() <= IDENT_SIZE || !file.matches(0, MAGIC)) {
            throw LoadException.silent(Errno.ENOEXEC, "not an ELF file");
        }
        int elfClass = file.get(EI_CLASS);
        int data = file.get(EI_DATA);
        boolean knownClass = elfClass == ELFCLASS32 || elfClass == ELFCLASS64;
        boolean knownData = data == ELFDATA2LSB || data == ELFDATA2MSB;
        if (!knownClass || !knownData) {
            throw unreadable("ELF class or data encoding");
        }
        return new Encoding(
                elfClass == ELFCLASS64 ? 8 : 4,
                data == ELFDATA2MSB ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    }

    private static LoadException unreadable(String what) {
        return LoadException.silent(Errno.EINVAL, what + " cannot be read");
    }

    /** What the header at {@code at} leads to; {@code null} if that does not lie in the file. */
    private static @Nullable Bytes contents(Bytes file, Encoding encoding, int at) {
        int word = encoding.wordSize();
        long offset = file.readWord(at + 8 + 2 * word, encoding);
        long size = file.readWord(at + 8 + 3 * word, encoding);
        if (offset < 0 || size < 0 || offset > file.size() || size > file.size() - offset) {
            return null;
        }
        return file.slice((int) offset, (int) size);
    }
}

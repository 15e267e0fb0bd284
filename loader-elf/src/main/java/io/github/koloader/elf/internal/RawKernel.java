package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * A kernel without ELF headers: its memory from {@code _text} on, as far as it is not zero. Nothing
 * in it says what address it is linked for; that follows from its own symbol table, and where this
 * is kept by relocations, from both together.
 */
final class RawKernel {
    private static final int PAGE = 0x1000;
    private static final byte[] ARM64 = {'A', 'R', 'M', 0x64};
    private static final byte[] RISCV = {'R', 'S', 'C', 5};
    private static final int MAGIC_AT = 0x38;
    private static final int HEADER_SIZE = 0x40;
    private static final int EM_ARM = 40;
    private static final int EM_AARCH64 = 183;
    private static final int EM_RISCV = 243;

    /** The sizes that are believed: what a kernel has of zeros behind its file. */
    private static final long LARGEST = 1L << 32;

    /** Names that the first byte goes by. */
    private static final List<String> FIRST = List.of("_text", "_head", "stext", "_stext");

    private final Bytes bytes;
    private final String name;
    private final Encoding encoding;
    private final int elfMachine;

    private RawKernel(Bytes bytes, String name, Encoding encoding, int elfMachine) {
        this.bytes = bytes;
        this.name = name;
        this.encoding = encoding;
        this.elfMachine = elfMachine;
    }

    /** Whether it has the header of an arm64 or RISC-V {@code Image}. */
    static boolean hasHeader(Bytes bytes) {
        return bytes.size() >= HEADER_SIZE
                && (bytes.matches(MAGIC_AT, ARM64) || bytes.matches(MAGIC_AT, RISCV));
    }

    /**
     * Whether it may be an {@code Image} of arm, which has no header: it begins with instructions
     * that are always executed.
     */
    static boolean looksLikeArm(Bytes bytes, Encoding encoding) {
        int always = 0;
        for (int i = 0; i < 8 && bytes.size() >= 32; i++) {
            always += bytes.readInt(4 * i, encoding) >>> 28 == 0xe ? 1 : 0;
        }
        return always >= 6;
    }

    /**
     * Reads an {@code Image} with a header.
     *
     * @throws IOException if the address that it is linked for cannot be found
     */
    static LinkedImage readWithHeader(Bytes bytes, String name) throws IOException {
        boolean arm = bytes.matches(MAGIC_AT, ARM64);
        boolean big = (bytes.get(0x18) & 1) != 0;
        return read(
                bytes,
                name,
                big ? Encoding.ELF64_MSB : Encoding.ELF64_LSB,
                arm ? EM_AARCH64 : EM_RISCV);
    }

    /** Reads an {@code Image} of arm. */
    static LinkedImage readArm(Bytes bytes, String name, Encoding encoding) throws IOException {
        return read(bytes, name, encoding, EM_ARM);
    }

    /**
     * Reads one whose machine is known.
     *
     * @throws IOException if the address that it is linked for cannot be found
     */
    static LinkedImage read(Bytes bytes, String name, Encoding encoding, int elfMachine)
            throws IOException {
        return new RawKernel(bytes, name, encoding, elfMachine).read();
    }

    private LinkedImage read() throws IOException {
        Optional<RelativeRelocations> relocations =
                RelativeRelocations.find(bytes, encoding, elfMachine);
        long address = address(relocations);
        LinkedImage image =
                new LinkedImage(
                        encoding,
                        elfMachine,
                        List.of(
                                new LinkedImage.Piece(
                                        "", address, bytes, memorySize(address), true, true)));
        return relocations.isPresent() ? relocations.get().applyTo(image) : image;
    }

    /** Bytes in memory; those of the file if the header says nothing that can be. */
    private long memorySize(long address) {
        long size = hasHeader(bytes) ? bytes.readLong(0x10, Encoding.ELF64_LSB) : 0;
        long room = encoding.wide() ? -address : (1L << 32) - address;
        return size > bytes.size() && size <= LARGEST && Long.compareUnsigned(size, room) < 0
                ? size
                : bytes.size();
    }

    private long address(Optional<RelativeRelocations> relocations) throws IOException {
        Optional<KallsymsTables> tables = KallsymsTables.find(bytes, encoding, value -> true);
        if (tables.isEmpty()) {
            throw new IOException(
                    name
                            + ": no symbol table (CONFIG_KALLSYMS) in the "
                            + bytes.size()
                            + " bytes of the kernel, without which the address that it is linked"
                            + " for is not known");
        }
        long base = base(tables.get(), relocations);
        long address = first(tables.get(), base);
        long last = encoding.wide() ? -1L : 0xffff_ffffL;
        if (address % 8 != 0 || Long.compareUnsigned(bytes.size(), last - address) > 0) {
            throw new IOException(
                    name + ": symbols from 0x" + Long.toHexString(address) + " on: no kernel's");
        }
        if (relocations.isPresent()
                && relocations.get().countInside(address, bytes.size())
                        < relocations.get().count() / 2) {
            throw new IOException(
                    name
                            + ": symbols from 0x"
                            + Long.toHexString(address)
                            + " on, and relocations elsewhere");
        }
        return address;
    }

    /** Address of the first byte, going by what the addresses of symbols are counted from. */
    private static long first(KallsymsTables tables, long base) {
        long[] found = new long[FIRST.size()];
        boolean[] known = new boolean[FIRST.size()];
        long lowest = -1;
        KallsymsTables.Names names = tables.names();
        for (int i = 0; i < tables.count(); i++) {
            String text = names.next();
            int index = FIRST.indexOf(text.substring(1));
            long address = tables.address(i, base);
            if (index >= 0 && !known[index]) {
                known[index] = true;
                found[index] = address;
            }
            if (text.charAt(0) != 'A' && Long.compareUnsigned(address, lowest) < 0) {
                lowest = address;
            }
        }
        for (int i = 0; i < found.length; i++) {
            if (known[i]) {
                return found[i];
            }
        }
        return lowest & -PAGE;
    }

    /**
     * What symbols' offsets are counted from. A word that a relocation writes is still 0 here;
     * which relocation it is follows from its place, which lies as far from the first byte's
     * address as the word from the first byte.
     */
    private long base(KallsymsTables tables, Optional<RelativeRelocations> relocations)
            throws IOException {
        long base = tables.baseValue();
        if (tables.base() < 0 || base != 0 || relocations.isEmpty()) {
            return base;
        }
        long fromBase = tables.base() + first(tables, 0);
        for (int i = 0; i < relocations.get().count(); i++) {
            long value = relocations.get().value(i);
            if (relocations.get().place(i) - value == fromBase && value % 8 == 0 && value != 0) {
                return value;
            }
        }
        throw new IOException(
                name
                        + ": offset "
                        + tables.base()
                        + ": no relocation for the address that symbols are counted from");
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A kernel without ELF headers: its memory from {@code _text} on, as far as it is not zero. Nothing
 * in it says what address it is linked for; that follows from its own symbol table or from its
 * pointers.
 */
final class RawKernel {
    private static final byte[] ARM64 = {'A', 'R', 'M', 0x64};
    private static final byte[] RISCV = {'R', 'S', 'C', 5};
    private static final int MAGIC_AT = 0x38;
    private static final int HEADER_SIZE = 0x40;
    private static final int EM_ARM = 40;
    private static final int EM_AARCH64 = 183;
    private static final int EM_RISCV = 243;

    /** The sizes that are believed: what a kernel has of zeros behind its file. */
    private static final long LARGEST = 1L << 32;

    /** The symbol of the first byte. */
    private static final String FIRST = "_text";

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
        OptionalLong text = tables.map(RawKernel::text).orElse(OptionalLong.empty());
        OptionalLong address = text;
        if (address.isEmpty()) {
            address = LinkAddress.find(bytes, encoding, lastAddress(), relocations);
        }
        if (address.isEmpty() && relocations.isPresent()) { // few of many: the others are packed
            address = LinkAddress.find(bytes, encoding, lastAddress(), Optional.empty());
        }
        if (address.isEmpty()) {
            throw new IOException(
                    name
                            + ": the address that the "
                            + bytes.size()
                            + " bytes of the kernel are linked for cannot be found: neither a symbol"
                            + " _text nor enough pointers to texts");
        }
        check(address.getAsLong(), relocations);
        return address.getAsLong();
    }

    /** On arm the highest addresses are devices', and look like instructions. */
    private long lastAddress() {
        return elfMachine == EM_ARM ? 0xdfff_ffffL : encoding.wide() ? -1L : 0xffff_ffffL;
    }

    private void check(long address, Optional<RelativeRelocations> relocations) throws IOException {
        String found = name + ": the kernel would be linked for 0x" + Long.toHexString(address);
        if (address % 8 != 0 || Long.compareUnsigned(bytes.size(), lastAddress() - address) > 0) {
            throw new IOException(found + ", where it has no room");
        }
        if (relocations.isPresent()
                && relocations.get().countInside(address, bytes.size())
                        < relocations.get().count() / 2) {
            throw new IOException(found + ", and its relocations are elsewhere");
        }
    }

    /** Address of the first byte, if there is a symbol for it whose address is in the image. */
    private static OptionalLong text(KallsymsTables tables) {
        long base = tables.baseValue();
        if (tables.base() >= 0 && base == 0) { // a relocation will say
            return OptionalLong.empty();
        }
        KallsymsTables.Names names = tables.names();
        for (int i = 0; i < tables.count(); i++) {
            if (names.next().substring(1).equals(FIRST)) {
                return OptionalLong.of(tables.address(i, base));
            }
        }
        return OptionalLong.empty();
    }
}

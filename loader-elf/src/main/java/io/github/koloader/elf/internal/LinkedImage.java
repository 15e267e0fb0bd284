package io.github.koloader.elf.internal;

import static java.util.Objects.requireNonNull;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A linked kernel's bytes at their addresses: the sections or segments of an ELF file, or one piece
 * of a raw image. Reading outside of it is an {@link IndexOutOfBoundsException}; ask {@link #has}
 * first.
 */
public final class LinkedImage {
    /**
     * A piece of it.
     *
     * @param name name of the section; empty where there are none
     * @param address of its first byte
     * @param bytes what the file has of it
     * @param size bytes in memory, at least those of the file
     * @param writable whether the kernel writes to it
     * @param executable whether it is code
     */
    public record Piece(
            String name,
            long address,
            Bytes bytes,
            long size,
            boolean writable,
            boolean executable) {
        /** {@return the same piece with other bytes} */
        Piece with(Bytes other) {
            return new Piece(name, address, other, size, writable, executable);
        }

        /** {@return whether {@code count} bytes from an address on are in the file} */
        boolean has(long at, long count) {
            long offset = at - address;
            return offset >= 0 && count >= 0 && offset <= bytes.size() - count;
        }
    }

    private final Encoding encoding;
    private final int elfMachine;
    private final List<Piece> pieces;
    private final TreeMap<Long, Piece> byAddress = new TreeMap<>(Long::compareUnsigned);

    /** An image of those pieces; of overlapping ones the later is not seen by the readers. */
    public LinkedImage(Encoding encoding, int elfMachine, List<Piece> pieces) {
        this.encoding = requireNonNull(encoding);
        this.elfMachine = elfMachine;
        this.pieces = List.copyOf(pieces);
        for (Piece piece : pieces) {
            if (!piece.bytes().isEmpty()) { // an empty section shares its address with the next
                byAddress.putIfAbsent(piece.address(), piece);
            }
        }
    }

    /** Word size and byte order. */
    public Encoding encoding() {
        return encoding;
    }

    /** ELF's number of the machine. */
    public int elfMachine() {
        return elfMachine;
    }

    /** All pieces, in the file's order. */
    public List<Piece> pieces() {
        return pieces;
    }

    /** The first section of that name. */
    public Optional<Piece> section(String name) {
        return pieces.stream().filter(piece -> piece.name().equals(name)).findFirst();
    }

    /** The piece that has {@code count} bytes from an address on. */
    public Optional<Piece> pieceAt(long address, long count) {
        Map.Entry<Long, Piece> below = byAddress.floorEntry(address);
        return below != null && below.getValue().has(address, count)
                ? Optional.of(below.getValue())
                : Optional.empty();
    }

    /** Whether {@code count} bytes from an address on are in the file. */
    public boolean has(long address, long count) {
        return pieceAt(address, count).isPresent();
    }

    private Piece at(long address, int count) {
        return pieceAt(address, count)
                .orElseThrow(() -> new IndexOutOfBoundsException("0x" + Long.toHexString(address)));
    }

    /** A byte, 0 … 255. */
    public int readByte(long address) {
        Piece piece = at(address, 1);
        return piece.bytes().get((int) (address - piece.address())) & 0xff;
    }

    /** 16 bits, 0 … 65535. */
    public int readShort(long address) {
        Piece piece = at(address, 2);
        return piece.bytes().unsignedShort((int) (address - piece.address()), encoding);
    }

    /** 32 bits. */
    public int readInt(long address) {
        Piece piece = at(address, 4);
        return piece.bytes().readInt((int) (address - piece.address()), encoding);
    }

    /** A word of the machine; 32 bits are zero-extended. */
    public long readWord(long address) {
        Piece piece = at(address, encoding.wordSize());
        return piece.bytes().readWord((int) (address - piece.address()), encoding);
    }

    /** The text up to its NUL, one character a byte; empty if there is none within the piece. */
    public Optional<String> readText(long address) {
        Optional<Piece> piece = pieceAt(address, 1);
        if (piece.isEmpty()) {
            return Optional.empty();
        }
        Bytes bytes = piece.get().bytes();
        int from = (int) (address - piece.get().address());
        return bytes.indexOf((byte) 0, from) < 0 ? Optional.empty() : Optional.of(bytes.text(from));
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;

/**
 * Words of a relocatable kernel that are in its file as 0, and that it writes itself at its very
 * start: a table of places and what to add to the place where the kernel lies. At link addresses
 * that is the value itself. Tables of the packed form (RELR) need nothing: values are in their
 * places.
 *
 * @kernel arch/arm64/kernel/pi/relocate.c, relocate_kernel()
 */
final class RelativeRelocations {
    private static final int ENTRY = 24;

    /** Fewer in a row may be something else. */
    private static final int FEWEST = 8;

    private static final int DT_SYMTAB = 6;
    private static final int DT_RELA = 7;
    private static final int DT_RELASZ = 8;
    private static final int DT_RELAENT = 9;
    private static final int SYMBOL_VALUE = 8;

    private final Bytes bytes;
    private final Encoding encoding;
    private final int from;
    private final int relative;
    private final int count;
    private final int symbols;

    /**
     * A table.
     *
     * @param from where it is in the bytes
     * @param relative entries without a symbol, which come first
     * @param count all entries
     * @param symbols where the symbols are that the others name
     */
    private RelativeRelocations(
            Bytes bytes, Encoding encoding, int from, int relative, int count, int symbols) {
        this.bytes = bytes;
        this.encoding = encoding;
        this.from = from;
        this.relative = relative;
        this.count = count;
        this.symbols = symbols;
    }

    /** The relocation type of the machine; 0 where kernels are not made so. */
    private static int type(int elfMachine) {
        return switch (elfMachine) {
            case 183 -> 1027; // R_AARCH64_RELATIVE
            case 21 -> 22; // R_PPC64_RELATIVE
            case 22 -> 12; // R_390_RELATIVE
            case 243, 258 -> 3; // R_RISCV_RELATIVE, R_LARCH_RELATIVE
            default -> 0;
        };
    }

    /** Looks for the longest table in bytes that have no names for it. */
    static Optional<RelativeRelocations> find(Bytes bytes, Encoding encoding, int elfMachine) {
        int type = type(elfMachine);
        if (type == 0 || !encoding.wide()) {
            return Optional.empty();
        }
        int best = 0;
        int longest = 0;
        for (int at = 0; at <= bytes.size() - ENTRY; at += 8) {
            int end = at;
            while (end <= bytes.size() - ENTRY && bytes.readLong(end + 8, encoding) == type) {
                end += ENTRY;
            }
            if (end - at > longest) {
                best = at;
                longest = end - at;
            }
            at = Math.max(at, end - 8);
        }
        if (longest < FEWEST * ENTRY) {
            return Optional.empty();
        }
        int relative = longest / ENTRY;
        int symbols = symbols(bytes, encoding, best);
        int count = relative;
        while (symbols >= 0
                && best + (count + 1) * ENTRY <= bytes.size()
                && isSymbolic(bytes, encoding, best + count * ENTRY, elfMachine, symbols)) {
            count++;
        }
        return Optional.of(
                new RelativeRelocations(bytes, encoding, best, relative, count, symbols));
    }

    /** Whether an entry is an address of a symbol that is there, in data or in the GOT. */
    private static boolean isSymbolic(
            Bytes bytes, Encoding encoding, int at, int elfMachine, int symbols) {
        long info = bytes.readLong(at + 8, encoding);
        boolean known =
                switch (elfMachine) {
                    case 183 -> (int) info == 257 || (int) info == 1025; // ABS64, GLOB_DAT
                    case 21 -> (int) info == 38 || (int) info == 20; // ADDR64, GLOB_DAT
                    case 22 -> (int) info == 22 || (int) info == 10; // 64, GLOB_DAT
                    default -> (int) info == 2; // R_RISCV_64, R_LARCH_64
                };
        return known && info >>> 32 <= (bytes.size() - symbols) / ENTRY - 1;
    }

    /** Where the table of a raw image is. */
    static Optional<AddressRange> table(
            LinkedImage.Piece piece, Encoding encoding, int elfMachine) {
        return find(piece.bytes(), encoding, elfMachine)
                .map(
                        found ->
                                new AddressRange(
                                        new Address(piece.address() + found.from),
                                        (long) found.count * ENTRY));
    }

    /**
     * Where the dynamic symbol table is: as far from the relocations as the dynamic section says;
     * −1 without one.
     */
    private static int symbols(Bytes bytes, Encoding encoding, int table) {
        for (int at = 0; at <= bytes.size() - 48; at += 8) {
            if (bytes.readLong(at, encoding) == DT_RELA
                    && bytes.readLong(at + 16, encoding) == DT_RELASZ
                    && bytes.readLong(at + 32, encoding) == DT_RELAENT
                    && bytes.readLong(at + 40, encoding) == ENTRY) {
                long relocations = bytes.readLong(at + 8, encoding);
                for (int tag = at - 16; tag >= 0 && tag > at - 512; tag -= 16) {
                    if (bytes.readLong(tag, encoding) == DT_SYMTAB) {
                        long place = bytes.readLong(tag + 8, encoding) - relocations + table;
                        return place >= 0 && place <= bytes.size() - ENTRY ? (int) place : -1;
                    }
                }
            }
        }
        return -1;
    }

    /** How many words are to be written. */
    int count() {
        return count;
    }

    /** Link address of the word. */
    long place(int index) {
        return bytes.readLong(from + index * ENTRY, encoding);
    }

    /** Its value, before the kernel has moved. */
    long value(int index) {
        int at = from + index * ENTRY;
        long addend = bytes.readLong(at + 16, encoding);
        if (index < relative) {
            return addend;
        }
        int symbol = (int) (bytes.readLong(at + 8, encoding) >>> 32);
        return addend + bytes.readLong(symbols + symbol * ENTRY + SYMBOL_VALUE, encoding);
    }

    /** How many of the words lie in a range. */
    int countInside(long address, long size) {
        int inside = 0;
        for (int i = 0; i < count(); i++) {
            inside += Long.compareUnsigned(place(i) - address, size - 8) <= 0 ? 1 : 0;
        }
        return inside;
    }

    /** The image with these words in their places; the image itself if there are none. */
    static LinkedImage apply(LinkedImage image) {
        if (type(image.elfMachine()) == 0) {
            return image;
        }
        Optional<LinkedImage.Piece> named = image.section(".rela.dyn");
        Optional<RelativeRelocations> table = Optional.empty();
        for (LinkedImage.Piece piece : named.map(List::of).orElse(image.pieces())) {
            if (table.isEmpty()) {
                table = find(piece.bytes(), image.encoding(), image.elfMachine());
            }
        }
        return table.map(relocations -> relocations.applyTo(image)).orElse(image);
    }

    LinkedImage applyTo(LinkedImage image) {
        IdentityHashMap<LinkedImage.Piece, byte[]> copies = new IdentityHashMap<>();
        for (int i = 0; i < count(); i++) {
            Optional<LinkedImage.Piece> piece = image.pieceAt(place(i), 8);
            if (piece.isPresent()) {
                byte[] copy = copies.computeIfAbsent(piece.get(), old -> old.bytes().toByteArray());
                ByteBuffer.wrap(copy)
                        .order(encoding.byteOrder())
                        .putLong((int) (place(i) - piece.get().address()), value(i));
            }
        }
        List<LinkedImage.Piece> pieces = new ArrayList<>();
        for (LinkedImage.Piece piece : image.pieces()) {
            byte[] copy = copies.get(piece);
            pieces.add(copy == null ? piece : piece.with(Bytes.wrap(copy)));
        }
        return new LinkedImage(image.encoding(), image.elfMachine(), pieces);
    }
}

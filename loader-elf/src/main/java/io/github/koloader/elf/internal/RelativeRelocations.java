package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
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

    private final Bytes table;
    private final Encoding encoding;

    private RelativeRelocations(Bytes table, Encoding encoding) {
        this.table = table;
        this.encoding = encoding;
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
        return longest < FEWEST * ENTRY
                ? Optional.empty()
                : Optional.of(new RelativeRelocations(bytes.slice(best, longest), encoding));
    }

    int count() {
        return table.size() / ENTRY;
    }

    /** Link address of the word. */
    long place(int index) {
        return table.readLong(index * ENTRY, encoding);
    }

    /** Its value, before the kernel has moved. */
    long value(int index) {
        return table.readLong(index * ENTRY + 16, encoding);
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
        for (LinkedImage.Piece piece : image.pieces()) {
            if (table.isEmpty() && (named.isEmpty() || named.get() == piece)) {
                table = find(piece.bytes(), image.encoding(), image.elfMachine());
            }
        }
        return table.map(relocations -> relocations.applyTo(image)).orElse(image);
    }

    LinkedImage applyTo(LinkedImage image) {
        Map<LinkedImage.Piece, ByteBuffer> copies = new IdentityHashMap<>();
        for (int i = 0; i < count(); i++) {
            Optional<LinkedImage.Piece> piece = image.pieceAt(place(i), 8);
            if (piece.isPresent()) {
                copies.computeIfAbsent(
                                piece.get(),
                                old ->
                                        ByteBuffer.wrap(old.bytes().toByteArray())
                                                .order(encoding.byteOrder()))
                        .putLong((int) (place(i) - piece.get().address()), value(i));
            }
        }
        List<LinkedImage.Piece> pieces = new ArrayList<>();
        for (LinkedImage.Piece piece : image.pieces()) {
            ByteBuffer copy = copies.get(piece);
            pieces.add(copy == null ? piece : piece.with(Bytes.wrap(copy.array())));
        }
        return new LinkedImage(image.encoding(), image.elfMachine(), pieces);
    }
}

package io.github.koloader.internal.link;

import io.github.koloader.internal.link.ImageScript.Part;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** A section of the image: pieces of inputs, in order. */
final class OutputSection {
    private static final Comparator<Piece> ORDER =
            Comparator.comparingInt((Piece piece) -> piece.target.rank())
                    .thenComparing(piece -> piece.target.key())
                    .thenComparingInt(piece -> piece.input)
                    .thenComparingLong(piece -> piece.target.counter())
                    .thenComparingInt(piece -> piece.section);

    final String name;
    final Part part;

    /** Place in its part. */
    final int order;

    final List<Piece> pieces = new ArrayList<>();

    /** Bytes, a power of two; known once it is laid out. */
    long alignment;

    /** Bytes it takes; known once it is laid out. */
    long size;

    /** Bytes up to the end of the last piece with contents; known once it is laid out. */
    long filled;

    OutputSection(String name, Part part, int order, long alignment) {
        this.name = name;
        this.part = part;
        this.order = order;
        this.alignment = alignment;
    }

    /**
     * Gives each piece its offset.
     *
     * @return whether it has at most {@code limit} bytes
     */
    boolean layOut(long limit) {
        pieces.sort(ORDER);
        for (Piece piece : pieces) {
            alignment = LinkedMemory.unsignedMax(alignment, piece.alignment);
            long padding = -size & piece.alignment - 1;
            if (Long.compareUnsigned(padding, limit - size) > 0
                    || Long.compareUnsigned(piece.size, limit - size - padding) > 0) {
                return false;
            }
            piece.offset = size + padding;
            size = piece.end();
            if (!piece.contents.isEmpty()) {
                filled = size;
            }
        }
        return true;
    }

    /** Offset of the first piece of those ranks, or of where it would be. */
    long start(int first, int last) {
        long before = 0;
        for (Piece piece : pieces) {
            if (piece.target.rank() > last) {
                return before;
            }
            if (piece.target.rank() >= first) {
                return piece.offset;
            }
            before = piece.end();
        }
        return before;
    }

    /** Offset of the end of the last piece of those ranks, or of where it would be. */
    long end(int last) {
        long end = 0;
        for (Piece piece : pieces) {
            if (piece.target.rank() > last) {
                return end;
            }
            end = piece.end();
        }
        return end;
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * Names of symbols in an image. How many bytes are read for them altogether is bounded by the
 * image's size: beyond that, nothing is a name any more.
 */
final class SymbolNames {
    private final LinkedImage image;
    private long left;

    SymbolNames(LinkedImage image) {
        this.image = image;
        this.left = (1L << 20) + 8 * image.pieces().stream().mapToLong(p -> p.bytes().size()).sum();
    }

    /** Whether reading was given up. */
    boolean exhausted() {
        return left <= 0;
    }

    /** The name at an address: letters, digits, and {@code _.$-}; not empty. */
    Optional<String> at(long address) {
        return at(address, SymbolNames::isLetter).filter(name -> !name.isEmpty());
    }

    /** The namespace at an address: what can be printed, without blanks. */
    Optional<String> namespaceAt(long address) {
        return at(address, letter -> letter > ' ' && letter < 0x7f);
    }

    private Optional<String> at(long address, IntPredicate allowed) {
        Optional<LinkedImage.Piece> piece = image.pieceAt(address, 1);
        if (piece.isEmpty()) {
            return Optional.empty();
        }
        Bytes bytes = piece.get().bytes();
        int from = (int) (address - piece.get().address());
        int length = length(bytes, from, allowed);
        return length < 0 ? Optional.empty() : Optional.of(bytes.slice(from, length).toLatin1());
    }

    private int length(Bytes bytes, int from, IntPredicate allowed) {
        int end =
                Math.min(
                        bytes.size(),
                        from + Math.min(ImageTexts.LONGEST_SYMBOL, bytes.size() - from));
        for (int i = from; i < end && left > 0; i++, left--) {
            int letter = bytes.get(i);
            if (letter == 0) {
                return i - from;
            }
            if (!allowed.test(letter)) {
                return -1;
            }
        }
        return -1;
    }

    private static boolean isLetter(int letter) {
        return letter >= 'a' && letter <= 'z'
                || letter >= 'A' && letter <= 'Z'
                || letter >= '0' && letter <= '9'
                || letter == '_'
                || letter == '.'
                || letter == '$'
                || letter == '-';
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.Optional;

/**
 * Where a linked kernel has the records of its built-in parameters, and of what else it takes from
 * the command line. Symbols or sections tell; where they do not, the former are searched for, and
 * the latter lie right before the initcalls, as far as they look like such records.
 *
 * @kernel include/asm-generic/vmlinux.lds.h, INIT_SETUP, __param
 */
final class RecordTables {
    private static final int LONGEST_OPTION = 1024;
    private static final int LONGEST_GAP = 16;

    private final LinkedImage image;
    private final SymbolIndex symbols;
    private final CodeRanges code;
    private final Encoding encoding;
    private final ImageTexts texts;

    RecordTables(LinkedImage image, SymbolIndex symbols, CodeRanges code) {
        this.image = image;
        this.symbols = symbols;
        this.code = code;
        this.encoding = image.encoding();
        this.texts = new ImageTexts(image);
    }

    /** The records of parameters. */
    Optional<AddressRange> parameters() {
        return bounded("__start___param", "__stop___param")
                .or(() -> section("__param"))
                .or(() -> new ParameterSearch(image).find());
    }

    /**
     * The records of {@code __setup} and {@code early_param}.
     *
     * @param initcalls where the initcalls are, if that is known
     */
    Optional<AddressRange> setup(Optional<AddressRange> initcalls) {
        return bounded("__setup_start", "__setup_end")
                .or(() -> section(".init.setup"))
                .or(() -> initcalls.flatMap(table -> before(table.start().value())));
    }

    private Optional<AddressRange> bounded(String start, String end) {
        return symbols.between(start, end)
                .filter(
                        range ->
                                range.size() == 0
                                        || image.has(range.start().value(), range.size()));
    }

    private Optional<AddressRange> section(String name) {
        return image.section(name)
                .map(piece -> new AddressRange(new Address(piece.address()), piece.bytes().size()));
    }

    /** Records of text, function and whether it is early, that end there. */
    private Optional<AddressRange> before(long end) {
        int size = 3 * encoding.wordSize();
        for (int gap = 0; gap < LONGEST_GAP; gap += 4) {
            long start = end - gap;
            while (isSetup(start - size)) {
                start -= size;
            }
            if (start != end - gap) {
                return Optional.of(AddressRange.between(start, end - gap));
            }
        }
        return Optional.empty();
    }

    private boolean isSetup(long record) {
        int word = encoding.wordSize();
        Optional<LinkedImage.Piece> piece = image.pieceAt(record, 3L * word);
        if (piece.isEmpty()) {
            return false;
        }
        Bytes bytes = piece.get().bytes();
        int at = (int) (record - piece.get().address());
        int early = bytes.readInt(at + 2 * word, encoding);
        return (early == 0 || early == 1)
                && code.isFunction(bytes.readWord(at + word, encoding))
                && texts.at(bytes.readWord(at, encoding), LONGEST_OPTION)
                        .filter(text -> !text.isEmpty())
                        .isPresent();
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.AddressRange;
import java.util.Optional;

/**
 * Looks for the records of built-in parameters in an image that does not say where they are: the
 * longest place where one thing that looks like such a record follows the other. A record has a
 * name, no module, what sets it, rights in sysfs, a level, flags, and what is set; before 3.17 it
 * had neither module nor flags.
 *
 * @kernel include/linux/moduleparam.h, struct kernel_param
 */
final class ParameterSearch {
    private static final int FEWEST = 8;
    private static final int ALL_RIGHTS = 0777;

    private final LinkedImage image;
    private final Encoding encoding;
    private final SymbolNames names;

    ParameterSearch(LinkedImage image) {
        this.image = image;
        this.encoding = image.encoding();
        this.names = new SymbolNames(image);
    }

    /** Where they are; empty if nothing stands out. */
    Optional<AddressRange> find() {
        return find(true).or(() -> find(false));
    }

    private Optional<AddressRange> find(boolean withModule) {
        int size = (withModule ? 5 : 4) * encoding.wordSize();
        AddressRange best = AddressRange.between(0, 0);
        int most = 0;
        int second = 0;
        for (LinkedImage.Piece piece : image.pieces()) {
            int at = (int) (-piece.address() & encoding.wordSize() - 1);
            while (at <= piece.bytes().size() - size) {
                int count = count(piece, at, size, withModule);
                if (count > most) {
                    second = most;
                    most = count;
                    long start = piece.address() + at;
                    best = AddressRange.between(start, start + (long) count * size);
                } else {
                    second = Math.max(second, count);
                }
                at += count == 0 ? encoding.wordSize() : count * size;
            }
        }
        return most < FEWEST || most < 2 * second ? Optional.empty() : Optional.of(best);
    }

    /** How many records follow from an index on; 0 if too few of them are of modules. */
    private int count(LinkedImage.Piece piece, int from, int size, boolean withModule) {
        int count = 0;
        int ofModules = 0;
        for (int at = from; at <= piece.bytes().size() - size; at += size) {
            Optional<String> name = name(piece.bytes(), at, withModule);
            if (name.isEmpty()) {
                break;
            }
            count++;
            ofModules += name.get().contains(".") ? 1 : 0;
        }
        return 2 * ofModules < count ? 0 : count;
    }

    /** The name in what looks like a record. */
    private Optional<String> name(Bytes bytes, int at, boolean withModule) {
        int word = encoding.wordSize();
        int operations = at + (withModule ? 2 : 1) * word;
        int rights = operations + word;
        if (withModule && bytes.readWord(at + word, encoding) != 0
                || (bytes.unsignedShort(rights, encoding) & ~ALL_RIGHTS) != 0
                || !isLevel(bytes, rights + 2, withModule)
                || encoding.wide() && bytes.readInt(rights + 4, encoding) != 0) {
            return Optional.empty();
        }
        return image.has(bytes.readWord(operations, encoding), word)
                ? names.at(bytes.readWord(at, encoding))
                : Optional.empty();
    }

    /** A level from −1 up, alone or before the flags. */
    private boolean isLevel(Bytes bytes, int at, boolean withFlags) {
        int level = withFlags ? bytes.get(at) : (short) bytes.unsignedShort(at, encoding);
        return level >= -1 && level <= 7 && (!withFlags || (bytes.get(at + 1) & ~7) == 0);
    }
}

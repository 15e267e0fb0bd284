package io.github.koloader.internal.view;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.memory.Layout.Kallsyms;
import org.jspecify.annotations.Nullable;

/**
 * The symbols of a module as they lie in its memory: all of them until init has returned, then
 * those that stay.
 *
 * @kernel include/linux/module.h, struct mod_kallsyms
 */
final class SymbolsInMemory {
    final SymbolTable table;
    private final byte[] letters;
    private final int lettersAt;

    private SymbolsInMemory(SymbolTable table, byte[] letters, int lettersAt) {
        this.table = table;
        this.letters = letters;
        this.lettersAt = lettersAt;
    }

    /** Those of a formed module; {@code null} if the kernel keeps none. */
    static @Nullable SymbolsInMemory of(LoadedModule module) {
        Kallsyms room = module.layout().kallsyms();
        if (!room.present()) {
            return null;
        }
        Placement placement = module.placement;
        PlacedBlock core = placement.blocks()[room.coreBlock()];
        PlacedBlock init = placement.blocks()[room.initBlock()];
        SymbolTable symbols = module.symbols;
        if (module.image == null || !init.present) {
            return core.present
                    ? new SymbolsInMemory(symbols, core.array, (int) room.coreTypes())
                    : null;
        }
        int symtab = module.image.symbolSection();
        int strtab = placement.sections().get(symtab).link();
        Bytes block = Bytes.wrap(init.array);
        SymbolTable all =
                new SymbolTable(
                        block.slice(placement.start(symtab), (int) placement.size(symtab)),
                        block.slice(placement.start(strtab), (int) placement.size(strtab)),
                        symbols.encoding());
        return new SymbolsInMemory(all, init.array, (int) room.initTypes());
    }

    /** The type letter of a symbol. */
    char letter(int symbol) {
        return (char) (letters[lettersAt + symbol] & 0xff);
    }

    /**
     * The name of a symbol, one character a byte, cut to {@code limit}: names may overlap, so that
     * all of them together can be far longer than the module.
     */
    String name(int symbol, int limit) {
        Bytes strings = table.strings();
        int from = table.nameOffset(symbol);
        if (from < 0 || from >= strings.size()) {
            return "";
        }
        int length = 0;
        int room = Math.min(limit, strings.size() - from);
        while (length < room && strings.get(from + length) != 0) {
            length++;
        }
        return strings.slice(from, length).toLatin1();
    }

    /** Whether a symbol has a section: its value is an address, or absolute. */
    boolean defined(int symbol) {
        return table.sectionIndex(symbol) != SymbolTable.UNDEF;
    }
}

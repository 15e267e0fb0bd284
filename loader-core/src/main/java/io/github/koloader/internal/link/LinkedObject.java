package io.github.koloader.internal.link;

import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.link.LinkInput.ObjectInput;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An object while it is linked: where its sections went. */
final class LinkedObject {
    /** Index of the input. */
    final int index;

    final String name;
    final String module;
    final ModuleImage image;
    final SymbolTable symbols;

    /** By index of the section; {@code null} for what is discarded or takes no memory. */
    final @Nullable Piece[] pieces;

    /** By index of the section: whether it would take memory, but is discarded. */
    final boolean[] discarded;

    /** By index of the section: whether an object before had the same group. */
    boolean[] droppedMembers = new boolean[0];

    private final Map<Integer, List<RelocationTable>> tables = new HashMap<>();

    LinkedObject(int index, ObjectInput input) {
        this.index = index;
        this.name = input.name();
        this.module = input.moduleName();
        this.image = input.image();
        this.symbols = image.symbols();
        this.pieces = new Piece[image.sections().size()];
        this.discarded = new boolean[pieces.length];
        for (RelocationTable table : image.relocations()) {
            tables.computeIfAbsent(table.target(), key -> new ArrayList<>()).add(table);
        }
    }

    /** The relocations for a section. */
    List<RelocationTable> tablesOf(int section) {
        return tables.getOrDefault(section, List.of());
    }

    /** The piece of a section; {@code null} if it has none or there is no such section. */
    @Nullable Piece piece(int section) {
        return section > 0 && section < pieces.length ? pieces[section] : null;
    }

    /** Whether a section would take memory, but is discarded. */
    boolean isDiscarded(int section) {
        return section > 0 && section < discarded.length && discarded[section];
    }

    /** Whether a section is in a group that an object before had. */
    boolean isDroppedMember(int section) {
        return section > 0 && section < droppedMembers.length && droppedMembers[section];
    }

    /** Name of a section, for messages. */
    String sectionName(int section) {
        return section > 0 && section < pieces.length ? section(section).name() : "?";
    }

    Section section(int section) {
        return image.section(section);
    }

    /** What messages call the symbol of a relocation. */
    String symbolName(int symbol) {
        String own = symbols.name(symbol);
        return own.isEmpty() ? sectionName(symbols.sectionIndex(symbol)) : own;
    }

    /** Index of the symbol of an entry, or −1 if the object has none of that number. */
    int symbolOf(RelocationTable table, int entry) {
        int symbol = table.symbolIndex(entry);
        return symbol >= 0 && symbol < symbols.count() ? symbol : -1;
    }
}

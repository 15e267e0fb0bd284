package io.github.koloader.internal.link;

import io.github.koloader.image.Binding;
import io.github.koloader.image.SymbolTable;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Which definition each global name stands for: a strong one, else the largest common one, else the
 * first weak one. Members of dropped groups define nothing.
 */
final class GlobalSymbols {
    /** What a name stands for. */
    static final class Global {
        final String name;

        /** The object that defines it; {@code null} if none does. */
        @Nullable LinkedObject definer;

        /** Its index in that object. */
        int symbol;

        /** Whether that definition is weak. */
        boolean weak;

        /** Whether there is a common definition. */
        boolean isCommon;

        /** Bytes of the largest common definition; unsigned. */
        long commonSize;

        /** Bytes, a power of two. */
        long commonAlignment = 1;

        /** Memory of a common symbol. */
        @Nullable Piece common;

        /** Whether an object refers to it that cannot do without. */
        boolean needed;

        Global(String name) {
            this.name = name;
        }
    }

    private static final int GLOBAL_UNIQUE = 10;

    private final Map<String, Global> byName = new LinkedHashMap<>();
    private final Problems problems;

    GlobalSymbols(Problems problems) {
        this.problems = problems;
    }

    /** All names, in the order in which they are first met. */
    Iterable<Global> all() {
        return byName.values();
    }

    /** What a name stands for; {@code null} if no object has it. */
    @Nullable Global find(String name) {
        return byName.get(name);
    }

    void run(List<@Nullable LinkedObject> objects, CollectSections sections) {
        for (LinkedObject object : objects) {
            for (int i = 1; object != null && i < object.symbols.count(); i++) {
                if (object.symbols.binding(i) != Binding.LOCAL) {
                    add(object, i);
                }
            }
        }
        for (Global global : byName.values()) {
            if (global.isCommon && (global.definer == null || global.weak)) {
                global.definer = null;
                global.common = sections.addCommon(global.commonSize, global.commonAlignment);
            }
        }
    }

    private void add(LinkedObject object, int symbol) {
        SymbolTable symbols = object.symbols;
        Global global = byName.computeIfAbsent(symbols.name(symbol), Global::new);
        boolean weak = symbols.binding(symbol) == Binding.WEAK;
        int section = symbols.sectionIndex(symbol);
        if (section == SymbolTable.UNDEF) {
            global.needed |= !weak;
        } else if (section == SymbolTable.COMMON) {
            addCommon(global, object, symbol);
        } else if (section != SymbolTable.ABS && section >= SymbolTable.LORESERVE) {
            problems.unknownSection(object.name, global.name, section);
        } else if (!object.isDroppedMember(section)) { // else the first object's is meant
            define(global, object, symbol, weak);
        }
    }

    private void addCommon(Global global, LinkedObject object, int symbol) {
        long alignment = object.symbols.value(symbol);
        if (alignment != 0 && Long.bitCount(alignment) != 1) {
            problems.commonAlignment(object.name, global.name, alignment);
            return;
        }
        global.isCommon = true;
        global.commonSize =
                LinkedMemory.unsignedMax(global.commonSize, object.symbols.size(symbol));
        global.commonAlignment = LinkedMemory.unsignedMax(global.commonAlignment, alignment);
    }

    private void define(Global global, LinkedObject object, int symbol, boolean weak) {
        LinkedObject before = global.definer;
        if (before == null || global.weak && !weak) {
            global.definer = object;
            global.symbol = symbol;
            global.weak = weak;
        } else if (!weak && !unique(before, global.symbol)) {
            problems.duplicate(place(object, symbol), global.name, place(before, global.symbol));
        }
    }

    private static boolean unique(LinkedObject object, int symbol) {
        return object.symbols.info(symbol) >>> 4 == GLOBAL_UNIQUE;
    }

    private static String place(LinkedObject object, int symbol) {
        int section = object.symbols.sectionIndex(symbol);
        String name = section == SymbolTable.ABS ? "*ABS*" : object.sectionName(section);
        return Problems.definition(object.name, name, object.symbols.value(symbol));
    }
}

package io.github.koloader.internal.link;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.link.GlobalSymbols.Global;
import io.github.koloader.internal.link.ImageScript.Part;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The symbols of the kernel, with the letters that {@code nm} gives, lowest address first. Of those
 * at one address, strong ones come before weak ones, all others before those of the linker script,
 * and names with fewer underscores at the beginning before those with more: so an address gets its
 * function's own name. Left out is what the kernel's own table leaves out: absolute symbols, names
 * that compilers made, and those that only say where strings of exports are.
 *
 * @kernel scripts/kallsyms.c, compare_symbols(); scripts/mksysmap
 */
final class SymbolNames {
    private static final List<String> LEFT_OUT =
            List.of("$", ".L", "__crc_", "__kstrtab_", "__kstrtabns_");

    private record Named(long address, char letter, String name, boolean ofScript) {
        boolean weak() {
            return letter == 'W' || letter == 'V';
        }

        int underscores() {
            int count = 0;
            while (count < name.length() && name.charAt(count) == '_') {
                count++;
            }
            return count;
        }
    }

    private static final Comparator<Named> ORDER =
            Comparator.comparing(Named::address, Long::compareUnsigned)
                    .thenComparing(Named::weak)
                    .thenComparing(Named::ofScript)
                    .thenComparingInt(Named::underscores);

    private final List<Named> all = new ArrayList<>();
    private final Map<Long, List<String>> atAddress = new HashMap<>();

    /** Names at an address, the one that stands for it first. */
    List<String> at(long address) {
        return atAddress.getOrDefault(address, List.of());
    }

    void addObject(
            LinkedObject object,
            GlobalSymbols globals,
            CollectSections sections,
            LinkedMemory memory,
            MergedImage merged) {
        SymbolTable symbols = object.symbols;
        for (int i = 1; i < symbols.count(); i++) {
            Piece piece = object.piece(symbols.sectionIndex(i));
            int type = symbols.type(i);
            String name = symbols.name(i);
            if (piece == null || type == Symbol.SECTION || !isKept(name)) {
                continue;
            }
            boolean global = symbols.binding(i) != Binding.LOCAL;
            Global definition = global ? globals.find(name) : null;
            if (definition != null && (definition.definer != object || definition.symbol != i)) {
                continue;
            }
            OutputSection output = sections.output(piece.target.output());
            char letter = letter(output);
            if (symbols.isWeak(i)) {
                letter = type == Symbol.OBJECT ? 'V' : 'W';
            } else if (global) {
                letter = Character.toUpperCase(letter);
            }
            long start = memory.address(merged.indexOf(output.name));
            add(start + piece.offset + symbols.value(i), letter, name, false);
        }
    }

    void addCommon(GlobalSymbols globals, LinkedMemory memory, MergedImage merged) {
        for (Global global : globals.all()) {
            Piece piece = global.common;
            if (piece != null && isKept(global.name)) {
                long start = memory.address(merged.indexOf(piece.target.output()));
                add(start + piece.offset, 'B', global.name, false);
            }
        }
    }

    void addOfScript(String name, long address, @Nullable OutputSection output) {
        char letter = output == null ? 'D' : Character.toUpperCase(letter(output));
        add(address, letter, name, true);
    }

    void addJava(String name, long address) {
        add(address, 't', name, false);
    }

    private void add(long address, char letter, String name, boolean ofScript) {
        all.add(new Named(address, letter, name, ofScript));
    }

    private static boolean isKept(String name) {
        return !name.isEmpty()
                && !name.equals("L0")
                && LEFT_OUT.stream().noneMatch(name::startsWith);
    }

    private static char letter(OutputSection output) {
        if (MergedImage.isCode(output)) {
            return 't';
        }
        if (output.filled == 0 && output.part == Part.BSS) {
            return 'b';
        }
        return output.part == Part.RODATA ? 'r' : 'd';
    }

    KernelSymbolTable table(boolean wide) {
        all.sort(ORDER);
        KernelSymbolTable.Builder table = KernelSymbolTable.builder();
        for (Named named : all) {
            long address = wide ? named.address : named.address & 0xffff_ffffL;
            table.symbol(new Address(address), named.letter, named.name);
            atAddress.computeIfAbsent(address, key -> new ArrayList<>(1)).add(named.name);
        }
        return table.build();
    }

    /** The name of the function at an address: the one that is wanted, if it is there. */
    Optional<String> nameOf(long address, Optional<EntrySymbol> wanted) {
        List<String> names = at(address);
        return wanted.flatMap(
                        entry -> names.stream().filter(entry.function()::startsWith).findFirst())
                .or(() -> names.stream().findFirst());
    }
}

package io.github.koloader.internal.link;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelSymbols;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.arch.RelocationTypes;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.Words;
import io.github.koloader.internal.link.GlobalSymbols.Global;
import io.github.koloader.internal.link.ImageScript.Part;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * All objects as one, as {@code ld -r} would make it: the sections of the image, one symbol table,
 * and a relocation section for each of the objects'. So the architectures, which know how to
 * relocate a module, can relocate a kernel.
 */
final class MergedImage {
    private static final int GONE = -1;
    private static final int NONE = -2;

    /** Numbers that a relocation of 32-bit ELF can hold. */
    private static final int MOST_SYMBOLS = 1 << 24;

    /** A relocation section of an object in the merged image. */
    record Origin(LinkedObject object, RelocationTable table) {}

    /** A reference to a symbol that nothing defines. */
    record Reference(int symbol, String name, LinkedObject object, int section, long offset) {}

    private final Architecture architecture;
    private final Encoding encoding;
    private final RelocationTypes types;
    private final Problems problems;
    private final List<OutputSection> outputs;
    private final Map<String, Integer> outputIndexes = new HashMap<>();
    private final ByteArrayOutputStream names = new ByteArrayOutputStream();
    private byte[] symbolBytes = new byte[1 << 12];
    private int symbolCount;
    private final Map<String, Integer> globalIndexes = new LinkedHashMap<>();

    /** By index of the merged symbol: its value where it is none of the image, else 0. */
    private long[] plainValues = new long[1 << 8];

    /** Merged symbols that nothing defines and that are needed. */
    private final BitSet missing = new BitSet();

    /** What the origin of a relocation section is, by its index in {@link #image}. */
    final Map<Integer, Origin> origins = new LinkedHashMap<>();

    /** Of symbols that nothing defines, what refers to each, once for each object. */
    final List<Reference> undefined = new ArrayList<>();

    /** By name: index of each symbol of the linker script. */
    final Map<String, Integer> boundsIndexes = new LinkedHashMap<>();

    private @Nullable ModuleImage image;

    MergedImage(
            Architecture architecture,
            RelocationTypes types,
            List<OutputSection> outputs,
            Problems problems) {
        this.architecture = architecture;
        this.encoding = architecture.encoding();
        this.types = types;
        this.outputs = outputs;
        this.problems = problems;
        for (int i = 0; i < outputs.size(); i++) {
            outputIndexes.put(outputs.get(i).name, i + 1);
        }
    }

    /** The image; section i + 1 is output section i. */
    ModuleImage image() {
        ModuleImage made = image;
        if (made == null) {
            throw new IllegalStateException("not merged yet");
        }
        return made;
    }

    /** Index in the image of an output section. */
    int indexOf(String output) {
        Integer index = outputIndexes.get(output);
        if (index == null) {
            throw new IllegalStateException("no section " + output);
        }
        return index;
    }

    /** Index of the symbol that a global name stands for; 0 if no object has it. */
    int globalIndex(String name) {
        return globalIndexes.getOrDefault(name, 0);
    }

    /** The value of a symbol that is not of the image: absolute, or of the rest of the kernel. */
    long plainValue(int symbol) {
        return plainValues[symbol];
    }

    // ---- merging ----

    void run(
            List<@Nullable LinkedObject> objects,
            GlobalSymbols globals,
            List<String> bounds,
            KernelSymbols kernel) {
        names.write(0);
        add("", 0, 0, SymbolTable.UNDEF, 0, 0);
        List<Section> sections = new ArrayList<>();
        for (OutputSection output : outputs) {
            sections.add(section(output));
        }
        addGlobals(globals, bounds, kernel);
        int symtab = 1 + sections.size();
        int nextTable = symtab + 2;
        List<Section> tables = new ArrayList<>();
        for (LinkedObject object : objects) {
            if (object == null) {
                continue;
            }
            int[] indexes = addLocals(object);
            Set<Integer> reported = new HashSet<>();
            for (RelocationTable table : object.image.relocations()) {
                Section merged = table(object, table, indexes, globals, symtab, reported);
                if (merged != null) {
                    origins.put(nextTable + tables.size(), new Origin(object, table));
                    tables.add(merged);
                }
            }
        }
        ModuleImage.Builder builder = ModuleImage.builder(architecture.elfMachine(), encoding);
        sections.forEach(builder::section);
        builder.section(symbols(symtab + 1));
        builder.section(strings());
        tables.forEach(builder::section);
        image = builder.build();
    }

    private Section section(OutputSection output) {
        long flags = SectionFlags.ALLOC;
        if (isCode(output)) {
            flags |= SectionFlags.EXECINSTR;
        } else if (output.part != Part.RODATA) {
            flags |= SectionFlags.WRITE;
        }
        if (output.filled == 0) {
            return Section.nobits(output.name, flags, output.alignment, output.size);
        }
        byte[] bytes = new byte[(int) output.size];
        for (Piece piece : output.pieces) {
            piece.contents.copyTo(bytes, (int) piece.offset);
        }
        return Section.progbits(output.name, flags, output.alignment, Bytes.wrap(bytes));
    }

    /** Whether an output section holds code. */
    static boolean isCode(OutputSection output) {
        return output.part == Part.TEXT
                || output.name.equals(ImageScript.INIT_TEXT)
                || output.name.equals(ImageScript.EXIT_TEXT)
                || output.name.equals(".altinstr_replacement");
    }

    // ---- symbols ----

    private int add(String name, int info, int other, int section, long value, long size) {
        int at = symbolCount * encoding.symbolSize();
        if (at + encoding.symbolSize() > symbolBytes.length) {
            symbolBytes = Arrays.copyOf(symbolBytes, symbolBytes.length * 2);
        }
        if (symbolCount == plainValues.length) {
            plainValues = Arrays.copyOf(plainValues, symbolCount * 2);
        }
        boolean big = encoding.bigEndian();
        boolean wide = encoding.wide();
        int word = encoding.wordSize();
        int nameAt = 0;
        if (!name.isEmpty()) {
            nameAt = names.size();
            names.writeBytes(name.getBytes(ISO_8859_1));
            names.write(0);
        }
        Words.writeInt(symbolBytes, at, nameAt, big);
        Words.writeWord(symbolBytes, at + (wide ? 8 : 4), value, word, big);
        Words.writeWord(symbolBytes, at + (wide ? 16 : 8), size, word, big);
        symbolBytes[at + (wide ? 4 : 12)] = (byte) info;
        symbolBytes[at + (wide ? 5 : 13)] = (byte) other;
        Words.writeShort(symbolBytes, at + (wide ? 6 : 14), section, big);
        plainValues[symbolCount] = value;
        return symbolCount++;
    }

    private void addGlobals(GlobalSymbols globals, List<String> bounds, KernelSymbols kernel) {
        Set<String> ofScript = new HashSet<>(bounds);
        for (Global global : globals.all()) {
            if (global.definer == null && global.common == null && ofScript.contains(global.name)) {
                continue;
            }
            globalIndexes.put(global.name, addGlobal(global, kernel));
        }
        for (String name : bounds) {
            if (!globalIndexes.containsKey(name)) {
                int index = add(name, 0x10, 0, SymbolTable.ABS, 0, 0);
                globalIndexes.put(name, index);
                boundsIndexes.put(name, index);
            }
        }
    }

    private int addGlobal(Global global, KernelSymbols kernel) {
        Piece common = global.common;
        if (common != null) {
            int section = indexOf(common.target.output());
            return add(global.name, 0x11, 0, section, common.offset, common.size);
        }
        LinkedObject definer = global.definer;
        if (definer == null) {
            int info = global.needed ? 0x10 : 0x20;
            Optional<ExportedSymbol> known = kernel.find(global.name);
            long value = known.map(symbol -> symbol.address().value()).orElse(0L);
            int index = add(global.name, info, 0, SymbolTable.UNDEF, value, 0);
            missing.set(index, known.isEmpty() && global.needed);
            return index;
        }
        return addDefined(definer, global.symbol, global.name);
    }

    /** Adds a symbol that has a place; {@link #GONE} if that is not kept. */
    private int addDefined(LinkedObject object, int symbol, String name) {
        SymbolTable symbols = object.symbols;
        int section = symbols.sectionIndex(symbol);
        int info = symbols.info(symbol);
        long value = symbols.value(symbol);
        if (section == SymbolTable.ABS) {
            return add(name, info, symbols.other(symbol), section, value, symbols.size(symbol));
        }
        Piece piece = object.piece(section);
        return piece == null
                ? GONE
                : add(
                        name,
                        info,
                        symbols.other(symbol),
                        indexOf(piece.target.output()),
                        piece.offset + value,
                        symbols.size(symbol));
    }

    /** The index in the image of each symbol of an object. */
    private int[] addLocals(LinkedObject object) {
        SymbolTable symbols = object.symbols;
        int[] indexes = new int[symbols.count()];
        for (int i = 1; i < indexes.length; i++) {
            int section = symbols.sectionIndex(i);
            if (symbols.binding(i) != Binding.LOCAL) {
                indexes[i] = globalIndexes.getOrDefault(symbols.name(i), NONE);
            } else if (section == SymbolTable.UNDEF) {
                indexes[i] = 0;
            } else if (section != SymbolTable.ABS && section >= SymbolTable.LORESERVE) {
                problems.unknownSection(object.name, symbols.name(i), section);
            } else {
                indexes[i] = addDefined(object, i, symbols.name(i));
            }
            if (symbolCount >= MOST_SYMBOLS) {
                problems.tooManySymbols(MOST_SYMBOLS);
                problems.check();
            }
        }
        return indexes;
    }

    private Section symbols(int strings) {
        int size = symbolCount * encoding.symbolSize();
        return new Section(
                ".symtab",
                SectionType.SYMTAB,
                SectionFlags.NONE,
                0,
                size,
                encoding.wordSize(),
                strings,
                1,
                encoding.symbolSize(),
                Bytes.wrap(Arrays.copyOf(symbolBytes, size)));
    }

    private Section strings() {
        Bytes bytes = Bytes.wrap(names.toByteArray());
        return new Section(
                ".strtab",
                SectionType.STRTAB,
                SectionFlags.NONE,
                0,
                bytes.size(),
                1,
                0,
                0,
                0,
                bytes);
    }

    // ---- relocations ----

    /** A relocation section of an object; {@code null} if what it patches is not kept. */
    private @Nullable Section table(
            LinkedObject object,
            RelocationTable table,
            int[] indexes,
            GlobalSymbols globals,
            int symtab,
            Set<Integer> reported) {
        Piece piece = object.piece(table.target());
        if (piece == null || table.count() == 0) {
            return null;
        }
        String relocations = object.sectionName(table.section());
        if (!architecture.acceptsRelocations(table.hasAddends())) {
            problems.wrongRelocationKind(object.name, relocations, table.hasAddends());
            return null;
        }
        byte[] bytes = table.entries().slice(0, table.count() * entrySize(table)).toByteArray();
        for (int i = 0; i < table.count(); i++) {
            long offset = table.offset(i);
            RelocationType row = EntryStyle.row(types, table.type(i));
            int size = row == null ? 1 : row.field().size();
            if (offset < 0 || offset > piece.contents.size() - size) {
                problems.relocationOutside(object.name, object.sectionName(table.target()), offset);
                continue;
            }
            int symbol = object.symbolOf(table, i);
            int merged = symbol < 0 ? NONE : indexes[symbol];
            if (symbol < 0) {
                String section = object.sectionName(table.target());
                problems.noSuchSymbol(object.name, section, offset, table.symbolIndex(i));
            } else if (merged == GONE) {
                reportGone(object, table, symbol, globals, reported);
            } else if (merged >= 0) {
                noteUndefined(object, table, i, symbol, merged, reported);
                write(bytes, i * entrySize(table), table, piece.offset + offset, merged);
            }
        }
        if (piece.contents.isEmpty()) {
            return null; // what it says of no bytes is reported, or nothing
        }
        int target = indexOf(piece.target.output());
        SectionType type = table.hasAddends() ? SectionType.RELA : SectionType.REL;
        return new Section(
                relocations,
                type,
                SectionFlags.of(SectionFlags.INFO_LINK),
                0,
                bytes.length,
                encoding.wordSize(),
                symtab,
                target,
                entrySize(table),
                Bytes.wrap(bytes));
    }

    private static int entrySize(RelocationTable table) {
        return table.format().entrySize();
    }

    private void reportGone(
            LinkedObject object,
            RelocationTable table,
            int symbol,
            GlobalSymbols globals,
            Set<Integer> reported) {
        if (!reported.add(symbol)) {
            return;
        }
        LinkedObject definer = object;
        int section = object.symbols.sectionIndex(symbol);
        Global global = globals.find(object.symbols.name(symbol));
        if (global != null
                && global.definer != null
                && object.symbols.binding(symbol) != Binding.LOCAL) {
            definer = global.definer;
            section = definer.symbols.sectionIndex(global.symbol);
        }
        problems.discarded(
                object.symbolName(symbol),
                object.sectionName(table.target()),
                object.name,
                definer.sectionName(section),
                definer.name);
    }

    private void noteUndefined(
            LinkedObject object,
            RelocationTable table,
            int entry,
            int symbol,
            int merged,
            Set<Integer> reported) {
        if (missing.get(merged) && reported.add(symbol)) {
            undefined.add(
                    new Reference(
                            merged,
                            object.symbols.name(symbol),
                            object,
                            table.target(),
                            table.offset(entry)));
        }
    }

    private void write(byte[] bytes, int at, RelocationTable table, long offset, int symbol) {
        boolean big = encoding.bigEndian();
        Words.writeWord(bytes, at, offset, encoding.wordSize(), big);
        switch (table.format()) {
            case REL32, RELA32 -> {
                int type = Words.readInt(bytes, at + 4, big) & 0xff;
                Words.writeInt(bytes, at + 4, symbol << 8 | type, big);
            }
            case REL64, RELA64 -> Words.writeInt(bytes, at + (big ? 8 : 12), symbol, big);
            case MIPS_REL64, MIPS_RELA64 -> Words.writeInt(bytes, at + 8, symbol, big);
        }
    }
}

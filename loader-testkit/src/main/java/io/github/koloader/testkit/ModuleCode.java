package io.github.koloader.testkit;

import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SymbolTable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * What a static look at the machine code of a relocated module can tell: its functions, what each
 * calls and which addresses it forms, and the constant it returns. No code is run. For the x86,
 * arm64 and arm code of small modules; what the look does not understand it leaves out.
 */
final class ModuleCode {
    /** What an instruction does with an address. */
    enum Use {
        /** Calls it. */
        CALL,
        /** Jumps to it, without condition. */
        JUMP,
        /** Forms it in a register, or passes it on. */
        POINTER
    }

    /**
     * A use of an address.
     *
     * @param place where the instruction is
     * @param next where the next instruction is
     * @param target the address
     * @param use what is done with it
     * @param symbol index of the symbol that a relocation there names, 0 if there is none
     */
    record Reference(long place, long next, long target, Use use, int symbol) {}

    /**
     * A function.
     *
     * @param names its symbols, local ones first
     * @param entry its address
     * @param end behind its last byte
     * @param references in order of their places
     * @param result what it returns, if that is a constant
     */
    record Function(
            List<String> names,
            long entry,
            long end,
            List<Reference> references,
            OptionalInt result) {
        /** Its own name: not that of the entry points that every module has. */
        String name() {
            return names.stream()
                    .filter(name -> !name.equals("init_module") && !name.equals("cleanup_module"))
                    .findFirst()
                    .orElse(names.isEmpty() ? "" : names.get(0));
        }
    }

    private static final int FUNC = 2;

    private final Module module;
    private final ModuleImage image;
    private final boolean x86;
    private final boolean arm64;
    private final boolean arm;
    private final boolean wide;
    private final long[] values;
    private final Map<String, Long> symbols = new HashMap<>();
    private final TreeMap<Long, Function> functions = new TreeMap<>(Long::compareUnsigned);

    /**
     * Looks at a module that is relocated and not yet formed.
     *
     * @param architecture its architecture
     * @param module the module
     * @param image what it is loaded from
     */
    ModuleCode(Architecture architecture, Module module, ModuleImage image) {
        this.module = module;
        this.image = image;
        this.x86 = List.of("x86_64", "i386").contains(architecture.name());
        this.arm64 = architecture.name().equals("arm64");
        this.arm = architecture.name().equals("arm");
        this.wide = architecture.encoding().wordSize() == 8;
        this.values = module.symbolValues();
        SymbolTable table = image.symbols();
        for (int i = 1; i < Math.min(table.count(), values.length); i++) {
            symbols.putIfAbsent(table.name(i), values[i]);
        }
        if (x86 || arm64 || arm) {
            for (LoadedSection section : module.sections()) {
                if (isCode(section)) {
                    look(section);
                }
            }
        }
    }

    private boolean isCode(LoadedSection section) {
        return section.index() < image.sections().size()
                && image.section(section.index()).flags().has(SectionFlags.EXECINSTR)
                && section.size() > 0;
    }

    /** The final value of its first symbol of that name, undefined ones included. */
    Optional<Long> symbol(String name) {
        return Optional.ofNullable(symbols.get(name));
    }

    /** Name of the symbol of that index. */
    String symbolName(int index) {
        return index < image.symbols().count() ? image.symbols().name(index) : "";
    }

    /** Whether the symbol of that index is a weak one that nobody exports. */
    boolean isWeakNull(int index) {
        return index > 0
                && index < values.length
                && values[index] == 0
                && image.symbols().sectionIndex(index) == SymbolTable.UNDEF
                && image.symbols().isWeak(index);
    }

    /** The module. */
    Module module() {
        return module;
    }

    /**
     * The function at that address; one that begins there, even if no symbol says so.
     *
     * @param entry an address
     */
    Optional<Function> function(long entry) {
        Function known = functions.get(entry);
        if (known != null) {
            return Optional.of(known);
        }
        for (LoadedSection section : module.sections()) {
            if (isCode(section)
                    && Long.compareUnsigned(entry - section.address().value(), section.size())
                            < 0) {
                return Optional.of(
                        function(
                                List.of(),
                                entry,
                                section.address().value() + section.size(),
                                section));
            }
        }
        return Optional.empty();
    }

    /** All functions that symbols name. */
    List<Function> functions() {
        return List.copyOf(functions.values());
    }

    // ---- functions of a section ----

    private void look(LoadedSection section) {
        TreeMap<Long, List<String>> entries = new TreeMap<>(Long::compareUnsigned);
        SymbolTable table = image.symbols();
        for (int i = 1; i < Math.min(table.count(), values.length); i++) {
            if (table.sectionIndex(i) == section.index()
                    && table.type(i) == FUNC
                    && Long.compareUnsigned(values[i] - section.address().value(), section.size())
                            < 0) {
                entries.computeIfAbsent(values[i], key -> new ArrayList<>()).add(table.name(i));
            }
        }
        entries.forEach(
                (entry, names) -> {
                    Long next = entries.higherKey(entry);
                    long end = next == null ? section.address().value() + section.size() : next;
                    functions.put(entry, function(names, entry, end, section));
                });
    }

    private Function function(List<String> names, long entry, long end, LoadedSection section) {
        Bytes contents = module.contents(section);
        int from = (int) (entry - section.address().value());
        int to = (int) (end - section.address().value());
        Map<Integer, Integer> named = new HashMap<>();
        Map<Integer, Integer> types = new HashMap<>();
        for (RelocationTable relocations : image.relocationsFor(section.index())) {
            for (int i = 0; i < relocations.count(); i++) {
                long offset = relocations.offset(i);
                if (offset >= from && offset < to) {
                    named.put((int) offset, relocations.symbolIndex(i));
                    types.put((int) offset, relocations.type(i));
                }
            }
        }
        List<Reference> references = new ArrayList<>();
        OptionalInt result;
        long base = section.address().value();
        if (x86) {
            result = lookX86(contents, from, to, base, named, types, references);
        } else {
            result = lookArm(contents, from, to, base, named, references);
        }
        references.sort((a, b) -> Long.compareUnsigned(a.place(), b.place()));
        return new Function(List.copyOf(names), entry, end, List.copyOf(references), result);
    }

    /**
     * Calls and jumps are known by the byte before a relocated field, and by a displacement of 0;
     * addresses by the types of their relocations.
     */
    private OptionalInt lookX86(
            Bytes code,
            int from,
            int to,
            long base,
            Map<Integer, Integer> named,
            Map<Integer, Integer> types,
            List<Reference> references) {
        OptionalInt result = OptionalInt.empty();
        for (int i = from; i < to; i++) {
            int opcode = code.get(i) & 0xff;
            boolean fits = i + 5 <= to;
            boolean relocated = named.containsKey(i + 1);
            if ((opcode == 0xe8 || opcode == 0xe9)
                    && fits
                    && (i == from || (code.get(i - 1) & 0xff) != 0x81) // operand of SUB
                    && (relocated || opcode == 0xe8 && readInt(code, i + 1) == 0)) {
                references.add(
                        new Reference(
                                base + i,
                                base + i + 5,
                                masked(base + i + 5 + readInt(code, i + 1)),
                                opcode == 0xe8 ? Use.CALL : Use.JUMP,
                                named.getOrDefault(i + 1, 0)));
                i += 4;
            } else if (named.containsKey(i)) {
                i += pointerX86(code, i, to, base, named, types, references) - 1;
            } else if (opcode == 0x31 && i + 2 <= to && (code.get(i + 1) & 0xff) == 0xc0) {
                result = OptionalInt.of(0);
                i++;
            } else if (opcode == 0xb8 && fits && !relocated) {
                result = OptionalInt.of(readInt(code, i + 1));
                i += 4;
            }
        }
        return result;
    }

    /** A relocated field that no call or jump precedes; answers how many bytes it has. */
    private int pointerX86(
            Bytes code,
            int at,
            int to,
            long base,
            Map<Integer, Integer> named,
            Map<Integer, Integer> types,
            List<Reference> references) {
        int type = types.getOrDefault(at, 0);
        boolean absolute = wide ? type == 10 || type == 11 : type == 1;
        boolean whole = wide && type == 1;
        int size = whole ? 8 : 4;
        if (at + size > to) {
            return 1;
        }
        if (absolute || whole) {
            long target =
                    whole
                            ? (readInt(code, at) & 0xffffffffL) | (long) readInt(code, at + 4) << 32
                            : type == 10
                                    ? readInt(code, at) & 0xffffffffL
                                    : masked(readInt(code, at));
            references.add(
                    new Reference(
                            base + at,
                            base + at + size,
                            target,
                            Use.POINTER,
                            named.getOrDefault(at, 0)));
        }
        return size;
    }

    /** Instructions of four bytes: calls, jumps, and pairs that form an address. */
    private OptionalInt lookArm(
            Bytes code,
            int from,
            int to,
            long base,
            Map<Integer, Integer> named,
            List<Reference> references) {
        OptionalInt result = OptionalInt.empty();
        Map<Integer, Long> partial = new HashMap<>();
        for (int i = from; i + 4 <= to; i += 4) {
            int word = readInt(code, i);
            long place = base + i;
            int symbol = named.getOrDefault(i, 0);
            Optional<Reference> reference =
                    arm64
                            ? lookArm64(word, place, symbol, partial)
                            : lookArm32(word, place, symbol, partial);
            reference.ifPresent(references::add);
            OptionalInt constant = arm64 ? constantArm64(word) : constantArm32(word);
            result = constant.isPresent() ? constant : result;
        }
        return result;
    }

    private static Optional<Reference> lookArm64(
            int word, long place, int symbol, Map<Integer, Long> pages) {
        if ((word & 0x7c000000) == 0x14000000) {
            long target = place + ((long) (word << 6) >> 6) * 4;
            return Optional.of(
                    new Reference(
                            place, place + 4, target, word < 0 ? Use.CALL : Use.JUMP, symbol));
        }
        if ((word & 0x9f000000) == 0x90000000) { // ADRP
            long page = (long) ((word >> 5 & 0x7ffff) << 13) >> 13;
            page = page << 2 | word >> 29 & 3;
            pages.put(word & 31, (place & ~0xfffL) + (page << 12));
        } else if ((word & 0xffc00000) == 0x91000000) { // ADD, immediate
            Long page = pages.get(word >> 5 & 31);
            if (page != null) {
                long target = page + (word >> 10 & 0xfff);
                pages.put(word & 31, target);
                return Optional.of(new Reference(place, place + 4, target, Use.POINTER, symbol));
            }
        }
        return Optional.empty();
    }

    private Optional<Reference> lookArm32(
            int word, long place, int symbol, Map<Integer, Long> halves) {
        if ((word & 0xfe000000) == 0xea000000 || (word & 0xfe000000) == 0xfa000000) {
            long target = masked(place + 8 + (word << 8 >> 6));
            boolean jump = (word & 0xff000000) == 0xea000000;
            return Optional.of(
                    new Reference(place, place + 4, target, jump ? Use.JUMP : Use.CALL, symbol));
        }
        int register = word >> 12 & 15;
        long half = word & 0xfff | word >> 4 & 0xf000;
        if ((word & 0xfff00000) == 0xe3000000) { // MOVW
            halves.put(register, half);
        } else if ((word & 0xfff00000) == 0xe3400000 && halves.containsKey(register)) { // MOVT
            long target = masked(halves.get(register) | half << 16);
            return Optional.of(new Reference(place, place + 4, target, Use.POINTER, symbol));
        }
        return Optional.empty();
    }

    private static OptionalInt constantArm64(int word) {
        int immediate = word >> 5 & 0xffff;
        if ((word & 0xffe0001f) == 0x52800000) { // MOVZ w0
            return OptionalInt.of(immediate);
        }
        return (word & 0xffe0001f) == 0x12800000 // MOVN w0
                ? OptionalInt.of(~immediate)
                : OptionalInt.empty();
    }

    private static OptionalInt constantArm32(int word) {
        int immediate = Integer.rotateRight(word & 0xff, (word >> 8 & 15) * 2);
        if ((word & 0xfffff000) == 0xe3a00000) { // MOV r0
            return OptionalInt.of(immediate);
        }
        return (word & 0xfffff000) == 0xe3e00000 // MVN r0
                ? OptionalInt.of(~immediate)
                : OptionalInt.empty();
    }

    private int readInt(Bytes code, int at) {
        return code.readInt(at, image.encoding());
    }

    private long masked(long address) {
        return wide ? address : address & 0xffffffffL;
    }
}

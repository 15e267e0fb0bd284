package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;
import static io.github.koloader.image.SectionFlags.WRITE;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Field;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * The module of one vector: its relocation at its address, and around it what the vector says that
 * there is: the other half of a pair, stack operations, GOT slots, veneers.
 */
final class VectorImage {
    /** Name of the vector's symbol. */
    static final String SYMBOL = "vector_symbol";

    /** Name of the section that it patches. */
    static final String TEXT = ".text";

    private static final long PAGE = 4096;

    /**
     * The vector's relocation.
     *
     * @param s value of its symbol
     * @param a addend, where relocations carry one
     * @param place the bytes that it patches
     * @param typed whether the symbol has the type that the vector names, or none
     * @param lowered whether values in the last page of the address space are split another way:
     *     from a symbol one page lower, with an addend one page higher
     */
    record Variant(long s, long a, Bytes place, boolean typed, boolean lowered) {
        /** As the vector has it. */
        static Variant of(JsonObject json) {
            return new Variant(
                    address(json, "S"),
                    json.get("A").getAsLong(),
                    Bytes.wrap(HexFormat.of().parseHex(json.get("before_bytes_hex").getAsString())),
                    true,
                    false);
        }

        /** The same, with values split another way. */
        Variant lower() {
            return new Variant(s, a, place, typed, true);
        }

        /** A relocation to another symbol. */
        Variant to(long newS, long newA, byte[] newPlace) {
            return new Variant(newS, newA, Bytes.wrap(newPlace), false, lowered);
        }
    }

    private final Architecture architecture;
    private final JsonObject json;
    private final Variant variant;
    private final VeneerForms forms;
    private final boolean addends;
    private final int number;
    private final long p;
    private final long start;
    private final PlacedImage image;
    private final int section;
    private int entry;

    VectorImage(Architecture architecture, JsonObject json, KernelConfig config, Variant variant) {
        this.architecture = architecture;
        this.json = json;
        this.variant = variant;
        this.forms = VeneerForms.of(architecture, isThumb(json));
        this.addends = architecture.acceptsRelocations(true) && !is(json, "rel", "REL");
        this.number = json.get("number").getAsInt();
        this.p = address(json, "P");
        this.start = lowestPlace() & -PAGE; // so that offset and address agree in the low bits
        this.image = new PlacedImage(architecture, config, addends).withLoaderSections();
        this.section = addText();
        int symbol = addSymbol();
        placeLoaderSections(symbol);
        addRelocations(symbol);
    }

    PlacedImage image() {
        return image;
    }

    /** Index of the section that the vector patches. */
    int section() {
        return section;
    }

    /** Index of the vector's entry in that section's table. */
    int entry() {
        return entry;
    }

    static boolean isThumb(JsonObject json) {
        return json.has("type") && json.get("type").getAsString().startsWith("R_ARM_THM_");
    }

    private static boolean is(JsonObject json, String field, String value) {
        return json.has(field) && json.get(field).getAsString().equals(value);
    }

    static long address(JsonObject json, String field) {
        return Address.parse(json.get(field).getAsString()).value();
    }

    // ---- the section ----

    private long lowestPlace() {
        if (!json.has("hi20")) {
            return p;
        }
        long high = address(json.getAsJsonObject("hi20"), "P");
        return Long.compareUnsigned(high, p) < 0 ? high : p;
    }

    /**
     * Code, but for stack operations: they come in an order that loongarch's sort of code would
     * destroy.
     */
    private int addText() {
        byte[] contents = new byte[(int) (p - start) + variant.place().size() + 8];
        put(contents, p, place());
        if (json.has("lo_insn_hex")) {
            put(contents, p + 4, HexFormat.of().parseHex(json.get("lo_insn_hex").getAsString()));
        }
        long flags = json.has("stack_ops") ? ALLOC | WRITE : ALLOC | EXECINSTR;
        return image.section(TEXT, flags, start, contents);
    }

    private void put(byte[] contents, long address, byte[] bytes) {
        System.arraycopy(bytes, 0, contents, (int) (address - start), bytes.length);
    }

    /** The place before; with REL the addend lies in it. */
    private byte[] place() {
        byte[] bytes = variant.place().toByteArray();
        RelocationType row = architecture.relocationTypes().byCode(number);
        if (!addends && shift(variant.s) != 0 && row != null) {
            Field field = row.field();
            boolean big = architecture.encoding().bigEndian();
            long old = Words.read(bytes, 0, field.size(), big);
            long a = field.implicitAddend(old) + shift(variant.s);
            Words.write(bytes, 0, field.size(), field.insert(old, a), big);
        }
        return bytes;
    }

    /** What is taken from a symbol's value and added to the addend. */
    private long shift(long s) {
        long word = architecture.encoding().wide() ? s : (int) s;
        return variant.lowered && word < 0 && word >= -PAGE ? PAGE : 0;
    }

    // ---- symbols ----

    private int addSymbol() {
        boolean function = variant.typed && is(json, "sym_type", "STT_FUNC");
        boolean local = json.has("local_entry_offset");
        return image.symbol(
                new Symbol(
                        SYMBOL,
                        Binding.GLOBAL,
                        function ? Symbol.FUNC : Symbol.NOTYPE,
                        local
                                ? VeneerForms.symbolOther(json.get("local_entry_offset").getAsInt())
                                : 0,
                        local ? new Symbol.InSection(section) : new Symbol.Undefined(),
                        0,
                        0),
                variant.s - shift(variant.s));
    }

    private int addUndefined(String name, JsonObject object) {
        long s = address(object, "S");
        return image.symbol(Symbol.undefined(name), s - shift(s));
    }

    private static long addend(JsonObject object) {
        return object.get("A").getAsLong();
    }

    // ---- GOT, PLT, TOC ----

    /** Puts them where the vector has them, with as many slots taken as it says. */
    private void placeLoaderSections(int symbol) {
        if (json.has("TOC")) {
            image.place(".toc", address(json, "TOC") - 0x8000);
        }
        if (json.has("GOT")) {
            long got = address(json, "GOT");
            image.place(".got", got).placePrefix(got);
            if (json.has("G")) {
                makeSlots((address(json, "G") - got) / forms.gotSlotSize(), symbol);
            } else if (json.has("L")) {
                makeSlots(forms.gotSlotsBefore(address(json, "L") - got), symbol);
            }
        } else if (json.has("L")) {
            image.placePrefix(address(json, "L"));
        }
    }

    /** Takes GOT slots for other symbols, by relocations that come first. */
    private void makeSlots(long count, int symbol) {
        boolean needed = forms.needsSlotMade(number);
        if (count == 0 && !needed) {
            return;
        }
        byte[] places = new byte[8 * (int) count + 8];
        int first = image.section(".text.first", ALLOC | EXECINSTR, start, places);
        for (int i = 0; i < count; i++) {
            int other = image.symbol(Symbol.undefined("first_" + i), start + 0x123000 + i);
            image.relocation(first, new Relocation(8L * i, forms.gotType(), other, 0));
        }
        if (needed) {
            image.relocation(first, new Relocation(8 * count, forms.gotType(), symbol, variant.a));
        }
    }

    // ---- relocations ----

    private void addRelocations(int symbol) {
        List<Relocation> relocations = new ArrayList<>();
        if (json.has("hi20")) {
            JsonObject high = json.getAsJsonObject("hi20");
            relocations.add(
                    new Relocation(
                            address(high, "P") - start,
                            typeNamed(high.get("type").getAsString()),
                            addUndefined("high_symbol", high),
                            addend(high) + shift(address(high, "S"))));
        }
        if (json.has("stack_ops")) {
            for (JsonElement element : json.getAsJsonArray("stack_ops")) {
                JsonObject operation = element.getAsJsonObject();
                relocations.add(
                        new Relocation(
                                p - start,
                                operation.get("number").getAsInt(),
                                addUndefined("operand_" + relocations.size(), operation),
                                addend(operation) + shift(address(operation, "S"))));
            }
        }
        entry = relocations.size();
        long a = addends ? variant.a + shift(variant.s) : 0;
        relocations.add(new Relocation(p - start, number, symbol, a));
        if (json.has("lo_insn_hex")) {
            int low = typeNamed("R_MIPS_LO16");
            relocations.add(new Relocation(p - start + 4, low, symbol, 0));
        }
        relocations.forEach(relocation -> image.relocation(section, relocation));
    }

    private int typeNamed(String name) {
        return architecture.relocationTypes().stream()
                .filter(row -> row.name().equals(name))
                .mapToInt(RelocationType::code)
                .findFirst()
                .orElse(-1);
    }
}

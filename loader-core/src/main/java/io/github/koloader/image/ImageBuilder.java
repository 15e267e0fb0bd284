package io.github.koloader.image;

import static com.google.common.base.Preconditions.checkArgument;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.koloader.internal.Words;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Builds valid module images without a compiler, for tests and properties: sections, symbols and
 * relocations are added as values; modinfo, {@code struct module}, symbol table, string tables and
 * relocation sections are made from them.
 *
 * <pre>{@code
 * ImageBuilder hello = new ImageBuilder(62, Encoding.ELF64_LSB, true).name("hello");
 * int text = hello.section(Section.progbits(".text", SectionFlags.ALLOC | SectionFlags.EXECINSTR, 16, code));
 * int printk = hello.symbol(Symbol.undefined("_printk"));
 * hello.relocate(text, new Relocation(1, 4, printk, -4));
 * ModuleImage image = hello.init(text, 0, 1).build();
 * }</pre>
 */
public final class ImageBuilder {
    private final int machine;
    private final Encoding encoding;
    private final boolean addends;
    private String name = "test";
    private int structSize = 896;
    private final List<String> modinfo = new ArrayList<>();
    private final List<Section> sections = new ArrayList<>();
    private final List<Symbol> symbols = new ArrayList<>();
    private final Map<Integer, List<Relocation>> relocations = new LinkedHashMap<>();
    private final List<long[]> entries = new ArrayList<>(); // field offset, symbol, relocation type
    private final List<byte[]> versions = new ArrayList<>();

    /**
     * An image without anything of its own.
     *
     * @param machine {@code e_machine}
     * @param encoding how numbers are written
     * @param addends whether relocation sections are RELA or REL
     */
    public ImageBuilder(int machine, Encoding encoding, boolean addends) {
        this.machine = machine;
        this.encoding = encoding;
        this.addends = addends;
        symbols.add(new Symbol("", Binding.LOCAL, Symbol.NOTYPE, 0, new Symbol.Undefined(), 0, 0));
        sections.add(Section.NULL);
    }

    /**
     * Sets the module's name, in modinfo and in {@code struct module}; {@code test} by default.
     *
     * @param newName the name, shorter than the field in {@code struct module}
     * @return this builder
     */
    public ImageBuilder name(String newName) {
        checkArgument(
                newName.length() < ThisModule.nameLength(encoding.wordSize()),
                "name %s is too long",
                newName);
        this.name = newName;
        return this;
    }

    /**
     * Adds a modinfo entry.
     *
     * @param tag what stands before the {@code =}
     * @param value what stands behind it, written as UTF-8
     * @return this builder
     */
    public ImageBuilder modinfo(String tag, String value) {
        modinfo.add(tag + "=" + value);
        return this;
    }

    /**
     * Adds a section and returns its index.
     *
     * @param section the section, as it goes into the image
     * @return its index, at least 1
     */
    public int section(Section section) {
        sections.add(section);
        return sections.size() - 1;
    }

    /**
     * Adds a symbol and returns what relocations refer to it by.
     *
     * @param symbol the symbol; sections in it are indexes that {@link #section} returned
     * @return its number here, at least 1; in the image local symbols come first
     */
    public int symbol(Symbol symbol) {
        symbols.add(symbol);
        return symbols.size() - 1;
    }

    /**
     * Adds relocations for a section; their symbol indexes are what {@link #symbol} returned.
     *
     * @param section index of the section they patch
     * @param added relocations, behind those already there
     * @return this builder
     */
    public ImageBuilder relocate(int section, Relocation... added) {
        relocations.computeIfAbsent(section, key -> new ArrayList<>()).addAll(Arrays.asList(added));
        return this;
    }

    /**
     * Gives the module an init function.
     *
     * @param section the section it lies in
     * @param value its offset in it
     * @param wordRelocation the machine's relocation type for a word with an address
     * @return this builder
     */
    public ImageBuilder init(int section, long value, int wordRelocation) {
        return entry("init_module", section, value, wordRelocation, encoding.wide() ? 312 : 204);
    }

    /**
     * Gives the module an exit function; see {@link #init}.
     *
     * @param section the section it lies in
     * @param value its offset in it
     * @param wordRelocation the machine's relocation type for a word with an address
     * @return this builder
     */
    public ImageBuilder exit(int section, long value, int wordRelocation) {
        return entry("cleanup_module", section, value, wordRelocation, encoding.wide() ? 848 : 524);
    }

    private ImageBuilder entry(
            String symbolName, int section, long value, int relocation, long field) {
        int symbol = symbol(Symbol.function(symbolName, section, value, 1));
        entries.add(new long[] {field, symbol, relocation});
        return this;
    }

    /**
     * Adds an entry to {@code __versions}.
     *
     * @param symbolName the imported symbol, short enough for the 64 bytes of an entry
     * @param crc the CRC that the module was built against
     * @return this builder
     */
    public ImageBuilder version(String symbolName, int crc) {
        byte[] entry = new byte[VersionTable.ENTRY_SIZE];
        Words.writeWord(
                entry, 0, Integer.toUnsignedLong(crc), encoding.wordSize(), encoding.bigEndian());
        byte[] text = SymbolTable.encode(symbolName);
        checkArgument(
                text.length < entry.length - encoding.wordSize(),
                "name %s is too long",
                symbolName);
        System.arraycopy(text, 0, entry, encoding.wordSize(), text.length);
        versions.add(entry);
        return this;
    }

    /** {@return the image} The builder is used up. */
    public ModuleImage build() {
        section(Section.progbits(".modinfo", SectionFlags.ALLOC, 1, modinfoBytes()));
        if (!versions.isEmpty()) {
            section(Section.progbits("__versions", SectionFlags.ALLOC, 32, join(versions)));
        }
        int structure =
                section(
                        Section.progbits(
                                ModuleImage.THIS_MODULE,
                                SectionFlags.ALLOC | SectionFlags.WRITE,
                                64,
                                structBytes()));
        for (long[] entry : entries) {
            relocate(structure, new Relocation(entry[0], (int) entry[2], (int) entry[1], 0));
        }
        int firstTable = sections.size();
        int symtab = firstTable + relocations.size();
        int[] order = localsFirst();
        relocations.forEach(
                (target, entriesOfTarget) -> addTable(target, symtab, order, entriesOfTarget));
        addSymbols(order);
        addNames();
        ModuleImage.Builder builder = ModuleImage.builder(machine, encoding);
        sections.subList(1, sections.size()).forEach(builder::section);
        return builder.build();
    }

    private Bytes modinfoBytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        List<String> all = new ArrayList<>(modinfo);
        all.add("name=" + name);
        for (String entry : all) {
            bytes.writeBytes(entry.getBytes(UTF_8));
            bytes.write(0);
        }
        return Bytes.wrap(bytes.toByteArray());
    }

    private Bytes structBytes() {
        byte[] bytes = new byte[structSize];
        byte[] text = SymbolTable.encode(name);
        System.arraycopy(text, 0, bytes, ThisModule.nameOffset(encoding.wordSize()), text.length);
        return Bytes.wrap(bytes);
    }

    /**
     * Sets the size of {@code struct module}, bytes; 896 by default.
     *
     * @param size bytes
     * @return this builder
     */
    public ImageBuilder structSize(int size) {
        this.structSize = size;
        return this;
    }

    /** New index of each symbol: as ELF wants it, local ones come first. */
    private int[] localsFirst() {
        int[] order = new int[symbols.size()];
        int next = 0;
        for (boolean local : new boolean[] {true, false}) {
            for (int i = 0; i < order.length; i++) {
                if ((symbols.get(i).binding() == Binding.LOCAL) == local) {
                    order[i] = next++;
                }
            }
        }
        return order;
    }

    private void addTable(int target, int symtab, int[] order, List<Relocation> entriesOfTarget) {
        RelocationTable.Format format = RelocationTable.Format.of(encoding, addends, machine);
        byte[] bytes = new byte[entriesOfTarget.size() * format.entrySize()];
        for (int i = 0; i < entriesOfTarget.size(); i++) {
            Relocation entry = entriesOfTarget.get(i);
            write(bytes, i * format.entrySize(), format, entry, order[entry.symbolIndex()]);
        }
        section(
                new Section(
                        (addends ? ".rela" : ".rel") + sections.get(target).name(),
                        addends ? SectionType.RELA : SectionType.REL,
                        SectionFlags.of(SectionFlags.INFO_LINK),
                        0,
                        bytes.length,
                        encoding.wordSize(),
                        symtab,
                        target,
                        format.entrySize(),
                        Bytes.wrap(bytes)));
    }

    private void write(
            byte[] bytes, int at, RelocationTable.Format format, Relocation entry, int symbol) {
        boolean big = encoding.bigEndian();
        int word = encoding.wordSize();
        Words.writeWord(bytes, at, entry.offset(), word, big);
        switch (format) {
            case REL32, RELA32 ->
                    Words.writeInt(bytes, at + 4, symbol << 8 | entry.type() & 0xff, big);
            case REL64, RELA64 ->
                    Words.writeLong(
                            bytes,
                            at + 8,
                            (long) symbol << 32 | Integer.toUnsignedLong(entry.type()),
                            big);
            case MIPS_REL64, MIPS_RELA64 -> {
                Words.writeInt(bytes, at + 8, symbol, big);
                bytes[at + 13] = (byte) (entry.type() >>> 16);
                bytes[at + 14] = (byte) (entry.type() >>> 8);
                bytes[at + 15] = (byte) entry.type();
            }
        }
        if (format.hasAddends()) {
            Words.writeWord(bytes, at + 2 * word, entry.addend(), word, big);
        }
    }

    private void addSymbols(int[] order) {
        int entrySize = encoding.symbolSize();
        byte[] bytes = new byte[symbols.size() * entrySize];
        ByteArrayOutputStream names = new ByteArrayOutputStream();
        names.write(0);
        int locals = 0;
        for (int i = 0; i < symbols.size(); i++) {
            Symbol symbol = symbols.get(i);
            int nameAt = symbol.name().isEmpty() ? 0 : names.size();
            if (nameAt != 0) {
                names.writeBytes(SymbolTable.encode(symbol.name()));
                names.write(0);
            }
            locals += symbol.binding() == Binding.LOCAL ? 1 : 0;
            write(bytes, order[i] * entrySize, symbol, nameAt);
        }
        int strtab = sections.size() + 1;
        section(
                new Section(
                        ".symtab",
                        SectionType.SYMTAB,
                        SectionFlags.NONE,
                        0,
                        bytes.length,
                        encoding.wordSize(),
                        strtab,
                        locals,
                        entrySize,
                        Bytes.wrap(bytes)));
        section(strings(".strtab", Bytes.wrap(names.toByteArray())));
    }

    private void write(byte[] bytes, int at, Symbol symbol, int nameAt) {
        boolean big = encoding.bigEndian();
        boolean wide = encoding.wide();
        int section;
        if (symbol.place() instanceof Symbol.InSection in) {
            section = in.index();
        } else if (symbol.place() instanceof Symbol.Reserved reserved) {
            section = reserved.index();
        } else if (symbol.place() instanceof Symbol.Absolute) {
            section = SymbolTable.ABS;
        } else if (symbol.place() instanceof Symbol.Common) {
            section = SymbolTable.COMMON;
        } else {
            section = SymbolTable.UNDEF;
        }
        int binding =
                switch (symbol.binding()) {
                    case LOCAL -> 0;
                    case GLOBAL -> 1;
                    case WEAK -> 2;
                    case OTHER -> 10;
                };
        Words.writeInt(bytes, at, nameAt, big);
        Words.writeWord(bytes, at + (wide ? 8 : 4), symbol.value(), encoding.wordSize(), big);
        Words.writeWord(bytes, at + (wide ? 16 : 8), symbol.size(), encoding.wordSize(), big);
        bytes[at + (wide ? 4 : 12)] = (byte) (binding << 4 | symbol.type() & 0xf);
        bytes[at + (wide ? 5 : 13)] = (byte) symbol.other();
        Words.writeShort(bytes, at + (wide ? 6 : 14), section, big);
    }

    private void addNames() {
        ByteArrayOutputStream names = new ByteArrayOutputStream();
        names.write(0);
        for (int i = 1; i < sections.size(); i++) {
            names.writeBytes(SymbolTable.encode(sections.get(i).name()));
            names.write(0);
        }
        names.writeBytes(SymbolTable.encode(".shstrtab"));
        names.write(0);
        section(strings(".shstrtab", Bytes.wrap(names.toByteArray())));
    }

    private static Section strings(String name, Bytes contents) {
        return new Section(
                name,
                SectionType.STRTAB,
                SectionFlags.NONE,
                0,
                contents.size(),
                1,
                0,
                0,
                0,
                contents);
    }

    private static Bytes join(List<byte[]> parts) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        parts.forEach(bytes::writeBytes);
        return Bytes.wrap(bytes.toByteArray());
    }
}

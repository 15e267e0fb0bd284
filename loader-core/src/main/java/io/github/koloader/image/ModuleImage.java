package io.github.koloader.image;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import com.google.common.collect.ImmutableList;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A module before loading: what is in its file, checked to be readable, without any address.
 * Immutable.
 *
 * <p>Two images are equal if machine, flags, encoding and all sections are. Section 0 is the empty
 * one, as in the file.
 */
public final class ModuleImage {
    /** Name of the section with the module's own structure. */
    public static final String THIS_MODULE = ".gnu.linkonce.this_module";

    private static final String EXPORT = "__ksymtab_";
    private static final String NAMESPACE = "__kstrtabns_";
    private static final String CRC = "__crc_";

    private final int machine;
    private final int flags;
    private final Encoding encoding;
    private final long fileSize;
    private final ImmutableList<Section> sections;
    private final int symbolSection;
    private final SymbolTable symbols;
    private final ImmutableList<RelocationTable> relocations;
    private final boolean byName;
    private @Nullable Modinfo modinfo; // found when first asked for; two threads may both find it

    private ModuleImage(Builder builder) {
        this.machine = builder.machine;
        this.flags = builder.flags;
        this.encoding = builder.encoding;
        this.byName = builder.byName;
        this.sections = ImmutableList.copyOf(builder.sections);
        long end = 0;
        int symtab = 0;
        ImmutableList.Builder<RelocationTable> tables = ImmutableList.builder();
        for (int i = 0; i < sections.size(); i++) {
            Section section = sections.get(i);
            end = Math.max(end, section.offset() + section.contents().size());
            int type = section.type().code();
            if (type == SectionType.SYMTAB.code() && symtab == 0) {
                symtab = i;
            } else if (type == SectionType.RELA.code() || type == SectionType.REL.code()) {
                boolean addends = type == SectionType.RELA.code();
                tables.add(
                        new RelocationTable(
                                i,
                                section.info(),
                                section.contents(),
                                encoding,
                                RelocationTable.Format.of(encoding, addends, machine)));
            }
        }
        this.fileSize = builder.fileSize >= 0 ? builder.fileSize : end;
        this.symbolSection = symtab;
        this.relocations = tables.build();
        this.symbols =
                symtab == 0
                        ? new SymbolTable(Bytes.EMPTY, Bytes.EMPTY, encoding)
                        : new SymbolTable(
                                sections.get(symtab).contents(),
                                strings(sections.get(symtab).link()),
                                encoding);
    }

    private Modinfo findModinfo() {
        int index = ownSectionIndex(".modinfo");
        return index == 0 ? Modinfo.EMPTY : new Modinfo(sections.get(index).contents());
    }

    private Bytes strings(int link) {
        return link > 0 && link < sections.size() ? sections.get(link).contents() : Bytes.EMPTY;
    }

    /**
     * {@return a builder for a module of that machine, to which section 0 is already added}
     *
     * @param machine {@code e_machine}, 0 … 65535
     * @param encoding how numbers are written
     */
    public static Builder builder(int machine, Encoding encoding) {
        return new Builder(machine, encoding).section(Section.NULL);
    }

    /** {@return a builder with everything that this image has} */
    public Builder toBuilder() {
        Builder builder = new Builder(machine, encoding).flags(flags).fileSize(fileSize);
        builder.byName = byName;
        builder.sections.addAll(sections);
        return builder;
    }

    /** {@return {@code e_machine}, 0 … 65535} */
    public int machine() {
        return machine;
    }

    /** {@return {@code e_flags}} */
    public int flags() {
        return flags;
    }

    /** {@return how numbers are written} */
    public Encoding encoding() {
        return encoding;
    }

    /**
     * {@return bytes of the file that the image was read from; of a built one, up to the end of its
     * last section}
     */
    public long fileSize() {
        return fileSize;
    }

    /** {@return all sections by index; section 0 is the empty one} */
    public List<Section> sections() {
        return sections;
    }

    /**
     * {@return the section of that index}
     *
     * @param index index of the section, 0 for the empty one
     */
    public Section section(int index) {
        return sections.get(index);
    }

    /**
     * {@return the first section of that name, with or without memory; empty if there is none}
     *
     * @param name the whole name, such as {@code .text}
     */
    public Optional<Section> section(String name) {
        int index = sectionIndex(name);
        return index == 0 ? Optional.empty() : Optional.of(sections.get(index));
    }

    /**
     * {@return index of the first section of that name, or 0}
     *
     * @param name the whole name, such as {@code .text}
     */
    public int sectionIndex(String name) {
        for (int i = 1; i < sections.size(); i++) {
            if (sections.get(i).name().equals(name)) {
                return i;
            }
        }
        return 0;
    }

    /**
     * {@return index of the first section of that name that takes memory, or 0}
     *
     * @param name the whole name, such as {@code .text}
     * @kernel kernel/module/main.c, find_sec()
     */
    public int allocatedSectionIndex(String name) {
        for (int i = 1; i < sections.size(); i++) {
            Section section = sections.get(i);
            if (section.flags().alloc() && section.name().equals(name)) {
                return i;
            }
        }
        return 0;
    }

    /**
     * {@return the same image as kernels since 6.4 look at it: {@link #modinfo()} and {@link
     * #thisModule()} are found by name, whether they take memory or not}
     *
     * @kernel kernel/module/main.c, find_any_unique_sec()
     */
    public ModuleImage foundByName() {
        if (byName
                || sectionIndex(".modinfo") == ownSectionIndex(".modinfo")
                        && sectionIndex(THIS_MODULE) == ownSectionIndex(THIS_MODULE)) {
            return this;
        }
        Builder builder = toBuilder();
        builder.byName = true;
        return builder.build();
    }

    /** Index of a section that describes the module, or 0. */
    private int ownSectionIndex(String name) {
        return byName ? sectionIndex(name) : allocatedSectionIndex(name);
    }

    /** {@return index of the first symbol table, or 0} */
    public int symbolSection() {
        return symbolSection;
    }

    /** {@return the first symbol table; without one, an empty one} */
    public SymbolTable symbols() {
        return symbols;
    }

    /** {@return all relocation sections, in file order} */
    public List<RelocationTable> relocations() {
        return relocations;
    }

    /**
     * {@return the relocations for that section, in file order; usually one table or none}
     *
     * @param section index of the section they patch
     */
    public List<RelocationTable> relocationsFor(int section) {
        return relocations.stream().filter(table -> table.target() == section).toList();
    }

    /**
     * {@return contents of {@code .modinfo}; nothing if it is not allocated, as it has to be for
     * kernels before 6.4, unless {@link #foundByName()} says otherwise}
     */
    public Modinfo modinfo() {
        Modinfo found = modinfo;
        if (found == null) {
            found = findModinfo();
            modinfo = found;
        }
        return found;
    }

    /** {@return contents of {@code __versions}; without that section an empty table} */
    public VersionTable versions() {
        int index = allocatedSectionIndex("__versions");
        return index == 0
                ? VersionTable.EMPTY
                : new VersionTable(sections.get(index).contents(), encoding);
    }

    /**
     * The module's name: modinfo's {@code name}, else the one in its {@code struct module}.
     *
     * @return empty if it has neither
     * @kernel kernel/module/main.c, setup_load_info()
     */
    public Optional<String> name() {
        Optional<String> name = modinfo().firstRaw("name");
        return name.isPresent() ? name : thisModule().map(ThisModule::name);
    }

    /** {@return the module's own structure; empty if the file has none} */
    public Optional<ThisModule> thisModule() {
        int index = ownSectionIndex(THIS_MODULE);
        if (index == 0) {
            return Optional.empty();
        }
        Bytes contents = sections.get(index).contents();
        int from = Math.min(ThisModule.nameOffset(encoding.wordSize()), contents.size());
        int length = Math.min(ThisModule.nameLength(encoding.wordSize()), contents.size() - from);
        return Optional.of(
                new ThisModule(
                        index,
                        contents.slice(from, length).text(0),
                        entry(index, "init_module"),
                        entry(index, "cleanup_module")));
    }

    /**
     * The relocation of section {@code thisModule} that leads to where the symbol {@code name}
     * leads.
     */
    private Optional<ThisModule.Entry> entry(int thisModule, String name) {
        int byName = -1;
        boolean looked = false;
        for (RelocationTable table : relocations) {
            if (table.target() != thisModule) {
                continue;
            }
            for (int i = 0; i < table.count(); i++) {
                int symbol = table.symbolIndex(i);
                if (symbol >= 0 && symbol < symbols.count() && symbols.isNamed(symbol, name)) {
                    return Optional.of(new ThisModule.Entry(table.offset(i), symbol));
                }
            }
            if (!looked && table.count() > 0) {
                byName = symbols.indexOf(name);
                looked = true;
            }
            for (int i = 0; byName >= 0 && i < table.count(); i++) {
                int symbol = table.symbolIndex(i);
                if (symbol >= 0 && symbol < symbols.count() && leadsTo(table, i, byName)) {
                    return Optional.of(new ThisModule.Entry(table.offset(i), symbol));
                }
            }
        }
        return Optional.empty();
    }

    /**
     * Compares the two ways to find init and exit: the relocations of {@code struct module}, which
     * the kernel goes by, and the symbols {@code init_module} and {@code cleanup_module}.
     *
     * @return a sentence for each disagreement; none for a module as kbuild makes them
     */
    public List<String> entryDisagreements() {
        List<String> found = new ArrayList<>();
        Optional<ThisModule> structure = thisModule();
        if (structure.isEmpty()) {
            return List.of();
        }
        compareEntry(found, "init_module", structure.get().init());
        compareEntry(found, "cleanup_module", structure.get().exit());
        for (RelocationTable table : relocationsFor(structure.get().section())) {
            for (int i = 0; i < table.count(); i++) {
                long offset = table.offset(i);
                boolean known =
                        structure
                                        .get()
                                        .init()
                                        .filter(entry -> entry.fieldOffset() == offset)
                                        .isPresent()
                                || structure
                                        .get()
                                        .exit()
                                        .filter(entry -> entry.fieldOffset() == offset)
                                        .isPresent();
                if (!known) {
                    found.add(
                            "relocation at offset 0x%x of %s leads to neither init_module nor cleanup_module"
                                    .formatted(offset, THIS_MODULE));
                }
            }
        }
        return List.copyOf(found);
    }

    private void compareEntry(List<String> found, String name, Optional<ThisModule.Entry> entry) {
        int symbol = symbols.indexOf(name);
        boolean defined = symbol >= 0 && symbols.sectionIndex(symbol) != SymbolTable.UNDEF;
        if (defined && entry.isEmpty()) {
            found.add(
                    "symbol %s is defined, but no relocation of %s leads to it"
                            .formatted(name, THIS_MODULE));
        } else if (!defined && entry.isPresent()) {
            found.add(
                    "a relocation of %s leads to %s, which is not defined"
                            .formatted(THIS_MODULE, name));
        }
    }

    /** Whether symbol + addend of an entry is where {@code symbol} is. */
    private boolean leadsTo(RelocationTable table, int entry, int symbol) {
        int via = table.symbolIndex(entry);
        long addend = table.addend(entry);
        if (!table.hasAddends()) {
            Bytes place = sections.get(table.target()).contents();
            long offset = table.offset(entry);
            if (offset < 0 || offset > place.size() - encoding.wordSize()) {
                return false;
            }
            addend = place.readWord((int) offset, encoding);
        }
        return symbols.sectionIndex(via) == symbols.sectionIndex(symbol)
                && symbols.value(via) + addend == symbols.value(symbol);
    }

    /**
     * {@return the exports, as the tables {@code __ksymtab} and {@code __ksymtab_gpl} have them}
     * Names, namespaces and CRCs are taken from the symbols that the export macros leave ({@code
     * __ksymtab_x}, {@code __kstrtabns_x}, {@code __crc_x}), so that nothing has to be relocated.
     */
    public List<ExportEntry> exports() {
        int plain = sectionIndex("__ksymtab");
        int gpl = sectionIndex("__ksymtab_gpl");
        if (plain == 0 && gpl == 0) {
            return List.of();
        }
        Map<String, Integer> marks = new LinkedHashMap<>();
        for (int i = 1; i < symbols.count(); i++) {
            String name = symbols.name(i);
            if (name.startsWith(NAMESPACE) || name.startsWith(CRC) || name.startsWith(EXPORT)) {
                marks.putIfAbsent(name, i);
            }
        }
        List<ExportEntry> exports = new ArrayList<>();
        marks.forEach(
                (mark, symbol) -> {
                    int section = symbols.sectionIndex(symbol);
                    if (mark.startsWith(EXPORT)
                            && section != 0
                            && (section == plain || section == gpl)) {
                        String name = mark.substring(EXPORT.length());
                        exports.add(
                                new ExportEntry(
                                        name,
                                        section == gpl,
                                        namespace(marks.get(NAMESPACE + name)),
                                        crc(marks.get(CRC + name))));
                    }
                });
        return List.copyOf(exports);
    }

    private String namespace(@Nullable Integer symbol) {
        Bytes strings = symbol == null ? Bytes.EMPTY : contentsOf(symbols.sectionIndex(symbol));
        long value = symbol == null ? 0 : symbols.value(symbol);
        return value >= 0 && value < strings.size() ? strings.text((int) value) : "";
    }

    private OptionalInt crc(@Nullable Integer symbol) {
        if (symbol == null) {
            return OptionalInt.empty();
        }
        long value = symbols.value(symbol);
        if (symbols.sectionIndex(symbol) == SymbolTable.ABS) {
            return OptionalInt.of((int) value);
        }
        Bytes table = contentsOf(symbols.sectionIndex(symbol));
        return value >= 0 && value <= table.size() - 4
                ? OptionalInt.of(table.readInt((int) value, encoding))
                : OptionalInt.empty();
    }

    private Bytes contentsOf(int section) {
        return section < sections.size() ? sections.get(section).contents() : Bytes.EMPTY;
    }

    /** {@return the parameters, in the order of {@code __param}} */
    public List<ParameterEntry> parameters() {
        return ParameterEntry.read(this);
    }

    /**
     * The GNU build-id: of the first allocated note section that has one.
     *
     * @return its bytes, or nothing
     */
    public Optional<Bytes> buildId() {
        for (Section section : sections) {
            if (section.type().equals(SectionType.NOTE) && section.flags().alloc()) {
                for (Note note : Note.parse(section.contents(), encoding)) {
                    if (note.type() == Note.GNU_BUILD_ID && note.name().equals("GNU")) {
                        return Optional.of(note.description());
                    }
                }
            }
        }
        return Optional.empty();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ModuleImage that
                && machine == that.machine
                && flags == that.flags
                && encoding.equals(that.encoding)
                && sections.equals(that.sections);
    }

    @Override
    public int hashCode() {
        return Objects.hash(machine, flags, encoding, sections);
    }

    @Override
    public String toString() {
        return "ModuleImage[" + name().orElse("?") + ", " + sections.size() + " sections]";
    }

    /**
     * Collects the parts of an image; sections get the indexes of the order in which they are
     * added.
     */
    public static final class Builder {
        private final int machine;
        private final Encoding encoding;
        private int flags;
        private long fileSize = -1;
        private boolean byName;
        private final List<Section> sections = new ArrayList<>();

        private Builder(int machine, Encoding encoding) {
            checkArgument(machine >= 0 && machine <= 0xffff, "machine %s", machine);
            this.machine = machine;
            this.encoding = requireNonNull(encoding);
        }

        /**
         * Sets {@code e_flags}.
         *
         * @param newFlags the 32 bits; 0 by default
         * @return this builder
         */
        public Builder flags(int newFlags) {
            this.flags = newFlags;
            return this;
        }

        /**
         * Sets the size of the file it came from, bytes.
         *
         * @param newFileSize bytes; a negative number counts as not set
         * @return this builder
         */
        public Builder fileSize(long newFileSize) {
            this.fileSize = newFileSize;
            return this;
        }

        /**
         * Adds a section.
         *
         * @param section the section; its index is {@link #nextIndex()} as it was before
         * @return this builder
         */
        public Builder section(Section section) {
            sections.add(requireNonNull(section));
            return this;
        }

        /** {@return index that the next section will have} */
        public int nextIndex() {
            return sections.size();
        }

        /**
         * {@return the section of that index so far}
         *
         * @param index index of a section added before; 0 for the empty one
         */
        public Section get(int index) {
            return sections.get(index);
        }

        /**
         * Puts another section in the place of one.
         *
         * @param index index of the section that goes
         * @param section what comes in its place
         * @return this builder
         */
        public Builder replace(int index, Section section) {
            sections.set(index, requireNonNull(section));
            return this;
        }

        /**
         * {@return the image} If no file size was set, each section gets a place in the file, in
         * order and aligned.
         */
        public ModuleImage build() {
            if (fileSize < 0) {
                placeInFile();
            }
            return new ModuleImage(this);
        }

        private void placeInFile() {
            long end = encoding.wide() ? 64 : 52; // behind the ELF header
            for (int i = 1; i < sections.size(); i++) {
                Section section = sections.get(i);
                long alignment =
                        Long.bitCount(section.alignment()) == 1
                                ? Math.min(section.alignment(), 4096)
                                : 1;
                long offset = end + alignment - 1 & -alignment;
                sections.set(i, section.withOffset(offset));
                end = offset + section.contents().size();
            }
        }
    }
}

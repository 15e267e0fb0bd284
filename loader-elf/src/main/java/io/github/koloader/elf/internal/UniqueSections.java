package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import java.util.List;

/**
 * The checks of kernels since 6.4 of the sections that there may be only one of.
 *
 * @kernel kernel/module/main.c, elf_validity_cache_index(), elf_validity_cache_strtab()
 */
final class UniqueSections {
    private static final String CRCS = "__version_ext_crcs";
    private static final String NAMES = "__version_ext_names";

    private final ModuleImage image;
    private final ElfRules rules;
    private final List<Section> sections;
    private int modinfos;
    private int structures;
    private int structure;
    private int symbolTables;

    UniqueSections(ModuleImage image, ElfRules rules) {
        this.image = image;
        this.rules = rules;
        this.sections = image.sections();
        for (int i = 1; i < sections.size(); i++) {
            count(sections.get(i), i);
        }
    }

    private void count(Section section, int index) {
        if (section.type().equals(SectionType.SYMTAB)) {
            symbolTables++;
        }
        boolean counts =
                rules.regrouped()
                        || !section.type().equals(SectionType.NULL)
                                && !section.type().equals(SectionType.NOBITS);
        if (counts && section.name().equals(".modinfo")) {
            modinfos++;
        } else if (counts && section.name().equals(ModuleImage.THIS_MODULE)) {
            structures++;
            structure = index;
        }
    }

    void check() {
        if (modinfos > 1) {
            throw ElfFailures.severalModinfo();
        }
        String name =
                image.foundByName()
                        .modinfo()
                        .firstRaw("name")
                        .orElse("(missing .modinfo section or name field)");
        if (rules.regrouped()) {
            checkStructure(name);
            checkSymbols(name);
            checkStringTable();
        } else {
            checkSymbols(name);
            checkStructure(name);
        }
        if (rules.extendedVersions()) {
            checkExtendedVersions();
        }
        if (rules.strings()) {
            checkStrings();
        }
    }

    private void checkStructure(String name) {
        if (structures != 1) {
            throw rules.regrouped()
                    ? ElfFailures.notOneThisModule(name)
                    : ElfFailures.severalThisModules(name);
        }
        Section section = sections.get(structure);
        if (section.type().equals(SectionType.NOBITS)) {
            throw ElfFailures.thisModuleWithoutContents(name);
        }
        if (!section.flags().alloc()) {
            throw ElfFailures.thisModuleNotAllocated(name);
        }
        if (rules.structModuleSize().isPresent()
                && section.size() != rules.structModuleSize().getAsLong()) {
            throw ElfFailures.thisModuleSize(name);
        }
    }

    private void checkSymbols(String name) {
        if (symbolTables != 1) {
            throw ElfFailures.noSymbols(name);
        }
    }

    private void checkStringTable() {
        int link = image.section(image.symbolSection()).link();
        if (link <= 0 || link >= sections.size()) {
            throw ElfFailures.wrongLink(link, sections.size());
        }
        SectionType type = sections.get(link).type();
        if (!type.equals(SectionType.STRTAB)) {
            throw ElfFailures.stringTableType(type.code());
        }
    }

    private void checkExtendedVersions() {
        int crcs = image.allocatedSectionIndex(CRCS);
        int names = image.allocatedSectionIndex(NAMES);
        if ((crcs == 0) != (names == 0)) {
            throw ElfFailures.extendedVersionsIncomplete();
        }
        if (crcs == 0) {
            return;
        }
        Bytes text = image.section(names).contents();
        int at = 0;
        for (long left = image.section(crcs).size() >>> 2; left > 0; left--) {
            int length = at < text.size() ? text.textLength(at) : 0;
            if (at + length >= text.size()) {
                throw ElfFailures.extendedVersionsWithoutNames();
            }
            at += length + 1;
        }
    }

    private void checkStrings() {
        SymbolTable symbols = image.symbols();
        Bytes strings = symbols.strings();
        if (strings.isEmpty()) {
            throw ElfFailures.emptyStringTable();
        }
        if (strings.get(0) != 0) {
            throw ElfFailures.stringTableBeginning();
        }
        if (strings.get(strings.size() - 1) != 0) {
            throw ElfFailures.stringTableUnterminated();
        }
        for (int i = 0; i < symbols.count(); i++) {
            if (Integer.toUnsignedLong(symbols.nameOffset(i)) >= strings.size()) {
                throw ElfFailures.symbolNameOutside();
            }
        }
    }
}

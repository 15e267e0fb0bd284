package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;
import static io.github.koloader.image.SectionFlags.MERGE;
import static io.github.koloader.image.SectionFlags.STRINGS;
import static io.github.koloader.image.SectionFlags.WRITE;

import java.util.List;

/**
 * The random choices that an image is made from. Every plan is good for a valid image: numbers that
 * pick something are taken modulo what there is, and sections grow to hold their relocations.
 *
 * @param name name of the module
 * @param sections sections besides {@code .text}
 * @param symbols symbols besides those of the sections
 * @param relocations relocations
 * @param exports names of its exports, sorted
 * @param init whether there is an init function
 * @param exit whether there is an exit function
 * @param modinfo entries besides licence and name
 * @param versions number of entries of {@code __versions}
 */
record ImagePlan(
        String name,
        List<SectionChoice> sections,
        List<SymbolChoice> symbols,
        List<RelocationChoice> relocations,
        List<String> exports,
        boolean init,
        boolean exit,
        List<String> modinfo,
        int versions) {
    /** What a section is for. */
    enum SectionKind {
        TEXT(".text", ALLOC | EXECINSTR),
        RODATA(".rodata", ALLOC),
        STRING_DATA(".rodata.str1.1", ALLOC | MERGE | STRINGS),
        DATA(".data", ALLOC | WRITE),
        BSS(".bss", ALLOC | WRITE),
        UNLIKELY(".text.unlikely", ALLOC | EXECINSTR),
        INIT_TEXT(".init.text", ALLOC | EXECINSTR),
        INIT_DATA(".init.data", ALLOC | WRITE),
        INIT_RODATA(".init.rodata", ALLOC),
        EXIT_TEXT(".exit.text", ALLOC | EXECINSTR),
        RO_AFTER_INIT(".data..ro_after_init", ALLOC | WRITE),
        PER_CPU(".data..percpu", ALLOC | WRITE),
        COMMENT(".comment", 0);

        final String sectionName;
        final long flags;

        SectionKind(String sectionName, long flags) {
            this.sectionName = sectionName;
            this.flags = flags;
        }

        boolean hasBytes() {
            return this != BSS;
        }
    }

    /** What a symbol is. */
    enum SymbolKind {
        LOCAL,
        GLOBAL,
        WEAK,
        UNDEFINED,
        WEAK_UNDEFINED,
        ABSOLUTE
    }

    /**
     * A section.
     *
     * @param kind what it is for
     * @param size its least size, bytes
     * @param alignmentBits binary logarithm of its alignment
     * @param seed of its random bytes
     */
    record SectionChoice(SectionKind kind, int size, int alignmentBits, long seed) {}

    /**
     * A symbol.
     *
     * @param kind what it is
     * @param name start of its name
     * @param section picks a section
     * @param value picks an offset in it, or is an absolute value
     */
    record SymbolChoice(SymbolKind kind, String name, int section, int value) {}

    /**
     * A relocation.
     *
     * @param row picks a row of the architecture's table
     * @param section picks the section with the place
     * @param symbol picks the symbol
     * @param gap bytes between the last place and this one
     * @param addend the addend, if the value fits with it
     */
    record RelocationChoice(int row, int section, int symbol, int gap, int addend) {}
}

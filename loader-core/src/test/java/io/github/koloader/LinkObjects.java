package io.github.koloader;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;

/** An object with functions and entries of initcalls, made without a compiler. */
final class LinkObjects {
    static final long CODE = SectionFlags.ALLOC | SectionFlags.EXECINSTR;
    static final long DATA = SectionFlags.ALLOC | SectionFlags.WRITE;
    static final long CONST = SectionFlags.ALLOC;

    private final Architecture architecture;
    final ImageBuilder builder;
    private final boolean relative;

    LinkObjects(Architecture architecture, boolean relative) {
        this.architecture = architecture;
        this.relative = relative;
        this.builder =
                new ImageBuilder(
                        architecture.elfMachine(),
                        architecture.encoding(),
                        architecture.acceptsRelocations(true));
    }

    static LinkObjects x86() {
        return new LinkObjects(io.github.koloader.arch.Architectures.X86_64, true);
    }

    /** Type of the relocation of an entry. */
    int entryType() {
        int size = relative ? 4 : architecture.encoding().wordSize();
        Formula formula = relative ? Formula.PC_RELATIVE : Formula.ABSOLUTE;
        for (RelocationType row : architecture.relocationTypes()) {
            if (row.formula() == formula
                    && row.field().size() == size
                    && row.field().mask() == -1L >>> 64 - 8 * size) {
                return row.code();
            }
        }
        throw new IllegalArgumentException("no entries of that kind on " + architecture.name());
    }

    int entrySize() {
        return relative ? 4 : architecture.encoding().wordSize();
    }

    /** Adds a section with that many bytes of 0x90 (of zeros unless it is code). */
    int section(String name, long flags, int size) {
        byte[] bytes = new byte[size];
        if ((flags & SectionFlags.EXECINSTR) != 0) {
            java.util.Arrays.fill(bytes, (byte) 0x90);
        }
        return builder.section(Section.progbits(name, flags, 4, Bytes.wrap(bytes)));
    }

    /** Adds a local function in a section of its own, and an initcall that leads to it. */
    LinkObjects initcall(InitcallLevel level, String function) {
        int text = section(".init.text", CODE, 16);
        int symbol =
                builder.symbol(
                        new Symbol(
                                function,
                                Binding.LOCAL,
                                Symbol.FUNC,
                                0,
                                new Symbol.InSection(text),
                                0,
                                16));
        entry(level.sectionName(), symbol);
        return this;
    }

    /** Adds an entry that leads to a symbol. */
    int entry(String section, int symbol) {
        int entry = section(section, CONST, entrySize());
        builder.relocate(entry, new Relocation(0, entryType(), symbol, 0));
        return entry;
    }

    /** Adds a global function of 16 bytes in a section of its own. */
    int global(String name, String section) {
        return builder.symbol(Symbol.function(name, section(section, CODE, 16), 0, 16));
    }

    /** Adds 8 bytes of data with a relocation for a word that leads to a symbol. */
    LinkObjects pointer(String section, int symbol) {
        int data = section(section, DATA, 8);
        builder.relocate(
                data,
                new Relocation(0, new LinkObjects(architecture, false).entryType(), symbol, 0));
        return this;
    }

    ModuleImage build() {
        return builder.build();
    }
}

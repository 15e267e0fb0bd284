package io.github.koloader.image;

import java.util.Map;

/**
 * {@code sh_type}. An open set: processors and systems have their own, so this is a number with
 * names for the known.
 *
 * @param code the number in the section header, an unsigned 32-bit value
 */
public record SectionType(int code) {
    /** No section: index 0. */
    public static final SectionType NULL = new SectionType(0);

    /** Bytes of the program. */
    public static final SectionType PROGBITS = new SectionType(1);

    /** Symbol table. */
    public static final SectionType SYMTAB = new SectionType(2);

    /** String table. */
    public static final SectionType STRTAB = new SectionType(3);

    /** Relocations with addends. */
    public static final SectionType RELA = new SectionType(4);

    /** Notes. */
    public static final SectionType NOTE = new SectionType(7);

    /** Space without bytes in the file. */
    public static final SectionType NOBITS = new SectionType(8);

    /** Relocations whose addends lie in the place they patch. */
    public static final SectionType REL = new SectionType(9);

    /** Array of constructors. */
    public static final SectionType INIT_ARRAY = new SectionType(14);

    /** Array of destructors. */
    public static final SectionType FINI_ARRAY = new SectionType(15);

    private static final Map<Integer, String> NAMES =
            Map.ofEntries(
                    Map.entry(0, "NULL"),
                    Map.entry(1, "PROGBITS"),
                    Map.entry(2, "SYMTAB"),
                    Map.entry(3, "STRTAB"),
                    Map.entry(4, "RELA"),
                    Map.entry(5, "HASH"),
                    Map.entry(6, "DYNAMIC"),
                    Map.entry(7, "NOTE"),
                    Map.entry(8, "NOBITS"),
                    Map.entry(9, "REL"),
                    Map.entry(10, "SHLIB"),
                    Map.entry(11, "DYNSYM"),
                    Map.entry(14, "INIT_ARRAY"),
                    Map.entry(15, "FINI_ARRAY"),
                    Map.entry(16, "PREINIT_ARRAY"),
                    Map.entry(17, "GROUP"),
                    Map.entry(18, "SYMTAB_SHNDX"));

    private static final SectionType[] KNOWN = known();

    private static SectionType[] known() {
        SectionType[] types = {
            NULL,
            PROGBITS,
            SYMTAB,
            STRTAB,
            RELA,
            null,
            null,
            NOTE,
            NOBITS,
            REL,
            null,
            null,
            null,
            null,
            INIT_ARRAY,
            FINI_ARRAY,
        };
        for (int i = 0; i < types.length; i++) {
            if (types[i] == null) {
                types[i] = new SectionType(i);
            }
        }
        return types;
    }

    /**
     * {@return the type of that number}
     *
     * @param code {@code sh_type}, any number
     */
    public static SectionType of(int code) {
        return code >= 0 && code < KNOWN.length ? KNOWN[code] : new SectionType(code);
    }

    /** {@return whether a section of this type has bytes in the file} */
    public boolean hasContents() {
        return code != NOBITS.code;
    }

    /** The name without {@code SHT_}, or the number in hexadecimal. */
    @Override
    public String toString() {
        String name = NAMES.get(code);
        return name != null ? name : "0x" + Integer.toHexString(code);
    }
}

package io.github.koloader.image;

/**
 * One symbol, as a value; the loader itself reads {@link SymbolTable}.
 *
 * @param name its name, empty for section symbols
 * @param binding its binding
 * @param type {@code STT_*}, the low half of {@code st_info}: 0 NOTYPE, 1 OBJECT, 2 FUNC, 3
 *     SECTION, 4 FILE
 * @param other {@code st_other}
 * @param place where it lives
 * @param value offset in its section, an absolute value, or the alignment of a common symbol
 * @param size bytes, 0 if unknown
 */
public record Symbol(
        String name, Binding binding, int type, int other, Place place, long value, long size) {
    /** {@code STT_NOTYPE}. */
    public static final int NOTYPE = 0;

    /** {@code STT_OBJECT}. */
    public static final int OBJECT = 1;

    /** {@code STT_FUNC}. */
    public static final int FUNC = 2;

    /** {@code STT_SECTION}. */
    public static final int SECTION = 3;

    /** Where a symbol lives: {@code st_shndx}. */
    public sealed interface Place permits Undefined, Absolute, Common, InSection, Reserved {}

    /** To be found elsewhere: SHN_UNDEF. */
    public record Undefined() implements Place {}

    /** A plain value: SHN_ABS. */
    public record Absolute() implements Place {}

    /** Not allocated yet, which no module may have: SHN_COMMON. */
    public record Common() implements Place {}

    /**
     * In a section.
     *
     * @param index the section's index
     */
    public record InSection(int index) implements Place {}

    /**
     * Another reserved index, such as livepatch's 0xff20.
     *
     * @param index 0xff00 … 0xffff
     */
    public record Reserved(int index) implements Place {}

    /**
     * {@return an undefined symbol of that name}
     *
     * @param name its name
     */
    public static Symbol undefined(String name) {
        return new Symbol(name, Binding.GLOBAL, NOTYPE, 0, new Undefined(), 0, 0);
    }

    /**
     * {@return an undefined symbol of that name that may stay undefined}
     *
     * @param name its name
     */
    public static Symbol weak(String name) {
        return new Symbol(name, Binding.WEAK, NOTYPE, 0, new Undefined(), 0, 0);
    }

    /**
     * {@return a global function in a section}
     *
     * @param name its name
     * @param section index of the section it lies in
     * @param value its offset in that section, bytes
     * @param size bytes, 0 if unknown
     */
    public static Symbol function(String name, int section, long value, long size) {
        return new Symbol(name, Binding.GLOBAL, FUNC, 0, new InSection(section), value, size);
    }

    /**
     * {@return a local object in a section}
     *
     * @param name its name
     * @param section index of the section it lies in
     * @param value its offset in that section, bytes
     * @param size bytes, 0 if unknown
     */
    public static Symbol object(String name, int section, long value, long size) {
        return new Symbol(name, Binding.LOCAL, OBJECT, 0, new InSection(section), value, size);
    }

    /**
     * {@return the symbol of a section itself}
     *
     * @param section index of the section
     */
    public static Symbol section(int section) {
        return new Symbol("", Binding.LOCAL, SECTION, 0, new InSection(section), 0, 0);
    }
}

package io.github.koloader;

/**
 * The kernel's own types of parameters: what {@code param_ops_TYPE} stand for.
 *
 * @kernel include/linux/moduleparam.h
 */
public enum ParameterType {
    /** {@code unsigned char}, a number. */
    BYTE("byte", 8, false),
    /** {@code short}. */
    SHORT("short", 16, true),
    /** {@code unsigned short}. */
    USHORT("ushort", 16, false),
    /** {@code int}. */
    INT("int", 32, true),
    /** {@code unsigned int}. */
    UINT("uint", 32, false),
    /** {@code long}: a word of the machine. */
    LONG("long", 0, true),
    /** {@code unsigned long}: a word of the machine. */
    ULONG("ulong", 0, false),
    /** {@code unsigned long long}. */
    ULLONG("ullong", 64, false),
    /** {@code unsigned int}, shown in hexadecimal. */
    HEXINT("hexint", 32, false),
    /** {@code char *}: a copy of the text. */
    CHARP("charp", -1, false),
    /** {@code bool}. */
    BOOL("bool", -1, false),
    /** {@code bool} that can be set, but not cleared again. */
    BOOL_ENABLE_ONLY("bool_enable_only", -1, false),
    /** {@code bool} that holds the opposite. */
    INVBOOL("invbool", -1, false),
    /** {@code int} that holds a boolean. */
    BINT("bint", -1, false),
    /** {@code char []} of a fixed size. */
    STRING("string", -1, false);

    private final String text;
    private final int bits;
    private final boolean signed;

    ParameterType(String text, int bits, boolean signed) {
        this.text = text;
        this.bits = bits;
        this.signed = signed;
    }

    /** {@return the word in its symbols and in {@code parmtype}, such as {@code ushort}} */
    public String text() {
        return text;
    }

    /** {@return whether it holds a number} */
    public boolean isInteger() {
        return bits >= 0;
    }

    /** {@return whether its numbers may be negative} */
    public boolean isSigned() {
        return signed;
    }

    /**
     * {@return how many bits its numbers have; 0 if it holds none}
     *
     * @param wordSize bytes of the machine's word, 4 or 8
     */
    public int bits(int wordSize) {
        return bits == 0 ? 8 * wordSize : Math.max(0, bits);
    }

    /** {@return whether its value may be left out, which then means yes} */
    public boolean valueOptional() {
        return this == BOOL || this == BOOL_ENABLE_ONLY || this == BINT;
    }
}

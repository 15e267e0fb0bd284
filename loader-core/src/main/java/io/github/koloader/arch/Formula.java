package io.github.koloader.arch;

/** How the value of a relocation comes about: S symbol, A addend, P place. */
public enum Formula {
    /** Nothing is computed. */
    NONE,
    /** S + A. */
    ABSOLUTE,
    /** S + A − P. */
    PC_RELATIVE;

    /**
     * {@return the value, modulo 2^64}
     *
     * @param s value of the symbol
     * @param a addend
     * @param p address of the place
     */
    public long value(long s, long a, long p) {
        return switch (this) {
            case NONE -> 0;
            case ABSOLUTE -> s + a;
            case PC_RELATIVE -> s + a - p;
        };
    }
}

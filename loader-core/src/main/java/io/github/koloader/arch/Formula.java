package io.github.koloader.arch;

/** How the value of a relocation comes about: S symbol, A addend, P place. */
public enum Formula {
    /** Nothing is computed. */
    NONE,
    /** S + A. */
    ABSOLUTE,
    /** S + A − P. */
    PC_RELATIVE,
    /** Page(S + A) − Page(P), of pages of 4 KiB. */
    PAGE_RELATIVE,
    /** What no formula of S, A and P alone gives: the architecture's {@link Relocator} knows. */
    OWN;

    private static final long PAGE = ~0xfffL;

    /**
     * {@return the value, modulo 2^64}
     *
     * @param s value of the symbol
     * @param a addend
     * @param p address of the place
     * @throws IllegalStateException of {@link #OWN}
     */
    public long value(long s, long a, long p) {
        return switch (this) {
            case NONE -> 0;
            case ABSOLUTE -> s + a;
            case PC_RELATIVE -> s + a - p;
            case PAGE_RELATIVE -> (s + a & PAGE) - (p & PAGE);
            case OWN -> throw new IllegalStateException("no formula of S, A and P");
        };
    }
}

package io.github.koloader.image;

/**
 * {@code sh_flags}.
 *
 * @param bits the number in the section header
 */
public record SectionFlags(long bits) {
    /** Written to at run time. */
    public static final long WRITE = 0x1;

    /** Takes memory at run time. */
    public static final long ALLOC = 0x2;

    /** Holds machine code. */
    public static final long EXECINSTR = 0x4;

    /** Equal elements may be merged. */
    public static final long MERGE = 0x10;

    /** Elements are NUL-terminated strings. */
    public static final long STRINGS = 0x20;

    /** {@code sh_info} is a section index. */
    public static final long INFO_LINK = 0x40;

    /** Member of a section group. */
    public static final long GROUP = 0x200;

    /** Relocations that livepatch applies. */
    public static final long RELA_LIVEPATCH = 0x0010_0000;

    /** The kernel's own mark for data that is read-only once init has run. */
    public static final long RO_AFTER_INIT = 0x0020_0000;

    /** No flag. */
    public static final SectionFlags NONE = new SectionFlags(0);

    private static final String LETTERS = "WAX MSILOGTC";

    private static final SectionFlags[] SMALL = small();

    private static SectionFlags[] small() {
        SectionFlags[] all = new SectionFlags[0x80];
        for (int bits = 0; bits < all.length; bits++) {
            all[bits] = new SectionFlags(bits);
        }
        return all;
    }

    /**
     * {@return the flags of that number}
     *
     * @param bits {@code sh_flags}, any number
     */
    public static SectionFlags of(long bits) {
        return bits >= 0 && bits < SMALL.length ? SMALL[(int) bits] : new SectionFlags(bits);
    }

    /**
     * {@return whether all of {@code mask} are set}
     *
     * @param mask bits of {@code sh_flags}
     */
    public boolean has(long mask) {
        return (bits & mask) == mask;
    }

    /** {@return whether the section takes memory} */
    public boolean alloc() {
        return (bits & ALLOC) != 0;
    }

    /**
     * {@return these and those of {@code mask}}
     *
     * @param mask bits to set
     */
    public SectionFlags with(long mask) {
        return of(bits | mask);
    }

    /**
     * {@return these without those of {@code mask}}
     *
     * @param mask bits to clear
     */
    public SectionFlags without(long mask) {
        return of(bits & ~mask);
    }

    /**
     * Letters as {@code readelf} prints them ({@code WAXMSILOGTC}); {@code o} and {@code p} stand
     * for ranges.
     */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        long rest = bits;
        for (int bit = 0; bit < LETTERS.length(); bit++) {
            if ((rest & 1L << bit) != 0 && LETTERS.charAt(bit) != ' ') {
                text.append(LETTERS.charAt(bit));
                rest &= ~(1L << bit);
            }
        }
        if ((rest & 0x0ff0_0000L) != 0) {
            text.append('o');
        }
        if ((rest & 0xf000_0000L) != 0) {
            text.append('p');
        }
        if ((rest & ~0xfff0_0000L) != 0) {
            text.append('x');
        }
        return text.toString();
    }
}

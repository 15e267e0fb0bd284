package io.github.koloader.arch;

import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.RelocationTable;

/**
 * The relocation that a {@link Relocator} is at: one object, which moves from entry to entry. S, A
 * and P are those of the psABI.
 */
public final class RelocationEntry {
    private final Architecture architecture;
    private final PlacedModule module;
    private final RelocationTable table;
    private final PlacedSection place;
    private int index;
    private int type;
    private int symbol;
    private long offset;
    private long a;

    RelocationEntry(
            Architecture architecture,
            PlacedModule module,
            RelocationTable table,
            PlacedSection place) {
        this.architecture = architecture;
        this.module = module;
        this.table = table;
        this.place = place;
    }

    void moveTo(int newIndex, int newType, int newSymbol, long newOffset, long newAddend) {
        this.index = newIndex;
        this.type = newType;
        this.symbol = newSymbol;
        this.offset = newOffset;
        this.a = newAddend;
    }

    /** {@return the table it is in} */
    public RelocationTable table() {
        return table;
    }

    /** {@return the section it patches} */
    public PlacedSection section() {
        return place;
    }

    /** {@return its index in the table} */
    public int index() {
        return index;
    }

    /** {@return its type, a number} */
    public int type() {
        return type;
    }

    /** {@return index of its symbol: any number, see {@link #hasSymbol}} */
    public int symbol() {
        return symbol;
    }

    /** {@return whether there is a symbol of that index} */
    public boolean hasSymbol() {
        return symbol >= 0 && symbol < module.symbolCount();
    }

    /** {@return name of its symbol; empty if there is none} */
    public String symbolName() {
        return hasSymbol() ? module.symbols().name(symbol) : "";
    }

    /** {@return bytes from the start of the section to the place: any number} */
    public long offset() {
        return offset;
    }

    /**
     * {@return S: the value of its symbol}
     *
     * @throws LoadException if there is no such symbol
     */
    public long s() {
        if (!hasSymbol()) {
            throw rejected(Kind.NO_SUCH_SYMBOL, 0);
        }
        return module.symbolValue(symbol);
    }

    /**
     * {@return whether S is one of the last 4,095 numbers of a word, which the loaders of some
     * machines take for an error in the place of an address}
     *
     * @param wide whether words have 64 bits, not 32
     * @throws LoadException if there is no such symbol
     */
    boolean hasErrorPointer(boolean wide) {
        long value = wide ? s() : (int) s();
        return value < 0 && value >= -4095;
    }

    /** {@return whether its symbol is a weak one} */
    boolean isWeak() {
        return hasSymbol() && module.symbols().isWeak(symbol);
    }

    /** {@return A: the addend that it carries, 0 with REL} */
    public long a() {
        return a;
    }

    /** {@return P: address of the place} */
    public long p() {
        return place.address() + offset;
    }

    /**
     * {@return what the place holds, zero-extended}
     *
     * @param length bytes of the place: 0, 1, 2, 4 or 8
     * @throws LoadException if the place does not lie in its section
     */
    public long read(int length) {
        checkPlace(length);
        return place.read(offset, length);
    }

    /**
     * Writes the place.
     *
     * @param length bytes of the place: 0, 1, 2, 4 or 8
     * @param value what it will hold
     * @throws LoadException if the place does not lie in its section
     */
    public void write(int length, long value) {
        checkPlace(length);
        place.write(offset, length, value);
    }

    /**
     * Checks that the place lies in its section, which no kernel does but 32-bit Arm's.
     *
     * @param length bytes of the place
     * @throws LoadException if it does not
     */
    public void checkPlace(int length) {
        if (!place.holds(offset, length)) {
            throw rejected(Kind.OUTSIDE_SECTION, 0);
        }
    }

    /**
     * {@return the failure of this entry in its architecture's words}
     *
     * @param kind what is wrong
     * @param value what would have been written
     */
    public LoadException rejected(Kind kind, long value) {
        return rejected(kind, hasSymbol() ? module.symbolValue(symbol) : 0, a, value);
    }

    /**
     * {@return the failure of this entry when it leads to a veneer, not to its symbol}
     *
     * @param kind what is wrong
     * @param veneer address of the veneer
     * @param value what would have been written
     */
    public LoadException rejectedVia(Kind kind, long veneer, long value) {
        return rejected(kind, veneer, 0, value);
    }

    private LoadException rejected(Kind kind, long target, long addend, long value) {
        RelocationFailure failure =
                new RelocationFailure(
                        kind,
                        module.config(),
                        module.name(),
                        table.section(),
                        index,
                        type,
                        symbolName(),
                        target,
                        addend,
                        p(),
                        value,
                        offset,
                        place.size());
        String section = module.image().section(table.target()).name();
        return architecture
                .rejection(failure)
                .diagnosed(RelocationDiagnosis.of(architecture, failure, section));
    }
}

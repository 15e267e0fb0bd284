package io.github.koloader.internal.link;

import io.github.koloader.LinkException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What is wrong with a link, in the words of GNU ld where it has any; one home for all of it. */
final class Problems {
    /** Lines that are kept; how many there are beyond is said in one more. */
    private static final int MOST = 10_000;

    private final List<String> lines = new ArrayList<>();
    private int more;

    private void add(String format, Object... arguments) {
        if (lines.size() < MOST) {
            lines.add(String.format(Locale.ROOT, format, arguments));
        } else {
            more++;
        }
    }

    /**
     * Ends the link if anything is wrong.
     *
     * @throws LinkException with all that is wrong so far
     */
    void check() {
        if (lines.isEmpty()) {
            return;
        }
        if (more > 0) {
            lines.add(more + " more problems");
        }
        LinkException failure = new LinkException(lines);
        lines.clear(); // there may be another try
        more = 0;
        throw failure;
    }

    private static String place(String object, String section, long offset) {
        return String.format(Locale.ROOT, "%s:(%s+0x%x)", object, section, offset);
    }

    void undefined(String object, String section, long offset, String symbol) {
        add("%s: undefined reference to `%s'", place(object, section, offset), symbol);
    }

    void duplicate(String place, String symbol, String firstPlace) {
        add("%s: multiple definition of `%s'; %s: first defined here", place, symbol, firstPlace);
    }

    static String definition(String object, String section, long value) {
        return place(object, section, value);
    }

    void discarded(String symbol, String section, String object, String discarded, String definer) {
        add(
                "`%s' referenced in section `%s' of %s: defined in discarded section `%s' of %s",
                symbol, section, object, discarded, definer);
    }

    void truncated(String object, String section, long offset, String type, String symbol) {
        add(
                "%s: relocation truncated to fit: %s against symbol `%s'",
                place(object, section, offset), type, symbol);
    }

    void wrongMachine(String object, String machine, String expected) {
        add("%s: is for %s, and cannot be linked into a kernel for %s", object, machine, expected);
    }

    void badAlignment(String object, String section, long alignment) {
        add(
                "%s: section %s has alignment %s, which is no power of two",
                object, section, Long.toUnsignedString(alignment));
    }

    void tooLarge(String section, long limit) {
        add("section %s: the image has more than %d bytes", section, limit);
    }

    void tooMuchPadding(long limit) {
        add("alignments want more than %d bytes between what the objects hold", limit);
    }

    void tooManySections(int limit) {
        add("the image has more than %d sections", limit);
    }

    void tooManySymbols(int limit) {
        add("the objects have more than %d symbols", limit);
    }

    void wrongRelocationKind(String object, String section, boolean withAddends) {
        add(
                "%s: relocations %s are %s, which this architecture does not have",
                object, section, withAddends ? "RELA" : "REL");
    }

    void relocationOutside(String object, String section, long offset) {
        add("%s: relocation outside of the section", place(object, section, offset));
    }

    void noSuchSymbol(String object, String section, long offset, int symbol) {
        add(
                "%s: relocation against symbol %s, which the object does not have",
                place(object, section, offset), Integer.toUnsignedString(symbol));
    }

    void unknownSection(String object, String symbol, int section) {
        add("%s: symbol `%s' is in section 0x%x, which is not known", object, symbol, section);
    }

    void commonAlignment(String object, String symbol, long alignment) {
        add(
                "%s: common symbol `%s' has alignment %s, which is no power of two",
                object, symbol, Long.toUnsignedString(alignment));
    }

    // ---- initcalls ----

    void entriesDiffer(String object, String section, EntryStyle style, EntryStyle others) {
        add(
                "%s: entries of section %s are %s, those of the objects before %s",
                object, section, style, others);
    }

    void entriesIncomplete(String object, String section, long size, int entry) {
        add(
                "%s: section %s has %d bytes, which is no number of entries of %d",
                object, section, size, entry);
    }

    void entryWithoutRelocation(String object, String section, long offset) {
        add("%s: no relocation gives the entry a function", place(object, section, offset));
    }

    void noEntry(String object, String section, long offset, String type) {
        add("%s: relocation %s makes no entry", place(object, section, offset), type);
    }

    void holeInTable(String object, String section, long alignment) {
        add(
                "%s: alignment %d of section %s leaves a hole in the table of initcalls",
                object, alignment, section);
    }

    void callOfNothing(String object, String section, long offset) {
        add("%s: the entry leads to address 0", place(object, section, offset));
    }

    void noSuchLevel(String function, String macro) {
        add("%s: this kernel has no %s", function, macro);
    }

    void entryTooFar(String function) {
        add("%s: too far from its entry for a distance of 32 bits", function);
    }
}

package io.github.koloader.elf.internal;

import com.google.common.primitives.ImmutableLongArray;
import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Finds a linked kernel's initcalls. Their tables have no header and no length: symbols bound them,
 * or {@code initcall_levels[]} does, nine pointers in init data to where levels 0 … 7 begin and the
 * last ends. Early calls lie right before level 0, those of consoles right behind the last level.
 *
 * <p>Without either of them, there is still the longest place in init data where one pointer to
 * init code follows the other.
 *
 * @kernel include/asm-generic/vmlinux.lds.h, INIT_CALLS; init/main.c, initcall_levels
 */
final class InitcallTables {
    private static final int LEVELS = 8;
    private static final int SHORTEST_TABLE = 16;

    /**
     * A stretch of entries and the levels that they may have; of the first, if nothing else says.
     */
    private record Part(long start, long end, List<InitcallLevel> possible) {}

    private final LinkedImage image;
    private final SymbolIndex symbols;
    private final CodeRanges code;
    private final Encoding encoding;
    private final List<Initcall> calls = new ArrayList<>();
    private final List<String> unknown = new ArrayList<>();
    private Optional<AddressRange> range = Optional.empty();
    private final List<Long> wrongEntries = new ArrayList<>();
    private long entriesToTry; // so that no file takes forever
    private int withoutModule;
    private int withoutForm;
    private int withoutName;

    InitcallTables(LinkedImage image, SymbolIndex symbols, CodeRanges code) {
        this.image = image;
        this.symbols = symbols;
        this.code = code;
        this.encoding = image.encoding();
        this.entriesToTry = image.pieces().stream().mapToLong(piece -> piece.bytes().size()).sum();
    }

    /** What is called, in the order of the tables: consoles last. */
    List<Initcall> calls() {
        return calls;
    }

    /** Whether each call's entry tells its form. */
    boolean formsKnown() {
        return withoutForm == 0;
    }

    /** What could not be found out. */
    List<String> unknown() {
        return unknown;
    }

    /** Early calls up to the last level. */
    Optional<AddressRange> range() {
        return range;
    }

    /** Finds and reads the tables. */
    InitcallTables read() {
        if (!readByBounds() && !readByLevels() && !readByLongestRun()) {
            unknown.add(
                    "Initcalls: no symbols bound their tables, no place in init data is certainly"
                            + " initcall_levels[], and no run of pointers to functions stands out.");
        }
        say(
                wrongEntries.size(),
                "%d entries lead to where there is no code, and are left out; the first is that at"
                        + " 0x"
                        + (wrongEntries.isEmpty() ? "" : Long.toHexString(wrongEntries.get(0))));
        say(withoutName, "names of %d functions: no symbol has that very address");
        say(withoutModule, "modules of %d calls: there is no symbol of the entry that names it");
        say(
                withoutForm,
                "whether %d calls are of the sync or rootfs form: there is no symbol of the entry"
                        + " that tells; each counts as the plain form of the level that runs it");
        return this;
    }

    private void say(int count, String format) {
        if (count > 0) {
            unknown.add("Initcalls: " + String.format(Locale.ROOT, format, count) + ".");
        }
    }

    // By symbols

    private boolean readByBounds() {
        Optional<Long> early = symbols.address("__initcall_start");
        Optional<Long> end = symbols.address("__initcall_end");
        if (early.isEmpty() || end.isEmpty()) {
            return false;
        }
        List<Part> parts = new ArrayList<>();
        long at = early.get();
        List<InitcallLevel> possible = List.of(InitcallLevel.EARLY);
        for (int level = 0; level < LEVELS; level++) {
            Optional<Long> start = symbols.address("__initcall" + level + "_start");
            if (start.isEmpty()) {
                unknown.add("Initcalls: there is no symbol __initcall" + level + "_start.");
                return false;
            }
            parts.add(new Part(at, start.get(), possible));
            at = start.get();
            possible = plainAndSync(level);
            Optional<Long> rootfs = symbols.address("__initcallrootfs_start");
            if (level == 5 && rootfs.isPresent()) {
                parts.add(new Part(at, rootfs.get(), possible));
                at = rootfs.get();
                possible = List.of(InitcallLevel.ROOTFS);
            } else if (level == 5) {
                possible = levelsOf(level);
            }
        }
        parts.add(new Part(at, end.get(), possible));
        Optional<EntryKind> kind = usable(parts) ? kindOf(parts) : Optional.empty();
        if (kind.isEmpty()) {
            unknown.add(
                    "Initcalls: the symbols of their bounds are out of order, do not bound whole"
                            + " entries in the image, or most entries lead to no code.");
            return false;
        }
        parts.forEach(part -> readPart(part, kind.get()));
        range = Optional.of(AddressRange.between(early.get(), end.get()));
        readBounded("con", InitcallLevel.CONSOLE, kind.get());
        readBounded("security", InitcallLevel.SECURITY, kind.get());
        return true;
    }

    private void readBounded(String id, InitcallLevel level, EntryKind kind) {
        String start = "__" + id + "_initcall_start";
        String end = "__" + id + "_initcall_end";
        Optional<Long> from = symbols.address(start);
        Optional<Long> to = symbols.address(end);
        if (from.isEmpty() || to.isEmpty()) {
            if (level == InitcallLevel.CONSOLE) {
                unknown.add(
                        "Initcalls: consoles: there are no symbols " + start + ", " + end + ".");
            }
            return;
        }
        Part part = new Part(from.get(), to.get(), List.of(level));
        if (usable(List.of(part)) && (part.end() - part.start()) % kind.size(encoding) == 0) {
            readPart(part, kind);
        } else {
            unknown.add(
                    "Initcalls: " + start + " and " + end + " do not bound entries in the image.");
        }
    }

    private boolean usable(List<Part> parts) {
        for (Part part : parts) {
            if (Long.compareUnsigned(part.start(), part.end()) > 0
                    || part.start() != part.end()
                            && !image.has(part.start(), part.end() - part.start())) {
                return false;
            }
        }
        return true;
    }

    /** The kind that makes most of the entries lead to code. */
    private Optional<EntryKind> kindOf(List<Part> parts) {
        Optional<EntryKind> best = Optional.empty();
        long most = -1;
        for (EntryKind kind : EntryKind.values()) {
            int size = kind.size(encoding);
            long all = 0;
            long good = 0;
            boolean whole = true;
            for (Part part : parts) {
                whole &= (part.end() - part.start()) % size == 0;
                for (long at = part.start(); whole && at != part.end(); at += size) {
                    all++;
                    OptionalLong target = target(kind, at);
                    good += target.isPresent() && code.isCode(target.getAsLong()) ? 1 : 0;
                }
            }
            if (whole && 2 * good >= all && good > most) {
                most = good;
                best = Optional.of(kind);
            }
        }
        return best;
    }

    // By initcall_levels[]

    private boolean readByLevels() {
        List<LinkedImage.Piece> pieces = initData();
        List<EntryRuns> runs = new ArrayList<>();
        for (EntryKind kind : EntryKind.values()) {
            runs.add(new EntryRuns(kind, encoding, pieces, code));
        }
        List<Found> found = new ArrayList<>();
        Optional<Long> known = symbols.address("initcall_levels");
        int word = encoding.wordSize();
        for (LinkedImage.Piece piece : pieces) {
            int last = piece.bytes().size() - (LEVELS + 1) * word;
            for (int at = (int) (-piece.address() & word - 1); at <= last; at += word) {
                long address = piece.address() + at;
                if (found.size() < 2 && (known.isEmpty() || known.get() == address)) {
                    candidate(piece.bytes(), at, runs).ifPresent(found::add);
                }
            }
        }
        if (found.size() != 1) {
            unknown.add(
                    "Initcalls: "
                            + (found.isEmpty() ? "nothing" : "more than one place")
                            + " in init data looks like initcall_levels[].");
            return false;
        }
        readLevels(found.get(0));
        return true;
    }

    /** Nine pointers, and the run of entries that they lead into. */
    private record Found(ImmutableLongArray starts, EntryKind kind, EntryRuns.Run run) {}

    private Optional<Found> candidate(Bytes bytes, int at, List<EntryRuns> all) {
        int word = encoding.wordSize();
        long first = bytes.readWord(at, encoding);
        long end = bytes.readWord(at + LEVELS * word, encoding);
        if (first == 0 || Long.compareUnsigned(first, end) >= 0) {
            return Optional.empty();
        }
        long[] words = new long[LEVELS + 1];
        for (int i = 0; i <= LEVELS; i++) {
            words[i] = bytes.readWord(at + i * word, encoding);
            if (i > 0 && Long.compareUnsigned(words[i], words[i - 1]) < 0) {
                return Optional.empty();
            }
        }
        ImmutableLongArray starts = ImmutableLongArray.copyOf(words);
        for (EntryRuns runs : all) {
            Optional<EntryRuns.Run> run = runs.around(first, end);
            if (run.isPresent()
                    && allWhole(starts, runs.kind())
                    && mostHaveNames(first, end, runs.kind())) {
                return Optional.of(new Found(starts, runs.kind(), run.get()));
            }
        }
        return Optional.empty();
    }

    private boolean allWhole(ImmutableLongArray starts, EntryKind kind) {
        long first = starts.get(0);
        return starts.stream().allMatch(start -> (start - first) % kind.size(encoding) == 0);
    }

    /** Whether three of four entries lead to where a symbol is, as far as there are symbols. */
    private boolean mostHaveNames(long first, long end, EntryKind kind) {
        int size = kind.size(encoding);
        long count = (end - first) / size;
        entriesToTry -= count;
        if (entriesToTry < 0) {
            return false;
        }
        long named = 0;
        for (long entry = first; entry != end; entry += size) {
            named += leadsToFunction(kind, entry) ? 1 : 0;
        }
        return 4 * named >= 3 * count;
    }

    private void readLevels(Found found) {
        ImmutableLongArray starts = found.starts();
        EntryKind kind = found.kind();
        int size = kind.size(encoding);
        long early = found.run().start(); // at either end something else may look like an entry
        while (early != starts.get(0) && !leadsToFunction(kind, early)) {
            early += size;
        }
        readPart(new Part(early, starts.get(0), List.of(InitcallLevel.EARLY)), kind);
        for (int level = 0; level < LEVELS; level++) {
            readPart(new Part(starts.get(level), starts.get(level + 1), levelsOf(level)), kind);
        }
        range = Optional.of(AddressRange.between(early, starts.get(LEVELS)));
        Optional<LinkedImage.Piece> consoles =
                image.section(InitcallLevel.CONSOLE.sectionName())
                        .filter(piece -> piece.bytes().size() % size == 0);
        long from = consoles.map(LinkedImage.Piece::address).orElse(starts.get(LEVELS));
        long to = consoles.map(piece -> from + piece.bytes().size()).orElse(found.run().end());
        while (to != from && !leadsToFunction(kind, to - size)) {
            to -= size;
        }
        readPart(new Part(from, to, List.of(InitcallLevel.CONSOLE)), kind);
    }

    // By their looks

    private boolean readByLongestRun() {
        Optional<EntryRuns.Run> best = Optional.empty();
        Optional<EntryKind> kind = Optional.empty();
        int most = SHORTEST_TABLE - 1;
        for (EntryKind each : EntryKind.values()) {
            Optional<EntryRuns.Run> run =
                    new EntryRuns(each, encoding, initData(), code).mostInit();
            int init = run.map(EntryRuns.Run::init).orElse(0);
            if (init > most) {
                most = init;
                best = run;
                kind = Optional.of(each);
            }
        }
        if (best.isEmpty() || kind.isEmpty()) {
            return false;
        }
        unknown.add(
                "Initcalls: levels: the table is only known as the longest run of pointers to init"
                        + " code, and may be longer; all calls count as device_initcall, in its"
                        + " order, in which early ones are the first, and those of consoles may be"
                        + " the last.");
        readPart(
                new Part(best.get().start(), best.get().end(), List.of(InitcallLevel.DEVICE)),
                kind.get());
        range = Optional.of(AddressRange.between(best.get().start(), best.get().end()));
        return true;
    }

    /** Pieces that init data may be in: those named so; else those that are not code; else all. */
    private List<LinkedImage.Piece> initData() {
        List<LinkedImage.Piece> data =
                image.pieces().stream().filter(piece -> !piece.executable()).toList();
        List<LinkedImage.Piece> init =
                data.stream()
                        .filter(
                                piece ->
                                        piece.name().startsWith(".init")
                                                || piece.name().contains("initcall"))
                        .toList();
        if (!init.isEmpty()) {
            return init;
        }
        boolean named = data.stream().anyMatch(piece -> !piece.name().isEmpty());
        return named ? data : image.pieces();
    }

    // Entries

    /** What an entry leads to; empty if it is not in the image, as it may be if pieces overlap. */
    private OptionalLong target(EntryKind kind, long entry) {
        Optional<LinkedImage.Piece> piece = image.pieceAt(entry, kind.size(encoding));
        return piece.isEmpty()
                ? OptionalLong.empty()
                : OptionalLong.of(
                        kind.target(
                                piece.get().bytes(),
                                (int) (entry - piece.get().address()),
                                entry,
                                encoding));
    }

    private boolean leadsToFunction(EntryKind kind, long entry) {
        OptionalLong target = target(kind, entry);
        return target.isPresent() && code.isFunction(target.getAsLong());
    }

    private void readPart(Part part, EntryKind kind) {
        int size = kind.size(encoding);
        InitcallLevel lowest = part.possible().get(0);
        for (long entry = part.start(); entry != part.end(); entry += size) {
            OptionalLong found = target(kind, entry);
            if (found.isEmpty() || !code.isCode(found.getAsLong())) {
                wrongEntries.add(entry);
                continue;
            }
            long target = found.getAsLong();
            List<String> functions = symbols.namesAt(target);
            InitcallEntry named =
                    InitcallEntry.of(symbols.namesAt(entry), functions, part.possible());
            Optional<InitcallLevel> level = named.level();
            if (level.isPresent() && level.get().compareTo(lowest) > 0) {
                lowest = level.get(); // entries lie in running order
            }
            withoutModule += named.module().isEmpty() ? 1 : 0;
            withoutName += functions.isEmpty() ? 1 : 0;
            withoutForm += level.isEmpty() && part.possible().size() > 1 ? 1 : 0;
            calls.add(
                    new Initcall(
                            lowest,
                            new Address(target),
                            functions.isEmpty() ? "" : functions.get(0),
                            named.module()));
        }
    }

    private static List<InitcallLevel> plainAndSync(int number) {
        return levelsOf(number).stream().filter(level -> level != InitcallLevel.ROOTFS).toList();
    }

    private static List<InitcallLevel> levelsOf(int number) {
        return List.of(InitcallLevel.values()).stream()
                .filter(level -> level.number().orElse(-1) == number)
                .toList();
    }
}

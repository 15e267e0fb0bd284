package io.github.koloader.internal.link;

import io.github.koloader.InitcallLevel;
import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What the kernel's linker script says: which section goes where, in what order, and which symbols
 * stand at the bounds. What it does not name goes into a section of its own name behind the others
 * of its kind, as an orphan does with {@code ld}.
 *
 * @kernel include/asm-generic/vmlinux.lds.h
 */
final class ImageScript {
    /** The parts of an image, lowest addresses first; each starts on a page. */
    enum Part {
        TEXT,
        RODATA,
        DATA,
        BSS,
        INIT
    }

    /**
     * Where a section goes.
     *
     * @param output name of the output section
     * @param part the part of the image that this is in
     * @param order place in the part among the sections that the script names; orphans come last
     * @param rank place in the output section; those of one rank are in link order
     * @param key what those of one rank are sorted by before link order; usually empty
     * @param counter what those of one object are sorted by before their index
     */
    record Target(String output, Part part, int order, int rank, String key, long counter) {
        Target(String output, Part part, int order, int rank) {
            this(output, part, order, rank, "", 0);
        }
    }

    /**
     * Two symbols around sections of some ranks.
     *
     * @param start at the first one, or where it would be; empty for no symbol
     * @param end behind the last one; empty for no symbol
     * @param output the output section
     * @param first the lowest rank
     * @param last the highest rank
     */
    record Bounds(String start, String end, String output, int first, int last) {}

    static final String TEXT = ".text";
    static final String RODATA = ".rodata";
    static final String RO_AFTER_INIT = ".data..ro_after_init";
    static final String PARAM = "__param";
    static final String DATA = ".data";
    static final String BSS = ".bss";
    static final String INIT_TEXT = ".init.text";
    static final String EXIT_TEXT = ".exit.text";
    static final String INIT_DATA = ".init.data";
    static final String EXIT_DATA = ".exit.data";
    static final String SETUP = ".init.setup";
    static final String INITCALLS = ".initcall.init";
    static final String PER_CPU = ".data..percpu";

    private static final int ALL = Integer.MAX_VALUE;
    private static final int ORPHAN = 1000;

    /** Where the plain entries of level 0 are; each level takes two ranks. */
    private static final int LEVELS = 2;

    private static final int INITCALL_END = 100;
    private static final int CONSOLE = 101;
    private static final int SECURITY = 102;

    /** Ids of the levels, in the order of the linker script. */
    private static final List<String> LEVEL_IDS =
            List.of("0", "1", "2", "3", "4", "5", "rootfs", "6", "7");

    private static final Pattern LEVEL = Pattern.compile("\\.initcall([0-7]|rootfs)(s?)\\.init");

    /** What link-time optimisation calls an entry's section, behind the name of the level's. */
    private static final Pattern LINK_TIME =
            Pattern.compile(
                    "(\\.(?:(?:con|security)_)?initcall[0-9a-z]*\\.init)\\.\\..*?__(\\d{1,18})_\\d+_.*",
                    Pattern.DOTALL);

    /** Names of code that is kept together, in order, and of its bounds. */
    private static final List<String> TEXT_KINDS =
            List.of(
                    "noinstr",
                    "sched",
                    "spinlock",
                    "cpuidle",
                    "kprobes",
                    "entry",
                    "irqentry",
                    "softirqentry",
                    "static_call");

    private static final int FIRST_TEXT_KIND = 10;

    private static final Map<String, Integer> SMALL_DATA =
            Map.of(
                    ".data..init_task", 0,
                    ".data..page_aligned", 1,
                    ".data..cacheline_aligned", 2,
                    ".data..read_mostly", 3);

    private static final Map<String, Integer> PER_CPU_RANKS =
            Map.of(
                    "..first", 0,
                    "..page_aligned", 1,
                    "..read_mostly", 2,
                    "", 3,
                    "..shared_aligned", 4);

    /** Tables that are read-only whatever their flags say, with their alignment. */
    private static final List<String> READ_ONLY_TABLES =
            List.of(
                    "__ksymtab",
                    "__ksymtab_gpl",
                    "__ksymtab_unused",
                    "__ksymtab_unused_gpl",
                    "__ksymtab_gpl_future",
                    "__kcrctab",
                    "__kcrctab_gpl",
                    "__kcrctab_unused",
                    "__kcrctab_unused_gpl",
                    "__kcrctab_gpl_future",
                    "__ksymtab_strings",
                    PARAM,
                    "__modver",
                    "__ex_table",
                    ".notes");

    private final Architecture architecture;
    private final KernelConfig config;
    private final boolean keepsMem;
    private final boolean keepsCpu;
    private final boolean traces;

    ImageScript(Architecture architecture, KernelConfig config) {
        this.architecture = architecture;
        this.config = config;
        this.keepsMem = config.kconfig("CONFIG_MEMORY_HOTPLUG", architecture.encoding().wide());
        this.keepsCpu = config.kconfig("CONFIG_HOTPLUG_CPU", true);
        this.traces = config.kconfig("CONFIG_DYNAMIC_FTRACE", true);
    }

    /** Whether a section takes memory in a kernel at all; those for debuggers do not. */
    static boolean isPlaced(Section section) {
        int type = section.type().code();
        return section.flags().alloc()
                && type != SectionType.NULL.code()
                && type != SectionType.REL.code()
                && type != SectionType.RELA.code()
                && type != SectionType.SYMTAB.code();
    }

    /** Where a section goes that takes memory; {@code null} if it is discarded. */
    @Nullable Target target(Section section) {
        String name = sectionOfMark(section.name());
        if (isDiscarded(name)) {
            return null;
        }
        Target entry = initcall(name);
        if (entry != null) {
            return entry;
        }
        boolean code = section.flags().has(SectionFlags.EXECINSTR);
        if (isOf(name, ".exit.text") || isOf(name, ".exit.data") || name.startsWith(".exit")) {
            return !architecture.keepsBuiltInExit()
                    ? null
                    : code
                            ? new Target(EXIT_TEXT, Part.INIT, 1, 0)
                            : new Target(EXIT_DATA, Part.INIT, 3, 0);
        }
        if (isOf(name, PER_CPU)) {
            int rank = PER_CPU_RANKS.getOrDefault(name.substring(PER_CPU.length()), 3);
            return new Target(PER_CPU, Part.INIT, 2 * ORPHAN, rank);
        }
        Target init = init(name, code);
        if (init != null) {
            return init;
        }
        return code ? text(name) : data(name, section);
    }

    /** Where the entry of an initcall goes; {@code null} if this kernel has no such table. */
    @Nullable Target initcall(InitcallLevel level) {
        return initcall(level.sectionName());
    }

    private @Nullable Target initcall(String name) {
        Matcher linkTime = LINK_TIME.matcher(name);
        long counter = linkTime.matches() ? Long.parseLong(linkTime.group(2)) : 0;
        int rank = initcallRank(linkTime.matches() ? linkTime.group(1) : name);
        return rank < 0 ? null : new Target(INITCALLS, Part.INIT, 5, rank, "", counter);
    }

    private int initcallRank(String name) {
        Matcher level = LEVEL.matcher(name);
        if (level.matches()) {
            return LEVELS + 2 * LEVEL_IDS.indexOf(level.group(1)) + level.group(2).length();
        }
        return switch (name) {
            case ".initcallearly.init" -> 0;
            case ".con_initcall.init" -> CONSOLE;
            case ".security_initcall.init" -> config.atLeast(5, 0) ? -1 : SECURITY;
            default -> -1;
        };
    }

    private static boolean isOf(String name, String kind) {
        return name.equals(kind) || name.startsWith(kind + ".");
    }

    /** What a mark of memory or processors that come and go amounts to in this kernel. */
    private String sectionOfMark(String name) {
        for (String mark : List.of(".mem", ".cpu", ".dev")) {
            boolean init = name.startsWith(mark + "init.");
            boolean exit = name.startsWith(mark + "exit.");
            if (init || exit) {
                boolean keeps = mark.equals(".mem") ? keepsMem : mark.equals(".cpu") && keepsCpu;
                String rest = name.substring(mark.length() + "init".length());
                return (keeps ? ".ref" : init ? ".init" : ".exit") + rest;
            }
        }
        return name;
    }

    private boolean isDiscarded(String name) {
        return isOf(name, ".exitcall.exit")
                || name.startsWith(".discard")
                || name.startsWith(".gnu.version")
                || isOf(name, ".modinfo")
                || isOf(name, ".eh_frame")
                || isOf(name, ".note.GNU-stack")
                || isOf(name, ".note.gnu.property")
                || isOf(name, ".export_symbol")
                || !traces
                        && (isOf(name, "__patchable_function_entries")
                                || isOf(name, "__mcount_loc"));
    }

    private static @Nullable Target init(String name, boolean code) {
        if (name.equals(SETUP)) {
            return new Target(SETUP, Part.INIT, 4, 0);
        }
        if (name.equals(".altinstructions") || name.equals(".altinstr_replacement")) {
            return new Target(name, Part.INIT, code ? 7 : 6, 0);
        }
        if (isOf(name, "__mcount_loc") || isOf(name, "__patchable_function_entries")) {
            return new Target("__mcount_loc", Part.INIT, 8, 0);
        }
        if (isOf(name, ".ctors")) {
            return new Target(INIT_DATA, Part.INIT, 2, 1, name, 0);
        }
        if (isOf(name, ".init_array")) {
            boolean numbered = name.length() > ".init_array".length();
            return new Target(INIT_DATA, Part.INIT, 2, numbered ? 2 : 3, name, 0);
        }
        if (!isOf(name, ".init")) {
            return null;
        }
        if (code) {
            return new Target(INIT_TEXT, Part.INIT, 0, 0);
        }
        if (isOf(name, INIT_DATA)) {
            return new Target(INIT_DATA, Part.INIT, 2, 0);
        }
        return isOf(name, ".init.rodata")
                ? new Target(INIT_DATA, Part.INIT, 2, 4)
                : new Target(name, Part.INIT, ORPHAN, 0);
    }

    private static Target text(String name) {
        int rank = isOf(name, ".head.text") ? 0 : isOf(name, ".text.hot") ? 1 : 2;
        if (isOf(name, ".text.unlikely")) {
            rank = 3;
        } else if (isOf(name, ".ref.text")) {
            rank = 4;
        }
        for (int kind = 0; kind < TEXT_KINDS.size(); kind++) {
            if (isOf(name, "." + TEXT_KINDS.get(kind) + ".text")) {
                rank = FIRST_TEXT_KIND + kind;
            }
        }
        boolean known = rank != 2 || isOf(name, TEXT) || name.equals(".fixup");
        return known
                ? new Target(TEXT, Part.TEXT, 0, rank)
                : new Target(name, Part.TEXT, ORPHAN, 0);
    }

    private static Target data(String name, Section section) {
        String table = table(name);
        int known = READ_ONLY_TABLES.indexOf(table);
        if (known >= 0) {
            return new Target(table, Part.RODATA, 10 + known, 0, table.equals(name) ? "" : name, 0);
        }
        if (isOf(name, RO_AFTER_INIT)) {
            return new Target(RO_AFTER_INIT, Part.RODATA, 1, 0);
        }
        if (isOf(name, RODATA) || isOf(name, ".ref.rodata")) {
            return new Target(RODATA, Part.RODATA, 0, 0);
        }
        if (isOf(name, ".data.rel.ro")) {
            return new Target(RODATA, Part.RODATA, 0, 1);
        }
        if (isOf(name, BSS) || isOf(name, ".sbss") || name.equals(".dynbss")) {
            boolean pages = name.equals(".bss..page_aligned");
            return new Target(BSS, Part.BSS, 0, pages ? 0 : 1);
        }
        if (isOf(name, DATA) || isOf(name, ".ref.data") || isOf(name, ".sdata")) {
            return new Target(DATA, Part.DATA, 0, SMALL_DATA.getOrDefault(name, 4));
        }
        Part part =
                !section.flags().has(SectionFlags.WRITE)
                        ? Part.RODATA
                        : section.type().hasContents() ? Part.DATA : Part.BSS;
        return new Target(name, part, ORPHAN, 0);
    }

    /** The table of exports or notes that a section is a part of, or its own name. */
    private static String table(String name) {
        int plus = name.indexOf('+');
        if (plus > 0 && (name.startsWith("___ksymtab") || name.startsWith("___kcrctab"))) {
            return name.substring(1, plus);
        }
        return isOf(name, ".note") ? ".notes" : name;
    }

    /** Whether this kernel has a table: those of unused exports went with 5.12. */
    private boolean has(String table) {
        boolean old = table.contains("_unused") || table.endsWith("_future");
        return !old || !config.atLeast(5, 12);
    }

    /** Output sections that a kernel has in any case, with their alignment. */
    List<OutputSection> always() {
        int word = architecture.encoding().wordSize();
        List<OutputSection> all = new ArrayList<>();
        all.add(new OutputSection(TEXT, Part.TEXT, 0, 1));
        all.add(new OutputSection(RODATA, Part.RODATA, 0, 1));
        all.add(new OutputSection(RO_AFTER_INIT, Part.RODATA, 1, 1));
        for (int i = 0; i < READ_ONLY_TABLES.size(); i++) {
            String table = READ_ONLY_TABLES.get(i);
            if (has(table)) {
                int alignment = table.equals("__ksymtab_strings") ? 1 : word;
                all.add(new OutputSection(table, Part.RODATA, 10 + i, alignment));
            }
        }
        all.add(new OutputSection(DATA, Part.DATA, 0, 1));
        all.add(new OutputSection(BSS, Part.BSS, 0, 1));
        all.add(new OutputSection(INIT_TEXT, Part.INIT, 0, 1));
        all.add(new OutputSection(INIT_DATA, Part.INIT, 2, 1));
        all.add(new OutputSection(SETUP, Part.INIT, 4, 16));
        all.add(new OutputSection(INITCALLS, Part.INIT, 5, word));
        all.add(new OutputSection(PER_CPU, Part.INIT, 2 * ORPHAN, 1));
        return all;
    }

    /** Symbols at the bounds of what is in one output section. */
    List<Bounds> bounds() {
        List<Bounds> all = new ArrayList<>();
        all.add(new Bounds("_text", "_etext", TEXT, 0, ALL));
        all.add(new Bounds("_stext", "", TEXT, 0, ALL));
        for (int i = 0; i < TEXT_KINDS.size(); i++) {
            String kind = "__" + TEXT_KINDS.get(i).replace("spinlock", "lock") + "_text_";
            int rank = FIRST_TEXT_KIND + i;
            all.add(new Bounds(kind + "start", kind + "end", TEXT, rank, rank));
        }
        all.add(new Bounds("__start_ro_after_init", "__end_ro_after_init", RO_AFTER_INIT, 0, ALL));
        for (String table : READ_ONLY_TABLES) {
            if (table.equals(".notes")) {
                all.add(new Bounds("__start_notes", "__stop_notes", table, 0, ALL));
            } else if (has(table) && !table.equals("__ksymtab_strings")) {
                all.add(new Bounds("__start_" + table, "__stop_" + table, table, 0, ALL));
            }
        }
        all.add(new Bounds("__bss_start", "__bss_stop", BSS, 0, ALL));
        all.add(new Bounds("_sinittext", "_einittext", INIT_TEXT, 0, ALL));
        all.add(new Bounds("__ctors_start", "__ctors_end", INIT_DATA, 1, 3));
        all.add(new Bounds("__setup_start", "__setup_end", SETUP, 0, ALL));
        all.add(new Bounds("__initcall_start", "", INITCALLS, 0, INITCALL_END));
        for (int i = 0; i < LEVEL_IDS.size(); i++) {
            String start = "__initcall" + LEVEL_IDS.get(i) + "_start";
            all.add(new Bounds(start, "", INITCALLS, LEVELS + 2 * i, INITCALL_END));
        }
        all.add(new Bounds("__initcall_end", "", INITCALLS, INITCALL_END, INITCALL_END));
        all.add(
                new Bounds(
                        "__con_initcall_start", "__con_initcall_end", INITCALLS, CONSOLE, CONSOLE));
        if (!config.atLeast(5, 0)) {
            all.add(
                    new Bounds(
                            "__security_initcall_start",
                            "__security_initcall_end",
                            INITCALLS,
                            SECURITY,
                            SECURITY));
        }
        all.add(new Bounds("__per_cpu_start", "__per_cpu_end", PER_CPU, 0, ALL));
        all.add(new Bounds("__per_cpu_load", "", PER_CPU, 0, ALL));
        return all;
    }

    /** The level of the entries of a rank; {@code null} behind the levels. */
    static InitcallLevel levelOf(int rank) {
        if (rank == 0) {
            return InitcallLevel.EARLY;
        }
        if (rank == CONSOLE || rank == SECURITY) {
            return rank == CONSOLE ? InitcallLevel.CONSOLE : InitcallLevel.SECURITY;
        }
        int level = rank - LEVELS;
        String id = LEVEL_IDS.get(level / 2);
        // Of rootfs there is a section with an s too, but no macro and no level.
        String full = level % 2 == 0 || id.equals("rootfs") ? id : id + "s";
        return InitcallLevel.ofId(full).orElseThrow();
    }
}

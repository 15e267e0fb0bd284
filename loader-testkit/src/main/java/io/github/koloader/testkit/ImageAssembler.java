package io.github.koloader.testkit;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.DataField;
import io.github.koloader.arch.Field;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.testkit.ImagePlan.RelocationChoice;
import io.github.koloader.testkit.ImagePlan.SectionChoice;
import io.github.koloader.testkit.ImagePlan.SectionKind;
import io.github.koloader.testkit.ImagePlan.SymbolChoice;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/** Makes the image of a plan for one architecture. */
final class ImageAssembler {
    /** Kernels whose module areas the relocations have to fit in. */
    private static final List<KernelConfig> KERNELS =
            List.of(KernelConfig.linux3_10(), KernelConfig.linux6_1(), KernelConfig.linux6_12());

    private static final int STEPS = 8;
    private static final long SPREAD = 0x9e3779b97f4a7c15L;

    /** A section in the making; its index is its position in {@link #drafts} plus one. */
    private static final class Draft {
        final String name;
        final SectionKind kind;
        final long seed;
        final List<Relocation> relocations = new ArrayList<>();
        final List<RelocationType> rows = new ArrayList<>();
        final List<Long> implicitAddends = new ArrayList<>();
        long alignment;
        int size;
        int end;
        int room;

        Draft(String name, SectionChoice choice, int leastSize) {
            this.name = name;
            this.kind = choice.kind();
            this.seed = choice.seed();
            this.size = Math.max(leastSize, choice.size());
            this.alignment = 1L << choice.alignmentBits();
        }

        /** Bytes that the plan asked for: where symbols may lie. */
        int offset(int pick) {
            return pick % (size + 1);
        }
    }

    /**
     * The values that a symbol may come to have in a kernel: {@code low}, {@code high}, or between
     * them.
     */
    private record Values(long low, long high) {
        static Values in(AddressRange range) {
            return new Values(range.start().value(), range.end().value());
        }

        /** The {@code i}th of {@link #STEPS} values, both ends included. */
        long at(int i) {
            return i == 0 || high == low
                    ? low
                    : i == STEPS ? high : low + Long.remainderUnsigned(i * SPREAD, high - low);
        }

        /** The least range with both in it. */
        Values and(Values other) {
            return new Values(
                    Long.compareUnsigned(low, other.low) < 0 ? low : other.low,
                    Long.compareUnsigned(high, other.high) > 0 ? high : other.high);
        }

        Values orZero() {
            return new Values(0, high);
        }
    }

    private final Architecture architecture;
    private final ImagePlan plan;
    private final boolean addends;
    private final ImageBuilder builder;
    private final List<Draft> drafts = new ArrayList<>();
    private final List<Integer> symbols = new ArrayList<>();
    private final List<Function<KernelConfig, Values>> values = new ArrayList<>();
    private final List<Integer> sectionSymbols = new ArrayList<>();
    private final int anchor;

    ImageAssembler(Architecture architecture, ImagePlan plan) {
        this.architecture = architecture;
        this.plan = plan;
        this.addends = architecture.acceptsRelocations(true);
        this.builder =
                new ImageBuilder(architecture.elfMachine(), architecture.encoding(), addends);
        this.anchor =
                builder.symbol(
                        new Symbol(
                                "anchor",
                                Binding.GLOBAL,
                                Symbol.NOTYPE,
                                0,
                                new Symbol.Absolute(),
                                0,
                                0));
    }

    ModuleImage assemble() {
        builder.name(plan.name()).modinfo("license", "GPL");
        for (String entry : plan.modinfo()) {
            int equals = entry.indexOf('=');
            builder.modinfo(entry.substring(0, equals), entry.substring(equals + 1));
        }
        for (int i = 0; i < plan.versions(); i++) {
            builder.version("imported_" + i, 0x1000 + i);
        }
        draftSections();
        addSymbols();
        plan.relocations().forEach(this::draftRelocation);
        drafts.forEach(this::addSection);
        addEntries();
        addExports();
        LoaderSections.of(architecture, KernelConfig.linux6_12()).forEach(builder::section);
        return builder.build();
    }

    // ---- sections ----

    private void draftSections() {
        SectionChoice text = new SectionChoice(SectionKind.TEXT, 64, 4, plan.name().hashCode());
        drafts.add(new Draft(".text", text, 1));
        Set<String> names = new HashSet<>(Set.of(".text"));
        for (SectionChoice choice : plan.sections()) {
            String name = choice.kind().sectionName;
            for (int i = 1; !names.add(name); i++) {
                name = choice.kind().sectionName + "." + i;
            }
            drafts.add(new Draft(name, choice, name.equals(".init.text") ? 1 : 0));
        }
    }

    /** As a section's places are known now, with random bytes around them. */
    private void addSection(Draft draft) {
        int size = Math.max(draft.size, draft.room);
        SectionType type = draft.kind.hasBytes() ? SectionType.PROGBITS : SectionType.NOBITS;
        Bytes contents = Bytes.EMPTY;
        if (draft.kind.hasBytes()) {
            byte[] bytes = new byte[size];
            new Random(draft.seed).nextBytes(bytes);
            for (int i = 0; i < draft.relocations.size(); i++) {
                preparePlace(
                        bytes,
                        draft.relocations.get(i),
                        draft.rows.get(i).field(),
                        draft.implicitAddends.get(i));
            }
            contents = Bytes.wrap(bytes);
        }
        int index =
                builder.section(
                        new Section(
                                draft.name,
                                type,
                                SectionFlags.of(draft.kind.flags),
                                0,
                                size,
                                draft.alignment,
                                0,
                                0,
                                (draft.kind.flags & SectionFlags.MERGE) != 0 ? 1 : 0,
                                contents));
        if (!draft.relocations.isEmpty()) {
            builder.relocate(index, draft.relocations.toArray(Relocation[]::new));
        }
    }

    private void preparePlace(byte[] bytes, Relocation relocation, Field field, long addend) {
        int at = (int) relocation.offset();
        boolean big = architecture.encoding().bigEndian();
        if (field.ontoZero()) {
            Words.write(bytes, at, field.size(), 0, big);
        } else if (!addends && field.size() > 0) {
            long old = Words.read(bytes, at, field.size(), big);
            Words.write(bytes, at, field.size(), field.insert(old, addend), big);
        }
    }

    // ---- symbols ----

    private void addSymbols() {
        for (int i = 0; i < drafts.size(); i++) {
            Draft draft = drafts.get(i);
            sectionSymbols.add(add(Symbol.section(i + 1), config -> valuesIn(draft, config)));
        }
        plan.symbols().forEach(this::addSymbol);
    }

    private int add(Symbol symbol, Function<KernelConfig, Values> range) {
        int index = builder.symbol(symbol);
        symbols.add(index);
        values.add(range);
        return index;
    }

    private void addSymbol(SymbolChoice choice) {
        int index = choice.section() % drafts.size();
        Draft draft = drafts.get(index);
        Symbol.Place in = new Symbol.InSection(index + 1);
        int offset = draft.offset(choice.value());
        Function<KernelConfig, Values> inSection = config -> valuesIn(draft, config);
        String name = choice.name() + "_" + symbols.size();
        String imported = name.startsWith(".") ? "i" + name : name; // ppc64 takes dots away
        Function<KernelConfig, Values> outside = // of the kernel, or of another module
                config -> Values.in(architecture.kernelText(config)).and(inModule(config));
        switch (choice.kind()) {
            case LOCAL -> add(Symbol.object(name, index + 1, offset, 0), inSection);
            case GLOBAL -> add(Symbol.function(name, index + 1, offset, 4), inSection);
            case WEAK ->
                    add(new Symbol(name, Binding.WEAK, Symbol.FUNC, 0, in, offset, 4), inSection);
            case UNDEFINED -> add(Symbol.undefined(imported), outside);
            case WEAK_UNDEFINED -> add(Symbol.weak(imported), outside.andThen(Values::orZero));
            case ABSOLUTE ->
                    add(
                            new Symbol(
                                    name,
                                    Binding.GLOBAL,
                                    Symbol.NOTYPE,
                                    0,
                                    new Symbol.Absolute(),
                                    choice.value(),
                                    0),
                            config -> new Values(choice.value(), choice.value()));
        }
    }

    /**
     * A section without memory counts from where it lies in the kernel's temporary copy of the
     * file.
     */
    private Values valuesIn(Draft draft, KernelConfig config) {
        Values range;
        if (draft.name.equals(SectionKind.PER_CPU.sectionName)) {
            range = Values.in(architecture.perCpuArea(config));
        } else if ((draft.kind.flags & SectionFlags.ALLOC) == 0) {
            range = Values.in(architecture.imageArea(config));
        } else {
            range = inModule(config);
        }
        return draft.size > 0 ? range : range.orZero(); // an empty one may lie at address 0
    }

    private Values inModule(KernelConfig config) {
        return Values.in(architecture.moduleAreas(config).get(0));
    }

    // ---- relocations ----

    private void draftRelocation(RelocationChoice choice) {
        List<Draft> places = drafts.stream().filter(draft -> draft.kind.hasBytes()).toList();
        Draft draft = places.get(choice.section() % places.size());
        List<RelocationType> rows = rows(architecture);
        RelocationType row = rows.get(choice.row() % rows.size());
        int offset = draft.end + choice.gap();
        if (!(row.field() instanceof DataField)) { // an instruction
            draft.alignment = Math.max(draft.alignment, 4);
            offset = offset + 3 & -4;
        }
        draft.end = offset + row.field().size();
        draft.room = offset + Math.max(row.field().size(), 4); // what 32-bit Arm wants
        int step = step(row.field());
        for (long a : new long[] {choice.addend(), Math.abs(choice.addend()), 0}) {
            for (int i = 0; step == 1 && i < symbols.size(); i++) {
                int pick = (choice.symbol() + i) % symbols.size();
                if (fits(row, values.get(pick), a)) {
                    put(draft, offset, row, symbols.get(pick), a);
                    return;
                }
            }
        }
        int small = choice.addend() / step * step;
        long a = fitsThere(row.field(), small) ? small : 0;
        if (row.formula() == Formula.ABSOLUTE || row.formula() == Formula.NONE) {
            put(draft, offset, row, anchor, a);
        } else { // a place fits with itself
            put(
                    draft,
                    offset,
                    row,
                    sectionSymbols.get(drafts.indexOf(draft)),
                    addends ? offset + (row.formula() == Formula.PC_RELATIVE ? a : 0) : 0);
        }
    }

    /** The rows that are drawn: those with a formula, of all kernels that images are made for. */
    static List<RelocationType> rows(Architecture architecture) {
        return architecture.relocationTypes(KernelConfig.linux6_1()).stream()
                .filter(row -> row.formula() != Formula.OWN)
                .filter(architecture.relocationTypes(KernelConfig.linux6_12())::contains)
                .toList();
    }

    /** The smallest distance between values that fit: 1 for most, 2 or 4 for some branches. */
    private static int step(Field field) {
        return field.fits(1) ? 1 : field.fits(2) ? 2 : 4;
    }

    /** Whether an addend fits, and can be read back from the place where it has to lie there. */
    private boolean fitsThere(Field field, long a) {
        return field.fits(a) && (addends || field.implicitAddend(field.insert(0, a)) == a);
    }

    private void put(Draft draft, int offset, RelocationType row, int symbol, long a) {
        draft.relocations.add(new Relocation(offset, row.code(), symbol, addends ? a : 0));
        draft.rows.add(row);
        draft.implicitAddends.add(a);
    }

    /** Whether a row takes all values that come about, wherever the module is placed. */
    private boolean fits(RelocationType row, Function<KernelConfig, Values> s, long a) {
        if (!addends && !fitsThere(row.field(), a)) {
            return false;
        }
        return KERNELS.stream().allMatch(config -> fits(row, s.apply(config), a, inModule(config)));
    }

    /** Tried at the ends and between them: what some fields take is no range. */
    private boolean fits(RelocationType row, Values s, long a, Values p) {
        boolean wide = architecture.encoding().wide();
        for (int i = 0; i <= STEPS; i++) {
            for (int j = 0; j <= STEPS; j++) {
                long value = row.formula().value(s.at(i), a, p.at(j));
                if (!row.field().fits(wide ? value : (int) value)) {
                    return false;
                }
            }
        }
        return true;
    }

    // ---- entry points and exports ----

    private RelocationType row(Predicate<RelocationType> wanted) {
        return architecture.relocationTypes().stream()
                .filter(wanted)
                .findFirst()
                .orElseThrow(
                        () ->
                                new IllegalArgumentException(
                                        architecture.name() + " lacks a data relocation"));
    }

    /** The row for a word with an address. */
    private RelocationType addressRow() {
        return row(
                type ->
                        type.formula() == Formula.ABSOLUTE
                                && type.field() instanceof DataField field
                                && field.size() == architecture.encoding().wordSize());
    }

    private void addEntries() {
        int word = addressRow().code();
        int initText = 1;
        for (int i = 0; i < drafts.size(); i++) {
            if (drafts.get(i).name.equals(".init.text")) {
                initText = i + 1;
            }
        }
        if (plan.init()) {
            builder.init(initText, 0, word);
        }
        if (plan.exit()) {
            builder.exit(1, 1, word);
        }
    }

    private void addExports() {
        int count = plan.exports().size();
        if (count == 0) {
            return;
        }
        boolean relative = architecture.relativeExports(KernelConfig.linux6_1());
        RelocationType row =
                relative
                        ? row(
                                type ->
                                        type.formula() == Formula.PC_RELATIVE
                                                && type.field() instanceof DataField field
                                                && field.size() == 4)
                        : addressRow();
        int fieldSize = row.field().size();
        int table =
                builder.section(
                        Section.progbits(
                                "__ksymtab",
                                SectionFlags.ALLOC,
                                fieldSize,
                                Bytes.wrap(new byte[count * 3 * fieldSize])));
        ByteArrayOutputStream strings = new ByteArrayOutputStream();
        strings.write(0);
        byte[] crcs = new byte[4 * count];
        new Random(plan.name().hashCode()).nextBytes(crcs);
        // One symbol for each string, so that no entry needs an addend.
        for (int i = 0; i < count; i++) {
            String name = plan.exports().get(i);
            int at = strings.size();
            strings.writeBytes(name.getBytes(ISO_8859_1));
            strings.write(0);
            int exported = builder.symbol(Symbol.function(name, 1, i, 1));
            builder.symbol(Symbol.object("__ksymtab_" + name, table, 3L * fieldSize * i, 0));
            int string = builder.symbol(Symbol.object("__kstrtab_" + name, table + 1, at, 0));
            int namespace = builder.symbol(Symbol.object("__kstrtabns_" + name, table + 1, 0, 0));
            builder.symbol(Symbol.object("__crc_" + name, table + 2, 4L * i, 4));
            int field = 0;
            for (int symbol : new int[] {exported, string, namespace}) {
                builder.relocate(
                        table,
                        new Relocation((3L * i + field++) * fieldSize, row.code(), symbol, 0));
            }
        }
        builder.section(
                Section.progbits(
                        "__ksymtab_strings",
                        SectionFlags.ALLOC,
                        1,
                        Bytes.wrap(strings.toByteArray())));
        builder.section(Section.progbits("__kcrctab", SectionFlags.ALLOC, 4, Bytes.wrap(crcs)));
    }
}

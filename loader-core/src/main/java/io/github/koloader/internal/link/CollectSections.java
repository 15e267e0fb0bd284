package io.github.koloader.internal.link;

import io.github.koloader.InitcallLevel;
import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.arch.RelocationTypes;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.link.ImageScript.Target;
import io.github.koloader.internal.link.LinkInput.JavaInput;
import io.github.koloader.internal.link.LinkInput.ObjectInput;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Sorts the sections of all inputs into those of the image. Of section groups with one signature
 * (COMDAT) the first object's is kept.
 */
final class CollectSections {
    /** What a group section begins with if equal groups are dropped. */
    private static final int GRP_COMDAT = 1;

    private static final int GROUP = 17;

    /** Bit of {@code sh_flags}: the section goes with the one that {@code sh_link} names. */
    private static final long LINK_ORDER = 0x80;

    /** Bytes that a Java function takes. */
    private static final int JAVA_SIZE = 16;

    private final Architecture architecture;
    private final KernelConfig config;
    private final ImageScript script;
    private final RelocationTypes types;
    private final Problems problems;

    /** Inputs in link order; {@code null} for those that are Java. */
    final List<@Nullable LinkedObject> objects = new ArrayList<>();

    /** The pieces of Java inputs, code and entry, by index of the input. */
    final Map<Integer, Piece> javaCode = new LinkedHashMap<>();

    final Map<Integer, Piece> javaEntries = new LinkedHashMap<>();

    private final Map<String, OutputSection> outputs = new LinkedHashMap<>();
    private final Set<String> groups = new HashSet<>();
    private @Nullable EntryStyle style;

    CollectSections(
            Architecture architecture,
            KernelConfig config,
            ImageScript script,
            RelocationTypes types,
            Problems problems) {
        this.architecture = architecture;
        this.config = config;
        this.script = script;
        this.types = types;
        this.problems = problems;
        for (OutputSection output : script.always()) {
            outputs.put(output.name, output);
        }
    }

    void run(List<LinkInput> inputs) {
        for (int i = 0; i < inputs.size(); i++) {
            if (inputs.get(i) instanceof ObjectInput input) {
                LinkedObject object = new LinkedObject(i, input);
                objects.add(object);
                if (isOurs(object)) {
                    collect(object);
                }
            } else {
                objects.add(null);
            }
        }
        for (int i = 0; i < inputs.size(); i++) {
            if (inputs.get(i) instanceof JavaInput input) {
                collect(i, input);
            }
        }
    }

    /** How entries of initcalls look. */
    EntryStyle style() {
        EntryStyle known = style;
        return known != null
                ? known
                : EntryStyle.of(architecture, architecture.relativeExports(config));
    }

    /** Entries of a table that the kernel does not have, one sentence an object. */
    List<String> lateSecurity() {
        List<String> found = new ArrayList<>();
        String section = InitcallLevel.SECURITY.sectionName();
        for (LinkedObject object : objects) {
            if (object != null && object.image.sectionIndex(section) != 0) {
                found.add(
                        "%s: nothing runs the entries of %s, as Linux has no such table since 5.0"
                                .formatted(object.name, section));
            }
        }
        return found;
    }

    /** The sections of the image so far. */
    List<OutputSection> outputs() {
        return List.copyOf(outputs.values());
    }

    OutputSection output(String name) {
        OutputSection output = outputs.get(name);
        if (output == null) {
            throw new IllegalStateException("no section " + name);
        }
        return output;
    }

    private boolean isOurs(LinkedObject object) {
        ModuleImage image = object.image;
        boolean ours =
                image.encoding().equals(architecture.encoding())
                        && architecture.accepts(
                                new FileHeader(
                                        image.encoding(), image.machine(), image.flags(), 0));
        if (!ours) {
            String machine = Architectures.machineName(image.machine());
            problems.wrongMachine(object.name, machine, architecture.name());
        }
        return ours;
    }

    // ---- objects ----

    private void collect(LinkedObject object) {
        @Nullable Target[] targets = targets(object);
        for (int i = 1; i < targets.length; i++) {
            Target target = targets[i];
            Section section = object.section(i);
            if (target == null) {
                object.discarded[i] = ImageScript.isPlaced(section);
            } else if (section.alignment() != 0 && Long.bitCount(section.alignment()) != 1) {
                problems.badAlignment(object.name, section.name(), section.alignment());
            } else {
                long alignment = LinkedMemory.unsignedMax(section.alignment(), 1);
                object.pieces[i] =
                        add(
                                new Piece(
                                        target,
                                        object.index,
                                        i,
                                        section.size(),
                                        alignment,
                                        section.contents()));
            }
        }
        for (Piece piece : object.pieces) {
            if (piece != null && isTable(piece)) {
                checkEntries(object, piece);
            }
        }
    }

    /** Where each section goes; {@code null} for what is discarded or takes no memory. */
    private @Nullable Target[] targets(LinkedObject object) {
        boolean[] dropped = droppedGroups(object);
        object.droppedMembers = dropped;
        @Nullable Target[] targets = new Target[dropped.length];
        for (int i = 1; i < targets.length; i++) {
            Section section = object.section(i);
            if (ImageScript.isPlaced(section) && !dropped[i]) {
                targets[i] = script.target(section);
            }
        }
        for (int i = 1; i < targets.length; i++) { // unwind tables and the like go with their code
            Section section = object.section(i);
            int about = section.link();
            if (section.flags().has(LINK_ORDER)
                    && about > 0
                    && about < targets.length
                    && targets[about] == null) {
                targets[i] = null;
            }
        }
        return targets;
    }

    /** The members of groups that an object before had already. */
    private boolean[] droppedGroups(LinkedObject object) {
        List<Section> sections = object.image.sections();
        boolean[] dropped = new boolean[sections.size()];
        for (Section section : sections) {
            Bytes words = section.contents();
            if (section.type().code() != GROUP
                    || words.size() < 4
                    || (words.readInt(0, object.image.encoding()) & GRP_COMDAT) == 0) {
                continue;
            }
            int symbol = section.info();
            boolean named = symbol > 0 && symbol < object.symbols.count();
            if (!named || groups.add(object.symbolName(symbol))) {
                continue;
            }
            for (int at = 4; at <= words.size() - 4; at += 4) {
                int member = words.readInt(at, object.image.encoding());
                if (member > 0 && member < dropped.length) {
                    dropped[member] = true;
                }
            }
        }
        return dropped;
    }

    private Piece add(Piece piece) {
        Target target = piece.target;
        outputs.computeIfAbsent(
                        target.output(),
                        name -> new OutputSection(name, target.part(), target.order(), 1))
                .pieces
                .add(piece);
        return piece;
    }

    Piece addCommon(long size, long alignment) {
        Section bss = Section.nobits(ImageScript.BSS, 3, alignment, size);
        Target target = script.target(bss);
        if (target == null) {
            throw new IllegalStateException("bss is discarded");
        }
        return add(new Piece(target, -1, Piece.COMMON, size, alignment, Bytes.EMPTY));
    }

    // ---- entries of initcalls ----

    static boolean isTable(Piece piece) {
        return piece.target.output().equals(ImageScript.INITCALLS);
    }

    /** Each entry has to have its relocation, and all in the image have to be of one kind. */
    private void checkEntries(LinkedObject object, Piece piece) {
        if (piece.size == 0) {
            return;
        }
        String name = object.sectionName(piece.section);
        Map<Long, Integer> places = places(object, piece.section);
        int first = places.getOrDefault(0L, -1);
        if (first < 0 || !object.section(piece.section).type().equals(SectionType.PROGBITS)) {
            problems.entryWithoutRelocation(object.name, name, 0);
            return;
        }
        RelocationType row = EntryStyle.row(types, first);
        Optional<EntryStyle> found =
                row == null
                        ? Optional.empty()
                        : EntryStyle.of(row, architecture.encoding().wordSize());
        if (found.isEmpty()) {
            String type = row == null ? Integer.toUnsignedString(first) : row.name();
            problems.noEntry(object.name, name, 0, type);
            return;
        }
        EntryStyle known = style;
        if (known == null) {
            style = found.get();
        } else if (!known.equals(found.get())) {
            problems.entriesDiffer(object.name, name, found.get(), known);
            return;
        }
        int size = found.get().size();
        if (piece.size % size != 0) {
            problems.entriesIncomplete(object.name, name, piece.size, size);
            return;
        }
        for (long at = 0; at < piece.size; at += size) {
            Integer type = places.get(at);
            RelocationType other = type == null ? null : EntryStyle.row(types, type);
            if (type == null) {
                problems.entryWithoutRelocation(object.name, name, at);
            } else if (other == null
                    || !EntryStyle.of(other, architecture.encoding().wordSize()).equals(found)) {
                String title = other == null ? Integer.toUnsignedString(type) : other.name();
                problems.noEntry(object.name, name, at, title);
            }
        }
    }

    /** The type of the first relocation at each offset of a section. */
    static Map<Long, Integer> places(LinkedObject object, int section) {
        Map<Long, Integer> places = new HashMap<>();
        for (RelocationTable table : object.tablesOf(section)) {
            for (int i = 0; i < table.count(); i++) {
                places.putIfAbsent(table.offset(i), table.type(i));
            }
        }
        return places;
    }

    // ---- Java ----

    private void collect(int index, JavaInput input) {
        Target entry = script.initcall(input.builtIn().level());
        Target code = script.target(Section.nobits(ImageScript.INIT_TEXT, 6, 16, JAVA_SIZE));
        if (entry == null || code == null) {
            problems.noSuchLevel(input.name(), input.builtIn().level().macroName());
            return;
        }
        Bytes zeros = Bytes.wrap(new byte[JAVA_SIZE]);
        javaCode.put(
                index, add(new Piece(code, index, Piece.JAVA_CODE, JAVA_SIZE, JAVA_SIZE, zeros)));
        int size = style().size();
        javaEntries.put(
                index,
                add(
                        new Piece(
                                entry,
                                index,
                                Piece.JAVA_ENTRY,
                                size,
                                size,
                                Bytes.wrap(new byte[size]))));
    }

    /** Whether a symbol of an object is where nothing is kept. */
    static boolean isGone(LinkedObject object, int symbol) {
        int section = object.symbols.sectionIndex(symbol);
        return section != SymbolTable.UNDEF
                && section < SymbolTable.LORESERVE
                && object.piece(section) == null;
    }
}

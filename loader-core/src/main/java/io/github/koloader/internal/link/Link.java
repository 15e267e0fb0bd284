package io.github.koloader.internal.link;

import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LinkException;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.PlacedModule;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.arch.RelocationTypes;
import io.github.koloader.arch.Relocator;
import io.github.koloader.arch.SectionPlan;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Modinfo;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.link.ImageScript.Bounds;
import io.github.koloader.internal.link.LinkInput.JavaInput;
import io.github.koloader.internal.link.MergedImage.Origin;
import io.github.koloader.internal.link.MergedImage.Reference;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A link: collect sections, resolve names, merge, place, relocate, read the tables back. Relocation
 * is the module loader's. It is tried without room for veneers and GOT first, which a kernel does
 * not need where its compiler and linker know that all of it is near; only if that does not do, the
 * architecture plans such sections, as it does for a module.
 */
public final class Link {
    /** Relocation types are those of this release: a linker does not go by the kernel it links. */
    private static final String NEWEST = "6.12.0";

    /** Bytes between sections that are always allowed, and that they may be for each byte. */
    private static final long PADDING = 16L << 20;

    private static final int PADDING_FACTOR = 4;

    private static final int MOST_SECTIONS = 0xf000;

    private final Architecture architecture;
    private final KernelConfig config;
    private final KernelConfig newest;
    private final List<LinkInput> inputs;
    private final KernelSymbols kernel;
    private final Address base;
    private final ImageScript script;
    private final RelocationTypes types;
    private final Problems problems = new Problems();
    private final CollectSections sections;
    private final GlobalSymbols globals = new GlobalSymbols(problems);
    private List<OutputSection> outputs = List.of();

    /**
     * A link.
     *
     * @param architecture the architecture of the objects
     * @param config the kernel
     * @param inputs what is linked, in link order
     * @param kernel symbols of the rest of the kernel
     * @param base address of the first byte
     */
    public Link(
            Architecture architecture,
            KernelConfig config,
            List<LinkInput> inputs,
            KernelSymbols kernel,
            Address base) {
        this.architecture = architecture;
        this.config = config;
        this.newest = config.toBuilder().release(NEWEST).build();
        this.inputs = inputs;
        this.kernel = kernel;
        this.base = base;
        this.script = new ImageScript(architecture, config);
        this.types = architecture.relocationTypes(newest);
        this.sections = new CollectSections(architecture, config, script, types, problems);
    }

    /**
     * Links.
     *
     * @throws LinkException if that cannot be done
     */
    public LinkedKernel run() {
        sections.run(inputs);
        globals.run(sections.objects, sections);
        problems.check();
        layOut();
        MergedImage merged = new MergedImage(architecture, types, outputs, problems);
        merged.run(sections.objects, globals, namesOfBounds(), kernel);
        problems.check();
        LinkedImage linked;
        try {
            linked = relocate(merged, SectionPlan.asIs(merged.image()));
        } catch (LinkException plain) {
            SectionPlan plan = plan(merged, plain);
            linked = relocate(merged, plan);
        }
        return kernel(merged, linked);
    }

    private void layOut() {
        outputs =
                sections.outputs().stream()
                        .sorted(
                                Comparator.comparing((OutputSection output) -> output.part)
                                        .thenComparingInt(output -> output.order))
                        .toList();
        if (outputs.size() > MOST_SECTIONS) {
            problems.tooManySections(MOST_SECTIONS);
            problems.check();
        }
        long memory = 0;
        long filled = 0;
        for (OutputSection output : outputs) {
            if (!output.layOut(LinkedMemory.LIMIT)) {
                problems.tooLarge(output.name, LinkedMemory.LIMIT);
                problems.check();
            }
            if (output.filled > 0) {
                memory += output.size;
                filled += output.pieces.stream().mapToLong(piece -> piece.contents.size()).sum();
            }
        }
        if (memory > PADDING + PADDING_FACTOR * filled) {
            problems.tooMuchPadding(PADDING);
        }
        InitcallTable.checkHoles(
                sections.output(ImageScript.INITCALLS), sections.objects, problems);
        problems.check();
    }

    /** Names of all symbols that the linker script defines. */
    private List<String> namesOfBounds() {
        List<String> names = new ArrayList<>();
        for (Bounds bounds : script.bounds()) {
            names.add(bounds.start());
            names.add(bounds.end());
        }
        names.removeIf(String::isEmpty);
        names.addAll(LinkedMemory.NAMES_OF_PARTS);
        for (OutputSection output : outputs) {
            if (isIdentifier(output.name) && globals.find("__start_" + output.name) != null) {
                names.add("__start_" + output.name);
            }
            if (isIdentifier(output.name) && globals.find("__stop_" + output.name) != null) {
                names.add("__stop_" + output.name);
            }
        }
        return names.stream().distinct().toList();
    }

    private static boolean isIdentifier(String name) {
        return name.matches("[A-Za-z_][A-Za-z0-9_]*");
    }

    // ---- relocation ----

    /** Sections at their addresses, and the value of each merged symbol. */
    private static final class LinkedImage {
        private final LinkedMemory memory;
        private final long[] values;
        private final Map<String, BoundAddress> bounds;

        LinkedImage(LinkedMemory memory, long[] values, Map<String, BoundAddress> bounds) {
            this.memory = memory;
            this.values = values;
            this.bounds = bounds;
        }
    }

    /** Where a symbol of the linker script is, and in which section, if it is about one. */
    private record BoundAddress(long address, @Nullable OutputSection output) {}

    /** What the architecture plans where a plain link does not do; else the failure of that. */
    private SectionPlan plan(MergedImage merged, LinkException plain) {
        ModuleImage image = merged.image();
        ModuleImage.Builder builder = image.toBuilder().fileSize(-1);
        for (Section section : architecture.scriptSections(newest)) {
            if (image.sectionIndex(section.name()) == 0) {
                builder.section(section);
            }
        }
        ModuleImage complete = builder.build();
        try {
            SectionPlan plan = architecture.planSections(complete, newest, "vmlinux");
            boolean nothingPlanned = plan.image().equals(complete) && plan.textPrefix() == 0;
            if (nothingPlanned) {
                throw plain;
            }
            return plan;
        } catch (LoadException e) {
            throw new LinkException("vmlinux: " + text(e), e);
        }
    }

    private static String text(LoadException failure) {
        String lines =
                failure.lines().stream().map(LogLine::text).collect(Collectors.joining("; "));
        return lines.isEmpty() ? String.valueOf(failure.getMessage()) : lines;
    }

    private LinkedImage relocate(MergedImage merged, SectionPlan plan) {
        LinkedMemory memory = new LinkedMemory(architecture.encoding(), outputs, plan);
        memory.place(base.value(), architecture.pageSize())
                .ifPresent(section -> problems.tooLarge(section, LinkedMemory.LIMIT));
        problems.check();
        Map<String, BoundAddress> bounds = bounds(merged, memory);
        SymbolTable symbols = plan.image().symbols();
        long[] values = values(merged, memory, symbols, bounds);
        checkUndefined(merged, symbols);
        PlacedModule placed =
                new PlacedModule(
                        newest,
                        "vmlinux",
                        plan,
                        values,
                        memory::section,
                        memory::isInit,
                        memory.textPrefix());
        Relocator relocator = architecture.relocator(placed);
        for (RelocationTable table : plan.image().relocations()) {
            Origin origin = merged.origins.get(table.section());
            if (origin == null) {
                continue;
            }
            checkDistances(origin, table, values, memory);
            try {
                relocator.apply(table);
            } catch (LoadException e) {
                String section = origin.object().sectionName(origin.table().target());
                throw new LinkException(origin.object().name + ":(" + section + "): " + text(e), e);
            }
        }
        problems.check();
        return new LinkedImage(memory, values, bounds);
    }

    private Map<String, BoundAddress> bounds(MergedImage merged, LinkedMemory memory) {
        Map<String, BoundAddress> all = new LinkedHashMap<>();
        for (Bounds bounds : script.bounds()) {
            OutputSection output = sections.output(bounds.output());
            long start = memory.address(merged.indexOf(output.name));
            if (!bounds.start().isEmpty()) {
                long offset = output.start(bounds.first(), bounds.last());
                all.put(bounds.start(), new BoundAddress(start + offset, output));
            }
            if (!bounds.end().isEmpty()) {
                long offset = output.end(bounds.last());
                all.put(bounds.end(), new BoundAddress(start + offset, output));
            }
        }
        memory.boundsOfParts()
                .forEach((name, address) -> all.put(name, new BoundAddress(address, null)));
        for (OutputSection output : outputs) {
            long start = memory.address(merged.indexOf(output.name));
            all.putIfAbsent("__start_" + output.name, new BoundAddress(start, output));
            all.putIfAbsent("__stop_" + output.name, new BoundAddress(start + output.size, output));
        }
        all.keySet().retainAll(merged.boundsIndexes.keySet());
        return all;
    }

    private long[] values(
            MergedImage merged,
            LinkedMemory memory,
            SymbolTable symbols,
            Map<String, BoundAddress> bounds) {
        long[] values = new long[symbols.count()];
        for (int i = 1; i < values.length; i++) {
            int section = symbols.sectionIndex(i);
            boolean inImage = section != SymbolTable.UNDEF && section < SymbolTable.LORESERVE;
            values[i] = inImage ? memory.address(section) + symbols.value(i) : merged.plainValue(i);
        }
        merged.boundsIndexes.forEach(
                (name, index) -> {
                    BoundAddress bound = bounds.get(name);
                    values[index] = bound == null ? 0 : bound.address;
                });
        return values;
    }

    private void checkUndefined(MergedImage merged, SymbolTable symbols) {
        for (Reference reference : merged.undefined) {
            String name = reference.name();
            if (symbols.sectionIndex(reference.symbol()) == SymbolTable.UNDEF
                    && !architecture.toleratesUndefined(newest, name)) {
                LinkedObject object = reference.object();
                String section = object.sectionName(reference.section());
                problems.undefined(object.name, section, reference.offset(), name);
            }
        }
        problems.check();
    }

    /** A module is always near enough for a distance of 32 bits, so loaders do not look; we do. */
    private void checkDistances(
            Origin origin, RelocationTable table, long[] values, LinkedMemory memory) {
        if (!architecture.encoding().wide() || !table.hasAddends()) {
            return;
        }
        long start = memory.address(table.target());
        for (int i = 0; i < table.count(); i++) {
            RelocationType row = EntryStyle.row(types, table.type(i));
            if (row == null
                    || row.formula() != Formula.PC_RELATIVE
                    || row.field().mask() != 0xffff_ffffL) {
                continue;
            }
            int symbol = table.symbolIndex(i);
            long value = values[symbol] + table.addend(i) - (start + table.offset(i));
            if (value != (int) value) {
                LinkedObject object = origin.object();
                String section = object.sectionName(origin.table().target());
                Piece piece = object.piece(origin.table().target());
                long offset = table.offset(i) - (piece == null ? 0 : piece.offset);
                String name = object.symbolName(origin.table().symbolIndex(i));
                problems.truncated(object.name, section, offset, row.name(), name);
            }
        }
        problems.check();
    }

    // ---- the kernel ----

    private LinkedKernel kernel(MergedImage merged, LinkedImage linked) {
        LinkedMemory memory = linked.memory;
        LinkedKernel.Builder builder =
                LinkedKernel.builder(architecture).vermagic(config.vermagic(architecture));
        SymbolNames names = new SymbolNames();
        for (LinkedObject object : sections.objects) {
            if (object != null) {
                names.addObject(object, globals, sections, memory, merged);
            }
        }
        names.addCommon(globals, memory, merged);
        linked.bounds.forEach(
                (name, bound) -> names.addOfScript(name, bound.address, bound.output));
        OutputSection table = sections.output(ImageScript.INITCALLS);
        long tableStart = memory.address(merged.indexOf(table.name));
        long codeStart = memory.address(merged.indexOf(ImageScript.INIT_TEXT));
        InitcallTable initcalls =
                new InitcallTable(
                        table,
                        sections.style(),
                        sections.objects,
                        memory,
                        tableStart,
                        names,
                        problems);
        sections.javaCode.forEach(
                (index, code) -> {
                    JavaInput input = (JavaInput) inputs.get(index);
                    long address = codeStart + code.offset;
                    names.addJava(input.name(), address);
                    builder.function(new Address(address), input.builtIn().function());
                    Piece entry = sections.javaEntries.get(index);
                    if (entry != null) {
                        initcalls.writeEntry(entry, address, input.name());
                    }
                });
        builder.symbols(names.table(architecture.encoding().wide()));
        initcalls.run().forEach(builder::initcall);
        problems.check();
        ExportTables exports = new ExportTables(types, memory, merged, linked.values);
        exports.run(sections.objects);
        exports.found().forEach(builder::export);
        exports.unread().forEach(builder::unknown);
        if (config.atLeast(5, 0)) {
            sections.lateSecurity().forEach(builder::unknown);
        }
        addBanner(builder, merged, linked);
        addTable(linked, "__start___param", "__stop___param").ifPresent(builder::parameterTable);
        addTable(linked, "__setup_start", "__setup_end").ifPresent(builder::setupTable);
        memory.blocks().forEach(builder::block);
        return builder.initArea(memory.initArea()).modinfo(modinfo()).build();
    }

    private static Optional<AddressRange> addTable(LinkedImage linked, String start, String end) {
        BoundAddress first = linked.bounds.get(start);
        BoundAddress last = linked.bounds.get(end);
        return first == null || last == null || first.address == last.address
                ? Optional.empty()
                : Optional.of(AddressRange.between(first.address, last.address));
    }

    private void addBanner(LinkedKernel.Builder builder, MergedImage merged, LinkedImage linked) {
        int symbol = merged.globalIndex("linux_banner");
        Optional<String> banner =
                symbol <= 0 ? Optional.empty() : linked.memory.text(linked.values[symbol]);
        banner.map(String::stripTrailing).ifPresent(builder::banner);
        if (banner.isEmpty()) {
            builder.unknown("The version line is not known, as no object has linux_banner.");
        }
    }

    /**
     * What the build extracts to a file: the entries of all objects, each with its module's name.
     */
    private Modinfo modinfo() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (LinkedObject object : sections.objects) {
            if (object == null) {
                continue;
            }
            for (Section section : object.image.sections()) {
                if (section.name().equals(".modinfo") && section.type().hasContents()) {
                    Bytes contents = section.contents();
                    bytes.writeBytes(contents.toByteArray());
                    if (!contents.isEmpty() && contents.get(contents.size() - 1) != 0) {
                        bytes.write(0);
                    }
                }
            }
        }
        return new Modinfo(Bytes.wrap(bytes.toByteArray()));
    }
}

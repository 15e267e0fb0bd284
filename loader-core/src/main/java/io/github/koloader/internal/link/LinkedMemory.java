package io.github.koloader.internal.link;

import io.github.koloader.LinkedKernel.Block;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.arch.SectionPlan;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.internal.Words;
import io.github.koloader.internal.link.ImageScript.Part;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The sections of the image at their addresses, with their bytes: those of the linker script, and
 * what an architecture has planned beside them for veneers and GOT, behind the others of its kind.
 */
final class LinkedMemory {
    /** Bytes that an image may have. */
    static final long LIMIT = 1L << 30;

    /** Names that {@link #boundsOfParts} gives addresses. */
    static final List<String> NAMES_OF_PARTS =
            List.of(
                    "__start_rodata",
                    "__end_rodata",
                    "_sdata",
                    "_edata",
                    "__init_begin",
                    "__init_end",
                    "_end");

    private static final int PREFIX_ALIGNMENT = 256;

    /** A section in memory. */
    private static final class Area {
        final String name;
        final Part part;
        final int order;
        final boolean code;
        final long alignment;
        final long size;
        final byte @Nullable [] array;
        long address;

        Area(
                String name,
                Part part,
                int order,
                boolean code,
                long alignment,
                long size,
                byte @Nullable [] array) {
            this.name = name;
            this.part = part;
            this.order = order;
            this.code = code;
            this.alignment = alignment;
            this.size = size;
            this.array = array;
        }

        Rights rights() {
            if (code) {
                return Rights.READ_EXECUTE;
            }
            return part == Part.RODATA ? Rights.READ_ONLY : Rights.READ_WRITE;
        }
    }

    private final Encoding encoding;
    private final List<OutputSection> outputs;

    /** By index of the section in the planned image. */
    private final @Nullable Area[] areas;

    private final List<Area> inOrder = new ArrayList<>();
    private final TreeMap<Long, Area> byAddress = new TreeMap<>(Long::compareUnsigned);
    private final Area prefix;
    private long initBegin;
    private long initEnd;
    private long readOnlyBegin;
    private long readOnlyEnd;
    private long dataBegin;
    private long dataEnd;
    private long end;

    LinkedMemory(Encoding encoding, List<OutputSection> outputs, SectionPlan plan) {
        this.encoding = encoding;
        this.outputs = outputs;
        ModuleImage image = plan.image();
        this.areas = new Area[image.sections().size()];
        for (int i = 1; i < areas.length; i++) {
            Section section = image.section(i);
            if (ImageScript.isPlaced(section)) {
                areas[i] = area(section, i);
                inOrder.add(areas[i]);
            }
        }
        this.prefix =
                new Area(
                        "GOT and PLT",
                        Part.TEXT,
                        Integer.MAX_VALUE,
                        true,
                        PREFIX_ALIGNMENT,
                        plan.textPrefix(),
                        new byte[plan.textPrefix()]);
        inOrder.add(prefix);
        inOrder.sort(Comparator.comparing((Area area) -> area.part).thenComparingInt(a -> a.order));
    }

    private Area area(Section section, int index) {
        boolean code = section.flags().has(SectionFlags.EXECINSTR);
        long alignment = unsignedMax(section.alignment(), 1);
        if (index <= outputs.size()) {
            OutputSection output = outputs.get(index - 1);
            boolean space = !section.type().hasContents() && section.size() == output.size;
            return new Area(
                    output.name,
                    output.part,
                    output.order,
                    code,
                    alignment,
                    section.size(),
                    space ? null : bytes(section));
        }
        Part part =
                section.name().startsWith(".init")
                        ? Part.INIT
                        : code
                                ? Part.TEXT
                                : section.flags().has(SectionFlags.WRITE) ? Part.DATA : Part.RODATA;
        return new Area(
                section.name(),
                part,
                Integer.MAX_VALUE,
                code,
                alignment,
                section.size(),
                bytes(section));
    }

    /** What a section begins with; what a plan made room for is filled by relocations. */
    private static byte[] bytes(Section section) {
        return section.type().hasContents()
                ? section.contents().toByteArray()
                : new byte[(int) Math.min(section.size(), LIMIT)];
    }

    static long unsignedMax(long one, long other) {
        return Long.compareUnsigned(one, other) >= 0 ? one : other;
    }

    // ---- addresses ----

    /**
     * Gives all sections their addresses.
     *
     * @return the section that lies beyond what an image may have; empty if none does
     */
    Optional<String> place(long base, long page) {
        long at = base;
        Part part = Part.TEXT;
        for (Area area : inOrder) {
            while (part != area.part) {
                at = aligned(at, page);
                part = Part.values()[part.ordinal() + 1];
                begin(part, at);
            }
            long start = aligned(at, area.alignment);
            long used = start - base;
            if (Long.compareUnsigned(start, at) < 0
                    || Long.compareUnsigned(used, LIMIT) > 0
                    || Long.compareUnsigned(area.size, LIMIT - used) > 0
                    || Long.compareUnsigned(start + area.size, start) < 0
                    || !encoding.wide() && start + area.size > 1L << 32) {
                return Optional.of(area.name);
            }
            area.address = start;
            at = start + area.size;
            endOf(part, at);
            if (area.size > 0) {
                byAddress.put(start, area);
            }
        }
        initEnd = aligned(at, page);
        end = initEnd;
        return Optional.empty();
    }

    private void begin(Part part, long at) {
        switch (part) {
            case TEXT, BSS -> {}
            case RODATA -> readOnlyBegin = readOnlyEnd = at;
            case DATA -> dataBegin = dataEnd = at;
            case INIT -> initBegin = at;
        }
    }

    private void endOf(Part part, long at) {
        switch (part) {
            case TEXT, BSS, INIT -> {}
            case RODATA -> readOnlyEnd = at;
            case DATA -> dataEnd = at;
        }
    }

    private static long aligned(long at, long alignment) {
        return at + (-at & alignment - 1);
    }

    /** Address of the start of an output section. */
    long address(int index) {
        Area area = areas[index];
        if (area == null) {
            throw new IllegalStateException("section " + index + " takes no memory");
        }
        return area.address;
    }

    /** Symbols at the bounds of whole parts. */
    Map<String, Long> boundsOfParts() {
        return Map.of(
                "__start_rodata", readOnlyBegin,
                "__end_rodata", readOnlyEnd,
                "_sdata", dataBegin,
                "_edata", dataEnd,
                "__init_begin", initBegin,
                "__init_end", initEnd,
                "_end", end);
    }

    /** Init memory. */
    AddressRange initArea() {
        return new AddressRange(new Address(initBegin), initEnd - initBegin);
    }

    /** Whether an address is in a section of init code or data, by the section's name. */
    boolean isInit(long address) {
        Map.Entry<Long, Area> below = byAddress.floorEntry(address);
        return below != null && below.getValue().name.startsWith(".init");
    }

    // ---- bytes ----

    /** A section as an architecture sees it; {@code null} if it has no bytes. */
    @Nullable PlacedSection section(int index) {
        Area area = index > 0 && index < areas.length ? areas[index] : null;
        return area == null ? null : placed(area);
    }

    private @Nullable PlacedSection placed(Area area) {
        byte[] array = area.array;
        return array == null
                ? null
                : new PlacedSection(array, 0, array.length, area.address, encoding.bigEndian());
    }

    /** What a plan wants before the first section; here it is behind the text. */
    PlacedSection textPrefix() {
        PlacedSection placed = placed(prefix);
        if (placed == null) {
            throw new IllegalStateException("no bytes");
        }
        return placed;
    }

    /** Bytes of a word. */
    int wordSize() {
        return encoding.wordSize();
    }

    /** Whether words have 64 bits. */
    boolean wide() {
        return encoding.wide();
    }

    /** A result as an address of this machine. */
    long word(long value) {
        return encoding.wide() ? value : value & 0xffff_ffffL;
    }

    /** The bytes of a number; empty if they do not lie in the image. */
    Optional<Long> read(long address, int length) {
        Area area = at(address, length);
        if (area == null || area.array == null) {
            return Optional.empty();
        }
        int index = (int) (address - area.address);
        return Optional.of(Words.read(area.array, index, length, encoding.bigEndian()));
    }

    /** Writes a number into a section that has bytes. */
    void write(long address, int length, long value) {
        Area area = at(address, length);
        if (area == null || area.array == null) {
            throw new IllegalStateException("nothing at 0x" + Long.toHexString(address));
        }
        int index = (int) (address - area.address);
        Words.write(area.array, index, length, value, encoding.bigEndian());
    }

    /** The text at an address, one character a byte; empty if it does not end in its section. */
    Optional<String> text(long address) {
        Area area = at(address, 1);
        if (area == null || area.array == null) {
            return Optional.empty();
        }
        Bytes bytes = Bytes.wrap(area.array);
        int from = (int) (address - area.address);
        return bytes.indexOf((byte) 0, from) < 0 ? Optional.empty() : Optional.of(bytes.text(from));
    }

    private @Nullable Area at(long address, int length) {
        Map.Entry<Long, Area> below = byAddress.floorEntry(address);
        if (below == null) {
            return null;
        }
        Area area = below.getValue();
        long offset = address - area.address;
        int bytes = area.array == null ? 0 : area.array.length;
        return offset >= 0 && offset <= (long) bytes - length ? area : null;
    }

    /**
     * All that takes memory. Init memory has no holes, for all of its pages are filled when they
     * are freed.
     */
    List<Block> blocks() {
        List<Block> blocks = new ArrayList<>();
        List<Area> filled = inOrder.stream().filter(area -> area.size > 0).toList();
        long begin = initBegin;
        for (int i = 0; i < filled.size(); i++) {
            Area area = filled.get(i);
            long size = area.size;
            if (area.part == Part.INIT) {
                if (area.address != begin) { // only before the first
                    blocks.add(block(begin, Bytes.EMPTY, area.address - begin, area));
                }
                boolean last = i + 1 == filled.size();
                begin = last ? initEnd : filled.get(i + 1).address;
                size = begin - area.address;
            }
            Bytes contents = area.array == null ? Bytes.EMPTY : Bytes.wrap(area.array);
            blocks.add(block(area.address, contents, size, area));
        }
        return blocks;
    }

    private static Block block(long start, Bytes contents, long size, Area area) {
        return new Block(new Address(start), contents, size, area.rights(), area.name);
    }
}

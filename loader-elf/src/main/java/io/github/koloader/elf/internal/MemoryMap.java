package io.github.koloader.elf.internal;

import io.github.koloader.LinkedKernel.Block;
import io.github.koloader.image.Bytes;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * A linked kernel's memory: blocks with the rights that they have once the kernel is up, and the
 * part that is freed then. That part may be read, written and run as long as it is there.
 *
 * <p>A raw image is one piece; what symbols tell of it is cut out.
 *
 * @kernel include/asm-generic/vmlinux.lds.h; arch/&lt;arch&gt;/kernel/vmlinux.lds.S
 */
final class MemoryMap {
    private static final long LARGEST_BSS = 1L << 29;
    private static final List<String> INIT_SECTIONS =
            List.of(".init", ".exit", ".con_initcall", ".security_initcall");

    private static final List<String> STAYING =
            List.of(".text", ".rodata", ".data", ".sdata", ".bss", ".sbss", ".brk", ".smp_locks");

    private static final Comparator<LinkedImage.Piece> ASCENDING =
            Comparator.comparing(LinkedImage.Piece::address, Long::compareUnsigned);

    /** Sections that are constant once the kernel is up, whatever their flags say. */
    private static final Set<String> CONSTANTS = Set.of(".rodata", "__modver");

    private static final int ARM = 40;
    private static final int AARCH64 = 183;
    private static final long MEGABYTE = 1 << 20;
    private static final long SEGMENT = 1 << 16;

    /** Bytes of all blocks together, with room for those behind a raw image. */
    private static final long LARGEST = (1L << 30) - (1 << 27);

    /** Zero bytes behind a raw image that are looked for. */
    private static final long MOST_BEHIND = 1 << 26;

    private record Area(AddressRange range, Rights rights) {}

    private final LinkedImage image;
    private final SymbolIndex symbols;
    private final List<Block> blocks = new ArrayList<>();
    private final List<String> unknown = new ArrayList<>();
    private final Optional<AddressRange> initArea;
    private final List<Area> areas = new ArrayList<>();
    private long total;

    /**
     * Looks at an image.
     *
     * @param initcalls where its initcalls are, which are init data, if that is known
     * @param pageSize bytes of a page
     */
    MemoryMap(
            LinkedImage image,
            SymbolIndex symbols,
            Optional<AddressRange> initcalls,
            int pageSize) {
        this.image = image;
        this.symbols = symbols;
        this.initArea = findInitArea(initcalls, pageSize);
        initArea.ifPresent(range -> areas.add(new Area(range, Rights.READ_WRITE_EXECUTE)));
        area("_text", "_etext", Rights.READ_EXECUTE);
        area("_stext", "_etext", Rights.READ_EXECUTE);
        area("__start_rodata", "__end_rodata", Rights.READ_ONLY);
        area("__start_ro_after_init", "__end_ro_after_init", Rights.READ_ONLY);
        area("_sdata", "_edata", Rights.READ_WRITE);
        addBlocks();
    }

    private void area(String start, String end, Rights rights) {
        symbols.between(start, end).ifPresent(range -> areas.add(new Area(range, rights)));
    }

    List<Block> blocks() {
        return blocks;
    }

    Optional<AddressRange> initArea() {
        return initArea;
    }

    List<String> unknown() {
        return unknown;
    }

    private Optional<AddressRange> findInitArea(Optional<AddressRange> initcalls, int pageSize) {
        Optional<AddressRange> exact = symbols.between("__init_begin", "__init_end");
        if (exact.isPresent() && exact.get().size() <= imageSize()) {
            return exact;
        }
        List<AddressRange> parts = new ArrayList<>();
        boolean inside = false;
        for (LinkedImage.Piece piece : sorted()) {
            inside = isInit(piece.name()) || inside && mayBeInit(piece);
            if (inside && piece.size() > 0) {
                parts.add(new AddressRange(new Address(piece.address()), piece.size()));
            } else if (!inside && !parts.isEmpty()) {
                break;
            }
        }
        symbols.between("_sinittext", "_einittext").ifPresent(parts::add);
        initcalls.ifPresent(parts::add);
        if (parts.isEmpty()) {
            unknown.add("Init area: there are no symbols or sections that tell where it is.");
            return Optional.empty();
        }
        long start =
                parts.stream()
                        .map(AddressRange::start)
                        .min(Comparator.naturalOrder())
                        .orElseThrow()
                        .value();
        long end =
                parts.stream()
                        .map(AddressRange::end)
                        .max(Comparator.naturalOrder())
                        .orElseThrow()
                        .value();
        long first = start & -pageSize;
        long behind = rawEnd(first, end, pageSize);
        if (Long.compareUnsigned(behind, first) < 0 || behind - first > imageSize() + pageSize) {
            unknown.add("Init area: what would have to be in it does not lie together.");
            return Optional.empty();
        }
        unknown.add(
                "Init area: there are no usable symbols __init_begin and __init_end; it is taken to"
                        + " be the pages from the first to the last that init code or data is known in,"
                        + " and may be larger.");
        return Optional.of(AddressRange.between(first, behind));
    }

    /**
     * Where the area ends, if {@code known} is the end of what is known in it. Raw images have no
     * sections; but on arm, whose init code starts with a megabyte if rights are enforced, data
     * starts with one too, and on arm64 the relocations that the kernel applies to itself come
     * last, and data starts on a multiple of 64 KiB.
     *
     * @kernel arch/arm/kernel/vmlinux.lds.S; arch/arm64/kernel/vmlinux.lds.S, SEGMENT_ALIGN
     */
    private long rawEnd(long first, long known, int pageSize) {
        long end = known;
        long alignment = pageSize;
        Optional<LinkedImage.Piece> raw =
                image.pieceAt(first, 1).filter(piece -> piece.name().isEmpty());
        if (raw.isPresent() && image.elfMachine() == ARM && first % MEGABYTE == 0) {
            alignment = MEGABYTE;
        } else if (raw.isPresent() && image.elfMachine() == AARCH64) {
            Optional<AddressRange> table =
                    RelativeRelocations.table(raw.get(), image.encoding(), image.elfMachine());
            if (table.isPresent() && table.get().start().compareTo(new Address(first)) > 0) {
                end = Math.max(end, table.get().end().value()); // both in one piece
                end = Math.max(end, endOfZeros(raw.get(), end));
            }
            alignment = SEGMENT;
        }
        return end + alignment - 1 & -alignment;
    }

    /**
     * The first address from there on that is not zero in the file: relocations may be followed by
     * empty ones.
     */
    private static long endOfZeros(LinkedImage.Piece piece, long address) {
        Bytes bytes = piece.bytes();
        int at = (int) (address - piece.address());
        while (at < bytes.size() && bytes.get(at) == 0) {
            at++;
        }
        return piece.address() + at;
    }

    private long imageSize() {
        return image.pieces().stream().mapToLong(MemoryMap::size).sum();
    }

    private static long size(LinkedImage.Piece piece) {
        return Math.min(piece.size(), piece.bytes().size() + LARGEST_BSS);
    }

    /** What architectures put behind init code and data, up to what is known to stay. */
    private static boolean mayBeInit(LinkedImage.Piece piece) {
        return piece.size() == piece.bytes().size()
                && (piece.name().equals(".data..percpu")
                        || STAYING.stream().noneMatch(piece.name()::startsWith));
    }

    private List<LinkedImage.Piece> sorted() {
        return image.pieces().stream().sorted(ASCENDING).toList();
    }

    private static boolean isInit(String name) {
        return INIT_SECTIONS.stream().anyMatch(name::startsWith);
    }

    /**
     * Data that is zero at first lies behind a raw image, which may not tell how much of it there
     * is: as far as is known, up to the last variable that a table of parameters points to.
     */
    Optional<Block> behind(AddressRange parameters, int pageSize) {
        if (image.pieces().size() != 1 || !image.pieces().get(0).name().isEmpty()) {
            return Optional.empty();
        }
        LinkedImage.Piece piece = image.pieces().get(0);
        long end = piece.address() + piece.size();
        long furthest = 0;
        int wordSize = image.encoding().wordSize();
        for (long at = 0; at <= parameters.size() - wordSize; at += wordSize) {
            long distance = image.readWord(parameters.start().value() + at) - end;
            if (distance >= 0 && distance < MOST_BEHIND) {
                furthest = Math.max(furthest, distance + 1);
            }
        }
        if (furthest == 0) {
            return Optional.empty();
        }
        unknown.add(
                "Memory: where variables that are zero at first end; they are taken to go on to the"
                        + " last one that is a parameter.");
        long size = (end + furthest + pageSize - 1 & -pageSize) - end;
        return Optional.of(
                new Block(new Address(end), Bytes.EMPTY, size, Rights.READ_WRITE, ".bss"));
    }

    private void addBlocks() {
        long end = 0; // the first address behind what there is
        boolean full = false; // up to the last address there is
        int left = 0;
        int cut = 0;
        int large = 0;
        for (LinkedImage.Piece piece : mapped()) {
            if (piece.size() == 0) {
                continue;
            }
            long size = size(piece);
            cut += size < piece.size() ? 1 : 0;
            if (full || !blocks.isEmpty() && Long.compareUnsigned(piece.address(), end) < 0) {
                left++;
                continue;
            }
            if (size > LARGEST - total) {
                large++;
                continue;
            }
            total += size;
            add(piece, size);
            end = piece.address() + size;
            full = end == 0;
        }
        if (left > 0) {
            unknown.add("Memory: " + left + " sections overlap others, and are left out.");
        }
        if (large > 0) {
            unknown.add(
                    "Memory: " + large + " sections are left out: a kernel has not so much of it.");
        }
        if (cut > 0) {
            unknown.add("Memory: " + cut + " sections are cut to " + LARGEST_BSS + " zero bytes.");
        }
    }

    /** Pieces where they are in memory, lowest first. */
    private List<LinkedImage.Piece> mapped() {
        return image.pieces().stream()
                .flatMap(piece -> isTemplate(piece) ? loaded(piece).stream() : Stream.of(piece))
                .sorted(ASCENDING)
                .toList();
    }

    /** What each processor's area is copied from is linked at 0, which nothing is mapped at. */
    private static boolean isTemplate(LinkedImage.Piece piece) {
        return piece.name().equals(".data..percpu") && piece.address() == 0;
    }

    private Optional<LinkedImage.Piece> loaded(LinkedImage.Piece template) {
        Optional<Long> address = symbols.address("__per_cpu_load");
        if (address.isEmpty()) {
            unknown.add("Memory: where .data..percpu is: there is no symbol __per_cpu_load.");
        }
        return address.filter(at -> Long.compareUnsigned(at + template.size(), at) >= 0)
                .map(
                        at ->
                                new LinkedImage.Piece(
                                        template.name(),
                                        at,
                                        template.bytes(),
                                        template.size(),
                                        template.writable(),
                                        template.executable()));
    }

    private void add(LinkedImage.Piece piece, long size) {
        long start = piece.address();
        if (!piece.name().isEmpty()) {
            blocks.add(block(piece, 0, size, rights(piece)));
            return;
        }
        TreeSet<Long> cuts = new TreeSet<>(); // offsets in the piece
        for (Area area : areas) {
            cuts.add(area.range().start().value() - start);
            cuts.add(area.range().end().value() - start);
        }
        long from = 0;
        for (long cut : cuts) {
            if (cut > from && cut < size) {
                blocks.add(block(piece, from, cut, rightsAt(piece, from)));
                from = cut;
            }
        }
        blocks.add(block(piece, from, size, rightsAt(piece, from)));
    }

    private static Block block(LinkedImage.Piece piece, long from, long to, Rights rights) {
        int inFile = (int) Math.min(from, piece.bytes().size());
        int length = (int) Math.min(to - from, piece.bytes().size() - inFile);
        return new Block(
                new Address(piece.address() + from),
                piece.bytes().slice(inFile, length),
                to - from,
                rights,
                piece.name());
    }

    private Rights rights(LinkedImage.Piece piece) {
        return known(piece.address()).orElseGet(() -> ofFlags(piece));
    }

    private Rights rightsAt(LinkedImage.Piece piece, long offset) {
        Optional<Rights> known = known(piece.address() + offset);
        boolean code = areas.stream().anyMatch(area -> area.rights() == Rights.READ_EXECUTE);
        return known.orElseGet(() -> code && piece.writable() ? Rights.READ_WRITE : ofFlags(piece));
    }

    private Optional<Rights> known(long address) {
        return areas.stream()
                .filter(area -> area.range().contains(new Address(address)))
                .map(Area::rights)
                .findFirst();
    }

    private static Rights ofFlags(LinkedImage.Piece piece) {
        if (piece.executable()) {
            return piece.writable() ? Rights.READ_WRITE_EXECUTE : Rights.READ_EXECUTE;
        }
        return piece.writable() && !CONSTANTS.contains(piece.name())
                ? Rights.READ_WRITE
                : Rights.READ_ONLY;
    }
}

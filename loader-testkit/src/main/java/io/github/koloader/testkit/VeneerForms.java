package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Symbol;
import io.github.koloader.testkit.PlacedImage.Placed;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How one architecture branches, and where its loader keeps veneers and GOT: what it takes to make
 * one from outside.
 *
 * @param branchType relocation type of a branch that a veneer can serve
 * @param branchBytes that branch, before relocation, with the word behind it where that matters
 * @param addend its addend, with RELA
 * @param reach the least distance from the place that is too far for it
 * @param bias how far behind the place the branch counts from
 * @param pltSection name of the section with the veneers; {@code null} if they lie before the first
 *     section
 * @param gotType relocation type that makes a GOT slot
 * @param gotSlotSize bytes of a GOT slot
 */
record VeneerForms(
        int branchType,
        String branchBytes,
        long addend,
        long reach,
        long bias,
        @Nullable String pltSection,
        int gotType,
        int gotSlotSize) {
    /** Options that build a loader with veneers, where one without can be built. */
    static final List<String> PLT_OPTIONS =
            List.of("CONFIG_ARM64_MODULE_PLTS", "CONFIG_ARM_MODULE_PLTS", "CONFIG_MODULE_SECTIONS");

    private static final int S390_PLT_ENTRY = 22;
    private static final int LOONGARCH_GOT_PC_LO12 = 76;

    static VeneerForms of(Architecture architecture, boolean thumb) {
        return switch (architecture.name()) {
            case "arm64" -> new VeneerForms(282, "00000014", 0, 1L << 27, 0, ".plt", -1, 8);
            case "arm" ->
                    thumb
                            ? new VeneerForms(30, "fff7febf", 0, 1L << 24, 4, ".plt", -1, 4)
                            : new VeneerForms(29, "feffffea", 0, 1L << 25, 8, ".plt", -1, 4);
            case "riscv64" ->
                    new VeneerForms(19, "97000000e7800000", 0, 1L << 31, 0, ".plt", 20, 8);
            case "riscv32" ->
                    new VeneerForms(19, "97000000e7800000", 0, 1L << 31, 0, ".plt", 20, 4);
            case "ppc64le" ->
                    new VeneerForms(10, "0100004800000060", 0, 1L << 25, 0, ".stubs", -1, 8);
            case "s390x" -> new VeneerForms(20, "00000000", 2, 1L << 32, 0, null, 24, 8);
            case "loongarch64" -> new VeneerForms(66, "00000050", 0, 1L << 27, 0, ".plt", 75, 8);
            default -> new VeneerForms(4, "00000000", -4, 1L << 31, 4, null, -1, 8);
        };
    }

    /** Address of the first veneer of a placed image without GOT. */
    long firstSlot(Placed image) {
        return pltSection == null ? image.prefix().address() : image.section(pltSection).address();
    }

    /** Fewest GOT slots before a PLT entry that lies so far behind the GOT's start. */
    long gotSlotsBefore(long distance) {
        long entries = 0;
        while ((distance - S390_PLT_ENTRY * entries) % gotSlotSize != 0) {
            entries++;
        }
        return (distance - S390_PLT_ENTRY * entries) / gotSlotSize;
    }

    /** Whether a type reads a GOT slot that another one has to make. */
    boolean needsSlotMade(int type) {
        return gotType == 75 && type == LOONGARCH_GOT_PC_LO12;
    }

    /** A place as it is when it branches to its symbol itself: only REL keeps addends there. */
    byte[] withoutAddend(byte[] place) {
        byte[] bytes = place.clone();
        if (bias == 8) { // arm
            bytes[0] = (byte) 0xfe;
            bytes[1] = (byte) 0xff;
            bytes[2] = (byte) 0xff;
        } else if (bias == 4 && addend == 0) { // Thumb-2
            bytes[0] = (byte) 0xff;
            bytes[1] = (byte) (bytes[1] & 0xf8 | 0x07);
            bytes[2] = (byte) 0xfe;
            bytes[3] = (byte) (bytes[3] & 0xd0 | 0x2f);
        }
        return bytes;
    }

    /** The bytes of a branch from one address to another. */
    byte[] branch(Architecture architecture, KernelConfig config, long from, long to) {
        byte[] bytes = HexFormat.of().parseHex(branchBytes);
        PlacedImage image =
                new PlacedImage(architecture, config, architecture.acceptsRelocations(true))
                        .withLoaderSections();
        int section = image.section(".text", ALLOC | EXECINSTR, from, bytes);
        int symbol = image.symbol(Symbol.undefined("target"), to);
        image.relocation(section, new Relocation(0, branchType, symbol, addend));
        Placed placed = image.plan().place().relocate();
        return PlacedImage.read(placed.section(".text"), from, bytes.length);
    }

    /**
     * {@code st_other} of a function of ELFv2 whose local entry lies so many bytes behind the
     * global one.
     */
    static int symbolOther(int localEntryOffset) {
        return localEntryOffset == 0 ? 0 : Integer.numberOfTrailingZeros(localEntryOffset) << 5;
    }
}

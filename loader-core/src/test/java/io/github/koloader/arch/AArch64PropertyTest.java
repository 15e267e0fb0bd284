package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.AArch64Test.Code;
import io.github.koloader.arch.AArch64Test.Placed;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.statistics.Statistics;

/** Laws of the PLT: what was counted before layout is enough for what comes out of range. */
final class AArch64PropertyTest {
    private static final String[] SECTIONS = {".text", ".text.unlikely", ".init.text"};
    private static final int WORDS = 4096;
    private static final int SYMBOLS = 6;
    private static final long CORE = 0xffff8000_01000000L;
    private static final long INIT = 0xffff8000_40000000L;

    @Provide
    Arbitrary<KernelConfig> kernels() {
        return Arbitraries.of("4.20.0", "5.0.0", "6.1.0", "6.12.0")
                .map(KernelConfig::forRelease)
                .flatMap(config -> Arbitraries.of(config, AArch64Test.withErratum(config)));
    }

    /**
     * A module whose sections have {@code count} relocations each: branches to few symbols, {@code
     * adrp}, words.
     */
    private static ModuleImage module(Random random, int count) {
        Code code = new Code(SECTIONS[0], WORDS, 4);
        int[] sections = {code.text, 0, 0};
        for (int i = 1; i < sections.length; i++) {
            sections[i] =
                    code.builder.section(
                            Section.progbits(
                                    SECTIONS[i],
                                    SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                                    4,
                                    Bytes.wrap(new byte[4 * WORDS])));
        }
        int[] symbols = new int[SYMBOLS + sections.length];
        for (int i = 0; i < symbols.length; i++) {
            symbols[i] =
                    code.builder.symbol(
                            i < SYMBOLS
                                    ? Symbol.undefined("f" + i)
                                    : Symbol.function("own" + i, sections[i - SYMBOLS], 0, 4));
        }
        for (int section : sections) {
            for (int offset : random.ints(0, WORDS).distinct().limit(count).toArray()) {
                int[] types = {
                    AArch64.CALL26, AArch64.CALL26, AArch64.JUMP26, AArch64.ADR_PREL_PG_HI21_NC, 277
                };
                code.builder.relocate(
                        section,
                        new Relocation(
                                4L * offset,
                                types[random.nextInt(types.length)],
                                symbols[random.nextInt(symbols.length)],
                                random.nextInt(4) == 0 ? 4 * random.nextInt(3) : 0));
            }
        }
        return code.build();
    }

    /** Addresses that keep the alignment which the plan gave the sections. */
    private static Map<String, Long> addresses(Random random, ModuleImage planned) {
        Map<String, Long> addresses = new TreeMap<>();
        long[] ends = {CORE, INIT};
        for (Section section : planned.sections()) {
            if (section.flags().has(SectionFlags.EXECINSTR)) {
                int block = section.name().startsWith(".init") ? 1 : 0;
                long from = ends[block] + 4L * random.nextInt(4096);
                long address = from + section.alignment() - 1 & -section.alignment();
                addresses.put(section.name(), address);
                ends[block] = address + section.size();
            }
        }
        return addresses;
    }

    @Property(tries = 400)
    void thePlannedEntriesAreEnoughAndEveryBranchArrives(
            @ForAll long seed,
            @ForAll("kernels") KernelConfig config,
            @ForAll @IntRange(max = 700) int count) {
        Random random = new Random(seed);
        ModuleImage image = module(random, count);
        ModuleImage planned = Architectures.AARCH64.planSections(image, config, "m").image();
        Map<String, Long> addresses = addresses(random, planned);
        long[] values = new long[image.symbols().count()];
        for (int i = 1; i < values.length; i++) {
            int section = image.symbols().sectionIndex(i);
            values[i] =
                    section == 0
                            ? CORE + (random.nextInt(3) - 1) * (1L << 28) + 8L * random.nextInt(999)
                            : addresses.getOrDefault(image.section(section).name(), 0L);
        }
        Placed placed = new Placed(image, config, addresses, values).relocate();

        int far = 0;
        for (RelocationTable table : placed.image.relocations()) {
            PlacedSection section = placed.sections.get(table.target());
            for (int i = 0; section != null && i < table.count(); i++) {
                if (table.type(i) == AArch64.CALL26 || table.type(i) == AArch64.JUMP26) {
                    long wanted = values[table.symbolIndex(i)] + table.addend(i);
                    long p = section.address() + table.offset(i);
                    long jump = p + ((long) section.readInt(table.offset(i)) << 38 >> 36);
                    assertThat(arrival(config, placed, jump)).isEqualTo(wanted);
                    far += jump == wanted ? 0 : 1;
                }
            }
        }
        Statistics.label("branches over the PLT")
                .collect(far > 0)
                .coverage(coverage -> coverage.check(true).percentage(p -> p > 50));
    }

    /** Where a jump ends, which may be to an entry. */
    private static long arrival(KernelConfig config, Placed placed, long target) {
        for (String plt : List.of(".plt", ".init.plt")) {
            PlacedSection section = placed.section(plt);
            long slot = target - section.address();
            if (section.holds(slot, AArch64Plt.entrySize(config))) {
                return config.atLeast(5, 0)
                        ? AArch64Test.entryTarget(section, slot)
                        : movedTarget(section, slot);
            }
        }
        return target;
    }

    /** What {@code movn} and two {@code movk} make. */
    private static long movedTarget(PlacedSection plt, long slot) {
        long low = ~(plt.readInt(slot) >>> 5 & 0xffffL);
        long middle = plt.readInt(slot + 4) >>> 5 & 0xffffL;
        long high = plt.readInt(slot + 8) >>> 5 & 0xffffL;
        return low & ~0xffff_ffff_0000L | middle << 16 | high << 32;
    }

    @Property
    void anAdrpLeadsToItsPageUnlessItFaults(
            @ForAll long p, @ForAll int distance, @ForAll @IntRange(max = 31) int register) {
        long target = p + distance;
        int instruction = AArch64Fields.adrp(p, target, register);
        assertThat(AArch64Fields.isAdrp(instruction)).isTrue();
        assertThat(instruction & 31).isEqualTo(register);
        assertThat(AArch64Fields.adrpTarget(p, instruction)).isEqualTo(target & ~0xfffL);
    }

    @Property
    void aDataWordOfAnOldKernelTakesWhatCanBeReadBackSignedOrUnsigned(
            @ForAll long value, @ForAll boolean half) {
        Field field = new AArch64Fields.LooseWord(half ? 2 : 4);
        long there = field.insert(0, value);
        assertThat(field.fits(value))
                .isEqualTo(there == value || field.implicitAddend(there) == value);
    }
}

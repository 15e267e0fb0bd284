package io.github.koloader.arch;

import static io.github.koloader.arch.PlacedFixture.CODE;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** PLT and GOT: what is planned, and what is made. */
final class RiscVPropertyTest {
    private static final long TEXT = 0xffffffff_01001000L;
    private static final long PLT = 0xffffffff_01002000L;
    private static final long GOT = 0xffffffff_01003000L;
    private static final long GOT_PLT = 0xffffffff_01004000L;

    /** The kernel compares each entry with all before it. */
    @Property(tries = 200)
    void countingGivesWhatComparingEachWithAllBeforeItGives(
            @ForAll long seed, @ForAll @IntRange(max = 60) int count) {
        Random random = new Random(seed);
        PlacedFixture module = new PlacedFixture(Architectures.RISCV64);
        int plt = module.placeholder(".plt", PLT);
        int got = module.placeholder(".got", GOT);
        module.placeholder(".got.plt", GOT_PLT);
        int text = module.section(".text", CODE, TEXT, new byte[64]);
        int[] symbols = IntStream.range(0, 4).map(i -> module.symbol(0x1000L * i)).toArray();
        Relocation[] relocations = new Relocation[count];
        for (int i = 0; i < count; i++) {
            relocations[i] = random(random, symbols, 0);
        }
        module.relocate(text, relocations);
        ModuleImage planned = module.plan().image();
        assertThat(planned.section(plt).size()).isEqualTo(12L * (1 + different(relocations, 19)));
        assertThat(planned.section(got).size()).isEqualTo(8L * (1 + different(relocations, 20)));
    }

    private static long different(Relocation[] relocations, int type) {
        long count = 0;
        for (int i = 0; i < relocations.length; i++) {
            Relocation relocation = relocations[i];
            boolean before =
                    Arrays.stream(relocations, 0, i)
                            .anyMatch(
                                    earlier ->
                                            earlier.type() == relocation.type()
                                                    && earlier.symbolIndex()
                                                            == relocation.symbolIndex()
                                                    && earlier.addend() == relocation.addend());
            count += relocation.type() == type && !before ? 1 : 0;
        }
        return count;
    }

    private static Relocation random(Random random, int[] symbols, long offset) {
        int[] types = {18, 19, 19, 20, 20, 23, 51};
        return new Relocation(
                offset,
                types[random.nextInt(types.length)],
                symbols[random.nextInt(symbols.length)],
                random.nextInt(3) * 0x1000L);
    }

    @Property(tries = 200)
    void whatWasPlannedIsEnoughForWhatIsMade(
            @ForAll long seed, @ForAll @IntRange(max = 40) int count) {
        Random random = new Random(seed);
        PlacedFixture module = new PlacedFixture(Architectures.RISCV64);
        int plt = module.placeholder(".plt", PLT);
        int got = module.placeholder(".got", GOT);
        int gotPlt = module.placeholder(".got.plt", GOT_PLT);
        int[] symbols =
                IntStream.range(0, 5)
                        .map(i -> module.symbol(i < 3 ? 0x1000L * i + 8 : TEXT + 0x100 * i))
                        .toArray();
        Set<Long> farTargets = new HashSet<>();
        Set<Long> gotTargets = new HashSet<>();
        long[] values = {8, 0x1008, 0x2008, TEXT + 0x300, TEXT + 0x400};
        for (int section = 0; section < 2; section++) {
            long address = TEXT - 0x10000L * section;
            int text = module.section(".text." + section, CODE, address, new byte[8 * 40]);
            for (int i = 0; i < count; i++) {
                int symbol = random.nextInt(symbols.length);
                long a = random.nextInt(3) * 0x1000L;
                boolean call = random.nextBoolean();
                (symbol < 3 || !call ? call ? farTargets : gotTargets : new HashSet<Long>())
                        .add(values[symbol] + a);
                module.relocate(text, new Relocation(8L * i, call ? 19 : 20, symbols[symbol], a));
            }
        }
        module.load();
        assertThat(slots(module.memory(gotPlt))).isEqualTo(farTargets);
        assertThat(slots(module.memory(got))).isEqualTo(gotTargets);
        PlacedSection entries = module.memory(plt);
        for (int i = 0; i < farTargets.size(); i++) {
            assertThat(entries.readInt(12L * i + 8)).isEqualTo(0x00030067);
        }
        assertThat(entries.readInt(12L * farTargets.size())).isZero();
    }

    /** What fills a section of slots; the ones behind are zero. */
    private static Set<Long> slots(PlacedSection section) {
        Set<Long> found = new HashSet<>();
        for (int i = 0; i < section.size() / 8; i++) {
            long value = section.read(8L * i, 8);
            if (value != 0) {
                assertThat(found).as("slots before").hasSize(i);
                assertThat(found.add(value)).as("slot %s", i).isTrue();
            }
        }
        return found;
    }
}

package io.github.koloader.arch;

import static io.github.koloader.arch.PlacedFixture.CODE;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.image.Relocation;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** PLT and GOT: what is planned is enough for what is made. */
final class LoongArchPropertyTest {
    private static final long TEXT = 0xffff8000_02010000L;

    @Property(tries = 200)
    void whatWasPlannedIsEnoughForWhatIsMade(
            @ForAll long seed, @ForAll @IntRange(max = 40) int count) {
        Random random = new Random(seed);
        PlacedFixture module = new PlacedFixture(Architectures.LOONGARCH64);
        int got = module.placeholder(".got", 0xffff8000_02020000L);
        int plt = module.placeholder(".plt", 0xffff8000_02030000L);
        int pltIndex = module.placeholder(".plt.idx", 0xffff8000_02040000L);
        long[] values = {8, 0x1008, 0x2008, TEXT + 0x300, TEXT + 0x400};
        int[] symbols = IntStream.range(0, 5).map(i -> module.symbol(values[i])).toArray();
        Set<Long> farTargets = new HashSet<>();
        Set<Long> gotTargets = new HashSet<>();
        for (int section = 0; section < 2; section++) {
            long address = TEXT - 0x10000L * section;
            int text = module.section(".text." + section, CODE, address, new byte[8 * 40]);
            for (int i = 0; i < count; i++) {
                int symbol = random.nextInt(symbols.length);
                long a = random.nextInt(3) * 0x1000L;
                if (random.nextBoolean()) {
                    if (symbol < 3) {
                        farTargets.add(values[symbol] + a);
                    }
                    module.relocate(text, new Relocation(8L * i, 66, symbols[symbol], a));
                } else {
                    gotTargets.add(values[symbol] + a);
                    module.relocate(
                            text,
                            new Relocation(8L * i, 75, symbols[symbol], a),
                            new Relocation(8L * i + 4, 76, symbols[symbol], a));
                }
            }
        }
        module.load();
        assertThat(slots(module.memory(got))).isEqualTo(gotTargets);
        assertThat(slots(module.memory(pltIndex))).isEqualTo(farTargets);
        PlacedSection entries = module.memory(plt);
        for (int i = 0; i < farTargets.size(); i++) {
            assertThat(entries.readInt(16L * i + 12) & 0xffc003ff).isEqualTo(0x4c0001a0);
        }
        assertThat(entries.readInt(16L * farTargets.size())).isZero();
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

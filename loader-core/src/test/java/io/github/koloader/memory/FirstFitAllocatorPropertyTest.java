package io.github.koloader.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.memory.ModuleAllocator.Purpose;
import io.github.koloader.memory.ModuleAllocator.Request;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.statistics.Statistics;

/** The allocator against a bit for each granule. */
final class FirstFitAllocatorPropertyTest {
    private record Given(Address address, Request request, int granule, int count) {}

    private static OptionalInt lowest(BitSet taken, int granules, int count, int alignment) {
        for (int at = 0; at + count <= granules; at += alignment) {
            int next = taken.nextSetBit(at);
            if (next < 0 || next >= at + count) {
                return OptionalInt.of(at);
            }
        }
        return OptionalInt.empty();
    }

    @Property(tries = 100)
    void moduleMemoryIsTheLowestThatIsFree(
            @ForAll long seed, @ForAll @IntRange(min = 4, max = 400) int pages) {
        check(seed, Purpose.MODULE, 0x1000, pages, 1, 0xffffffff_c0000000L, 100);
    }

    @Property(tries = 100)
    void perCpuMemoryIsTheLowestThatIsFree(
            @ForAll long seed, @ForAll @IntRange(min = 4, max = 400) int bytes) {
        check(seed, Purpose.PER_CPU, 1, bytes, 0, 0x1000, 100);
    }

    private static void check(
            long seed,
            Purpose purpose,
            long granule,
            int granules,
            int guards,
            long base,
            int largest) {
        Random random = new Random(seed);
        AddressRange range = new AddressRange(new Address(base), granules * granule);
        FirstFitAllocator allocator = new FirstFitAllocator(List.of(range), range, range, 0x1000);
        BitSet taken = new BitSet();
        List<Given> given = new ArrayList<>();
        for (int step = 0; step < 150; step++) {
            if (random.nextInt(5) < 3 || given.isEmpty()) {
                int count = 1 + random.nextInt(random.nextBoolean() ? 3 : largest);
                int alignment = random.nextInt(4) == 0 ? 1 << random.nextInt(4) : 1;
                Request request =
                        new Request("m", purpose, Set.of(), count * granule, alignment * granule);
                OptionalInt expected = lowest(taken, granules, count + guards, alignment);
                var address = allocator.allocate(request);
                Statistics.label("room").collect(expected.isPresent());
                if (expected.isEmpty()) {
                    assertThat(address).isEmpty();
                    continue;
                }
                assertThat(address).contains(new Address(base + expected.getAsInt() * granule));
                taken.set(expected.getAsInt(), expected.getAsInt() + count + guards);
                given.add(
                        new Given(
                                address.orElseThrow(),
                                request,
                                expected.getAsInt(),
                                count + guards));
            } else {
                Given back = given.remove(random.nextInt(given.size()));
                allocator.free(back.address(), back.request());
                taken.clear(back.granule(), back.granule() + back.count());
            }
        }
        for (Given back : given) {
            allocator.free(back.address(), back.request());
        }
        assertThat(
                        allocator.allocate(
                                new Request(
                                        "m",
                                        purpose,
                                        Set.of(),
                                        (granules - guards) * granule,
                                        granule)))
                .contains(new Address(base));
    }
}

package io.github.koloader.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.memory.ModuleAllocator.Purpose;
import io.github.koloader.memory.ModuleAllocator.Request;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class FirstFitAllocatorTest {
    private static final long MODULES = 0xffffffff_c0000000L;
    private static final long IMAGES = 0xffffc900_00000000L;

    private final FirstFitAllocator allocator =
            new FirstFitAllocator(
                    List.of(AddressRange.between(MODULES, MODULES + 0x10000)),
                    AddressRange.between(IMAGES, IMAGES + 0x10000),
                    AddressRange.between(0x1004, 0x1104),
                    0x1000);

    private static Request request(Purpose purpose, long size, long alignment) {
        return new Request("m", purpose, Set.of(), size, alignment);
    }

    private static Request pages(int count) {
        return request(Purpose.MODULE, count * 0x1000L, 0x1000);
    }

    @Test
    void theFirstBlockLiesAtTheStartOfTheArea() {
        assertThat(allocator.allocate(pages(1))).contains(new Address(MODULES));
    }

    @Test
    void aGuardPageLiesBehindEachBlock() {
        allocator.allocate(pages(2));
        assertThat(allocator.allocate(pages(1))).contains(new Address(MODULES + 0x3000));
    }

    @Test
    void theLowestHoleThatIsLargeEnoughIsTaken() {
        allocator.allocate(pages(1));
        allocator.allocate(pages(3));
        allocator.allocate(pages(1));
        allocator.free(new Address(MODULES), pages(1));
        allocator.free(new Address(MODULES + 0x2000), pages(3));
        assertThat(allocator.allocate(pages(1))).contains(new Address(MODULES));
        assertThat(allocator.allocate(pages(3))).contains(new Address(MODULES + 0x2000));
    }

    @Test
    void freedNeighboursMerge() {
        allocator.allocate(pages(1));
        allocator.allocate(pages(1));
        allocator.allocate(pages(1));
        allocator.free(new Address(MODULES), pages(1));
        allocator.free(new Address(MODULES + 0x4000), pages(1));
        allocator.free(new Address(MODULES + 0x2000), pages(1));
        assertThat(allocator.allocate(pages(15))).contains(new Address(MODULES));
    }

    @Test
    void aFullAreaGivesNothing() {
        assertThat(allocator.allocate(pages(16))).isEmpty();
        assertThat(allocator.allocate(pages(15))).isPresent();
        assertThat(allocator.allocate(pages(1))).isEmpty();
    }

    @Test
    void sizesThatOverflowGiveNothing() {
        for (long size : new long[] {Long.MAX_VALUE, Long.MAX_VALUE - 0x1fff, 1L << 62}) {
            assertThat(allocator.allocate(request(Purpose.MODULE, size, 0x1000))).isEmpty();
            assertThat(allocator.allocate(request(Purpose.IMAGE, size, 0x1000))).isEmpty();
            assertThat(allocator.allocate(request(Purpose.PER_CPU, size, 1))).isEmpty();
        }
    }

    @Test
    void alignmentIsKept() {
        allocator.allocate(pages(1));
        assertThat(allocator.allocate(request(Purpose.MODULE, 0x1000, 0x4000)))
                .contains(new Address(MODULES + 0x4000));
        assertThat(allocator.allocate(pages(1))).contains(new Address(MODULES + 0x2000));
    }

    @Test
    void theHeapIsTheEndOfTheRangeOfCopies() {
        FirstFitAllocator large =
                new FirstFitAllocator(
                        List.of(AddressRange.between(MODULES, MODULES + 0x10000)),
                        AddressRange.between(IMAGES, IMAGES + 0x40000),
                        AddressRange.between(0x1004, 0x1104),
                        0x1000);
        Request text = request(Purpose.HEAP, 17, 8);
        assertThat(large.allocate(text)).contains(new Address(IMAGES + 0x3e000));
        assertThat(large.allocate(text)).contains(new Address(IMAGES + 0x3e020));
        large.free(new Address(IMAGES + 0x3e000), text);
        assertThat(large.allocate(request(Purpose.HEAP, 1, 8)))
                .contains(new Address(IMAGES + 0x3e000));
        assertThat(large.allocate(request(Purpose.HEAP, 0x2000, 8))).isEmpty();
        assertThat(large.allocate(request(Purpose.IMAGE, 0x3d000, 0x1000))).isPresent();
        assertThat(large.allocate(request(Purpose.IMAGE, 0x1000, 0x1000))).isEmpty();
        assertThat(allocator.allocate(text)).isEmpty(); // too small a range for a heap
    }

    @Test
    void temporaryCopiesComeFromARangeOfTheirOwnInWholePages() {
        assertThat(allocator.allocate(request(Purpose.IMAGE, 1, 0x1000)))
                .contains(new Address(IMAGES));
        assertThat(allocator.allocate(request(Purpose.IMAGE, 1, 0x1000)))
                .contains(new Address(IMAGES + 0x2000));
        assertThat(allocator.allocate(pages(1))).contains(new Address(MODULES));
    }

    @Test
    void perCpuDataIsPackedByteByByte() {
        assertThat(allocator.allocate(request(Purpose.PER_CPU, 3, 1)))
                .contains(new Address(0x1004));
        assertThat(allocator.allocate(request(Purpose.PER_CPU, 8, 8)))
                .contains(new Address(0x1008));
        assertThat(allocator.allocate(request(Purpose.PER_CPU, 1, 1)))
                .contains(new Address(0x1007));
    }

    @Test
    void perCpuDataThatDoesNotFitGetsNothing() {
        assertThat(allocator.allocate(request(Purpose.PER_CPU, 0x101, 1))).isEmpty();
        assertThat(allocator.allocate(request(Purpose.PER_CPU, 0x100, 1)))
                .contains(new Address(0x1004));
    }
}

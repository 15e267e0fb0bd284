package io.github.koloader.internal;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Orders recorded from the kernel's own {@code sort()}. */
final class KernelSortTest {
    private static int[] numbers(String text) {
        return text == null
                ? new int[0]
                : Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
    }

    private static int[] orderOf(int[] keys) {
        int[] order = new int[keys.length];
        Arrays.setAll(order, i -> i);
        KernelSort.sort(
                keys.length,
                new KernelSort.Elements() {
                    @Override
                    public int compare(int i, int j) {
                        return Integer.compare(keys[order[i]], keys[order[j]]);
                    }

                    @Override
                    public void swap(int i, int j) {
                        int old = order[i];
                        order[i] = order[j];
                        order[j] = old;
                    }
                });
        return order;
    }

    @ParameterizedTest
    @CsvSource({
        "1, 0",
        "1 0 0 2 1 2 1, 2 1 6 4 0 5 3",
        "1 0 7 5 6 0 0 7 2 0 0 3 1 7 1 6, 1 5 9 6 10 14 12 0 8 11 3 4 15 13 2 7",
        "0 1 1 2 1 0 1 1 1 0 0 1, 5 0 10 9 11 6 2 4 8 7 1 3",
        "8 6 9 11 11 9 6 7 8 4 9 1 7 9 6 4 8 4 4 7 3 0 9 7 1, 21 24 11 20 9 15 17 18 6 1 14 12 23 19 7 0 8 16 13 5 2 22 10 4 3",
        "0, 0",
        "0 0 0 0, 1 2 3 0",
        "0 1 0 1 0, 4 2 0 3 1",
        "1 1 1 0, 3 2 1 0",
        "0 1 2 2 2 3 1 2, 0 6 1 2 4 7 3 5",
        "3 4 5 3 2 5 10 2 4 8 7 4 4 7 3 11 1 7 9 10 1 4 4 2 0, 24 20 16 4 23 7 14 0 3 12 11 22 8 1 21 2 5 13 10 17 9 18 6 19 15",
        "1 1 1 1 0, 4 2 3 1 0",
        "7 8 5 7 7 6 2 6 6 8 6 9 4 0 9 4 4 7 8 7 10 9 0 9 1, 13 22 24 6 16 15 12 2 5 10 8 7 4 0 19 17 3 1 9 18 14 23 11 21 20",
        "5 1 1 0 3 4 2 2 2 0 5 2, 3 9 1 2 11 6 8 7 4 5 10 0"
    })
    void equalKeysEndUpWhereTheKernelLeavesThem(String keys, String order) {
        int[] numbers = numbers(keys);
        assertThat(orderOf(numbers)).containsExactly(numbers(order));
        long[] small = Arrays.stream(numbers).asLongStream().toArray();
        assertThat(KernelSort.order(small, null)).containsExactly(numbers(order));
        long[] large = Arrays.stream(small).map(key -> key - 3 << 40 ^ Long.MIN_VALUE).toArray();
        assertThat(KernelSort.order(large, null)).containsExactly(numbers(order));
        assertThat(
                        KernelSort.order(
                                new long[small.length],
                                Arrays.stream(small).map(k -> k - 5).toArray()))
                .containsExactly(numbers(order));
    }

    @Test
    void nothingIsLeftAlone() {
        assertThat(orderOf(new int[0])).isEmpty();
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongConsumer;

/**
 * Finds the address that a raw image is linked for: that at which most of its pointers point to the
 * beginning of a text. A kernel has thousands of such pointers; at a wrong address some of them
 * meet a beginning by chance, a small part.
 */
final class LinkAddress {
    private static final int PAGE = 0x1000;
    private static final int SHORTEST_TEXT = 4;
    private static final int LONGEST_TEXT = 128;

    /** Texts that are tried at first: enough, where there are many. */
    private static final int SAMPLE = 1 << 13;

    /** In a kernel there are two on average. */
    private static final int MOST_OF_A_PLACE = 32;

    private static final int COUNTERS = 1 << 20;
    private static final int FINALISTS = 4;
    private static final int EXACT = 1 << 12;
    private static final int SEEN = 1 << 24;
    private static final long SPREAD = 0x9E3779B97F4A7C15L;
    private static final int FEWEST = 6;

    private final Bytes bytes;
    private final Encoding encoding;
    private final Optional<RelativeRelocations> relocations;
    private final long highest;
    private final BitSet texts = new BitSet();

    private LinkAddress(
            Bytes bytes, Encoding encoding, long last, Optional<RelativeRelocations> relocations) {
        this.bytes = bytes;
        this.encoding = encoding;
        this.highest = last - bytes.size();
        this.relocations = relocations;
    }

    /**
     * The address of the first byte.
     *
     * @param last the last address that it may have
     * @param relocations where pointers are that are 0 in the image
     * @return a multiple of a page; empty if none stands out
     */
    static OptionalLong find(
            Bytes bytes, Encoding encoding, long last, Optional<RelativeRelocations> relocations) {
        return new LinkAddress(bytes, encoding, last, relocations).find();
    }

    private OptionalLong find() {
        findTexts();
        long best = 0;
        int most = 0;
        int second = 0;
        for (long address : finalists(sample())) {
            int hits = countHits(address);
            if (hits > most) {
                second = most;
                most = hits;
                best = address;
            } else {
                second = Math.max(second, hits);
            }
        }
        return most >= FEWEST && most > second + second / 2
                ? OptionalLong.of(best)
                : OptionalLong.empty();
    }

    /** Printable characters between two NULs. */
    private void findTexts() {
        int from = 0;
        for (int i = 0; i < bytes.size(); i++) {
            int character = bytes.get(i);
            if (character == 0) {
                if (i - from >= SHORTEST_TEXT && i - from <= LONGEST_TEXT && from > 0) {
                    texts.set(from);
                }
                from = i + 1;
            } else if (character < ' ' || character > '~') {
                from = Integer.MAX_VALUE; // not before the next NUL
            }
        }
    }

    /**
     * Some of the texts, those of one place in a page next to each other, after where these begin.
     */
    private int[][] sample() {
        int step = Math.max(1, texts.cardinality() / SAMPLE);
        int[] counts = new int[PAGE];
        int[] all = texts.stream().toArray();
        for (int i = 0; i < all.length; i += step) {
            counts[all[i] % PAGE] = Math.min(counts[all[i] % PAGE] + 1, MOST_OF_A_PLACE);
        }
        int[][] byPlace = new int[PAGE][];
        for (int i = 0; i < all.length; i += step) {
            int place = all[i] % PAGE;
            if (byPlace[place] == null) {
                byPlace[place] = new int[counts[place]];
            }
            if (counts[place] > 0) {
                byPlace[place][--counts[place]] = all[i];
            }
        }
        return byPlace;
    }

    /** Pointers, one after the other: words of the image, or what relocations write. */
    private int pointers() {
        return relocations
                .map(RelativeRelocations::count)
                .orElse(bytes.size() / encoding.wordSize());
    }

    private long pointer(int index) {
        return relocations.isPresent()
                ? relocations.get().value(index)
                : bytes.readWord(index * encoding.wordSize(), encoding);
    }

    /**
     * Where most fits, going by the sample: first by counters that addresses share, then exactly.
     */
    private List<Long> finalists(int[][] byPlace) {
        int[] counters = new int[COUNTERS];
        forEachAddress(byPlace, address -> counters[slot(address)]++);
        int[] sorted = counters.clone();
        Arrays.sort(sorted);
        int threshold = Math.max(2, sorted[COUNTERS - FINALISTS]);
        Map<Long, Integer> exact = new HashMap<>();
        forEachAddress(
                byPlace,
                address -> {
                    if (counters[slot(address)] >= threshold
                            && (exact.size() < EXACT || exact.containsKey(address))) {
                        exact.merge(address, 1, Integer::sum);
                    }
                });
        return exact.entrySet().stream()
                .sorted(Map.Entry.<Long, Integer>comparingByValue().reversed())
                .limit(FINALISTS)
                .map(Map.Entry::getKey)
                .toList();
    }

    /**
     * Every address at which a pointer points to a text of the sample; each pointer counts once.
     */
    private void forEachAddress(int[][] byPlace, LongConsumer action) {
        BitSet seen = new BitSet(SEEN);
        for (int i = 0; i < pointers(); i++) {
            long pointer = pointer(i);
            int[] candidates = byPlace[(int) pointer & PAGE - 1];
            if (candidates == null || pointer == 0) {
                continue;
            }
            int bit = (int) (pointer * SPREAD >>> 64 - Integer.numberOfTrailingZeros(SEEN));
            if (!seen.get(bit)) {
                seen.set(bit);
                for (int text : candidates) {
                    if (fits(pointer - text)) {
                        action.accept(pointer - text);
                    }
                }
            }
        }
    }

    private boolean fits(long address) {
        return Long.compareUnsigned(address, highest) < 0;
    }

    private static int slot(long address) {
        return (int) (address / PAGE * SPREAD >>> 64 - Integer.numberOfTrailingZeros(COUNTERS));
    }

    private int countHits(long address) {
        BitSet hits = new BitSet();
        for (int i = 0; i < pointers(); i++) {
            long offset = pointer(i) - address;
            if (offset > 0 && offset < bytes.size() && texts.get((int) offset)) {
                hits.set((int) offset);
            }
        }
        return hits.cardinality();
    }
}

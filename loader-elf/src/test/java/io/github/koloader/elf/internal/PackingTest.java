package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.image.Bytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class PackingTest {
    private static final int LIMIT = 1 << 25;

    /** Something of each: repetition near and far, and what cannot be packed. */
    private static byte[] mixed(int size) {
        Random random = new Random(size);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        while (out.size() < size) {
            byte[] part = new byte[1 + random.nextInt(3000)];
            switch (random.nextInt(4)) {
                case 0 -> random.nextBytes(part);
                case 1 -> Arrays.fill(part, (byte) random.nextInt());
                case 2 -> {
                    byte[] before = out.toByteArray();
                    for (int i = 0; i < part.length && before.length > 0; i++) {
                        part[i] = before[random.nextInt(before.length)];
                    }
                }
                default -> {
                    byte[] before = out.toByteArray();
                    int from = random.nextInt(before.length + 1);
                    part = Arrays.copyOfRange(before, from, Math.min(before.length, from + 2000));
                }
            }
            out.writeBytes(part);
        }
        return Arrays.copyOf(out.toByteArray(), size);
    }

    @ParameterizedTest
    @EnumSource
    void whatIsPackedIsUnpackedWhateverFollows(Packing packing) throws IOException {
        for (int size : new int[] {1, 100, 70_000, 600_000}) {
            byte[] bytes = mixed(size);
            for (byte[] packed :
                    new byte[][] {
                        Packers.pack(packing, bytes), Packers.packWithSize(packing, bytes)
                    }) {
                assertThat(Packing.at(Bytes.wrap(packed), 0)).contains(packing);
                assertThat(packing.unpack(Bytes.wrap(packed), LIMIT)).isEqualTo(Bytes.wrap(bytes));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void severalBlocksAreUnpackedOneAfterTheOther(Packing packing) throws IOException {
        byte[] bytes = Arrays.copyOf(mixed(100_000), 17 << 20);
        assertThat(packing.unpack(Bytes.wrap(Packers.packWithSize(packing, bytes)), LIMIT))
                .isEqualTo(Bytes.wrap(bytes));
    }

    @ParameterizedTest
    @EnumSource
    void wholeBlocksOfEightMebibytesAreUnpackedToTheLast(Packing packing) throws IOException {
        byte[] bytes = Arrays.copyOf(mixed(1000), 16 << 20);
        assertThat(packing.unpack(Bytes.wrap(Packers.packWithSize(packing, bytes)), LIMIT))
                .isEqualTo(Bytes.wrap(bytes));
    }

    @ParameterizedTest
    @EnumSource
    void whatIsCutOffIsRefused(Packing packing) {
        byte[] packed = Packers.pack(packing, mixed(5000));
        for (int size = 0; size < packed.length; size += 7) {
            Bytes cut = Bytes.wrap(Arrays.copyOf(packed, size));
            assertThatThrownBy(() -> packing.unpack(cut, LIMIT)).isInstanceOf(IOException.class);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aChangedByteIsNothingButAnIOException(Packing packing) {
        byte[] packed = Packers.pack(packing, mixed(5000));
        Random random = new Random(1);
        for (int i = 0; i < 500; i++) {
            byte[] changed = packed.clone();
            changed[random.nextInt(packed.length)] = (byte) random.nextInt();
            changed[random.nextInt(packed.length)] = (byte) random.nextInt();
            try {
                packing.unpack(Bytes.wrap(changed), LIMIT);
            } catch (IOException e) {
                assertThat(e)
                        .hasMessageStartingWith(packing.name().toLowerCase(java.util.Locale.ROOT));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void whatUnpacksToMoreThanTheLimitIsRefusedInTime(Packing packing) {
        Bytes bomb = Bytes.wrap(Packers.pack(packing, new byte[40 << 20]));
        Assertions.assertTimeout(
                Duration.ofSeconds(30),
                () ->
                        assertThatThrownBy(() -> packing.unpack(bomb, LIMIT))
                                .isInstanceOf(IOException.class)
                                .hasMessageContaining("more than 33554432 bytes"));
    }

    @Test
    void theFirstBlockOfLz4MustBeThere() {
        Bytes header = Bytes.copyOf((byte) 2, (byte) 0x21, (byte) 0x4c, (byte) 0x18);
        byte[] wrong = {2, 0x21, 0x4c, 0x18, -1, -1, -1, 0x7f, 0};
        assertThatThrownBy(() -> Packing.LZ4.unpack(header, LIMIT)).isInstanceOf(IOException.class);
        assertThatThrownBy(() -> Packing.LZ4.unpack(Bytes.wrap(wrong), LIMIT))
                .hasMessage("lz4: the first block is cut off");
    }

    @Test
    void aBlockOfLzoThatNoFileIsLargeEnoughForIsRefused() {
        byte[] packed = Packers.pack(Packing.LZO, new byte[100_000]);
        packed[9 + 8 + 4 + 12 + 1 + 4 + 4] = 3; // 48 MiB and more
        assertThatThrownBy(() -> Packing.LZO.unpack(Bytes.wrap(packed), LIMIT))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("cannot become");
    }

    @Test
    void lzoCopiesFromFarAway() throws IOException {
        byte[] bytes = mixed(250_000);
        System.arraycopy(bytes, 0, bytes, 40_000, 2000);
        System.arraycopy(bytes, 100_000, bytes, 100_000 + 16_384, 5000);
        System.arraycopy(bytes, 150_000, bytes, 150_000 + 2_500, 3);
        assertThat(Packing.LZO.unpack(Bytes.wrap(Packers.pack(Packing.LZO, bytes)), LIMIT))
                .isEqualTo(Bytes.wrap(bytes));
    }

    @Test
    void shortMagicsNeedAPlausibleHeader() {
        byte[] bytes = new byte[100];
        bytes[0] = 0x5d;
        assertThat(Packing.at(Bytes.wrap(bytes), 0)).isEmpty();
        bytes[0] = 'B';
        bytes[1] = 'Z';
        bytes[2] = 'h';
        assertThat(Packing.at(Bytes.wrap(bytes), 0)).isEmpty();
    }
}

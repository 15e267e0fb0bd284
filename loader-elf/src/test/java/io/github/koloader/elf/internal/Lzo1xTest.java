package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** Each kind of instruction, written by hand. */
final class Lzo1xTest {
    private static String unpack(int size, int... packed) throws IOException {
        byte[] bytes = new byte[packed.length];
        for (int i = 0; i < packed.length; i++) {
            bytes[i] = (byte) packed[i];
        }
        return Lzo1x.unpack(Bytes.wrap(bytes), size).length == size
                ? Bytes.wrap(Lzo1x.unpack(Bytes.wrap(bytes), size)).toLatin1()
                : "";
    }

    @Test
    void theFirstByteMayGiveLiterals() throws IOException {
        assertThat(unpack(4, 17 + 4, 'a', 'b', 'c', 'd', 17, 0, 0)).isEqualTo("abcd");
        assertThat(unpack(1, 17 + 1, 'a', 17, 0, 0)).isEqualTo("a");
    }

    @Test
    void aRunOfLiteralsHasThreeMoreThanItSays() throws IOException {
        assertThat(unpack(4, 1, 'a', 'b', 'c', 'd', 17, 0, 0)).isEqualTo("abcd");
    }

    @Test
    void aCopyFromNearHasLiteralsBehindIt() throws IOException {
        // 64 | 8 distance 3: three bytes, and one literal
        assertThat(unpack(8, 17 + 4, 'a', 'b', 'c', 'd', 64 | 2 << 2 | 1, 0, 'x', 17, 0, 0))
                .isEqualTo("abcdbcdx");
    }

    @Test
    void aCopyMayReachIntoItself() throws IOException {
        // 32 | 4: six bytes from a distance of 1
        assertThat(unpack(10, 17 + 4, 'a', 'b', 'c', 'd', 32 | 4, 0, 0, 17, 0, 0))
                .isEqualTo("abcddddddd");
        assertThat(unpack(10, 17 + 4, 'a', 'b', 'c', 'd', 32 | 4, 1 << 2, 0, 17, 0, 0))
                .isEqualTo("abcdcdcdcd");
    }

    @Test
    void twoBytesAreCopiedAfterUpToThreeLiterals() throws IOException {
        // after one literal the code 4 is a copy of two bytes from a distance of 2
        assertThat(unpack(10, 17 + 4, 'a', 'b', 'c', 'd', 64 | 2 << 2 | 1, 0, 'x', 4, 0, 17, 0, 0))
                .isEqualTo("abcdbcdxdx");
    }

    @Test
    void aLongLengthGoesOnInFurtherBytes() throws IOException {
        // 32: 2 + 31 + 255 + 1 bytes from a distance of 1
        assertThat(unpack(4 + 289, 17 + 4, 'a', 'b', 'c', 'd', 32, 0, 1, 0, 0, 17, 0, 0))
                .isEqualTo("abc" + "d".repeat(290));
    }

    @Test
    void aCopyFromBeforeTheBeginningIsRefused() {
        assertThatThrownBy(() -> unpack(8, 17 + 4, 'a', 'b', 'c', 'd', 64 | 7 << 2, 0, 17, 0, 0))
                .hasMessage("a copy from before the beginning");
    }

    @Test
    void anotherSizeIsRefused() {
        assertThatThrownBy(() -> unpack(5, 17 + 4, 'a', 'b', 'c', 'd', 17, 0, 0))
                .hasMessage("ends after 4 of 5 bytes");
        assertThatThrownBy(() -> unpack(3, 17 + 4, 'a', 'b', 'c', 'd', 17, 0, 0))
                .hasMessage("more than 3 bytes");
        assertThatThrownBy(() -> unpack(4, 17 + 4, 'a', 'b', 'c', 'd', 17, 0))
                .hasMessage("cut off");
    }
}

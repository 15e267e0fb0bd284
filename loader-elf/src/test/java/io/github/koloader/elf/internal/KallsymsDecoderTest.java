package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.elf.internal.KallsymsBytes.Entry;
import io.github.koloader.elf.internal.KallsymsBytes.Layout;
import io.github.koloader.elf.internal.KallsymsTables.Form;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

final class KallsymsDecoderTest {
    private static final int LARGE = 48 << 20;
    private static final Layout LINUX_6_1 =
            new Layout(Encoding.ELF64_LSB, 8, 4, false, false, false, true, Form.RELATIVE);

    private static void assertNothingInTime(byte[] bytes) {
        for (Encoding encoding :
                new Encoding[] {
                    Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB
                }) {
            Assertions.assertTimeout(
                    Duration.ofSeconds(20),
                    () ->
                            assertThat(
                                            KallsymsTables.find(
                                                    Bytes.wrap(bytes), encoding, value -> true))
                                    .isEmpty());
        }
    }

    @Test
    void zerosHaveNoSymbols() {
        assertNothingInTime(new byte[LARGE]);
    }

    @Test
    void aRepeatedPatternHasNoSymbols() {
        byte[] bytes = new byte[LARGE];
        for (int i = 0; i < bytes.length; i += 2) {
            bytes[i] = 'a';
        }
        assertNothingInTime(bytes);
    }

    @Test
    void growingNumbersHaveNoSymbols() {
        ByteBuffer bytes = ByteBuffer.allocate(LARGE).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; bytes.hasRemaining(); i++) {
            bytes.putShort((short) (i % 256 * 2));
        }
        assertNothingInTime(bytes.array());
    }

    @Test
    void tokensWithoutNamesTakeNoTime() {
        ByteBuffer bytes = ByteBuffer.allocate(LARGE).order(ByteOrder.LITTLE_ENDIAN);
        while (bytes.hasRemaining()) {
            for (int i = 0; i < 256; i++) {
                bytes.put((byte) 'a').put((byte) 0);
            }
            for (int i = 0; i < 256; i++) {
                bytes.putShort((short) (2 * i));
            }
        }
        assertNothingInTime(bytes.array());
    }

    @Test
    void anImageWithoutBytesHasNoSymbols() {
        assertThat(KallsymsDecoder.decode(new LinkedImage(Encoding.ELF64_LSB, 62, List.of())))
                .isEmpty();
    }

    @Test
    void addressesOutsideOfTheImageAreNotTaken() {
        List<Entry> entries = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            entries.add(new Entry(0x1000 + 8 * i, 't', "f" + i));
        }
        byte[] bytes = KallsymsBytes.write(LINUX_6_1, entries, 0x1000, new Random(1), true).bytes();
        assertThat(
                        KallsymsDecoder.decode(
                                KallsymsDecoderPropertyTest.image(Encoding.ELF64_LSB, bytes)))
                .isEmpty();
    }

    @Test
    void namesThatDoNotBeginWithATypeAreNotTaken() {
        List<Entry> entries = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            entries.add(
                    new Entry(
                            KallsymsDecoderPropertyTest.kernelAddress(Encoding.ELF64_LSB) + 8 * i,
                            i == 299 ? '_' : 't',
                            "f" + i));
        }
        byte[] bytes =
                KallsymsBytes.write(
                                LINUX_6_1,
                                entries,
                                KallsymsDecoderPropertyTest.kernelAddress(Encoding.ELF64_LSB),
                                new Random(1),
                                true)
                        .bytes();
        assertThat(
                        KallsymsDecoder.decode(
                                KallsymsDecoderPropertyTest.image(Encoding.ELF64_LSB, bytes)))
                .isEmpty();
    }
}

package io.github.koloader.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

final class NoteTest {
    private static Bytes bytes(ByteBuffer buffer) {
        return Bytes.copyOf(buffer.array());
    }

    private static ByteBuffer le(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    @Test
    void nameTypeAndDescriptionAreRead() {
        Bytes section =
                bytes(
                        le(20).putInt(4)
                                .putInt(4)
                                .putInt(3)
                                .put(new byte[] {'G', 'N', 'U', 0})
                                .putInt(0x04030201));
        assertThat(Note.parse(section, Encoding.ELF64_LSB))
                .containsExactly(
                        new Note("GNU", 3, Bytes.copyOf((byte) 1, (byte) 2, (byte) 3, (byte) 4)));
    }

    @Test
    void namesAndDescriptionsAreFilledToFourBytes() {
        Bytes section =
                bytes(
                        le(40).putInt(2)
                                .putInt(1)
                                .putInt(9)
                                .put(new byte[] {'a', 0, 7, 7})
                                .put(new byte[] {5, 7, 7, 7})
                                .putInt(2)
                                .putInt(0)
                                .putInt(8)
                                .put(new byte[] {'b', 0, 0, 0}));
        assertThat(Note.parse(section, Encoding.ELF64_LSB))
                .containsExactly(
                        new Note("a", 9, Bytes.copyOf((byte) 5)), new Note("b", 8, Bytes.EMPTY));
    }

    @Test
    void bigEndianNotesAreRead() {
        Bytes section = bytes(ByteBuffer.allocate(16).putInt(0).putInt(4).putInt(6).putInt(1));
        assertThat(Note.parse(section, Encoding.ELF32_MSB))
                .containsExactly(
                        new Note("", 6, Bytes.copyOf((byte) 0, (byte) 0, (byte) 0, (byte) 1)));
    }

    @Test
    void aNoteThatDoesNotFitEndsTheList() {
        for (int nameSize : new int[] {5, 0x7fffffff, -1}) {
            Bytes section =
                    bytes(
                            le(28).putInt(0)
                                    .putInt(0)
                                    .putInt(1)
                                    .putInt(nameSize)
                                    .putInt(0)
                                    .putInt(2)
                                    .putInt(0));
            assertThat(Note.parse(section, Encoding.ELF64_LSB))
                    .extracting(Note::type)
                    .containsExactly(1);
        }
    }

    @Test
    void aDescriptionThatDoesNotFitEndsTheList() {
        for (int size : new int[] {5, 0x7fffffff, -1}) {
            Bytes section = bytes(le(16).putInt(0).putInt(size).putInt(1).putInt(0));
            assertThat(Note.parse(section, Encoding.ELF64_LSB)).isEmpty();
        }
    }

    @Test
    void theLastDescriptionMayLackItsFilling() {
        Bytes section = bytes(le(13).putInt(0).putInt(1).putInt(4).put((byte) 9));
        assertThat(Note.parse(section, Encoding.ELF64_LSB))
                .containsExactly(new Note("", 4, Bytes.copyOf((byte) 9)));
    }

    @Test
    void fewerThanTwelveBytesAreNoNote() {
        assertThat(Note.parse(Bytes.copyOf(new byte[11]), Encoding.ELF64_LSB)).isEmpty();
    }
}

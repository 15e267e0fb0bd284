package io.github.koloader.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

final class BytesTest {
    private static final Bytes ABC =
            Bytes.copyOf((byte) 'a', (byte) 'b', (byte) 0, (byte) 'c', (byte) 0xff);

    @Test
    void copyOfDoesNotSeeLaterChangesOfTheArray() {
        byte[] array = {1, 2};
        Bytes bytes = Bytes.copyOf(array);
        array[0] = 9;
        assertThat(bytes.get(0)).isEqualTo((byte) 1);
    }

    @Test
    void toByteArrayIsACopy() {
        Bytes bytes = Bytes.copyOf((byte) 1);
        bytes.toByteArray()[0] = 9;
        assertThat(bytes.get(0)).isEqualTo((byte) 1);
    }

    @Test
    void slicesOfDifferentFilesWithTheSameContentAreEqual() {
        Bytes one = Bytes.copyOf((byte) 9, (byte) 1, (byte) 2).slice(1);
        Bytes other = Bytes.copyOf((byte) 1, (byte) 2, (byte) 7).slice(0, 2);
        assertThat(one).isEqualTo(other).hasSameHashCodeAs(other);
    }

    @Test
    void differentContentIsNotEqual() {
        assertThat(Bytes.copyOf((byte) 1)).isNotEqualTo(Bytes.copyOf((byte) 2));
        assertThat(Bytes.copyOf((byte) 1)).isNotEqualTo(Bytes.copyOf((byte) 1, (byte) 0));
        assertThat(Bytes.copyOf((byte) 1)).isNotEqualTo("1");
    }

    @Test
    void textEndsAtNul() {
        assertThat(ABC.text(0)).isEqualTo("ab");
    }

    @Test
    void textWithoutNulEndsWithTheBytes() {
        assertThat(ABC.text(3)).isEqualTo("c\u00ff");
        assertThat(ABC.textLength(3)).isEqualTo(2);
    }

    @Test
    void textAtTheEndIsEmpty() {
        assertThat(ABC.text(5)).isEmpty();
    }

    @Test
    void textOfASliceDoesNotReachBeyondIt() {
        assertThat(ABC.slice(0, 1).text(0)).isEqualTo("a");
    }

    @Test
    void indexOfFindsFromWhereItIsTold() {
        assertThat(ABC.indexOf((byte) 'b', 0)).isEqualTo(1);
        assertThat(ABC.indexOf((byte) 'b', 2)).isEqualTo(-1);
        assertThat(ABC.slice(1, 2).indexOf((byte) 'c', 0)).isEqualTo(-1);
        assertThat(ABC.indexOf((byte) 'a', -3)).isZero();
    }

    @Test
    void matchesComparesInsideTheBytesOnly() {
        assertThat(ABC.matches(0, new byte[] {'a', 'b'})).isTrue();
        assertThat(ABC.matches(1, new byte[] {'a'})).isFalse();
        assertThat(ABC.matches(4, new byte[] {(byte) 0xff, 0})).isFalse();
        assertThat(ABC.matches(-1, new byte[0])).isFalse();
    }

    @Test
    void numbersFollowTheByteOrder() {
        Bytes bytes =
                Bytes.copyOf(
                        (byte) 0x81,
                        (byte) 2,
                        (byte) 3,
                        (byte) 4,
                        (byte) 5,
                        (byte) 6,
                        (byte) 7,
                        (byte) 8);
        assertThat(bytes.unsignedShort(0, Encoding.ELF64_LSB)).isEqualTo(0x0281);
        assertThat(bytes.unsignedShort(0, Encoding.ELF64_MSB)).isEqualTo(0x8102);
        assertThat(bytes.readInt(0, Encoding.ELF64_LSB)).isEqualTo(0x04030281);
        assertThat(bytes.readInt(0, Encoding.ELF64_MSB)).isEqualTo(0x81020304);
        assertThat(bytes.readLong(0, Encoding.ELF64_LSB)).isEqualTo(0x0807060504030281L);
        assertThat(bytes.readLong(0, Encoding.ELF64_MSB)).isEqualTo(0x8102030405060708L);
    }

    @Test
    void aWordOf32BitsIsZeroExtended() {
        Bytes bytes = Bytes.copyOf((byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xfe);
        assertThat(bytes.readWord(0, Encoding.ELF32_MSB)).isEqualTo(0xfffffffeL);
        assertThat(bytes.readWord(0, Encoding.ELF32_LSB)).isEqualTo(0xfeffffffL);
    }

    @Test
    void accessOutsideIsTheCallersMistake() {
        assertThatThrownBy(() -> ABC.get(5)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> ABC.get(-1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> ABC.slice(3, 3)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> ABC.readInt(2, Encoding.ELF64_LSB))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> ABC.text(6)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void textLengthOutsideIsTheCallersMistake() {
        assertThatThrownBy(() -> ABC.slice(0, 2).textLength(-1))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void copyToPutsTheBytesWhereTold() {
        byte[] target = new byte[4];
        ABC.slice(0, 2).copyTo(target, 1);
        assertThat(target).containsExactly(0, 'a', 'b', 0);
    }

    @Test
    void latin1KeepsEveryByte() {
        assertThat(ABC.toLatin1()).isEqualTo("ab\0c\u00ff");
    }
}

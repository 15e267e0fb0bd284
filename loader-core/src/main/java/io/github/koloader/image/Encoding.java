package io.github.koloader.image;

import static com.google.common.base.Preconditions.checkArgument;

import java.nio.ByteOrder;

/**
 * How a file writes its numbers: ELF file class (word size) and data encoding (byte order).
 *
 * @param wordSize bytes of a word: 4 (ELFCLASS32) or 8 (ELFCLASS64)
 * @param byteOrder ELFDATA2LSB or ELFDATA2MSB
 */
public record Encoding(int wordSize, ByteOrder byteOrder) {
    /** ELFCLASS64, ELFDATA2LSB. */
    public static final Encoding ELF64_LSB = new Encoding(8, ByteOrder.LITTLE_ENDIAN);

    /** ELFCLASS64, ELFDATA2MSB. */
    public static final Encoding ELF64_MSB = new Encoding(8, ByteOrder.BIG_ENDIAN);

    /** ELFCLASS32, ELFDATA2LSB. */
    public static final Encoding ELF32_LSB = new Encoding(4, ByteOrder.LITTLE_ENDIAN);

    /** ELFCLASS32, ELFDATA2MSB. */
    public static final Encoding ELF32_MSB = new Encoding(4, ByteOrder.BIG_ENDIAN);

    /**
     * Checks the word size.
     *
     * @param wordSize bytes of a word: 4 (ELFCLASS32) or 8 (ELFCLASS64)
     * @param byteOrder ELFDATA2LSB or ELFDATA2MSB
     * @throws IllegalArgumentException if it is neither 4 nor 8
     */
    public Encoding {
        checkArgument(wordSize == 4 || wordSize == 8, "word size %s", wordSize);
    }

    /** {@return whether the most significant byte comes first} */
    public boolean bigEndian() {
        return byteOrder == ByteOrder.BIG_ENDIAN;
    }

    /** {@return whether this is ELFCLASS64} */
    public boolean wide() {
        return wordSize == 8;
    }

    /** {@return bytes of a symbol table entry: 24 or 16} */
    public int symbolSize() {
        return wide() ? 24 : 16;
    }
}

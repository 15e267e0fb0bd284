package io.github.koloader.internal;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Reads and writes 16-, 32- and 64-bit words of a byte array in either byte order, at any
 * alignment.
 */
public final class Words {
    private static final VarHandle SHORT_LE = view(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle SHORT_BE = view(short[].class, ByteOrder.BIG_ENDIAN);
    private static final VarHandle INT_LE = view(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT_BE = view(int[].class, ByteOrder.BIG_ENDIAN);
    private static final VarHandle LONG_LE = view(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG_BE = view(long[].class, ByteOrder.BIG_ENDIAN);

    /**
     * What a hash of a name starts with: another number in each JVM, so that no file can be made to
     * collide.
     */
    public static final int HASH_START = new java.security.SecureRandom().nextInt();

    private Words() {}

    /** The hash of a name whose bytes before the last have that hash. */
    public static int hash(int hash, byte next) {
        return (Integer.rotateLeft(hash, 5) ^ next) * 0x9e3779b1;
    }

    private static VarHandle view(Class<?> type, ByteOrder order) {
        return MethodHandles.byteArrayViewVarHandle(type, order);
    }

    /** The 16 bits at {@code at}, as a signed number. */
    public static short readShort(byte[] array, int at, boolean bigEndian) {
        return bigEndian ? (short) SHORT_BE.get(array, at) : (short) SHORT_LE.get(array, at);
    }

    /** The 32 bits at {@code at}. */
    public static int readInt(byte[] array, int at, boolean bigEndian) {
        return bigEndian ? (int) INT_BE.get(array, at) : (int) INT_LE.get(array, at);
    }

    /** The 64 bits at {@code at}. */
    public static long readLong(byte[] array, int at, boolean bigEndian) {
        return bigEndian ? (long) LONG_BE.get(array, at) : (long) LONG_LE.get(array, at);
    }

    /** The number of {@code length} bytes, 0, 1, 2, 4 or 8, zero-extended. */
    public static long read(byte[] array, int at, int length, boolean bigEndian) {
        if (length == 4) {
            return readInt(array, at, bigEndian) & 0xffff_ffffL;
        }
        return switch (length) {
            case 8 -> readLong(array, at, bigEndian);
            case 2 -> readShort(array, at, bigEndian) & 0xffffL;
            case 1 -> array[at] & 0xffL;
            case 0 -> 0;
            default -> throw new IllegalArgumentException(length + " bytes");
        };
    }

    /** Writes the low {@code length} bytes, 0, 1, 2, 4 or 8, of {@code value}. */
    public static void write(byte[] array, int at, int length, long value, boolean bigEndian) {
        if (length == 4) {
            writeInt(array, at, (int) value, bigEndian);
            return;
        }
        switch (length) {
            case 8 -> writeLong(array, at, value, bigEndian);
            case 2 -> writeShort(array, at, (int) value, bigEndian);
            case 1 -> array[at] = (byte) value;
            case 0 -> {}
            default -> throw new IllegalArgumentException(length + " bytes");
        }
    }

    /** A word of 4 or 8 bytes; 4 bytes are zero-extended. */
    public static long readWord(byte[] array, int at, int wordSize, boolean bigEndian) {
        return wordSize == 8
                ? readLong(array, at, bigEndian)
                : Integer.toUnsignedLong(readInt(array, at, bigEndian));
    }

    /**
     * Index of the first zero byte at or after {@code from}, or {@code end} if there is none before
     * it.
     */
    public static int indexOfZero(byte[] array, int from, int end) {
        int at = from;
        for (; at <= end - 8; at += 8) {
            long eight = (long) LONG_LE.get(array, at);
            long zeros = eight - 0x01010101_01010101L & ~eight & 0x80808080_80808080L;
            if (zeros != 0) {
                return at + (Long.numberOfTrailingZeros(zeros) >>> 3);
            }
        }
        while (at < end && array[at] != 0) {
            at++;
        }
        return Math.min(at, end);
    }

    /** Writes the low 16 bits of {@code value}. */
    public static void writeShort(byte[] array, int at, int value, boolean bigEndian) {
        if (bigEndian) {
            SHORT_BE.set(array, at, (short) value);
        } else {
            SHORT_LE.set(array, at, (short) value);
        }
    }

    /** Writes 32 bits. */
    public static void writeInt(byte[] array, int at, int value, boolean bigEndian) {
        if (bigEndian) {
            INT_BE.set(array, at, value);
        } else {
            INT_LE.set(array, at, value);
        }
    }

    /** Writes 64 bits. */
    public static void writeLong(byte[] array, int at, long value, boolean bigEndian) {
        if (bigEndian) {
            LONG_BE.set(array, at, value);
        } else {
            LONG_LE.set(array, at, value);
        }
    }

    /** Writes the low 4 or all 8 bytes of {@code value}. */
    public static void writeWord(
            byte[] array, int at, long value, int wordSize, boolean bigEndian) {
        if (wordSize == 8) {
            writeLong(array, at, value, bigEndian);
        } else {
            writeInt(array, at, (int) value, bigEndian);
        }
    }
}

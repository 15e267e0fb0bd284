package io.github.koloader.testkit;

/** Numbers of one to eight bytes in an array. */
final class Words {
    private Words() {}

    /** The unsigned number of {@code size} bytes at {@code at}. */
    static long read(byte[] bytes, int at, int size, boolean bigEndian) {
        long value = 0;
        for (int i = 0; i < size; i++) {
            value = value << 8 | bytes[at + (bigEndian ? i : size - 1 - i)] & 0xff;
        }
        return value;
    }

    /** Writes the low {@code size} bytes of {@code value}. */
    static void write(byte[] bytes, int at, int size, long value, boolean bigEndian) {
        for (int i = 0; i < size; i++) {
            bytes[at + (bigEndian ? size - 1 - i : i)] = (byte) (value >>> 8 * i);
        }
    }
}

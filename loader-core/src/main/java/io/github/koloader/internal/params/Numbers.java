package io.github.koloader.internal.params;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;

/**
 * Reads numbers and booleans as parameters have them.
 *
 * @kernel lib/kstrtox.c
 */
final class Numbers {
    private Numbers() {}

    /**
     * What a text says.
     *
     * @param error 0, or a negative errno
     * @param value the number, if there is no error
     */
    record Parsed(int error, long value) {
        private static final Parsed INVALID = new Parsed(-Errno.EINVAL.number(), 0);
        private static final Parsed BEYOND = new Parsed(-Errno.ERANGE.number(), 0);
    }

    /** An integer of {@code bits} bits, on a machine whose words have {@code wordBits}. */
    static Parsed integer(
            KernelConfig config, String text, boolean signed, int bits, int wordBits) {
        if (config.atLeast(3, 11)) {
            return integer(text, signed, bits);
        }
        Parsed word = integer(text, signed, Math.max(bits, wordBits));
        return word.error == 0 && !fits(word.value, signed, bits) ? Parsed.INVALID : word;
    }

    /** An integer of {@code bits} bits: sign, radix by prefix, digits, perhaps a newline. */
    static Parsed integer(String text, boolean signed, int bits) {
        boolean negative = signed && text.startsWith("-");
        int at = negative || text.startsWith("+") ? 1 : 0;
        int radix = radix(text, at);
        int digits = radix == 16 ? at + 2 : at;
        long number = 0;
        boolean beyond = false;
        int end = digits;
        for (; end < text.length(); end++) {
            int digit = digit(text.charAt(end), radix);
            if (digit < 0) {
                break;
            }
            beyond |= Long.compareUnsigned(number, Long.divideUnsigned(-1 - digit, radix)) > 0;
            number = number * radix + digit;
        }
        if (beyond) {
            return Parsed.BEYOND; // whatever follows
        }
        if (end == digits || end != text.length() && !text.substring(end).equals("\n")) {
            return Parsed.INVALID;
        }
        if (negative) {
            number = -number;
            return number > 0 || !fits(number, true, bits) ? Parsed.BEYOND : new Parsed(0, number);
        }
        return signed && number < 0 || !fits(number, signed, bits)
                ? Parsed.BEYOND
                : new Parsed(0, number);
    }

    private static int radix(String text, int at) {
        if (!text.startsWith("0", at)) {
            return 10;
        }
        boolean hex =
                at + 2 < text.length()
                        && (text.charAt(at + 1) | 0x20) == 'x'
                        && digit(text.charAt(at + 2), 16) >= 0;
        return hex ? 16 : 8;
    }

    private static int digit(char character, int radix) {
        return character < 0x80 ? Character.digit(character, radix) : -1;
    }

    private static boolean fits(long number, boolean signed, int bits) {
        if (bits == 64) {
            return true;
        }
        return signed ? number >= -1L << bits - 1 && number < 1L << bits - 1 : number >>> bits == 0;
    }

    /** A boolean, by its first or first two characters: the value is 1 or 0. */
    static Parsed bool(KernelConfig config, String text) {
        char first = text.isEmpty() ? 0 : text.charAt(0);
        char second = text.length() < 2 ? 0 : text.charAt(1);
        boolean words = config.atLeast(4, 6);
        boolean letters = config.atLeast(6, 1);
        return switch (first) {
            case 'y', 'Y', '1' -> new Parsed(0, 1);
            case 'n', 'N', '0' -> new Parsed(0, 0);
            case 't', 'T' -> letters ? new Parsed(0, 1) : Parsed.INVALID;
            case 'f', 'F' -> letters ? new Parsed(0, 0) : Parsed.INVALID;
            case 'o', 'O' -> words ? onOrOff(second) : Parsed.INVALID;
            default -> Parsed.INVALID;
        };
    }

    private static Parsed onOrOff(char second) {
        return switch (second) {
            case 'n', 'N' -> new Parsed(0, 1);
            case 'f', 'F' -> new Parsed(0, 0);
            default -> Parsed.INVALID;
        };
    }
}

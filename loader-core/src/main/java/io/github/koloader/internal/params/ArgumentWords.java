package io.github.koloader.internal.params;

/**
 * Splits a line of arguments into names and values, in place.
 *
 * @kernel lib/cmdline.c, next_arg()
 */
final class ArgumentWords {
    private final byte[] bytes;
    private int at;
    private int name;
    private int value;

    /** The words of that text; blanks before the first are skipped. */
    ArgumentWords(TextBuffer text) {
        this.bytes = text.bytes;
        skipBlanks();
    }

    /** Whether there is another word. */
    boolean hasMore() {
        return bytes[at] != 0;
    }

    /** Goes to the next word. */
    void next() {
        boolean quoted = bytes[at] == '"';
        boolean inQuotes = quoted;
        name = quoted ? at + 1 : at;
        int equals = -1;
        int stop = name;
        while (bytes[stop] != 0 && (inQuotes || !isBlank(bytes[stop]))) {
            if (bytes[stop] == '=' && equals < 0 && stop > name) {
                equals = stop;
            }
            inQuotes ^= bytes[stop] == '"';
            stop++;
        }
        value = -1;
        if (equals >= 0) {
            bytes[equals] = 0;
            value = equals + 1;
            if (bytes[value] == '"') {
                value++;
                dropQuoteBefore(stop);
            }
        }
        if (quoted && stop > name) {
            dropQuoteBefore(stop);
        }
        at = stop;
        if (bytes[stop] != 0) {
            bytes[stop] = 0;
            at++;
        }
        skipBlanks();
    }

    private void dropQuoteBefore(int stop) {
        if (bytes[stop - 1] == '"') {
            bytes[stop - 1] = 0;
        }
    }

    private void skipBlanks() {
        while (isBlank(bytes[at])) {
            at++;
        }
    }

    /** Whether the kernel takes that byte for white space. */
    static boolean isBlank(byte character) {
        return character == ' '
                || character >= '\t' && character <= '\r'
                || (character & 0xff) == 0xa0;
    }

    /** Index of the word's name. */
    int name() {
        return name;
    }

    /** Index of the word's value, or −1 if it has none. */
    int value() {
        return value;
    }

    /** Index of what has not been split yet. */
    int rest() {
        return at;
    }
}

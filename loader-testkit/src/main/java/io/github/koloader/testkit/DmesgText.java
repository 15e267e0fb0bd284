package io.github.koloader.testkit;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;

/**
 * Text with escapes, as {@code /dev/kmsg} shows log records ({@code \xNN}) and as recordings write
 * parameters ({@code \t}, {@code \n} and {@code \xNN}). On our side text has one character a byte.
 */
final class DmesgText {
    private DmesgText() {}

    /** As {@code /dev/kmsg} shows it: control characters, bytes from 0x7f on and backslashes. */
    static String escape(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c >= 0x7f || c == '\\') {
                out.append("\\x").append(hexDigit(c >> 4)).append(hexDigit(c));
            } else {
                out.append(c);
            }
        }
        return out.toString();
    }

    private static char hexDigit(int value) {
        return Character.forDigit(value & 15, 16);
    }

    /**
     * The bytes that escaped text stands for; a backslash that begins none of the escapes stands
     * for itself, and characters beyond one byte for their UTF-8.
     */
    static String unescape(String text) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            char next = i + 1 < text.length() ? text.charAt(i + 1) : 0;
            if (c == '\\' && (next == 't' || next == 'n')) {
                out.write(next == 't' ? '\t' : '\n');
                i++;
            } else if (c == '\\' && next == 'x' && isHex(text, i + 2) && isHex(text, i + 3)) {
                out.write(Integer.parseInt(text.substring(i + 2, i + 4), 16));
                i += 3;
            } else {
                int end = text.offsetByCodePoints(i, 1);
                out.writeBytes(
                        text.substring(i, end).getBytes(java.nio.charset.StandardCharsets.UTF_8));
                i = end - 1;
            }
        }
        return out.toString(ISO_8859_1);
    }

    private static boolean isHex(String text, int at) {
        return at < text.length() && Character.digit(text.charAt(at), 16) >= 0;
    }
}

package io.github.koloader.cli;

import java.util.Locale;

/** Names and numbers as text of a picture. */
final class PictureText {
    private static final int LONGEST_NAME = 120;

    private PictureText() {}

    /** Microseconds for people. */
    static String time(double microseconds) {
        if (microseconds < 1_000) {
            return "%.0f µs".formatted(microseconds);
        }
        boolean milli = microseconds < 1_000_000;
        double number = microseconds / (milli ? 1_000 : 1_000_000);
        int digits = number < 10 ? 2 : number < 100 ? 1 : 0;
        return String.format(Locale.ROOT, "%,." + digits + "f %s", number, milli ? "ms" : "s");
    }

    /** Microseconds since power-on, as in the log. */
    static String seconds(long microseconds) {
        return String.format(Locale.ROOT, "%.6f s", microseconds / 1e6);
    }

    /** A number with two digits behind the point. */
    static String decimal(double number) {
        return String.format(Locale.ROOT, "%.2f", number);
    }

    /** A count with its thousands apart. */
    static String grouped(long number) {
        return String.format(Locale.ROOT, "%,d", number);
    }

    /**
     * Text of one character a byte for people: not too long, and without characters that cannot be
     * seen or change the direction of others.
     */
    static String readable(String bytes) {
        String text = Output.decode(bytes);
        StringBuilder readable = new StringBuilder();
        text.codePoints()
                .limit(2L * LONGEST_NAME)
                .forEach(
                        c -> {
                            int type = Character.getType(c);
                            boolean hidden =
                                    type == Character.CONTROL
                                            || type == Character.FORMAT
                                            || type == Character.SURROGATE
                                            || type == Character.PRIVATE_USE
                                            || type == Character.UNASSIGNED
                                            || type == Character.LINE_SEPARATOR
                                            || type == Character.PARAGRAPH_SEPARATOR;
                            if (hidden) {
                                readable.append("\\u{%x}".formatted(c));
                            } else {
                                readable.appendCodePoint(c);
                            }
                        });
        return readable.length() <= 2 * LONGEST_NAME && text.length() <= 2 * LONGEST_NAME
                ? readable.toString()
                : readable.substring(0, Math.min(readable.length(), LONGEST_NAME)) + "…";
    }

    /** Text as HTML, in an element or in an attribute between double quotation marks. */
    static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;")
                .replace("'", "&#39;");
    }
}

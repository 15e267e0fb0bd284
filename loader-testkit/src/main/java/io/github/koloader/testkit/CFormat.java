package io.github.koloader.testkit;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The conversions of {@code printf} that small modules use: %d %i %u %x %s, also long. */
final class CFormat {
    private static final Pattern CONVERSION = Pattern.compile("%(%|(hh|h|ll|l|z)?([diuxs]))");

    private CFormat() {}

    /**
     * A format with its arguments: {@code Integer} and {@code Long} for numbers, {@code String} for
     * strings.
     *
     * @param format the format
     * @param arguments as many as the format wants
     * @return empty if there are fewer or more arguments, or of other types, than it wants
     */
    static Optional<String> format(String format, Object... arguments) {
        StringBuilder text = new StringBuilder();
        Matcher conversion = CONVERSION.matcher(format);
        int used = 0;
        int from = 0;
        while (conversion.find()) {
            text.append(format, from, conversion.start());
            from = conversion.end();
            if (conversion.group(1).equals("%")) {
                text.append('%');
                continue;
            }
            if (used >= arguments.length) {
                return Optional.empty();
            }
            Optional<String> argument = convert(conversion.group(3).charAt(0), arguments[used++]);
            if (argument.isEmpty()) {
                return Optional.empty();
            }
            text.append(argument.get());
        }
        return used == arguments.length
                ? Optional.of(text.append(format, from, format.length()).toString())
                : Optional.empty();
    }

    private static Optional<String> convert(char kind, Object argument) {
        if (kind == 's') {
            return argument instanceof String text ? Optional.of(text) : Optional.empty();
        }
        if (argument instanceof Integer number) {
            return Optional.of(
                    kind == 'u'
                            ? Integer.toUnsignedString(number)
                            : kind == 'x' ? Integer.toHexString(number) : number.toString());
        }
        if (argument instanceof Long number) {
            return Optional.of(
                    kind == 'u'
                            ? Long.toUnsignedString(number)
                            : kind == 'x' ? Long.toHexString(number) : number.toString());
        }
        return Optional.empty();
    }
}

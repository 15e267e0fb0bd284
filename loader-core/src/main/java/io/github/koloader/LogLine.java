package io.github.koloader;

import static java.util.Objects.requireNonNull;

/**
 * A line for the kernel log.
 *
 * @param level its priority
 * @param text what it says, without the newline at its end; one character a byte
 */
public record LogLine(LogLevel level, String text) {
    /** Characters that a line can have: what is longer is cut, as the kernel's log does. */
    public static final int LIMIT = 1021;

    /**
     * Checks for nulls, and cuts what is too long.
     *
     * @param level its priority
     * @param text what it says, without the newline at its end; one character a byte
     */
    public LogLine {
        requireNonNull(level);
        text = text.length() > LIMIT ? text.substring(0, LIMIT) : text;
    }

    /**
     * {@return a line of that priority}
     *
     * @param level its priority
     * @param text what it says, one character a byte
     */
    public static LogLine of(LogLevel level, String text) {
        return new LogLine(level, text);
    }
}

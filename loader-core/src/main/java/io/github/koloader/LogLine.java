package io.github.koloader;

import static java.util.Objects.requireNonNull;

/**
 * A line for the kernel log.
 *
 * @param level its priority
 * @param text what it says, without the newline at its end; one character a byte
 */
public record LogLine(LogLevel level, String text) {
    /**
     * Checks for nulls.
     *
     * @param level its priority
     * @param text what it says, without the newline at its end; one character a byte
     */
    public LogLine {
        requireNonNull(level);
        requireNonNull(text);
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

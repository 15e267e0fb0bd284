package io.github.koloader;

/** Priority of a kernel log line; {@link #ordinal()} is the number that {@code /dev/kmsg} shows. */
public enum LogLevel {
    /** System is unusable. */
    EMERG,
    /** Action must be taken at once. */
    ALERT,
    /** Critical. */
    CRIT,
    /** Error. */
    ERR,
    /** Warning. */
    WARNING,
    /** Normal but significant. */
    NOTICE,
    /** Informational. */
    INFO,
    /** Debugging. */
    DEBUG
}

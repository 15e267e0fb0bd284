package io.github.koloader.arch;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import java.util.Locale;

/** How architectures refuse: an errno and one line of level {@code KERN_ERR}. */
final class Refusal {
    private Refusal() {}

    static LoadException refuse(Errno errno, String format, Object... arguments) {
        return new LoadException(
                errno, new LogLine(LogLevel.ERR, String.format(Locale.ROOT, format, arguments)));
    }
}

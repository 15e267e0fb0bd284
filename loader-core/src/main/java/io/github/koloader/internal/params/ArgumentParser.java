package io.github.koloader.internal.params;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LogLine;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Warnings;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Goes through a line of arguments and sets what each word names.
 *
 * @kernel kernel/params.c, parse_args()
 */
abstract class ArgumentParser {
    /** Lines about errors that a result keeps; all of them are in the log. */
    private static final int COMPLAINTS = 10_000;

    /**
     * How it ended.
     *
     * @param error what the last word that failed gave, 0 if all were set
     * @param rest what follows {@code --}; {@code null} if there is no such word or one failed
     * @param lines what was said about words that failed, oldest first
     */
    record Result(int error, @Nullable String rest, List<LogLine> lines) {}

    final KernelState kernel;
    final KernelConfig config;
    private final List<LogLine> complaints = new ArrayList<>();

    ArgumentParser(KernelState kernel) {
        this.kernel = kernel;
        this.config = kernel.config;
    }

    /**
     * Sets what one word names.
     *
     * @param name index of its name
     * @param value index of its value, or −1
     * @return 0, or what the setter gave; −ENOENT if there is nothing of that name
     */
    abstract int set(TextBuffer text, int name, int value);

    /** The last word that failed, for people. */
    String failedName = "";

    /** See {@link #failedName}. */
    String failedValue = "";

    /** Parses all words; {@code who} begins the messages. */
    Result parse(String who, TextBuffer text) {
        ArgumentWords words = new ArgumentWords(text);
        if (words.hasMore() && kernel.dynamicDebug.prints(DynamicDebug.Site.PARSE_ARGS)) {
            kernel.log.add(Warnings.parsingArguments(who, text.text(words.rest())));
        }
        int error = 0;
        while (words.hasMore()) {
            words.next();
            String name = text.text(words.name());
            if (words.value() < 0 && name.equals("--") && config.atLeast(3, 15)) {
                String rest = error == 0 ? text.text(words.rest()) : null;
                return new Result(error, rest, List.copyOf(complaints));
            }
            int result = set(text, words.name(), words.value());
            if (result != 0) {
                complain(who, text, words, result);
                error = result;
                if (!config.atLeast(3, 11)) {
                    break;
                }
            }
        }
        return new Result(error, null, List.copyOf(complaints));
    }

    /** Setters may have cut name and value in place: what is left of them is said. */
    private void complain(String who, TextBuffer text, ArgumentWords words, int result) {
        String name = text.text(words.name());
        String value = words.value() < 0 ? "" : text.text(words.value());
        failedName = name;
        failedValue = value;
        if (result == -Errno.ENOENT.number()) {
            say(Warnings.unknownParameter(who, name));
        } else if (result == -Errno.ENOSPC.number()) {
            say(Warnings.parameterTooLarge(who, value, name));
        } else {
            say(Warnings.parameterInvalid(who, value, name));
        }
    }

    /** Logs a line about a word that fails, and keeps it for the exception. */
    final void say(LogLine line) {
        kernel.log.add(line);
        if (complaints.size() < COMPLAINTS) {
            complaints.add(line);
        }
    }
}

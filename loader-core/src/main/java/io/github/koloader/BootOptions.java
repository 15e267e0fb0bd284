package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * Handlers of words on the kernel's command line that are no parameters: what {@code early_param()}
 * and {@code __setup()} register. They are asked behind those of the {@linkplain
 * LinkedKernel#setupTable() linked kernel}, in the order in which they were added. Belongs to its
 * kernel's thread.
 *
 * <p>{@code initcall_blacklist=}, {@code init=}, {@code rdinit=} and {@code rodata=} are known to
 * every kernel. A kernel without a table of its own also takes what every Linux has for its console
 * and its root file system, such as {@code quiet} and {@code root=}; they do nothing here.
 *
 * @kernel include/linux/init.h, __setup_param()
 */
public final class BootOptions {
    /** Takes an option. */
    @FunctionalInterface
    public interface Handler {
        /**
         * Takes an option.
         *
         * @param value of an early one its value, which may be absent; else what follows the
         *     registered text in the word. One character a byte
         * @return of an early one 0 or an errno; else 1 if the option is taken, 0 if others are to
         *     be asked
         */
        int handle(Optional<String> value);
    }

    /**
     * A handler and what it is for.
     *
     * @param text the option's name, or what a word starts with; dashes are underscores
     * @param early whether it is an {@code early_param()}
     * @param handler takes the option
     */
    public record Option(String text, boolean early, Handler handler) {
        /**
         * Checks the text.
         *
         * @param text the option's name, or what a word starts with; not empty
         * @param early whether it is an {@code early_param()}
         * @param handler takes the option
         */
        public Option {
            checkArgument(!text.isEmpty(), "an option without a name");
            requireNonNull(handler);
        }
    }

    private final List<Option> options = new ArrayList<>();

    BootOptions() {}

    /**
     * Adds what {@code early_param()} adds: a name, which must be equal.
     *
     * @param name the option's name
     * @param handler takes its value; another answer than 0 is warned about
     * @return this
     */
    public BootOptions early(String name, Handler handler) {
        options.add(new Option(name, true, handler));
        return this;
    }

    /**
     * Adds what {@code __setup()} adds: a text that the word starts with.
     *
     * @param text such as {@code root=}
     * @param handler takes what follows it
     * @return this
     */
    public BootOptions setup(String text, Handler handler) {
        options.add(new Option(text, false, handler));
        return this;
    }

    /** {@return what was added, oldest first; a view} */
    public List<Option> all() {
        return Collections.unmodifiableList(options);
    }
}

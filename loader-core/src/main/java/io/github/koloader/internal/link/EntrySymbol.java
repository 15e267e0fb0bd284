package io.github.koloader.internal.link;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the symbol of an initcall's entry says, {@code __initcall__kmod_loop__423_2271_loop_init6},
 * as they are since 5.12.
 *
 * @param module the {@code KBUILD_MODNAME} of the code
 * @param function the function and behind it the id of the level
 * @kernel include/linux/init.h, __initcall_name()
 */
record EntrySymbol(String module, String function) {
    private static final Pattern FORM =
            Pattern.compile("__initcall__kmod_(.+?)__\\d+_\\d+_(.+)", Pattern.DOTALL);

    /** What a symbol says; empty if it is of another form. */
    static Optional<EntrySymbol> parse(String symbol) {
        Matcher matcher = FORM.matcher(symbol);
        return matcher.matches()
                ? Optional.of(new EntrySymbol(matcher.group(1), matcher.group(2)))
                : Optional.empty();
    }
}

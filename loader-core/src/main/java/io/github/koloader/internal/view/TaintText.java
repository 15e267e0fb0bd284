package io.github.koloader.internal.view;

import io.github.koloader.KernelConfig;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.internal.LoadedModule;
import java.util.List;
import java.util.Set;

/**
 * Taints as letters.
 *
 * @kernel kernel/panic.c, print_tainted(); kernel/module/main.c, module_flags()
 */
public final class TaintText {
    /** Which taints modules could have before 4.10, in the order of their letters. */
    private static final List<Taint> OLD_ORDER =
            List.of(
                    Taint.PROPRIETARY_MODULE,
                    Taint.OOT_MODULE,
                    Taint.FORCED_MODULE,
                    Taint.CRAP,
                    Taint.UNSIGNED_MODULE,
                    Taint.LIVEPATCH);

    private TaintText() {}

    /** How many taints that kernel has: its text has as many letters. */
    private static int count(KernelConfig config) {
        if (config.atLeast(6, 0)) {
            return Taint.TEST.ordinal() + 1;
        }
        if (config.atLeast(4, 17)) {
            return Taint.RANDSTRUCT.ordinal() + 1;
        }
        if (config.atLeast(4, 0)) {
            return Taint.LIVEPATCH.ordinal() + 1;
        }
        if (config.atLeast(3, 17)) {
            return Taint.SOFTLOCKUP.ordinal() + 1;
        }
        return config.atLeast(3, 15)
                ? Taint.UNSIGNED_MODULE.ordinal() + 1
                : Taint.OOT_MODULE.ordinal() + 1;
    }

    /** The letters of a module's taints; none if it has none. */
    public static String letters(Set<Taint> taints, KernelConfig config) {
        if (taints.isEmpty()) {
            return "";
        }
        int count = count(config);
        StringBuilder text = new StringBuilder();
        List<Taint> order = config.atLeast(4, 10) ? List.of(Taint.values()) : OLD_ORDER;
        for (Taint taint : order) {
            if (taint.ofModule() && taint.ordinal() < count && taints.contains(taint)) {
                text.append(taint.letter());
            }
        }
        return text.toString();
    }

    /** What an oops says of a kernel: {@code Not tainted}, or a letter or a blank for each bit. */
    public static String ofKernel(Set<Taint> taints, KernelConfig config) {
        if (taints.isEmpty()) {
            return "Not tainted";
        }
        int count = count(config);
        StringBuilder text = new StringBuilder("Tainted: ");
        for (Taint taint : Taint.values()) {
            if (taint.ordinal() < count) {
                char clear = taint == Taint.PROPRIETARY_MODULE ? 'G' : ' ';
                text.append(taints.contains(taint) ? taint.letter() : clear);
            }
        }
        return text.toString();
    }

    /** A module's taints and state in brackets: {@code (OE+)}; nothing if it is clean and live. */
    static String flags(LoadedModule module, KernelConfig config, boolean withState) {
        String letters = letters(module.taints, config);
        String state = "";
        if (withState) {
            state =
                    module.state == ModuleState.GOING
                            ? "-"
                            : module.state == ModuleState.COMING ? "+" : "";
        }
        return letters.isEmpty() && state.isEmpty() ? "" : "(" + letters + state + ")";
    }
}

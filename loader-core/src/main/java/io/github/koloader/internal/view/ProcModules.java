package io.github.koloader.internal.view;

import io.github.koloader.ModuleState;
import io.github.koloader.Viewer;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The modules of a kernel as text.
 *
 * @kernel kernel/module/procfs.c, m_show(); kernel/module/main.c, print_modules()
 */
public final class ProcModules {
    private ProcModules() {}

    /** All modules that are formed, newest first. */
    static List<LoadedModule> newestFirst(KernelState kernel) {
        List<LoadedModule> modules = new ArrayList<>(kernel.modules.size());
        for (LoadedModule module : kernel.modules.values()) {
            if (module.state != ModuleState.UNFORMED) {
                modules.add(module);
            }
        }
        Collections.reverse(modules);
        return modules;
    }

    /** {@code /proc/modules}. */
    public static String text(KernelState kernel, Viewer viewer) {
        StringBuilder text = new StringBuilder();
        for (LoadedModule module : newestFirst(kernel)) {
            addLine(kernel, module, viewer, text);
        }
        return text.toString();
    }

    private static void addLine(
            KernelState kernel, LoadedModule module, Viewer viewer, StringBuilder text) {
        int wordSize = kernel.architecture.encoding().wordSize();
        long size = Memory.size(module, false) + Memory.size(module, true);
        text.append(module.name).append(' ').append(size).append(' ');
        if (kernel.config.modUnload()) {
            text.append(module.references - 1).append(' ');
            addUsers(module, text);
        } else {
            text.append("- -");
        }
        String state =
                switch (module.state) {
                    case UNFORMED, LIVE -> "Live";
                    case COMING -> "Loading";
                    case GOING -> "Unloading";
                };
        long address = viewer == Viewer.ROOT ? Memory.address(module) : 0;
        text.append(' ').append(state).append(" 0x").append(Memory.hex(address, wordSize));
        if (!TaintText.letters(module.taints, kernel.config).isEmpty()) {
            text.append(' ').append(TaintText.flags(module, kernel.config, true));
        }
        text.append('\n');
    }

    private static void addUsers(LoadedModule module, StringBuilder text) {
        boolean permanent = module.init != 0 && module.exit == 0;
        for (int i = module.users.size() - 1; i >= 0; i--) {
            text.append(module.users.get(i).name).append(',');
        }
        if (permanent) {
            text.append("[permanent],");
        } else if (module.users.isEmpty()) {
            text.append('-');
        }
    }

    /** The line of an oops: {@code Modules linked in: a(OE) b [last unloaded: c]}. */
    public static String linkedIn(KernelState kernel) {
        StringBuilder text = new StringBuilder("Modules linked in:");
        for (LoadedModule module : newestFirst(kernel)) {
            text.append(' ').append(module.name);
            text.append(TaintText.flags(module, kernel.config, true));
        }
        if (!kernel.lastUnloaded.isEmpty()) {
            text.append(" [last unloaded: ").append(kernel.lastUnloaded).append(']');
        }
        return text.toString();
    }

    /** A module is being unloaded: what the next oops will say of it. */
    public static String lastUnloaded(KernelState kernel, LoadedModule module) {
        return kernel.config.atLeast(6, 1)
                ? module.name + TaintText.flags(module, kernel.config, false)
                : module.name;
    }
}

package io.github.koloader.internal.load;

import io.github.koloader.BuiltInModule;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.LoadedModule.Sysfs;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Warnings;
import io.github.koloader.internal.params.ModuleParameters;
import io.github.koloader.internal.view.SysModule;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The module gets its directory in {@code /sys/module}. Only what can go wrong is looked at here:
 * files are made when somebody reads them.
 *
 * @kernel kernel/module/sysfs.c, mod_sysfs_setup()
 */
final class SetUpSysfs {
    private SetUpSysfs() {}

    static void run(KernelState kernel, LoadedModule module, Undo undo) {
        BuiltInModule builtIn = kernel.builtIns.get(module.name);
        if (builtIn != null && builtIn.visible()) {
            throw Failures.builtIn(module.name);
        }
        if (module.parameters instanceof ModuleParameters parameters) {
            refuseEqualParameters(module, parameters);
        }
        undo.add(() -> module.sysfs = Sysfs.NONE);
        module.sysfs = Sysfs.PLAIN;
        if (!kernel.config.kallsyms()) {
            return; // what shows sections and notes belongs to kallsyms
        }
        String twice = equalSections(module.placement);
        if (twice == null) {
            module.sysfs = Sysfs.WITH_SECTIONS;
        } else {
            kernel.log.add(Warnings.duplicateFile(path(module, "sections", twice)));
        }
    }

    private static void refuseEqualParameters(LoadedModule module, ModuleParameters parameters) {
        String twice = parameters.nameThatIsThereTwice();
        if (twice != null) {
            throw Failures.parameterTwice(path(module, "parameters", twice));
        }
    }

    /** The first name that two sections have which both get a file, or {@code null}. */
    private static @Nullable String equalSections(Placement placement) {
        Set<String> names = new HashSet<>(2 * placement.count());
        for (int i = 1; i < placement.count(); i++) {
            if (placement.isVisible(i) && !names.add(placement.name(i))) {
                return placement.name(i);
            }
        }
        return null;
    }

    private static String path(LoadedModule module, String directory, String name) {
        return "/module/" + SysModule.directoryName(module.name) + "/" + directory + "/" + name;
    }
}

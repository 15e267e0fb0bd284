package io.github.koloader.internal.load;

import io.github.koloader.Executor.Phase;
import io.github.koloader.FaultPoint;
import io.github.koloader.LoadException;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.image.ThisModule;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.internal.view.ProcModules;
import io.github.koloader.memory.Address;

/** Takes a module out of the kernel again. */
public final class Unload {
    private Unload() {}

    /**
     * Unloads a module.
     *
     * @throws LoadException if Linux would refuse to
     * @kernel kernel/module/main.c, SYSCALL_DEFINE2(delete_module), free_module()
     */
    public static void run(KernelState kernel, String name, boolean force) {
        if (!kernel.config.modUnload()) {
            throw Failures.cannotUnload();
        }
        if (kernel.config.modulesDisabled()) {
            throw Failures.modulesDisabled();
        }
        kernel.step(FaultPoint.UNLOAD, name);
        LoadedModule module = kernel.modules.get(asCopied(kernel, name));
        if (module == null || module.state == ModuleState.UNFORMED) {
            throw Failures.notLoaded(name);
        }
        if (!module.users.isEmpty()) {
            throw Failures.inUse(
                    name, String.join(", ", module.users.stream().map(user -> user.name).toList()));
        }
        if (module.state != ModuleState.LIVE) {
            throw Failures.notLive(name, module.state.text());
        }
        boolean forced = force && kernel.config.forceUnload();
        if (module.init != 0 && module.exit == 0) {
            if (!forced) {
                throw Failures.permanent(name);
            }
            kernel.taint(Taint.FORCED_RMMOD);
        }
        if (module.references > 1) {
            if (!forced) {
                throw Failures.inUse(name, "");
            }
            kernel.taint(Taint.FORCED_RMMOD);
        }
        if (module.exit != 0) {
            kernel.step(FaultPoint.EXIT, name);
        }
        module.state = ModuleState.GOING;
        if (module.references == 1) {
            module.references = 0; // nobody takes another; it shows as -1 while exit runs
        }
        try {
            if (module.exit != 0) {
                kernel.executor.call(RunInit.call(kernel, module, Phase.EXIT, module.exit));
            }
        } finally {
            kernel.lastUnloaded = ProcModules.lastUnloaded(kernel, module);
            free(kernel, module);
        }
    }

    /**
     * The name as the system call copies it. One that fills the kernel's array, NUL included, is no
     * name of a module; before 6.1 it is cut off.
     */
    private static String asCopied(KernelState kernel, String name) {
        int length = ThisModule.nameLength(kernel.architecture.encoding().wordSize());
        if (name.length() < length) {
            return name;
        }
        if (kernel.config.atLeast(6, 1)) {
            throw Failures.notLoaded(name);
        }
        return name.substring(0, length - 1);
    }

    private static void free(KernelState kernel, LoadedModule module) {
        module.sysfs = LoadedModule.Sysfs.NONE;
        dropReferences(module);
        kernel.exports.removeAll(module.findableExports);
        try {
            ParseParameters.free(module);
        } finally {
            freeMemory(kernel, module);
        }
    }

    private static void freeMemory(KernelState kernel, LoadedModule module) {
        kernel.modules.remove(module.name);
        module.perCpuRegions.forEach(kernel.memory::unmap);
        if (module.perCpuRequest != null) {
            kernel.allocator.free(new Address(module.perCpuBase), module.perCpuRequest);
        }
        for (PlacedBlock block : module.placement.blocks()) {
            Allocate.free(kernel, module.name, block);
        }
    }

    /** Gives back the references that a module has taken on others. */
    static void dropReferences(LoadedModule module) {
        for (LoadedModule used : module.uses) {
            used.references--;
            used.users.remove(module);
        }
        module.uses.clear();
    }
}

package io.github.koloader.internal.load;

import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.FaultPoint;
import io.github.koloader.ModuleState;
import io.github.koloader.SymbolPlace;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.internal.Warnings;
import io.github.koloader.internal.boot.DoOneInitcall;
import io.github.koloader.memory.Address;

/**
 * Runs the init function; if it succeeds the module is live and its init memory gone.
 *
 * @kernel kernel/module/main.c, do_init_module()
 */
final class RunInit {
    private RunInit() {}

    static void run(KernelState kernel, LoadedModule module, SpecialSections special, Undo undo) {
        undo.add(() -> module.state = ModuleState.GOING);
        kernel.step(FaultPoint.INIT_RECORD, module.name);
        if (kernel.config.kconfig(Admit.CONSTRUCTORS, false)) {
            construct(kernel, module, special.ctors() != 0 ? special.ctors() : special.initArray());
        }
        if (module.init != 0) {
            refuseByName(kernel, module);
            Call init = call(kernel, module, Phase.INIT, module.init);
            int result = DoOneInitcall.run(kernel, init).returned();
            module.initResult = result;
            if (result < 0) {
                throw Failures.initFailed(module.name, result);
            }
            if (result > 0) {
                kernel.log.add(Warnings.suspiciousInit(module.name, result));
            }
        }
        module.state = ModuleState.LIVE;
        module.references--;
        if (kernel.config.strictModuleRwx()) {
            Finalize.protectAfterInit(kernel, module);
        }
        undo.pastNoReturn();
        for (PlacedBlock block : module.placement.blocks()) {
            if (block.block.isInit()) {
                Allocate.free(kernel, module.name, block);
            }
        }
    }

    private static void refuseByName(KernelState kernel, LoadedModule module) {
        Address init = new Address(module.init);
        if (DoOneInitcall.isBlacklisted(kernel, init)) {
            String name = kernel.kernel.symbolAt(init).map(SymbolPlace::symbol).orElse("");
            throw Failures.initcallBlacklisted(module.name, name);
        }
    }

    /** Calls what a table of addresses leads to, in order; what it answers is not looked at. */
    private static void construct(KernelState kernel, LoadedModule module, int table) {
        if (table == 0) {
            return;
        }
        int wordSize = kernel.architecture.encoding().wordSize();
        long count = module.placement.sections().get(table).size() / wordSize;
        Address start = new Address(module.placement.address(table));
        for (long i = 0; i < count; i++) {
            long entry = kernel.memory.readWord(start.plus(i * wordSize));
            kernel.executor.call(call(kernel, module, Phase.INIT, entry));
        }
    }

    static Call call(KernelState kernel, LoadedModule module, Phase phase, long entry) {
        return new Call(kernel.kernel, module.facade, phase, new Address(entry));
    }
}

package io.github.koloader.internal.load;

import io.github.koloader.Errno;
import io.github.koloader.FaultPoint;
import io.github.koloader.KernelConfig;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.image.Section;
import io.github.koloader.image.ThisModule;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Warnings;
import io.github.koloader.internal.load.CheckImage.CheckedImage;
import io.github.koloader.internal.load.SpecialSections.ExportTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.ModuleAllocator.Purpose;
import io.github.koloader.memory.ModuleAllocator.Request;
import java.util.Set;

/**
 * Takes a module whose memory is set up into the kernel's list, unformed; gives it per-CPU memory,
 * and looks at the sections that the loader knows by name.
 *
 * @kernel kernel/module/main.c, add_unformed_module(), percpu_modalloc(), find_module_sections()
 */
final class Admit {
    /** The option with which constructors of modules are run; off in the presets. */
    static final String CONSTRUCTORS = "CONFIG_CONSTRUCTORS";

    private final KernelState kernel;
    private final KernelConfig config;
    private final CheckedImage checked;
    private final LoadedModule module;
    private final Undo undo;

    private Admit(KernelState kernel, CheckedImage checked, LoadedModule module, Undo undo) {
        this.kernel = kernel;
        this.config = kernel.config;
        this.checked = checked;
        this.module = module;
        this.undo = undo;
    }

    static void run(
            KernelState kernel,
            CheckedImage checked,
            LoadedModule module,
            SpecialSections special,
            int perCpu,
            Undo undo) {
        Admit admit = new Admit(kernel, checked, module, undo);
        kernel.step(FaultPoint.ADMISSION, module.name);
        admit.refuseEndlessName();
        admit.list();
        admit.allocatePerCpu(perCpu);
        kernel.step(FaultPoint.SPECIAL_SECTIONS, module.name);
        admit.checkSpecialSections(special);
    }

    /** A name without its NUL: strlen() of it is checked, and fatal. */
    private void refuseEndlessName() {
        int length = ThisModule.nameLength(kernel.architecture.encoding().wordSize());
        if (module.name.length() >= length && config.atLeast(4, 13) && !config.atLeast(6, 4)) {
            throw Failures.nameNotTerminated(module.name, length);
        }
    }

    /**
     * Refuses a second module of a name. The kernel waits for one that is coming or going. Nobody
     * can finish either while this load waits, as there is one thread; so the answer is the one
     * that a wait would end with: before 6.1, that such a module is there.
     *
     * @kernel kernel/module/main.c, module_patient_check_exists()
     */
    static void refuseDuplicate(KernelState kernel, String name) {
        LoadedModule there = kernel.modules.get(name);
        if (there == null) {
            return;
        }
        if (there.state == ModuleState.LIVE || !kernel.config.atLeast(6, 1)) {
            throw Failures.alreadyLoaded(name);
        }
        throw Failures.nameBusy(name);
    }

    private void list() {
        refuseDuplicate(kernel, module.name);
        kernel.modules.put(module.name, module);
        undo.add(() -> kernel.modules.remove(module.name));
        boolean proprietaryBefore = kernel.taints.contains(Taint.PROPRIETARY_MODULE);
        if (config.atLeast(6, 4)) {
            CheckImage.warnAfterAdmission(kernel, checked, module.taints);
        }
        if (config.moduleSig() && !checked.request().signatureValid()) {
            taintUnsigned();
        }
        if (config.atLeast(6, 4)) {
            taintByName(proprietaryBefore);
        }
    }

    private void taintUnsigned() {
        Taint taint = config.atLeast(3, 15) ? Taint.UNSIGNED_MODULE : Taint.FORCED_MODULE;
        if (kernel.once("unsigned")) {
            kernel.log.add(Warnings.unsigned(module.name));
        }
        kernel.taints.add(taint); // of either kind, it leaves lock debugging on
        module.taints.add(taint);
    }

    /**
     * Modules that are known to load proprietary code. Since 6.4 the warning also follows on that
     * about a licence, as what the kernel was before is asked earlier.
     */
    private void taintByName(boolean proprietaryBefore) {
        if (module.name.equals("ndiswrapper")) {
            kernel.taint(Taint.PROPRIETARY_MODULE);
        } else if (module.name.equals("driverloader") || module.name.equals("lve")) {
            kernel.taint(module.taints, Taint.PROPRIETARY_MODULE);
        }
        if (!proprietaryBefore && kernel.taints.contains(Taint.PROPRIETARY_MODULE)) {
            kernel.log.add(Warnings.licenseTaints(module.name));
        }
    }

    private void allocatePerCpu(int perCpu) {
        Section section = module.placement.sections().get(perCpu);
        if (perCpu == 0 || section.size() == 0) {
            return;
        }
        long alignment = Math.max(1, section.alignment());
        if (alignment > kernel.architecture.pageSize()) {
            kernel.log.add(
                    Warnings.perCpuAlignment(
                            module.name, alignment, kernel.architecture.pageSize()));
            alignment = kernel.architecture.pageSize();
        }
        if (section.size() < 0
                || section.size() > Integer.MAX_VALUE - 8
                || Long.bitCount(alignment) != 1) {
            throw Failures.noPerCpuMemory(Errno.ENOMEM, module.name, section.size());
        }
        Errno fault = kernel.fault(FaultPoint.PER_CPU_MEMORY, module.name);
        if (fault != null) {
            throw Failures.noPerCpuMemory(fault, module.name, section.size());
        }
        Request request =
                new Request(module.name, Purpose.PER_CPU, Set.of(), section.size(), alignment);
        Address base =
                kernel.allocator
                        .allocate(request)
                        .orElseThrow(
                                () ->
                                        Failures.noPerCpuMemory(
                                                Errno.ENOMEM, module.name, section.size()));
        undo.add(() -> kernel.allocator.free(base, request));
        module.perCpuBase = base.value();
        module.perCpuRequest = request;
        module.perCpuRegions =
                PostRelocation.mapPerCpu(
                        kernel, module.name, base.value(), (int) section.size(), undo);
    }

    private void checkSpecialSections(SpecialSections special) {
        if (config.kconfig(CONSTRUCTORS, false)
                && config.atLeast(3, 17)
                && special.ctors() != 0
                && special.initArray() != 0) {
            throw Failures.bothConstructors(module.name);
        }
        if (special.obsoleteParameters() != 0) {
            kernel.log.add(Warnings.obsoleteParameters(module.name));
        }
        if (!config.atLeast(6, 4)) {
            taintByName(kernel.taints.contains(Taint.PROPRIETARY_MODULE));
        }
        kernel.step(FaultPoint.EXPORT_VERSIONS, module.name);
        int entrySize = Finalize.exportSize(kernel);
        boolean unversioned = false;
        for (ExportTable table : special.exportTables(config)) {
            long size = module.placement.sections().get(table.table()).size();
            unversioned |= table.crcs() == 0 && Long.compareUnsigned(size, entrySize) >= 0;
        }
        if (config.modversions()
                && unversioned
                && !kernel.tryToForceLoad(
                        module.taints, module.name, "no versions for exported symbols")) {
            throw Failures.noVersionsForExports(module.name);
        }
    }
}

package io.github.koloader.internal.load;

import io.github.koloader.Errno;
import io.github.koloader.FaultPoint;
import io.github.koloader.KernelConfig;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.image.Section;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Warnings;
import io.github.koloader.internal.load.CheckImage.CheckedImage;
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
        admit.list();
        admit.allocatePerCpu(perCpu);
        kernel.step(FaultPoint.SPECIAL_SECTIONS, module.name);
        admit.checkSpecialSections(special);
    }

    /**
     * Refuses a second module of a name.
     *
     * @kernel kernel/module/main.c, module_patient_check_exists()
     */
    static void refuseDuplicate(KernelState kernel, String name) {
        LoadedModule there = kernel.modules.get(name);
        if (there == null) {
            return;
        }
        if (there.state == ModuleState.LIVE) {
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
        if (config.moduleSig()) {
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
        kernel.taint(module.taints, taint);
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
        if (special.obsoleteParameters() != 0) {
            kernel.log.add(Warnings.obsoleteParameters(module.name));
        }
        if (!config.atLeast(6, 4)) {
            taintByName(kernel.taints.contains(Taint.PROPRIETARY_MODULE));
        }
        kernel.step(FaultPoint.EXPORT_VERSIONS, module.name);
        boolean unversioned =
                special.ksymtab() != 0 && special.kcrctab() == 0
                        || special.ksymtabGpl() != 0 && special.kcrctabGpl() == 0;
        if (config.modversions()
                && unversioned
                && !kernel.tryToForceLoad(
                        module.taints, module.name, "no versions for exported symbols")) {
            throw Failures.noVersionsForExports(module.name);
        }
    }
}

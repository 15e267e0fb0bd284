package io.github.koloader.internal.load;

import static io.github.koloader.LogLevel.NOTICE;
import static io.github.koloader.LogLevel.WARNING;

import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.RelocationTarget;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.internal.load.CheckImage.CheckedImage;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.ModuleAllocator.Purpose;
import io.github.koloader.memory.ModuleAllocator.Request;
import java.util.List;
import java.util.Set;

/**
 * The line of passes from an image to a live module, and what is taken back if one of them fails.
 *
 * @kernel kernel/module/main.c, load_module(), do_init_module()
 */
public final class LoadSequence {
    private final KernelState kernel;
    private final Architecture architecture;
    private final KernelConfig config;
    private final Undo undo = new Undo();

    private LoadSequence(KernelState kernel) {
        this.kernel = kernel;
        this.architecture = kernel.architecture;
        this.config = kernel.config;
    }

    /**
     * Loads a module.
     *
     * @throws LoadException if Linux would refuse it; its lines are then in the log, and nothing
     *     else is left
     */
    public static LoadedModule run(KernelState kernel, ModuleImage image, String parameters) {
        LoadSequence sequence = new LoadSequence(kernel);
        boolean done = false;
        try {
            LoadedModule module = sequence.load(image, parameters);
            sequence.undo.commit();
            done = true;
            return module;
        } catch (LoadException e) {
            kernel.log.addAll(e.lines());
            throw e;
        } finally {
            if (!done) {
                sequence.undo.rollBack();
            }
        }
    }

    private LoadedModule load(ModuleImage image, String parameters) {
        Address imageAddress =
                Allocate.image(kernel, image.name().orElse("module"), image.fileSize(), undo);
        CheckedImage checked = CheckImage.run(kernel, image);
        if (config.atLeast(6, 5)) {
            refuseDuplicate(checked.name());
        }
        List<Section> sections = architecture.planSections(image);
        refuseWritableCode(checked, sections);
        SpecialSections special = SpecialSections.find(sections);
        int perCpu = config.smp() ? special.perCpu() : 0;
        long[] flags = markSections(sections, special, perCpu);
        Layout layout = LayOut.run(config, architecture, checked, sections, flags, perCpu);
        Placement placement =
                Allocate.run(
                        kernel,
                        checked.name(),
                        layout,
                        sections,
                        flags,
                        imageAddress.value(),
                        undo);
        LoadedModule module =
                new LoadedModule(
                        checked.name(),
                        image,
                        placement,
                        parameters,
                        checked.taints(),
                        kernel.facades);
        admit(checked, module);
        allocatePerCpu(module, perCpu);
        checkSpecialSections(module, special);

        undo.add(() -> dropReferences(module));
        module.symbolValues = ResolveSymbols.run(kernel, checked, module, perCpu);
        writeSymbolValues(module);
        reached(Point.RESOLVED, module);
        applyRelocations(module);
        PostRelocation.run(kernel, checked, module, special.exceptionTable(), perCpu);
        int structure = checked.thisModule().section();
        module.init = Finalize.entry(kernel, module, structure, checked.thisModule().init());
        module.exit =
                config.modUnload()
                        ? Finalize.entry(kernel, module, structure, checked.thisModule().exit())
                        : 0;
        reached(Point.RELOCATED, module);
        Finalize.run(kernel, module, special, undo);
        reached(Point.FORMED, module);
        runInit(module);
        module.dropFile();
        reached(Point.LIVE, module);
        return module;
    }

    private void reached(Point point, LoadedModule module) {
        kernel.observer.reached(point, module.facade);
    }

    // ---- before layout ----

    private void refuseWritableCode(CheckedImage checked, List<Section> sections) {
        if (!config.strictModuleRwx()) {
            return;
        }
        long both = SectionFlags.WRITE | SectionFlags.EXECINSTR;
        for (int i = 1; i < sections.size(); i++) {
            if (sections.get(i).flags().has(both)) {
                throw Failures.writableAndExecutable(checked.name(), sections.get(i).name(), i);
            }
        }
    }

    /** The flags of each section as the loader changes them before layout. */
    private static long[] markSections(
            List<Section> sections, SpecialSections special, int perCpu) {
        long[] flags = new long[sections.size()];
        for (int i = 1; i < flags.length; i++) {
            Section section = sections.get(i);
            flags[i] = section.flags().bits();
            if (section.name().equals(".data..ro_after_init")
                    || section.name().equals("__jump_table")) {
                flags[i] |= SectionFlags.RO_AFTER_INIT;
            }
        }
        for (int section : new int[] {special.modinfo(), special.versions(), perCpu}) {
            flags[section] &= ~SectionFlags.ALLOC;
        }
        return flags;
    }

    // ---- admission ----

    private void refuseDuplicate(String name) {
        LoadedModule there = kernel.modules.get(name);
        if (there == null) {
            return;
        }
        if (there.state == ModuleState.LIVE) {
            throw Failures.alreadyLoaded(name);
        }
        throw Failures.nameBusy(name);
    }

    private void admit(CheckedImage checked, LoadedModule module) {
        refuseDuplicate(module.name);
        kernel.modules.put(module.name, module);
        undo.add(() -> kernel.modules.remove(module.name));
        if (config.atLeast(6, 4)) {
            CheckImage.warnAfterAdmission(kernel, checked, module.taints);
        }
        if (config.moduleSig()) {
            taintUnsigned(module);
        }
        if (config.atLeast(6, 4)) {
            taintByName(module);
        }
    }

    private void taintUnsigned(LoadedModule module) {
        Taint taint = config.atLeast(3, 15) ? Taint.UNSIGNED_MODULE : Taint.FORCED_MODULE;
        if (kernel.once("unsigned")) {
            kernel.log(
                    NOTICE,
                    "%s: module verification failed: signature and/or required key missing - tainting kernel",
                    module.name);
        }
        kernel.taint(module.taints, taint);
    }

    /** Modules that are known to load proprietary code. */
    private void taintByName(LoadedModule module) {
        boolean before = kernel.taints.contains(Taint.PROPRIETARY_MODULE);
        if (module.name.equals("ndiswrapper")) {
            kernel.taints.add(Taint.PROPRIETARY_MODULE);
        } else if (module.name.equals("driverloader") || module.name.equals("lve")) {
            kernel.taint(module.taints, Taint.PROPRIETARY_MODULE);
        }
        if (!before && kernel.taints.contains(Taint.PROPRIETARY_MODULE)) {
            kernel.log(WARNING, "%s: module license taints kernel.", module.name);
        }
    }

    private void allocatePerCpu(LoadedModule module, int perCpu) {
        Section section = module.placement.sections().get(perCpu);
        if (perCpu == 0 || section.size() == 0) {
            return;
        }
        long alignment = Math.max(1, section.alignment());
        if (alignment > architecture.pageSize()) {
            kernel.log(
                    WARNING,
                    "%s: per-cpu alignment %d > %d",
                    module.name,
                    alignment,
                    architecture.pageSize());
            alignment = architecture.pageSize();
        }
        Request request =
                new Request(module.name, Purpose.PER_CPU, Set.of(), section.size(), alignment);
        Address base =
                kernel.allocator
                        .allocate(request)
                        .orElseThrow(() -> Failures.noPerCpuMemory(module.name, section.size()));
        undo.add(() -> kernel.allocator.free(base, request));
        module.perCpuBase = base.value();
        module.perCpuRequest = request;
        module.perCpuRegions =
                PostRelocation.mapPerCpu(
                        kernel, module.name, base.value(), (int) section.size(), undo);
    }

    private void checkSpecialSections(LoadedModule module, SpecialSections special) {
        if (special.ctors() != 0 && special.initArray() != 0) {
            throw Failures.twoKindsOfConstructors(module.name);
        }
        if (special.obsoleteParameters() != 0) {
            kernel.log(WARNING, "%s: Ignoring obsolete parameters", module.name);
        }
        if (!config.atLeast(6, 4)) {
            taintByName(module);
        }
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

    // ---- relocation ----

    /** With kallsyms the symbol table lies in init memory, and its values are the final ones. */
    private static void writeSymbolValues(LoadedModule module) {
        int symtab = module.image().symbolSection();
        if (!module.layout().kallsyms().present()) {
            return;
        }
        byte[] array = module.placement.blockOf(symtab).array;
        int at = module.placement.start(symtab);
        var symbols = module.image().symbols();
        int entrySize = symbols.encoding().symbolSize();
        for (int i = 1; i < module.symbolValues.length; i++) {
            symbols.writeValue(array, at + i * entrySize, module.symbolValues[i]);
        }
    }

    private void applyRelocations(LoadedModule module) {
        Placement placement = module.placement;
        for (RelocationTable table : module.image().relocations()) {
            int target = table.target();
            if (target <= 0 || target >= placement.sections().size() || !placement.alloc(target)) {
                continue;
            }
            if ((placement.flags(table.section()) & SectionFlags.RELA_LIVEPATCH) != 0) {
                continue; // livepatch applies these itself
            }
            if (!architecture.acceptsRelocations(table.hasAddends())) {
                throw Failures.relocationKindUnsupported(module.name);
            }
            PlacedBlock block = placement.blockOf(target);
            architecture.apply(
                    table,
                    new RelocationTarget(
                            config,
                            module.name,
                            block.array,
                            placement.start(target),
                            (int) placement.sections().get(target).size(),
                            placement.address(target),
                            module.image().symbols(),
                            module.symbolValues));
            module.relocationCount += table.count();
        }
    }

    // ---- init ----

    private void runInit(LoadedModule module) {
        undo.add(() -> module.state = ModuleState.GOING);
        if (module.init != 0) {
            int result = kernel.executor.call(call(kernel, module, Phase.INIT, module.init));
            module.initResult = result;
            if (result < 0) {
                throw Failures.initFailed(module.name, result);
            }
            if (result > 0) {
                kernel.log(
                        WARNING,
                        "do_init_module: '%s'->init suspiciously returned %d, it should follow 0/-E convention\n"
                                + "do_init_module: loading module anyway...",
                        module.name,
                        result);
            }
        }
        module.state = ModuleState.LIVE;
        module.references--;
        if (config.strictModuleRwx()) {
            Finalize.protectAfterInit(kernel, module);
        }
        undo.pastNoReturn();
        for (PlacedBlock block : module.placement.blocks()) {
            if (block.block.isInit()) {
                Allocate.free(kernel, module.name, block);
            }
        }
    }

    static Call call(KernelState kernel, LoadedModule module, Phase phase, long entry) {
        return new Call(kernel.kernel, module.facade, phase, new Address(entry));
    }

    // ---- unloading ----

    private static void dropReferences(LoadedModule module) {
        for (LoadedModule used : module.uses) {
            used.references--;
            used.users.remove(module);
        }
        module.uses.clear();
    }

    /**
     * Unloads a module.
     *
     * @throws LoadException if Linux would refuse to
     * @kernel kernel/module/main.c, SYSCALL_DEFINE2(delete_module), free_module()
     */
    public static void unload(KernelState kernel, String name, boolean force) {
        if (!kernel.config.modUnload()) {
            throw Failures.cannotUnload();
        }
        LoadedModule module = kernel.modules.get(name);
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
            kernel.taints.add(Taint.FORCED_RMMOD);
        }
        if (module.references > 1) {
            if (!forced) {
                throw Failures.inUse(name, "");
            }
            kernel.taints.add(Taint.FORCED_RMMOD);
        }
        module.state = ModuleState.GOING;
        try {
            if (module.exit != 0) {
                kernel.executor.call(call(kernel, module, Phase.EXIT, module.exit));
            }
        } finally {
            free(kernel, module);
        }
    }

    private static void free(KernelState kernel, LoadedModule module) {
        dropReferences(module);
        kernel.exports.removeAll(module.exports);
        kernel.modules.remove(module.name);
        module.perCpuRegions.forEach(kernel.memory::unmap);
        if (module.perCpuRequest != null) {
            kernel.allocator.free(new Address(module.perCpuBase), module.perCpuRequest);
        }
        for (PlacedBlock block : module.placement.blocks()) {
            Allocate.free(kernel, module.name, block);
        }
    }
}

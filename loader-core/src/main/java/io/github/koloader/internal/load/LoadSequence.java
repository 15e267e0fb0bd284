package io.github.koloader.internal.load;

import io.github.koloader.FaultPoint;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LoadRequest;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.PlacedModule;
import io.github.koloader.arch.SectionPlan;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.load.CheckImage.CheckedImage;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout;
import java.util.List;
import java.util.Objects;

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
    private boolean linesAreLogged;

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
    public static LoadedModule run(KernelState kernel, ModuleImage image, LoadRequest request) {
        LoadSequence sequence = new LoadSequence(kernel);
        boolean done = false;
        try {
            LoadedModule module = sequence.load(image, request);
            sequence.undo.commit();
            done = true;
            return module;
        } catch (LoadException e) {
            if (!sequence.linesAreLogged) {
                kernel.log.addAll(e.lines());
            }
            throw e;
        } finally {
            if (!done) {
                sequence.undo.rollBack();
            }
        }
    }

    private LoadedModule load(ModuleImage file, LoadRequest request) {
        refuseByPolicy(request);
        ModuleImage image = config.atLeast(6, 4) ? file.foundByName() : file;
        Address imageAddress =
                Allocate.image(kernel, image.name().orElse("module"), image.fileSize(), undo);
        kernel.step(FaultPoint.SIGNATURE, image.name().orElse(""));
        CheckedImage given = CheckImage.run(kernel, image, request);
        if (config.atLeast(6, 4)) {
            Admit.refuseDuplicate(kernel, given.name());
        }
        kernel.step(FaultPoint.ARCH_SECTIONS, given.name());
        SectionPlan plan = architecture.planSections(image, config, given.name());
        CheckedImage checked = given.withImage(plan.image());
        List<Section> sections = plan.image().sections();
        kernel.step(FaultPoint.SECTION_RIGHTS, checked.name());
        refuseWritableCode(checked, sections);
        SpecialSections special = SpecialSections.find(sections);
        int perCpu = config.smp() ? special.perCpu() : 0;
        long[] flags =
                markSections(
                        sections,
                        special.readInTheFile(config, request.ignoreModversions()),
                        perCpu);
        Layout layout =
                LayOut.run(
                        config, architecture, checked, sections, flags, perCpu, plan.textPrefix());
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
                        plan.image(),
                        checked.modinfo(),
                        placement,
                        Objects.requireNonNullElse(request.parameters(), ""),
                        checked.taints(),
                        kernel.facades);
        Admit.run(kernel, checked, module, special, perCpu, undo);

        undo.add(() -> Unload.dropReferences(module));
        linesAreLogged = true; // as they come
        int stubs = kernel.stubs.count();
        int[] stubsEnd = {-1};
        undo.add(
                () ->
                        kernel.stubs.takeBack(
                                stubs, stubsEnd[0] < 0 ? kernel.stubs.count() : stubsEnd[0]));
        kernel.step(FaultPoint.SYMBOLS, module.name);
        module.symbolValues = ResolveSymbols.run(kernel, checked, module, perCpu);
        stubsEnd[0] = kernel.stubs.count();
        linesAreLogged = false;
        ApplyRelocations.writeSymbolValues(module);
        reached(Point.RESOLVED, module);
        PlacedModule placed = ApplyRelocations.placed(kernel, module, plan);
        ApplyRelocations.run(kernel, module, placed);
        kernel.step(FaultPoint.POST_RELOCATION, module.name);
        PostRelocation.run(kernel, checked, module, special.exceptionTable(), perCpu);
        int structure = checked.thisModule().section();
        module.init = Finalize.entry(kernel, module, structure, checked.thisModule().init());
        module.exit =
                config.modUnload()
                        ? Finalize.entry(kernel, module, structure, checked.thisModule().exit())
                        : 0;
        reached(Point.RELOCATED, module);
        kernel.step(FaultPoint.ARCH_FINALIZE, module.name);
        architecture.finalizeModule(placed);
        if (request.parameters() == null) {
            throw Failures.unreadableParameters();
        }
        kernel.step(FaultPoint.ARGUMENT_MEMORY, module.name);
        kernel.step(FaultPoint.FORMATION, module.name);
        Finalize.run(kernel, module, special, structure, undo);
        reached(Point.FORMED, module);
        kernel.step(FaultPoint.PREPARE_COMING, module.name);
        kernel.step(FaultPoint.PARAMETERS, module.name);
        linesAreLogged = true; // as they come, or by another load that a setter or init begins
        ParseParameters.run(kernel, module, special.parameters(), undo);
        linesAreLogged = false;
        kernel.step(FaultPoint.SYSFS, module.name);
        linesAreLogged = false;
        SetUpSysfs.run(kernel, module, undo);
        linesAreLogged = true;
        if (checked.livepatch()) {
            kernel.step(FaultPoint.LIVEPATCH_MEMORY, module.name);
        }
        linesAreLogged = true;
        RunInit.run(kernel, module, special, undo);
        linesAreLogged = false;
        module.dropFile();
        reached(Point.LIVE, module);
        return module;
    }

    private void reached(Point point, LoadedModule module) {
        kernel.observer.reached(point, module.facade);
    }

    // ---- before layout ----

    /** What the system call asks before it looks at the module, for those that call without it. */
    private void refuseByPolicy(LoadRequest request) {
        if (config.modulesDisabled()) {
            throw Failures.modulesDisabled();
        }
        if (config.moduleSig() && !request.signatureValid()) {
            if (config.sigEnforce()) {
                throw config.atLeast(4, 3)
                        ? Failures.unsignedRejected()
                        : Failures.unsignedRejectedSilently();
            }
            if (config.lockdown() && config.atLeast(5, 4)) {
                throw Failures.lockedDown();
            }
        }
    }

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
    private static long[] markSections(List<Section> sections, int[] readInTheFile, int perCpu) {
        long[] flags = new long[sections.size()];
        for (int i = 1; i < flags.length; i++) {
            Section section = sections.get(i);
            flags[i] = section.flags().bits();
            if (section.name().equals(".data..ro_after_init")
                    || section.name().equals("__jump_table")) {
                flags[i] |= SectionFlags.RO_AFTER_INIT;
            }
        }
        for (int section : readInTheFile) {
            flags[section] &= ~SectionFlags.ALLOC;
        }
        flags[perCpu] &= ~SectionFlags.ALLOC;
        return flags;
    }
}

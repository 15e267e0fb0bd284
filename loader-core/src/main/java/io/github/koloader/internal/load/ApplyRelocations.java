package io.github.koloader.internal.load;

import io.github.koloader.FaultPoint;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.PlacedModule;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.arch.Relocator;
import io.github.koloader.arch.SectionPlan;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;
import org.jspecify.annotations.Nullable;

/**
 * Applies the relocations of every section that takes memory, in file order. Per-CPU data takes
 * none here, so pointers in it stay as they are in the file.
 *
 * @kernel kernel/module/main.c, apply_relocations()
 */
final class ApplyRelocations {
    private ApplyRelocations() {}

    /** With kallsyms the symbol table lies in init memory, and its values are the final ones. */
    static void writeSymbolValues(LoadedModule module) {
        int symtab = module.image().symbolSection();
        if (!module.layout().kallsyms().present()) {
            return;
        }
        byte[] array = module.placement.blockOf(symtab).array;
        int at = module.placement.start(symtab);
        SymbolTable symbols = module.image().symbols();
        int entrySize = symbols.encoding().symbolSize();
        for (int i = 1; i < module.symbolValues.length; i++) {
            symbols.writeValue(array, at + i * entrySize, module.symbolValues[i]);
        }
    }

    /** The module as its architecture sees it. */
    static PlacedModule placed(KernelState kernel, LoadedModule module, SectionPlan plan) {
        Placement placement = module.placement;
        boolean bigEndian = kernel.architecture.encoding().bigEndian();
        PlacedBlock text = placement.blocks()[0];
        return new PlacedModule(
                kernel.config,
                module.name,
                plan,
                module.symbolValues,
                section -> section(placement, section, bigEndian),
                placement::isInit,
                new PlacedSection(text.array, 0, plan.textPrefix(), text.base, bigEndian));
    }

    private static @Nullable PlacedSection section(
            Placement placement, int section, boolean bigEndian) {
        return placement.layout().blockOf(section) < 0
                ? null
                : new PlacedSection(
                        placement.blockOf(section).array,
                        placement.start(section),
                        (int) placement.size(section),
                        placement.address(section),
                        bigEndian);
    }

    static void run(KernelState kernel, LoadedModule module, PlacedModule placed) {
        Architecture architecture = kernel.architecture;
        Placement placement = module.placement;
        Relocator relocator = architecture.relocator(placed);
        for (RelocationTable table : module.image().relocations()) {
            int target = table.target();
            if (target <= 0 || target >= placement.count() || !placement.alloc(target)) {
                continue;
            }
            kernel.step(FaultPoint.RELOCATIONS, module.name);
            if ((placement.flags(table.section()) & SectionFlags.RELA_LIVEPATCH) != 0) {
                continue; // livepatch applies these itself
            }
            if (!architecture.acceptsRelocations(table.hasAddends())) {
                throw Failures.relocationKindUnsupported(module.name);
            }
            try {
                relocator.apply(table);
            } catch (LoadException e) {
                throw Failures.relocating(e, table.section(), placement.name(table.section()));
            }
            module.relocationCount += table.count();
        }
        if (placed.symbolsChanged()) {
            writeSymbolValues(module);
        }
    }
}

package io.github.koloader.internal.load;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.RelocationTarget;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;

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

    static void run(KernelState kernel, LoadedModule module) {
        Architecture architecture = kernel.architecture;
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
                            kernel.config,
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
}

package io.github.koloader.internal.load;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SymbolTable;

/**
 * Which symbols stay when init memory is dropped.
 *
 * @kernel kernel/module/kallsyms.c, is_core_symbol()
 */
final class CoreSymbols {
    private CoreSymbols() {}

    /** For each section, whether its symbols stay. */
    static boolean[] sectionsOf(
            KernelConfig config,
            Architecture architecture,
            long[] flags,
            boolean[] init,
            int perCpu) {
        boolean all = config.kallsymsAll(architecture);
        boolean[] stays = new boolean[flags.length];
        long needed = all ? SectionFlags.ALLOC : SectionFlags.ALLOC | SectionFlags.EXECINSTR;
        for (int i = 1; i < stays.length; i++) {
            stays[i] = (flags[i] & needed) == needed && !init[i];
        }
        if (perCpu != 0 && all && config.atLeast(5, 0)) {
            stays[perCpu] = true;
        }
        return stays;
    }

    /** Whether a symbol stays. */
    static boolean stays(SymbolTable symbols, int symbol, boolean[] sections, boolean livepatch) {
        if (symbol == 0 || livepatch) {
            return true;
        }
        int section = symbols.sectionIndex(symbol);
        return section < sections.length && sections[section] && symbols.nameOffset(symbol) != 0;
    }
}

package io.github.koloader.internal.load;

import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import java.util.List;

/**
 * Indexes of the sections that the loader knows by name: of each the first that takes memory, or 0.
 *
 * @kernel kernel/module/main.c, find_module_sections()
 */
record SpecialSections(
        int modinfo,
        int versions,
        int perCpu,
        int ksymtab,
        int ksymtabGpl,
        int kcrctab,
        int kcrctabGpl,
        int exceptionTable,
        int obsoleteParameters) {
    static SpecialSections find(List<Section> sections) {
        int[] found = new int[9];
        for (int i = 1; i < sections.size(); i++) {
            Section section = sections.get(i);
            int slot =
                    (section.flags().bits() & SectionFlags.ALLOC) == 0 ? -1 : slot(section.name());
            if (slot >= 0 && found[slot] == 0) {
                found[slot] = i;
            }
        }
        return new SpecialSections(
                found[0], found[1], found[2], found[3], found[4], found[5], found[6], found[7],
                found[8]);
    }

    private static int slot(String name) {
        return switch (name) {
            case ".modinfo" -> 0;
            case "__versions" -> 1;
            case ".data..percpu" -> 2;
            case "__ksymtab" -> 3;
            case "__ksymtab_gpl" -> 4;
            case "__kcrctab" -> 5;
            case "__kcrctab_gpl" -> 6;
            case "__ex_table" -> 7;
            case "__obsparm" -> 8;
            default -> -1;
        };
    }
}

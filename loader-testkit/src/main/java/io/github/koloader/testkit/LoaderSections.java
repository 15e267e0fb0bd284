package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Section;
import java.util.ArrayList;
import java.util.List;

/** The sections of a module that its loader fills, or counts from: veneers, GOT, TOC. */
final class LoaderSections {
    /** It comes from the module's own code. */
    private static final String TOC = ".toc";

    private LoaderSections() {}

    /** Those of an architecture, in a module for that kernel; none where there is nothing such. */
    static List<Section> of(Architecture architecture, KernelConfig config) {
        List<Section> sections = new ArrayList<>(architecture.scriptSections(config));
        if (architecture.name().equals("ppc64le")
                && sections.stream().noneMatch(section -> section.name().equals(TOC))) {
            sections.add(Section.progbits(TOC, ALLOC, 8, Bytes.wrap(new byte[8])));
        }
        return sections;
    }
}

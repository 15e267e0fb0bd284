package io.github.koloader.arch;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;

/**
 * What an architecture makes of a module before it is laid out: sections for veneers and GOT get
 * their sizes, relocations their order.
 *
 * @param image the module with these changes
 * @param textPrefix bytes to keep free before the first section, at the start of core (since 6.4
 *     {@code MOD_TEXT}), 0 … 2^31 − 1
 */
public record SectionPlan(ModuleImage image, int textPrefix) {
    /**
     * Checks the size.
     *
     * @param image the module with these changes
     * @param textPrefix bytes to keep free before the first section, at the start of core (since
     *     6.4 {@code MOD_TEXT}), 0 … 2^31 − 1
     */
    public SectionPlan {
        requireNonNull(image);
        checkArgument(textPrefix >= 0, "%s bytes", textPrefix);
    }

    /**
     * {@return a plan that changes nothing}
     *
     * @param image the module
     */
    public static SectionPlan asIs(ModuleImage image) {
        return new SectionPlan(image, 0);
    }

    /** The last section of that name, or 0: so the kernel finds sections for veneers. */
    static int lastNamed(ModuleImage image, String name) {
        int found = 0;
        for (int i = 1; i < image.sections().size(); i++) {
            if (image.section(i).name().equals(name)) {
                found = i;
            }
        }
        return found;
    }

    /** Zeros in the place of a section: what the kernel makes of one for veneers or GOT. */
    static Section space(Section section, long flags, long alignment, long size) {
        return new Section(
                section.name(),
                SectionType.NOBITS,
                SectionFlags.of(flags),
                section.offset(),
                size,
                alignment,
                section.link(),
                section.info(),
                section.entrySize(),
                Bytes.EMPTY);
    }
}

package io.github.koloader.arch;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
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
    private static final long TABLE_BUDGET = 1 << 20;

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

    /** A byte that a linker script puts into a module so that the loader can size the section. */
    static Section placeholder(String name, long flags) {
        return Section.progbits(name, flags, 1, Bytes.wrap(new byte[1]));
    }

    /** Whether there is a section of that index, and it holds code. */
    static boolean isExecutable(ModuleImage image, int index) {
        return index >= 0
                && index < image.sections().size()
                && image.section(index).flags().has(SectionFlags.EXECINSTR);
    }

    /**
     * Refuses a file whose tables of relocations and symbols lie over each other so often that to
     * look through all of them takes no bounded time. Ours: Linux looks through them.
     *
     * @throws LoadException ENOEXEC
     */
    static void checkTables(ModuleImage image, String module) {
        long bytes = 0;
        for (Section section : image.sections()) {
            int type = section.type().code();
            if (type == SectionType.RELA.code()
                    || type == SectionType.REL.code()
                    || type == SectionType.SYMTAB.code()
                    || section.name().equals("__versions")) {
                bytes += section.contents().size();
            }
        }
        if (bytes > TABLE_BUDGET + 4 * image.fileSize()) {
            throw new LoadException(
                    Errno.ENOEXEC,
                    new LogLine(LogLevel.ERR, module + ": tables lie over each other"));
        }
    }

    /**
     * The last section of that name.
     *
     * @param what what the kernel calls it in its message
     * @throws LoadException ENOEXEC if there is none
     */
    static int needed(ModuleImage image, String module, String name, String what) {
        int index = lastNamed(image, name);
        if (index == 0) {
            throw Refusal.refuse(Errno.ENOEXEC, "%s: module %s section(s) missing", module, what);
        }
        return index;
    }

    /** Whether a section is laid out as init: exit code is too where nothing is unloaded. */
    static boolean isInit(Architecture architecture, KernelConfig config, String section) {
        return architecture.isInitSection(section)
                || !config.modUnload() && architecture.isExitSection(section);
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

package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import org.junit.jupiter.api.Test;

/** Smallest images that once made a load throw something else than a {@link LoadException}. */
class HostileImageTest {
    private static ModuleImage withInit(int structSize) {
        ImageBuilder builder =
                new ImageBuilder(62, Encoding.ELF64_LSB, true).structSize(structSize);
        int text =
                builder.section(
                        Section.progbits(
                                ".text",
                                SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                                16,
                                Bytes.wrap(new byte[16])));
        return builder.init(text, 0, 1).build();
    }

    private static void assertRefused(ModuleImage image) {
        Kernel kernel = Kernel.builder(Architectures.X86_64).build();
        LoadException failure =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(failure).isNotNull();
        assertThat(failure.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void initFieldFarOutsideStructModuleByRelocationThatWritesNothingIsRefused() {
        ModuleImage image = withInit(896);
        RelocationTable table = image.relocations().get(0);
        ModuleImage none = ImageEdits.withRelocationType(image, table, 0, 0); // R_X86_64_NONE
        assertRefused(ImageEdits.withRelocationOffset(none, none.relocations().get(0), 0, 1 << 20));
    }

    @Test
    void initFieldAtNegativeOffsetByRelocationThatWritesNothingIsRefused() {
        ModuleImage image = withInit(896);
        RelocationTable table = image.relocations().get(0);
        ModuleImage none = ImageEdits.withRelocationType(image, table, 0, 0);
        assertRefused(ImageEdits.withRelocationOffset(none, none.relocations().get(0), 0, -4096));
    }

    @Test
    void initFieldPartlyOutsideStructModuleIsRefused() {
        ModuleImage image = withInit(4096);
        RelocationTable table = image.relocations().get(0);
        ModuleImage narrow =
                ImageEdits.withRelocationType(image, table, 0, 11); // R_X86_64_32S: 4 bytes
        assertRefused(
                ImageEdits.withRelocationOffset(narrow, narrow.relocations().get(0), 0, 4092));
    }
}

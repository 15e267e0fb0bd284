package io.github.koloader.examples;

import io.github.koloader.Kernel;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.testkit.ImageArbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.sessions.JqwikSession;

/**
 * A law about relocations as a user of the library would write one for an architecture of his own:
 * what a kernel has once counted as applied is what the tables of the image say. {@link
 * ImageArbitraries} makes the images.
 */
public class OwnRelocationLaw {
    /** For jqwik. */
    public OwnRelocationLaw() {}

    /**
     * The law as a property.
     *
     * @param image any valid image
     */
    @Property
    @Domain(ImageArbitraries.class)
    public void everyTableOfASectionInMemoryIsApplied(@ForAll ModuleImage image) {
        check(image);
    }

    private static void check(ModuleImage image) {
        Architecture architecture =
                Architectures.forMachine(image.machine(), image.encoding()).orElseThrow();
        int[] expected = {0};
        Kernel kernel =
                Kernel.builder(architecture)
                        .observer(
                                (point, module) -> {
                                    if (point == Point.RESOLVED) {
                                        expected[0] = entries(image, module);
                                    }
                                })
                        .build();
        Module module = kernel.load(image, "");
        if (module.relocationCount() != expected[0]) {
            throw new AssertionError(
                    module.relocationCount() + " relocations applied of " + expected[0]);
        }
    }

    /** Number of entries of all tables that are for a section in memory. */
    private static int entries(ModuleImage image, Module module) {
        int count = 0;
        for (LoadedSection section : module.sections()) {
            for (RelocationTable table : image.relocationsFor(section.index())) {
                count += table.count();
            }
        }
        return count;
    }

    /**
     * Checks the law for 100 images without a test runner.
     *
     * @param args nothing
     */
    public static void main(String... args) {
        JqwikSession.run(
                () -> {
                    Arbitrary<ModuleImage> images = ImageArbitraries.images(Architectures.X86_64);
                    images.sampleStream().limit(100).forEach(OwnRelocationLaw::check);
                });
        System.out.println("100 images obey the law");
    }
}

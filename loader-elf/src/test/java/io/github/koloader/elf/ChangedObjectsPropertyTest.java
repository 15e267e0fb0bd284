package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Initcall;
import io.github.koloader.KernelConfig;
import io.github.koloader.LinkException;
import io.github.koloader.LinkedKernel;
import io.github.koloader.StaticLinker;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.statistics.Statistics;

/** Damaged objects are linked or refused, and nothing else happens. */
class ChangedObjectsPropertyTest {
    private static final Path LINK = Path.of("src/test/resources/link");

    @Property(tries = 1500)
    void damagedArchivesAreLinkedOrRefused(
            @ForAll Architecture architecture,
            @ForAll boolean relative,
            @ForAll Random random,
            @ForAll @IntRange(min = 1, max = 4) int edits)
            throws IOException {
        String style = relative ? "prel32.a" : "abs.a";
        byte[] archive = Files.readAllBytes(LINK.resolve(architecture.name()).resolve(style));
        for (int i = 0; i < edits; i++) {
            archive[random.nextInt(archive.length)] =
                    (byte) (random.nextBoolean() ? random.nextInt(256) : -random.nextInt(2));
        }
        Path file = Files.createTempFile("changed", ".a");
        try {
            Files.write(file, archive);
            LinkedKernel kernel = link(architecture, file);
            assertThat(kernel.initcalls()).extracting(Initcall::level).isSorted();
            Statistics.label("result").collect("linked");
        } catch (IOException e) {
            assertThat(e).hasMessageContaining(file.getFileName().toString());
            Statistics.label("result").collect("not read");
        } catch (LinkException e) {
            assertThat(e.problems()).isNotEmpty();
            Statistics.label("result").collect("not linked");
        } finally {
            Files.delete(file);
        }
    }

    private static LinkedKernel link(Architecture architecture, Path file) throws IOException {
        StaticLinker linker =
                StaticLinker.of(
                        Architectures.named(architecture.name()).orElseThrow(),
                        KernelConfig.linux6_1());
        for (ObjectFile object : ObjectReader.read(file)) {
            linker.object(object.name(), object.image());
        }
        return linker.link();
    }

    /** Those of the fixtures. */
    enum Architecture {
        x86_64,
        i386,
        arm64,
        arm
    }

    @Property(tries = 200)
    void aCutObjectIsRefused(@ForAll Random random) throws IOException {
        byte[] whole = Files.readAllBytes(LINK.resolve("x86_64/hello.o"));
        byte[] cut = Arrays.copyOf(whole, random.nextInt(whole.length));
        try {
            ObjectReader.read("cut.o", Bytes.wrap(cut));
            throw new AssertionError("section headers are the last bytes of an object");
        } catch (IOException e) {
            assertThat(e).hasMessageStartingWith("cut.o: is no relocatable object: ");
        }
    }
}

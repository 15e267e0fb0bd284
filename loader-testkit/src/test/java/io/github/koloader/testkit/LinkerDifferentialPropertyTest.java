package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.lifecycle.BeforeProperty;
import net.jqwik.api.statistics.Statistics;

/**
 * Compares generated images in memory with what GNU ld makes of them. Not 32-bit Arm's: ld goes by
 * the instructions at places and by the lowest bit of functions, and both are random here.
 */
class LinkerDifferentialPropertyTest {
    /** Says which linkers are absent: their machines are not compared. */
    @BeforeProperty
    void nameTheAbsent() {
        for (Architecture architecture : Architectures.all()) {
            if (LinkedModule.linker(architecture).isEmpty()) {
                System.out.printf(
                        "not compared with a linker: %s: no linker %s%n",
                        architecture.name(), LinkedModule.command(architecture).get(0));
            }
        }
    }

    @Property(tries = 500, seed = "1")
    @Domain(ImageArbitraries.class)
    void everyByteIsWhatTheLinkerMakesOfIt(@ForAll ModuleImage image)
            throws IOException, InterruptedException {
        Architecture architecture = Loads.architectureOf(image);
        Optional<List<String>> linker = LinkedModule.linker(architecture);
        if (linker.isPresent() && !architecture.name().equals("arm")) {
            List<String> differences = new ArrayList<>();
            Path directory = Files.createTempDirectory("linked");
            int places;
            try {
                places =
                        LinkerComparison.compare(
                                architecture,
                                linker.get(),
                                image,
                                image.name().orElseThrow(),
                                directory,
                                differences);
            } finally {
                delete(directory);
            }
            assertThat(differences).isEmpty();
            Statistics.label("linked").collect(architecture.name(), places > 0);
        }
        Statistics.label("linked")
                .coverage(
                        coverage -> {
                            for (Architecture every : Architectures.all()) {
                                if (LinkedModule.linker(every).isPresent()
                                        && !every.name().equals("arm")) {
                                    coverage.check(every.name(), true).count(count -> count > 0);
                                }
                            }
                        });
    }

    private static void delete(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(directory);
    }
}

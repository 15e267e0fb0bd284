package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Compares modules in memory with what GNU ld makes of them: the fixtures, and with {@code
 * -Dkoloader.linker.modules=DIR} what lies below {@code DIR/ARCHITECTURE}.
 */
class LinkerDifferentialTest {
    /** Directory with modules, one below it for each architecture. */
    private static final String MORE = "koloader.linker.modules";

    @TempDir Path directory;

    static Stream<String> architectures() {
        return Architectures.all().stream().map(Architecture::name);
    }

    @ParameterizedTest
    @MethodSource("architectures")
    void everyByteIsWhatTheLinkerMakesOfIt(String name) throws Exception {
        Architecture architecture = Architectures.named(name).orElseThrow();
        List<Path> modules = modules(name);
        List<String> linker = linker(architecture);
        if (modules.isEmpty()) {
            System.out.println("not compared with a linker: " + name + ": no modules");
            abort(name + ": no modules");
        }
        List<String> differences = new ArrayList<>();
        int places = 0;
        for (Path file : modules) {
            places +=
                    LinkerComparison.compare(
                            architecture,
                            linker,
                            KoReader.read(file),
                            file.toString(),
                            directory,
                            differences);
        }
        assertThat(differences).isEmpty();
        assertThat(places).isGreaterThan(modules.size());
        System.out.printf(
                "compared with %s: %s: %d modules, %d relocated places%n",
                Path.of(linker.get(0)).getFileName(), name, modules.size(), places);
    }

    /** The linker; without it there is nothing to compare, and that is said. */
    private static List<String> linker(Architecture architecture) {
        Optional<List<String>> linker = LinkedModule.linker(architecture);
        if (linker.isEmpty()) {
            String why =
                    "%s: no linker %s"
                            .formatted(
                                    architecture.name(), LinkedModule.command(architecture).get(0));
            System.out.println("not compared with a linker: " + why);
            abort(why);
        }
        return linker.orElseThrow();
    }

    private static List<Path> modules(String name) throws IOException {
        List<Path> modules = new ArrayList<>();
        modules.addAll(
                LinkedModule.modulesBelow(
                        Path.of("../loader-elf/src/test/resources/ko").resolve(name)));
        String more = System.getProperty(MORE, "");
        if (!more.isEmpty()) {
            modules.addAll(LinkedModule.modulesBelow(Path.of(more).resolve(name)));
        }
        return modules;
    }
}

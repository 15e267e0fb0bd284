package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.ModuleTree.Outcome;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The real modules of each architecture, in the folder of its name. */
final class FixtureTreesTest {
    private static Path folder(String architecture) {
        return Path.of("src/test/resources/ko").resolve(architecture);
    }

    @ParameterizedTest
    @ValueSource(strings = {"i386", "mips32el", "mips64el"})
    void everyModuleIsForTheMachineThatItsFolderNames(String name) throws IOException {
        for (Path file : ModuleTree.files(folder(name))) {
            ModuleImage image = KoReader.read(file);
            assertThat(Architectures.forMachine(image.machine(), image.encoding()))
                    .as("%s", file)
                    .isEqualTo(Architectures.named(name));
            assertThat(KoReader.read(KoWriter.write(image))).as("%s", file).isEqualTo(image);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"i386", "mips32el", "mips64el"})
    void everyModuleLoadsUnderItsOwnVermagicAndUnloadsWithoutRest(String name) throws IOException {
        Architecture architecture = Architectures.named(name).orElseThrow();
        ModuleTree tree = ModuleTree.read(folder(name), KoReader.of(architecture));
        String vermagic =
                tree.entries()
                        .get(0)
                        .image()
                        .orElseThrow()
                        .modinfo()
                        .first("vermagic")
                        .orElseThrow();
        Kernel kernel =
                Kernel.builder(architecture).config(KernelConfig.forVermagic(vermagic)).build();
        List<Outcome> outcomes = tree.loadInto(kernel);
        assertThat(outcomes).hasSize(24).allMatch(outcome -> outcome.module().isPresent());
        assertThat(kernel.modules())
                .allMatch(module -> module.relocationCount() > 0)
                .extracting(Module::name)
                .contains("hello", "percpu", "extable", "kofix_combo");
        ModuleTree.unloadAll(kernel);
        assertThat(kernel.memory().regions()).isEmpty();
    }
}

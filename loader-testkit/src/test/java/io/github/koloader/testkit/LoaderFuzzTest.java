package io.github.koloader.testkit;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.code_intelligence.jazzer.mutation.annotation.NotNull;
import com.code_intelligence.jazzer.mutation.annotation.WithSize;
import com.code_intelligence.jazzer.mutation.annotation.WithUtf8Length;
import io.github.koloader.image.ModuleImage;
import java.util.List;

/** A fixture, edited anyhow, is loaded and unloaded or refused, and leaves nothing behind. */
class LoaderFuzzTest {
    @FuzzTest
    void editedFixtureIsLoadedOrRefusedAndLeavesNothingBehind(
            @NotNull Seed seed,
            @NotNull @WithSize(max = 12) List<@NotNull FileEdit> edits,
            @NotNull FuzzedKernel kernel,
            @NotNull @WithUtf8Length(max = 64) String parameters) {
        ModuleImage original = seed.image();
        byte[] file = seed.bytes();
        for (FileEdit edit : edits) {
            file = edit.apply(file, original);
        }
        Cost cost = new Cost();
        kernel.load(file, parameters, seed.tree().architecture, seed.tree());
        cost.check();
    }
}

package io.github.koloader.testkit;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.code_intelligence.jazzer.mutation.annotation.InRange;
import com.code_intelligence.jazzer.mutation.annotation.NotNull;
import com.code_intelligence.jazzer.mutation.annotation.WithSize;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoWriter;
import io.github.koloader.image.ModuleImage;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A module made for any architecture, with relocations of all its types, and then edited, is loaded
 * and unloaded or refused, and leaves nothing behind.
 */
class AssembledFuzzTest {
    /** As {@link ImagePlan.SectionChoice}. */
    public record PlannedSection(
            ImagePlan.@NotNull SectionKind kind,
            @InRange(min = 0, max = 300) int size,
            @InRange(min = 0, max = 12) int alignmentBits,
            long seed) {}

    /** As {@link ImagePlan.SymbolChoice}. */
    public record PlannedSymbol(
            ImagePlan.@NotNull SymbolKind kind,
            @InRange(min = 0, max = 7) int name,
            @InRange(min = 0, max = 5) int section,
            @InRange(min = 0, max = Integer.MAX_VALUE) int value) {}

    /** As {@link ImagePlan.RelocationChoice}. */
    public record PlannedRelocation(
            @InRange(min = 0, max = 1023) int row,
            @InRange(min = 0, max = 5) int section,
            @InRange(min = 0, max = 31) int symbol,
            @InRange(min = 0, max = 9) int gap,
            @InRange(min = -4096, max = 4096) int addend) {}

    @FuzzTest
    void assembledModuleIsLoadedOrRefusedAndLeavesNothingBehind(
            @InRange(min = 0, max = 255) int machine,
            @NotNull @WithSize(max = 5) List<@NotNull PlannedSection> sections,
            @NotNull @WithSize(max = 8) List<@NotNull PlannedSymbol> symbols,
            @NotNull @WithSize(max = 12) List<@NotNull PlannedRelocation> relocations,
            @InRange(min = 0, max = 15) int more,
            @NotNull @WithSize(max = 6) List<@NotNull FileEdit> edits,
            @NotNull FuzzedKernel kernel) {
        List<Architecture> all = Architectures.all();
        Architecture architecture = all.get(machine % all.size());
        ModuleImage original =
                new ImageAssembler(architecture, plan(sections, symbols, relocations, more))
                        .assemble();
        byte[] file = KoWriter.write(original);
        for (FileEdit edit : edits) {
            file = edit.apply(file, original);
        }
        Cost cost = new Cost();
        kernel.load(file, "", architecture, null);
        cost.check();
    }

    private static ImagePlan plan(
            List<PlannedSection> sections,
            List<PlannedSymbol> symbols,
            List<PlannedRelocation> relocations,
            int more) {
        return new ImagePlan(
                "made",
                sections.stream()
                        .map(
                                s ->
                                        new ImagePlan.SectionChoice(
                                                s.kind, s.size, s.alignmentBits, s.seed))
                        .toList(),
                symbols.stream()
                        .map(
                                s ->
                                        new ImagePlan.SymbolChoice(
                                                s.kind, "s" + s.name, s.section, s.value))
                        .toList(),
                relocations.stream()
                        .map(
                                r ->
                                        new ImagePlan.RelocationChoice(
                                                r.row, r.section, r.symbol, r.gap, r.addend))
                        .toList(),
                IntStream.range(0, more & 3).mapToObj(i -> "made_export_" + i).toList(),
                (more & 4) != 0,
                (more & 8) != 0,
                List.of(),
                more & 1);
    }
}

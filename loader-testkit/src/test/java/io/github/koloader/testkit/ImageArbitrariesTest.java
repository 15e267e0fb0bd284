package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.testkit.ImagePlan.SectionKind;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.statistics.Statistics;

/** What is generated: everything that there is, and what the generator promises of it. */
class ImageArbitrariesTest {
    @Property(tries = 1000)
    @Domain(ImageArbitraries.class)
    void everyRowOfEveryArchitectureOccurs(@ForAll ModuleImage image) {
        Architecture architecture = Loads.architectureOf(image);
        for (RelocationTable table : image.relocations()) {
            for (int i = 0; i < table.count(); i++) {
                collect("row", architecture.name() + " " + table.type(i));
            }
        }
        Statistics.label("row")
                .coverage(
                        coverage -> {
                            for (Architecture every : Architectures.all()) {
                                for (RelocationType row : ImageAssembler.rows(every)) {
                                    coverage.check(every.name() + " " + row.code())
                                            .count(count -> count > 0);
                                }
                            }
                        });
    }

    @Property(tries = 1000)
    @Domain(ImageArbitraries.class)
    void everyKindOfSectionAndSymbolOccurs(@ForAll ModuleImage image) {
        image.sections().forEach(section -> collect("section", section.name()));
        SymbolTable symbols = image.symbols();
        for (int i = 1; i < symbols.count(); i++) {
            collect(
                    "symbol",
                    symbols.binding(i) + " " + symbols.place(i).getClass().getSimpleName());
        }
        collect("entries", "init " + (symbols.indexOf("init_module") > 0));
        collect("entries", "exit " + (symbols.indexOf("cleanup_module") > 0));
        Statistics.label("section")
                .coverage(
                        coverage -> {
                            for (SectionKind kind : SectionKind.values()) {
                                coverage.check(kind.sectionName).count(count -> count > 0);
                            }
                            coverage.check("__ksymtab").count(count -> count > 0);
                            coverage.check("__versions").count(count -> count > 0);
                        });
        Statistics.label("symbol")
                .coverage(
                        coverage -> {
                            for (String kind :
                                    List.of(
                                            "LOCAL InSection",
                                            "GLOBAL InSection",
                                            "WEAK InSection",
                                            "GLOBAL Undefined",
                                            "WEAK Undefined",
                                            "GLOBAL Absolute")) {
                                coverage.check(kind).count(count -> count > 0);
                            }
                        });
        Statistics.label("entries")
                .coverage(
                        coverage -> {
                            for (String entry :
                                    List.of("init true", "init false", "exit true", "exit false")) {
                                coverage.check(entry).count(count -> count > 0);
                            }
                        });
    }

    private static void collect(String label, String value) {
        Statistics.label(label).collect(value);
    }

    @Property(tries = 500)
    @Domain(ImageArbitraries.class)
    void imagesAreValid(@ForAll ModuleImage image) {
        Set<String> names = new HashSet<>();
        int program = 0;
        for (Section section : image.sections()) {
            assertThat(names.add(section.name())).as(section.name()).isTrue();
            assertThat(section.flags().has(SectionFlags.WRITE | SectionFlags.EXECINSTR)).isFalse();
            boolean named = false;
            for (SectionKind kind : SectionKind.values()) {
                named |=
                        section.name().matches(kind.sectionName.replace(".", "\\.") + "(\\.\\d+)?");
            }
            program += named ? 1 : 0;
        }
        assertThat(program).isBetween(1, 6);
        assertThat(image.entryDisagreements()).isEmpty();
        for (RelocationTable table : image.relocations()) {
            long free = 0;
            byte[] bytes = image.section(table.target()).contents().toByteArray();
            for (int i = 0; i < table.count(); i++) {
                RelocationType row =
                        Loads.architectureOf(image).relocationTypes().byCode(table.type(i));
                assertThat(row).isNotNull();
                assertThat(table.symbolIndex(i)).isBetween(0, image.symbols().count() - 1);
                assertThat(table.offset(i)).isGreaterThanOrEqualTo(free);
                free = table.offset(i) + row.field().size();
                assertThat(free).isLessThanOrEqualTo(bytes.length);
                if (row.field().ontoZero()) {
                    int at = (int) table.offset(i);
                    assertThat(Words.read(bytes, at, row.field().size(), false)).isZero();
                }
            }
        }
    }
}

package io.github.koloader;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import io.github.koloader.arch.Architecture;
import java.util.Set;

/** Who may know whom. */
@AnalyzeClasses(
        packages = "io.github.koloader",
        importOptions = ImportOption.DoNotIncludeTests.class)
final class LayeringTest {
    private static final String ROOT = "io.github.koloader";

    /** Values of the root package that every package may use. */
    private static final Set<String> VALUES =
            Set.of(
                    "KernelConfig",
                    "KernelVersion",
                    "LoadException",
                    "Diagnosis",
                    "Errno",
                    "LogLevel",
                    "LogLine");

    private static DescribedPredicate<JavaClass> rootBut(Set<String> allowed) {
        return DescribedPredicate.describe(
                "the root package, but for " + allowed,
                type -> type.getPackageName().equals(ROOT) && !allowed.contains(outermost(type)));
    }

    private static String outermost(JavaClass type) {
        return type.getEnclosingClass().map(LayeringTest::outermost).orElse(type.getSimpleName());
    }

    @ArchTest
    static final ArchRule coreKnowsNoElf =
            noClasses()
                    .that()
                    .resideOutsideOfPackage(ROOT + ".elf..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAPackage(ROOT + ".elf..");

    @ArchTest
    static final ArchRule coreNeedsTheJdkGuavaAndAnnotationsOnly =
            classes()
                    .that()
                    .resideInAPackage(ROOT + "..")
                    .should()
                    .onlyDependOnClassesThat(
                            resideInAnyPackage(
                                    ROOT + "..",
                                    "java..",
                                    "com.google.common..",
                                    "org.jspecify.annotations.."));

    @ArchTest
    static final ArchRule imagesKnowNothingOfKernelsMemoryAndArchitectures =
            noClasses()
                    .that()
                    .resideInAPackage(ROOT + ".image")
                    .should()
                    .dependOnClassesThat(
                            rootBut(Set.of())
                                    .or(
                                            resideInAnyPackage(
                                                    ROOT + ".memory",
                                                    ROOT + ".arch",
                                                    ROOT + ".internal.load..")));

    @ArchTest
    static final ArchRule memoryKnowsNothingOfKernelsAndArchitectures =
            noClasses()
                    .that()
                    .resideInAPackage(ROOT + ".memory")
                    .should()
                    .dependOnClassesThat(
                            rootBut(Set.of())
                                    .or(
                                            resideInAnyPackage(
                                                    ROOT + ".arch", ROOT + ".internal.load..")));

    @ArchTest
    static final ArchRule architecturesKnowOnlyValuesOfTheRootPackage =
            noClasses()
                    .that()
                    .resideInAPackage(ROOT + ".arch")
                    .should()
                    .dependOnClassesThat(
                            rootBut(VALUES).or(resideInAPackage(ROOT + ".internal.load..")));

    @ArchTest
    static final ArchRule architecturesAreNamedInTheirPackageOnly =
            noClasses()
                    .that()
                    .resideOutsideOfPackage(ROOT + ".arch")
                    .should()
                    .dependOnClassesThat(
                            DescribedPredicate.describe(
                                    "implement Architecture",
                                    type ->
                                            type.isAssignableTo(Architecture.class)
                                                    && !type.isEquivalentTo(Architecture.class)));

    @ArchTest
    static final ArchRule architecturesArePackagePrivate =
            classes()
                    .that()
                    .implement(Architecture.class)
                    .should()
                    .bePackagePrivate()
                    .andShould()
                    .haveModifier(com.tngtech.archunit.core.domain.JavaModifier.FINAL);

    @ArchTest
    static final ArchRule onlyTheKernelStartsLoads =
            noClasses()
                    .that()
                    .resideOutsideOfPackage(ROOT + ".internal.load")
                    .and()
                    .doNotHaveFullyQualifiedName(ROOT + ".Kernel")
                    .should()
                    .dependOnClassesThat()
                    .resideInAPackage(ROOT + ".internal.load");

    @ArchTest
    static final ArchRule nothingOfTheInternalsIsPartOfThePublicApi =
            com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods()
                    .that()
                    .arePublic()
                    .and()
                    .areDeclaredInClassesThat()
                    .resideInAnyPackage(ROOT, ROOT + ".image", ROOT + ".memory", ROOT + ".arch")
                    .should()
                    .notHaveRawReturnType(resideInAPackage(ROOT + ".internal.."))
                    .andShould()
                    .notHaveRawParameterTypes(
                            DescribedPredicate.describe(
                                    "of the internals",
                                    types ->
                                            types.stream()
                                                    .anyMatch(
                                                            type ->
                                                                    type.getPackageName()
                                                                            .startsWith(
                                                                                    ROOT
                                                                                            + ".internal"))));
}

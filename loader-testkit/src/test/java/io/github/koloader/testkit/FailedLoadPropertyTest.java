package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.DataField;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.ExportEntry;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;
import net.jqwik.api.statistics.Statistics;

/** A load that fails leaves the kernel as it was, whatever the image is broken in. */
@Domain(ImageArbitraries.class)
@Domain(DomainContext.Global.class)
class FailedLoadPropertyTest {
    /** Where a relocation that the loader applies stands. */
    private record Entry(RelocationTable table, int index, RelocationType row) {}

    /**
     * One edit: breaks an image at one of the entries, or answers {@code null} if it cannot break
     * this one.
     */
    private record Break(
            String name, Errno errno, BiFunction<ModuleImage, Entry, ModuleImage> edit) {}

    static final String NEIGHBOUR = "the_neighbour_of_all";

    private static final long ALLOC = SectionFlags.ALLOC;
    private static final long DATA = SectionFlags.ALLOC | SectionFlags.WRITE;

    private static final String UNKNOWN_TYPE = "unknown relocation type";
    private static final String BEYOND = "value that does not fit";

    private static final List<Break> BREAKS =
            List.of(
                    new Break(
                            "machine",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withMachine(image, image.machine() ^ 0x4000)),
                    new Break(
                            "symbol index beyond the table",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withSymbolIndex(
                                            image,
                                            entry.table,
                                            entry.index,
                                            image.symbols().count())),
                    new Break(
                            "place partly outside its section",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withRelocationOffset(
                                            image,
                                            entry.table,
                                            entry.index,
                                            lastOffset(image, entry) + 1)),
                    new Break(
                            "place at the end of the address space",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withRelocationOffset(
                                            image, entry.table, entry.index, -1)),
                    new Break(
                            UNKNOWN_TYPE,
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withRelocationType(
                                            image, entry.table, entry.index, unknownType(image))),
                    new Break(
                            "place that is not zero",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    entry.row.field().ontoZero()
                                            ? ImageEdits.withBytes(
                                                    image,
                                                    entry.table.target(),
                                                    (int) entry.table.offset(entry.index),
                                                    (byte) 1)
                                            : null),
                    new Break(
                            BEYOND,
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    entry.table.hasAddends()
                                                    && image.encoding().wide()
                                                    && entry.row.field() instanceof DataField field
                                                    && field.range() != DataField.Range.ANY
                                            ? ImageEdits.withAddend(
                                                    image,
                                                    entry.table,
                                                    entry.index,
                                                    1L << 8 * field.size() + 8)
                                            : null),
                    new Break(
                            "common symbol",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withSymbolSection(image, 1, SymbolTable.COMMON)),
                    new Break(
                            "symbol in no section",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withSymbolSection(
                                            image, 1, image.sections().size())),
                    new Break(
                            "code that can be written",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    separatesRights(image)
                                            ? ImageEdits.withSectionFlags(
                                                    image,
                                                    image.sectionIndex(".text"),
                                                    DATA | SectionFlags.EXECINSTR)
                                            : null),
                    new Break(
                            "no symbol table",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withSectionType(
                                            image, image.symbolSection(), SectionType.PROGBITS)),
                    new Break(
                            "no struct module",
                            Errno.ENOEXEC,
                            (image, entry) ->
                                    ImageEdits.withSectionFlags(
                                            image, image.sectionIndex(ModuleImage.THIS_MODULE), 0)),
                    new Break(
                            "larger than any memory",
                            Errno.ENOMEM,
                            (image, entry) ->
                                    ImageEdits.withAddedSection(
                                            image, Section.nobits(".bss.huge", DATA, 8, 1L << 31))),
                    new Break(
                            "larger than the limit",
                            Errno.ENOMEM,
                            (image, entry) ->
                                    ImageEdits.withAddedSection(
                                            image, Section.nobits(".bss.large", DATA, 8, 9 << 20))),
                    new Break(
                            "more per-CPU data than there is room",
                            Errno.ENOMEM,
                            (image, entry) ->
                                    image.allocatedSectionIndex(".data..percpu") == 0
                                            ? ImageEdits.withAddedSection(
                                                    image,
                                                    Section.nobits(
                                                            ".data..percpu",
                                                            DATA,
                                                            8,
                                                            Loads.architectureOf(image)
                                                                            .perCpuArea()
                                                                            .size()
                                                                    + 1))
                                            : null));

    /** Not on every architecture. */
    private static boolean separatesRights(ModuleImage image) {
        return kernel(image, false).build().config().strictModuleRwx();
    }

    /** Some architectures refuse relocations in their own way. */
    private static Errno errno(Architecture architecture, Break broken) {
        return switch (broken.name) {
            case UNKNOWN_TYPE -> RowLaw.unknownTypeErrno(architecture);
            case BEYOND -> RowLaw.errno(architecture);
            default -> broken.errno;
        };
    }

    private static long lastOffset(ModuleImage image, Entry entry) {
        return image.section(entry.table.target()).size() - entry.row.field().size();
    }

    private static int unknownType(ModuleImage image) {
        return IntStream.range(1, 256)
                .filter(code -> Loads.architectureOf(image).relocationTypes().byCode(code) == null)
                .findFirst()
                .orElseThrow();
    }

    /** The relocations that write something into memory. */
    private static List<Entry> entries(ModuleImage image) {
        List<Entry> found = new ArrayList<>();
        for (RelocationTable table : image.relocations()) {
            Section target = image.section(table.target());
            if (!target.flags().alloc() || target.name().equals(".data..percpu")) {
                continue;
            }
            for (int i = 0; i < table.count(); i++) {
                RelocationType row =
                        Loads.architectureOf(image).relocationTypes().byCode(table.type(i));
                if (row.field().size() > 0) {
                    found.add(new Entry(table, i, row));
                }
            }
        }
        return found;
    }

    /** The image, or a broken one; the first break breaks every image. */
    private static Break applicable(ModuleImage image, int pick, List<Entry> entries) {
        for (int i = 0; i < BREAKS.size(); i++) {
            Break next = BREAKS.get((pick + i) % BREAKS.size());
            for (Entry entry : entries) {
                if (next.edit.apply(image, entry) != null) {
                    return new Break(
                            next.name, next.errno, (same, first) -> next.edit.apply(same, entry));
                }
            }
        }
        return BREAKS.get(0);
    }

    @Property(tries = 1000)
    void aFailedLoadChangesNothing(
            @ForAll ModuleImage image,
            @ForAll @IntRange(max = 1000) int pick,
            @ForAll boolean sevenBlocks) {
        List<Entry> entries = entries(image);
        Break broken = applicable(image, pick, entries);
        ModuleImage edited = broken.edit.apply(image, entries.isEmpty() ? null : entries.get(0));

        Kernel.Builder kernel = kernel(image, sevenBlocks).memoryLimit(8 << 20);
        Errno errno = errno(Loads.architectureOf(image), broken);
        assertFails(kernel, image, sevenBlocks, edited, errno.number());

        Statistics.label("break")
                .collect(broken.name)
                .coverage(
                        coverage -> {
                            for (Break every : BREAKS) {
                                coverage.check(every.name).count(count -> count > 0);
                            }
                        });
    }

    @Property(tries = 300)
    void aFailedInitChangesNothing(
            @ForAll ModuleImage image,
            @ForAll @IntRange(min = 1, max = 40) int errno,
            @ForAll boolean sevenBlocks) {
        Kernel.Builder kernel =
                kernel(image, sevenBlocks)
                        .executor(call -> call.module().name().equals(NEIGHBOUR) ? 0 : -errno);
        if (image.symbols().indexOf("init_module") > 0) {
            assertFails(kernel, image, sevenBlocks, image, errno);
        } else {
            assertThat(kernel.build().load(image, "").initResult()).isEmpty();
        }
    }

    @Property(tries = 300)
    void anUnknownSymbolChangesNothing(@ForAll ModuleImage image, @ForAll boolean sevenBlocks) {
        // The neighbour exports every other one.
        Set<String> given =
                Set.copyOf(neighbour(image).exports().stream().map(ExportEntry::name).toList());
        List<String> undefined =
                IntStream.range(1, image.symbols().count())
                        .filter(i -> image.symbols().sectionIndex(i) == SymbolTable.UNDEF)
                        .filter(i -> !image.symbols().isWeak(i))
                        .mapToObj(i -> image.symbols().name(i))
                        .filter(name -> !given.contains(name))
                        .toList();
        Kernel.Builder kernel = kernel(image, sevenBlocks).strict();
        if (undefined.isEmpty()) {
            Kernel built = kernel.build();
            built.load(neighbour(image), "");
            assertThat(built.load(image, "").importCount()).isEqualTo(given.size());
            return;
        }
        LoadException failure =
                assertFails(kernel, image, sevenBlocks, image, Errno.ENOENT.number());
        assertThat(failure.lines()).hasSize(undefined.size());
        undefined.forEach(
                name ->
                        assertThat(failure.dmesg())
                                .contains("Unknown symbol " + name + " (err -2)"));
    }

    @Property(tries = 300)
    void aDuplicateExportChangesNothing(@ForAll ModuleImage image, @ForAll boolean sevenBlocks) {
        String export = image.name().orElseThrow() + "_export_0";
        Kernel.Builder kernel =
                kernel(image, sevenBlocks)
                        .symbols(
                                KernelSymbols.of(
                                        Map.of(
                                                export,
                                                Loads.architectureOf(image).kernelText().start())));
        if (image.symbols().indexOf(export) > 0) {
            LoadException failure =
                    assertFails(kernel, image, sevenBlocks, image, Errno.ENOEXEC.number());
            assertThat(failure.dmesg())
                    .contains("exports duplicate symbol " + export + " (owned by kernel)");
        }
    }

    @Property(tries = 300)
    void aFullAllocatorChangesNothing(
            @ForAll ModuleImage image,
            @ForAll @IntRange(max = 9) int requests,
            @ForAll boolean sevenBlocks) {
        CountingAllocator allocator = allocator(image, sevenBlocks);
        Kernel kernel = kernel(image, sevenBlocks).allocator(allocator).build();
        kernel.load(neighbour(image), "");
        KernelSnapshot before = KernelSnapshot.of(kernel, allocator, List.of());
        allocator.fullAfter(requests);
        try {
            kernel.load(image, "");
            Statistics.label("allocator").collect("large enough");
        } catch (LoadException e) {
            assertThat(e.errno()).isEqualTo(Errno.ENOMEM);
            assertThat(KernelSnapshot.of(kernel, allocator, List.of())).isEqualTo(before);
            Statistics.label("allocator").collect("full");
        }
    }

    @Property(tries = 200)
    void aNameThatIsTakenChangesNothing(@ForAll ModuleImage image, @ForAll boolean sevenBlocks) {
        CountingAllocator allocator = allocator(image, sevenBlocks);
        Kernel kernel = kernel(image, sevenBlocks).allocator(allocator).build();
        kernel.load(image, "");
        List<String> exports = exportsOf(image);
        KernelSnapshot before = KernelSnapshot.of(kernel, allocator, exports);
        LoadException failure =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(failure.errno()).isEqualTo(Errno.EEXIST);
        assertThat(KernelSnapshot.of(kernel, allocator, exports)).isEqualTo(before);
    }

    // ---- a kernel with something in it ----

    /** Exports what an image imports, so that references are taken and have to be given back. */
    static ModuleImage neighbour(ModuleImage image) {
        List<String> imports =
                undefined(image).filter(name -> name.hashCode() % 2 == 0).sorted().toList();
        ImagePlan plan =
                new ImagePlan(
                        NEIGHBOUR, List.of(), List.of(), List.of(), imports, true, true, List.of(),
                        0);
        return new ImageAssembler(Loads.architectureOf(image), plan).assemble();
    }

    private static Stream<String> undefined(ModuleImage image) {
        return IntStream.range(1, image.symbols().count())
                .filter(i -> image.symbols().sectionIndex(i) == SymbolTable.UNDEF)
                .mapToObj(i -> image.symbols().name(i));
    }

    static List<String> exportsOf(ModuleImage image) {
        String name = image.name().orElse("");
        return List.of(name + "_export_0", name + "_export_1", name + "_export_2");
    }

    /** Loads {@code broken} into a kernel with a neighbour, and checks that nothing has changed. */
    private static LoadException assertFails(
            Kernel.Builder builder,
            ModuleImage image,
            boolean sevenBlocks,
            ModuleImage broken,
            int errno) {
        CountingAllocator allocator = allocator(image, sevenBlocks);
        Kernel kernel = builder.allocator(allocator).build();
        kernel.load(neighbour(image), "");
        KernelSnapshot before = KernelSnapshot.of(kernel, allocator, exportsOf(image));
        LoadException failure =
                catchThrowableOfType(LoadException.class, () -> kernel.load(broken, ""));
        assertThat(failure).as("load").isNotNull();
        assertThat(failure.errnoNumber()).as(failure.getMessage()).isEqualTo(errno);
        assertThat(KernelSnapshot.of(kernel, allocator, exportsOf(image))).isEqualTo(before);
        assertThat(kernel.log().lines())
                .containsAll(failure.lines().stream().map(LogLine::text).toList());
        kernel.unload(NEIGHBOUR);
        assertThat(kernel.memory().regions()).isEmpty();
        return failure;
    }

    /** A kernel without CRCs, which images have for nothing that the neighbour exports. */
    static Kernel.Builder kernel(ModuleImage image, boolean sevenBlocks) {
        return Kernel.builder(Loads.architectureOf(image))
                .config(Loads.config(sevenBlocks).toBuilder().modversions(false).build());
    }

    static CountingAllocator allocator(ModuleImage image, boolean sevenBlocks) {
        return new CountingAllocator(
                Loads.allocator(Loads.architectureOf(image), Loads.config(sevenBlocks), 0));
    }
}

package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.DataField;
import io.github.koloader.arch.Field;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.PlacedModule;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BiConsumer;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** Laws of every row of every architecture: each property goes over the whole table in each try. */
class RelocationRowsPropertyTest {
    private static final int SIZE = 64;

    /** Every row that has a formula of S, A and P. */
    private static void forEveryRow(BiConsumer<Architecture, RelocationType> law) {
        for (Architecture architecture : Architectures.all()) {
            for (RelocationType row : architecture.relocationTypes()) {
                if (row.formula() != Formula.OWN) {
                    law.accept(architecture, row);
                }
            }
        }
    }

    private static long place(Field field, long bits) {
        return field.size() == 0 ? 0 : bits & -1L >>> 64 - 8 * field.size();
    }

    @Property
    void insertChangesNoBitOutsideTheField(@ForAll long bits, @ForAll long value) {
        forEveryRow(
                (architecture, row) -> {
                    long old = place(row.field(), bits);
                    assertThat((row.field().insert(old, value) ^ old) & ~row.field().mask())
                            .as("%s", row)
                            .isZero();
                });
    }

    @Property
    void secondInsertWins(@ForAll long bits, @ForAll long first, @ForAll long second) {
        forEveryRow(
                (architecture, row) -> {
                    Field field = row.field();
                    long old = place(field, bits);
                    assertThat(field.insert(field.insert(old, first), second))
                            .as("%s", row)
                            .isEqualTo(field.insert(old, second));
                });
    }

    @Property
    void whatFitsCanBeReadBack(@ForAll long bits, @ForAll long value) {
        forEveryRow(
                (architecture, row) -> {
                    Field field = row.field();
                    if (field.size() == 0 || architecture.acceptsRelocations(true)) {
                        return; // no addends in places
                    }
                    if (field.fits(value)) {
                        long there = field.insert(place(field, bits), value);
                        assertThat(field.insert(there, field.implicitAddend(there)))
                                .as("%s", row)
                                .isEqualTo(there);
                    }
                });
    }

    @Property(tries = 200)
    void everyRowWritesItsValueAndNothingElse(
            @ForAll long seed,
            @ForAll long value,
            @ForAll long p,
            @ForAll @IntRange(max = SIZE - 8) int offset) {
        forEveryRow(
                (architecture, row) -> {
                    long fitting = row.field().fits(value) ? value : largest(row.field());
                    check(new Application(architecture, row, seed, fitting, p, offset), true);
                });
    }

    @Property(tries = 100)
    void boundsAreAcceptedAndTheirNeighboursRejectedWithAllBytesUntouched(
            @ForAll long seed, @ForAll long p, @ForAll @IntRange(max = SIZE - 8) int offset) {
        forEveryRow(
                (architecture, row) -> {
                    Field field = row.field();
                    if (field.size() == 0) {
                        return;
                    }
                    long step = step(field);
                    long largest = largest(field);
                    long smallest = smallest(field);
                    check(new Application(architecture, row, seed, largest, p, offset), true);
                    check(new Application(architecture, row, seed, smallest, p, offset), true);
                    if (largest <= Long.MAX_VALUE - step) {
                        check(
                                new Application(architecture, row, seed, largest + step, p, offset),
                                false);
                    }
                    if (smallest >= Long.MIN_VALUE + step) {
                        check(
                                new Application(
                                        architecture, row, seed, smallest - step, p, offset),
                                false);
                    }
                    if (step > 1) {
                        check(new Application(architecture, row, seed, 1, p, offset), false);
                    }
                });
    }

    @Property(tries = 200)
    void rowsThatWantZeroRejectAnythingElseAndLeaveIt(
            @ForAll long seed, @ForAll long p, @ForAll @IntRange(max = SIZE - 8) int offset) {
        forEveryRow(
                (architecture, row) -> {
                    if (!row.field().ontoZero()) {
                        return;
                    }
                    Application application =
                            new Application(architecture, row, seed, 0, p, offset);
                    application.bytes[offset + Math.floorMod(seed, row.field().size())] |= 1;
                    byte[] before = application.bytes.clone();
                    application.expectRejection();
                    assertThat(application.bytes).as("%s", row).isEqualTo(before);
                });
    }

    private static void check(Application application, boolean accepted) {
        RelocationType row = application.row;
        Field field = row.field();
        byte[] expected = application.bytes.clone();
        if (!accepted) {
            application.expectRejection();
        } else {
            application.run();
            if (row.formula() != Formula.NONE && field.size() > 0) {
                long old =
                        Words.read(expected, application.offset, field.size(), application.big());
                Words.write(
                        expected,
                        application.offset,
                        field.size(),
                        field.insert(old, application.value),
                        application.big());
            }
        }
        assertThat(application.bytes)
                .as("%s with value %x", row, application.value)
                .isEqualTo(expected);
    }

    /** The smallest distance between values that fit: 1 for data, 2 or 4 for branches. */
    private static long step(Field field) {
        long step = 1;
        while (!field.fits(step)) {
            step <<= 1;
        }
        return step;
    }

    private static long largest(Field field) {
        return field.size() == 0 ? 0 : bound(field, step(field), true);
    }

    private static long smallest(Field field) {
        return bound(field, step(field), false);
    }

    /** The last of 0, ±step, ±2 step … that fits. */
    private static long bound(Field field, long step, boolean up) {
        long good = 0;
        long bad = (up ? Long.MAX_VALUE : Long.MIN_VALUE) / step;
        if (field.fits(bad * step)) {
            return bad * step;
        }
        while (bad - good > 1 || bad - good < -1) {
            long middle = good + (bad - good) / 2;
            if (field.fits(middle * step)) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        return good * step;
    }

    /** One relocation, whose symbol and addend are such that a given value comes out. */
    private static final class Application {
        final Architecture architecture;
        final RelocationType row;
        final long value;
        final int offset;
        final byte[] bytes = new byte[SIZE];
        private final ModuleImage image;
        private final long[] values;
        private final long address;

        Application(
                Architecture architecture,
                RelocationType row,
                long seed,
                long value,
                long p,
                int offset) {
            this.architecture = architecture;
            this.row = row;
            this.value = value;
            this.offset = row.field() instanceof DataField ? offset : offset & -4;
            Random random = new Random(seed);
            random.nextBytes(bytes);
            if (row.field().ontoZero()) {
                Words.write(bytes, this.offset, row.field().size(), 0, big());
            }
            boolean addends = architecture.acceptsRelocations(true);
            long a =
                    addends
                            ? random.nextInt()
                            : row.field()
                                    .implicitAddend(
                                            Words.read(
                                                    bytes, this.offset, row.field().size(), big()));
            boolean wide = architecture.encoding().wide();
            this.address = (wide ? p : p & 0xffff_ffffL) & -16;
            long s =
                    row.formula() == Formula.PC_RELATIVE
                            ? value + address + this.offset - a
                            : value - a;
            this.values = new long[] {0, wide ? s : s & 0xffff_ffffL};
            ImageBuilder builder =
                    new ImageBuilder(architecture.elfMachine(), architecture.encoding(), addends);
            int section =
                    builder.section(
                            Section.progbits(".data", SectionFlags.ALLOC, 8, Bytes.copyOf(bytes)));
            int symbol = builder.symbol(Symbol.undefined("target"));
            builder.relocate(
                    section, new Relocation(this.offset, row.code(), symbol, addends ? a : 0));
            this.image = builder.build();
        }

        boolean big() {
            return architecture.encoding().bigEndian();
        }

        void run() {
            RelocationTable table = image.relocations().get(0);
            PlacedModule module =
                    PlacedModule.ofSection(
                            KernelConfig.linux6_1(),
                            image,
                            values,
                            table.target(),
                            new PlacedSection(bytes, 0, SIZE, address, big()));
            architecture.relocator(module).apply(table);
        }

        void expectRejection() {
            LoadException failure = catchThrowableOfType(LoadException.class, this::run);
            assertThat(failure).as("%s with value %x", row, value).isNotNull();
            assertThat(failure.errno()).isEqualTo(Errno.ENOEXEC);
        }
    }

    @Property(tries = 1)
    void everyArchitectureHasRowsAndNoNumberTwice() {
        for (Architecture architecture : Architectures.all()) {
            List<Integer> codes = new ArrayList<>();
            architecture.relocationTypes().forEach(row -> codes.add(row.code()));
            assertThat(codes).isNotEmpty().doesNotHaveDuplicates();
        }
    }
}

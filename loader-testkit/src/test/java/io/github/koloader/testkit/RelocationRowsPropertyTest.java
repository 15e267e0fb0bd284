package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.DataField;
import io.github.koloader.arch.Field;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Bytes;
import io.github.koloader.testkit.RowTrial.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.BiConsumer;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** Laws of every row of every architecture: each property goes over the whole table in each try. */
class RelocationRowsPropertyTest {
    /** Rows of REL whose field keeps less of the value than the addend that it is read as. */
    private static final Set<String> PARTS =
            Set.of(
                    "R_ARM_MOVT_ABS",
                    "R_ARM_MOVT_PREL",
                    "R_ARM_THM_MOVT_ABS",
                    "R_ARM_THM_MOVT_PREL",
                    "R_ARM_ALU_PC_G1_NC",
                    "R_ARM_LDR_PC_G2");

    private static void forEveryRow(BiConsumer<Architecture, RelocationType> law) {
        for (Architecture architecture : Architectures.all()) {
            for (RelocationType row : architecture.relocationTypes()) {
                law.accept(architecture, row);
            }
        }
    }

    /** Every row that has a formula of S, A and P. */
    private static void forEveryFormula(BiConsumer<Architecture, RelocationType> law) {
        forEveryRow(
                (architecture, row) -> {
                    if (row.formula() != Formula.OWN) {
                        law.accept(architecture, row);
                    }
                });
    }

    private static long place(Field field, long bits) {
        return field.size() == 0 ? 0 : bits & -1L >>> 64 - 8 * field.size();
    }

    /** The value, or what is left of it once enough of its bits are gone. */
    private static long fitting(Field field, long value) {
        long fitting = value;
        while (!field.fits(fitting)) {
            fitting = fitting >> 1 & -4;
            if (fitting == -4) {
                return 0;
            }
        }
        return fitting;
    }

    @Property
    void insertChangesNoBitOutsideTheField(@ForAll long bits, @ForAll long value) {
        forEveryRow(
                (architecture, row) -> {
                    Field field = row.field();
                    long old = place(field, bits);
                    assertThat((field.insert(old, fitting(field, value)) ^ old) & ~field.mask())
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
                    long last = fitting(field, second);
                    assertThat(field.insert(field.insert(old, fitting(field, first)), last))
                            .as("%s", row)
                            .isEqualTo(field.insert(old, last));
                });
    }

    @Property
    void whatFitsCanBeReadBack(@ForAll long bits, @ForAll long value) {
        forEveryFormula(
                (architecture, row) -> {
                    Field field = row.field();
                    boolean inPlaces = architecture.acceptsRelocations(false);
                    if (field.size() == 0 || !inPlaces || PARTS.contains(row.name())) {
                        return;
                    }
                    long there = field.insert(place(field, bits), fitting(field, value));
                    assertThat(field.insert(there, field.implicitAddend(there)))
                            .as("%s", row)
                            .isEqualTo(there);
                });
    }

    @Property(tries = 200)
    void everyRowWritesItsValueAndNothingElse(
            @ForAll long seed,
            @ForAll long value,
            @ForAll @IntRange(max = RowTrial.SIZE - 8) int offset) {
        forEveryFormula(
                (architecture, row) -> {
                    Field field = row.field();
                    long fitting = fitting(field, value);
                    RowTrial trial = trial(architecture, row, seed, fitting, offset);
                    if (isError(trial)) {
                        return;
                    }
                    Result result = trial.run();
                    byte[] expected = trial.bytes().toByteArray();
                    if (row.formula() != Formula.NONE) {
                        Words.write(
                                expected,
                                trial.offset(),
                                field.size(),
                                field.insert(trial.place(), fitting),
                                trial.big());
                    }
                    assertThat(result.refused()).as("%s", trial).isEmpty();
                    assertThat(result.bytes()).as("%s", trial).isEqualTo(Bytes.wrap(expected));
                });
    }

    @Property(tries = 200)
    void rowsThatWantZeroRejectAnythingElseAndLeaveIt(
            @ForAll long seed, @ForAll @IntRange(max = RowTrial.SIZE - 8) int offset) {
        forEveryRow(
                (architecture, row) -> {
                    if (!row.field().ontoZero()) {
                        return;
                    }
                    RowTrial trial = trial(architecture, row, seed, 0, offset);
                    byte[] bytes = trial.bytes().toByteArray();
                    bytes[offset + Math.floorMod(seed, row.field().size())] |= 1;
                    Result result = trial.withBytes(Bytes.wrap(bytes)).run();
                    assertThat(result.refused()).as("%s", trial).contains(Errno.ENOEXEC);
                    assertThat(result.bytes()).as("%s", trial).isEqualTo(Bytes.wrap(bytes));
                });
    }

    /** Some loaders take a value of the last page for an error. */
    private static boolean isError(RowTrial trial) {
        long word = trial.architecture().encoding().wide() ? trial.s() : (int) trial.s();
        return word < 0 && word >= -4096;
    }

    /** A trial whose symbol is such that a given value comes out. */
    private static RowTrial trial(
            Architecture architecture,
            RelocationType row,
            long seed,
            long value,
            int wantedOffset) {
        Random random = new Random(seed);
        Field field = row.field();
        boolean big = architecture.encoding().bigEndian();
        int offset = field instanceof DataField ? wantedOffset : wantedOffset & -4;
        byte[] bytes = new byte[RowTrial.SIZE];
        random.nextBytes(bytes);
        if (field.ontoZero()) {
            Words.write(bytes, offset, field.size(), 0, big);
        }
        long a =
                architecture.acceptsRelocations(true)
                        ? random.nextInt()
                        : field.implicitAddend(Words.read(bytes, offset, field.size(), big));
        long start = architecture.moduleAreas(KernelConfig.linux6_1()).get(0).start().value();
        long address = start + 16L * random.nextInt(0x100000);
        long p = address + offset;
        long s =
                switch (row.formula()) {
                    case PC_RELATIVE -> value + p - a;
                    case PAGE_RELATIVE -> value + (p & -0x1000) - a;
                    case NONE, ABSOLUTE, OWN -> value - a;
                };
        return new RowTrial(
                        architecture,
                        row,
                        RowTrial.kernelWith(architecture, row, true),
                        0,
                        a,
                        address,
                        offset,
                        (address & -0x1000) + 0x1000,
                        Bytes.wrap(bytes),
                        false,
                        List.of(),
                        List.of())
                .withS(s);
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

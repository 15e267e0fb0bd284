package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.DataField;
import io.github.koloader.arch.Field;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Bytes;
import io.github.koloader.testkit.RowLaw.Kind;
import io.github.koloader.testkit.RowTrial.Neighbour;
import io.github.koloader.testkit.RowTrial.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/**
 * The laws of {@link RowLaw}, by the bytes that come of a row: each property goes over every row of
 * every architecture in each try.
 */
class RelocationLawsPropertyTest {
    private static final int R_RISCV_PCREL_HI20 = 23;
    private static final int R_LARCH_SOP_PUSH_ABSOLUTE = 23;
    private static final int R_LARCH_SOP_POP_32_U = 46;
    private static final int R_LARCH_GOT_PC_HI20 = 75;
    private static final int R_MIPS_LO16 = 6;
    private static final long ERRORS = 4096;

    @FunctionalInterface
    private interface Check {
        void check(Architecture architecture, RelocationType row, RowLaw law, Random random);
    }

    private static void forEveryRow(long seed, Check check) {
        Random random = new Random(seed);
        for (Architecture architecture : Architectures.all()) {
            for (RelocationType row : architecture.relocationTypes()) {
                RowLaw law = RowLaw.of(architecture, row);
                if (law != null) {
                    check.check(architecture, row, law, random);
                }
            }
        }
    }

    @Test
    void everyRowHasALawAndEveryLawARow() {
        List<String> lawless = new ArrayList<>();
        List<String> rows = new ArrayList<>();
        for (Architecture architecture : Architectures.all()) {
            rows.add(architecture.name());
            for (RelocationType row : architecture.relocationTypes()) {
                rows.add(architecture.name() + " " + row.name());
                if (RowLaw.of(architecture, row) == null) {
                    lawless.add(architecture.name() + " " + row.name());
                }
            }
        }
        assertThat(lawless).isEmpty();
        assertThat(RowLaw.unused(rows)).isEmpty();
    }

    // ---- moving ----

    @Property(tries = 100)
    void bytesMoveAsTheLawSays(@ForAll long seed) {
        forEveryRow(
                seed,
                (architecture, row, law, random) -> {
                    RowTrial trial = trial(architecture, row, law, value(law, random), random);
                    long delta = 0x10000L * (1 + random.nextInt(64));
                    checkMoving(trial, law.kind(), delta, random);
                });
    }

    private static void checkMoving(RowTrial trial, Kind kind, long delta, Random random) {
        switch (kind) {
            case ABSOLUTE, ADDS, SUBTRACTS -> {
                same(trial, trial.moved(delta, delta));
                RowTrial higher = trial.withS(trial.s() + delta);
                if (trial.architecture().acceptsRelocations(true)) {
                    same(trial.withA(trial.a() + delta), higher.moved(delta, delta));
                } else if (trial.row().field() instanceof DataField) {
                    same(trial.withBytes(withAddend(trial, trial.a() + delta)), higher);
                }
            }
            case PC_RELATIVE, PAGE_RELATIVE -> {
                same(trial, trial.withS(trial.s() + delta).moved(delta, delta));
                boolean bySum = !RowLaw.of(trial.architecture(), trial.row()).veneer();
                RowTrial lower =
                        trial.architecture().acceptsRelocations(true) && bySum
                                ? trial.withA(trial.a() - delta)
                                : trial.withS(trial.s() - delta);
                same(trial.moved(delta, delta), lower);
            }
            case BASE_RELATIVE -> {
                same(trial, trial.moved(delta, 0));
                same(trial, trial.withS(trial.s() + delta).moved(0, delta));
                same(trial.withS(trial.s() + delta), trial.withA(trial.a() + delta));
            }
            case SLOT_OFFSET -> {
                same(trial, trial.withS(random.nextLong()).moved(delta, 2 * delta));
                checkSlot(trial, trial.s());
            }
            case SLOT_DISTANCE -> {
                same(trial, trial.withS(random.nextLong()).moved(delta, delta));
                same(trial.moved(delta, 0), trial.withA(trial.a() - delta));
                checkSlot(trial, trial.s());
            }
            case SUM_SLOT_DISTANCE -> {
                same(withSlot(trial), withSlot(trial.withS(trial.s() + delta).moved(delta, delta)));
                same(withSlot(trial), withSlot(trial.withA(trial.a() + delta)));
                checkSlot(withSlot(trial), trial.s() + trial.a());
            }
            case BASE_DISTANCE -> {
                same(trial, trial.withS(random.nextLong()).moved(delta, delta));
                same(trial.moved(delta, 0), trial.withA(trial.a() - delta));
            }
            case BASE -> {
                same(
                        trial,
                        trial.withS(random.nextLong()).withA(random.nextLong()).moved(delta, 0));
                long there = after(trial);
                assertThat(after(trial.moved(0, delta))).as("%s", trial).isEqualTo(there + delta);
            }
            case BASE_PAIR -> same(trial, trial.withS(random.nextLong()).moved(delta, delta));
            case CONSTANT, NOTHING ->
                    same(trial, trial.withS(random.nextLong()).moved(delta, -delta));
            case LOW_OF_PAIR -> checkLowOfPair(trial, delta, random);
            case HIGH_OF_PAIR -> checkHighOfPair(trial, delta);
            case IN_REGION -> checkRegion(trial, delta);
            case PUSH -> checkPush(trial, random);
            case OPERATION -> checkOperation(trial, random);
            case POP -> checkPop(trial, random);
            case REFUSED -> {
                boolean pops = trial.row().name().contains("POP");
                List<Neighbour> before = pops ? List.of(pushed(trial, 0)) : List.of();
                Result result = trial.with(before, List.of()).run();
                assertThat(result.refused()).as("%s", trial).contains(Errno.EINVAL);
                assertThat(result.bytes()).as("%s", trial).isEqualTo(trial.bytes());
            }
        }
    }

    /** Both come to the same: these bytes, or a refusal. */
    private static void same(RowTrial one, RowTrial other) {
        if (isError(one) || isError(other)) {
            return;
        }
        Result first = one.run();
        Result second = other.run();
        assertThat(second.refused()).as("%s and %s", one, other).isEqualTo(first.refused());
        if (one.bytes().equals(other.bytes())) {
            assertThat(second.bytes()).as("%s and %s", one, other).isEqualTo(first.bytes());
        } else {
            long here = Words.read(first.bytes().toByteArray(), one.offset(), size(one), one.big());
            assertThat(Words.read(second.bytes().toByteArray(), one.offset(), size(one), one.big()))
                    .as("%s and %s", one, other)
                    .isEqualTo(here);
        }
    }

    private static int size(RowTrial trial) {
        return trial.row().field().size();
    }

    /** Whether some loaders take the symbol's value for an error. */
    private static boolean isError(RowTrial trial) {
        long word = trial.architecture().encoding().wide() ? trial.s() : (int) trial.s();
        return word < 0 && word >= -ERRORS;
    }

    private static long after(RowTrial trial) {
        Result result = trial.run();
        assertThat(result.refused()).as("%s", trial).isEmpty();
        return Words.read(result.bytes().toByteArray(), trial.offset(), size(trial), trial.big());
    }

    private static Bytes withAddend(RowTrial trial, long a) {
        byte[] bytes = trial.bytes().toByteArray();
        Field field = trial.row().field();
        long place = field.insert(trial.place(), a);
        Words.write(bytes, trial.offset(), field.size(), place, trial.big());
        return Bytes.wrap(bytes);
    }

    /** A GOT slot is the first word that the loader made, and holds the value; PLTs are not. */
    private static void checkSlot(RowTrial trial, long value) {
        if (!trial.row().name().contains("GOT") || isError(trial)) {
            return;
        }
        Result result = trial.run();
        int word = trial.architecture().encoding().wordSize();
        List<Long> firstWords =
                result.rest().stream()
                        .filter(made -> made.size() >= word)
                        .map(made -> Words.read(made.toByteArray(), 0, word, trial.big()))
                        .toList();
        long wanted = word == 8 ? value : value & 0xffff_ffffL;
        assertThat(firstWords).as("%s", trial).contains(wanted);
    }

    // ---- pairs ----

    /** RISC-V: both immediates together are the distance of the target from the high part. */
    private static void checkLowOfPair(RowTrial trial, long delta, Random random) {
        long high = trial.address();
        long distance = random.nextInt() / 2;
        long target = high + distance;
        RowTrial pair = pair(trial, high, target);
        Result result = pair.run();
        assertThat(result.refused()).as("%s", pair).isEmpty();
        byte[] bytes = result.bytes().toByteArray();
        int upper = (int) Words.read(bytes, 0, 4, false) & -0x1000;
        int instruction = (int) Words.read(bytes, pair.offset(), 4, false);
        int lower =
                pair.row().name().endsWith("_I")
                        ? instruction >> 20
                        : instruction >> 25 << 5 | instruction >>> 7 & 0x1f;
        assertThat(upper + lower).as("%s", pair).isEqualTo((int) distance);
        same(pair, pair(trial.moved(delta, delta), high + delta, target + delta));
        Result alone = trial.withS(high).run();
        assertThat(alone.refused()).contains(Errno.EINVAL);
        assertThat(alone.bytes()).isEqualTo(trial.bytes());
    }

    private static RowTrial pair(RowTrial trial, long high, long target) {
        Neighbour upper = new Neighbour(R_RISCV_PCREL_HI20, 0, target, 0);
        return trial.withS(high).with(List.of(upper), List.of());
    }

    /** MIPS: what both halves hold together grows by S. */
    private static void checkHighOfPair(RowTrial trial, long delta) {
        if (isError(trial)) {
            return;
        }
        Neighbour low = new Neighbour(R_MIPS_LO16, trial.offset() + 4, trial.s(), 0);
        RowTrial pair = trial.with(List.of(), List.of(low));
        Result result = pair.run();
        assertThat(result.refused()).as("%s", pair).isEmpty();
        assertThat(together(result.bytes(), pair))
                .as("%s", pair)
                .isEqualTo(together(pair.bytes(), pair) + (int) trial.s());
        same(pair, pair.moved(delta, delta));
        Result alone = trial.run();
        assertThat(alone.refused()).as("%s", trial).contains(Errno.ENOEXEC);
        assertThat(alone.bytes()).isEqualTo(trial.bytes());
    }

    private static int together(Bytes bytes, RowTrial pair) {
        byte[] array = bytes.toByteArray();
        int high = (int) Words.read(array, pair.offset(), 4, pair.big());
        int low = (int) Words.read(array, pair.offset() + 4, 4, pair.big());
        return (high << 16) + (short) low;
    }

    /** MIPS jumps: within 256 MiB, and to whole words. */
    private static void checkRegion(RowTrial trial, long delta) {
        long region = trial.p() + 4 & ~0xfffffffL;
        boolean addends = trial.architecture().acceptsRelocations(true);
        long a = addends ? trial.a() : 0;
        long target = region + (trial.s() & 0xffffffcL);
        RowTrial inside = trial.withS(target - a);
        if (!isError(inside)) {
            long expected =
                    trial.place() & ~0x3ffffffL
                            | (addends ? 0 : trial.place()) + (target >>> 2) & 0x3ffffffL;
            assertThat(after(inside)).as("%s", inside).isEqualTo(expected);
            if ((trial.p() + 4 + delta & ~0xfffffffL) == region) {
                same(inside, inside.moved(delta, delta));
            }
            for (long wrong : new long[] {target + 0x10000000, target - 0x10000000, target + 2}) {
                Result result = trial.withS(wrong - a).run();
                assertThat(result.refused()).as("%s to %x", trial, wrong).contains(Errno.ENOEXEC);
                assertThat(result.bytes()).isEqualTo(trial.bytes());
            }
        }
    }

    // ---- the stack of LoongArch ----

    private static void checkPush(RowTrial trial, Random random) {
        long small = number(random);
        boolean relative = !trial.row().name().endsWith("ABSOLUTE");
        long s = small - trial.a() + (relative ? trial.p() : 0);
        if (trial.row().name().contains("PLT") && Math.abs(small) >= 1L << 27) {
            return; // by way of a veneer
        }
        expectPopped(trial.withS(s), List.of(), small);
    }

    private static void checkOperation(RowTrial trial, Random random) {
        long one = number(random);
        long two = number(random);
        long shift = random.nextInt(40);
        String operation = trial.row().name().substring("R_LARCH_SOP_".length());
        switch (operation) {
            case "PUSH_DUP" -> {
                Neighbour add = new Neighbour(35, trial.offset(), 0, 0);
                RowTrial twice = trial.with(List.of(pushed(trial, one)), List.of(add));
                expectPopped(twice, twice.after(), 2 * one);
            }
            case "SUB" -> expectResult(trial, one - two, one, two);
            case "ADD" -> expectResult(trial, one + two, one, two);
            case "AND" -> expectResult(trial, one & two, one, two);
            case "SL" -> expectResult(trial, one << shift, one, shift);
            case "SR" -> expectResult(trial, one >> shift, one, shift);
            case "IF_ELSE" -> {
                expectResult(trial, two, one | 1, two, shift);
                expectResult(trial, shift, 0, two, shift);
            }
            default -> throw new AssertionError(operation);
        }
        Result alone = trial.run();
        assertThat(alone.refused()).as("%s on an empty stack", trial).contains(Errno.ENOEXEC);
    }

    private static void expectResult(RowTrial trial, long expected, long... operands) {
        List<Neighbour> pushes = new ArrayList<>();
        for (long operand : operands) {
            pushes.add(pushed(trial, operand));
        }
        expectPopped(trial.with(pushes, List.of()), List.of(), expected);
    }

    private static Neighbour pushed(RowTrial trial, long number) {
        // the symbol is 0, or the number would be taken for an error
        return new Neighbour(R_LARCH_SOP_PUSH_ABSOLUTE, trial.offset(), 0, number);
    }

    /** A word takes what the stack then holds, if it is a word. */
    private static void expectPopped(RowTrial trial, List<Neighbour> after, long expected) {
        if (isError(trial)) {
            return;
        }
        List<Neighbour> all = new ArrayList<>(after);
        all.add(new Neighbour(R_LARCH_SOP_POP_32_U, trial.offset() & -4, 0, 0));
        RowTrial popping = trial.with(trial.before(), all);
        Result result = popping.run();
        if (expected >>> 32 == 0) {
            assertThat(result.refused()).as("%s", popping).isEmpty();
            assertThat(Words.read(result.bytes().toByteArray(), trial.offset() & -4, 4, false))
                    .as("%s", popping)
                    .isEqualTo(expected);
        } else {
            assertThat(result.refused()).as("%s", popping).contains(Errno.ENOEXEC);
            assertThat(result.bytes()).isEqualTo(trial.bytes());
        }
    }

    private static void checkPop(RowTrial trial, Random random) {
        RowLaw law = RowLaw.of(trial.architecture(), trial.row());
        Field field = trial.row().field();
        for (long number : new long[] {law.low(), law.high(), value(law, random), number(random)}) {
            boolean fits = number >= law.low() && number <= law.high() && number % law.step() == 0;
            RowTrial popping = trial.with(List.of(pushed(trial, number)), List.of());
            Result result = popping.run();
            assertThat(result.refused())
                    .as("%s of %x", trial, number)
                    .isEqualTo(fits ? Optional.empty() : Optional.of(Errno.ENOEXEC));
            if (fits) {
                assertThat(after(popping)).isEqualTo(field.insert(trial.place(), number));
            } else {
                assertThat(result.bytes()).isEqualTo(trial.bytes());
            }
        }
        Result alone = trial.run();
        assertThat(alone.refused()).contains(Errno.ENOEXEC);
        assertThat(alone.bytes()).isEqualTo(trial.bytes());
    }

    // ---- bounds ----

    @Property(tries = 50)
    void boundsAreAcceptedAndTheirNeighboursRejectedWithAllBytesUntouched(@ForAll long seed) {
        forEveryRow(
                seed,
                (architecture, row, law, random) -> {
                    if (!hasValue(law.kind())) {
                        return;
                    }
                    boolean plts = law.kind() != Kind.PC_RELATIVE;
                    RowTrial trial =
                            trial(architecture, row, law, 0, random)
                                    .in(RowTrial.kernelWith(architecture, row, plts));
                    expect(trial, law, 0, true);
                    if (!law.bounded()) {
                        return;
                    }
                    expect(trial, law, law.low(), true);
                    expect(trial, law, law.high(), true);
                    // s390 goes by S - P alone, and by a window that is wider than the field
                    boolean window = law.veneer() && architecture.name().equals("s390x");
                    long beyond = window ? 0x200000 : law.step();
                    expect(trial, law, law.low() - beyond, law.veneer());
                    expect(trial, law, law.high() + beyond, law.veneer());
                    if (law.step() > 1) {
                        expect(trial, law, 1, false);
                        expect(trial, law, law.step() / 2, false);
                    }
                });
    }

    private static boolean hasValue(Kind kind) {
        return switch (kind) {
            case ABSOLUTE,
                    PC_RELATIVE,
                    PAGE_RELATIVE,
                    BASE_RELATIVE,
                    SLOT_OFFSET,
                    SLOT_DISTANCE,
                    BASE_DISTANCE ->
                    true;
            case NOTHING,
                    ADDS,
                    SUBTRACTS,
                    SUM_SLOT_DISTANCE,
                    BASE,
                    BASE_PAIR,
                    CONSTANT,
                    LOW_OF_PAIR,
                    HIGH_OF_PAIR,
                    IN_REGION,
                    PUSH,
                    OPERATION,
                    POP,
                    REFUSED ->
                    false;
        };
    }

    private static void expect(RowTrial trial, RowLaw law, long value, boolean accepted) {
        RowTrial aimed = aimed(trial, law, value);
        if (isError(aimed)) {
            return;
        }
        Result result = aimed.run();
        String what = "%s with value %x".formatted(aimed, value);
        if (accepted) {
            assertThat(result.refused()).as(what).isEmpty();
            onlyTheFieldChanges(aimed, result);
        } else {
            assertThat(result.refused()).as(what).contains(RowLaw.errno(trial.architecture()));
            assertThat(result.bytes()).as(what).isEqualTo(trial.bytes());
        }
    }

    // ---- nothing else ----

    @Property(tries = 100)
    void noBitOutsideTheFieldChanges(@ForAll long seed) {
        forEveryRow(
                seed,
                (architecture, row, law, random) -> {
                    RowTrial trial =
                            withSlot(trial(architecture, row, law, value(law, random), random));
                    onlyTheFieldChanges(trial, trial.run());
                });
    }

    private static void onlyTheFieldChanges(RowTrial trial, Result result) {
        byte[] bytes = result.bytes().toByteArray();
        for (Neighbour neighbour : trial.before()) {
            trial.bytes().slice(neighbour.offset(), 4).copyTo(bytes, neighbour.offset());
        }
        if (result.refused().isEmpty()) {
            Field field = trial.row().field();
            long now = Words.read(bytes, trial.offset(), field.size(), trial.big());
            assertThat((now ^ trial.place()) & ~field.mask()).as("%s", trial).isZero();
            Words.write(bytes, trial.offset(), field.size(), trial.place(), trial.big());
        }
        assertThat(Bytes.wrap(bytes)).as("%s", trial).isEqualTo(trial.bytes());
    }

    @Property(tries = 100)
    void whatIsAddedOrSubtractedIsTheSum(@ForAll long seed) {
        forEveryRow(
                seed,
                (architecture, row, law, random) -> {
                    if (law.kind() == Kind.ADDS || law.kind() == Kind.SUBTRACTS) {
                        RowTrial trial = trial(architecture, row, law, value(law, random), random);
                        if (!isError(trial)) {
                            long word = architecture.encoding().wide() ? -1 : 0xffff_ffffL;
                            long sum = trial.s() + trial.a() & word;
                            long expected = trial.place() + (law.kind() == Kind.ADDS ? sum : -sum);
                            assertThat(after(trial))
                                    .as("%s", trial)
                                    .isEqualTo(expected & row.field().mask());
                        }
                    }
                });
    }

    /** LoongArch: the GOT's low part needs a high part, which makes the slot. */
    private static RowTrial withSlot(RowTrial trial) {
        return trial.row().name().equals("R_LARCH_GOT_PC_LO12")
                ? trial.with(
                        List.of(new Neighbour(R_LARCH_GOT_PC_HI20, 0, trial.s(), trial.a())),
                        List.of())
                : trial;
    }

    // ---- trials ----

    /** A value that the law takes, small or large. */
    private static long value(RowLaw law, Random random) {
        long value = number(random);
        while (value < law.low() || value > law.high()) {
            value >>= 1;
            if (value == 0 || value == -1) {
                value = 0 >= law.low() ? 0 : law.low();
                break;
            }
        }
        return value / law.step() * law.step();
    }

    /** Of any size, each number of bits as likely as another. */
    private static long number(Random random) {
        return random.nextLong() >> random.nextInt(64);
    }

    /** A trial of a row whose value is the given one. */
    private static RowTrial trial(
            Architecture architecture, RelocationType row, RowLaw law, long value, Random random) {
        byte[] bytes = new byte[RowTrial.SIZE];
        random.nextBytes(bytes);
        Field field = row.field();
        boolean data = field instanceof DataField && law.kind() != Kind.BASE_PAIR;
        int offset = 8 + random.nextInt(RowTrial.SIZE - 24);
        offset = data && !isBranch(law) ? offset : offset & -4;
        boolean big = architecture.encoding().bigEndian();
        if (field.ontoZero()) {
            Words.write(bytes, offset, field.size(), 0, big);
        } else if (law.kind() == Kind.BASE_PAIR) {
            Words.write(bytes, offset, 4, 0xe84c0000L | random.nextInt(0x4000) << 2, big);
            Words.write(bytes, offset + 4, 4, 0x7c426214L, big);
        }
        boolean addends = architecture.acceptsRelocations(true);
        long place = Words.read(bytes, offset, field.size(), big);
        // a branch keeps its addend small: it says how far behind the place it counts from
        long a =
                !addends
                        ? addendOf(row, place)
                        : law.veneer() ? 2 * law.step() : random.nextInt() & -law.step();
        long start =
                architecture
                        .moduleAreas(io.github.koloader.KernelConfig.linux6_1())
                        .get(0)
                        .start()
                        .value();
        long address = start + 0x1000000 + 0x1000L * random.nextInt(0x1000);
        RowTrial trial =
                new RowTrial(
                        architecture,
                        row,
                        RowTrial.kernelWith(architecture, row, true),
                        0,
                        a,
                        address,
                        offset,
                        address + 0x1000,
                        Bytes.wrap(bytes),
                        row.name().equals("R_PPC64_REL24"),
                        List.of(),
                        List.of());
        return aimed(trial, law, value);
    }

    /** The addend that a place holds; MIPS has words to branch over there. */
    private static long addendOf(RelocationType row, long place) {
        if (!row.name().startsWith("R_MIPS_PC")) {
            return row.field().implicitAddend(place);
        }
        int unused = 64 - Long.bitCount(row.field().mask());
        return place << unused >> unused << 2;
    }

    private static boolean isBranch(RowLaw law) {
        return law.step() > 1;
    }

    /** The same, with symbol or addend such that a value comes out. */
    private static RowTrial aimed(RowTrial trial, RowLaw law, long value) {
        long base = trial.rest() + (trial.architecture().name().equals("ppc64le") ? 0x8000 : 0);
        return switch (law.kind()) {
            case PC_RELATIVE -> trial.withS(value + trial.p() - trial.a());
            case PAGE_RELATIVE -> trial.withS(value + (trial.p() & -0x1000) - trial.a());
            case BASE_RELATIVE -> trial.withS(value + base - trial.a());
            case SLOT_OFFSET -> trial.withS(value ^ trial.p()).withA(value);
            case SLOT_DISTANCE, BASE_DISTANCE ->
                    trial.withS(value ^ trial.p()).withA(value + trial.p() - base);
            case NOTHING,
                    ABSOLUTE,
                    ADDS,
                    SUBTRACTS,
                    SUM_SLOT_DISTANCE,
                    BASE,
                    BASE_PAIR,
                    CONSTANT,
                    LOW_OF_PAIR,
                    HIGH_OF_PAIR,
                    IN_REGION,
                    PUSH,
                    OPERATION,
                    POP,
                    REFUSED ->
                    trial.withS(value - trial.a());
        };
    }
}

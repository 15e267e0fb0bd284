package io.github.koloader.testkit;

import io.github.koloader.Errno;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Field;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.RelocationType;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What holds of a row of a relocation table whatever its bytes are: how its value comes about, and
 * between which bounds. Rows with a formula say so themselves; all others are listed here.
 *
 * @param kind how the value comes about
 * @param low the smallest value it takes
 * @param high the largest value
 * @param step distance of the values that it takes
 * @param veneer whether values beyond go through a veneer, in every kernel that there is
 */
record RowLaw(Kind kind, long low, long high, long step, boolean veneer) {
    /** How a value comes about: S, A and P as in the psABI. */
    enum Kind {
        /** There is none. */
        NOTHING,
        /** S + A. */
        ABSOLUTE,
        /** S + A − P. */
        PC_RELATIVE,
        /** Pages of S + A and of P. */
        PAGE_RELATIVE,
        /** S + A minus an address that moves with the module: GOT, TOC. */
        BASE_RELATIVE,
        /** What is there, plus S + A. */
        ADDS,
        /** What is there, minus S + A. */
        SUBTRACTS,
        /** Offset of a slot that the loader makes for S, plus A. */
        SLOT_OFFSET,
        /** Address of a slot that the loader makes for S, plus A, minus P. */
        SLOT_DISTANCE,
        /** Distance of a slot that the loader makes for S + A. */
        SUM_SLOT_DISTANCE,
        /** GOT + A − P. */
        BASE_DISTANCE,
        /** Address of the TOC. */
        BASE,
        /** The two instructions that load the TOC's address become others. */
        BASE_PAIR,
        /** S and A do not count, and P does not. */
        CONSTANT,
        /** The low part of what a high part elsewhere began; S is the address of that. */
        LOW_OF_PAIR,
        /** The high part, which a low part of the same symbol behind it completes. */
        HIGH_OF_PAIR,
        /** S + A, in the same 256 MiB as P. */
        IN_REGION,
        /** A number for the stack. */
        PUSH,
        /** Works on numbers of the stack. */
        OPERATION,
        /** The number on the stack. */
        POP,
        /** Always refused. */
        REFUSED
    }

    private static final Map<String, RowLaw> OWN = new HashMap<>();

    static {
        for (String type : List.of("PC24", "CALL", "JUMP24")) {
            own("arm R_ARM_" + type, between(Kind.PC_RELATIVE, -0x1fffffc, 0x1fffffc, 4));
        }
        for (String type : List.of("THM_CALL", "THM_JUMP24")) {
            own("arm R_ARM_" + type, between(Kind.PC_RELATIVE, -0xffffff, 0xffffff, 1));
        }
        own("arm R_ARM_V4BX", any(Kind.CONSTANT));
        for (String machine : List.of("riscv32 R_RISCV_", "riscv64 R_RISCV_")) {
            own(machine + "GOT_HI20", any(Kind.SUM_SLOT_DISTANCE));
            own(machine + "PCREL_LO12_I", any(Kind.LOW_OF_PAIR));
            own(machine + "PCREL_LO12_S", any(Kind.LOW_OF_PAIR));
            for (String size : List.of("16", "32", "64")) {
                own(machine + "ADD" + size, any(Kind.ADDS));
                own(machine + "SUB" + size, any(Kind.SUBTRACTS));
            }
            own(machine + "ALIGN", any(Kind.REFUSED));
        }
        loongarch("loongarch64 R_LARCH_");
        powerPc("ppc64le R_PPC64_");
        s390("s390x R_390_");
        mips();
    }

    private static void loongarch(String machine) {
        for (String type : List.of("ABSOLUTE", "PCREL", "PLT_PCREL")) {
            own(machine + "SOP_PUSH_" + type, any(Kind.PUSH));
        }
        for (String type : List.of("PUSH_DUP", "SUB", "SL", "SR", "ADD", "AND", "IF_ELSE")) {
            own(machine + "SOP_" + type, any(Kind.OPERATION));
        }
        own(machine + "SOP_POP_32_S_10_5", any(Kind.REFUSED));
        own(machine + "SOP_POP_32_U_10_12", between(Kind.POP, 0, 0xfff, 1));
        own(machine + "SOP_POP_32_S_10_12", between(Kind.POP, -0x800, 0x7ff, 1));
        own(machine + "SOP_POP_32_S_10_16", between(Kind.POP, -0x8000, 0x7fff, 1));
        own(machine + "SOP_POP_32_S_10_16_S2", between(Kind.POP, -0x20000, 0x1fffc, 4));
        own(machine + "SOP_POP_32_S_5_20", between(Kind.POP, -0x80000, 0x7ffff, 1));
        own(machine + "SOP_POP_32_S_0_5_10_16_S2", between(Kind.POP, -0x400000, 0x3ffffc, 4));
        own(machine + "SOP_POP_32_S_0_10_10_16_S2", between(Kind.POP, -0x8000000, 0x7fffffc, 4));
        own(machine + "SOP_POP_32_U", between(Kind.POP, 0, 0xffff_ffffL, 1));
        for (String size : List.of("32", "64")) {
            own(machine + "ADD" + size, any(Kind.ADDS));
            own(machine + "SUB" + size, any(Kind.SUBTRACTS));
        }
        own(machine + "B26", throughVeneer(-0x8000000, 0x7fffffc, 4));
        own(machine + "PCALA_HI20", any(Kind.PAGE_RELATIVE));
        own(machine + "PCALA64_LO20", any(Kind.PAGE_RELATIVE));
        own(machine + "PCALA64_HI12", any(Kind.PAGE_RELATIVE));
        own(machine + "GOT_PC_HI20", any(Kind.SUM_SLOT_DISTANCE));
        own(machine + "GOT_PC_LO12", any(Kind.SUM_SLOT_DISTANCE));
    }

    private static void powerPc(String machine) {
        own(machine + "REL24", between(Kind.PC_RELATIVE, -0x2000000, 0x1fffffc, 4));
        own(machine + "TOC16", between(Kind.BASE_RELATIVE, -0x8000, 0x7fff, 1));
        own(machine + "TOC16_LO", any(Kind.BASE_RELATIVE));
        own(machine + "TOC16_HA", any(Kind.BASE_RELATIVE));
        own(machine + "TOC16_DS", between(Kind.BASE_RELATIVE, -0x8000, 0x7ffc, 4));
        own(
                machine + "TOC16_LO_DS",
                between(Kind.BASE_RELATIVE, Long.MIN_VALUE, Long.MAX_VALUE & -4, 4));
        own(machine + "TOC", any(Kind.BASE));
        own(machine + "ENTRY", any(Kind.BASE_PAIR));
    }

    private static void s390(String machine) {
        for (String slot : List.of("GOT", "GOTPLT")) {
            own(machine + slot + "12", between(Kind.SLOT_OFFSET, 0, 0xfff, 1));
            own(machine + slot + "16", between(Kind.SLOT_OFFSET, 0, 0xffff, 1));
            own(machine + slot + "20", between(Kind.SLOT_OFFSET, -0x80000, 0x7ffff, 1));
            own(machine + slot + "32", between(Kind.SLOT_OFFSET, 0, 0xffff_ffffL, 1));
            own(machine + slot + "64", any(Kind.SLOT_OFFSET));
            own(
                    machine + slot + "ENT",
                    between(Kind.SLOT_DISTANCE, -0x1_0000_0000L, 0xffff_fffeL, 2));
        }
        own(machine + "PLT16DBL", throughVeneer(-0x10000, 0xfffe, 2));
        own(machine + "PLT32DBL", throughVeneer(-0x1_0000_0000L, 0xffff_fffeL, 2));
        own(machine + "PLT32", between(Kind.SLOT_DISTANCE, 0, 0xffff_ffffL, 1));
        own(machine + "PLT64", any(Kind.SLOT_DISTANCE));
        own(machine + "PLTOFF16", between(Kind.SLOT_OFFSET, 0, 0xffff, 1));
        own(machine + "PLTOFF32", between(Kind.SLOT_OFFSET, 0, 0xffff_ffffL, 1));
        own(machine + "PLTOFF64", any(Kind.SLOT_OFFSET));
        own(machine + "GOTOFF16", between(Kind.BASE_RELATIVE, 0, 0xffff, 1));
        own(machine + "GOTOFF32", between(Kind.BASE_RELATIVE, 0, 0xffff_ffffL, 1));
        own(machine + "GOTOFF64", any(Kind.BASE_RELATIVE));
        own(machine + "GOTPC", between(Kind.BASE_DISTANCE, -0x8000_0000L, 0x7fff_ffffL, 1));
        own(machine + "GOTPCDBL", between(Kind.BASE_DISTANCE, -0x1_0000_0000L, 0xffff_fffeL, 2));
    }

    private static void mips() {
        for (String machine : List.of("mips32", "mips32el", "mips64", "mips64el")) {
            String types = machine + " R_MIPS_";
            boolean addends = machine.startsWith("mips64");
            own(types + "26", any(Kind.IN_REGION));
            own(types + "HI16", any(addends ? Kind.ABSOLUTE : Kind.HIGH_OF_PAIR));
            own(types + "LO16", any(Kind.ABSOLUTE));
            if (addends) {
                own(types + "HIGHER", any(Kind.ABSOLUTE));
                own(types + "HIGHEST", any(Kind.ABSOLUTE));
            }
            own(types + "PC16", between(Kind.PC_RELATIVE, -0x20000, 0x1fffc, 4));
            own(types + "PC21_S2", between(Kind.PC_RELATIVE, -0x400000, 0x3ffffc, 4));
            own(types + "PC26_S2", between(Kind.PC_RELATIVE, -0x8000000, 0x7fffffc, 4));
        }
    }

    private static void own(String name, RowLaw law) {
        OWN.put(name, law);
    }

    private static RowLaw any(Kind kind) {
        return between(kind, Long.MIN_VALUE, Long.MAX_VALUE, 1);
    }

    private static RowLaw between(Kind kind, long low, long high, long step) {
        return new RowLaw(kind, low, high, step, false);
    }

    /** A branch that leads to a veneer when its target is too far. */
    private static RowLaw throughVeneer(long low, long high, long step) {
        return new RowLaw(Kind.PC_RELATIVE, low, high, step, true);
    }

    /** The law of a row, or {@code null} if it has none. */
    static @Nullable RowLaw of(Architecture architecture, RelocationType row) {
        if (row.formula() == Formula.OWN) {
            return OWN.get(architecture.name() + " " + row.name());
        }
        Kind kind =
                switch (row.formula()) {
                    case NONE -> Kind.NOTHING;
                    case ABSOLUTE -> Kind.ABSOLUTE;
                    case PC_RELATIVE -> Kind.PC_RELATIVE;
                    case PAGE_RELATIVE -> Kind.PAGE_RELATIVE;
                    case OWN -> throw new AssertionError(row);
                };
        Field field = row.field();
        long step = stepOf(field);
        return between(kind, bound(field, step, false), bound(field, step, true), step);
    }

    /** Names of laws that are no row's, of architectures that are among the names. */
    static List<String> unused(List<String> names) {
        return OWN.keySet().stream()
                .filter(name -> names.contains(name.substring(0, name.indexOf(' '))))
                .filter(name -> !names.contains(name))
                .sorted()
                .toList();
    }

    /** The errno with which an architecture refuses a value beyond the bounds. */
    static Errno errno(Architecture architecture) {
        return architecture.name().startsWith("riscv") ? Errno.EINVAL : Errno.ENOEXEC;
    }

    /** The errno with which an architecture refuses a type that it does not know. */
    static Errno unknownTypeErrno(Architecture architecture) {
        String name = architecture.name();
        return name.startsWith("riscv") || name.startsWith("loongarch") || name.startsWith("mips")
                ? Errno.EINVAL
                : Errno.ENOEXEC;
    }

    boolean bounded() {
        return low != Long.MIN_VALUE;
    }

    // ---- bounds of a field, found by asking it ----

    private static long stepOf(Field field) {
        long step = 1;
        while (!field.fits(step)) {
            step <<= 1;
        }
        return step;
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
}

package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.OWN;
import static io.github.koloader.arch.Refusal.refuse;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.List;

/**
 * MIPS with 32 bits (o32, REL) and 64 bits (n64, RELA and REL), of either byte order. Instructions
 * have four bytes; modules are compiled with {@code -mlong-calls}, so there are no veneers and no
 * GOT.
 *
 * <p>What is odd: with REL the two halves of an address belong together. A {@code HI16} waits for
 * the next {@code LO16}, which knows the carry, and has to name the same symbol value. Entries of
 * 64 bits have room for three types, of which Linux looks at the first. A symbol with a value in
 * the last 4095 bytes, where error numbers are, counts as unknown. With a weak one Linux never
 * leaves its entry again, so that the rest of the table is not applied; the usual value 0 is
 * relocated as it is.
 *
 * <p>Asked of {@link KernelConfig#kconfig}: {@code CONFIG_CPU_MIPS32_R1}, {@code …_R5}, {@code
 * …_R6} or {@code CONFIG_CPU_MIPS64_R1}, {@code …_R5}, {@code …_R6}, which vermagic names; without
 * them it is {@code …_R2}, as Debian builds it. Modules that use 64-bit floating point registers
 * are taken ({@code CONFIG_MIPS_O32_FP64_SUPPORT}, as Debian), and n32 is not, since no kernel of
 * 32 bits has it.
 *
 * @kernel arch/mips/kernel/module.c, apply_relocate(), apply_relocate_add()
 * @psabi System V ABI, MIPS RISC Processor Supplement, Relocation
 */
final class Mips implements Architecture {
    private static final int EM_MIPS = 8;
    private static final int EF_ABI2 = 0x20;
    private static final int EF_ABI = 0xf000;
    private static final int EF_ABI_O32 = 0x1000;

    private static final int R_26 = 4;
    private static final int R_HI16 = 5;
    private static final int R_LO16 = 6;
    private static final int R_PC16 = 10;
    private static final int R_64 = 18;
    private static final int R_HIGHER = 28;
    private static final int R_HIGHEST = 29;
    private static final int R_PC21_S2 = 60;
    private static final int R_PC26_S2 = 61;

    private static final LowBits LOW_HALF = new LowBits(16);

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(0, "R_MIPS_NONE", NONE, DataField.NONE),
                    new RelocationType(2, "R_MIPS_32", ABSOLUTE, word(32)),
                    new RelocationType(R_26, "R_MIPS_26", OWN, new LowBits(26)),
                    new RelocationType(R_HI16, "R_MIPS_HI16", OWN, LOW_HALF),
                    new RelocationType(R_LO16, "R_MIPS_LO16", OWN, LOW_HALF),
                    new RelocationType(R_PC16, "R_MIPS_PC16", OWN, LOW_HALF),
                    new RelocationType(R_64, "R_MIPS_64", ABSOLUTE, word(64)),
                    new RelocationType(R_HIGHER, "R_MIPS_HIGHER", OWN, LOW_HALF),
                    new RelocationType(R_HIGHEST, "R_MIPS_HIGHEST", OWN, LOW_HALF),
                    new RelocationType(R_PC21_S2, "R_MIPS_PC21_S2", OWN, new LowBits(21)),
                    new RelocationType(R_PC26_S2, "R_MIPS_PC26_S2", OWN, new LowBits(26)));

    private static final RelocationTypes TYPES32 = TYPES.without(R_64, R_HIGHER, R_HIGHEST);

    /** Distances came in the 4.x series; 4.6 is taken. */
    private static final int[] SINCE_4_6 = {R_PC16, R_PC21_S2, R_PC26_S2};

    private static final RelocationTypes BEFORE_4_6 = TYPES.without(SINCE_4_6);
    private static final RelocationTypes BEFORE_4_6_32 = TYPES32.without(SINCE_4_6);

    /** The low bits of an instruction, as a signed number. */
    private record LowBits(int bits) implements Field {
        @Override
        public int size() {
            return 4;
        }

        @Override
        public long mask() {
            return (1L << bits) - 1;
        }

        @Override
        public boolean fits(long value) {
            return implicitAddend(value) == value;
        }

        @Override
        public long insert(long old, long value) {
            return old & ~mask() | value & mask();
        }

        @Override
        public long implicitAddend(long old) {
            int spare = 64 - bits;
            return old << spare >> spare;
        }
    }

    private final String name;
    private final List<String> aliases;
    private final Encoding encoding;

    /**
     * One of the four.
     *
     * @param name its name
     * @param aliases other names
     * @param encoding word size and byte order
     */
    Mips(String name, List<String> aliases, Encoding encoding) {
        this.name = name;
        this.aliases = aliases;
        this.encoding = encoding;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public List<String> aliases() {
        return aliases;
    }

    @Override
    public int elfMachine() {
        return EM_MIPS;
    }

    /** Kernels of 64 bits look at the machine alone, those of 32 bits at the ABI too. */
    @Override
    public boolean accepts(FileHeader header) {
        int abi = header.flags() & EF_ABI;
        boolean o32 = (header.flags() & EF_ABI2) == 0 && (abi == 0 || abi == EF_ABI_O32);
        return header.machine() == EM_MIPS && (encoding.wide() || o32);
    }

    @Override
    public Encoding encoding() {
        return encoding;
    }

    /**
     * The first part of the mapped segments: of all vmalloc memory with 32 bits, of what 32-bit
     * addresses reach with 64 bits.
     */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(
                encoding.wide()
                        ? AddressRange.between(0xffffffff_c0000000L, 0xffffffff_fe000000L)
                        : AddressRange.between(0xc0000000L, 0xf0000000L));
    }

    /** vmalloc memory: with 32 bits what modules leave of it. */
    @Override
    public AddressRange imageArea() {
        return encoding.wide()
                ? AddressRange.between(0xc0000000_00002000L, 0xc0000040_00000000L)
                : AddressRange.between(0xf0000000L, 0xfe000000L);
    }

    /** In the segment that is mapped to the first 512 MiB of memory. */
    @Override
    public AddressRange kernelText() {
        return encoding.wide()
                ? AddressRange.between(0xffffffff_80100000L, 0xffffffff_81000000L)
                : AddressRange.between(0x80100000L, 0x81000000L);
    }

    /**
     * What a kernel keeps for modules, 8 KiB. Offsets are addresses here: per-CPU symbols have
     * those of the template in the kernel image.
     */
    @Override
    public AddressRange perCpuArea() {
        long start = encoding.wide() ? 0xffffffff_81002000L : 0x81002000L;
        return AddressRange.between(start, start + 0x2000);
    }

    /** Areas of 32 KiB, one behind the other, in the directly mapped memory. */
    @Override
    public long perCpuOffset(int cpu) {
        long first = encoding.wide() ? 0x98000000_02000000L : 0x82000000L;
        return first - perCpuArea().start().value() + cpu * 0x8000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return encoding.wide() ? TYPES : TYPES32;
    }

    @Override
    public RelocationTypes relocationTypes(KernelConfig config) {
        if (config.atLeast(4, 6)) {
            return relocationTypes();
        }
        return encoding.wide() ? BEFORE_4_6 : BEFORE_4_6_32;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return !withAddends || encoding.wide();
    }

    /** Never set: this architecture has no such option. */
    @Override
    public boolean hasStrictModuleRwx() {
        return false;
    }

    @Override
    public String vermagicSuffix(KernelConfig config) {
        String family = encoding.wide() ? "MIPS64_R" : "MIPS32_R";
        String revision = "2";
        for (String other : List.of("1", "5", "6")) {
            if (config.kconfig("CONFIG_CPU_" + family + other, false)) {
                revision = other;
            }
        }
        return family + revision + (encoding.wide() ? " 64BIT " : " 32BIT ");
    }

    @Override
    public boolean keepsBuiltInExit() {
        return true;
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return false;
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return encoding.wide() ? ExceptionTable.ABSOLUTE64 : ExceptionTable.ABSOLUTE32;
    }

    @Override
    public Relocator relocator(PlacedModule module) {
        return new MipsRelocator(this, module);
    }

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    refuse(
                            Errno.EINVAL,
                            "%s: Unknown relocation type %d",
                            failure.module(),
                            failure.type() & 0xff);
            case OVERFLOW ->
                    refuse(Errno.ENOEXEC, "module %s: relocation overflow", failure.module());
            case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Failures.relocation(failure);
        };
    }

    // ---- relocation ----

    /** Applies tables, in each of which high halves wait for their low ones. */
    private static final class MipsRelocator extends Relocator {
        private record HighHalf(long offset, long s) {}

        private final RelocationTypes rows;
        private final boolean wide;
        private final List<HighHalf> waiting = new ArrayList<>();
        private boolean stuck;

        MipsRelocator(Mips mips, PlacedModule module) {
            super(mips, module);
            this.rows = mips.relocationTypes(module.config());
            this.wide = mips.encoding.wide();
        }

        @Override
        protected void begin(RelocationTable table) {
            waiting.clear();
            stuck = false;
        }

        @Override
        protected void end(RelocationTable table) {
            if (!waiting.isEmpty()) {
                throw LoadException.silent(
                        Errno.ENOEXEC,
                        "%s: %d relocations R_MIPS_HI16 of section %d without R_MIPS_LO16"
                                .formatted(module().name(), waiting.size(), table.section()));
            }
        }

        @Override
        protected void apply(RelocationEntry entry) {
            if (stuck) {
                return;
            }
            if (entry.hasErrorPointer(wide)) {
                if (!entry.isWeak()) {
                    throw refuse(
                            Errno.ENOENT,
                            "%s: Unknown symbol %s",
                            module().name(),
                            entry.symbolName());
                }
                stuck = true;
                return;
            }
            long s = wide ? entry.s() : (int) entry.s();
            boolean rel = !entry.table().hasAddends();
            RelocationType row = rows.byCode(entry.type() & 0xff);
            if (row == null) {
                throw entry.rejected(Kind.UNKNOWN_TYPE, 0);
            }
            switch (row.formula()) {
                case NONE -> {}
                case OWN -> applyInstruction(row, entry, s + entry.a(), rel);
                default -> {
                    refuseWithoutAddend(row, rel);
                    applyRow(row, entry);
                }
            }
        }

        /** Types of 64 bits have no form without addend; Linux warns with a trace only. */
        private void refuseWithoutAddend(RelocationType row, boolean rel) {
            if (rel && (row.code() == R_64 || row.code() == R_HIGHER || row.code() == R_HIGHEST)) {
                throw LoadException.silent(
                        Errno.EINVAL,
                        "%s: %s without addend".formatted(module().name(), row.name()));
            }
        }

        /** With addends {@code v} is S + A and the place counts as 0; without, it is S alone. */
        private void applyInstruction(
                RelocationType row, RelocationEntry entry, long v, boolean rel) {
            refuseWithoutAddend(row, rel);
            long old = entry.read(4);
            long base = rel ? old : 0;
            switch (row.code()) {
                case R_26 -> insert(row, entry, old, base + jump(entry, v));
                case R_HI16 -> {
                    if (rel) {
                        entry.checkPlace(highHalfSize());
                        waiting.add(new HighHalf(entry.offset(), v));
                    } else {
                        insert(row, entry, old, v + 0x8000 >> 16);
                    }
                }
                case R_LO16 -> {
                    long low = LOW_HALF.implicitAddend(base);
                    completeHighHalves(entry.section(), v, low);
                    insert(row, entry, old, v + low);
                }
                case R_HIGHER -> insert(row, entry, old, v + 0x80008000L >> 32);
                case R_HIGHEST -> insert(row, entry, old, v + 0x8000_80008000L >> 48);
                default -> insert(row, entry, old, distance(row, entry, v, base));
            }
        }

        private static void insert(
                RelocationType row, RelocationEntry entry, long old, long value) {
            entry.write(4, row.field().insert(old, value));
        }

        /** The target of a jump, in words, in the 256 MiB of the delay slot. */
        private long jump(RelocationEntry entry, long v) {
            if ((v & 3) != 0) {
                throw dangerous("R_MIPS_26");
            }
            if (((v ^ entry.p() + 4) & 0xf0000000L) != 0) {
                throw entry.rejected(Kind.OVERFLOW, v);
            }
            return v >> 2;
        }

        /** The distance of a branch, in words. */
        private long distance(RelocationType row, RelocationEntry entry, long v, long base) {
            if ((v & 3) != 0) {
                int bits = Long.bitCount(row.field().mask());
                throw dangerous("R_MIPS_PC" + bits);
            }
            long bytes = v - entry.p();
            long words = row.field().implicitAddend(base) + ((wide ? bytes : (int) bytes) >> 2);
            if (!row.field().fits(words)) {
                throw entry.rejected(Kind.OVERFLOW, words);
            }
            return words;
        }

        private LoadException dangerous(String type) {
            return refuse(
                    Errno.ENOEXEC, "module %s: dangerous %s relocation", module().name(), type);
        }

        /** With 64 bits Linux takes a whole word where a high half without addend is. */
        private int highHalfSize() {
            return wide ? 8 : 4;
        }

        /** Gives all high halves that wait their carry, the newest first. */
        private void completeHighHalves(PlacedSection section, long s, long low) {
            for (HighHalf half : waiting) {
                if (half.s != s) {
                    throw dangerous("R_MIPS_LO16");
                }
            }
            int size = highHalfSize();
            for (int i = waiting.size() - 1; i >= 0; i--) {
                long offset = waiting.get(i).offset;
                long old = section.read(offset, size);
                long sum = ((old & 0xffff) << 16) + low + s;
                section.write(offset, size, LOW_HALF.insert(old, sum + 0x8000 >> 16));
            }
            waiting.clear();
        }
    }
}

package io.github.koloader.arch;

/**
 * The fields of AArch64 instructions that relocations write, and how instructions that the loader
 * makes itself are put together.
 *
 * @kernel arch/arm64/kernel/module.c, reloc_insn_imm(), reloc_insn_movw(); arch/arm64/lib/insn.c,
 *     aarch64_insn_encode_immediate()
 */
final class AArch64Fields {
    /** {@code brk #0x100}: a failed encoding, into which no immediate goes. */
    static final int FAULT = 0xd4202000;

    private static final int BRANCH = 0x14000000;
    private static final int ADRP = 0x90000000;
    private static final int ADRP_MASK = 0x9f000000;
    private static final long REACH = 1L << 27;

    private AArch64Fields() {}

    /** A field of an instruction whose values are signed numbers of some bits. */
    interface Instruction extends Field {
        /** The value's bits at their places. */
        long encode(long value);

        @Override
        default int size() {
            return 4;
        }

        @Override
        default long insert(long old, long value) {
            return (int) old == FAULT ? old : old & ~mask() | encode(value) & mask();
        }

        /** Relocations of this machine carry their addends. */
        @Override
        default long implicitAddend(long old) {
            return 0;
        }
    }

    /** Whether {@code value} is a signed number of {@code bits}. */
    private static boolean isSigned(long value, int bits) {
        return value << 64 - bits >> 64 - bits == value;
    }

    /** A distance in words, {@code width} bits wide, the lowest at bit {@code shift}. */
    record Branch(int width, int shift) implements Instruction {
        @Override
        public long mask() {
            return (1L << width) - 1 << shift;
        }

        @Override
        public boolean fits(long value) {
            return isSigned(value >> 2, width);
        }

        @Override
        public long encode(long value) {
            return value >> 2 << shift;
        }
    }

    /**
     * The distance of {@code adr} and {@code adrp}: 21 bits, the lowest two at bit 29, the others
     * at bit 5. The lowest {@code lsb} bits of the value are left out.
     */
    record Adr(int lsb, boolean checked) implements Instruction {
        @Override
        public long mask() {
            return 0x60ffffe0L;
        }

        @Override
        public boolean fits(long value) {
            return !checked || isSigned(value >> lsb, 21);
        }

        @Override
        public long encode(long value) {
            return encodeAdr(value >> lsb);
        }
    }

    /** The low 12 bits of an address, counted in units of {@code 1 << scale} bytes. */
    record PageOffset(int scale) implements Instruction {
        @Override
        public long mask() {
            return 0xfffL << 10;
        }

        @Override
        public boolean fits(long value) {
            return true;
        }

        @Override
        public long encode(long value) {
            return (value & 0xfff) >> scale << 10;
        }
    }

    /** Bits {@code lsb} to {@code lsb + 15}, for an instruction that stays what it is. */
    record Move(int lsb, boolean checked) implements Instruction {
        @Override
        public long mask() {
            return 0xffffL << 5;
        }

        @Override
        public boolean fits(long value) {
            return !checked || (value >> lsb & ~0xffffL) == 0;
        }

        @Override
        public long encode(long value) {
            return value >> lsb << 5;
        }
    }

    /**
     * Bits {@code lsb} to {@code lsb + 15} of a signed number: {@code movz} with them, or {@code
     * movn} with their complement.
     */
    record MoveSigned(int lsb) implements Instruction {
        private static final long MOVZ = 0x40000000L;
        private static final long OPCODE = 0x60000000L;
        private static final long IMMEDIATE = 0xffffL << 5;

        @Override
        public long mask() {
            return OPCODE | IMMEDIATE;
        }

        private long magnitude(long value) {
            return value < 0 ? ~(value >> lsb) : value >> lsb;
        }

        @Override
        public boolean fits(long value) {
            return magnitude(value) <= 0xffff;
        }

        @Override
        public long encode(long value) {
            return magnitude(value) << 5;
        }

        @Override
        public long insert(long old, long value) {
            long instruction = old & ~OPCODE | (value < 0 ? 0 : MOVZ);
            return (int) instruction == FAULT
                    ? instruction
                    : instruction & ~IMMEDIATE | encode(value) & IMMEDIATE;
        }
    }

    /** A data word that takes signed and unsigned numbers alike. */
    record LooseWord(int size) implements Field {
        @Override
        public long mask() {
            return -1L >>> 64 - 8 * size;
        }

        @Override
        public boolean fits(long value) {
            return value >= -1L << 8 * size - 1 && value <= mask();
        }

        @Override
        public long insert(long old, long value) {
            return value & mask();
        }

        @Override
        public long implicitAddend(long old) {
            return old << 64 - 8 * size >> 64 - 8 * size;
        }
    }

    // ---- whole instructions ----

    private static long encodeAdr(long immediate) {
        return (immediate & 3) << 29 | (immediate >> 2 & 0x7ffff) << 5;
    }

    /**
     * {@code adrp register, target} for address {@code p}, or {@link #FAULT}. The distance in pages
     * is cut off at 32 bits before it is looked at.
     */
    static int adrp(long p, long target, int register) {
        int pages = (int) (target - page(p) >> 12);
        return isSigned(pages, 21) ? ADRP | (int) encodeAdr(pages) | register : FAULT;
    }

    static boolean isAdrp(int instruction) {
        return (instruction & ADRP_MASK) == ADRP;
    }

    /** The page that an {@code adrp} at {@code p} leads to. */
    static long adrpTarget(long p, int instruction) {
        long immediate = (instruction >>> 5 & 0x7ffffL) << 2 | instruction >>> 29 & 3;
        return page(p) + (immediate << 43 >> 43 << 12);
    }

    /** {@code add register, register, #(value & 0xfff)}. */
    static int addLow12(long value, int register) {
        return 0x91000000 | (int) (value & 0xfff) << 10 | register << 5 | register;
    }

    /** {@code b target} for address {@code p}, or {@link #FAULT}. */
    static int branch(long p, long target) {
        long distance = target - p;
        return distance >= -REACH && distance < REACH
                ? BRANCH | (int) (distance >> 2) & 0x3ffffff
                : FAULT;
    }

    static long page(long address) {
        return address & ~0xfffL;
    }
}

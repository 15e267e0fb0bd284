package io.github.koloader.arch;

/**
 * Where instructions of 32-bit Arm keep what a relocation writes. A Thumb-2 instruction is taken as
 * one little-endian word: its first halfword in the low 16 bits.
 *
 * @psabi ELF for the Arm Architecture, Relocation, instruction fields
 */
enum ArmField implements Field {
    /** Distance of B and BL: bits 0..23, in words. Bits 0 and 1 of a value are dropped. */
    BRANCH(0x00ff_ffff) {
        @Override
        public boolean fits(long value) {
            return value > -0x200_0000 && value < 0x200_0000;
        }

        @Override
        public long insert(long old, long value) {
            return old & ~mask() | value >> 2 & mask();
        }

        @Override
        public long implicitAddend(long old) {
            return signExtend(old << 2, 26);
        }
    },

    /** The same before 4.1: a distance that is no multiple of 4 does not fit. */
    ALIGNED_BRANCH(0x00ff_ffff) {
        @Override
        public boolean fits(long value) {
            return (value & 3) == 0 && BRANCH.fits(value);
        }

        @Override
        public long insert(long old, long value) {
            return BRANCH.insert(old, value);
        }

        @Override
        public long implicitAddend(long old) {
            return BRANCH.implicitAddend(old);
        }
    },

    /**
     * Distance of a Thumb-2 BL, BLX or B.W, in halfwords: S:I1:I2:imm10:imm11, where I1 and I2 lie
     * inverted and mixed with S. Bit 0 of a value is dropped.
     */
    THUMB_BRANCH(0x2fff_07ff) {
        @Override
        public boolean fits(long value) {
            return value > -0x100_0000 && value < 0x100_0000;
        }

        @Override
        public long insert(long old, long value) {
            long s = value >> 24 & 1;
            long j1 = s ^ ~value >> 23 & 1;
            long j2 = s ^ ~value >> 22 & 1;
            long first = s << 10 | value >> 12 & 0x3ff;
            long second = j1 << 13 | j2 << 11 | value >> 1 & 0x7ff;
            return old & ~mask() | first | second << 16;
        }

        @Override
        public long implicitAddend(long old) {
            long s = old >> 10 & 1;
            long i1 = ~(old >> 29 ^ s) & 1;
            long i2 = ~(old >> 27 ^ s) & 1;
            long distance = s << 24 | i1 << 23 | i2 << 22 | (old & 0x3ff) << 12;
            return signExtend(distance | (old >> 16 & 0x7ff) << 1, 25);
        }
    },

    /** A signed distance of 31 bits beside a flag. */
    PREL31(0x7fff_ffff) {
        @Override
        public boolean fits(long value) {
            return value >= -0x4000_0000 && value < 0x4000_0000;
        }

        @Override
        public long insert(long old, long value) {
            return old & ~mask() | value & mask();
        }

        @Override
        public long implicitAddend(long old) {
            return signExtend(old, 31);
        }
    },

    /** The same before 4.1: every value fits, the flag is cleared. */
    UNCHECKED_PREL31(0xffff_ffffL) {
        @Override
        public long insert(long old, long value) {
            return value & 0x7fff_ffff;
        }

        @Override
        public long implicitAddend(long old) {
            return signExtend(old, 32);
        }
    },

    /** Low half, into the imm4:imm12 of a MOVW. */
    MOVW(0x000f_0fff) {
        @Override
        public long insert(long old, long value) {
            return old & ~mask() | (value & 0xf000) << 4 | value & 0xfff;
        }

        @Override
        public long implicitAddend(long old) {
            return signExtend(old >> 4 & 0xf000 | old & 0xfff, 16);
        }
    },

    /** High half, into the imm4:imm12 of a MOVT, which is read as it stands. */
    MOVT(0x000f_0fff) {
        @Override
        public long insert(long old, long value) {
            return MOVW.insert(old, value >> 16);
        }

        @Override
        public long implicitAddend(long old) {
            return MOVW.implicitAddend(old);
        }
    },

    /** Low half, into the imm4:i:imm3:imm8 of a Thumb-2 MOVW. */
    THUMB_MOVW(0x70ff_040f) {
        @Override
        public long insert(long old, long value) {
            long first = value >> 12 & 0xf | (value & 0x800) >> 1;
            long second = (value & 0x700) << 4 | value & 0xff;
            return old & ~mask() | first | second << 16;
        }

        @Override
        public long implicitAddend(long old) {
            long second = old >> 16;
            long immediate =
                    (old & 0xf) << 12 | (old & 0x400) << 1 | (second & 0x7000) >> 4 | second & 0xff;
            return signExtend(immediate, 16);
        }
    },

    /** High half, into the imm4:i:imm3:imm8 of a Thumb-2 MOVT, which is read as it stands. */
    THUMB_MOVT(0x70ff_040f) {
        @Override
        public long insert(long old, long value) {
            return THUMB_MOVW.insert(old, value >> 16);
        }

        @Override
        public long implicitAddend(long old) {
            return THUMB_MOVW.implicitAddend(old);
        }
    },

    /** The first group of an ADD or SUB of the program counter. */
    ALU_G0(0x00c0_0fff) {
        @Override
        public long insert(long old, long value) {
            return insertGroup(old, value, 0);
        }

        @Override
        public long implicitAddend(long old) {
            return rotatedImmediate(old);
        }
    },

    /** The second group of an ADD or SUB. */
    ALU_G1(0x00c0_0fff) {
        @Override
        public long insert(long old, long value) {
            return insertGroup(old, value, 1);
        }

        @Override
        public long implicitAddend(long old) {
            return rotatedImmediate(old);
        }
    },

    /** What two groups leave, as the 12-bit offset of an LDR with its direction. */
    LDR_G2(0x0080_0fff) {
        @Override
        public boolean fits(long value) {
            return (group(magnitude(value), 2) & ~0xfffL) == 0;
        }

        @Override
        public long insert(long old, long value) {
            long offset = group(magnitude(value), 2) & 0xfff;
            return old & ~mask() | offset | (negative(value) ? 0 : UP);
        }

        @Override
        public long implicitAddend(long old) {
            long offset = old & 0xfff;
            return (old & UP) == 0 ? -offset : offset;
        }
    },

    /** All but condition and register of a BX, which becomes a MOV to the program counter. */
    BX(0x0fff_fff0) {
        @Override
        public long insert(long old, long value) {
            return (old & ~mask()) + 0x01a0_f000;
        }

        @Override
        public long implicitAddend(long old) {
            return 0;
        }
    };

    /** ADD, and an LDR that counts up. */
    private static final long UP = 1 << 23;

    /** SUB. */
    private static final long SUBTRACT = 1 << 22;

    private final long mask;

    ArmField(long mask) {
        this.mask = mask;
    }

    @Override
    public int size() {
        return 4;
    }

    @Override
    public long mask() {
        return mask;
    }

    @Override
    public boolean fits(long value) {
        return true;
    }

    private static long signExtend(long value, int bits) {
        return value << 64 - bits >> 64 - bits;
    }

    // ---- groups: a distance taken apart from its top, eight bits at an even position at a time

    private static boolean negative(long value) {
        return (int) value < 0;
    }

    private static long magnitude(long value) {
        return Integer.toUnsignedLong(Math.abs((int) value));
    }

    /** How far the top group of a number lies from bit 31; 32 if there is none. */
    private static int groupShift(long number) {
        return number == 0 ? 32 : Integer.numberOfLeadingZeros((int) number) & ~1;
    }

    /** What is left of a number without its first {@code groups} groups. */
    private static long group(long number, int groups) {
        long rest = number;
        for (int i = 0; i < groups; i++) {
            rest &= 0xff_ffff >>> groupShift(rest);
        }
        return rest;
    }

    private static long insertGroup(long old, long value, int groups) {
        long rest = group(magnitude(value), groups);
        int shift = groupShift(rest);
        long immediate = shift < 24 ? rest >> 24 - shift | shift + 8 << 7 : rest;
        return old & ~(UP | SUBTRACT | 0xfff) | immediate | (negative(value) ? SUBTRACT : UP);
    }

    private static long rotatedImmediate(long old) {
        int number = Integer.rotateRight((int) old & 0xff, (int) (old >> 8 & 0xf) * 2);
        return (old & SUBTRACT) == 0 ? number : -number;
    }
}

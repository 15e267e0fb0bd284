package io.github.koloader.arch;

/**
 * How long x86 instructions are: prefixes, an opcode of one of several maps, ModRM with what it
 * asks for, immediates. The maps are written as the manuals print them, 16 opcodes a row, one
 * letter for what follows each opcode:
 *
 * <pre>
 * .  nothing                        x  no instruction          P  a prefix
 * M  ModRM                          b  ModRM, 1 byte           z  ModRM, 2 or 4 bytes
 * R  ModRM that names registers only
 * B  1 byte                         W  2 bytes                 E  3 bytes
 * Z  2 or 4 bytes                   J  distance of a branch    F  far pointer
 * V  2, 4 or 8 bytes                O  address                 S  ModRM, 2 bytes after 66 or F2
 * </pre>
 *
 * <p>Where processors differ, those of Intel count: in 64-bit code an operand-size prefix does not
 * make the distance of a branch shorter.
 *
 * @psabi Intel 64 and IA-32 Architectures Software Developer's Manual, Volume 2, Instruction Format
 *     and Opcode Map; AMD64 Architecture Programmer's Manual, Volume 3, for XOP and 3DNow!
 */
final class X86Instructions {
    /** Instead of a length: there is no instruction, or not all of it. */
    static final int NONE = 0;

    /** Bytes of the longest instruction. */
    static final int LONGEST = 15;

    private static final String ONE_BYTE_32 =
            "MMMMBZ..MMMMBZ.x" // 00 ADD, OR; 0F escapes
                    + "MMMMBZ..MMMMBZ.." // 10 ADC, SBB
                    + "MMMMBZP.MMMMBZP." // 20 AND, SUB
                    + "MMMMBZP.MMMMBZP." // 30 XOR, CMP
                    + "................" // 40 INC, DEC
                    + "................" // 50 PUSH, POP
                    + "..MMPPPPZzBb...." // 60 PUSHA, BOUND, IMUL
                    + "BBBBBBBBBBBBBBBB" // 70 Jcc
                    + "bzbbMMMMMMMMMMMM" // 80 group 1, TEST, XCHG, MOV, LEA, POP
                    + "..........F....." // 90 XCHG, CALL far
                    + "OOOO....BZ......" // a0 MOV, TEST, strings
                    + "BBBBBBBBVVVVVVVV" // b0 MOV
                    + "bbW.MMbzE.W..B.." // c0 shifts, RET, LES, LDS, MOV, ENTER
                    + "MMMMBBx.MMMMMMMM" // d0 shifts, AAM, x87
                    + "BBBBBBBBJJFB...." // e0 LOOP, IN, OUT, CALL, JMP
                    + "P.PP..MM......MM"; // f0 groups 3, 4, 5

    /** 40 to 4F are prefixes, which decoding knows before it looks here. */
    private static final String ONE_BYTE_64 =
            "MMMMBZxxMMMMBZxx"
                    + "MMMMBZxxMMMMBZxx"
                    + "MMMMBZPxMMMMBZPx"
                    + "MMMMBZPxMMMMBZPx"
                    + "PPPPPPPPPPPPPPPP"
                    + "................"
                    + "xxxMPPPPZzBb...."
                    + "BBBBBBBBBBBBBBBB"
                    + "bzxbMMMMMMMMMMMM"
                    + "..........x....."
                    + "OOOO....BZ......"
                    + "BBBBBBBBVVVVVVVV"
                    + "bbW.xxbzE.W..Bx."
                    + "MMMMxxx.MMMMMMMM"
                    + "BBBBBBBBJJxB...."
                    + "P.PP..MM......MM";

    private static final String MAP_0F =
            "MMMMx.....x.xM.b" // 00 groups 6 and 7, LAR, SYSCALL, UD2, 3DNow!
                    + "MMMMMMMMMMMMMMMM" // 10 moves, hints
                    + "RRRRxxxxMMMMMMMM" // 20 control and debug registers
                    + "......x.xxxxxxxx" // 30 MSRs; 38 and 3A escape
                    + "MMMMMMMMMMMMMMMM" // 40 CMOVcc
                    + "MMMMMMMMMMMMMMMM" // 50
                    + "MMMMMMMMMMMMMMMM" // 60
                    + "bbbbMMM.SMxxMMMM" // 70 shifts, EMMS, VMREAD
                    + "JJJJJJJJJJJJJJJJ" // 80 Jcc
                    + "MMMMMMMMMMMMMMMM" // 90 SETcc
                    + "...MbMMM...MbMMM" // a0 CPUID, BT, SHLD, VIA's PadLock
                    + "MMMMMMMMMMbMMMMM" // b0 CMPXCHG, POPCNT, group 8
                    + "MMbMbbbM........" // c0 XADD, CMPPS, BSWAP
                    + "MMMMMMMMMMMMMMMM" // d0
                    + "MMMMMMMMMMMMMMMM" // e0
                    + "MMMMMMMMMMMMMMMM"; // f0

    private static final String MAP_0F38 =
            "MMMMMMMMMMMMxxxx" // 00 SSSE3
                    + "MxxxMMxMxxxxMMMx"
                    + "MMMMMMxxMMMMxxxx" // 20 SSE4.1
                    + "MMMMMMMMMMMMMMMM"
                    + "MMxxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "MMMxxxxxxxMMxxxx" // 80 INVEPT, MOVRS
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxxxMMMMMMxM" // c0 SHA, GF2P8MULB
                    + "xxxxxxxxMxxMMMMM" // d0 AES
                    + "xxxxxxxxxxxxxxxx"
                    + "MMxxxMMxMMMMMxxx"; // f0 MOVBE, CRC32, ADX, MOVDIRI

    private static final String MAP_0F3A =
            "xxxxxxxxbbbbbbbb" // 00 rounding, blending, PALIGNR
                    + "xxxxbbbbxxxxxxxx"
                    + "bbbxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "bbbxbxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "bbbbxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx".repeat(5)
                    + "xxxxxxxxxxxxbxbb" // c0 SHA1RNDS4, GF2P8AFFINEQB
                    + "xxxxxxxxxxxxxxxb" // d0 AESKEYGENASSIST
                    + "xxxxxxxxxxxxxxxx"
                    + "bxxxxxxxxxxxxxxx"; // f0 HRESET

    /** Map 1 after VEX or EVEX. */
    private static final String VECTOR_0F =
            "xxxxxxxxxxxxxxxx"
                    + "MMMMMMMMxxxxxxxx"
                    + "xxxxxxxxMMMMMMMM"
                    + "xxxxxxxxxxxxxxxx"
                    + "xMMxMMMMxxMMxxxx" // 40 masks
                    + "MMMMMMMMMMMMMMMM"
                    + "MMMMMMMMMMMMMMMM"
                    + "bbbbMMM.MMMMMMMM" // 70 shifts, VZEROUPPER
                    + "xxxxxxxxxxxxxxxx"
                    + "MMMMxxxxMMxxxxxx" // 90 masks
                    + "xxxxxxxxxxxxxxMx"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxbxbbbxxxxxxxxx"
                    + "MMMMMMMMMMMMMMMM"
                    + "MMMMMMMMMMMMMMMM"
                    + "MMMMMMMMMMMMMMMx";

    /** Map 2 after VEX or EVEX. */
    private static final String VECTOR_0F38 =
            "MMMMMMMMMMMMMMMM"
                    + "MMMMMMMMMMMMMMMM"
                    + "MMMMMMMMMMMMMMMM"
                    + "MMMMMMMMMMMMMMMM"
                    + "MMMMMMMMxMxMMMMM" // 40 shifts, tiles
                    + "MMMMMMxxMMMMMxMx"
                    + "MMMMMMMMxxxxMxxx"
                    + "MMMMxMMMMMMMMMMM"
                    + "xxxMxxxxMMMMMMMM"
                    + "MMMMxxMMMMMMMMMM" // 90 fused multiply-add, gathers
                    + "MMMMxxMMMMMMMMMM"
                    + "MMxxMMMMMMMMMMMM"
                    + "xxxxMxMMMxMMMMxM"
                    + "xxMMxxxxxxMMMMMM"
                    + "MMMMMMMMMMMMMMMM" // e0 CMPccXADD
                    + "xxMMxMMMxxxxxxxx"; // f0 BMI

    /** Map 3 after VEX or EVEX. */
    private static final String VECTOR_0F3A =
            "bbbbbbbxbbbbbbbb"
                    + "xxxxbbbbbbbbxbbb"
                    + "bbbbxbbbxxxxxxxx"
                    + "bbbbxxxxbbbbxxbb"
                    + "bbbbbxbxbbbbbxxx"
                    + "bbxxbbbbxxxxbbbb"
                    + "bbbbxxbbbbbbbbbb" // 60 FMA4
                    + "bbbbxxxxbbbbbbbb"
                    + "xxxxxxxxxxxxxxxx".repeat(4)
                    + "xxbxxxxxxxxxxxbb"
                    + "xxxxxxxxxxxxxxbb"
                    + "xxxxxxxxxxxxxxxx"
                    + "bxxxxxxxxxxxxxxx"; // f0 RORX

    /** Map 5 after EVEX: half precision. */
    private static final String VECTOR_5 =
            "xxxxxxxxxxxxxxxx"
                    + "MMxxxxxxxxxxxMxx"
                    + "xxxxxxxxxxMxMMMM"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "xMxxxxxxMMMMMMMM"
                    + "xxxxxxxxxxxxxxMx"
                    + "xxxxxxxxMMMMMMMx"
                    + "xxxxxxxxxxxxxxxx".repeat(8);

    /** Map 6 after EVEX: half precision. */
    private static final String VECTOR_6 =
            "xxxxxxxxxxxxxxxx"
                    + "xxxMxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxMMxx"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxMMxxxxxxxxMMMM"
                    + "xxxxxxMMxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx".repeat(3)
                    + "xxxxxxMMMMMMMMMM"
                    + "xxxxxxMMMMMMMMMM"
                    + "xxxxxxMMMMMMMMMM"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxMMxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx".repeat(2);

    /** Maps 8, 9 and 10 after XOP. */
    private static final String XOP_8 =
            "xxxxxxxxxxxxxxxx".repeat(8)
                    + "xxxxxbbbxxxxxxbb"
                    + "xxxxxbbbxxxxxxbb"
                    + "xxbbxxbxxxxxxxxx"
                    + "xxxxxxbxxxxxxxxx"
                    + "bbbbxxxxxxxxbbbb"
                    + "xxxxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxbbbb"
                    + "xxxxxxxxxxxxxxxx";

    private static final String XOP_9 =
            "xMMxxxxxxxxxxxxx"
                    + "xxMxxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx".repeat(6)
                    + "MMMMxxxxxxxxxxxx"
                    + "MMMMMMMMMMMMxxxx"
                    + "xxxxxxxxxxxxxxxx".repeat(2)
                    + "xMMMxxMMxxxMxxxx"
                    + "xMMMxxMMxxxMxxxx"
                    + "xMMMxxxxxxxxxxxx"
                    + "xxxxxxxxxxxxxxxx";

    private static final int ESCAPE = 0x0f;
    private static final int EVEX = 0x62;
    private static final int POP_OR_XOP = 0x8f;
    private static final int VEX3 = 0xc4;
    private static final int VEX2 = 0xc5;

    private final byte[] code;
    private final int limit;
    private final boolean wide;
    private int at;
    private boolean shortOperands;
    private boolean otherAddresses;
    private boolean otherMeaning; // prefixes that VEX and its kin do not take
    private boolean insertPrefix;
    private int rex;

    private X86Instructions(byte[] code, int start, int limit, boolean wide) {
        this.code = code;
        this.limit = Math.min(limit, start + LONGEST);
        this.wide = wide;
        this.at = start;
    }

    /**
     * {@return how many bytes the instruction at {@code start} has, 1 … {@link #LONGEST}, or {@link
     * #NONE}} No byte at {@code limit} or behind is read.
     *
     * @param code where it lies
     * @param start index of its first byte
     * @param limit index behind the last byte that it may have, at most {@code code.length}
     * @param wide whether it is 64-bit code, not 32-bit
     */
    static int length(byte[] code, int start, int limit, boolean wide) {
        X86Instructions instruction = new X86Instructions(code, start, limit, wide);
        return instruction.decodes() ? instruction.at - start : NONE;
    }

    // ---- bytes ----

    /** The next byte, from 0 to 255, or a negative number behind the end. */
    private int next() {
        return at < limit ? code[at++] & 0xff : -1;
    }

    private int peek() {
        return at < limit ? code[at] & 0xff : -1;
    }

    private boolean skip(int count) {
        at += count;
        return at <= limit;
    }

    // ---- opcodes ----

    private boolean decodes() {
        int opcode = next();
        while (opcode >= 0 && isPrefix(opcode)) {
            opcode = next();
        }
        if (opcode < 0) {
            return false;
        }
        return switch (opcode) {
            case ESCAPE -> escaped();
            case VEX2 -> isVector() ? vex2() : oneByte(opcode);
            case VEX3 -> isVector() ? vex3() : oneByte(opcode);
            case EVEX -> isVector() ? evex() : oneByte(opcode);
            case POP_OR_XOP -> (peek() & 0x1f) >= 8 ? xop() : oneByte(opcode);
            default -> oneByte(opcode);
        };
    }

    /** Notes a prefix. REX counts only right before the opcode. */
    private boolean isPrefix(int opcode) {
        if (wide && (opcode & 0xf0) == 0x40) {
            rex = opcode;
            return true;
        }
        switch (opcode) {
            case 0x66 -> shortOperands = true;
            case 0x67 -> otherAddresses = true;
            case 0xf2 -> insertPrefix = true;
            case 0xf0, 0xf3 -> otherMeaning = true;
            case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 -> {}
            default -> {
                return false;
            }
        }
        rex = 0;
        return true;
    }

    private boolean oneByte(int opcode) {
        char form = (wide ? ONE_BYTE_64 : ONE_BYTE_32).charAt(opcode);
        int modRm = peek();
        int register = modRm >> 3 & 7;
        switch (opcode) {
            case 0xf6 -> form = register < 2 ? 'b' : 'M'; // TEST
            case 0xf7 -> form = register < 2 ? 'z' : 'M';
            case 0x8f -> form = register == 0 ? 'M' : 'x';
            case 0xc6, 0xc7 -> form = register == 0 || modRm == 0xf8 ? form : 'x'; // MOV, XBEGIN
            case 0xfe -> form = register < 2 ? 'M' : 'x';
            case 0xff -> form = register < 7 ? 'M' : 'x';
            default -> {}
        }
        return operands(form);
    }

    private boolean escaped() {
        int opcode = next();
        if (opcode < 0) {
            return false;
        }
        if (opcode == 0x38 || opcode == 0x3a) {
            int third = next();
            return third >= 0 && operands((opcode == 0x38 ? MAP_0F38 : MAP_0F3A).charAt(third));
        }
        return operands(MAP_0F.charAt(opcode));
    }

    // ---- VEX, EVEX, XOP ----

    /** In 32-bit code these are LES, LDS and BOUND where a memory operand follows. */
    private boolean isVector() {
        return wide || peek() >= 0xc0;
    }

    private boolean vex2() {
        return next() >= 0 && vector(VECTOR_0F);
    }

    private boolean vex3() {
        int map = next() & 0x1f;
        return next() >= 0
                && switch (map) {
                    case 1 -> vector(VECTOR_0F);
                    case 2 -> vector(VECTOR_0F38);
                    case 3 -> vector(VECTOR_0F3A);
                    default -> false;
                };
    }

    private boolean evex() {
        int map = next() & 0x0f;
        boolean fixedBit = (next() & 4) != 0;
        return next() >= 0
                && fixedBit
                && switch (map) {
                    case 1 -> vector(VECTOR_0F);
                    case 2 -> vector(VECTOR_0F38);
                    case 3 -> vector(VECTOR_0F3A);
                    case 5 -> vector(VECTOR_5);
                    case 6 -> vector(VECTOR_6);
                    default -> false;
                };
    }

    private boolean xop() {
        int map = next() & 0x1f;
        return next() >= 0
                && switch (map) {
                    case 8 -> vector(XOP_8);
                    case 9 -> vector(XOP_9);
                    case 10 -> tenthMap();
                    default -> false;
                };
    }

    /** BEXTR, and what manages profiling, with 4 bytes. */
    private boolean tenthMap() {
        int opcode = next();
        return !hasPrefix() && (opcode == 0x10 || opcode == 0x12) && modRm() && skip(4);
    }

    private boolean vector(String map) {
        int opcode = next();
        return opcode >= 0 && !hasPrefix() && operands(map.charAt(opcode));
    }

    private boolean hasPrefix() {
        return shortOperands || insertPrefix || otherMeaning || rex != 0;
    }

    // ---- operands ----

    private boolean operands(char form) {
        return switch (form) {
            case '.' -> true;
            case 'M' -> modRm();
            case 'R' -> next() >= 0;
            case 'b' -> modRm() && skip(1);
            case 'z' -> modRm() && skip(operandSize());
            case 'S' -> modRm() && (!shortOperands && !insertPrefix || skip(2));
            case 'B' -> skip(1);
            case 'W' -> skip(2);
            case 'E' -> skip(3);
            case 'Z' -> skip(operandSize());
            case 'J' -> skip(wide ? 4 : operandSize());
            case 'F' -> skip(operandSize() + 2);
            case 'V' -> skip(isWideOperand() ? 8 : operandSize());
            case 'O' -> skip(wide ? otherAddresses ? 4 : 8 : otherAddresses ? 2 : 4);
            default -> false;
        };
    }

    private boolean isWideOperand() {
        return (rex & 8) != 0;
    }

    private int operandSize() {
        return shortOperands && !isWideOperand() ? 2 : 4;
    }

    private boolean modRm() {
        int modRm = next();
        int mode = modRm >> 6;
        int base = modRm & 7;
        if (modRm < 0 || mode == 3) {
            return modRm >= 0;
        }
        if (otherAddresses && !wide) {
            return skip(mode == 1 ? 1 : mode == 2 || base == 6 ? 2 : 0);
        }
        if (base == 4) {
            int scaled = next();
            if (scaled < 0) {
                return false;
            }
            base = scaled & 7;
        }
        return skip(mode == 1 ? 1 : mode == 2 || base == 5 ? 4 : 0);
    }
}

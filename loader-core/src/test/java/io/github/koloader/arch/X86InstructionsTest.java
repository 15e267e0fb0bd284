package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Instructions as assemblers write them, each followed by others. */
final class X86InstructionsTest {
    private static int length(String hex, boolean wide) {
        byte[] code = HexFormat.of().parseHex(hex.replace(" ", "") + "cc".repeat(16));
        return X86Instructions.length(code, 0, code.length, wide);
    }

    @ParameterizedTest(name = "{1}")
    @CsvSource({
        "90, nop",
        "c3, ret",
        "cc, int3",
        "f4, hlt",
        "9b, fwait",
        "f1, int1",
        "6690, xchg %ax; %ax",
        "f390, pause",
        "f0 ff 03, lock incl (%rbx)",
        "f3 a4, rep movsb",
        "c2 0800, ret $8",
        "c8 1000 01, enter",
        "cd 80, int $0x80",
        "6a 01, push",
        "68 01020304, push",
        "66 68 0102, pushw",
        "75 fe, jne",
        "eb fe, jmp",
        "e8 00000000, call",
        "e9 00000000, jmp",
        "0f 84 00000000, je",
        "b0 01, 'mov $1,%al'",
        "b8 01020304, 'mov $1,%eax'",
        "66 b8 0102, 'mov $1,%ax'",
        "04 01, add al",
        "05 01020304, add eax",
        "66 05 0102, add ax",
        "31 c0, xor",
        "89 45 fc, mov disp8",
        "89 85 00010000, mov disp32",
        "89 05 00010000, mov absolute or rip",
        "89 04 24, 'mov %eax,(%esp)'",
        "89 44 24 08, mov sib disp8",
        "89 84 24 00010000, mov sib disp32",
        "89 04 85 00010000, mov index alone",
        "89 45 00, mov (%ebp)",
        "80 3d 00010000 01, cmpb",
        "81 c3 01020304, add imm32",
        "66 81 c3 0102, add imm16",
        "83 c3 01, add imm8",
        "69 c0 01020304, imul imm32",
        "6b c0 10, imul imm8",
        "c6 03 01, movb",
        "c7 03 01020304, movl",
        "66 c7 03 0102, movw",
        "c6 f8 01, xabort",
        "c7 f8 00000000, xbegin",
        "f6 c3 01, testb",
        "f6 d3, notb",
        "f7 c3 01020304, testl",
        "f7 d8, neg",
        "c1 e0 04, shl",
        "d3 e0, shl %cl",
        "d9 45 08, flds",
        "ff d0, call *",
        "ff 25 00000000, jmp *",
        "fe c0, inc",
        "8f 00, pop (%rax)",
        "0f 0b, ud2",
        "0f 05, syscall",
        "0f a2, cpuid",
        "0f 30, wrmsr",
        "0f c8, bswap",
        "0f 20 c0, mov cr0",
        "0f 22 18, mov cr3 with mode 0",
        "0f 1f 84 00 00000000, nopl",
        "66 0f 1f 44 00 00, nopw",
        "0f 01 ca, clac",
        "0f ae e8, lfence",
        "f3 0f 1e fa, endbr64",
        "f3 0f b8 c7, popcnt",
        "0f b9 ca, ud1",
        "0f ba e0 05, bt",
        "0f a4 d0 04, shld",
        "0f b6 c0, movzbl",
        "0f 44 c1, cmove",
        "0f 94 c0, sete",
        "0f c7 0f, cmpxchg8b",
        "0f 70 c1 1b, pshufw",
        "66 0f 73 f8 04, pslldq",
        "0f c6 c1 01, shufps",
        "0f 0f c1 9e, pfadd",
        "66 0f 78 c1 02 03, extrq",
        "f2 0f 78 c1 02 03, insertq",
        "0f 78 c1, vmread",
        "0f 38 00 c1, pshufb",
        "f2 0f 38 f1 c1, crc32",
        "66 0f 38 dc c1, aesenc",
        "66 0f 3a 0f c1 08, palignr",
        "66 0f 3a 44 c1 11, pclmulqdq",
        "66 0f 3a df c1 01, aeskeygenassist",
        "0f 3a cc c1 00, sha1rnds4",
        "f3 0f a7 c8, xcryptecb",
        "c5 f8 77, vzeroupper",
        "c5 f9 6f 07, vmovdqa",
        "c5 f9 70 c1 1b, vpshufd",
        "c4 e2 79 00 c1, vpshufb",
        "c4 e3 79 0f c1 08, vpalignr",
        "c4 e3 7b f0 c1 05, rorx",
        "c4 e2 f8 f2 c1, andn",
        "c5 fb 92 c0, kmovd",
        "62 f1 7d 48 6f 07, vmovdqa32",
        "62 f1 7d 48 6f 47 01, vmovdqa32 disp8",
        "62 f1 7d 48 6f 84 24 00010000, vmovdqa32 disp32",
        "62 f3 7d 48 25 c1 ff, vpternlogd",
        "62 f1 7d 48 72 f1 05, vpslld",
        "62 f5 7c 48 58 c1, vaddph",
        "62 f6 7d 48 98 c1, vfmadd132ph",
        "8f e8 78 c2 c1 05, vprotd",
        "8f e9 78 9b c1, vpshab",
        "8f ea 78 10 c1 01020304, bextr",
        "00 00, 'add %al,(%eax)'",
        "00 c0, 'add %al,%al'",
        "0f 00 c0, sldt",
        "0f 20 00, 'mov %cr0,%eax'",
        "c5 c0 58 c0, vaddps"
    })
    void instructionsThatBothModesHave(String hex, String name) {
        int expected = hex.replace(" ", "").length() / 2;
        assertThat(length(hex, true)).as("64-bit").isEqualTo(expected);
        assertThat(length(hex, false)).as("32-bit").isEqualTo(expected);
    }

    @ParameterizedTest(name = "{1}")
    @CsvSource({
        "48 89 e5, mov",
        "48 b8 0102030405060708, movabs",
        "66 48 b8 0102030405060708, movabs with a prefix that does not count",
        "48 c7 c0 01020304, mov imm32",
        "66 48 81 c3 01020304, add imm32",
        "48 66 b8 0102, REX that does not count",
        "41 90, 'xchg %r8,%rax'",
        "40 41 54, push %r12 with REX twice",
        "48 a1 0102030405060708, movabs",
        "a1 0102030405060708, movabs",
        "67 a1 01020304, mov addr32",
        "67 8b 04 24, mov addr32",
        "67 89 85 00010000, mov addr32 disp32",
        "63 c7, movslq",
        "66 e8 00000000, call",
        "65 48 8b 04 25 00000000, mov %gs:0",
        "2e e8 00000000, call with a prefix",
        "2e 2e 2e 31 c0, xor with prefixes",
        "f2 48 0f 38 f1 c1, crc32q",
        "f3 48 0f b8 c7, popcnt",
        "c4 e1 f9 6e c0, vmovq",
        "62 e1 fd 48 6f 07, vmovdqa64",
        "c5 00 58 c0, 'vaddps of %xmm8, %xmm15'",
        "c4 e1 00 58 c0, 'vaddps of %xmm15'",
        "62 f1 7c 00 58 c0, 'vaddps of %xmm16'",
        "8f e9 00 01 c8, blcfill"
    })
    void instructionsOf64BitCode(String hex, String name) {
        assertThat(length(hex, true)).isEqualTo(hex.replace(" ", "").length() / 2);
    }

    @ParameterizedTest(name = "{1}")
    @CsvSource({
        "06, push %es",
        "27, daa",
        "40, inc",
        "4f, dec",
        "60, pusha",
        "ce, into",
        "d4 0a, aam",
        "82 c0 01, add",
        "9a 00000000 0800, lcall",
        "66 9a 0000 0800, lcallw",
        "ea 00000000 0800, ljmp",
        "62 01, bound",
        "c4 01, les",
        "c5 44 24 08, lds",
        "c5 00, 'lds (%eax)'",
        "63 c7, arpl",
        "a1 01020304, mov",
        "67 a1 0102, mov addr16",
        "67 8b 04, 'mov (%si)'",
        "67 8b 06 0102, mov disp16 alone",
        "67 8b 46 01, 'mov 1(%bp)'",
        "67 8b 86 0102, 'mov 0x201(%bp)'",
        "66 e8 0000, callw",
        "66 0f 84 0000, jew"
    })
    void instructionsOf32BitCode(String hex, String name) {
        assertThat(length(hex, false)).isEqualTo(hex.replace(" ", "").length() / 2);
    }

    @ParameterizedTest
    @CsvSource({"06", "27", "60", "62 01", "82 c0 01", "9a 00000000 0800", "ce", "d4 0a", "ea"})
    void whatOnly32BitCodeHasDoesNotDecodeIn64BitCode(String hex) {
        assertThat(length(hex, true)).isEqualTo(X86Instructions.NONE);
    }

    @ParameterizedTest(name = "{1}")
    @CsvSource({
        "0f 04, unknown",
        "0f 24 c0, test registers",
        "0f 38 0c c0, only with VEX",
        "0f 3a 00 c0, only with VEX",
        "d6, unknown",
        "8f e0, 'neither POP nor XOP'",
        "c6 c8 01, only XABORT",
        "fe d0, group 4",
        "ff f8, group 5",
        "66 c5 f9 6f c0, a prefix before VEX",
        "f3 c4 e2 79 00 c1, a prefix before VEX",
        "f0 62 f1 7d 48 6f c0, LOCK before EVEX",
        "62 f1 79 48 6f c0, EVEX with a bit that is never 0",
        "62 f4 7d 48 6f c0, EVEX map 4",
        "c4 e4 79 00 c1, VEX map 4",
        "c5 f9 00 c0, unknown with VEX",
        "8f eb 78 10 c1, XOP map 11",
        "8f ea 78 11 c1 01020304, unknown with XOP"
    })
    void whatIsUnknownDoesNotDecode(String hex, String why) {
        assertThat(length(hex, true)).isEqualTo(X86Instructions.NONE);
        assertThat(length(hex, false)).isEqualTo(X86Instructions.NONE);
    }

    @Test
    void rexBeforeVexDoesNotDecode() {
        assertThat(length("48 c5 f9 6f c0", true)).isEqualTo(X86Instructions.NONE);
        assertThat(length("48 c5 f9 6f c0", false)).isEqualTo(1); // DEC
    }

    @Test
    void nothingIsLongerThan15Bytes() {
        assertThat(length("2e".repeat(14) + "90", true)).isEqualTo(15);
        assertThat(length("2e".repeat(15) + "90", true)).isEqualTo(X86Instructions.NONE);
        assertThat(length("2e".repeat(10) + "b8 01020304", true)).isEqualTo(15);
        assertThat(length("2e".repeat(11) + "b8 01020304", true)).isEqualTo(X86Instructions.NONE);
    }

    @Test
    void whereThereIsNothingNothingDecodes() {
        assertThat(X86Instructions.length(new byte[0], 0, 0, true)).isEqualTo(X86Instructions.NONE);
        assertThat(X86Instructions.length(new byte[4], 4, 4, true)).isEqualTo(X86Instructions.NONE);
    }

    /** Every opcode of every map, plain and behind what leads to maps, followed by chance. */
    @Test
    void aLengthDependsOnTheInstructionAlone() {
        Random random = new Random(1);
        String[] starts = {
            "",
            "66",
            "67",
            "f2",
            "f3",
            "48",
            "0f",
            "0f38",
            "0f3a",
            "660f",
            "c5f9",
            "c4e179",
            "c4e279",
            "c4e379",
            "62f17d48",
            "62f27d48",
            "62f37d48",
            "62f57d48",
            "62f67d48",
            "8fe878",
            "8fe978",
            "8fea78"
        };
        int decoded = 0;
        for (String start : starts) {
            byte[] lead = HexFormat.of().parseHex(start);
            for (int opcode = 0; opcode < 0x100; opcode++) {
                for (int i = 0; i < 40; i++) {
                    byte[] code = new byte[24];
                    random.nextBytes(code);
                    int at = 1 + random.nextInt(3);
                    System.arraycopy(lead, 0, code, at, lead.length);
                    code[at + lead.length] = (byte) opcode;
                    decoded += check(code, at, i % 2 == 0) ? 1 : 0;
                }
            }
        }
        assertThat(decoded).isGreaterThan(100_000);
    }

    private static boolean check(byte[] code, int at, boolean wide) {
        int length = X86Instructions.length(code, at, code.length, wide);
        if (length == X86Instructions.NONE) {
            return false;
        }
        String hex = HexFormat.of().formatHex(code, at, at + length);
        assertThat(length).isBetween(1, X86Instructions.LONGEST);
        byte[] alone = HexFormat.of().parseHex(hex);
        assertThat(X86Instructions.length(alone, 0, length, wide)).as(hex).isEqualTo(length);
        for (int limit = 0; limit < length; limit++) {
            assertThat(X86Instructions.length(alone, 0, limit, wide))
                    .as("%s, %d bytes", hex, limit)
                    .isEqualTo(X86Instructions.NONE);
        }
        return true;
    }
}

package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.AlternativeRecords.Alternative;
import io.github.koloader.internal.Words;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * Alternatives of x86: code that suits a processor with (or without) some feature takes the place
 * of other code, and runs of one-byte NOPs become long ones, with the feature or without. Of
 * replacements a lone call and a lone jump are adapted to their new place, nothing else is.
 *
 * <p>Features go by number, word times 32 plus bit, as the records have them: {@code X86_FEATURE_5}
 * of {@link KernelConfig#cpuCapability} is number 5. Their meaning differs from release to release.
 *
 * <p>Modelled from 5.13 to 6.2, where records have 12 bytes. In other releases, and while the
 * {@linkplain KernelConfig#cpuKnown processor is unknown}, code stays as it is in the file. What
 * else a kernel would patch for its processor (paravirtual calls, retpolines, returns, locks) stays
 * so in any case.
 *
 * @kernel arch/x86/kernel/alternative.c, apply_alternatives()
 */
final class X86Alternatives {
    /**
     * Words of features and bugs, times 32: of the last 6.1 releases. Earlier ones have fewer, and
     * stop at less.
     */
    private static final int FEATURES = (22 + 2) * 32;

    /** Bytes of the kernel's buffer. */
    private static final int MOST_BYTES = 254;

    private static final byte NOP = (byte) 0x90;
    private static final byte CALL = (byte) 0xe8;
    private static final byte JUMP = (byte) 0xe9;
    private static final byte SHORT_JUMP = (byte) 0xeb;
    private static final int BRANCH_SIZE = 5;
    private static final int SHORT_SIZE = 2;

    /** NOPs by length, from 1 to 8. */
    private static final List<byte[]> NOPS_64 =
            nops(
                    "90",
                    "6690",
                    "0f1f00",
                    "0f1f4000",
                    "0f1f440000",
                    "660f1f440000",
                    "0f1f8000000000",
                    "0f1f840000000000");

    private static final List<byte[]> NOPS_32 =
            nops(
                    "90",
                    "89f6",
                    "8d7600",
                    "8d742600",
                    "3e8d742600",
                    "8db600000000",
                    "8db42600000000",
                    "3e8db42600000000");

    private static List<byte[]> nops(String... hex) {
        return Arrays.stream(hex).map(HexFormat.of()::parseHex).toList();
    }

    private final AlternativeRecords records;
    private final KernelConfig config;
    private final boolean wide;

    private X86Alternatives(PlacedModule module, boolean wide) {
        int section = SectionPlan.lastNamed(module.image(), AlternativeRecords.SECTION);
        this.records = new AlternativeRecords(module, section, wide ? -1 : 0xffff_ffffL);
        this.config = module.config();
        this.wide = wide;
    }

    /** Applies the records of the last section with their name, of 64- or 32-bit code. */
    static void apply(PlacedModule module, boolean wide) {
        KernelConfig config = module.config();
        if (config.cpuKnown() && config.atLeast(5, 13) && !config.atLeast(6, 3)) {
            new X86Alternatives(module, wide).apply();
        }
    }

    private void apply() {
        for (int i = 0; i < records.count(); i++) {
            Alternative alternative = records.get(i);
            checkLimits(alternative);
            boolean present = config.cpuCapability("X86_FEATURE_" + alternative.capability());
            byte[] code =
                    present != alternative.flag()
                            ? replacement(alternative)
                            : records.read(
                                    alternative, alternative.original(), alternative.length());
            optimizeNops(code, alternative.length(), wide);
            records.write(alternative, alternative.original(), code);
        }
    }

    private void checkLimits(Alternative alternative) {
        if (alternative.length() > MOST_BYTES || alternative.replacementLength() > MOST_BYTES) {
            throw records.refuse(
                    alternative,
                    "%d bytes of code and %d of replacement, more than %d",
                    alternative.length(),
                    alternative.replacementLength(),
                    MOST_BYTES);
        }
        if (alternative.capability() >= FEATURES) {
            throw records.refuse(
                    alternative, "feature %d of %d", alternative.capability(), FEATURES);
        }
    }

    // ---- replacements ----

    /** What takes the place of the original: at least as many bytes. */
    private byte[] replacement(Alternative alternative) {
        int size = alternative.replacementLength();
        byte[] code = records.read(alternative, alternative.replacement(), size);
        if (size == BRANCH_SIZE) {
            moveBranch(alternative, code);
        }
        int used = code.length;
        code = Arrays.copyOf(code, Math.max(used, alternative.length()));
        Arrays.fill(code, used, code.length, NOP);
        return code;
    }

    /** Adapts a call or jump that takes all of the replacement. A near one becomes short. */
    private void moveBranch(Alternative alternative, byte[] code) {
        long distance = Words.readInt(code, 1, false);
        long target = alternative.replacement() + BRANCH_SIZE + distance;
        switch (code[0]) {
            case CALL -> setBranch(code, CALL, target - alternative.original() - BRANCH_SIZE);
            case JUMP, SHORT_JUMP -> {
                long forward = target - alternative.original();
                forward = wide ? forward : (int) forward;
                int near = (int) forward - SHORT_SIZE;
                if (forward >= 0 && near <= Byte.MAX_VALUE) {
                    code[0] = SHORT_JUMP;
                    code[1] = (byte) near;
                    byte[] rest = nops(wide).get(BRANCH_SIZE - SHORT_SIZE - 1);
                    System.arraycopy(rest, 0, code, SHORT_SIZE, rest.length);
                } else {
                    setBranch(code, JUMP, forward - BRANCH_SIZE);
                }
            }
            default -> {}
        }
    }

    private static void setBranch(byte[] code, byte opcode, long distance) {
        code[0] = opcode;
        Words.writeInt(code, 1, (int) distance, false);
    }

    // ---- NOPs ----

    private static List<byte[]> nops(boolean wide) {
        return wide ? NOPS_64 : NOPS_32;
    }

    /**
     * Makes long NOPs of the runs of one-byte NOPs in the first {@code length} bytes, as far as
     * there are instructions.
     */
    static void optimizeNops(byte[] code, int length, boolean wide) {
        for (int at = 0; at < length; ) {
            int size = X86Instructions.length(code, at, length, wide);
            if (size == X86Instructions.NONE) {
                return;
            }
            if (size == 1 && code[at] == NOP) {
                int run = runOfNops(code, at, length);
                addNops(code, at, run, wide);
                at += run;
            } else {
                at += size;
            }
        }
    }

    private static int runOfNops(byte[] code, int start, int limit) {
        int end = start;
        while (end < limit && code[end] == NOP) {
            end++;
        }
        return end - start;
    }

    /** The longest NOPs, then one of what is left. */
    private static void addNops(byte[] code, int start, int length, boolean wide) {
        List<byte[]> nops = nops(wide);
        for (int at = start; at < start + length; ) {
            byte[] nop = nops.get(Math.min(start + length - at, nops.size()) - 1);
            System.arraycopy(nop, 0, code, at, nop.length);
            at += nop.length;
        }
    }
}

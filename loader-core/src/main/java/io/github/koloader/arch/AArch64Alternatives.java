package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.AlternativeRecords.Alternative;
import io.github.koloader.memory.Address;

/**
 * Alternatives of 64-bit Arm: code that suits a processor with some capability takes the place of
 * other code. Instructions that lead somewhere relative to themselves are encoded anew, unless they
 * stay within the replacement; its end counts as within.
 *
 * <p>Capabilities go by number, as the records have them: {@code ARM64_CAP_5} of {@link
 * KernelConfig#cpuCapability} is number 5. Their meaning differs from release to release.
 *
 * <p>A record may name a function of the kernel that changes the code. Of these only {@code
 * alt_cb_patch_nops} is modelled, if {@link KernelConfig#kernelAddress} knows it. What another
 * function would change stays as it is.
 *
 * <p>Modelled since 6.1. Before, and while the {@linkplain KernelConfig#cpuKnown processor is
 * unknown}, code stays as it is in the file.
 *
 * @kernel arch/arm64/kernel/alternative.c, apply_alternatives_module()
 */
final class AArch64Alternatives {
    private static final String PATCH_NOPS = "alt_cb_patch_nops";
    private static final int NOP = 0xd503201f;
    private static final int WORD = 4;
    private static final long PAGE_MASK = -4096;

    private final AlternativeRecords records;
    private final KernelConfig config;

    private AArch64Alternatives(PlacedModule module) {
        int section = module.image().sectionIndex(AlternativeRecords.SECTION);
        this.records = new AlternativeRecords(module, section, -1);
        this.config = module.config();
    }

    /** Applies the records of the first section with their name. */
    static void apply(PlacedModule module) {
        KernelConfig config = module.config();
        if (config.cpuKnown() && config.atLeast(6, 1)) {
            new AArch64Alternatives(module).apply();
        }
    }

    private void apply() {
        for (int i = 0; i < records.count(); i++) {
            Alternative alternative = records.get(i);
            if (!config.cpuCapability("ARM64_CAP_" + alternative.capability())) {
                continue;
            }
            if (alternative.flag()) {
                call(alternative);
            } else {
                replace(alternative);
            }
        }
    }

    private void call(Alternative alternative) {
        if (alternative.replacementLength() != 0) {
            throw records.refuse(
                    alternative,
                    "a callback with a replacement of %d bytes",
                    alternative.replacementLength());
        }
        records.check(alternative, alternative.original(), alternative.length());
        Address callback = new Address(alternative.replacement());
        if (config.kernelAddress(PATCH_NOPS).filter(callback::equals).isPresent()) {
            for (int k = 0; k < alternative.length() / WORD; k++) {
                records.writeInt(alternative, alternative.original() + (long) k * WORD, NOP);
            }
        }
    }

    private void replace(Alternative alternative) {
        int length = alternative.length();
        if (alternative.replacementLength() != length) {
            throw records.refuse(
                    alternative,
                    "a replacement of %d bytes for %d",
                    alternative.replacementLength(),
                    length);
        }
        records.check(alternative, alternative.original(), length);
        records.check(alternative, alternative.replacement(), length);
        for (int k = 0; k < length / WORD; k++) {
            long o = alternative.original() + (long) k * WORD;
            long r = alternative.replacement() + (long) k * WORD;
            int word = records.readInt(alternative, r);
            records.writeInt(alternative, o, moved(alternative, word, r, o));
        }
    }

    // ---- instructions ----

    /** An instruction of the replacement, from {@code r} to {@code o}. */
    private int moved(Alternative alternative, int word, long r, long o) {
        if (is(word, 0x7c000000, 0x14000000)) { // B, BL
            return branch(alternative, word, r, o, 0, 26);
        }
        if (is(word, 0xff000010, 0x54000000) // B.cond
                || is(word, 0x7e000000, 0x34000000)) { // CBZ, CBNZ
            return branch(alternative, word, r, o, 5, 19);
        }
        if (is(word, 0x7e000000, 0x36000000)) { // TBZ, TBNZ
            return branch(alternative, word, r, o, 5, 14);
        }
        if (is(word, 0x9f000000, 0x90000000)) {
            return adrp(word, r, o);
        }
        if (is(word, 0x9f000000, 0x10000000) // ADR
                || is(word, 0xbf000000, 0x18000000) // LDR
                || is(word, 0xff000000, 0x98000000) // LDRSW
                || is(word, 0xff000000, 0xd8000000)) { // PRFM
            throw records.refuse(alternative, "instruction 0x%08x reads a literal", word);
        }
        return word;
    }

    private static boolean is(int word, int mask, int bits) {
        return (word & mask) == bits;
    }

    /** A branch whose distance in words lies in {@code width} bits from {@code shift} on. */
    private static int branch(
            Alternative alternative, int word, long r, long o, int shift, int width) {
        long distance = (long) (word << 32 - shift - width >> 32 - width) * WORD;
        long target = r + distance;
        long within = target - alternative.replacement();
        if (within >= 0 && within <= alternative.replacementLength()) {
            return word;
        }
        int mask = (1 << width) - 1 << shift;
        return word & ~mask | (int) (target - o >> 2) << shift & mask;
    }

    private static int adrp(int word, long r, long o) {
        long pages = (long) (word << 8 >> 13) << 2 | word >>> 29 & 3;
        long target = (r & PAGE_MASK) + (pages << 12);
        int moved = (int) (target - (o & PAGE_MASK) >> 12);
        return word & 0x9f00001f | (moved & 3) << 29 | (moved >> 2 & 0x7ffff) << 5;
    }
}

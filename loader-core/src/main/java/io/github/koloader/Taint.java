package io.github.koloader;

import java.util.Set;

/**
 * Why a kernel or a module is tainted; declaration order is that of the bits.
 *
 * @kernel kernel/panic.c, taint_flags
 */
public enum Taint {
    /** Proprietary module. */
    PROPRIETARY_MODULE('P', true),
    /** Forced load. */
    FORCED_MODULE('F', true),
    /** CPU out of specification. */
    CPU_OUT_OF_SPEC('S', false),
    /** Forced unload. */
    FORCED_RMMOD('R', false),
    /** Machine check. */
    MACHINE_CHECK('M', false),
    /** Bad page. */
    BAD_PAGE('B', false),
    /** User's request. */
    USER('U', false),
    /** The kernel has died before. */
    DIE('D', false),
    /** ACPI table overridden. */
    OVERRIDDEN_ACPI_TABLE('A', false),
    /** A warning happened. */
    WARN('W', false),
    /** Staging module. */
    CRAP('C', true),
    /** Firmware workaround. */
    FIRMWARE_WORKAROUND('I', false),
    /** Module from outside the kernel's tree. */
    OOT_MODULE('O', true),
    /** Module without a valid signature. */
    UNSIGNED_MODULE('E', true),
    /** Soft lockup. */
    SOFTLOCKUP('L', false),
    /** Livepatch. */
    LIVEPATCH('K', true),
    /** Auxiliary, for distributions. */
    AUX('X', true),
    /** Randomised structures. */
    RANDSTRUCT('T', true),
    /** Test module. */
    TEST('N', true);

    private final char letter;
    private final boolean ofModule;

    Taint(char letter, boolean ofModule) {
        this.letter = letter;
        this.ofModule = ofModule;
    }

    /** {@return the letter shown in {@code /proc/modules} and in an oops} */
    public char letter() {
        return letter;
    }

    /** {@return whether modules carry it as well} */
    public boolean ofModule() {
        return ofModule;
    }

    /** {@return its bit} */
    public long bit() {
        return 1L << ordinal();
    }

    /**
     * {@return the bits of a set: what {@code /proc/sys/kernel/tainted} shows}
     *
     * @param taints the taints, possibly none
     */
    public static long mask(Set<Taint> taints) {
        long mask = 0;
        for (Taint taint : taints) {
            mask |= taint.bit();
        }
        return mask;
    }
}

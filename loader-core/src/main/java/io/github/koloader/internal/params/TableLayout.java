package io.github.koloader.internal.params;

import io.github.koloader.KernelConfig;

/**
 * Where the fields of {@code struct kernel_param} are, by version and word size; the name comes
 * first.
 *
 * @param operations offset of the pointer to the operations
 * @param permissions offset of the 16 bits of the file's mode
 * @param flags offset of the flags, or −1; the level lies before them in 8 bits, else it has 16
 * @param argument offset of the pointer to the variable
 * @param entrySize bytes of the structure
 * @param operationsHaveFlags whether {@code struct kernel_param_ops} begins with flags
 * @kernel include/linux/moduleparam.h, struct kernel_param
 */
record TableLayout(
        int operations,
        int permissions,
        int flags,
        int argument,
        int entrySize,
        boolean operationsHaveFlags) {
    static TableLayout of(KernelConfig config, int wordSize) {
        int operations = config.atLeast(4, 2) ? 2 * wordSize : wordSize; // mod lies before it
        int permissions = operations + wordSize;
        int argument = permissions + (wordSize == 8 ? 8 : 4);
        return new TableLayout(
                operations,
                permissions,
                config.atLeast(3, 17) ? permissions + 3 : -1,
                argument,
                argument + wordSize,
                config.atLeast(3, 11));
    }
}

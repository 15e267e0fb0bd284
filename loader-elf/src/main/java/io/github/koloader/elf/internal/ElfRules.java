package io.github.koloader.elf.internal;

import io.github.koloader.KernelConfig;
import java.util.OptionalLong;

/**
 * Which checks a kernel makes of a file, and in what order.
 *
 * @param named whether each check has a message of its own; before 5.18 most are silent, and names,
 *     links and section 0 are not looked at
 * @param unique whether there may be only one symbol table, one {@code .modinfo} and one {@code
 *     struct module}: since 6.4
 * @param regrouped whether all places are checked before any name, and all names: since 6.12
 * @param strings whether strings of symbols are checked: since 6.13
 * @param extendedVersions whether long names with CRCs are known: since 6.14
 * @param structModuleSize bytes of {@code struct module}, if they are known
 */
public record ElfRules(
        boolean named,
        boolean unique,
        boolean regrouped,
        boolean strings,
        boolean extendedVersions,
        OptionalLong structModuleSize) {
    /** Those of Linux 6.1. */
    public static final ElfRules LINUX_6_1 =
            new ElfRules(true, false, false, false, false, OptionalLong.empty());

    /** Those of that kernel. */
    public static ElfRules of(KernelConfig config) {
        return new ElfRules(
                config.atLeast(5, 18),
                config.atLeast(6, 4),
                config.atLeast(6, 12),
                config.atLeast(6, 13),
                config.atLeast(6, 14),
                config.structModuleSize());
    }

    /** The same without a look at the CRCs: {@code MODULE_INIT_IGNORE_MODVERSIONS}. */
    public ElfRules ignoringVersions() {
        return new ElfRules(named, unique, regrouped, strings, false, structModuleSize);
    }
}

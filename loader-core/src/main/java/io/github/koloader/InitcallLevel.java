package io.github.koloader;

/**
 * Levels of built-in initcalls; declaration order is running order. In a loadable module every
 * level macro is {@code module_init}, so a load ignores them.
 *
 * @kernel include/linux/init.h, ___define_initcall(); include/asm-generic/vmlinux.lds.h, INIT_CALLS
 */
public enum InitcallLevel {
    /** Before the other processors are started. */
    EARLY("early"),
    /** Level 0: no dependencies. */
    PURE("0"),
    /** Level 1. */
    CORE("1"),
    /** Level 1, sync. */
    CORE_SYNC("1s"),
    /** Level 2. */
    POSTCORE("2"),
    /** Level 2, sync. */
    POSTCORE_SYNC("2s"),
    /** Level 3. */
    ARCH("3"),
    /** Level 3, sync. */
    ARCH_SYNC("3s"),
    /** Level 4. */
    SUBSYS("4"),
    /** Level 4, sync. */
    SUBSYS_SYNC("4s"),
    /** Level 5. */
    FS("5"),
    /** Level 5, sync. */
    FS_SYNC("5s"),
    /** Part of level 5, behind the others. */
    ROOTFS("rootfs"),
    /** Level 6: what {@code module_init} of built-in code is. */
    DEVICE("6"),
    /** Level 6, sync. */
    DEVICE_SYNC("6s"),
    /** Level 7. */
    LATE("7"),
    /** Level 7, sync. */
    LATE_SYNC("7s");

    private final String id;

    InitcallLevel(String id) {
        this.id = id;
    }

    /** {@return the id in section and symbol names, such as {@code 6s}} */
    public String id() {
        return id;
    }

    /** {@return section of its entries, such as {@code .initcall6.init}} */
    public String sectionName() {
        return ".initcall" + id + ".init";
    }
}

package io.github.koloader.memory;

/**
 * What a part of a module's memory is for, in the kernel's order.
 *
 * @kernel include/linux/module.h, enum mod_mem_type
 */
public enum MemoryType {
    /** Code. */
    TEXT("MOD_TEXT", Rights.READ_EXECUTE, false),
    /** Writable data. */
    DATA("MOD_DATA", Rights.READ_WRITE, false),
    /** Read-only data. */
    RODATA("MOD_RODATA", Rights.READ_ONLY, false),
    /** Data that is writable until init has run. */
    RO_AFTER_INIT("MOD_RO_AFTER_INIT", Rights.READ_WRITE, false),
    /** Code that is dropped once init has run. */
    INIT_TEXT("MOD_INIT_TEXT", Rights.READ_EXECUTE, true),
    /** Writable data that is dropped once init has run. */
    INIT_DATA("MOD_INIT_DATA", Rights.READ_WRITE, true),
    /** Read-only data that is dropped once init has run. */
    INIT_RODATA("MOD_INIT_RODATA", Rights.READ_ONLY, true);

    private final String kernelName;
    private final Rights rights;
    private final boolean init;

    MemoryType(String kernelName, Rights rights, boolean init) {
        this.kernelName = kernelName;
        this.rights = rights;
        this.init = init;
    }

    /** {@return the kernel's name of it, such as {@code MOD_TEXT}} */
    public String kernelName() {
        return kernelName;
    }

    /** {@return rights from complete formation until init has run} */
    public Rights rights() {
        return rights;
    }

    /** {@return whether it is dropped once init has run} */
    public boolean isInit() {
        return init;
    }
}

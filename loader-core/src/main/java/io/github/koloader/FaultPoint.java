package io.github.koloader;

/**
 * Where a load or an unload can be made to fail: every allocation, every step and every call of the
 * executor. Declared in the order in which a load passes them; a point that a module gives no
 * reason to pass is not asked, such as the one for per-CPU memory of a module without per-CPU data.
 *
 * @see FaultInjection
 * @kernel kernel/module/main.c, load_module(), do_init_module(), delete_module()
 */
public enum FaultPoint {
    /** Memory for the kernel's copy of the file; on Linux ENOMEM. */
    IMAGE_MEMORY,
    /** The signature is looked at. */
    SIGNATURE,
    /** The file's sections are looked up: symbol table, {@code struct module}, modinfo. */
    SECTION_INDEX,
    /** The name is looked for in {@code module_blacklist=}; on Linux EPERM. */
    BLACKLIST,
    /** The CRC of {@code module_layout} is compared. */
    STRUCT_VERSION,
    /** Vermagic is compared, and modinfo read for taints. */
    MODINFO,
    /** The architecture looks at the sections, and sizes PLT and GOT. */
    ARCH_SECTIONS,
    /** Sections that can be written and executed are looked for. */
    SECTION_RIGHTS,
    /** Memory for a block that stays; on Linux ENOMEM. Up to 6.3 once, since 6.4 for each type. */
    CORE_MEMORY,
    /** Memory for a block that goes when init has run; on Linux ENOMEM. */
    INIT_MEMORY,
    /** The module enters the list, unformed. */
    ADMISSION,
    /** Per-CPU memory; on Linux ENOMEM, with a line. */
    PER_CPU_MEMORY,
    /** The sections that the loader knows by name are looked up. */
    SPECIAL_SECTIONS,
    /** Whether exports have CRCs is looked at. */
    EXPORT_VERSIONS,
    /** Symbols are resolved. */
    SYMBOLS,
    /** One section of relocations is applied; asked before each. */
    RELOCATIONS,
    /** The exception table is sorted, per-CPU data copied, kallsyms added. */
    POST_RELOCATION,
    /** The architecture has its last look at the module. */
    ARCH_FINALIZE,
    /** Memory for a copy of the parameters' text; on Linux ENOMEM. */
    ARGUMENT_MEMORY,
    /** The module is formed: exports verified, rights set. */
    FORMATION,
    /** Others are told that the module is coming, and may refuse it. */
    PREPARE_COMING,
    /** Parameters are parsed. */
    PARAMETERS,
    /** Memory for a copy of a parameter's text ({@code charp}); on Linux ENOMEM. */
    PARAMETER_MEMORY,
    /** A parameter's own setter is called; a parameter then fails as its setter would. */
    SET_PARAMETER,
    /** The module's directory in sysfs is set up. */
    SYSFS,
    /** A livepatch module's headers are copied; on Linux ENOMEM. */
    LIVEPATCH_MEMORY,
    /** Memory for the record by which init memory is freed; on Linux ENOMEM. */
    INIT_RECORD,
    /** Init is called; it does not run, and the load fails as if it had answered the error. */
    INIT,
    /** A parameter's own getter is called; it does not run. */
    GET_PARAMETER,
    /**
     * A parameter's own free function is called; it does not run. As in C it answers nothing, so
     * that nothing else changes.
     */
    FREE_PARAMETER,
    /** An unload begins, by waiting for the lock; on Linux EINTR. */
    UNLOAD,
    /**
     * Exit is about to be called, all checks passed: the unload fails and the module stays live. On
     * Linux nothing can fail here, as exit answers nothing.
     */
    EXIT
}

package io.github.koloader;

import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Levels of built-in initcalls; declaration order is running order. In a loadable module every
 * level macro is {@code module_init}, so a load ignores them.
 *
 * @kernel include/linux/init.h, ___define_initcall(); include/asm-generic/vmlinux.lds.h, INIT_CALLS
 */
public enum InitcallLevel {
    /** Consoles: long before the others, and directly, without the checks that those get. */
    CONSOLE("con"),
    /** Security frameworks, up to 4.20. */
    SECURITY("security"),
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

    private static final String[] PASSES = {
        "pure", "core", "postcore", "arch", "subsys", "fs", "device", "late"
    };

    private final String id;

    InitcallLevel(String id) {
        this.id = id;
    }

    /**
     * {@return the id in section and symbol names, such as {@code 6s}; of consoles {@code con}, and
     * of {@link #SECURITY}, whose names have none, {@code security}}
     */
    public String id() {
        return id;
    }

    /** {@return section of its entries, such as {@code .initcall6.init}} */
    public String sectionName() {
        return switch (this) {
            case CONSOLE -> ".con_initcall.init";
            case SECURITY -> ".security_initcall.init";
            default -> ".initcall" + id + ".init";
        };
    }

    /**
     * {@return the macro that registers a function for it, such as {@code device_initcall_sync}; of
     * {@link #DEVICE} this is {@code device_initcall}, which {@code module_init} of built-in code
     * stands for}
     */
    public String macroName() {
        return name().toLowerCase(Locale.ROOT).replace("_sync", "")
                + "_initcall"
                + (isSync() ? "_sync" : "");
    }

    /** {@return whether it is run behind the plain entries of its level} */
    public boolean isSync() {
        return name().endsWith("_SYNC");
    }

    /**
     * {@return what it is without its form: {@link #FS} for {@link #ROOTFS}, the plain one of a
     * sync one}
     */
    public InitcallLevel plain() {
        if (this == ROOTFS) {
            return FS;
        }
        return isSync() ? valueOf(name().replace("_SYNC", "")) : this;
    }

    /**
     * {@return the number of the level that runs it, 0 … 7, {@link #ROOTFS} with level 5; empty for
     * those that are run by themselves: consoles, security frameworks, early ones}
     */
    public OptionalInt number() {
        return switch (this) {
            case CONSOLE, SECURITY, EARLY -> OptionalInt.empty();
            case ROOTFS -> OptionalInt.of(5);
            default -> OptionalInt.of(id.charAt(0) - '0');
        };
    }

    /**
     * {@return what messages call the pass that runs it, such as {@code postcore}; {@code console},
     * {@code security} and {@code early} for those that are run by themselves}
     */
    public String passName() {
        return number().isPresent()
                ? passName(number().getAsInt())
                : name().toLowerCase(Locale.ROOT);
    }

    /**
     * {@return what messages call a level, such as {@code postcore}}
     *
     * @param number its number, 0 … 7
     * @throws IndexOutOfBoundsException if there is no such level
     */
    public static String passName(int number) {
        return PASSES[Objects.checkIndex(number, PASSES.length)];
    }

    /**
     * {@return the level whose entries a section holds}
     *
     * @param section its name; what Clang's link-time optimisation makes of it, {@code
     *     .initcall6.init..kmod_…}, counts as well
     */
    public static Optional<InitcallLevel> ofSection(String section) {
        int linkTime = section.indexOf(".init..");
        String plain = linkTime < 0 ? section : section.substring(0, linkTime + ".init".length());
        for (InitcallLevel level : values()) {
            if (level.sectionName().equals(plain)) {
                return Optional.of(level);
            }
        }
        return Optional.empty();
    }

    /**
     * {@return the level that a macro registers built-in code for}
     *
     * @param macro its name; {@code module_init} and {@code __initcall} are {@code device_initcall}
     */
    public static Optional<InitcallLevel> ofMacro(String macro) {
        if (macro.equals("module_init") || macro.equals("__initcall")) {
            return Optional.of(DEVICE);
        }
        for (InitcallLevel level : values()) {
            if (level.macroName().equals(macro)) {
                return Optional.of(level);
            }
        }
        return Optional.empty();
    }

    /**
     * {@return the level of an id}
     *
     * @param id such as {@code 6s}, as in names of sections and symbols
     */
    public static Optional<InitcallLevel> ofId(String id) {
        for (InitcallLevel level : values()) {
            if (level.id.equals(id)) {
                return Optional.of(level);
            }
        }
        return Optional.empty();
    }
}

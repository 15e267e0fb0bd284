package io.github.koloader.internal;

import static io.github.koloader.LogLevel.DEBUG;
import static io.github.koloader.LogLevel.EMERG;
import static io.github.koloader.LogLevel.ERR;
import static io.github.koloader.LogLevel.INFO;
import static io.github.koloader.LogLevel.NOTICE;
import static io.github.koloader.LogLevel.WARNING;

import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The lines that a load may log without, by that alone, failing; {@link Failures} has the others.
 * Texts are the kernel's.
 */
public final class Warnings {
    private Warnings() {}

    private static LogLine line(LogLevel level, String format, Object... arguments) {
        return new LogLine(level, String.format(Locale.ROOT, format, arguments));
    }

    // ---- boot ----

    /** The line with the version. */
    public static LogLine banner(String line) {
        return line(NOTICE, "%s", line);
    }

    /** The words that a kernel is given. */
    public static LogLine commandLine(String words) {
        return line(NOTICE, "Kernel command line: %s", words);
    }

    /** The handler of an early option has failed. */
    public static LogLine malformedEarlyOption(String name) {
        return line(WARNING, "Malformed early option '%s'", name);
    }

    /** Words that only init can make something of. */
    public static LogLine unknownForInit(String words) {
        return line(
                NOTICE,
                "Unknown kernel command line parameters \"%s\", will be passed to user space.",
                words);
    }

    /** Why a kernel with too many words for init panics. */
    public static String tooManyForInit(String what, String word) {
        return "Too many boot " + what + " vars at `" + word + "'";
    }

    /** The end. */
    public static LogLine panic(String reason) {
        return line(EMERG, "Kernel panic - not syncing: %s", reason);
    }

    /** {@code initcall_blacklist=} without names of functions to compare. */
    public static LogLine blacklistNeedsKallsyms() {
        return line(WARNING, "initcall_blacklist requires CONFIG_KALLSYMS");
    }

    /** {@code initcall_debug}, before a call; {@code place} is the function. */
    public static LogLine callingInitcall(String place, int pid) {
        return line(DEBUG, "calling  %s @ %d", place, pid);
    }

    /** {@code initcall_debug}, after a call. */
    public static LogLine initcallReturned(String place, int returned, long micros) {
        return line(DEBUG, "initcall %s returned %d after %d usecs", place, returned, micros);
    }

    /** A function that leaves the processor changed; Linux adds a dump of registers and stack. */
    public static List<LogLine> initcallImbalance(String place, String what) {
        return List.of(
                line(WARNING, "------------[ cut here ]------------"),
                line(WARNING, "initcall %s returned with %s", place, what));
    }

    /** Init memory is gone; {@code size} is as each version writes it. */
    public static LogLine initMemoryFreed(String size) {
        return line(INFO, "Freeing unused kernel memory: %s", size);
    }

    /** Data for a host that encrypts its guests, on one that does not, is gone. */
    public static LogLine decryptedMemoryFreed(long kib) {
        return line(INFO, "Freeing unused decrypted memory: %dK", kib);
    }

    /** A piece of the kernel's image is gone. */
    public static LogLine imageMemoryFreed(String what, long kib) {
        return line(INFO, "Freeing unused kernel image%s memory: %dK", what, kib);
    }

    /** Constants are constants from now on. */
    public static LogLine writeProtecting(String what, long kib) {
        return line(INFO, "Write protecting %s: %dk", what, kib);
    }

    /** Nothing is protected. */
    public static LogLine noMemoryProtection() {
        return line(INFO, "Kernel memory protection disabled.");
    }

    // ---- modules ----

    /** A symbol that cannot be resolved; {@code error} is negative, or 0 in old kernels. */
    public static LogLine unknownSymbol(String module, String symbol, int error) {
        return line(WARNING, "%s: Unknown symbol %s (err %d)", module, symbol, error);
    }

    /** A COMMON symbol. */
    public static LogLine common(String module) {
        return line(WARNING, "%s: please compile with -fno-common", module);
    }

    /** A symbol in a section that is not there. */
    public static LogLine badSectionIndex(String module, String symbol, int section, int last) {
        return line(
                ERR,
                "%s: Symbol %s has an invalid section index %d (max %d)",
                module,
                symbol,
                section,
                last);
    }

    /** A module that uses GPL-only symbols and one of a proprietary module. */
    public static LogLine gplUsesProprietary(String module, String symbol, String owner) {
        return line(
                ERR,
                "%s: module using GPL-only symbols uses symbols %s from proprietary module %s.",
                module,
                symbol,
                owner);
    }

    /** A symbol of a proprietary module. */
    public static LogLine inheritsTaint(String module, String symbol, String owner) {
        return line(
                WARNING,
                "%s: module uses symbols %s from proprietary module %s, inheriting taint.",
                module,
                symbol,
                owner);
    }

    /** Up to 5.11: a symbol that only GPL-compatible modules will see. */
    public static LogLine gplOnlySoon(String symbol) {
        return line(
                WARNING,
                "Symbol %s is being used by a non-GPL module, which will not be allowed in the future",
                symbol);
    }

    /** The owner of a symbol is still in its init. */
    public static LogLine initAwaited(String module, String owner) {
        return line(WARNING, "%s: gave up waiting for init of module %s.", module, owner);
    }

    /** Kernel's debug line: a line of arguments follows. */
    public static LogLine parsingArguments(String who, String arguments) {
        return line(DEBUG, "doing %s, parsing ARGS: '%s'", who, arguments);
    }

    /** Kernel's debug line: a word names no parameter. */
    public static LogLine unknownDebug(String who, String name, @Nullable String value) {
        return line(DEBUG, "doing %s: %s='%s'", who, name, value == null ? "(null)" : value);
    }

    /** A word that names no parameter, where that is an error. */
    public static LogLine unknownParameter(String who, String name) {
        return line(ERR, "%s: Unknown parameter `%s'", who, name);
    }

    /** A value that is too large. */
    public static LogLine parameterTooLarge(String who, String value, String name) {
        return line(ERR, "%s: `%s' too large for parameter `%s'", who, value, name);
    }

    /** A value that its setter does not take. */
    public static LogLine parameterInvalid(String who, String value, String name) {
        return line(ERR, "%s: `%s' invalid for parameter `%s'", who, value, name);
    }

    /** A word that names no parameter of a module. */
    public static LogLine parameterIgnored(String module, String name) {
        return line(WARNING, "%s: unknown parameter '%s' ignored", module, name);
    }

    /** What follows {@code --}. */
    public static LogLine parametersAfterDashes(String module, String rest) {
        return line(WARNING, "%s: parameters '%s' after `--' ignored", module, rest);
    }

    /** A text that is too long to be copied. */
    public static LogLine parameterTooLong(String name) {
        return line(ERR, "%s: string parameter too long", name);
    }

    /** A text that is too long for its array of characters. */
    public static LogLine parameterDoesNotFit(String name, int length) {
        return line(
                ERR, "%s: string doesn't fit in %s chars.", name, Integer.toUnsignedString(length));
    }

    /** More elements than an array has. */
    public static LogLine tooManyElements(String name, int max) {
        return line(ERR, "%s: can only take %d arguments", name, max);
    }

    /** A parameter that its author marked as unsafe. */
    public static LogLine dangerousOption(String name) {
        return line(NOTICE, "Setting dangerous option %s - tainting kernel", name);
    }

    /** Ours: freeing what parameters took was cut short, where Linux would oops. */
    public static LogLine parametersNotFreed(String module, String why) {
        return line(ERR, "%s: parameters are not freed: %s", module, why);
    }

    /** {@code dyndbg} without dynamic debug. */
    public static LogLine noDynamicDebug() {
        return line(WARNING, "dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds");
    }

    /** A change of flags without an operator. */
    public static LogLine debugOperator(char operator, String change) {
        return line(ERR, "dyndbg: bad flag-op %s, at start of %s", operator, change);
    }

    /** A change of flags that is none. */
    public static LogLine debugFlagsFailed() {
        return line(ERR, "dyndbg: flags parse failed");
    }

    /** Ours: what else is wrong with a query. */
    public static LogLine dynamicDebug(String what, String where) {
        return line(ERR, "dyndbg: %s in `%s'", what, where);
    }

    /** Another CRC. */
    public static LogLine otherVersion(String module, String symbol) {
        return line(WARNING, "%s: disagrees about version of symbol %s", module, symbol);
    }

    /** No CRC. */
    public static LogLine noVersion(String module, String symbol) {
        return line(WARNING, "%s: no symbol version for %s", module, symbol);
    }

    /** The first module without a valid signature. */
    public static LogLine unsigned(String module) {
        return line(
                NOTICE,
                "%s: module verification failed: signature and/or required key missing - tainting kernel",
                module);
    }

    /** The first module that is proprietary by its name. */
    public static LogLine licenseTaints(String module) {
        return line(WARNING, "%s: module license taints kernel.", module);
    }

    /** Per-CPU data that wants to be aligned to more than a page. */
    public static LogLine perCpuAlignment(String module, long alignment, long pageSize) {
        return line(WARNING, "%s: per-cpu alignment %d > %d", module, alignment, pageSize);
    }

    /** A file that sysfs has already; Linux adds a dump of the stack. */
    public static LogLine duplicateFile(String path) {
        return line(WARNING, "sysfs: cannot create duplicate filename '%s'", path);
    }

    /** A section {@code __obsparm}. */
    public static LogLine obsoleteParameters(String module) {
        return line(WARNING, "%s: Ignoring obsolete parameters", module);
    }

    /** The first module from outside the kernel's source. */
    public static LogLine outOfTree(String module) {
        return line(WARNING, "%s: loading out-of-tree module taints kernel.", module);
    }

    /** The first module without retpolines, first line. */
    public static LogLine spectre() {
        return line(ERR, "Spectre V2 : System may be vulnerable to spectre v2");
    }

    /** The first module without retpolines, second line. */
    public static LogLine noRetpoline(String module) {
        return line(WARNING, "%s: loading module not compiled with retpoline compiler.", module);
    }

    /** A staging driver. */
    public static LogLine staging(String module) {
        return line(
                WARNING,
                "%s: module is from the staging directory, the quality is unknown, you have been warned.",
                module);
    }

    /** The first livepatch module. */
    public static LogLine livepatch(String module) {
        return line(NOTICE, "%s: tainting kernel with TAINT_LIVEPATCH", module);
    }

    /** The first module with a licence that is not compatible with the GPL. */
    public static LogLine license(String module, String license) {
        return line(WARNING, "%s: module license '%s' taints kernel.", module, license);
    }

    /** The first test module. */
    public static LogLine test(String module) {
        return line(WARNING, "%s: loading test module taints kernel.", module);
    }

    /** The first taint after which lock debugging cannot be relied on. */
    public static LogLine lockDebuggingOff() {
        return line(WARNING, "Disabling lock debugging due to kernel taint");
    }

    /** The first forced load; {@code reason} is what the module lacks. */
    public static LogLine forced(String module, String reason) {
        return line(WARNING, "%s: %s: kernel tainted.", module, reason);
    }

    /** Init answered a positive number: one record of two lines. */
    public static LogLine suspiciousInit(String module, int result) {
        return line(
                WARNING,
                "do_init_module: '%s'->init suspiciously returned %d, it should follow 0/-E convention\n"
                        + "do_init_module: loading module anyway...",
                module,
                result);
    }

    /** A symbol of a namespace that the module does not import; an error, or allowed. */
    public static LogLine namespaceNotImported(
            boolean allowed, String module, String symbol, String namespace) {
        return line(
                allowed ? WARNING : ERR,
                "%s: module uses symbol (%s) from namespace %s, but does not import it.",
                module,
                symbol,
                namespace);
    }
}

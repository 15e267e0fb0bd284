package io.github.koloader.internal;

import static io.github.koloader.LogLevel.ERR;
import static io.github.koloader.LogLevel.NOTICE;
import static io.github.koloader.LogLevel.WARNING;

import io.github.koloader.Errno;
import io.github.koloader.FaultPoint;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.RelocationFailure;
import io.github.koloader.image.Modinfo;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Rights;
import java.util.List;
import java.util.Locale;

/**
 * Every way a load or an unload can fail in this module: errno and what the kernel logs. Texts are
 * the kernel's, unless the comment says otherwise.
 */
public final class Failures {
    private Failures() {}

    private static LoadException failure(
            Errno errno, LogLevel level, String format, Object... arguments) {
        return new LoadException(
                errno, new LogLine(level, String.format(Locale.ROOT, format, arguments)));
    }

    /** A test has made a step fail. */
    public static LoadException injected(FaultPoint point, String name, Errno errno) {
        return LoadException.silent(errno, "a fault was injected into " + name + " at " + point)
                .diagnosed(Diagnoses.injected(point, name));
    }

    /** The parameters are a bad pointer. */
    public static LoadException unreadableParameters() {
        return LoadException.silent(Errno.EFAULT, "the parameters are a bad pointer")
                .diagnosed(Diagnoses.unreadableParameters());
    }

    /** The file is for another machine. */
    public static LoadException wrongArchitecture(int machine, Architecture architecture) {
        return failure(Errno.ENOEXEC, ERR, "Invalid architecture in ELF header: %d", machine)
                .diagnosed(Diagnoses.wrongArchitecture(machine, architecture));
    }

    /** No symbol table. */
    public static LoadException noSymbols(String name) {
        return failure(Errno.ENOEXEC, WARNING, "%s: module has no symbols (stripped?)", name)
                .diagnosed(Diagnoses.noSymbols(name));
    }

    /** Ours: the symbol table's strings are no section. */
    public static LoadException noStrings(String name, int link) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: symbol table has section %d for its strings",
                        name,
                        link)
                .diagnosed(Diagnoses.noStrings(name, link));
    }

    /**
     * No {@code struct module}, up to 6.2; {@code prefix} is name and colon, nothing before 4.19.
     */
    public static LoadException noModuleFound(String prefix) {
        return failure(Errno.ENOEXEC, WARNING, "%sNo module found in object", prefix)
                .diagnosed(
                        Diagnoses.noModuleFound(prefix.isEmpty() ? "?" : prefix.replace(": ", "")));
    }

    /**
     * Since 6.4: no {@code struct module}, or more than one; {@code word} is Exactly since 6.12.
     */
    public static LoadException notExactlyOneModule(String name, String word) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "module %s: %s one .gnu.linkonce.this_module section must exist.",
                        name,
                        word)
                .diagnosed(Diagnoses.notExactlyOneModule(name));
    }

    /** Since 6.4: {@code struct module} takes no memory. */
    public static LoadException thisModuleNotAllocated(String name) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "module %s: .gnu.linkonce.this_module must occupy memory during process execution",
                        name)
                .diagnosed(Diagnoses.thisModuleNotAllocated(name));
    }

    /** Since 6.14: CRCs of extended versions without names, or the other way round. */
    public static LoadException halfExtendedVersions() {
        return failure(Errno.ENOEXEC, ERR, "extended version crc+name presence does not match")
                .diagnosed(
                        Diagnoses.extendedVersions(
                                "There are CRCs of long names without the names, or names without CRCs."));
    }

    /** Since 6.14: extended versions with fewer names than CRCs. */
    public static LoadException fewerExtendedNames() {
        return failure(Errno.ENOEXEC, ERR, "more extended version crcs than names")
                .diagnosed(
                        Diagnoses.extendedVersions(
                                "There are more CRCs of long names than names."));
    }

    /** Nothing can be loaded or unloaded any more. */
    public static LoadException modulesDisabled() {
        return LoadException.silent(Errno.EPERM, "loading and unloading of modules is disabled")
                .diagnosed(Diagnoses.modulesDisabled());
    }

    /** {@code module.sig_enforce} is set, and the module has no valid signature. */
    public static LoadException unsignedRejected() {
        return failure(Errno.EKEYREJECTED, NOTICE, "Loading of unsigned module is rejected")
                .diagnosed(
                        Diagnoses.unsigned(
                                "this kernel takes only signed modules (module.sig_enforce)"));
    }

    /** The same up to 4.2. */
    public static LoadException unsignedRejectedSilently() {
        return LoadException.silent(Errno.ENOKEY, "no signature by a known key")
                .diagnosed(Diagnoses.noKnownKey());
    }

    /** Ours: the section is too small to hold a name, where Linux reads what lies behind it. */
    public static LoadException thisModuleTooSmall(String section, long offset, long size) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "section %s at offset 0x%x: %d bytes hold no struct module",
                        section,
                        offset,
                        size)
                .diagnosed(Diagnoses.thisModuleTooSmall(section, offset, size));
    }

    /**
     * Ours: the field for init or exit that a relocation names does not lie in {@code struct
     * module}.
     */
    public static LoadException entryOutsideStructure(String name, long offset) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: entry point at offset 0x%x lies outside struct module",
                        name,
                        offset)
                .diagnosed(Diagnoses.entryOutsideStructure(name, offset));
    }

    /** Since 6.4: its size is not that of this kernel's {@code struct module}. */
    public static LoadException thisModuleSize(String name, long size, long expected) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "module %s: .gnu.linkonce.this_module section size must match the kernel's built struct module size"
                                + " at run time",
                        name)
                .diagnosed(Diagnoses.thisModuleSize(name, size, expected));
    }

    /** The kernel is locked down, and the module has no valid signature. */
    public static LoadException lockedDown() {
        return LoadException.silent(
                        Errno.EPERM,
                        "the kernel is locked down and the module has no valid signature")
                .diagnosed(Diagnoses.unsigned("this kernel is locked down, as with Secure Boot"));
    }

    /** Ours: 4.13 … 6.3 die when they measure a name that has no end. */
    public static LoadException nameNotTerminated(String name, int length) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "name %s in struct module fills all of its %d bytes: Linux dies here",
                        name,
                        length)
                .diagnosed(Diagnoses.nameNotTerminated(name, length));
    }

    /** Ours: Linux dies when it writes the module's state. */
    public static LoadException stateNotWritable(
            String name, String section, Address address, Rights rights) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: section %s lies in %s memory: Linux dies here, writing the state of the module to %s",
                        name,
                        section,
                        rights,
                        address)
                .diagnosed(Diagnoses.stateNotWritable(section, rights.toString()));
    }

    /** Memory that was given for the module does not begin with a page. */
    public static LoadException notPageAligned(String name, Address address) {
        return LoadException.silent(
                        Errno.EINVAL,
                        "memory of " + name + " at " + address + " does not begin with a page")
                .diagnosed(Diagnoses.notPageAligned(name));
    }

    /** Both kinds of constructors. */
    public static LoadException bothConstructors(String name) {
        return failure(Errno.EINVAL, WARNING, "%s: has both .ctors and .init_array.", name)
                .diagnosed(Diagnoses.bothConstructors(name));
    }

    /** Named by {@code module_blacklist=}. */
    public static LoadException blacklisted(String name) {
        return failure(Errno.EPERM, ERR, "Module %s is blacklisted", name)
                .diagnosed(Diagnoses.blacklisted(name));
    }

    /** {@code module_layout} has another CRC, or none and forced loading is off. */
    public static LoadException wrongStructModuleVersion(
            String name, List<LogLine> lines, String facts) {
        LoadException failure =
                lines.isEmpty()
                        ? LoadException.silent(
                                Errno.ENOEXEC,
                                name + " has no version of module_layout and forced loading is off")
                        : new LoadException(Errno.ENOEXEC, lines);
        return failure.diagnosed(Diagnoses.wrongStructModuleVersion(name, facts));
    }

    /** No vermagic, and forced loading is off. */
    public static LoadException noVermagic(String name) {
        return LoadException.silent(
                        Errno.ENOEXEC, name + " has no vermagic and forced loading is off")
                .diagnosed(Diagnoses.noVermagic(name));
    }

    /** Another vermagic. */
    public static LoadException wrongVermagic(
            String name, String vermagic, String expected, boolean withCrcs) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: version magic '%s' should be '%s'",
                        name,
                        vermagic,
                        expected)
                .diagnosed(Diagnoses.wrongVermagic(name, vermagic, expected, withCrcs));
    }

    /** A livepatch module without livepatch. */
    public static LoadException noLivepatch(String name) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: module is marked as livepatch module, but livepatch support is disabled",
                        name)
                .diagnosed(Diagnoses.noLivepatch(name));
    }

    /** A section that can be written and executed. */
    public static LoadException writableAndExecutable(String name, String section, int index) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: section %s (index %d) has invalid WRITE|EXEC flags",
                        name,
                        section,
                        index)
                .diagnosed(Diagnoses.writableAndExecutable(section, index));
    }

    /** No memory for the module. */
    public static LoadException noMemory(String name, long size) {
        return LoadException.silent(Errno.ENOMEM, "no room for " + size + " bytes of " + name)
                .diagnosed(Diagnoses.noMemory(name, size));
    }

    /** A module of that name is there. */
    public static LoadException alreadyLoaded(String name) {
        return LoadException.silent(Errno.EEXIST, "a module named " + name + " is loaded")
                .diagnosed(Diagnoses.alreadyLoaded(name));
    }

    /** Code of that name is built in, and has a directory in sysfs. */
    public static LoadException builtIn(String name) {
        return failure(Errno.EINVAL, ERR, "%s: module is already loaded", name)
                .diagnosed(Diagnoses.builtIn(name));
    }

    /** Two parameters of one name that both have a file; Linux adds a dump of the stack. */
    public static LoadException parameterTwice(String path) {
        return new LoadException(Errno.EEXIST, Warnings.duplicateFile(path))
                .diagnosed(Diagnoses.parameterTwice(path));
    }

    /** A module of that name is coming or going. */
    public static LoadException nameBusy(String name) {
        return LoadException.silent(
                        Errno.EBUSY, "a module named " + name + " is being loaded or unloaded")
                .diagnosed(Diagnoses.nameBusy(name));
    }

    /** No room for per-CPU data; {@code errno} is ENOMEM unless a test wants another. */
    public static LoadException noPerCpuMemory(Errno errno, String name, long size) {
        return failure(
                        errno,
                        WARNING,
                        "%s: Could not allocate %s bytes percpu data",
                        name,
                        Long.toUnsignedString(size))
                .diagnosed(Diagnoses.noPerCpuMemory(name, size));
    }

    /** Exports without CRCs, and forced loading is off. */
    public static LoadException noVersionsForExports(String name) {
        return LoadException.silent(
                        Errno.ENOEXEC,
                        name + " exports symbols without versions, forced loading is off")
                .diagnosed(Diagnoses.noVersionsForExports(name));
    }

    /** Symbols that cannot be resolved, each with its line; the error is that of the last. */
    public static LoadException unresolved(Errno last, List<LogLine> lines, SymbolFacts facts) {
        return new LoadException(last, lines).diagnosed(facts.diagnosis());
    }

    /**
     * REL where only RELA is taken, or the other way round: the kernel's text is the same for both.
     */
    public static LoadException relocationKindUnsupported(String name) {
        return failure(Errno.ENOEXEC, ERR, "module %s: REL relocation unsupported", name)
                .diagnosed(Diagnoses.relocationKindUnsupported(name));
    }

    /** What an architecture has refused in its own words, with where that was. */
    public static LoadException relocating(LoadException refusal, int section, String name) {
        return refusal.isDiagnosed()
                ? refusal
                : refusal.diagnosed(Diagnoses.relocating(refusal, section, name));
    }

    /** Ours: a relocation that Linux would apply to, or with, wild memory. */
    public static LoadException relocation(RelocationFailure failure) {
        String what =
                switch (failure.kind()) {
                    case UNKNOWN_TYPE -> "has unknown type " + failure.type();
                    case OVERFLOW ->
                            "of type "
                                    + failure.type()
                                    + " overflows with value 0x"
                                    + Long.toHexString(failure.value());
                    case PLACE_NOT_ZERO ->
                            "of type " + failure.type() + " meets a place that is not zero";
                    case OUTSIDE_SECTION ->
                            "patches offset 0x"
                                    + Long.toHexString(failure.offset())
                                    + ", which is outside its section";
                    case NO_SUCH_SYMBOL -> "refers to a symbol that is not in the symbol table";
                };
        return failure(
                Errno.ENOEXEC,
                ERR,
                "%s: relocation %d of section %d %s",
                failure.module(),
                failure.entry(),
                failure.relocationSection(),
                what);
    }

    /** Ours: an export whose name or namespace does not lie in the module. */
    public static LoadException exportOutsideModule(String name, String section, long offset) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: export at offset 0x%x of section %s points outside the module",
                        name,
                        offset,
                        section)
                .diagnosed(Diagnoses.exportOutsideModule(section, offset));
    }

    /** An export that exists already. */
    public static LoadException duplicateExport(String name, String symbol, String owner) {
        return failure(
                        Errno.ENOEXEC,
                        ERR,
                        "%s: exports duplicate symbol %s (owned by %s)",
                        name,
                        symbol,
                        owner)
                .diagnosed(Diagnoses.duplicateExport(name, symbol, owner));
    }

    /** Arguments that could not be set, each with its lines; the error is that of the last. */
    public static LoadException parameters(
            String name,
            int errno,
            List<LogLine> lines,
            Modinfo modinfo,
            String parameter,
            String value) {
        return LoadException.of(errno, lines, "parameters of " + name)
                .diagnosed(Diagnoses.parameters(name, errno, modinfo, parameter, value));
    }

    /** Ours: a table of parameters with a pointer that leads nowhere, where Linux would oops. */
    public static LoadException wildParameter(String name, String what) {
        return failure(Errno.EFAULT, ERR, "%s: parameters: %s", name, what)
                .diagnosed(Diagnoses.wildParameter(name, what));
    }

    /** A value that its getter does not give. */
    public static LoadException parameterNotShown(String name, String parameter, int errno) {
        return LoadException.of(
                        errno,
                        List.of(),
                        "parameter " + parameter + " of " + name + " is not shown")
                .diagnosed(Diagnoses.parameterNotShown(name, parameter, errno));
    }

    /** A value that its setter does not take. */
    public static LoadException parameterNotSet(
            String name, String parameter, int errno, List<LogLine> lines) {
        return LoadException.of(
                        errno, lines, "parameter " + parameter + " of " + name + " is not set")
                .diagnosed(Diagnoses.parameterNotSet(name, parameter, errno));
    }

    /** A parameter of a module that is gone. */
    public static LoadException parameterGone(String name) {
        return LoadException.silent(Errno.ENODEV, name + " is not loaded any more")
                .diagnosed(Diagnoses.parameterGone(name));
    }

    /** {@code initcall_blacklist=} names the init function. */
    public static LoadException initcallBlacklisted(String name, String function) {
        return LoadException.silent(
                        Errno.EPERM, "init of " + name + ", " + function + ", is blacklisted")
                .diagnosed(Diagnoses.initcallBlacklisted(function));
    }

    /** Init answered a negative number. */
    public static LoadException initFailed(String name, int result) {
        return LoadException.ofInit(-result, "init of " + name + " returned " + result)
                .diagnosed(Diagnoses.initFailed(name, result));
    }

    /** No module of that name. */
    public static LoadException notLoaded(String name) {
        return LoadException.silent(Errno.ENOENT, "no module named " + name + " is loaded")
                .diagnosed(Diagnoses.notLoaded(name));
    }

    /** Other modules use it, or its reference count is above zero. */
    public static LoadException inUse(String name, String users) {
        return LoadException.silent(
                        Errno.EAGAIN, name + " is in use" + (users.isEmpty() ? "" : " by " + users))
                .diagnosed(Diagnoses.inUse(name, users));
    }

    /** Not live. */
    public static LoadException notLive(String name, String state) {
        return LoadException.silent(Errno.EBUSY, name + " is " + state)
                .diagnosed(Diagnoses.notLive(name, state));
    }

    /** Init without exit. */
    public static LoadException permanent(String name) {
        return LoadException.silent(
                        Errno.EBUSY, name + " has an init but no exit function: it is permanent")
                .diagnosed(Diagnoses.permanent(name));
    }

    /** Built without unloading. */
    public static LoadException cannotUnload() {
        return LoadException.silent(
                        Errno.ENOSYS, "this kernel is built without CONFIG_MODULE_UNLOAD")
                .diagnosed(Diagnoses.cannotUnload());
    }
}

package io.github.koloader.internal;

import static io.github.koloader.Diagnosis.quote;

import io.github.koloader.Diagnosis;
import io.github.koloader.Errno;
import io.github.koloader.FaultPoint;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Modinfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** What people are told about each of the {@link Failures}: ours, the kernel says nothing of it. */
final class Diagnoses {
    private static final String REBUILD =
            "Build the module for this kernel: with DKMS `dkms autoinstall`, by hand `make -C"
                    + " /lib/modules/$(uname -r)/build M=$PWD`.";
    private static final String DAMAGED =
            "The file is damaged, or a tool has changed it: take it anew from where it was built.";
    private static final String UNFORCED =
            " This kernel is built without CONFIG_MODULE_FORCE_LOAD, so that nothing can make it"
                    + " take the module all the same.";

    /** What init functions usually mean by an error. */
    private static final Map<Integer, String> INIT_ERRORS =
            Map.ofEntries(
                    Map.entry(1, "it is not allowed here, or initcall_blacklist= names it"),
                    Map.entry(2, "something that it looked for is not there, such as firmware"),
                    Map.entry(5, "the device did not answer as it should"),
                    Map.entry(6, "the device that it drives was not found"),
                    Map.entry(12, "there was no memory for what it wanted to allocate"),
                    Map.entry(16, "something that it needs is taken, often by another driver"),
                    Map.entry(17, "something of the name that it registers is there already"),
                    Map.entry(19, "the device that it drives was not found"),
                    Map.entry(22, "a parameter has a value that it does not take"),
                    Map.entry(38, "this kernel is built without what it needs"),
                    Map.entry(95, "the processor or the platform lacks what it needs"),
                    Map.entry(110, "the device did not answer in time"),
                    Map.entry(517, "something that it depends on is not there yet"));

    /** Names of errors that init functions answer and {@link Errno} does not have. */
    private static final Map<Integer, String> MORE_ERRORS =
            Map.of(6, "ENXIO", 13, "EACCES", 110, "ETIMEDOUT", 517, "EPROBE_DEFER");

    private Diagnoses() {}

    private static Diagnosis of(String cause, String location, String advice) {
        return new Diagnosis(cause, location, advice);
    }

    private static String hex(long value) {
        return "0x" + Long.toHexString(value);
    }

    static Diagnosis injected(FaultPoint point, String name) {
        return of(
                "A test made " + point + " of " + quote(name) + " fail; nothing is wrong with it.",
                "",
                "Take the fault out of what Kernel.Builder.faults() was given.");
    }

    // ---- the file ----

    static Diagnosis wrongArchitecture(int machine, Architecture architecture) {
        String own = Architectures.machineName(architecture.elfMachine());
        String given = Architectures.machineName(machine);
        return of(
                given.equals(own)
                        ? "The file is for another kind of "
                                + own
                                + " than this kernel: word size, byte order or ABI flags differ."
                        : "The file is for " + given + ", this kernel is for " + own + ".",
                "ELF header, e_machine at file offset 0x12",
                "Take the module from the package for this kernel's architecture, or build it with"
                        + " its compiler (ARCH= and CROSS_COMPILE=).");
    }

    static Diagnosis noSymbols(String name) {
        return of(
                "The file of " + quote(name) + " has no symbol table: it was stripped of it.",
                "no section of type SHT_SYMTAB",
                "Install the module anew; a module may be stripped with `strip --strip-debug` only.");
    }

    static Diagnosis noStrings(String name, int link) {
        return of(
                "The symbol table of " + quote(name) + " names no section for its strings.",
                "section header of the symbol table, sh_link " + link,
                DAMAGED);
    }

    static Diagnosis noModuleFound(String name) {
        return of(
                "The file of "
                        + quote(name)
                        + " is an object, but no module: the structure that makes it one is"
                        + " missing.",
                "no section `.gnu.linkonce.this_module`",
                "Load the `.ko` that the kernel's build makes of it, not one of the `.o` files.");
    }

    static Diagnosis parameterTwice(String path) {
        return of(
                "Two parameters of the module have one name, and both are to have the file "
                        + quote("/sys" + path)
                        + ".",
                "section `__param`",
                "Rename one of the parameters, or give one of them the permissions 0.");
    }

    static Diagnosis thisModuleTooSmall(String section, long offset, long size) {
        return of(
                "The section has " + size + " bytes: too few for the module's name.",
                "section " + quote(section) + " at file offset " + hex(offset),
                DAMAGED);
    }

    static Diagnosis entryOutsideStructure(String name, long offset) {
        return of(
                "The address of init or exit of "
                        + quote(name)
                        + " would be written outside of the module's structure.",
                "a relocation for offset "
                        + hex(offset)
                        + " of section `.gnu.linkonce.this_module`",
                DAMAGED);
    }

    static Diagnosis thisModuleSize(String name, long size, long expected) {
        return of(
                "The structure of "
                        + quote(name)
                        + " has "
                        + size
                        + " bytes, this kernel's has "
                        + expected
                        + ": it was built for a kernel with other options.",
                "section `.gnu.linkonce.this_module`",
                REBUILD);
    }

    static Diagnosis writableAndExecutable(String section, int index) {
        return of(
                "The section can be written and executed, which this kernel"
                        + " (CONFIG_STRICT_MODULE_RWX) takes from no module.",
                "section " + quote(section) + ", index " + index,
                "Mark the section \"aw\" for data or \"ax\" for code, in the assembler source or"
                        + " the linker script that makes it.");
    }

    static Diagnosis notExactlyOneModule(String name) {
        return of(
                quote(name) + " has no structure that makes it a module, or several.",
                "sections `.gnu.linkonce.this_module`",
                "Load the `.ko` that the kernel's build makes, not one of the `.o` files or several"
                        + " modules linked together.");
    }

    static Diagnosis thisModuleNotAllocated(String name) {
        return of(
                quote(name) + " has a structure that takes no memory.",
                "section `.gnu.linkonce.this_module`, no flag SHF_ALLOC",
                DAMAGED);
    }

    static Diagnosis extendedVersions(String what) {
        return of(
                what,
                "sections `__version_ext_crcs` and `__version_ext_names`",
                "Build the module with this kernel's own modpost.");
    }

    static Diagnosis nameNotTerminated(String name, int length) {
        return of(
                "The name "
                        + quote(name)
                        + " fills all of its "
                        + length
                        + " bytes, without a NUL at the end; Linux would read on behind it.",
                "section `.gnu.linkonce.this_module`, the field name",
                "Give the module a name of fewer than " + length + " characters.");
    }

    static Diagnosis stateNotWritable(String section, String rights) {
        return of(
                "The module's structure lies in memory that is "
                        + rights
                        + ", and the kernel has to write to it; Linux would die.",
                "section " + quote(section) + ", its flags",
                DAMAGED);
    }

    static Diagnosis notPageAligned(String name) {
        return of(
                "The memory that the allocator gave to "
                        + quote(name)
                        + " does not begin with a page, so that its rights cannot be set.",
                "",
                "Correct the ModuleAllocator that the kernel was given.");
    }

    static Diagnosis bothConstructors(String name) {
        return of(
                quote(name) + " has constructors of both kinds, old and new.",
                "sections `.ctors` and `.init_array`",
                "Compile all of the module with one compiler and one set of options.");
    }

    // ---- whether this kernel wants it ----

    static Diagnosis modulesDisabled() {
        return of(
                "Loading and unloading is turned off until the next boot"
                        + " (kernel.modules_disabled = 1, or `nomodule`).",
                "",
                "Load what is needed before that is set, or boot again without it.");
    }

    static Diagnosis unsigned(String why) {
        return of(
                "The module has no valid signature, and " + why + ".",
                "the end of the file, where a signature would be",
                "Sign the module with a key that the kernel trusts (`sign-file`, and `mokutil"
                        + " --import` for a key of one's own), or turn the demand off.");
    }

    static Diagnosis blacklisted(String name) {
        return of(
                quote(name) + " is named by module_blacklist= on the kernel's command line.",
                "",
                "Take the name out of module_blacklist= and boot again, if the module is wanted.");
    }

    static Diagnosis wrongStructModuleVersion(String name, String facts) {
        return of(
                facts.isEmpty()
                        ? quote(name)
                                + " does not say for which layout of the kernel's structures it was"
                                + " built: it has no CRC of `module_layout`."
                        : facts + "\nThe kernel's structures have changed between the two builds.",
                "section `__versions`",
                REBUILD + (facts.isEmpty() ? UNFORCED : ""));
    }

    static Diagnosis noVermagic(String name) {
        return of(
                quote(name) + " does not say for which kernel it was built (or was told not to).",
                "section `.modinfo`, no `vermagic=`",
                REBUILD + UNFORCED);
    }

    static Diagnosis wrongVermagic(
            String name, String vermagic, String expected, boolean withCrcs) {
        String[] given = vermagic.split(" ", 2);
        String[] own = expected.split(" ", 2);
        List<String> cause = new ArrayList<>();
        if (!withCrcs && !given[0].equals(own[0])) {
            cause.add(
                    quote(name)
                            + " was built for "
                            + quote(given[0])
                            + ", this kernel is "
                            + quote(own[0])
                            + ".");
        }
        List<String> givenWords = words(given);
        List<String> ownWords = words(own);
        List<String> onlyGiven = new ArrayList<>(givenWords);
        onlyGiven.removeAll(ownWords);
        List<String> onlyOwn = new ArrayList<>(ownWords);
        onlyOwn.removeAll(givenWords);
        if (!onlyGiven.isEmpty()) {
            cause.add("The module was built with " + quoted(onlyGiven) + ", this kernel without.");
        }
        if (!onlyOwn.isEmpty()) {
            cause.add("This kernel is built with " + quoted(onlyOwn) + ", the module without.");
        }
        if (cause.isEmpty()) {
            cause.add("The words of both vermagics are the same, but not their order or spaces.");
        }
        String release = own[0];
        return of(
                String.join("\n", cause),
                "section `.modinfo`, vermagic=" + quote(vermagic),
                "Build the module for "
                        + quote(release)
                        + " (install its headers, then `dkms autoinstall` or `make -C /lib/modules/"
                        + release
                        + "/build M=$PWD`), install the package made for it, or boot the kernel that"
                        + " the module was built for.");
    }

    private static List<String> words(String[] vermagic) {
        return vermagic.length < 2
                ? List.of()
                : Arrays.stream(vermagic[1].split(" ")).filter(word -> !word.isEmpty()).toList();
    }

    private static String quoted(List<String> words) {
        return String.join(
                ", ", words.stream().limit(20).map(word -> Diagnosis.quote(word)).toList());
    }

    static Diagnosis noLivepatch(String name) {
        return of(
                quote(name) + " is a livepatch, and this kernel is built without CONFIG_LIVEPATCH.",
                "section `.modinfo`, `livepatch=`",
                "Use a kernel with CONFIG_LIVEPATCH.");
    }

    static Diagnosis alreadyLoaded(String name) {
        return of(
                "A module named " + quote(name) + " is loaded and live.",
                "",
                "Nothing, if that is the module wanted; else unload it first (`rmmod "
                        + name
                        + "`). `modprobe` takes this for success.");
    }

    static Diagnosis builtIn(String name) {
        return of(
                "Code named "
                        + quote(name)
                        + " is built into this kernel: it has /sys/module/"
                        + name
                        + " already.",
                "",
                "Nothing need be loaded. If it is other code, build the module under another name.");
    }

    static Diagnosis nameBusy(String name) {
        return of(
                "Another load or unload of " + quote(name) + " is still under way.",
                "",
                "Wait until it ends; if it never does, its init or exit function hangs.");
    }

    static Diagnosis unreadableParameters() {
        return of(
                "The parameters were given as a null pointer, or one into memory that cannot be read.",
                "",
                "Pass an empty string for no parameters.");
    }

    // ---- memory ----

    static Diagnosis noMemory(String name, long size) {
        return of(
                "There is no room for "
                        + Long.toUnsignedString(size)
                        + " bytes of "
                        + quote(name)
                        + ".",
                "",
                "A size beyond all bounds means a damaged file. Else unload modules, or raise what"
                        + " they may take together (Kernel.Builder.memoryLimit()).");
    }

    static Diagnosis noPerCpuMemory(String name, long size) {
        return of(
                "There is no room for "
                        + Long.toUnsignedString(size)
                        + " bytes of per-CPU data of "
                        + quote(name)
                        + " in what the kernel reserves for modules.",
                "section `.data..percpu`",
                "Make static per-CPU variables smaller, allocate them with alloc_percpu(), or boot"
                        + " with a larger percpu_alloc= area; unloading modules with such data"
                        + " frees some.");
    }

    // ---- exports ----

    static Diagnosis noVersionsForExports(String name) {
        return of(
                quote(name)
                        + " exports symbols without CRCs, and this kernel is built with"
                        + " CONFIG_MODVERSIONS.",
                "no section `__kcrctab` or `__kcrctab_gpl` beside `__ksymtab` or `__ksymtab_gpl`",
                REBUILD + UNFORCED);
    }

    static Diagnosis exportOutsideModule(String section, long offset) {
        return of(
                "An export's name or namespace does not lie in the module.",
                "section " + quote(section) + ", offset " + hex(offset),
                DAMAGED);
    }

    static Diagnosis duplicateExport(String name, String symbol, String owner) {
        boolean kernel = owner.equals("kernel");
        return of(
                quote(name)
                        + " exports "
                        + quote(symbol)
                        + ", which "
                        + (kernel ? "the kernel itself" : quote(owner))
                        + " exports already.",
                "symbol " + quote(symbol) + " in `__ksymtab` or `__ksymtab_gpl`",
                kernel
                        ? "The kernel has this code built in: do not load the module, or rename its"
                                + " export."
                        : "Unload "
                                + quote(owner)
                                + " first if the two are builds of the same code; else rename one"
                                + " of the exports.");
    }

    static Diagnosis relocationKindUnsupported(String name) {
        return of(
                quote(name)
                        + " has relocations of the other kind than this architecture's kernel"
                        + " takes: REL where it wants RELA, or the other way round.",
                "the relocation sections",
                "Build the module with the compiler and linker of this kernel.");
    }

    static Diagnosis relocating(LoadException refusal, int section, String name) {
        return of(
                "A relocation cannot be applied: "
                        + (refusal.lines().isEmpty() ? refusal.getMessage() : refusal.dmesg())
                        + ".",
                "section " + quote(name) + ", index " + section,
                "Build the module with the compiler and options of this kernel; if it was, look at"
                        + " what the line says is missing, too far away or too much.");
    }

    // ---- parameters ----

    /** What values a standard type takes. */
    private static final Map<String, String> RANGES =
            Map.ofEntries(
                    Map.entry("byte", "0 to 255"),
                    Map.entry("short", "-32768 to 32767"),
                    Map.entry("ushort", "0 to 65535"),
                    Map.entry("int", "-2147483648 to 2147483647"),
                    Map.entry("uint", "0 to 4294967295"),
                    Map.entry("hexint", "0 to 4294967295"),
                    Map.entry("long", "what fits a signed word"),
                    Map.entry("ulong", "what fits an unsigned word"),
                    Map.entry("ullong", "0 to 18446744073709551615"),
                    Map.entry("bool", "y, Y, t, T, 1, n, N, f, F, 0, on, off, or no value"),
                    Map.entry("invbool", "y, Y, t, T, 1, n, N, f, F, 0, on, off"),
                    Map.entry("bint", "y, Y, t, T, 1, n, N, f, F, 0, on, off, or no value"),
                    Map.entry("charp", "a text of up to 1024 characters"));

    static Diagnosis parameters(
            String name, int errno, Modinfo modinfo, String parameter, String value) {
        String type = ofParameter(modinfo, "parmtype", parameter);
        List<String> known = new ArrayList<>();
        modinfo.all("parmtype").stream()
                .limit(20)
                .forEach(one -> known.add(one.substring(0, Math.max(0, one.indexOf(':')))));
        if (type.isEmpty() && errno == Errno.ENOENT.number()) {
            return of(
                    quote(name)
                            + " has no parameter "
                            + quote(parameter)
                            + "."
                            + (known.isEmpty()
                                    ? " It has none."
                                    : " It has " + quoted(known) + "."),
                    "the arguments of the load",
                    "Correct the name, or leave the parameter out; `modinfo -p` lists them.");
        }
        boolean array = type.startsWith("array of ");
        String element = array ? type.substring("array of ".length()) : type;
        String range = RANGES.get(element);
        String description = ofParameter(modinfo, "parm", parameter);
        return of(
                "The parameter "
                        + quote(parameter)
                        + " of "
                        + quote(name)
                        + " does not take the value "
                        + quote(value)
                        + "."
                        + (type.isEmpty() ? "" : " It is of type " + quote(type))
                        + (type.isEmpty() ? "" : range == null ? "." : ": " + range + ".")
                        + (description.isEmpty()
                                ? ""
                                : " It is described as " + quote(description) + "."),
                "the arguments of the load",
                errno == Errno.ENOMEM.number()
                        ? "Free memory: there was none for a copy of the value."
                        : array
                                ? "Give values of that type, separated by commas, and no more than the"
                                        + " array holds."
                                : "Give a value of that type, or leave the parameter out.");
    }

    private static String ofParameter(Modinfo modinfo, String tag, String parameter) {
        for (String entry : modinfo.all(tag)) {
            int colon = entry.indexOf(':');
            if (colon >= 0
                    && entry.substring(0, colon)
                            .replace('-', '_')
                            .equals(parameter.replace('-', '_'))) {
                return entry.substring(colon + 1);
            }
        }
        return "";
    }

    static Diagnosis wildParameter(String name, String what) {
        return of(
                "A parameter of "
                        + quote(name)
                        + " is described by pointers that lead nowhere: "
                        + Diagnosis.quote(what)
                        + ".",
                "section `__param`",
                DAMAGED);
    }

    static Diagnosis parameterNotShown(String name, String parameter, int errno) {
        return of(
                "The parameter "
                        + quote(parameter)
                        + " of "
                        + quote(name)
                        + " cannot be read: its getter answered error "
                        + errno
                        + ".",
                "the getter of the parameter",
                "Look at the module's own code, and at what it logged.");
    }

    static Diagnosis parameterNotSet(String name, String parameter, int errno) {
        return of(
                "The parameter "
                        + quote(parameter)
                        + " of "
                        + quote(name)
                        + " did not take the value: its setter answered error "
                        + errno
                        + ".",
                "the setter of the parameter",
                "Give a value of the parameter's type; `modinfo -p` tells it.");
    }

    static Diagnosis parameterGone(String name) {
        return of(
                quote(name) + " has been unloaded, and its parameters with it.",
                "",
                "Ask the kernel for the module anew, or load it again.");
    }

    // ---- init and unloading ----

    static Diagnosis noKnownKey() {
        return of(
                "The kernel takes only modules that are signed with a key that it knows, as"
                        + " module.sig_enforce is set.",
                "end of the file",
                "Sign the module with such a key.");
    }

    static Diagnosis initcallBlacklisted(String function) {
        return of(
                quote(function) + " is named by initcall_blacklist= on the kernel's command line.",
                "the init function",
                "Take the name out of initcall_blacklist= and boot again, if the module is"
                        + " wanted.");
    }

    static Diagnosis initFailed(String name, int result) {
        Errno errno = Errno.of(-result);
        String error =
                errno == null
                        ? MORE_ERRORS.getOrDefault(-result, "an error without a name here")
                        : errno.name();
        String usual = INIT_ERRORS.get(-result);
        return of(
                "The module was taken, but its init function returned "
                        + result
                        + " ("
                        + error
                        + ")"
                        + (usual == null ? "." : ", which usually means: " + usual + "."),
                "the init function of " + quote(name),
                "This comes from the module's own code, not from the loader: look at what it"
                        + " logged, at its parameters and at the hardware.");
    }

    static Diagnosis notLoaded(String name) {
        return of(
                "No module named " + quote(name) + " is loaded.",
                "",
                "Look at `lsmod` for its name: there, `-` is always `_`. It may be built in, or"
                        + " unloaded already.");
    }

    static Diagnosis inUse(String name, String users) {
        return of(
                quote(name)
                        + (users.isEmpty()
                                ? " is held by something other than modules: an open file, a mount,"
                                        + " a network interface or a process."
                                : " is used by the modules " + quote(users) + "."),
                "",
                users.isEmpty()
                        ? "Close or stop what uses it."
                        : "Unload those first; `modprobe -r` knows the order.");
    }

    static Diagnosis notLive(String name, String state) {
        return of(
                quote(name) + " is " + state + ": its init or exit function has not ended.",
                "",
                "Wait until it has; if it never does, only a reboot helps.");
    }

    static Diagnosis permanent(String name) {
        return of(
                quote(name) + " has an init but no exit function, so that it cannot be unloaded.",
                "",
                "Leave it loaded, or give it a module_exit(); a kernel with"
                        + " CONFIG_MODULE_FORCE_UNLOAD takes `rmmod -f`, at its own risk.");
    }

    static Diagnosis cannotUnload() {
        return of(
                "This kernel is built without CONFIG_MODULE_UNLOAD.",
                "",
                "Reboot without the module, or use a kernel with that option.");
    }
}

package io.github.koloader.internal;

import static io.github.koloader.Diagnosis.quote;

import io.github.koloader.Diagnosis;
import io.github.koloader.Errno;
import io.github.koloader.FaultPoint;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
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

    // ---- whether this kernel wants it ----

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

    static Diagnosis builtIn(String name) {
        return of(
                "Code named " + quote(name) + " is built into this kernel.",
                "",
                "Nothing, if that is the module wanted: it is there already. Else rename the"
                        + " module. Parameters of built-in code are set on the kernel's command line.");
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

    // ---- init and unloading ----

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

package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.arch.Architecture;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Address;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What kernel is modelled: its release and the options that change what the loader does. A value;
 * {@link #toBuilder()} makes a changed copy.
 *
 * <p>The presets are the named kernel as Debian configures it. What depends on the version (layout,
 * order of checks, table formats) follows from {@link #version()}.
 */
public final class KernelConfig {
    /** What a kernel does with an imported symbol for which {@code __versions} has no entry. */
    public enum MissingVersion {
        /** Refuse, saying so each time: 3.10, and Debian's 6.1. */
        REFUSE,
        /** Accept, with a warning once a boot: mainline since 4.10. */
        WARN_ONCE
    }

    private final Builder values;

    private KernelConfig(Builder builder) {
        this.values = builder.copy();
    }

    /** {@return the preset of Linux 3.10} */
    public static KernelConfig linux3_10() {
        return new Builder("3.10.0").preempt("").forceUnload(false).livepatch(false).build();
    }

    /** {@return the preset of Linux 6.1} */
    public static KernelConfig linux6_1() {
        return new Builder("6.1.0").build();
    }

    /** {@return the preset of Linux 6.12} */
    public static KernelConfig linux6_12() {
        return new Builder("6.12.0").moduleCompression("xz").build();
    }

    /**
     * {@return the kernel of that release, with the options of the preset that is nearest from
     * below (the lowest one for older releases)}
     *
     * @param release as {@code uname -r} prints it
     * @throws IllegalArgumentException if it does not begin with two numbers
     */
    public static KernelConfig forRelease(String release) {
        KernelVersion version = KernelVersion.parse(release);
        KernelConfig preset =
                version.atLeast(6, 12)
                        ? linux6_12()
                        : version.atLeast(6, 1) ? linux6_1() : linux3_10();
        return preset.toBuilder().release(release).build();
    }

    /**
     * {@return the kernel that a vermagic names: its release, and the options that it lists}
     *
     * @param vermagic as in a module's modinfo, e.g. {@code 6.1.0-50-amd64 SMP preempt mod_unload
     *     modversions }
     * @throws IllegalArgumentException if it does not begin with a release
     */
    public static KernelConfig forVermagic(String vermagic) {
        List<String> words = List.of(vermagic.trim().split(" +"));
        return forRelease(words.get(0)).toBuilder()
                .smp(words.contains("SMP"))
                .preempt(
                        words.contains("preempt")
                                ? "preempt"
                                : words.contains("preempt_rt") ? "preempt_rt" : "")
                .modUnload(words.contains("mod_unload"))
                .modversions(words.contains("modversions"))
                .vermagic(vermagic)
                .build();
    }

    /**
     * {@return the kernel that a module was built for: what its vermagic says, and the size of
     * {@code struct module}} Takes a module of the kernel's own package to know that kernel.
     *
     * @param module a module with a vermagic
     * @throws IllegalArgumentException if it has none, or one that does not begin with a release
     */
    public static KernelConfig forModule(ModuleImage module) {
        KernelConfig config = forVermagic(module.modinfo().firstRaw("vermagic").orElse(""));
        return module.thisModule()
                .map(structure -> module.section(structure.section()).size())
                .map(size -> config.toBuilder().structModuleSize(OptionalLong.of(size)).build())
                .orElse(config);
    }

    /** {@return a builder with these values} */
    public Builder toBuilder() {
        return values.copy();
    }

    /** {@return the release, as {@code uname -r} prints it} */
    public String release() {
        return values.release;
    }

    /** {@return the version that the release begins with} */
    public KernelVersion version() {
        return values.version;
    }

    /**
     * {@return whether this version or a later one is modelled}
     *
     * @param major first number
     * @param minor second number
     */
    public boolean atLeast(int major, int minor) {
        return values.version.atLeast(major, minor);
    }

    /**
     * {@return whether vermagic is compared at all: off for a kernel that takes modules of every
     * release}
     */
    public boolean checkVermagic() {
        return values.checkVermagic;
    }

    /** {@return whether CONFIG_SMP is set: without it per-CPU data is ordinary data} */
    public boolean smp() {
        return values.smp;
    }

    /** {@return whether CONFIG_MODULE_UNLOAD is set: without it exit code is dropped with init} */
    public boolean modUnload() {
        return values.modUnload;
    }

    /** {@return whether CONFIG_MODVERSIONS is set: whether CRCs are compared} */
    public boolean modversions() {
        return values.modversions;
    }

    /**
     * {@return whether CONFIG_MODULE_FORCE_LOAD is set: whether a module without vermagic or CRCs
     * is taken, with a taint}
     */
    public boolean forceLoad() {
        return values.forceLoad;
    }

    /** {@return whether CONFIG_MODULE_FORCE_UNLOAD is set} */
    public boolean forceUnload() {
        return values.forceUnload;
    }

    /**
     * {@return whether CONFIG_MODULE_SIG is set: whether a module without a valid signature is
     * tainted}
     */
    public boolean moduleSig() {
        return values.moduleSig;
    }

    /**
     * {@return whether module.sig_enforce is set: whether a module without a valid signature is
     * refused}
     */
    public boolean sigEnforce() {
        return values.sigEnforce;
    }

    /**
     * {@return whether the kernel is locked down for integrity ({@code lockdown=integrity}):
     * whether an unsigned module is refused}
     */
    public boolean lockdown() {
        return values.lockdown;
    }

    /**
     * {@return whether nothing can be loaded or unloaded any more: {@code nomodule}, or the sysctl
     * {@code kernel.modules_disabled}}
     */
    public boolean modulesDisabled() {
        return values.modulesDisabled;
    }

    /**
     * {@return whether CONFIG_DYNAMIC_DEBUG is set: whether {@code dyndbg} is a parameter of every
     * module}
     */
    public boolean dynamicDebug() {
        return values.dynamicDebug;
    }

    /**
     * {@return what packs modules for {@code finit_module(2)} with its flag 4: {@code gzip}, {@code
     * xz} or {@code zstd}; empty without CONFIG_MODULE_DECOMPRESS}
     */
    public String moduleCompression() {
        return values.moduleCompression;
    }

    /** {@return whether CONFIG_KALLSYMS is set: whether modules keep their symbols} */
    public boolean kallsyms() {
        return values.kallsyms;
    }

    /**
     * {@return whether CONFIG_KALLSYMS_ALL is set: whether names of data are kept too}
     *
     * @param architecture whose default counts where {@link Builder#kallsymsAll} was not set
     */
    public boolean kallsymsAll(Architecture architecture) {
        return values.kallsymsAll.orElseGet(() -> architecture.kallsymsAll(this));
    }

    /**
     * {@return whether an option of the kernel's configuration is set, of those that matter on one
     * architecture only; its class names them}
     *
     * @param name its name, such as {@code CONFIG_THUMB2_KERNEL}
     * @param otherwise what counts where it was not set
     */
    public boolean kconfig(String name, boolean otherwise) {
        return values.kconfig.getOrDefault(name, otherwise);
    }

    /**
     * {@return whether a vermagic was set, and has that word: kernels write some of their options
     * into it}
     *
     * @param word the word alone, such as {@code thumb2}
     */
    public boolean vermagicHas(String word) {
        return List.of(values.vermagic.split(" ")).contains(word);
    }

    /**
     * {@return whether the processor has a capability or an erratum that the kernel goes by}
     *
     * @param name the kernel's name for it, such as {@code ARM64_WORKAROUND_843419}
     */
    public boolean cpuCapability(String name) {
        return values.cpuCapabilities.contains(name);
    }

    /**
     * {@return whether it is known which capabilities the processor has, all of them: set by {@link
     * Builder#cpuCapabilities}} Code that a kernel changes to suit its processor is left as it is
     * in the file while that is unknown, as in the presets.
     */
    public boolean cpuKnown() {
        return values.cpuKnown;
    }

    /**
     * {@return the address of a symbol of the kernel itself that need not be exported, such as
     * {@code ftrace_caller}: loaders of some architectures let modules jump there}
     *
     * @param name its name
     */
    public Optional<Address> kernelAddress(String name) {
        return Optional.ofNullable(values.kernelAddresses.get(name));
    }

    /**
     * {@return whether CONFIG_STRICT_MODULE_RWX is set: whether rights are separated, and parts are
     * whole pages; not on an architecture that {@linkplain Architecture#hasStrictModuleRwx lacks}
     * the option}
     */
    public boolean strictModuleRwx() {
        return values.strictModuleRwx;
    }

    /**
     * {@return whether CONFIG_LIVEPATCH is set: whether livepatch modules are taken}
     *
     * @param architecture whose default counts where {@link Builder#livepatch} was not set
     */
    public boolean livepatch(Architecture architecture) {
        return values.livepatch.orElseGet(() -> architecture.livepatch(this));
    }

    /** {@return whether CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS is set} */
    public boolean allowMissingNamespaceImports() {
        return values.allowMissingNamespaceImports;
    }

    /** {@return what happens to a symbol without an entry in {@code __versions}} */
    public MissingVersion missingVersion() {
        return values.missingVersion;
    }

    /** {@return whether the CPU's Spectre v2 mitigation asks for modules built with retpolines} */
    public boolean retpolineNeeded() {
        return values.retpolineNeeded;
    }

    /** {@return names that {@code module_blacklist=} refuses} */
    public List<String> moduleBlacklist() {
        return values.moduleBlacklist;
    }

    /**
     * {@return names of functions that {@code initcall_blacklist=} keeps from being called; an init
     * function among them is answered for with EPERM, since 3.16}
     */
    public List<String> initcallBlacklist() {
        return values.initcallBlacklist;
    }

    /** {@return bytes of {@code struct module}; unknown if empty, and then not checked} */
    public OptionalLong structModuleSize() {
        return values.structModuleSize;
    }

    /** {@return number of processors with a per-CPU area, at least 1} */
    public int cpus() {
        return values.cpus;
    }

    /**
     * {@return the vermagic of this kernel on that architecture}
     *
     * @param architecture whose suffix it ends with
     * @kernel include/linux/vermagic.h, VERMAGIC_STRING
     */
    public String vermagic(Architecture architecture) {
        if (!values.vermagic.isEmpty()) {
            return values.vermagic;
        }
        String preempt = values.preempt.orElseGet(() -> architecture.preemption(this));
        return values.release
                + " "
                + (values.smp ? "SMP " : "")
                + (preempt.isEmpty() ? "" : preempt + " ")
                + (values.modUnload ? "mod_unload " : "")
                + (values.modversions ? "modversions " : "")
                + architecture.vermagicSuffix(this);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof KernelConfig that && values.list().equals(that.values.list());
    }

    @Override
    public int hashCode() {
        return values.list().hashCode();
    }

    @Override
    public String toString() {
        return "KernelConfig" + values.list();
    }

    /**
     * Collects options; each setter is described at the getter of {@link KernelConfig} with its
     * name.
     */
    public static final class Builder {
        private String release;
        private KernelVersion version;
        private String vermagic = "";
        private boolean checkVermagic = true;
        private boolean smp = true;
        private Optional<String> preempt = Optional.empty();
        private boolean modUnload = true;
        private boolean modversions = true;
        private boolean forceLoad = true;
        private boolean forceUnload = true;
        private boolean moduleSig = true;
        private boolean sigEnforce;
        private boolean lockdown;
        private boolean modulesDisabled;
        private boolean dynamicDebug = true;
        private String moduleCompression = "";
        private boolean kallsyms = true;
        private Optional<Boolean> kallsymsAll = Optional.empty();
        private Map<String, Boolean> kconfig = Map.of();
        private Set<String> cpuCapabilities = Set.of();
        private boolean cpuKnown;
        private Map<String, Address> kernelAddresses = Map.of();
        private boolean strictModuleRwx = true;
        private Optional<Boolean> livepatch = Optional.empty();
        private boolean allowMissingNamespaceImports;
        private MissingVersion missingVersion = MissingVersion.REFUSE;
        private boolean retpolineNeeded = true;
        private List<String> moduleBlacklist = List.of();
        private List<String> initcallBlacklist = List.of();
        private OptionalLong structModuleSize = OptionalLong.empty();
        private int cpus = 1;

        private Builder(String release) {
            this.release = release;
            this.version = KernelVersion.parse(release);
        }

        private Builder copy() {
            Builder copy =
                    new Builder(release)
                            .vermagic(vermagic)
                            .checkVermagic(checkVermagic)
                            .smp(smp)
                            .modUnload(modUnload)
                            .modversions(modversions)
                            .forceLoad(forceLoad)
                            .forceUnload(forceUnload)
                            .moduleSig(moduleSig)
                            .sigEnforce(sigEnforce)
                            .lockdown(lockdown)
                            .modulesDisabled(modulesDisabled)
                            .dynamicDebug(dynamicDebug)
                            .moduleCompression(moduleCompression)
                            .kallsyms(kallsyms)
                            .strictModuleRwx(strictModuleRwx)
                            .allowMissingNamespaceImports(allowMissingNamespaceImports)
                            .missingVersion(missingVersion)
                            .retpolineNeeded(retpolineNeeded)
                            .moduleBlacklist(moduleBlacklist)
                            .initcallBlacklist(initcallBlacklist)
                            .structModuleSize(structModuleSize)
                            .cpus(cpus);
            copy.preempt = preempt;
            copy.kallsymsAll = kallsymsAll;
            copy.livepatch = livepatch;
            copy.kconfig = kconfig;
            copy.cpuCapabilities = cpuCapabilities;
            copy.cpuKnown = cpuKnown;
            copy.kernelAddresses = kernelAddresses;
            return copy;
        }

        private List<Object> list() {
            return List.of(
                    release,
                    vermagic,
                    checkVermagic,
                    smp,
                    preempt,
                    modUnload,
                    modversions,
                    forceLoad,
                    forceUnload,
                    moduleSig,
                    sigEnforce,
                    lockdown,
                    modulesDisabled,
                    dynamicDebug,
                    moduleCompression,
                    kallsyms,
                    kallsymsAll,
                    strictModuleRwx,
                    livepatch,
                    allowMissingNamespaceImports,
                    missingVersion,
                    retpolineNeeded,
                    moduleBlacklist,
                    initcallBlacklist,
                    structModuleSize,
                    cpus,
                    kconfig,
                    cpuCapabilities,
                    cpuKnown,
                    kernelAddresses);
        }

        /**
         * Sets release and version.
         *
         * @param newRelease as {@code uname -r} prints it
         * @return this builder
         * @throws IllegalArgumentException if it does not begin with two numbers
         */
        public Builder release(String newRelease) {
            this.version = KernelVersion.parse(newRelease);
            this.release = newRelease;
            return this;
        }

        /**
         * Sets the whole vermagic; empty: put together from the options.
         *
         * @param newVermagic as in modinfo, or empty
         * @return this builder
         */
        public Builder vermagic(String newVermagic) {
            this.vermagic = requireNonNull(newVermagic);
            return this;
        }

        /**
         * Sets {@link KernelConfig#checkVermagic()}.
         *
         * @param check whether to compare
         * @return this builder
         */
        public Builder checkVermagic(boolean check) {
            this.checkVermagic = check;
            return this;
        }

        /**
         * Sets {@link KernelConfig#smp()}.
         *
         * @param newSmp whether it is set
         * @return this builder
         */
        public Builder smp(boolean newSmp) {
            this.smp = newSmp;
            return this;
        }

        /**
         * Sets the word that vermagic has for preemption; left alone, it is the architecture's.
         *
         * @param word {@code preempt}, {@code preempt_rt} or empty, without blanks
         * @return this builder
         */
        public Builder preempt(String word) {
            this.preempt = Optional.of(word);
            return this;
        }

        /**
         * Sets {@link KernelConfig#modUnload()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder modUnload(boolean on) {
            this.modUnload = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#modversions()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder modversions(boolean on) {
            this.modversions = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#forceLoad()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder forceLoad(boolean on) {
            this.forceLoad = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#forceUnload()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder forceUnload(boolean on) {
            this.forceUnload = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#moduleSig()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder moduleSig(boolean on) {
            this.moduleSig = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#sigEnforce()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder sigEnforce(boolean on) {
            this.sigEnforce = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#lockdown()}.
         *
         * @param on whether it is
         * @return this builder
         */
        public Builder lockdown(boolean on) {
            this.lockdown = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#modulesDisabled()}.
         *
         * @param on whether nothing can
         * @return this builder
         */
        public Builder modulesDisabled(boolean on) {
            this.modulesDisabled = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#dynamicDebug()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder dynamicDebug(boolean on) {
            this.dynamicDebug = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#moduleCompression()}.
         *
         * @param algorithm {@code gzip}, {@code xz}, {@code zstd}, or empty for none
         * @return this builder
         * @throws IllegalArgumentException if it is something else
         */
        public Builder moduleCompression(String algorithm) {
            checkArgument(
                    Set.of("", "gzip", "xz", "zstd").contains(algorithm),
                    "algorithm %s",
                    algorithm);
            this.moduleCompression = algorithm;
            return this;
        }

        /**
         * Sets {@link KernelConfig#kallsyms()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder kallsyms(boolean on) {
            this.kallsyms = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#kallsymsAll}.
         *
         * @param on whether it is set; left alone, the architecture's default counts
         * @return this builder
         */
        public Builder kallsymsAll(boolean on) {
            this.kallsymsAll = Optional.of(on);
            return this;
        }

        /**
         * Sets {@link KernelConfig#kconfig}.
         *
         * @param name name of the option, beginning with {@code CONFIG_}
         * @param on whether it is set
         * @return this builder
         * @throws IllegalArgumentException if the name begins otherwise
         */
        public Builder kconfig(String name, boolean on) {
            checkArgument(name.startsWith("CONFIG_"), "option %s", name);
            Map<String, Boolean> options = new TreeMap<>(kconfig);
            options.put(name, on);
            this.kconfig = Map.copyOf(options);
            return this;
        }

        /**
         * Sets {@link KernelConfig#cpuCapability}, which does not make an unknown processor a known
         * one.
         *
         * @param name the kernel's name for it
         * @param present whether the processor has it
         * @return this builder
         */
        public Builder cpuCapability(String name, boolean present) {
            Set<String> capabilities = new TreeSet<>(cpuCapabilities);
            if (present) {
                capabilities.add(name);
            } else {
                capabilities.remove(name);
            }
            this.cpuCapabilities = Set.copyOf(capabilities);
            return this;
        }

        /**
         * Says what processor it is: {@link KernelConfig#cpuKnown()} from now on, with these
         * capabilities and no others. An empty set is a processor that has none, not an unknown
         * one.
         *
         * @param names the kernel's names for them, copied
         * @return this builder
         */
        public Builder cpuCapabilities(Set<String> names) {
            this.cpuCapabilities = Set.copyOf(names);
            this.cpuKnown = true;
            return this;
        }

        /**
         * Sets {@link KernelConfig#kernelAddress}.
         *
         * @param name name of the symbol
         * @param address where it is
         * @return this builder
         */
        public Builder kernelAddress(String name, Address address) {
            Map<String, Address> addresses = new TreeMap<>(kernelAddresses);
            addresses.put(name, address);
            this.kernelAddresses = Map.copyOf(addresses);
            return this;
        }

        /**
         * Sets {@link KernelConfig#strictModuleRwx()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder strictModuleRwx(boolean on) {
            this.strictModuleRwx = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#livepatch}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder livepatch(boolean on) {
            this.livepatch = Optional.of(on);
            return this;
        }

        /**
         * Sets {@link KernelConfig#allowMissingNamespaceImports()}.
         *
         * @param on whether it is set
         * @return this builder
         */
        public Builder allowMissingNamespaceImports(boolean on) {
            this.allowMissingNamespaceImports = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#missingVersion()}.
         *
         * @param policy what to do
         * @return this builder
         */
        public Builder missingVersion(MissingVersion policy) {
            this.missingVersion = requireNonNull(policy);
            return this;
        }

        /**
         * Sets {@link KernelConfig#retpolineNeeded()}.
         *
         * @param on whether it asks for them
         * @return this builder
         */
        public Builder retpolineNeeded(boolean on) {
            this.retpolineNeeded = on;
            return this;
        }

        /**
         * Sets {@link KernelConfig#moduleBlacklist()}.
         *
         * @param names names of modules, copied
         * @return this builder
         */
        public Builder moduleBlacklist(List<String> names) {
            this.moduleBlacklist = List.copyOf(names);
            return this;
        }

        /**
         * Sets {@link KernelConfig#initcallBlacklist()}.
         *
         * @param names names of functions, copied
         * @return this builder
         */
        public Builder initcallBlacklist(List<String> names) {
            this.initcallBlacklist = List.copyOf(names);
            return this;
        }

        /**
         * Sets {@link KernelConfig#structModuleSize()}.
         *
         * @param size bytes, or empty if unknown
         * @return this builder
         */
        public Builder structModuleSize(OptionalLong size) {
            this.structModuleSize = requireNonNull(size);
            return this;
        }

        /**
         * Sets {@link KernelConfig#cpus()}.
         *
         * @param number 1 … 8192
         * @return this builder
         */
        public Builder cpus(int number) {
            checkArgument(number >= 1 && number <= 8192, "%s processors", number);
            this.cpus = number;
            return this;
        }

        /** {@return the configuration} */
        public KernelConfig build() {
            return new KernelConfig(this);
        }
    }
}

package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.arch.Architecture;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.internal.ExportIndex;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Stubs;
import io.github.koloader.internal.boot.BootSequence;
import io.github.koloader.internal.boot.InitMemory;
import io.github.koloader.internal.load.LoadSequence;
import io.github.koloader.internal.load.Unload;
import io.github.koloader.internal.view.ProcModules;
import io.github.koloader.internal.view.SymbolViews;
import io.github.koloader.internal.view.SysModule;
import io.github.koloader.internal.view.TaintText;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.AddressSpace;
import io.github.koloader.memory.FirstFitAllocator;
import io.github.koloader.memory.ModuleAllocator;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A kernel that modules are loaded into: one architecture, one address space, one log. Belongs to
 * one thread; several kernels run side by side without sharing anything that changes.
 *
 * <p>A kernel built without anything else is permissive, so that a lone module loads: it takes
 * every vermagic, and gives each symbol that nobody exports an address of its own. {@link
 * Builder#strict()} turns that off.
 *
 * <pre>{@code
 * Kernel kernel = Kernel.builder(Architectures.X86_64).build();
 * Module hello = kernel.load(KoReader.read(Path.of("hello.ko")), "");
 * System.out.print(kernel.log().dmesg());
 * kernel.unload("hello");
 * }</pre>
 */
public final class Kernel {
    private final KernelState state;
    private final Registry registry = new Registry();
    private final KernelParameters parameters = new KernelParameters(this);
    private final BootOptions bootOptions = new BootOptions();
    private boolean booted;

    private Kernel(Builder builder) {
        Architecture architecture = builder.architecture;
        KernelConfig config =
                architecture.hasStrictModuleRwx()
                        ? builder.config
                        : builder.config.toBuilder().strictModuleRwx(false).build();
        ModuleAllocator allocator = builder.allocator;
        if (allocator == null) {
            allocator =
                    new FirstFitAllocator(
                            architecture.moduleAreas(config),
                            architecture.imageArea(config),
                            architecture.perCpuArea(config),
                            architecture.pageSize());
        }
        AddressRange stubs =
                builder.strict
                        ? new AddressRange(Address.NULL, 0)
                        : behind(builder.linked(), architecture.kernelText(config));
        this.state =
                new KernelState(
                        this,
                        config,
                        architecture,
                        new AddressSpace(architecture.encoding()),
                        allocator,
                        executor(builder),
                        KernelLog.of(config, builder.clock),
                        builder.observer,
                        builder.faults,
                        new ExportIndex(builder.symbols()),
                        new Stubs(stubs),
                        builder.memoryLimit,
                        builder.kallsyms(),
                        builder.linked(),
                        Module::new);
        InitMemory.map(state);
        parameters.add(
                "initcall_debug",
                -1,
                ParameterType.BOOL,
                value -> state.initcallDebug = value != 0);
        state.taintedBefore(builder.taints);
        if (config.kconfig("CONFIG_RANDSTRUCT", false) && config.atLeast(4, 13)) {
            state.taint(Taint.RANDSTRUCT);
        }
    }

    /** The part of the kernel's text that a linked kernel leaves free. */
    private static AddressRange behind(LinkedKernel linked, AddressRange text) {
        Address start = text.start();
        for (LinkedKernel.Block block : linked.memory()) {
            Address end = block.range().end();
            boolean inText = text.contains(block.start()) || block.range().contains(text.start());
            if (inText && end.compareTo(start) > 0) {
                start = end;
            }
        }
        return text.contains(start)
                ? AddressRange.between(start.value(), text.end().value())
                : new AddressRange(start, 0);
    }

    private static Executor executor(Builder builder) {
        Executor executor = new BuiltInExecutor(builder.executor, builder.linked().functions());
        return builder.faults == null ? executor : new FaultyExecutor(executor, builder.faults);
    }

    KernelState state() {
        return state;
    }

    /**
     * {@return a builder of a kernel for that architecture}
     *
     * @param architecture whose modules it takes
     */
    public static Builder builder(Architecture architecture) {
        return new Builder(architecture);
    }

    /**
     * Loads a module: {@code init_module(2)}.
     *
     * @param image what to load
     * @param parameters {@code name=value} words, separated by blanks
     * @return the module, live
     * @throws LoadException if Linux would refuse it; nothing of it is left then
     */
    public Module load(ModuleImage image, String parameters) {
        return load(image, LoadRequest.of(parameters));
    }

    /**
     * Loads a module as {@link #load(ModuleImage, String)} does, with the flags of {@code
     * finit_module(2)}.
     *
     * @param image what to load
     * @param request how
     * @return the module, live
     * @throws LoadException if Linux would refuse it; nothing of it is left then
     */
    public Module load(ModuleImage image, LoadRequest request) {
        return LoadSequence.run(state, requireNonNull(image), requireNonNull(request)).facade;
    }

    /**
     * Unloads a module: {@code delete_module(2)}; runs its exit function.
     *
     * @param name the module's name
     * @throws LoadException ENOENT if there is none of that name, EAGAIN if it is in use, EBUSY if
     *     it is not live or has init but no exit
     */
    public void unload(String name) {
        Unload.run(state, name, false);
    }

    /**
     * As {@link #unload(String)}, but also if it has no exit function or its reference count is
     * above zero: {@code O_TRUNC}. A module that others use is not unloaded all the same.
     *
     * @param name the module's name
     * @throws LoadException as {@link #unload(String)}
     */
    public void forceUnload(String name) {
        Unload.run(state, name, true);
    }

    // ---- what is built in ----

    /** {@return what is built in; a kernel without any unless the builder was given one} */
    public LinkedKernel linked() {
        return state.linked;
    }

    /**
     * {@return parameters of built-in code that are kept in Java; to be added before {@link #boot}}
     */
    public KernelParameters parameters() {
        return parameters;
    }

    /** {@return handlers of other words on the command line; to be added before {@link #boot}} */
    public BootOptions bootOptions() {
        return bootOptions;
    }

    /** {@return the processor, as functions have left it} */
    public Processor processor() {
        return state.processor;
    }

    /**
     * Logs each initcall, and init of each module, from now on, or does so no more: what {@code
     * initcall_debug} on the command line does.
     *
     * @param on whether to
     */
    public void initcallDebug(boolean on) {
        state.initcallDebug = on;
    }

    /**
     * Boots: parses the command line, runs the initcalls of the {@linkplain Builder#linked linked
     * kernel} level by level, and frees its init memory. What initcalls answer stops nothing.
     *
     * <p>In the log are the version, if it is known, the command line, and what Linux says of both
     * and of initcalls; with {@code initcall_debug} each call. Code that runs asynchronously on
     * Linux is not modelled: a function runs to its end.
     *
     * @param commandLine words, separated by blanks; one character a byte
     * @return what was run, and what is left for init
     * @throws IllegalStateException if it has been booted before
     * @throws KernelPanicException if there are too many words for init
     * @throws io.github.koloader.memory.AddressFaultException if a table of parameters or options,
     *     or a variable, is not where it is said to be: Linux would oops
     * @kernel init/main.c, start_kernel(), do_initcalls(), kernel_init()
     */
    public BootReport boot(String commandLine) {
        if (booted) {
            throw new IllegalStateException("a kernel boots once");
        }
        booted = true;
        return BootSequence.run(state, parameters, bootOptions, requireNonNull(commandLine));
    }

    /**
     * Calls a function of the kernel or of a module, as code that has a pointer to it does.
     *
     * @param function its address
     * @param arguments what it is called with
     * @return what it answers
     * @throws io.github.koloader.memory.AddressFaultException if it was in init memory and that is
     *     gone
     */
    public int call(Address function, Address... arguments) {
        return state.executor.call(
                new Executor.Call(
                        this,
                        moduleAt(function).orElse(null),
                        Executor.Phase.CALL,
                        function,
                        List.of(arguments)));
    }

    // ---- references ----

    /**
     * Takes a reference on a module, as its open device would: it cannot be unloaded until it is
     * given back.
     *
     * @param name the module's name
     * @return whether there is such a module and it is not on its way out
     * @kernel kernel/module/main.c, try_module_get()
     */
    public boolean get(String name) {
        LoadedModule module = state.modules.get(name);
        if (module == null
                || module.state == ModuleState.GOING
                || module.state == ModuleState.UNFORMED) {
            return false;
        }
        module.references++;
        return true;
    }

    /**
     * Gives a reference back.
     *
     * @param name the module's name
     * @throws IllegalStateException if there is no such module, or no reference was taken
     * @kernel kernel/module/main.c, module_put()
     */
    public void put(String name) {
        LoadedModule module = state.modules.get(name);
        if (module == null || !module.hasReferenceToGive()) {
            throw new IllegalStateException("no reference on " + name + " was taken");
        }
        module.references--;
    }

    /**
     * {@return the module of that name; empty if there is none, or it is not formed yet}
     *
     * @param name the module's name
     */
    public Optional<Module> module(String name) {
        LoadedModule module = state.modules.get(name);
        return module == null || module.state == ModuleState.UNFORMED
                ? Optional.empty()
                : Optional.of(module.facade);
    }

    /** {@return all modules, newest first} */
    public List<Module> modules() {
        List<Module> modules = new ArrayList<>(state.modules.size());
        for (LoadedModule module : state.modules.values()) {
            if (module.state != ModuleState.UNFORMED) {
                modules.add(module.facade);
            }
        }
        Collections.reverse(modules);
        return Collections.unmodifiableList(modules);
    }

    /**
     * The address of an exported symbol, the kernel's or a module's.
     *
     * @param symbol name of the symbol
     * @return empty if nobody exports it
     */
    public Optional<Address> exported(String symbol) {
        ExportIndex.Export export = state.exports.find(symbol);
        return export == null ? Optional.empty() : Optional.of(new Address(export.address));
    }

    /**
     * {@return the addresses that a permissive kernel has made up for symbols that nobody exports,
     * oldest first; a view}
     */
    public Map<String, Address> stubs() {
        return state.stubs.all();
    }

    /** {@return its memory} */
    public AddressSpace memory() {
        return state.memory;
    }

    /** {@return its log} */
    public KernelLog log() {
        return state.log;
    }

    /** {@return things that functions of modules have registered} */
    public Registry registry() {
        return registry;
    }

    /** {@return its options} */
    public KernelConfig config() {
        return state.config;
    }

    /** {@return its architecture} */
    public Architecture architecture() {
        return state.architecture;
    }

    /** {@return why it is tainted; what a load that failed has added stays} */
    public Set<Taint> taints() {
        return Collections.unmodifiableSet(state.taints.clone());
    }

    // ---- what it shows ----

    /**
     * Makes known that code is built in. If it is {@linkplain BuiltInModule#visible visible}, no
     * module of its name can be loaded from now on.
     *
     * @param builtIn what {@link #sysModule()} shows of it; replaces an earlier one of that name
     */
    public void addBuiltIn(BuiltInModule builtIn) {
        state.builtIns.put(builtIn.name(), builtIn);
    }

    /** {@return {@code /proc/modules} as root reads it, one character a byte} */
    public String procModules() {
        return procModules(Viewer.ROOT);
    }

    /**
     * {@return {@code /proc/modules}: newest module first, one character a byte}
     *
     * @param viewer who reads it
     * @kernel kernel/module/procfs.c, m_show()
     */
    public String procModules(Viewer viewer) {
        return ProcModules.text(state, requireNonNull(viewer));
    }

    /** {@return {@code /proc/kallsyms} as root reads it, one character a byte} */
    public String kallsyms() {
        return kallsyms(Viewer.ROOT);
    }

    /**
     * {@return {@code /proc/kallsyms}: the symbols given to {@link Builder#kallsyms}, then those of
     * modules, newest module first; one character a byte; empty without CONFIG_KALLSYMS}
     *
     * @param viewer who reads it
     * @kernel kernel/kallsyms.c, s_show()
     */
    public String kallsyms(Viewer viewer) {
        return SymbolViews.kallsyms(state, requireNonNull(viewer));
    }

    /**
     * {@return the lines that a module has in {@code /proc/kallsyms}, as root reads them}
     *
     * @param module one of {@link #modules()}; of any other what it last had, or nothing
     */
    public String kallsyms(Module module) {
        return SymbolViews.kallsyms(state, module.record(), Viewer.ROOT);
    }

    /** {@return {@code /sys/module} as root sees it} */
    public SysfsTree sysModule() {
        return sysModule(Viewer.ROOT);
    }

    /**
     * {@return {@code /sys/module}}
     *
     * @param viewer who looks at it
     */
    public SysfsTree sysModule(Viewer viewer) {
        return new SysModule(state, requireNonNull(viewer));
    }

    /**
     * {@return the line of an oops that names the modules: {@code Modules linked in: a(OE) b [last
     * unloaded: c]}}
     *
     * @kernel kernel/module/main.c, print_modules()
     */
    public String modulesLinkedIn() {
        return ProcModules.linkedIn(state);
    }

    /**
     * {@return what an oops says of the kernel's taints: {@code Not tainted}, or {@code Tainted: }
     * and a letter or a blank for each there is}
     *
     * @kernel kernel/panic.c, print_tainted()
     */
    public String taintText() {
        return TaintText.ofKernel(state.taints, state.config);
    }

    /** {@return the bits of {@link #taints()}: what {@code /proc/sys/kernel/tainted} shows} */
    public long taintMask() {
        return Taint.mask(state.taints);
    }

    /**
     * {@return the letters of a module's taints, as its file {@code taint} has them; none if it has
     * none}
     *
     * @param module any module of this kernel
     */
    public String taintLetters(Module module) {
        return TaintText.letters(module.record().taints, state.config);
    }

    /**
     * The module that an address lies in, with its code or data; init memory counts until it is
     * dropped, per-CPU data does not.
     *
     * @param address any address
     * @return empty if there is none
     * @kernel kernel/module/main.c, __module_address()
     */
    public Optional<Module> moduleAt(Address address) {
        LoadedModule module = SymbolViews.moduleAt(state, address);
        return module == null ? Optional.empty() : Optional.of(module.facade);
    }

    /**
     * {@return whether an address lies in the code of a module; read-only data is none}
     *
     * @param address any address
     * @kernel kernel/module/main.c, is_module_text_address()
     */
    public boolean isModuleText(Address address) {
        return SymbolViews.isModuleText(state, address);
    }

    /**
     * The symbol that an address of the kernel or of a module lies in or behind: what {@code %pS}
     * prints.
     *
     * @param address any address
     * @return empty if it belongs to none of them, or nothing is known of its names
     * @kernel kernel/module/kallsyms.c, find_kallsyms_symbol()
     */
    public Optional<SymbolPlace> symbolAt(Address address) {
        return SymbolViews.placeOf(state, address);
    }

    /**
     * The address of a symbol, exported or not: of the kernel, else of the newest module that has
     * it.
     *
     * @param symbol its name, or {@code module:name}; one character a byte
     * @return empty if there is none, or it is 0
     * @kernel kernel/kallsyms.c, kallsyms_lookup_name(); kernel/module/kallsyms.c,
     *     module_kallsyms_lookup_name()
     */
    public Optional<Address> addressOf(String symbol) {
        return SymbolViews.addressOf(state, symbol);
    }

    /** Collects what a kernel is made of. */
    public static final class Builder {
        private final Architecture architecture;
        private KernelConfig config =
                KernelConfig.linux6_1().toBuilder().checkVermagic(false).build();
        private @Nullable KernelSymbols symbols;
        private @Nullable LinkedKernel linked;
        private final List<BuiltIn> builtIns = new ArrayList<>();
        private @Nullable ModuleAllocator allocator;
        private Executor executor = new RecordingExecutor();
        private Clock clock = Clock.systemUTC();
        private LoadObserver observer = (point, module) -> {};
        private @Nullable FaultInjection faults;
        private boolean strict;
        private long memoryLimit = 1L << 30;
        private Set<Taint> taints = Set.of();
        private @Nullable KernelSymbolTable kallsyms;

        private Builder(Architecture architecture) {
            this.architecture = requireNonNull(architecture);
        }

        /**
         * Sets release and options; by default Linux 6.1 as Debian configures it, taking every
         * vermagic.
         *
         * @param newConfig the options
         * @return this builder
         */
        public Builder config(KernelConfig newConfig) {
            this.config = requireNonNull(newConfig);
            return this;
        }

        /**
         * Sets what is built in, what {@link Kernel#boot} runs: its memory is mapped, and unless
         * they are set otherwise its exports and symbols are the kernel's.
         *
         * @param newLinked a kernel of the same architecture
         * @return this builder
         * @throws IllegalArgumentException if it is for another architecture
         */
        public Builder linked(LinkedKernel newLinked) {
            checkArgument(
                    newLinked.architecture().equals(architecture),
                    "a kernel for %s, not for %s",
                    newLinked.architecture().name(),
                    architecture.name());
            this.linked = newLinked;
            return this;
        }

        /**
         * Adds a function that is built in, behind those added before: link order. They make up the
         * linked kernel, so that {@link #linked(LinkedKernel)} is not to be used besides; for
         * objects and functions together there is {@link StaticLinker}.
         *
         * @param function level, name, and what is run
         * @return this builder
         */
        public Builder builtIn(BuiltIn function) {
            builtIns.add(requireNonNull(function));
            return this;
        }

        private LinkedKernel linked() {
            if (linked == null) {
                StaticLinker linker = StaticLinker.of(architecture, config);
                builtIns.forEach(linker::builtIn);
                linked =
                        builtIns.isEmpty()
                                ? LinkedKernel.builder(architecture).build()
                                : linker.link();
            }
            return linked;
        }

        private KernelSymbols symbols() {
            return symbols == null ? linked().exportedSymbols() : symbols;
        }

        private KernelSymbolTable kallsyms() {
            return kallsyms == null ? linked().symbols() : kallsyms;
        }

        /**
         * Sets what the kernel exports; by default what the linked kernel does, else nothing.
         *
         * @param newSymbols the kernel's own exports
         * @return this builder
         */
        public Builder symbols(KernelSymbols newSymbols) {
            this.symbols = requireNonNull(newSymbols);
            return this;
        }

        /**
         * A symbol that nobody exports is an unknown symbol, as on Linux, instead of getting a stub
         * address.
         *
         * @return this builder
         */
        public Builder strict() {
            this.strict = true;
            return this;
        }

        /**
         * Sets what finds addresses; by default the lowest free ones of the architecture's module
         * area.
         *
         * @param newAllocator an allocator for this kernel alone
         * @return this builder
         */
        public Builder allocator(ModuleAllocator newAllocator) {
            this.allocator = requireNonNull(newAllocator);
            return this;
        }

        /**
         * Sets what runs code; by default a {@link RecordingExecutor}.
         *
         * @param newExecutor what to call for init and exit
         * @return this builder
         */
        public Builder executor(Executor newExecutor) {
            this.executor = requireNonNull(newExecutor);
            return this;
        }

        /**
         * Sets the clock of the log; by default the system's.
         *
         * @param newClock gives the time stamps, which count from when the kernel is built
         * @return this builder
         */
        public Builder clock(Clock newClock) {
            this.clock = requireNonNull(newClock);
            return this;
        }

        /**
         * Sets who is told how far loads have come.
         *
         * @param newObserver called at each point of a load
         * @return this builder
         */
        public Builder observer(LoadObserver newObserver) {
            this.observer = requireNonNull(newObserver);
            return this;
        }

        /**
         * Sets what is to fail, for tests; by default nothing is.
         *
         * @param newFaults asked at each point of loads and unloads
         * @return this builder
         */
        public Builder faults(FaultInjection newFaults) {
            this.faults = requireNonNull(newFaults);
            return this;
        }

        /**
         * Sets how many bytes all modules may take together, beyond which loads fail with ENOMEM; 1
         * GiB by default.
         *
         * @param bytes at least 0
         * @return this builder
         */
        public Builder memoryLimit(long bytes) {
            checkArgument(bytes >= 0, "memory limit %s", bytes);
            this.memoryLimit = bytes;
            return this;
        }

        /**
         * Sets what the kernel is tainted with from the start, as one that has been running for a
         * while; by default nothing. What is said once a boot along with a taint counts as said.
         *
         * @param taints the taints, copied
         * @return this builder
         */
        public Builder taints(Set<Taint> taints) {
            this.taints = Set.copyOf(taints);
            return this;
        }

        /**
         * Sets the kernel's own symbols, for {@link Kernel#kallsyms()} and what looks up names of
         * addresses; by default those of the linked kernel.
         *
         * @param newKallsyms all symbols, exported or not
         * @return this builder
         */
        public Builder kallsyms(KernelSymbolTable newKallsyms) {
            this.kallsyms = requireNonNull(newKallsyms);
            return this;
        }

        /**
         * {@return the kernel}
         *
         * @throws IllegalArgumentException if the linked kernel's blocks overlap or take more than
         *     the memory limit
         * @throws IllegalStateException if there are a linked kernel and built-in functions besides
         * @throws LinkException if the built-in functions cannot be linked
         */
        public Kernel build() {
            if (linked != null && !builtIns.isEmpty()) {
                throw new IllegalStateException("a linked kernel, and functions besides");
            }
            boolean made = linked == null;
            try {
                return new Kernel(this);
            } finally {
                linked = made ? null : linked; // those of the next kernel may be others
            }
        }
    }
}

package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.arch.Architecture;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.internal.ExportIndex;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Stubs;
import io.github.koloader.internal.load.LoadSequence;
import io.github.koloader.internal.load.Unload;
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
                        : architecture.kernelText(config);
        this.state =
                new KernelState(
                        this,
                        config,
                        architecture,
                        new AddressSpace(architecture.encoding()),
                        allocator,
                        builder.executor,
                        new KernelLog(builder.clock),
                        builder.observer,
                        new ExportIndex(builder.symbols),
                        new Stubs(stubs),
                        builder.memoryLimit,
                        Module::new);
        state.taintedBefore(builder.taints);
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

    /** Collects what a kernel is made of. */
    public static final class Builder {
        private final Architecture architecture;
        private KernelConfig config =
                KernelConfig.linux6_1().toBuilder().checkVermagic(false).build();
        private KernelSymbols symbols = KernelSymbols.none();
        private @Nullable ModuleAllocator allocator;
        private Executor executor = new RecordingExecutor();
        private Clock clock = Clock.systemUTC();
        private LoadObserver observer = (point, module) -> {};
        private boolean strict;
        private long memoryLimit = 1L << 30;
        private Set<Taint> taints = Set.of();

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
         * Sets what the kernel exports; by default nothing.
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

        /** {@return the kernel} */
        public Kernel build() {
            return new Kernel(this);
        }
    }
}

package io.github.koloader.internal;

import io.github.koloader.BuiltInModule;
import io.github.koloader.Errno;
import io.github.koloader.Executor;
import io.github.koloader.FaultInjection;
import io.github.koloader.FaultPoint;
import io.github.koloader.Initcall;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelLog;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LoadObserver;
import io.github.koloader.Module;
import io.github.koloader.Processor;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architecture;
import io.github.koloader.internal.params.BuiltInTable;
import io.github.koloader.internal.params.DynamicDebug;
import io.github.koloader.internal.params.ParameterHeap;
import io.github.koloader.memory.AddressSpace;
import io.github.koloader.memory.ModuleAllocator;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What a kernel holds: all state there is, besides memory's. */
public final class KernelState {
    /** What users see. */
    public final Kernel kernel;

    /** Its options. */
    public final KernelConfig config;

    /** Its architecture. */
    public final Architecture architecture;

    /** Its memory. */
    public final AddressSpace memory;

    /** Finds addresses. */
    public final ModuleAllocator allocator;

    /** Runs code. */
    public final Executor executor;

    /** Its log. */
    public final KernelLog log;

    /** Is told how far a load has come. */
    public final LoadObserver observer;

    /** Says what is to fail; {@code null} if nothing is. */
    public final @Nullable FaultInjection faults;

    /** All exports. */
    public final ExportIndex exports;

    /** Stub addresses for symbols that nobody exports. */
    public final Stubs stubs;

    /** Bytes that modules may take together. */
    public final long memoryLimit;

    /** Bytes that they take. */
    public long memoryUsed;

    /** Debug lines that are switched on. */
    public final DynamicDebug dynamicDebug = new DynamicDebug();

    /** What is built in; empty in a kernel of which nothing is known but its exports. */
    public final LinkedKernel linked;

    /** Its processor, as functions may leave it. */
    public final Processor processor = new Processor();

    /** The initcall that runs; {@code null} if none does. */
    public @Nullable Initcall initcall;

    /** Whether each initcall is logged. */
    public boolean initcallDebug;

    /** Functions that are not run as initcalls: options of the build, then of the command line. */
    public final Set<String> initcallBlacklist = new HashSet<>();

    /** Number of the thread that runs. */
    public int pid = 1;

    /** Whether its init memory is gone. */
    public boolean initMemoryFreed;

    /** What parameters of built-in code have taken from the heap; {@code null} if nothing. */
    public @Nullable ParameterHeap parameterHeap;

    private @Nullable BuiltInTable builtInTable;

    /** Makes what users see of a module. */
    public final Function<LoadedModule, Module> facades;

    /** All modules by name, oldest first, the unformed included. */
    public final Map<String, LoadedModule> modules = new LinkedHashMap<>();

    /** What is built in and has a directory in sysfs, by name. */
    public final Map<String, BuiltInModule> builtIns = new LinkedHashMap<>();

    /** The kernel's own symbols. */
    public final KernelSymbolTable kernelSymbols;

    /** Name and taints of the module that was unloaded last, as an oops shows them; or empty. */
    public String lastUnloaded = "";

    /** Why it is tainted. */
    public final EnumSet<Taint> taints = EnumSet.noneOf(Taint.class);

    private final Set<String> saidOnce = new HashSet<>();

    /** A kernel without modules. */
    public KernelState(
            Kernel kernel,
            KernelConfig config,
            Architecture architecture,
            AddressSpace memory,
            ModuleAllocator allocator,
            Executor executor,
            KernelLog log,
            LoadObserver observer,
            @Nullable FaultInjection faults,
            ExportIndex exports,
            Stubs stubs,
            long memoryLimit,
            KernelSymbolTable kernelSymbols,
            LinkedKernel linked,
            Function<LoadedModule, Module> facades) {
        this.kernel = kernel;
        this.config = config;
        this.architecture = architecture;
        this.memory = memory;
        this.allocator = allocator;
        this.executor = executor;
        this.log = log;
        this.observer = observer;
        this.faults = faults;
        this.exports = exports;
        this.stubs = stubs;
        this.memoryLimit = memoryLimit;
        this.kernelSymbols = kernelSymbols;
        this.linked = linked;
        this.initcallBlacklist.addAll(config.initcallBlacklist());
        this.facades = facades;
    }

    /**
     * A step begins.
     *
     * @throws io.github.koloader.LoadException if it is to fail
     */
    public void step(FaultPoint point, String module) {
        Errno fault = fault(point, module);
        if (fault != null) {
            throw Failures.injected(point, module, fault);
        }
    }

    /** What a step is to fail with, or {@code null}. */
    public @Nullable Errno fault(FaultPoint point, String module) {
        if (faults == null) {
            return null;
        }
        Optional<Errno> answer = faults.at(point, module);
        return answer.orElse(null);
    }

    /** Parameters of built-in code. */
    public BuiltInTable builtInTable() {
        if (builtInTable == null) {
            builtInTable = new BuiltInTable(this);
        }
        return builtInTable;
    }

    /** The heap, as far as built-in code uses it. */
    public ParameterHeap heap() {
        if (parameterHeap == null) {
            parameterHeap = new ParameterHeap(this, "kernel");
        }
        return parameterHeap;
    }

    /** Whether this is the first time since boot that {@code what} happens. */
    public boolean once(String what) {
        return saidOnce.add(what);
    }

    /** The kernel has been tainted before, and has said what it says once about that. */
    public void taintedBefore(Set<Taint> before) {
        taints.addAll(before);
        if (before.stream().anyMatch(KernelState::endsLockDebugging)) {
            saidOnce.add("lock debugging");
        }
        if (before.contains(Taint.UNSIGNED_MODULE)) {
            saidOnce.add("unsigned");
        }
        if (before.contains(Taint.LIVEPATCH)) {
            saidOnce.add("livepatch");
        }
    }

    private static boolean endsLockDebugging(Taint taint) {
        return switch (taint) {
            case PROPRIETARY_MODULE,
                    FORCED_MODULE,
                    FORCED_RMMOD,
                    MACHINE_CHECK,
                    BAD_PAGE,
                    DIE,
                    OVERRIDDEN_ACPI_TABLE ->
                    true;
            default -> false;
        };
    }

    /** Taints the kernel and a module. */
    public void taint(Set<Taint> module, Taint taint) {
        taint(taint);
        module.add(taint);
    }

    /**
     * Taints the kernel. The first taint after which its lock debugging cannot be relied on turns
     * that off.
     *
     * @kernel kernel/panic.c, add_taint()
     */
    public void taint(Taint taint) {
        if (endsLockDebugging(taint) && once("lock debugging")) {
            log.add(Warnings.lockDebuggingOff());
        }
        taints.add(taint);
    }

    /**
     * What happens to a module that lacks what only a forced load can do without.
     *
     * @return whether it is taken all the same
     * @kernel kernel/module/main.c, try_to_force_load()
     */
    public boolean tryToForceLoad(Set<Taint> module, String name, String reason) {
        if (!config.forceLoad()) {
            return false;
        }
        if (!taints.contains(Taint.FORCED_MODULE)) {
            log.add(Warnings.forced(name, reason));
        }
        taint(module, Taint.FORCED_MODULE);
        return true;
    }
}

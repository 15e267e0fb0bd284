package io.github.koloader.internal.boot;

import io.github.koloader.BootOptions;
import io.github.koloader.BootReport;
import io.github.koloader.BootReport.Result;
import io.github.koloader.Errno;
import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.KernelParameters;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Warnings;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a kernel does with its built-in code between its first line in the log and the first
 * process: options, initcalls, freeing init memory. What initcalls start asynchronously is not
 * waited for, since functions run to their end here.
 *
 * @kernel init/main.c, start_kernel(), kernel_init()
 */
public final class BootSequence {
    private static final int LEVELS = 8;

    private final KernelState kernel;
    private final KernelParameters parameters;
    private final String commandLine;
    private final UnknownWords words;
    private final List<Result> results = new ArrayList<>();

    private BootSequence(
            KernelState kernel,
            KernelParameters parameters,
            BootOptions options,
            String commandLine) {
        this.kernel = kernel;
        this.parameters = parameters;
        this.commandLine = commandLine;
        this.words = new UnknownWords(kernel, OptionTable.of(kernel, options, commandLine));
    }

    /** Boots, once. */
    public static BootReport run(
            KernelState kernel,
            KernelParameters parameters,
            BootOptions options,
            String commandLine) {
        BootSequence sequence = new BootSequence(kernel, parameters, options, commandLine);
        kernel.pid = 0;
        try {
            sequence.startKernel();
        } finally {
            kernel.pid = 1;
        }
        sequence.kernelInit();
        return new BootReport(
                sequence.results, sequence.words.arguments(), sequence.words.environment());
    }

    // ---- thread 0 ----

    private void startKernel() {
        kernel.linked.banner().ifPresent(line -> kernel.log.add(Warnings.banner(line)));
        parameters.parse("early options", commandLine, NO_LEVEL, words::early);
        kernel.log.add(Warnings.commandLine(commandLine));
        Optional<String> rest = parameters.parse("Booting kernel", commandLine, -1, words::unknown);
        words.report();
        rest.ifPresent(
                line -> parameters.parse("Setting init args", line, NO_LEVEL, words::argument));
        runDirectly(InitcallLevel.CONSOLE);
        words.panicIfTooMany();
        if (!kernel.config.atLeast(5, 0)) {
            runDirectly(InitcallLevel.SECURITY);
        }
    }

    /** No parameter has this level: all words are unknown. */
    private static final int NO_LEVEL = KernelParameters.NO_LEVEL;

    /** Calls functions one after the other, and looks at nothing. */
    private void runDirectly(InitcallLevel level) {
        boolean traced = kernel.config.atLeast(4, 17);
        for (Initcall initcall : kernel.linked.initcalls()) {
            if (initcall.level() == level) {
                int returned =
                        with(
                                initcall,
                                call ->
                                        traced
                                                ? DoOneInitcall.traced(kernel, call)
                                                : kernel.executor.call(call));
                results.add(new Result(initcall, returned, false, ""));
            }
        }
    }

    // ---- thread 1 ----

    private void kernelInit() {
        for (Initcall initcall : kernel.linked.initcalls()) {
            if (initcall.level() == InitcallLevel.EARLY) {
                run(initcall);
            }
        }
        construct();
        for (int level = 0; level < LEVELS; level++) {
            parameters.parse(passName(level), commandLine, level);
            for (Initcall initcall : kernel.linked.initcalls()) {
                if (initcall.level().number().orElse(-1) == level) {
                    run(initcall);
                }
            }
        }
        InitMemory.free(kernel);
        InitMemory.protect(kernel, words.rodata());
    }

    /**
     * Calls constructors, of which kernels have some when they count coverage.
     *
     * @kernel init/main.c, do_ctors()
     */
    private void construct() {
        Optional<Address> start = kernel.kernelSymbols.address("__ctors_start");
        Optional<Address> end = kernel.kernelSymbols.address("__ctors_end");
        if (!kernel.config.kconfig("CONFIG_CONSTRUCTORS", false)
                || start.isEmpty()
                || end.isEmpty()) {
            return;
        }
        int wordSize = kernel.architecture.encoding().wordSize();
        for (Address at = start.get(); at.compareTo(end.get()) < 0; at = at.plus(wordSize)) {
            kernel.kernel.call(kernel.memory.readPointer(at));
        }
    }

    /** In old kernels the first level's pass has the name of what runs before it. */
    private String passName(int level) {
        return level == 0 && !kernel.config.atLeast(5, 1) ? "early" : InitcallLevel.passName(level);
    }

    private void run(Initcall initcall) {
        kernel.initcall = initcall;
        boolean blacklisted = DoOneInitcall.isBlacklisted(kernel, initcall.function());
        kernel.initcall = null;
        if (blacklisted) {
            results.add(new Result(initcall, -Errno.EPERM.number(), true, ""));
            return;
        }
        DoOneInitcall.Outcome outcome = with(initcall, call -> DoOneInitcall.run(kernel, call));
        results.add(new Result(initcall, outcome.returned(), false, outcome.imbalance()));
    }

    /** What is done with the call of an initcall. */
    private interface Action<T> {
        T run(Call call);
    }

    private <T> T with(Initcall initcall, Action<T> action) {
        kernel.initcall = initcall;
        try {
            return action.run(new Call(kernel.kernel, null, Phase.INITCALL, initcall.function()));
        } finally {
            kernel.initcall = null;
        }
    }
}

package io.github.koloader.internal.boot;

import io.github.koloader.Executor.Call;
import io.github.koloader.Initcall;
import io.github.koloader.Processor;
import io.github.koloader.SymbolPlace;
import io.github.koloader.Taint;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Warnings;
import io.github.koloader.memory.Address;
import java.time.Duration;
import java.util.Optional;

/**
 * Runs one function of those that bring code up: an initcall, or init of a module.
 *
 * @kernel init/main.c, do_one_initcall()
 */
public final class DoOneInitcall {
    private DoOneInitcall() {}

    /**
     * What came of it.
     *
     * @param returned what the function answered
     * @param imbalance what it left behind, as the warning has it; or empty
     */
    public record Outcome(int returned, String imbalance) {}

    /**
     * Whether a function is not to be run. Names are compared without the module's.
     *
     * @kernel init/main.c, initcall_blacklisted()
     */
    public static boolean isBlacklisted(KernelState kernel, Address function) {
        return !kernel.initcallBlacklist.isEmpty()
                && kernel.config.atLeast(3, 16)
                && kernel.config.kallsyms()
                && name(kernel, function).filter(kernel.initcallBlacklist::contains).isPresent();
    }

    /** Name of a function; that of an initcall may be known without symbols. */
    static Optional<String> name(KernelState kernel, Address function) {
        return kernel.kernel
                .symbolAt(function)
                .map(SymbolPlace::symbol)
                .or(
                        () ->
                                Optional.ofNullable(kernel.initcall)
                                        .map(Initcall::name)
                                        .filter(name -> !name.isEmpty()));
    }

    /** Calls a function that is not blacklisted, and looks at how it leaves the processor. */
    public static Outcome run(KernelState kernel, Call call) {
        Processor processor = kernel.processor;
        int count = processor.preemptCount();
        int returned = traced(kernel, call);
        String imbalance = "";
        if (processor.preemptCount() != count) {
            imbalance = "preemption imbalance ";
            processor.setPreemptCount(count);
        }
        if (processor.irqsDisabled()) {
            imbalance += "disabled interrupts ";
            processor.localIrqEnable();
        }
        if (!imbalance.isEmpty()) {
            kernel.log.addAll(Warnings.initcallImbalance(place(kernel, call.entry()), imbalance));
            kernel.taint(Taint.WARN);
        }
        return new Outcome(returned, imbalance);
    }

    /** Calls a function, with the lines of {@code initcall_debug} around it. */
    static int traced(KernelState kernel, Call call) {
        if (!kernel.initcallDebug) {
            return kernel.executor.call(call);
        }
        String place = place(kernel, call.entry());
        kernel.log.add(Warnings.callingInitcall(place, kernel.pid));
        Duration start = kernel.log.uptime();
        int returned = kernel.executor.call(call);
        long nanos = kernel.log.uptime().minus(start).toNanos();
        long micros = kernel.config.atLeast(5, 19) ? nanos / 1000 : nanos >> 10;
        kernel.log.add(Warnings.initcallReturned(place, returned, micros));
        return returned;
    }

    /** What {@code %pS} prints of a function. */
    private static String place(KernelState kernel, Address function) {
        if (!kernel.config.kallsyms()) {
            int digits = 2 * kernel.architecture.encoding().wordSize();
            return String.format("0x%0" + digits + "x", function.value());
        }
        return kernel.kernel
                .symbolAt(function)
                .map(SymbolPlace::toString)
                .orElseGet(() -> "0x" + Long.toHexString(function.value()));
    }
}

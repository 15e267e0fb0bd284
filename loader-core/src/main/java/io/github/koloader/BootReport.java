package io.github.koloader;

import java.util.List;

/**
 * What came of a boot.
 *
 * @param initcalls the initcalls in the order in which they were run
 * @param initArguments what init is called with, behind its own name
 * @param initEnvironment environment of init, {@code NAME=value} each
 */
public record BootReport(
        List<Result> initcalls, List<String> initArguments, List<String> initEnvironment) {
    /**
     * What came of an initcall.
     *
     * @param initcall the entry
     * @param returned what its function answered, which a boot ignores; −EPERM if it was not run
     * @param blacklisted whether it was not run because {@code initcall_blacklist=} names it
     * @param imbalance {@code preemption imbalance }, {@code disabled interrupts }, both, or
     *     nothing
     */
    public record Result(Initcall initcall, int returned, boolean blacklisted, String imbalance) {}

    /**
     * Copies the lists.
     *
     * @param initcalls the initcalls in the order in which they were run
     * @param initArguments what init is called with
     * @param initEnvironment environment of init
     */
    public BootReport {
        initcalls = List.copyOf(initcalls);
        initArguments = List.copyOf(initArguments);
        initEnvironment = List.copyOf(initEnvironment);
    }

    /** {@return names of the functions that were run, in order} */
    public List<String> called() {
        return initcalls.stream()
                .filter(result -> !result.blacklisted())
                .map(result -> result.initcall().title())
                .toList();
    }
}

package io.github.koloader;

import java.util.Optional;

/** An executor of which calls can be made to fail: the function does not run then. */
final class FaultyExecutor implements Executor {
    private final Executor executor;
    private final FaultInjection faults;

    FaultyExecutor(Executor executor, FaultInjection faults) {
        this.executor = executor;
        this.faults = faults;
    }

    @Override
    public int call(Call call) {
        FaultPoint point =
                switch (call.phase()) {
                    case INIT -> FaultPoint.INIT;
                    case EXIT -> null; // asked before the module is on its way out
                    case SET_PARAMETER -> FaultPoint.SET_PARAMETER;
                    case GET_PARAMETER -> FaultPoint.GET_PARAMETER;
                    case FREE_PARAMETER -> FaultPoint.FREE_PARAMETER;
                    case INITCALL, EARLY_OPTION, SETUP_OPTION, CALL -> null;
                };
        Optional<Errno> fault =
                point == null ? Optional.empty() : faults.at(point, call.owner().orElse(""));
        return fault.isPresent() ? -fault.get().number() : executor.call(call);
    }
}

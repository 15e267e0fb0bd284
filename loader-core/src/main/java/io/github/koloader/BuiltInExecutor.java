package io.github.koloader;

import io.github.koloader.internal.boot.InitMemory;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import java.util.Map;

/** Runs functions of the linked kernel that are Java, and nothing that is gone with init memory. */
final class BuiltInExecutor implements Executor {
    private final Executor executor;
    private final Map<Address, Executor> functions;

    BuiltInExecutor(Executor executor, Map<Address, Executor> functions) {
        this.executor = executor;
        this.functions = functions;
    }

    @Override
    public int call(Call call) {
        if (InitMemory.isFreed(call.kernel().state(), call.entry())) {
            throw new AddressFaultException(call.entry(), "call into freed init memory");
        }
        return functions.getOrDefault(call.entry(), executor).call(call);
    }
}

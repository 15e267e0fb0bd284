package io.github.koloader.internal.params;

import io.github.koloader.ParameterType;
import io.github.koloader.internal.ExportIndex.Export;
import io.github.koloader.internal.KernelState;
import io.github.koloader.memory.Address;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What addresses in the kernel stand for: its own parameter operations and their functions, by the
 * symbols that modules refer to them with.
 *
 * @kernel kernel/params.c, STANDARD_PARAM_DEF()
 */
final class KernelFunctions {
    private final KernelState kernel;
    private final Map<Long, Operations> operations = new HashMap<>();
    private final Map<Long, Operations.Function> functions = new HashMap<>();

    KernelFunctions(KernelState kernel) {
        this.kernel = kernel;
        for (ParameterType type : ParameterType.values()) {
            String setter = type == ParameterType.STRING ? "copystring" : type.text();
            put(functions, "param_set_" + setter, new Operations.Standard(type));
            put(functions, "param_get_" + type.text(), new Operations.Standard(type));
            put(operations, "param_ops_" + type.text(), Operations.of(type));
        }
        put(functions, "param_free_charp", new Operations.Standard(ParameterType.CHARP));
        put(operations, "param_array_ops", Operations.ARRAY);
    }

    private <T> void put(Map<Long, T> map, String symbol, T meaning) {
        Export export = kernel.exports.find(symbol);
        if (export != null && export.owner == null) {
            map.putIfAbsent(export.address, meaning);
            return;
        }
        Address stub = kernel.stubs.all().get(symbol);
        if (stub != null) {
            map.putIfAbsent(stub.value(), meaning);
        }
    }

    /** The kernel's operations at that address, or {@code null}. */
    @Nullable Operations operations(long address) {
        return operations.get(address);
    }

    /** The function at that address: the kernel's, or one of a module; {@code null} for NULL. */
    Operations.@Nullable Function function(long address) {
        Operations.Function known = functions.get(address);
        return known != null ? known : address == 0 ? null : new Operations.OfModule(address);
    }
}

package io.github.koloader.internal.params;

import io.github.koloader.LogLine;
import io.github.koloader.internal.KernelState;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of built-in code: a table in the linked kernel's memory, whose names begin with
 * that of a module. Pointers in it that lead nowhere are faults, as they are for Linux.
 *
 * @kernel include/linux/moduleparam.h, __module_param_call()
 */
public final class BuiltInTable {
    private final KernelState kernel;
    private final ParameterAccess access;
    private final Map<String, Long> byName = new HashMap<>();

    /** The table of a kernel; reads all names. */
    public BuiltInTable(KernelState kernel) {
        this.kernel = kernel;
        this.access = new ParameterAccess(kernel, null);
        AddressRange table =
                kernel.linked.parameterTable().orElse(new AddressRange(Address.NULL, 0));
        int size = access.layout.entrySize();
        for (long at = 0; at <= table.size() - size; at += size) {
            long entry = table.start().value() + at;
            byName.putIfAbsent(KernelArguments.folded(access.text(access.word(entry))), entry);
        }
    }

    /** Address of the first entry of a name in which dashes are underscores, or {@code null}. */
    @Nullable Long find(String folded) {
        return byName.get(folded);
    }

    /** The level of an entry, −1 … 7. */
    int level(long entry) {
        Address field = new Address(entry + access.layout.permissions() + 2);
        return access.layout.flags() < 0
                ? (short) kernel.memory.readShort(field)
                : (byte) kernel.memory.readByte(field);
    }

    /** Sets the parameter of an entry. */
    int set(long entry, TextBuffer text, int value, Consumer<LogLine> says) {
        try {
            return access.set(entry, text, value, says);
        } finally {
            text.unmap(kernel.heap());
        }
    }
}

package io.github.koloader;

import io.github.koloader.memory.Address;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The symbols that the kernel itself exports; those of modules are found in the modules. A kernel
 * keeps what it has found, so an answer must not change; for a name that was not there it may ask
 * again.
 */
@FunctionalInterface
public interface KernelSymbols {
    /**
     * {@return the export of that name; empty if there is none}
     *
     * @param name name of the symbol
     */
    Optional<ExportedSymbol> find(String name);

    /** {@return a kernel that exports nothing} */
    static KernelSymbols none() {
        return name -> Optional.empty();
    }

    /**
     * {@return these symbols, for everybody, without CRCs}
     *
     * @param addresses the address of each name, copied
     */
    static KernelSymbols of(Map<String, Address> addresses) {
        Map<String, Address> copy = new LinkedHashMap<>(addresses);
        return name ->
                Optional.ofNullable(copy.get(name))
                        .map(address -> ExportedSymbol.of(name, address));
    }
}

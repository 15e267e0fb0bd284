package io.github.koloader;

import io.github.koloader.memory.Address;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

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

    /**
     * {@return the names of all exports, in any order, of which some are told to people who may
     * have meant them; by default none, though there may be exports}
     */
    default Stream<String> names() {
        return Stream.empty();
    }

    /**
     * {@return the module that exports a name, as the build of the kernel knows it and whether or
     * not it is loaded, without {@code .ko}; told to people whose load lacks it; by default empty}
     *
     * @param name name of the symbol
     */
    default Optional<String> exporterOf(String name) {
        return Optional.empty();
    }

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
        return new KernelSymbols() {
            @Override
            public Optional<ExportedSymbol> find(String name) {
                return Optional.ofNullable(copy.get(name))
                        .map(address -> ExportedSymbol.of(name, address));
            }

            @Override
            public Stream<String> names() {
                return copy.keySet().stream();
            }
        };
    }
}

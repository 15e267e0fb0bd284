package io.github.koloader;

import java.util.Optional;

/**
 * An address as a place in a function or object: what {@code %pS} prints.
 *
 * @param symbol name of the symbol that it lies in or behind, one character a byte
 * @param offset bytes from that symbol
 * @param size bytes from that symbol to the next; modulo 2^64, for in data the kernel counts to the
 *     end of the code
 * @param module name of the module; empty for the kernel itself
 * @kernel kernel/kallsyms.c, sprint_symbol()
 */
public record SymbolPlace(String symbol, long offset, long size, Optional<String> module) {
    /** As the kernel prints it: {@code name+0x10/0x20 [module]}. */
    @Override
    public String toString() {
        return symbol
                + "+0x"
                + Long.toHexString(offset)
                + "/0x"
                + Long.toHexString(size)
                + module.map(name -> " [" + name + "]").orElse("");
    }
}

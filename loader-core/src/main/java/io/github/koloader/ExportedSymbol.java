package io.github.koloader;

import static java.util.Objects.requireNonNull;

import io.github.koloader.memory.Address;
import java.util.OptionalInt;

/**
 * A symbol that the kernel exports to modules.
 *
 * @param name its name
 * @param address its value
 * @param gplOnly whether only GPL-compatible modules may use it
 * @param namespace its namespace, empty for none
 * @param crc its CRC, if known; without one every module is taken to agree
 */
public record ExportedSymbol(
        String name, Address address, boolean gplOnly, String namespace, OptionalInt crc) {
    /**
     * Checks for nulls.
     *
     * @param name its name
     * @param address its value
     * @param gplOnly whether only GPL-compatible modules may use it
     * @param namespace its namespace, empty for none
     * @param crc its CRC, if known; without one every module is taken to agree
     */
    public ExportedSymbol {
        requireNonNull(name);
        requireNonNull(address);
        requireNonNull(namespace);
        requireNonNull(crc);
    }

    /**
     * {@return a symbol for everybody, without namespace and CRC}
     *
     * @param name its name
     * @param address its value
     */
    public static ExportedSymbol of(String name, Address address) {
        return new ExportedSymbol(name, address, false, "", OptionalInt.empty());
    }
}

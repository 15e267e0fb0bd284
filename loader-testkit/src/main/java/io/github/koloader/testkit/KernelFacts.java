package io.github.koloader.testkit;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.TrustedKeys;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What is known of the kernel of a recording.
 *
 * @param architecture its architecture
 * @param config its release and options, without those of a command line
 * @param exports what it exports, with addresses, CRCs, licences and namespaces as far as known
 * @param exportsComplete whether those are all that it exports
 * @param addressesKnown whether addresses of its symbols are real ones, as far as known at all
 * @param names the names of its symbols by address
 * @param text where its code and data are
 * @param moduleStart the lowest address that a module was seen at
 * @param keys the certificates that it trusts; empty if they are not known
 * @param sources where all this is from, for people
 */
record KernelFacts(
        Architecture architecture,
        KernelConfig config,
        Map<String, ExportedSymbol> exports,
        boolean exportsComplete,
        boolean addressesKnown,
        TreeMap<Long, String> names,
        AddressRange text,
        Optional<Address> moduleStart,
        Optional<TrustedKeys> keys,
        List<String> sources) {

    /** Whether values in messages, made of addresses, can be compared. */
    boolean valuesKnown() {
        return addressesKnown && moduleStart.isPresent();
    }

    /** What it exports. */
    KernelSymbols symbols() {
        return name -> Optional.ofNullable(exports.get(name));
    }

    /** The symbol that lies at an address. */
    Optional<String> nameAt(long address) {
        return Optional.ofNullable(names.get(address));
    }

    /** Whether an address is in the kernel's own code or data. */
    boolean isKernel(long address) {
        return text.contains(new Address(address));
    }

    /** {@code symbol+0x…} of an address of the kernel. */
    String describe(long address) {
        Map.Entry<Long, String> before = names.floorEntry(address);
        return before == null
                ? "0x" + Long.toHexString(address)
                : "%s+0x%x".formatted(before.getValue(), address - before.getKey());
    }
}

package io.github.koloader.elf.kernel;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.KernelSymbols;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * {@code System.map} or {@code /proc/kallsyms}: the addresses of a kernel's symbols. Lines of
 * modules ({@code [name]} at the end) are passed over. Immutable.
 */
public final class SystemMap {
    private static final String EXPORT = "__ksymtab_";

    private final Map<String, Address> addresses;
    private final KernelSymbolTable table;

    private SystemMap(Map<String, Address> addresses, KernelSymbolTable table) {
        this.addresses = Collections.unmodifiableMap(addresses);
        this.table = table;
    }

    /**
     * Reads a file: lines of address, type letter and name.
     *
     * @param file a {@code System.map}, or a copy of {@code /proc/kallsyms}
     * @return its symbols
     * @throws IOException if it cannot be read, is larger than 128 MiB, or a line is not of that
     *     form
     */
    public static SystemMap read(Path file) throws IOException {
        return parse(FileBytes.text(file), file.toString());
    }

    /**
     * Reads text; {@code source} names it in errors.
     *
     * @param text what is in the file, one character a byte
     * @param source name of the file, for people
     * @return its symbols
     * @throws IOException if a line is not of the form
     */
    public static SystemMap parse(String text, String source) throws IOException {
        Map<String, Address> addresses = new LinkedHashMap<>();
        KernelSymbolTable.Builder table = KernelSymbolTable.builder();
        int number = 0;
        for (String line : text.split("\n", -1)) {
            number++;
            if (line.isEmpty() || line.endsWith("]")) {
                continue;
            }
            String[] fields = line.split(" ", 3);
            if (fields.length != 3 || fields[1].length() != 1 || fields[2].isEmpty()) {
                throw new IOException(
                        source + ":" + number + ": not address, type and name: " + line);
            }
            try {
                Address address = new Address(Long.parseUnsignedLong(fields[0], 16));
                addresses.putIfAbsent(fields[2], address);
                table.symbol(address, fields[1].charAt(0), fields[2]);
            } catch (NumberFormatException e) {
                throw new IOException(source + ":" + number + ": no address: " + fields[0], e);
            }
        }
        return new SystemMap(addresses, table.build());
    }

    /**
     * {@return the address of the first symbol of that name; empty if there is none}
     *
     * @param name name of the symbol
     */
    public Optional<Address> address(String name) {
        return Optional.ofNullable(addresses.get(name));
    }

    /** {@return all symbols, in the file's order} */
    public Map<String, Address> addresses() {
        return addresses;
    }

    /**
     * {@return every line of the file, for {@code Kernel.Builder.kallsyms}: what the kernel's part
     * of {@code /proc/kallsyms} shows, in the file's order}
     */
    public KernelSymbolTable table() {
        return table;
    }

    /**
     * {@return what the kernel exports, going by symbols {@code __ksymtab_x}: name and address,
     * without licence, namespace and CRC, which are not in a map} Where there are no such symbols,
     * every symbol counts as exported.
     */
    public KernelSymbols symbols() {
        boolean known = addresses.keySet().stream().anyMatch(name -> name.startsWith(EXPORT));
        return name ->
                known && !addresses.containsKey(EXPORT + name)
                        ? Optional.empty()
                        : address(name).map(address -> ExportedSymbol.of(name, address));
    }
}

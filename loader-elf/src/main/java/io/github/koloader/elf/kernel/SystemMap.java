package io.github.koloader.elf.kernel;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.KernelSymbols;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * {@code System.map} or {@code /proc/kallsyms}: the addresses of a kernel's symbols. Lines of
 * modules ({@code [name]} at the end) are passed over. Immutable.
 */
public final class SystemMap {
    private static final String EXPORT = "__ksymtab_";
    private static final int MOST_SYMBOLS = 4_000_000; // kernels with everything have a million
    private static final Pattern BEGINNING = Pattern.compile("[0-9A-Fa-f]{1,16} [!-~] [!-~]");

    private final Map<String, Address> addresses;
    private final KernelSymbolTable table;
    private final int wordSize;

    private SystemMap(Map<String, Address> addresses, KernelSymbolTable table, int wordSize) {
        this.addresses = Collections.unmodifiableMap(addresses);
        this.table = table;
        this.wordSize = wordSize;
    }

    /**
     * Reads a file: lines of address, type letter and name.
     *
     * @param file a {@code System.map}, or a copy of {@code /proc/kallsyms}
     * @return its symbols
     * @throws IOException if it cannot be read, is larger than 128 MiB, has more than four million
     *     symbols, or a line is not of that form
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
     * @throws IOException if a line is not of the form, or there are more than four million symbols
     */
    public static SystemMap parse(String text, String source) throws IOException {
        Map<String, Address> addresses = new LinkedHashMap<>();
        KernelSymbolTable.Builder table = KernelSymbolTable.builder();
        int digits = 0;
        int count = 0;
        int number = 0;
        int start = 0;
        while (start < text.length()) {
            int newline = text.indexOf('\n', start);
            String line = text.substring(start, newline < 0 ? text.length() : newline);
            start += line.length() + 1;
            number++;
            if (line.endsWith("\r")) {
                line = line.substring(0, line.length() - 1);
            }
            if (line.isEmpty() || line.endsWith("]")) {
                continue;
            }
            String[] fields = line.split(" ", 3);
            if (fields.length != 3 || fields[1].length() != 1 || fields[2].isEmpty()) {
                throw new IOException(
                        source + ":" + number + ": not address, type and name: " + excerpt(line));
            }
            if (++count > MOST_SYMBOLS) {
                throw new IOException(source + ": more than " + MOST_SYMBOLS + " symbols");
            }
            try {
                Address address = new Address(Long.parseUnsignedLong(fields[0], 16));
                addresses.putIfAbsent(fields[2], address);
                table.symbol(address, fields[1].charAt(0), fields[2]);
                digits = Math.max(digits, fields[0].length());
            } catch (NumberFormatException e) {
                throw new IOException(
                        source + ":" + number + ": no address: " + excerpt(fields[0]), e);
            }
        }
        return new SystemMap(addresses, table.build(), digits > 8 ? 8 : 4);
    }

    private static String excerpt(String text) {
        return text.length() <= 200 ? text : text.substring(0, 200) + "...";
    }

    /**
     * {@return whether a file looks like a {@code System.map}: whether it begins with hexadecimal
     * digits, a blank, one character and a blank}
     *
     * @param file any file
     * @throws IOException if it cannot be read
     */
    public static boolean isOne(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            String start = new String(in.readNBytes(64), ISO_8859_1);
            return BEGINNING.matcher(start).lookingAt();
        }
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

    /** {@return bytes of an address: 8 if any is written with more than 8 digits, else 4} */
    public int wordSize() {
        return wordSize;
    }

    /** {@return the kernel's initcalls, as far as symbols tell; computed anew by each call} */
    public InitcallSymbols initcalls() {
        return InitcallSymbols.of(table);
    }

    /**
     * {@return what the kernel exports, in the file's order, going by symbols {@code __ksymtab_x}:
     * name and address, without licence, namespace and CRC, which are not in a map}
     */
    public List<ExportedSymbol> exports() {
        List<ExportedSymbol> exports = new ArrayList<>();
        for (String symbol : addresses.keySet()) {
            if (symbol.startsWith(EXPORT)) {
                String name = symbol.substring(EXPORT.length());
                address(name).map(at -> ExportedSymbol.of(name, at)).ifPresent(exports::add);
            }
        }
        return List.copyOf(exports);
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

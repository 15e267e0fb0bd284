package io.github.koloader.elf.kernel;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * {@code Module.symvers}: what the kernel of a build and its modules export, with CRCs. Immutable.
 *
 * @kernel scripts/mod/modpost.c, read_dump()
 */
public final class ModuleSymvers {
    /**
     * One line.
     *
     * @param name the symbol
     * @param crc its CRC; 0 in a kernel without versions
     * @param module what exports it: {@code vmlinux}, or a module's path without {@code .ko}
     * @param gplOnly whether only GPL-compatible modules may use it
     * @param namespace its namespace, empty for none
     */
    public record Entry(String name, int crc, String module, boolean gplOnly, String namespace) {
        /** {@return whether the kernel itself exports it} */
        public boolean ofKernel() {
            return module.equals("vmlinux");
        }
    }

    private final List<Entry> entries;

    private ModuleSymvers(List<Entry> entries) {
        this.entries = Collections.unmodifiableList(entries);
    }

    /**
     * Reads a file: lines of CRC, symbol, module, kind of export and, since Linux 5.4, namespace,
     * separated by TABs.
     *
     * @param file a {@code Module.symvers}
     * @return its entries
     * @throws IOException if it cannot be read, is larger than 128 MiB, or a line is not of that
     *     form
     */
    public static ModuleSymvers read(Path file) throws IOException {
        return parse(FileBytes.text(file), file.toString());
    }

    /**
     * Reads text; {@code source} names it in errors.
     *
     * @param text what is in the file, one character a byte
     * @param source name of the file, for people
     * @return its entries
     * @throws IOException if a line is not of the form
     */
    public static ModuleSymvers parse(String text, String source) throws IOException {
        List<Entry> entries = new ArrayList<>();
        int line = 0;
        for (int from = 0; from < text.length(); ) {
            int end = text.indexOf('\n', from);
            end = end < 0 ? text.length() : end;
            line++;
            if (end > from) {
                entries.add(entry(text, from, end, source, line));
            }
            from = end + 1;
        }
        return new ModuleSymvers(entries);
    }

    private static Entry entry(String text, int from, int end, String source, int line)
            throws IOException {
        int crcEnd = tab(text, from, end);
        int nameEnd = tab(text, crcEnd + 1, end);
        int moduleEnd = tab(text, nameEnd + 1, end);
        int kindEnd = tab(text, moduleEnd + 1, end);
        boolean old = kindEnd == end; // before 5.4: no namespace
        if (moduleEnd == end
                || nameEnd == crcEnd + 1
                || moduleEnd == nameEnd + 1
                || !old && tab(text, kindEnd + 1, end) != end) {
            throw new IOException(source + ":" + line + ": parse error in symbol dump file");
        }
        try {
            int digits = text.startsWith("0x", from) ? from + 2 : from;
            return new Entry(
                    text.substring(crcEnd + 1, nameEnd),
                    Integer.parseUnsignedInt(text, digits, crcEnd, 16),
                    text.substring(nameEnd + 1, moduleEnd),
                    text.startsWith("_GPL", kindEnd - 4),
                    old ? "" : text.substring(kindEnd + 1, end));
        } catch (NumberFormatException | IndexOutOfBoundsException e) {
            throw new IOException(source + ":" + line + ": parse error in symbol dump file", e);
        }
    }

    /** Index of the next TAB from {@code from} on, or {@code end}. */
    private static int tab(String text, int from, int end) {
        int found = text.indexOf('\t', from);
        return found < 0 || found > end ? end : found;
    }

    /** {@return all entries, in the file's order} */
    public List<Entry> entries() {
        return entries;
    }

    /** {@return whether any entry has a CRC: the kernel was built with CONFIG_MODVERSIONS} */
    public boolean versioned() {
        return entries.stream().anyMatch(entry -> entry.crc() != 0);
    }

    /**
     * {@return the kernel's exports, each at an address of its own in the architecture's kernel
     * text}
     *
     * @param architecture whose kernel text holds them
     */
    public KernelSymbols symbols(Architecture architecture) {
        return symbols(architecture, name -> Optional.empty());
    }

    /**
     * {@return that kernel's exports, each at an address of its own in its text}
     *
     * @param architecture whose kernel text holds them
     * @param config the kernel
     */
    public KernelSymbols symbols(Architecture architecture, KernelConfig config) {
        return symbols(architecture, config, name -> Optional.empty());
    }

    /**
     * {@return the kernel's exports}
     *
     * @param architecture whose kernel text holds symbols without an address
     * @param addresses the address of a name, as {@link SystemMap#address} knows it
     */
    public KernelSymbols symbols(
            Architecture architecture, Function<String, Optional<Address>> addresses) {
        return symbols(architecture.kernelText(), addresses);
    }

    /**
     * {@return that kernel's exports}
     *
     * @param architecture whose kernel text holds symbols without an address
     * @param config the kernel
     * @param addresses the address of a name, as {@link SystemMap#address} knows it
     */
    public KernelSymbols symbols(
            Architecture architecture,
            KernelConfig config,
            Function<String, Optional<Address>> addresses) {
        return symbols(architecture.kernelText(config), addresses);
    }

    private KernelSymbols symbols(
            AddressRange text, Function<String, Optional<Address>> addresses) {
        boolean versioned = versioned();
        Map<String, ExportedSymbol> symbols = new HashMap<>(entries.size() * 2);
        long next = text.size() / 2; // the lower half is for a permissive kernel's stubs
        for (Entry entry : entries) {
            if (!entry.ofKernel()) {
                continue;
            }
            Address made = text.start().plus(next);
            next += 16;
            symbols.putIfAbsent(
                    entry.name(),
                    new ExportedSymbol(
                            entry.name(),
                            addresses.apply(entry.name()).orElse(made),
                            entry.gplOnly(),
                            entry.namespace(),
                            versioned ? OptionalInt.of(entry.crc()) : OptionalInt.empty()));
        }
        return new KernelSymbols() {
            @Override
            public Optional<ExportedSymbol> find(String name) {
                return Optional.ofNullable(symbols.get(name));
            }

            @Override
            public Stream<String> names() {
                return symbols.keySet().stream();
            }

            @Override
            public Optional<String> exporterOf(String name) {
                return entries.stream()
                        .filter(entry -> !entry.ofKernel() && entry.name().equals(name))
                        .map(Entry::module)
                        .findFirst();
            }
        };
    }
}

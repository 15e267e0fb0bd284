package io.github.koloader;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Makes small linked kernels: a page of text, a page of data, three pages of init memory. */
final class BootKernel {
    static final int PAGE = 4096;
    private static final long TEXT = 0;
    private static final long DATA = PAGE;
    private static final long INIT = 2 * PAGE;
    private static final int INIT_SIZE = 3 * PAGE;

    private final Architecture architecture;
    private final long base;
    private final LinkedKernel.Builder kernel;
    private final byte[] data = new byte[PAGE];
    private int dataUsed;
    private int functions;
    private final Map<Long, String> symbols = new TreeMap<>(Long::compareUnsigned);
    private final List<byte[]> parameters = new ArrayList<>();
    private final List<byte[]> options = new ArrayList<>();

    BootKernel(Architecture architecture) {
        this.architecture = architecture;
        this.base = architecture.kernelText().start().value();
        this.kernel = LinkedKernel.builder(architecture);
        symbols.put(base + TEXT, "_text");
    }

    /** An initcall of that level, at 16 bytes of its own in init text. */
    BootKernel initcall(InitcallLevel level, String name, Executor function) {
        return initcall(level, name, Optional.empty(), function);
    }

    BootKernel initcall(
            InitcallLevel level, String name, Optional<String> module, Executor function) {
        Address address = function(name, function);
        kernel.initcall(new Initcall(level, address, name, module));
        return this;
    }

    /** A function in init text. */
    Address function(String name, Executor function) {
        Address address = new Address(base + INIT + 16L * functions++);
        symbols.put(address.value(), name);
        kernel.function(address, function);
        return address;
    }

    /** Text in data, and its address. */
    private Address text(String text) {
        Address address = new Address(base + DATA + dataUsed);
        byte[] bytes = text.getBytes(ISO_8859_1);
        System.arraycopy(bytes, 0, data, dataUsed, bytes.length);
        dataUsed += bytes.length + 16 & -16;
        return address;
    }

    /** A variable of that many bytes in data. */
    Address variable(int size) {
        Address address = new Address(base + DATA + dataUsed);
        dataUsed += size + 15 & -16;
        return address;
    }

    BootKernel symbol(String name, Address address) {
        symbols.put(address.value(), name);
        return this;
    }

    /** Writes a pointer into data. */
    void pointer(Address variable, Address value) {
        byte[] word = words(value.value());
        System.arraycopy(word, 0, data, (int) (variable.value() - base - DATA), word.length);
    }

    private byte[] words(long... words) {
        int size = architecture.encoding().wordSize();
        ByteBuffer buffer =
                ByteBuffer.allocate(words.length * size).order(architecture.encoding().byteOrder());
        for (long word : words) {
            if (size == 8) {
                buffer.putLong(word);
            } else {
                buffer.putInt((int) word);
            }
        }
        return buffer.array();
    }

    /** A {@code struct kernel_param} as it is since 4.2, on a 64-bit machine of little end. */
    BootKernel parameter(String name, Address operations, int level, Address variable) {
        long packed = 0644L | (level & 0xffL) << 16;
        parameters.add(words(text(name).value(), 0, operations.value(), packed, variable.value()));
        return this;
    }

    /** A {@code struct obs_kernel_param}. */
    BootKernel option(String text, Address function, boolean early) {
        options.add(words(text(text).value(), function.value(), early ? 1 : 0));
        return this;
    }

    BootKernel export(String name, Address address) {
        kernel.export(ExportedSymbol.of(name, address));
        return this;
    }

    LinkedKernel.Builder builder() {
        return kernel;
    }

    Address initStart() {
        return new Address(base + INIT);
    }

    private AddressRange put(byte[] init, int at, List<byte[]> entries) {
        int size = 0;
        for (byte[] entry : entries) {
            System.arraycopy(entry, 0, init, at + size, entry.length);
            size += entry.length;
        }
        return new AddressRange(new Address(base + INIT + at), size);
    }

    LinkedKernel link() {
        byte[] init = new byte[INIT_SIZE];
        if (!parameters.isEmpty()) {
            kernel.parameterTable(put(init, PAGE, parameters));
        }
        if (!options.isEmpty()) {
            kernel.setupTable(put(init, 2 * PAGE, options));
        }
        symbols.put(base + INIT + 16L * functions, "_einittext");
        KernelSymbolTable.Builder table = KernelSymbolTable.builder();
        symbols.forEach((address, name) -> table.symbol(new Address(address), 't', name));
        table.symbol(new Address(base + INIT + INIT_SIZE), 'B', "_end");
        return kernel.symbols(table.build())
                .initArea(new AddressRange(new Address(base + INIT), INIT_SIZE))
                .block(block(TEXT, new byte[PAGE], Rights.READ_EXECUTE, ".text"))
                .block(block(DATA, Arrays.copyOf(data, PAGE), Rights.READ_WRITE, ".data"))
                .block(block(INIT, init, Rights.READ_WRITE_EXECUTE, ".init"))
                .build();
    }

    private LinkedKernel.Block block(long offset, byte[] bytes, Rights rights, String name) {
        return new LinkedKernel.Block(
                new Address(base + offset), Bytes.wrap(bytes), bytes.length, rights, name);
    }

    Kernel.Builder kernel() {
        return Kernel.builder(architecture)
                .linked(link())
                .clock(java.time.Clock.fixed(java.time.Instant.EPOCH, java.time.ZoneOffset.UTC));
    }
}

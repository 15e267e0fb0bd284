package io.github.koloader.cli;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.SystemCalls;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Hands module files to a kernel as kmod does: a plain file by {@code finit_module(2)}, and so a
 * packed one if the kernel unpacks its kind; else unpacked, by {@code init_module(2)}.
 */
final class Insertion {
    private final SystemCalls calls;
    private final Kernel kernel;
    private final int flags;

    /** For a kernel; {@code flags} are those of {@code finit_module(2)} that force. */
    Insertion(Kernel kernel, SystemCalls calls, int flags) {
        this.kernel = kernel;
        this.calls = calls;
        this.flags = flags;
    }

    /**
     * The kernel that options ask for, to load a module into.
     *
     * @throws LoadException if the file is no module for any architecture
     * @throws IOException if the file cannot be read
     */
    static Kernel kernelFor(Path file, KernelOptions options, LoadObserver observer)
            throws IOException {
        Bytes bytes = KoReader.any().unpackedBytes(file);
        Architecture architecture = architectureOf(bytes);
        return options.kernel(
                architecture, options.config(vermagic(architecture, bytes)), observer);
    }

    private static Architecture architectureOf(Bytes bytes) {
        Optional<Architecture> architecture = KoReader.architectureOf(bytes);
        if (architecture.isPresent()) {
            return architecture.get();
        }
        int machine =
                KoReader.any()
                        .readImage(bytes) // whatever is wrong with it otherwise comes first
                        .machine();
        throw LoadException.silent(
                Errno.ENOEXEC, "a module for ELF machine " + machine + ", which is not modelled");
    }

    private static Optional<String> vermagic(Architecture architecture, Bytes bytes) {
        try {
            return KoReader.of(architecture).readImage(bytes).modinfo().firstRaw("vermagic");
        } catch (LoadException e) {
            return Optional.empty(); // the kernel will say what is wrong with it
        }
    }

    /**
     * Loads a file.
     *
     * @param parameters one character a byte
     * @return the module
     * @throws LoadException if the kernel refuses it
     * @throws IOException if the file cannot be read
     */
    Module insert(Path file, String parameters) throws IOException {
        call(file, parameters)
                .failure()
                .ifPresent(
                        e -> {
                            throw e;
                        });
        return kernel.modules().get(0); // the newest
    }

    private SystemCalls.Result call(Path file, String parameters) throws IOException {
        byte[] start = start(file);
        String packing = packing(start);
        if (packing.isEmpty()) {
            return calls.finitModule(file, flags, parameters);
        }
        if (packing.equals(kernel.config().moduleCompression())) {
            return calls.finitModule(
                    file, flags | SystemCalls.MODULE_INIT_COMPRESSED_FILE, parameters);
        }
        byte[] unpacked = KoReader.any().unpackedBytes(file).toByteArray();
        if (flags == 0) {
            return calls.initModule(unpacked, parameters);
        }
        Path plain = Files.createTempFile("module", ".ko"); // init_module() has no flags
        try {
            return calls.finitModule(Files.write(plain, unpacked), flags, parameters);
        } finally {
            Files.delete(plain);
        }
    }

    private static byte[] start(Path file) throws IOException {
        try (var input = Files.newInputStream(file)) {
            return input.readNBytes(4);
        }
    }

    /** What a file is packed with, by its first bytes; empty if it is not. */
    private static String packing(byte[] start) {
        if (start.length < 4) {
            return "";
        }
        int first = (start[0] & 0xff) << 8 | start[1] & 0xff;
        return switch (first) {
            case 0x1f8b -> "gzip";
            case 0xfd37 -> "xz";
            case 0x28b5 -> "zstd";
            default -> "";
        };
    }
}

package io.github.koloader.elf;

import io.github.koloader.LinkedKernel;
import io.github.koloader.LoadException;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.elf.internal.LinkedKernels;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Reads linked kernels: {@code vmlinux}, or what a machine boots, {@code vmlinuz}, {@code bzImage},
 * {@code Image}, {@code zImage}, packed or not, which is told by content.
 *
 * <p>Exports, initcalls in running order, memory and symbols are found by the file's symbol table
 * or the one inside of the kernel ({@code kallsyms}); where such symbols are missing, as most
 * distributions' kernels do not name data, by what the tables look like. What cannot be known from
 * the file is said in {@link LinkedKernel#unknown()}.
 *
 * <pre>{@code
 * LinkedKernel linked = VmlinuxReader.read(Path.of("/boot/vmlinuz"));
 * Kernel kernel = linked.kernel().strict().build();
 * kernel.load(KoReader.read(Path.of("hello.ko")), "");
 * }</pre>
 */
public final class VmlinuxReader {
    private static final long LIMIT = 1L << 30;

    private VmlinuxReader() {}

    /**
     * Reads a file.
     *
     * @param file a kernel, plain or packed
     * @return what is in it
     * @throws IOException if it cannot be read, is larger than 1 GiB, or is no kernel that is known
     *     here; the message names the file and the offset
     */
    public static LinkedKernel read(Path file) throws IOException {
        try {
            return read(FileBytes.read(file, LIMIT, byte[]::new), file.toString());
        } catch (LoadException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    /**
     * Reads the bytes of a file.
     *
     * @param bytes all bytes of a kernel, plain or packed; shared
     * @param name name of the file, for messages
     * @return what is in them
     * @throws IOException if they are no kernel that is known here
     */
    public static LinkedKernel read(Bytes bytes, String name) throws IOException {
        return LinkedKernels.read(bytes, name);
    }
}

package io.github.koloader.elf;

import static java.util.Objects.requireNonNull;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelLog;
import io.github.koloader.LoadException;
import io.github.koloader.LoadRequest;
import io.github.koloader.LogLine;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The system calls that load and unload modules, on a {@link Kernel}: each answers an errno and
 * leaves what the kernel has to say in its log.
 *
 * <pre>{@code
 * SystemCalls calls = SystemCalls.of(kernel);
 * SystemCalls.Result result = calls.initModule(Files.readAllBytes(Path.of("hello.ko")), "");
 * System.out.println(result.errno() + " " + result.lines());
 * }</pre>
 *
 * <p>Belongs to its kernel's thread.
 */
public final class SystemCalls {
    /** Flag of {@code finit_module(2)}: do as if the module had no CRCs. */
    public static final int MODULE_INIT_IGNORE_MODVERSIONS = 1;

    /** Flag of {@code finit_module(2)}: do as if the module had no vermagic. */
    public static final int MODULE_INIT_IGNORE_VERMAGIC = 2;

    /** Flag of {@code finit_module(2)}: the file is packed as this kernel expects it. */
    public static final int MODULE_INIT_COMPRESSED_FILE = 4;

    /** Flag of {@code delete_module(2)}: without effect since 3.13, as the call never waits. */
    public static final int O_NONBLOCK = 0x800;

    /** Flag of {@code delete_module(2)}: unload by force. */
    public static final int O_TRUNC = 0x200;

    /**
     * What a call answered.
     *
     * @param errno 0, or the positive error number
     * @param lines what the kernel has logged meanwhile, oldest first
     * @param failure why it failed; empty if it did not
     */
    public record Result(int errno, List<LogLine> lines, Optional<LoadException> failure) {
        /**
         * Copies the lines.
         *
         * @param errno 0, or the positive error number
         * @param lines what the kernel has logged meanwhile
         * @param failure why it failed
         */
        public Result {
            lines = List.copyOf(lines);
        }

        /** {@return whether it succeeded} */
        public boolean ok() {
            return errno == 0;
        }
    }

    private interface Action {
        void run() throws IOException;
    }

    private final Kernel kernel;
    private final boolean capable;

    private SystemCalls(Kernel kernel, boolean capable) {
        this.kernel = kernel;
        this.capable = capable;
    }

    /**
     * {@return the calls of a process that may load modules}
     *
     * @param kernel the kernel that is called
     */
    public static SystemCalls of(Kernel kernel) {
        return new SystemCalls(requireNonNull(kernel), true);
    }

    /** {@return the calls of a process without CAP_SYS_MODULE} */
    public SystemCalls withoutCapability() {
        return new SystemCalls(kernel, false);
    }

    /**
     * Loads a module from memory.
     *
     * @param image the bytes of an unpacked module file; {@code null} is a bad pointer
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer
     * @return what the call answered
     */
    public Result initModule(byte @Nullable [] image, @Nullable String parameters) {
        return initModule(image, image == null ? 0 : image.length, parameters);
    }

    /**
     * Loads a module from memory, of which the caller says how long it is.
     *
     * @param image the bytes of an unpacked module file; {@code null} is a bad pointer
     * @param length how long it is said to be, unsigned; beyond {@code image} memory is unreadable
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer
     * @return what the call answered
     * @kernel kernel/module/main.c, init_module()
     */
    public Result initModule(byte @Nullable [] image, long length, @Nullable String parameters) {
        return call(
                () -> {
                    if (image == null || length != image.length || parameters == null) {
                        throw LoadException.silent(Errno.EFAULT, "a bad pointer");
                    }
                    load(Bytes.copyOf(image), 0, parameters);
                });
    }

    /**
     * Loads a module from a file, which is opened for reading.
     *
     * @param file the file
     * @param flags bits 1, 2 and 4
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer
     * @return what the call answered
     */
    public Result finitModule(Path file, int flags, @Nullable String parameters) {
        return call(
                () -> {
                    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
                        finit(channel, flags, parameters);
                    }
                });
    }

    /**
     * Loads a module from an open file.
     *
     * @param file the file; {@code null} or closed is a bad file descriptor
     * @param flags bits 1, 2 and 4
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer
     * @return what the call answered
     * @kernel kernel/module/main.c, finit_module()
     */
    public Result finitModule(@Nullable FileChannel file, int flags, @Nullable String parameters) {
        return call(() -> finit(file, flags, parameters));
    }

    /**
     * Unloads a module.
     *
     * @param name its name; {@code null} is a bad pointer
     * @param flags {@link #O_NONBLOCK}, {@link #O_TRUNC}
     * @return what the call answered
     * @kernel kernel/module/main.c, delete_module()
     */
    public Result deleteModule(@Nullable String name, int flags) {
        return call(
                () -> {
                    if (name == null) {
                        throw LoadException.silent(Errno.EFAULT, "a bad pointer");
                    }
                    if ((flags & O_TRUNC) != 0) {
                        kernel.forceUnload(name);
                    } else {
                        kernel.unload(name);
                    }
                });
    }

    private void finit(@Nullable FileChannel file, int flags, @Nullable String parameters)
            throws IOException {
        if ((flags & ~7) != 0) {
            throw LoadException.silent(Errno.EINVAL, "flags " + flags);
        }
        if (file == null || !file.isOpen()) {
            throw LoadException.silent(Errno.EBADF, "a bad file descriptor");
        }
        if (parameters == null) {
            throw LoadException.silent(Errno.EFAULT, "a bad pointer");
        }
        byte[] bytes = java.nio.channels.Channels.newInputStream(file).readAllBytes();
        load(Bytes.wrap(bytes), flags, parameters);
    }

    private void load(Bytes file, int flags, String parameters) {
        ModuleImage image;
        try {
            image = KoReader.of(kernel.architecture()).readImage(file);
        } catch (LoadException e) {
            kernel.log().addAll(e.lines());
            throw e;
        }
        kernel.load(
                image,
                new LoadRequest(
                        parameters,
                        (flags & MODULE_INIT_IGNORE_MODVERSIONS) != 0,
                        (flags & MODULE_INIT_IGNORE_VERMAGIC) != 0,
                        false));
    }

    private Result call(Action action) {
        KernelLog log = kernel.log();
        int before = log.entries().size();
        Optional<LoadException> failure = Optional.empty();
        try {
            if (!capable || kernel.config().modulesDisabled()) {
                throw LoadException.silent(Errno.EPERM, "modules may not be loaded or unloaded");
            }
            action.run();
        } catch (LoadException e) {
            failure = Optional.of(e);
        } catch (IOException e) {
            failure = Optional.of(LoadException.silent(Errno.EIO, String.valueOf(e.getMessage())));
        }
        List<LogLine> lines =
                log.entries().subList(before, log.entries().size()).stream()
                        .map(KernelLog.Entry::line)
                        .toList();
        return new Result(failure.map(LoadException::errnoNumber).orElse(0), lines, failure);
    }
}

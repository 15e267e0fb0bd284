package io.github.koloader.elf;

import static java.util.Objects.requireNonNull;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelLog;
import io.github.koloader.LoadException;
import io.github.koloader.LoadRequest;
import io.github.koloader.LogLine;
import io.github.koloader.elf.internal.ElfFailures;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.elf.internal.KernelDecompressor;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.ThisModule;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.NonReadableChannelException;
import java.nio.channels.NonWritableChannelException;
import java.nio.file.Files;
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
 * <p>The process that calls is {@code init}, with every right; {@link #withoutCapability()} and
 * {@link #named} make it another one. Nothing is read from a file or memory before the kernel would
 * read it, and every number that the kernel answers is the one it answers for that reason. Belongs
 * to its kernel's thread.
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

    private static final int KNOWN_FLAGS =
            MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC;

    /** Bytes that a file, packed or not, may have: for more there is no memory. */
    private static final long MEMORY = KoReader.DEFAULT_LIMIT;

    private final Kernel kernel;
    private final KernelConfig config;
    private final KoReader reader;
    private final boolean capable;
    private final String process;
    private final TrustedKeys keys;

    private SystemCalls(Kernel kernel, boolean capable, String process, TrustedKeys keys) {
        this.kernel = kernel;
        this.config = kernel.config();
        this.reader = KoReader.of(kernel.architecture(), config);
        this.capable = capable;
        this.process = process;
        this.keys = keys;
    }

    /**
     * {@return the calls of a process that may load modules, on a kernel that trusts no key}
     *
     * @param kernel the kernel that is called
     */
    public static SystemCalls of(Kernel kernel) {
        return new SystemCalls(requireNonNull(kernel), true, "init", TrustedKeys.none());
    }

    /** {@return the calls of a process without CAP_SYS_MODULE} */
    public SystemCalls withoutCapability() {
        return new SystemCalls(kernel, false, process, keys);
    }

    /**
     * {@return the calls of a process of that name, which a kernel that is locked down logs}
     *
     * @param name name of the process, such as {@code insmod}
     */
    public SystemCalls named(String name) {
        return new SystemCalls(kernel, capable, requireNonNull(name), keys);
    }

    /**
     * {@return the calls on a kernel that trusts these keys, and no others}
     *
     * @param trusted what signatures of modules are verified against
     */
    public SystemCalls trusting(TrustedKeys trusted) {
        return new SystemCalls(kernel, capable, process, requireNonNull(trusted));
    }

    /**
     * Loads a module from memory.
     *
     * @param image the bytes of an unpacked module file; {@code null} is a bad pointer
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer
     * @return what the call answered
     */
    public Result initModule(byte @Nullable [] image, @Nullable String parameters) {
        return initModule(image, image == null ? MEMORY : image.length, parameters);
    }

    /**
     * Loads a module from memory, of which the caller says how long it is.
     *
     * @param image the bytes of an unpacked module file; {@code null} is a bad pointer
     * @param length how long it is said to be, unsigned; beyond {@code image} memory is unreadable,
     *     and for more than 256 MiB the kernel has no room
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer, which
     *     is found out once the module is relocated
     * @return what the call answered
     * @kernel kernel/module/main.c, init_module()
     */
    public Result initModule(byte @Nullable [] image, long length, @Nullable String parameters) {
        return call(
                () -> {
                    int header = kernel.architecture().encoding().wide() ? 64 : 52;
                    if (length >= 0 && length < header) {
                        throw ElfFailures.shorterThanHeader(length);
                    }
                    if (length < 0 || length > MEMORY) {
                        throw ElfFailures.noMemory(length);
                    }
                    if (image == null || length > image.length) {
                        throw ElfFailures.badPointer("the module");
                    }
                    load(Bytes.copyOf(image).slice(0, (int) length), 0, parameters);
                });
    }

    /**
     * Loads a module from a file, which is opened for reading.
     *
     * @param file the file; what {@code open(2)} answers counts where it cannot be opened
     * @param flags bits 1, 2 and 4; others are refused, as is 4 by kernels before 5.17
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer, which
     *     is found out once the module is relocated
     * @return what the call answered
     */
    public Result finitModule(Path file, int flags, @Nullable String parameters) {
        return call(
                () -> {
                    checkFlags(flags);
                    if (Files.exists(file) && !Files.isRegularFile(file)) {
                        throw ElfFailures.notRegular();
                    }
                    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
                        finit(channel, flags, parameters);
                    }
                });
    }

    /**
     * Loads a module from an open file, all of it whatever its position is. Whether somebody else
     * has it open for writing is not known here.
     *
     * @param file the file; {@code null}, closed or not open for reading is a bad file descriptor
     * @param flags bits 1, 2 and 4; others are refused, as is 4 by kernels before 5.17
     * @param parameters the parameters, one character a byte; {@code null} is a bad pointer, which
     *     is found out once the module is relocated
     * @return what the call answered
     * @kernel kernel/module/main.c, finit_module()
     */
    public Result finitModule(@Nullable FileChannel file, int flags, @Nullable String parameters) {
        return call(
                () -> {
                    checkFlags(flags);
                    finit(file, flags, parameters);
                });
    }

    /**
     * Unloads a module.
     *
     * @param name its name up to its first NUL, one character a byte; {@code null} is a bad pointer
     * @param flags {@link #O_NONBLOCK}, {@link #O_TRUNC}
     * @return what the call answered
     * @kernel kernel/module/main.c, delete_module()
     */
    public Result deleteModule(@Nullable String name, int flags) {
        return call(
                () -> {
                    if (name == null) {
                        throw ElfFailures.badPointer("the name");
                    }
                    String given = nameOf(name);
                    if ((flags & O_TRUNC) != 0) {
                        kernel.forceUnload(given);
                    } else {
                        kernel.unload(given);
                    }
                });
    }

    /** The name that the kernel takes: a long one is none, or cut off by kernels before 6.1. */
    private String nameOf(String text) {
        int nul = text.indexOf(0);
        String name = nul < 0 ? text : text.substring(0, nul);
        int longest = ThisModule.nameLength(kernel.architecture().encoding().wordSize()) - 1;
        if (name.length() <= longest) {
            return name;
        }
        if (config.atLeast(6, 1)) {
            throw ElfFailures.nameTooLong(longest);
        }
        return name.substring(0, longest);
    }

    private void checkFlags(int flags) {
        int known = config.atLeast(5, 17) ? KNOWN_FLAGS | MODULE_INIT_COMPRESSED_FILE : KNOWN_FLAGS;
        if ((flags & ~known) != 0) {
            throw ElfFailures.unknownFlags(flags);
        }
    }

    private void finit(@Nullable FileChannel file, int flags, @Nullable String parameters)
            throws IOException {
        Bytes bytes = readRegular(file);
        if ((flags & MODULE_INIT_COMPRESSED_FILE) != 0) {
            bytes = unpack(bytes);
        }
        load(bytes, flags, parameters);
    }

    private Bytes unpack(Bytes bytes) {
        try {
            return KernelDecompressor.unpack(bytes, config, kernel.architecture(), MEMORY);
        } catch (LoadException e) {
            kernel.log().addAll(e.lines());
            throw e;
        }
    }

    /** A channel does not tell what it is open for until it is read. */
    private Bytes readRegular(@Nullable FileChannel file) throws IOException {
        try {
            return read(file);
        } catch (IOException e) {
            if ("Is a directory".equals(e.getMessage())) {
                throw ElfFailures.notRegular().causedBy(e);
            }
            throw e;
        }
    }

    /**
     * All of a file.
     *
     * @kernel fs/kernel_read_file.c, kernel_read_file()
     */
    private Bytes read(@Nullable FileChannel file) throws IOException {
        boolean modern = config.atLeast(4, 6);
        if (file == null || !file.isOpen()) {
            throw ElfFailures.badDescriptor(modern ? Errno.EBADF : Errno.ENOEXEC);
        }
        if (!isOpenFor(() -> file.read(ByteBuffer.allocate(0), 0))) {
            throw ElfFailures.badDescriptor(Errno.EBADF);
        }
        if (modern && isOpenFor(() -> file.write(ByteBuffer.allocate(0), 0))) {
            throw ElfFailures.openForWriting();
        }
        long size = file.size();
        if (size == 0) {
            throw ElfFailures.empty();
        }
        if (size > Integer.MAX_VALUE) {
            throw ElfFailures.fileTooLarge(size);
        }
        if (size > MEMORY) {
            throw ElfFailures.noMemory(size);
        }
        return FileBytes.read(file, (int) size);
    }

    /** Whether an access that moves no byte is allowed. */
    private static boolean isOpenFor(Action access) throws IOException {
        try {
            access.run();
            return true;
        } catch (NonReadableChannelException | NonWritableChannelException e) {
            return false;
        }
    }

    private void load(Bytes file, int flags, @Nullable String parameters) {
        boolean ignoreModversions = (flags & MODULE_INIT_IGNORE_MODVERSIONS) != 0;
        boolean ignoreVermagic = (flags & MODULE_INIT_IGNORE_VERMAGIC) != 0;
        ModuleImage image;
        boolean signed;
        try {
            SignatureCheck.Outcome signature =
                    SignatureCheck.run(
                            config,
                            kernel.log(),
                            keys,
                            process,
                            file,
                            ignoreModversions || ignoreVermagic);
            signed = signature.valid();
            image = reader.readPlain(signature.module(), ignoreModversions);
        } catch (LoadException e) {
            kernel.log().addAll(e.lines());
            throw e;
        }
        kernel.load(image, new LoadRequest(parameters, ignoreModversions, ignoreVermagic, signed));
    }

    private Result call(Action action) {
        KernelLog log = kernel.log();
        long before = log.added();
        Optional<LoadException> failure = Optional.empty();
        try {
            if (!capable || config.modulesDisabled()) {
                throw ElfFailures.notPermitted();
            }
            action.run();
        } catch (LoadException e) {
            failure = Optional.of(e);
        } catch (IOException e) {
            failure = Optional.of(ElfFailures.unreadable(e));
        }
        return new Result(
                failure.map(LoadException::errnoNumber).orElse(0), log.since(before), failure);
    }
}

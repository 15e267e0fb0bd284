package io.github.koloader.testkit;

import io.github.koloader.elf.SystemCalls;
import io.github.koloader.elf.SystemCalls.Result;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * System calls with odd arguments, as recordings name them. A name is put together: what is called
 * ({@code init}, {@code finit}, {@code delete}; with {@code nocap-} before it by a process without
 * the capability), and what is odd about it.
 */
final class OddCalls {
    private static final Pattern FLAGS =
            Pattern.compile("flags?-?(-?\\d{1,9}|0x[0-9a-f]{1,8}|all|minus1)");
    private static final long HUGE = 1L << 46;

    private final Bytes module;
    private final SystemCallFiles files;

    /**
     * Calls about a module.
     *
     * @param module a good one
     * @param files makes files
     */
    OddCalls(Bytes module, SystemCallFiles files) {
        this.module = module;
        this.files = files;
    }

    /**
     * Does a call.
     *
     * @param name what the recording calls it
     * @param calls the simulated kernel's
     * @return empty if no call of that name is known
     */
    Optional<Result> perform(String name, SystemCalls calls) throws IOException {
        if (name.startsWith("nocap-")) {
            return withoutCapability(name.substring(6), calls.withoutCapability());
        }
        if (name.startsWith("init-")) {
            return init(name.substring(5), calls);
        }
        if (name.startsWith("finit-")) {
            return finit(name.substring(6), calls);
        }
        return name.startsWith("delete-") ? delete(name.substring(7), calls) : Optional.empty();
    }

    private Optional<Result> withoutCapability(String name, SystemCalls calls) throws IOException {
        return switch (name) {
            case "init" -> Optional.of(calls.initModule(module.toByteArray(), ""));
            case "finit" -> Optional.of(calls.finitModule(files.file(module), 0, ""));
            case "delete" -> Optional.of(calls.deleteModule("hello", SystemCalls.O_NONBLOCK));
            default -> Optional.empty();
        };
    }

    private Optional<Result> init(String odd, SystemCalls calls) {
        byte[] image = module.toByteArray();
        return switch (odd) {
            case "bad-args", "null-args", "badargs" -> Optional.of(calls.initModule(image, null));
            case "null-image", "bad-image", "badptr" ->
                    Optional.of(calls.initModule(null, image.length, ""));
            case "len-huge", "huge", "len-max" -> Optional.of(calls.initModule(image, HUGE, ""));
            case "len-long", "len-past", "len-plus" ->
                    Optional.of(calls.initModule(image, image.length + (64L << 10), ""));
            case "len0", "len-0", "len-zero", "zero-len", "zero" ->
                    Optional.of(calls.initModule(image, 0, ""));
            case "len-1", "len1", "len-short", "short" ->
                    Optional.of(calls.initModule(image, 1, ""));
            default -> Optional.empty();
        };
    }

    private Optional<Result> finit(String odd, SystemCalls calls) throws IOException {
        Matcher flags = FLAGS.matcher(odd);
        if (flags.matches()) {
            int value =
                    switch (flags.group(1)) {
                        case "all", "minus1" -> -1;
                        default -> Long.decode(flags.group(1)).intValue();
                    };
            return Optional.of(calls.finitModule(files.file(module), value, ""));
        }
        return switch (odd) {
            case "badfd", "negfd", "closedfd", "closed", "opath" ->
                    Optional.of(calls.finitModule((FileChannel) null, 0, ""));
            case "badfd-badflags", "badfd-flag8" ->
                    Optional.of(calls.finitModule((FileChannel) null, 8, ""));
            case "null-args", "bad-args", "badargs" ->
                    Optional.of(calls.finitModule(files.file(module), 0, null));
            case "wronly" -> opened(calls, StandardOpenOption.WRITE);
            case "rdwr" -> opened(calls, StandardOpenOption.READ, StandardOpenOption.WRITE);
            case "dir", "directory" -> Optional.of(calls.finitModule(files.directory(), 0, ""));
            case "devnull", "dev-null", "chardev", "pipe", "fifo", "socket" -> // no regular file
                    Optional.of(calls.finitModule(Path.of("/dev/null"), 0, ""));
            case "empty" -> Optional.of(calls.finitModule(files.file(Bytes.EMPTY), 0, ""));
            default -> Optional.empty();
        };
    }

    private Optional<Result> opened(SystemCalls calls, StandardOpenOption... options)
            throws IOException {
        try (FileChannel channel = FileChannel.open(files.file(module), options)) {
            return Optional.of(calls.finitModule(channel, 0, ""));
        }
    }

    private static Optional<Result> delete(String odd, SystemCalls calls) {
        int flags = SystemCalls.O_NONBLOCK;
        return switch (odd) {
            case "null", "bad", "badptr", "bad-ptr" -> Optional.of(calls.deleteModule(null, flags));
            case "empty" -> Optional.of(calls.deleteModule("", flags));
            case "long", "nonul", "unterminated" ->
                    Optional.of(calls.deleteModule("x".repeat(4096), flags));
            case "unknown", "missing" -> Optional.of(calls.deleteModule("nosuchmodule", flags));
            default -> Optional.empty();
        };
    }
}

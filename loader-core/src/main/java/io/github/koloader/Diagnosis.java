package io.github.koloader;

import static java.util.Objects.requireNonNull;

import java.util.Locale;

/**
 * Why a load or an unload failed, for people: more than the kernel says. Its texts are plain
 * English sentences of bounded length; names from files stand in backquotes, with control
 * characters escaped, so that they can be printed anywhere. The texts are for reading and may
 * change; programs look at {@link LoadException#errno()}.
 *
 * @param cause what is wrong; never empty; may have several lines
 * @param location where: section, offset, symbol or relocation of the file; empty if that says
 *     nothing
 * @param advice what to do about it; may have several lines
 */
public record Diagnosis(String cause, String location, String advice) {
    private static final int TEXT = 4_000;
    private static final int NAME = 100;

    /**
     * Escapes control characters, and cuts what is longer than 4,000 characters.
     *
     * @param cause what is wrong
     * @param location where
     * @param advice what to do about it
     */
    public Diagnosis {
        cause = printable(requireNonNull(cause), TEXT, true);
        location = printable(requireNonNull(location), TEXT, true);
        advice = printable(requireNonNull(advice), TEXT, true);
    }

    /**
     * {@return what is known of a failure of which nothing but its number and text is}
     *
     * @param errnoNumber the positive error number
     * @param message what the exception says
     */
    static Diagnosis ofErrno(int errnoNumber, String message) {
        Errno errno = Errno.of(errnoNumber);
        return new Diagnosis(message, "", errno == null ? general() : advice(errno));
    }

    private static String general() {
        return "Look at the kernel's log for what was said before.";
    }

    private static String advice(Errno errno) {
        return switch (errno) {
            case EPERM ->
                    "Loading is forbidden here: look for a missing capability, modules_disabled,"
                            + " lockdown or a blacklist.";
            case ENOENT ->
                    "Something that was named does not exist: a symbol, a parameter or a module.";
            case ENOEXEC ->
                    "The kernel does not take this file as a module: check that it is whole, and"
                            + " built for this kernel.";
            case EEXIST -> "Unload what is there first, or leave it.";
            case EBUSY, EAGAIN -> "Something is in use: wait for its users, or stop them.";
            case ENOMEM -> "Free memory, or give the kernel more of it.";
            case EINVAL, ERANGE ->
                    "An argument or a parameter was refused: check its spelling and value.";
            case EKEYREJECTED, ENOKEY, EBADMSG, ENOPKG, ENODATA ->
                    "The signature is at fault: sign the module anew with a key that the kernel"
                            + " trusts.";
            case EFAULT, EBADF, EIO, ETXTBSY, EFBIG, EACCES, EISDIR, ENOTDIR ->
                    "The file could not be read as it was given: check the file and how it is"
                            + " passed.";
            case ENODEV -> "The device that the module drives was not found.";
            case ENOSYS, EOPNOTSUPP -> "This kernel is built without what is asked for.";
            case EINTR, ENOSPC, EROFS -> general();
        };
    }

    /**
     * {@return a name in backquotes: control characters escaped, at most 100 characters of it}
     *
     * @param name any text
     */
    public static String quote(String name) {
        return '`' + printable(name, NAME, false) + '`';
    }

    private static String printable(String text, int limit, boolean lines) {
        int end = Math.min(text.length(), limit);
        boolean clean = end == text.length();
        for (int i = 0; i < end && clean; i++) {
            clean = isPrintable(text.charAt(i), lines);
        }
        if (clean) {
            return text;
        }
        StringBuilder escaped = new StringBuilder();
        for (int i = 0; i < end; i++) {
            char next = text.charAt(i);
            if (isPrintable(next, lines)) {
                escaped.append(next);
            } else {
                escaped.append(
                        String.format(Locale.ROOT, next < 256 ? "\\x%02x" : "\\u%04x", (int) next));
            }
        }
        if (end < text.length()) {
            escaped.append("… (").append(text.length()).append(" characters)");
        }
        return escaped.toString();
    }

    private static boolean isPrintable(char character, boolean lines) {
        return character == '\n'
                ? lines
                : switch (Character.getType(character)) {
                    case Character.CONTROL,
                            Character.FORMAT,
                            Character.SURROGATE,
                            Character.PRIVATE_USE,
                            Character.UNASSIGNED,
                            Character.LINE_SEPARATOR,
                            Character.PARAGRAPH_SEPARATOR ->
                            false;
                    default -> true;
                };
    }

    /**
     * {@return the text: cause, where, and what to do, in lines of their own, without a newline at
     * the end}
     */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(cause);
        if (!location.isEmpty()) {
            text.append("\nWhere: ").append(location);
        }
        if (!advice.isEmpty()) {
            text.append("\nWhat to do: ").append(advice);
        }
        return text.toString();
    }
}

package io.github.koloader;

import static java.util.Objects.requireNonNull;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

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

    private static final String GENERAL = "Look at the kernel's log for what was said before.";
    private static final String READING =
            "The file could not be read as it was given: check the file and how it is passed.";
    private static final String IN_USE = "Something is in use: wait for its users, or stop them.";
    private static final String REFUSED =
            "An argument or a parameter was refused: check its spelling and value.";
    private static final String LACKING = "This kernel is built without what is asked for.";
    private static final String SIGNATURE =
            "The signature is at fault: sign the module anew with a key that the kernel trusts.";

    private static final Map<Integer, String> ADVICE = new HashMap<>();

    static {
        put(
                "Loading is forbidden here: look for a missing capability, modules_disabled,"
                        + " lockdown or a blacklist.",
                Errno.EPERM);
        put(
                "Something that was named does not exist: a symbol, a parameter or a module.",
                Errno.ENOENT);
        put(
                "The kernel does not take this file as a module: check that it is whole, and built"
                        + " for this kernel.",
                Errno.ENOEXEC);
        put("Unload what is there first, or leave it.", Errno.EEXIST);
        put(IN_USE, Errno.EBUSY, Errno.EAGAIN);
        put("Free memory, or give the kernel more of it.", Errno.ENOMEM);
        put(REFUSED, Errno.EINVAL, Errno.ERANGE);
        put(
                SIGNATURE,
                Errno.EKEYREJECTED,
                Errno.ENOKEY,
                Errno.EBADMSG,
                Errno.ENOPKG,
                Errno.ENODATA);
        put(READING, Errno.EFAULT, Errno.EBADF, Errno.EIO, Errno.ETXTBSY, Errno.EFBIG);
        put(READING, Errno.EACCES, Errno.ENOTDIR, Errno.EISDIR);
        put("The device that the module drives was not found.", Errno.ENODEV);
        put(LACKING, Errno.ENOSYS, Errno.EOPNOTSUPP);
    }

    private static void put(String advice, Errno... errnos) {
        for (Errno errno : errnos) {
            ADVICE.put(errno.number(), advice);
        }
    }

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
        return new Diagnosis(message, "", ADVICE.getOrDefault(errnoNumber, GENERAL));
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

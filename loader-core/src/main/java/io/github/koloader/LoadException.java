package io.github.koloader;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.joining;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The one way a load or an unload fails. Nothing half-done is left behind: memory, modules and
 * exports are as before, only the kernel's taints and its log may have grown, as on Linux.
 */
public final class LoadException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The positive error number. */
    private final int errnoNumber;

    private final transient List<LogLine> lines;

    private final transient @Nullable Diagnosis diagnosis;

    /**
     * A failure.
     *
     * @param errno what the system call answers
     * @param lines what the kernel logs about it, possibly nothing
     */
    public LoadException(Errno errno, List<LogLine> lines) {
        this(
                errno.number(),
                lines,
                describe(errno.name() + " (" + errno.text() + ")", lines),
                null,
                null);
    }

    /**
     * A failure with one log line.
     *
     * @param errno what the system call answers
     * @param line what the kernel logs about it
     */
    public LoadException(Errno errno, LogLine line) {
        this(errno, List.of(line));
    }

    /**
     * {@return a failure of which the kernel logs nothing; {@code explanation} is for people only}
     *
     * @param errno what the system call answers
     * @param explanation ends the exception's message
     */
    public static LoadException silent(Errno errno, String explanation) {
        return new LoadException(
                errno.number(),
                List.of(),
                errno.name() + " (" + errno.text() + "): " + explanation,
                null,
                null);
    }

    /**
     * {@return a failure with a number that init chose itself}
     *
     * @param errnoNumber the positive number, with or without a name in {@link Errno}
     * @param explanation ends the exception's message
     */
    public static LoadException ofInit(int errnoNumber, String explanation) {
        Errno errno = Errno.of(errnoNumber);
        String name =
                errno == null ? "errno " + errnoNumber : errno.name() + " (" + errno.text() + ")";
        return new LoadException(errnoNumber, List.of(), name + ": " + explanation, null, null);
    }

    /**
     * {@return a failure with a number that a function of a module chose itself}
     *
     * @param errnoNumber the positive number, with or without a name in {@link Errno}
     * @param lines what the kernel logs about it, possibly nothing
     * @param explanation ends the exception's message if there are no lines
     */
    public static LoadException of(int errnoNumber, List<LogLine> lines, String explanation) {
        Errno errno = Errno.of(errnoNumber);
        String name =
                errno == null ? "errno " + errnoNumber : errno.name() + " (" + errno.text() + ")";
        String message = lines.isEmpty() ? name + ": " + explanation : describe(name, lines);
        return new LoadException(errnoNumber, lines, message, null, null);
    }

    private LoadException(
            int errnoNumber,
            List<LogLine> lines,
            String message,
            @Nullable Throwable cause,
            @Nullable Diagnosis diagnosis) {
        super(message, cause);
        this.diagnosis = diagnosis;
        this.errnoNumber = errnoNumber;
        this.lines = List.copyOf(lines);
    }

    /**
     * {@return the same failure with what caused it}
     *
     * @param cause what was thrown
     */
    public LoadException causedBy(Throwable cause) {
        return new LoadException(errnoNumber, lines, message(), cause, diagnosis);
    }

    /**
     * {@return the same failure, of which more is known}
     *
     * @param newDiagnosis what {@link #diagnosis()} answers
     */
    public LoadException diagnosed(Diagnosis newDiagnosis) {
        LoadException copy =
                new LoadException(
                        errnoNumber, lines(), message(), getCause(), requireNonNull(newDiagnosis));
        copy.setStackTrace(getStackTrace());
        return copy;
    }

    private String message() {
        String message = getMessage();
        return message == null ? "" : message;
    }

    /** Characters after which the message has no more lines; {@link #lines} has all. */
    private static final int LONGEST_MESSAGE = 4096;

    private static String describe(String name, List<LogLine> lines) {
        if (lines.isEmpty()) {
            return name;
        }
        StringBuilder text = new StringBuilder(name).append(": ").append(lines.get(0).text());
        for (int i = 1; i < lines.size(); i++) {
            if (text.length() > LONGEST_MESSAGE) {
                return text.append("\n... and ")
                        .append(lines.size() - i)
                        .append(" more")
                        .toString();
            }
            text.append('\n').append(lines.get(i).text());
        }
        return text.toString();
    }

    private static String join(List<LogLine> lines) {
        return lines.stream().map(LogLine::text).collect(joining("\n"));
    }

    /**
     * {@return the error}
     *
     * @throws IllegalStateException if init failed with a number that {@link Errno} does not name;
     *     see {@link #errnoNumber()}
     */
    public Errno errno() {
        Errno errno = Errno.of(errnoNumber);
        if (errno == null) {
            throw new IllegalStateException("errno " + errnoNumber + " has no name here");
        }
        return errno;
    }

    /**
     * {@return the name of the error, such as {@code ENOENT}, or {@code errno N} if it has none
     * here}
     */
    public String errnoName() {
        Errno errno = Errno.of(errnoNumber);
        return errno == null ? "errno " + errnoNumber : errno.name();
    }

    /** {@return the positive error number} */
    public int errnoNumber() {
        return errnoNumber;
    }

    /**
     * {@return what the kernel logged about the failure, possibly nothing; without warnings that
     * came before}
     */
    public List<LogLine> lines() {
        return lines == null ? List.of() : lines;
    }

    /**
     * {@return what is wrong, where in the file, and what to do: for people, and beyond what the
     * kernel says; if nothing better is known, what the error means in general}
     */
    public Diagnosis diagnosis() {
        return diagnosis == null ? Diagnosis.ofErrno(errnoNumber, message()) : diagnosis;
    }

    /** {@return whether {@link #diagnosis()} is more than what the error means in general} */
    public boolean isDiagnosed() {
        return diagnosis != null;
    }

    /** {@return the texts of {@link #lines()}, separated by newlines} */
    public String dmesg() {
        return join(lines());
    }
}

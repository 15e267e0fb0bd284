package io.github.koloader;

import java.util.List;

/**
 * Objects that cannot be linked into a kernel. Nothing of Linux runs while a kernel is linked, so
 * this has neither an errno nor lines of a log, as {@link LoadException} has: it says what a linker
 * would say, all of it at once.
 */
public final class LinkException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient List<String> problems;

    /**
     * A failure.
     *
     * @param problems what is wrong, one line each, at least one
     */
    public LinkException(List<String> problems) {
        super(String.join("\n", problems));
        this.problems = List.copyOf(problems);
    }

    /**
     * A failure with one reason.
     *
     * @param problem what is wrong
     * @param cause what was thrown
     */
    public LinkException(String problem, Throwable cause) {
        super(problem, cause);
        this.problems = List.of(problem);
    }

    /** {@return what is wrong, one line each; a copy that was serialised has none} */
    public List<String> problems() {
        return problems == null ? List.of() : problems;
    }
}

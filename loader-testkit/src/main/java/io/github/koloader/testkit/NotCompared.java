package io.github.koloader.testkit;

/**
 * Something recorded that a model of the loader cannot know, and that was not compared therefore.
 *
 * @param subject the case or module
 * @param what which part of its record
 * @param reason why it cannot be known
 */
public record NotCompared(String subject, String what, String reason) {
    /** As {@link #what}: nothing of the record was compared. */
    public static final String WHOLE_RECORD = "the whole record";

    /** {@return whether nothing of the record was compared} */
    public boolean isWholeRecord() {
        return what.equals(WHOLE_RECORD);
    }

    /** One line for people. */
    @Override
    public String toString() {
        return "%s: %s: %s".formatted(subject, what, reason);
    }
}

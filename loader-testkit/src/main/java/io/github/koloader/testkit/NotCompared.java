package io.github.koloader.testkit;

/**
 * Something recorded that a model of the loader cannot know, and that was not compared therefore.
 *
 * @param subject the case or module
 * @param what which part of its record
 * @param reason why it cannot be known
 */
public record NotCompared(String subject, String what, String reason) {
    /** One line for people. */
    @Override
    public String toString() {
        return "%s: %s: %s".formatted(subject, what, reason);
    }
}

package io.github.koloader.testkit;

/**
 * One thing in which a load differs from what was recorded.
 *
 * @param subject the module or vector
 * @param what the field, e.g. {@code section .text address}
 * @param recorded what was recorded
 * @param found what the loader did
 * @param detail where exactly, and which relocation covers it; empty if that is not known
 */
public record Difference(
        String subject, String what, String recorded, String found, String detail) {
    /** One line for people. */
    @Override
    public String toString() {
        return "%s: %s: recorded %s, found %s%s"
                .formatted(
                        subject,
                        what,
                        recorded,
                        found,
                        detail.isEmpty() ? "" : " (" + detail + ")");
    }
}

package io.github.koloader;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The version of a kernel, as far as behaviour depends on it.
 *
 * @param major first number
 * @param minor second number
 */
public record KernelVersion(int major, int minor) implements Comparable<KernelVersion> {
    private static final Pattern LEADING = Pattern.compile("(\\d{1,6})\\.(\\d{1,6})(?!\\d)");

    /**
     * Reads the beginning of a release such as {@code 6.1.0-50-amd64}.
     *
     * @param release as {@code uname -r} prints it; what follows the numbers does not matter
     * @return its first two numbers
     * @throws IllegalArgumentException if it does not begin with two numbers
     */
    public static KernelVersion parse(String release) {
        Matcher matcher = LEADING.matcher(release);
        if (!matcher.lookingAt()) {
            throw new IllegalArgumentException("no kernel release: " + release);
        }
        return new KernelVersion(
                Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2)));
    }

    /**
     * {@return whether this is that version or a later one}
     *
     * @param otherMajor first number
     * @param otherMinor second number
     */
    public boolean atLeast(int otherMajor, int otherMinor) {
        return major != otherMajor ? major > otherMajor : minor >= otherMinor;
    }

    @Override
    public int compareTo(KernelVersion other) {
        return major != other.major
                ? Integer.compare(major, other.major)
                : Integer.compare(minor, other.minor);
    }

    @Override
    public String toString() {
        return major + "." + minor;
    }
}

package io.github.koloader;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Lets everything pass and writes down what was passed, in order. Belongs to its kernel's thread.
 */
public final class FaultRecorder implements FaultInjection {
    /**
     * A point that was passed.
     *
     * @param point which
     * @param module name of the module, as {@link FaultInjection#at} is told it
     */
    public record Passed(FaultPoint point, String module) {}

    private final List<Passed> passed = new ArrayList<>();

    /** A recorder that has written down nothing. */
    public FaultRecorder() {}

    @Override
    public Optional<Errno> at(FaultPoint point, String module) {
        passed.add(new Passed(point, module));
        return Optional.empty();
    }

    /** {@return what was passed, oldest first} */
    public List<Passed> passed() {
        return List.copyOf(passed);
    }

    /** Forgets what was passed. */
    public void clear() {
        passed.clear();
    }
}

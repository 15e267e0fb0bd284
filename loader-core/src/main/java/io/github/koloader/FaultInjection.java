package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Makes chosen steps of loads and unloads fail, for tests of what has to happen then. It is asked
 * at every {@link FaultPoint} before the step does anything; what fails, fails as the kernel's step
 * would with that error: with the lines that the step logs when it fails, if it has any, and
 * leaving nothing behind but taints and the log.
 *
 * <pre>{@code
 * Kernel kernel = Kernel.builder(Architectures.X86_64)
 *         .faults(FaultInjection.failAt(FaultPoint.SYSFS, Errno.ENOMEM).onlyFor("hello"))
 *         .build();
 * }</pre>
 *
 * <p>To fail a load at everything it does, one thing after the other, let a {@link FaultRecorder}
 * count what that is, then load into new kernels with {@link #failNth(int, Errno)}. A kernel
 * without faults asks nobody.
 */
@FunctionalInterface
public interface FaultInjection {
    /**
     * Asks whether a step is to fail. Belongs to the kernel's thread; must not load or unload.
     *
     * @param point the step
     * @param module name of the module, as far as it is known: before {@link FaultPoint#ADMISSION}
     *     the one in modinfo, where there is one; possibly empty
     * @return the error it is to fail with; empty if it is not to
     */
    Optional<Errno> at(FaultPoint point, String module);

    /** {@return one that lets everything pass} */
    static FaultInjection none() {
        return (point, module) -> Optional.empty();
    }

    /**
     * {@return one that fails a step whenever it is passed}
     *
     * @param point the step
     * @param errno what it fails with
     */
    static FaultInjection failAt(FaultPoint point, Errno errno) {
        requireNonNull(point);
        Optional<Errno> answer = Optional.of(errno);
        return (passed, module) -> passed == point ? answer : Optional.empty();
    }

    /**
     * {@return one that fails a step once, when it is passed for the {@code n}-th time}
     *
     * @param point the step
     * @param n 1 for the first time
     * @param errno what it fails with
     * @throws IllegalArgumentException if {@code n} is less than 1
     */
    static FaultInjection failNth(FaultPoint point, int n, Errno errno) {
        requireNonNull(point);
        FaultInjection nth = failNth(n, errno);
        return (passed, module) -> passed == point ? nth.at(passed, module) : Optional.empty();
    }

    /**
     * {@return one that fails whatever is passed as the {@code n}-th, once}
     *
     * @param n 1 for the first point passed
     * @param errno what it fails with
     * @throws IllegalArgumentException if {@code n} is less than 1
     */
    static FaultInjection failNth(int n, Errno errno) {
        checkArgument(n >= 1, "n %s", n);
        Optional<Errno> answer = Optional.of(errno);
        AtomicInteger passed = new AtomicInteger();
        return (point, module) -> {
            int now = passed.get();
            if (now >= n) {
                return Optional.empty();
            }
            passed.set(now + 1);
            return now + 1 == n ? answer : Optional.empty();
        };
    }

    /**
     * {@return this one, asked only about one module}
     *
     * @param name the module's name
     */
    default FaultInjection onlyFor(String name) {
        requireNonNull(name);
        return (point, module) -> module.equals(name) ? at(point, module) : Optional.empty();
    }

    /**
     * {@return this one, and another that is asked where this one lets pass}
     *
     * @param other the other
     */
    default FaultInjection or(FaultInjection other) {
        requireNonNull(other);
        return (point, module) -> {
            Optional<Errno> answer = at(point, module);
            return answer.isPresent() ? answer : other.at(point, module);
        };
    }
}

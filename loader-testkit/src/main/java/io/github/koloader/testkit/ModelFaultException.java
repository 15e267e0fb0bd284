package io.github.koloader.testkit;

/**
 * What a real machine would trip over when it ran a module's function, as far as a static look at
 * its code can tell: a simulated oops, or a processor that never comes back.
 */
final class ModelFaultException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    ModelFaultException(String what) {
        super(what);
    }
}

package io.github.koloader.internal.params;

/** A table of parameters that no kernel gets to the end of. */
final class WildParameterException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    WildParameterException(String message) {
        super(message);
    }
}

package io.github.koloader;

/** A kernel that cannot go on: {@code Kernel panic - not syncing}. */
public final class KernelPanicException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /**
     * A panic.
     *
     * @param reason what the line in the log says behind {@code not syncing: }
     */
    public KernelPanicException(String reason) {
        super(reason);
    }
}

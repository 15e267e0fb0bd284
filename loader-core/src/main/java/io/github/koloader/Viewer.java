package io.github.koloader;

/** Who looks at the files under {@code /proc} and {@code /sys}: addresses are for root only. */
public enum Viewer {
    /** Root, with all capabilities: sees addresses, may read what root may read. */
    ROOT,
    /**
     * Anybody else, with {@code kernel.kptr_restrict} above 0: addresses are zero, and files that
     * are root's are refused.
     */
    USER
}

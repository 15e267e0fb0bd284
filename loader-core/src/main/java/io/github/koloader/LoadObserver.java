package io.github.koloader;

/**
 * Is told how far a load has come. It looks and does not touch: what it changes in a module is not
 * supported.
 */
@FunctionalInterface
public interface LoadObserver {
    /** A point in a load. */
    enum Point {
        /** Symbols are resolved; nothing is relocated. */
        RESOLVED,
        /**
         * Relocations are applied, the exception table is sorted, per-CPU data and kallsyms are set
         * up.
         */
        RELOCATED,
        /** The module is formed: rights are set, its exports can be found; init has not run. */
        FORMED,
        /** Init has run and its memory is gone. */
        LIVE
    }

    /**
     * A load has reached a point.
     *
     * @param point which
     * @param module the module being loaded; until {@link Point#FORMED} the kernel does not list it
     */
    void reached(Point point, Module module);
}

package io.github.koloader.image;

/** Symbol binding, the high half of {@code st_info}. */
public enum Binding {
    /** Seen in its own object only. */
    LOCAL,
    /** Seen everywhere. */
    GLOBAL,
    /** As global, but may stay undefined. */
    WEAK,
    /** Any other number: for the loader the same as global. */
    OTHER;

    static Binding of(int info) {
        return switch (info >>> 4 & 0xf) {
            case 0 -> LOCAL;
            case 1 -> GLOBAL;
            case 2 -> WEAK;
            default -> OTHER;
        };
    }
}

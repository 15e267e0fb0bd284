package io.github.koloader;

/** The life of a module. */
public enum ModuleState {
    /** Being set up; invisible. */
    UNFORMED("unformed"),
    /** Fully formed, init is running. */
    COMING("coming"),
    /** In use. */
    LIVE("live"),
    /** Being removed. */
    GOING("going");

    private final String text;

    ModuleState(String text) {
        this.text = text;
    }

    /** {@return what sysfs shows as {@code initstate}} */
    public String text() {
        return text;
    }
}

package io.github.koloader.internal.load;

import java.util.ArrayDeque;
import java.util.Deque;

/** What has to be taken back if a load fails, newest first. */
final class Undo {
    private final Deque<Runnable> onFailure = new ArrayDeque<>();
    private final Deque<Runnable> always = new ArrayDeque<>();

    /** To be done if the load fails. */
    void add(Runnable action) {
        onFailure.push(action);
    }

    /** To be done when the load ends, however it ends. */
    void always(Runnable action) {
        always.push(action);
    }

    /** From here on the load cannot fail: nothing is taken back any more. */
    void pastNoReturn() {
        onFailure.clear();
    }

    /** The load has succeeded. */
    void commit() {
        onFailure.clear();
        always.forEach(Runnable::run);
    }

    /** The load has failed. */
    void rollBack() {
        onFailure.forEach(Runnable::run);
        always.forEach(Runnable::run);
    }
}

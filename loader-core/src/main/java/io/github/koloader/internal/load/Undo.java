package io.github.koloader.internal.load;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

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
        rollBack();
    }

    /** The load has failed, or has ended: everything is done, even if some of it throws. */
    void rollBack() {
        RuntimeException thrown = null;
        for (Deque<Runnable> actions : List.of(onFailure, always)) {
            while (!actions.isEmpty()) {
                try {
                    actions.pop().run();
                } catch (RuntimeException e) { // of an allocator that the user brought
                    if (thrown == null) {
                        thrown = e;
                    } else {
                        thrown.addSuppressed(e);
                    }
                }
            }
        }
        if (thrown != null) {
            throw thrown;
        }
    }
}

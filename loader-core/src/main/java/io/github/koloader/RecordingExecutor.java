package io.github.koloader;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The default executor: runs nothing, remembers what it was asked to run, and answers that all went
 * well.
 */
public final class RecordingExecutor implements Executor {
    private final List<Call> calls = new ArrayList<>();

    /** One that has not been asked yet. */
    public RecordingExecutor() {}

    @Override
    public int call(Call call) {
        calls.add(call);
        return call.phase() == Phase.SETUP_OPTION ? 1 : 0;
    }

    /** {@return what it was asked to run, oldest first; a view} */
    public List<Call> calls() {
        return Collections.unmodifiableList(calls);
    }
}

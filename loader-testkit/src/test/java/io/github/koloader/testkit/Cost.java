package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** What a fuzzer's case may cost: processor time, and memory from the heap, of this thread. */
final class Cost {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** Far more than any case needs, far less than a loop over a number from the file. */
    private static final long NANOSECONDS = 5_000_000_000L;

    private static final long BYTES = 192L << 20;

    private final long classes = classes();
    private final long time = THREADS.getCurrentThreadCpuTime();
    private final long allocated = THREADS.getCurrentThreadAllocatedBytes();

    private static long classes() {
        return ManagementFactory.getClassLoadingMXBean().getTotalLoadedClassCount();
    }

    /**
     * Fails if more was spent since this was made. A case that was the first to need a class is not
     * measured: the fuzzer has then spent more on instrumenting that class.
     */
    void check() {
        if (classes() != classes) {
            return;
        }
        assertThat(THREADS.getCurrentThreadCpuTime() - time)
                .as("nanoseconds of processor time")
                .isLessThan(NANOSECONDS);
        assertThat(THREADS.getCurrentThreadAllocatedBytes() - allocated)
                .as("bytes allocated")
                .isLessThan(BYTES);
    }
}

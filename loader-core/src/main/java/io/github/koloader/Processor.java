package io.github.koloader;

/**
 * What functions may leave changed on the processor that runs them. A kernel looks at it behind
 * each initcall, and behind init of each module, and puts it right with a warning. Belongs to its
 * kernel's thread.
 *
 * <pre>{@code
 * .bind("hello", "hello_init", call -> {
 *     call.kernel().processor().localIrqDisable();
 *     return 0; // initcall hello_init+0x0/0x1000 [hello] returned with disabled interrupts
 * })
 * }</pre>
 *
 * @kernel init/main.c, do_one_initcall()
 */
public final class Processor {
    private int preemptCount;
    private boolean irqsDisabled;

    /** One that is left alone so far. */
    public Processor() {}

    /** {@return how often preemption has been disabled and not enabled again; may be negative} */
    public int preemptCount() {
        return preemptCount;
    }

    /** {@return whether it takes no interrupts} */
    public boolean irqsDisabled() {
        return irqsDisabled;
    }

    /** Disables preemption once more: {@code preempt_disable()}. */
    public void preemptDisable() {
        preemptCount++;
    }

    /** Takes back one {@link #preemptDisable()}: {@code preempt_enable()}. */
    public void preemptEnable() {
        preemptCount--;
    }

    /** Takes no interrupts from now on: {@code local_irq_disable()}. */
    public void localIrqDisable() {
        irqsDisabled = true;
    }

    /** Takes interrupts again: {@code local_irq_enable()}. */
    public void localIrqEnable() {
        irqsDisabled = false;
    }

    /**
     * Sets how often preemption is disabled: {@code preempt_count_set()}.
     *
     * @param count the new count
     */
    public void setPreemptCount(int count) {
        preemptCount = count;
    }
}

package io.github.koloader.internal.boot;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.BootOptions;
import io.github.koloader.BootOptions.Option;
import io.github.koloader.Errno;
import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.params.ParameterHeap;
import io.github.koloader.internal.params.ParameterHeap.Block;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * All handlers of options: those in the linked kernel's memory, then those in Java.
 *
 * <p>An entry in memory has three words: text, function, and 32 bits that say whether it is early.
 *
 * @kernel include/linux/init.h, struct obs_kernel_param
 */
final class OptionTable {
    private static final int LONGEST_TEXT = 4096;
    private static final int SHORT = 64;

    /** What every Linux takes, where the linked kernel does not say what it takes. */
    private static final List<String> USUAL_EARLY =
            List.of(
                    "debug",
                    "quiet",
                    "loglevel",
                    "ignore_loglevel",
                    "log_buf_len",
                    "earlycon",
                    "maxcpus",
                    "nr_cpus",
                    "nosmp",
                    "mem",
                    "initrd",
                    "noinitrd");

    private static final List<String> USUAL =
            List.of(
                    "console=",
                    "root=",
                    "ro",
                    "rw",
                    "rootwait",
                    "rootdelay=",
                    "rootflags=",
                    "rootfstype=",
                    "reset_devices");

    private OptionTable() {}

    /**
     * All of them.
     *
     * @param commandLine what they are looked for in: of texts that are longer than all of its
     *     words, only so much is read
     */
    static List<Option> of(KernelState kernel, BootOptions options, String commandLine) {
        List<Option> all = new ArrayList<>();
        Optional<AddressRange> table = kernel.linked.setupTable();
        if (table.isPresent()) {
            addEntries(kernel, table.get(), Math.max(SHORT, longest(commandLine) + 1), all);
        }
        all.addAll(options.all());
        if (table.isEmpty()) {
            USUAL_EARLY.forEach(name -> all.add(new Option(name, true, value -> 0)));
            USUAL.forEach(text -> all.add(new Option(text, false, value -> 1)));
        }
        return all;
    }

    /** Characters of the longest word, at least; what is in quotes has blanks. */
    private static int longest(String commandLine) {
        int longest = 0;
        if (commandLine.indexOf('"') >= 0) {
            return commandLine.length();
        }
        for (int from = 0; from < commandLine.length(); ) {
            int blank = commandLine.indexOf(' ', from);
            int end = blank < 0 ? commandLine.length() : blank;
            longest = Math.max(longest, end - from);
            from = end + 1;
        }
        return longest;
    }

    private static void addEntries(
            KernelState kernel, AddressRange table, int longest, List<Option> all) {
        int wordSize = kernel.architecture.encoding().wordSize();
        for (long at = 0; at <= table.size() - 3L * wordSize; at += 3L * wordSize) {
            Address entry = table.start().plus(at);
            String text =
                    kernel.memory.readText(
                            kernel.memory.readPointer(entry), Math.min(longest, LONGEST_TEXT));
            Address function = kernel.memory.readPointer(entry.plus(wordSize));
            boolean early = kernel.memory.readInt(entry.plus(2L * wordSize)) != 0;
            if (!text.isEmpty()) {
                all.add(new Option(text, early, value -> call(kernel, early, function, value)));
            }
        }
    }

    /** Calls a handler with a copy of the text in memory. */
    private static int call(
            KernelState kernel, boolean early, Address function, Optional<String> value) {
        Phase phase = early ? Phase.EARLY_OPTION : Phase.SETUP_OPTION;
        if (value.isEmpty()) {
            return kernel.executor.call(
                    new Call(kernel.kernel, null, phase, function, List.of(Address.NULL)));
        }
        byte[] text = value.get().getBytes(ISO_8859_1);
        ParameterHeap heap = kernel.heap();
        Block copy = heap.map(Arrays.copyOf(text, text.length + 1), false);
        if (copy == null) {
            return early ? -Errno.ENOMEM.number() : 0;
        }
        try {
            return kernel.executor.call(
                    new Call(
                            kernel.kernel,
                            null,
                            phase,
                            function,
                            List.of(new Address(copy.address()))));
        } finally {
            heap.free(copy);
        }
    }
}

package io.github.koloader.internal.params;

import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.ModuleParameter;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.internal.Warnings;
import io.github.koloader.internal.Words;
import io.github.koloader.memory.AddressFaultException;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.RandomAccess;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of a module: a view on the table in its memory, empty once that is gone.
 *
 * @kernel kernel/params.c, module_param_sysfs_setup(), destroy_params()
 */
public final class ModuleParameters extends AbstractList<ModuleParameter> implements RandomAccess {
    private final KernelState kernel;
    private final LoadedModule module;
    private final int section;
    private final int count;
    private final TableLayout layout;
    private boolean gone;

    /** The table in that section. */
    public ModuleParameters(KernelState kernel, LoadedModule module, int section) {
        this.kernel = kernel;
        this.module = module;
        this.section = section;
        int wordSize = kernel.architecture.encoding().wordSize();
        this.layout = TableLayout.of(kernel.config, wordSize);
        this.count = (int) (module.placement.size(section) / layout.entrySize());
    }

    private boolean present() {
        return !gone && module.placement.blockOf(section).present;
    }

    @Override
    public int size() {
        return present() ? count : 0;
    }

    @Override
    public ModuleParameter get(int index) {
        java.util.Objects.checkIndex(index, size());
        return new Parameter(entry(index));
    }

    private long entry(int index) {
        return module.placement.address(section) + (long) index * layout.entrySize();
    }

    /**
     * Sets what the module's arguments name.
     *
     * @throws LoadException if that fails
     */
    public void parse() {
        ModuleArguments.run(kernel, module, module.placement.address(section), count);
    }

    /**
     * Looks at the names of files: each parameter with permissions has one, of its own name.
     *
     * @return the first name that is there twice, or {@code null}
     * @throws LoadException if a name is nowhere
     */
    public @Nullable String nameThatIsThereTwice() {
        Placement placement = module.placement;
        PlacedBlock table = placement.blockOf(section);
        boolean bigEndian = kernel.architecture.encoding().bigEndian();
        int wordSize = kernel.architecture.encoding().wordSize();
        Set<String> names = new HashSet<>();
        int at = placement.start(section);
        for (int i = 0; i < count; i++, at += layout.entrySize()) {
            if (Words.readShort(table.array, at + layout.permissions(), bigEndian) == 0) {
                continue;
            }
            String name = name(Words.readWord(table.array, at, wordSize, bigEndian));
            if (!names.add(name)) {
                return name;
            }
        }
        return null;
    }

    private String name(long address) {
        PlacedBlock block = module.placement.find(address, 1);
        if (block != null) {
            int from = (int) (address - block.base);
            int end = Words.indexOfZero(block.array, from, block.array.length);
            if (end < block.array.length && end - from < 256) {
                return new String(block.array, from, end - from, StandardCharsets.ISO_8859_1);
            }
        }
        return guarded(() -> new ParameterAccess(kernel, module).text(address));
    }

    /**
     * Frees what setters have taken, and all that is left in the heap.
     *
     * @kernel kernel/params.c, module_param_sysfs_remove(), destroy_params()
     */
    public void free() {
        try {
            ParameterAccess access = new ParameterAccess(kernel, module);
            for (int i = 0; i < size(); i++) {
                access.free(entry(i));
            }
        } catch (AddressFaultException
                | WildParameterException e) { // the kernel would oops; memory is freed all the same
            kernel.log.add(
                    Warnings.parametersNotFreed(module.name, String.valueOf(e.getMessage())));
        } finally {
            gone = true;
            if (module.parameterHeap != null) {
                module.parameterHeap.freeAll();
            }
        }
    }

    /** What reads or writes memory; a fault in it is a refusal. */
    private interface Guarded<T> {
        T run();
    }

    private <T> T guarded(Guarded<T> action) {
        if (!present()) {
            throw Failures.parameterGone(module.name);
        }
        try {
            return action.run();
        } catch (AddressFaultException | WildParameterException e) {
            LoadException failure =
                    Failures.wildParameter(module.name, String.valueOf(e.getMessage()));
            throw failure.causedBy(e);
        }
    }

    private final class Parameter implements ModuleParameter {
        private final long entry;

        Parameter(long entry) {
            this.entry = entry;
        }

        private ParameterAccess access() {
            return new ParameterAccess(kernel, module);
        }

        @Override
        public String name() {
            return guarded(() -> access().text(access().word(entry)));
        }

        @Override
        public int permissions() {
            return guarded(() -> access().permissions(entry));
        }

        @Override
        public String read() {
            ParameterAccess.Shown shown = guarded(() -> access().get(entry));
            if (shown.error() < 0) {
                throw Failures.parameterNotShown(module.name, name(), -shown.error());
            }
            return shown.text();
        }

        @Override
        public void write(String value) {
            if (!present()) {
                throw Failures.parameterGone(module.name);
            }
            for (int from = 0; from < value.length(); from += ParameterAccess.PAGE) {
                int to = Math.min(value.length(), from + ParameterAccess.PAGE);
                writePage(value.substring(from, to));
            }
        }

        private void writePage(String value) {
            List<LogLine> lines = new ArrayList<>();
            TextBuffer text = TextBuffer.of(value);
            ParameterAccess access = access();
            int result;
            try {
                result =
                        guarded(
                                () ->
                                        access.set(
                                                entry,
                                                text,
                                                0,
                                                line -> {
                                                    kernel.log.add(line);
                                                    lines.add(line);
                                                }));
            } finally {
                if (module.parameterHeap != null) {
                    text.unmap(module.parameterHeap);
                }
            }
            if (result < 0) {
                throw Failures.parameterNotSet(module.name, name(), -result, lines);
            }
        }

        @Override
        public String toString() {
            return "ModuleParameter[" + module.name + "]";
        }
    }
}

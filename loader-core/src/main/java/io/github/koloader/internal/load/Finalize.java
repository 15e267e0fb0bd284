package io.github.koloader.internal.load;

import io.github.koloader.ModuleState;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.ThisModule;
import io.github.koloader.internal.ExportIndex.Export;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.internal.Placement.PlacedBlock;
import io.github.koloader.internal.Words;
import io.github.koloader.internal.load.SpecialSections.ExportTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout.Part;
import io.github.koloader.memory.MemoryType;
import io.github.koloader.memory.Region;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Makes a relocated module a part of the kernel: its exports are read and may not exist already,
 * rights are set, and it is listed.
 *
 * @kernel kernel/module/main.c, complete_formation(), verify_exported_symbols()
 */
final class Finalize {
    private final KernelState kernel;
    private final LoadedModule module;
    private final Placement placement;
    private final boolean bigEndian;
    private final int wordSize;
    private final List<Export> exports = new ArrayList<>();
    private long nameBudget;
    private final List<Export> findable = new ArrayList<>();

    private Finalize(KernelState kernel, LoadedModule module) {
        this.kernel = kernel;
        this.module = module;
        this.placement = module.placement;
        this.bigEndian = kernel.architecture.encoding().bigEndian();
        this.wordSize = kernel.architecture.encoding().wordSize();
        this.nameBudget = 1 << 20;
        for (PlacedBlock block : placement.blocks()) {
            nameBudget += 4L * block.array.length;
        }
    }

    static void run(
            KernelState kernel,
            LoadedModule module,
            SpecialSections special,
            int structure,
            Undo undo) {
        Finalize step = new Finalize(kernel, module);
        for (ExportTable table : special.exportTables(kernel.config)) {
            step.read(table);
        }
        step.verify();
        module.exports = step.exports;
        module.findableExports = step.findable;
        if (kernel.config.strictModuleRwx()) {
            step.protect();
            step.refuseReadOnlyState(structure);
        }
        kernel.exports.addAll(step.findable);
        undo.add(() -> kernel.exports.removeAll(step.findable));
        module.state = ModuleState.COMING;
    }

    // ---- exports ----

    /** Reads the exports of one table; those that a search by bisection finds are findable. */
    private void read(ExportTable kind) {
        int table = kind.table();
        if (placement.sections().get(table).type().equals(SectionType.NOBITS)) {
            throw Failures.exportOutsideModule(module.name, placement.name(table), 0);
        }
        boolean relative = kernel.architecture.relativeExports(kernel.config);
        int fieldSize = relative ? 4 : wordSize;
        int entrySize = exportSize(kernel);
        int count = (int) (placement.sections().get(table).size() / entrySize);
        List<Export> found = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            long offset = (long) i * entrySize;
            long value = target(table, offset, relative);
            byte[] name = text(table, offset, target(table, offset + fieldSize, relative));
            String namespace = "";
            if (entrySize == 3 * fieldSize) {
                long field = offset + 2L * fieldSize;
                long at = target(table, field, relative);
                boolean none = relative ? at == placement.address(table) + field : at == 0;
                namespace =
                        none
                                ? ""
                                : new String(
                                        text(table, offset, at),
                                        java.nio.charset.StandardCharsets.ISO_8859_1);
            }
            boolean hasCrc = kernel.config.modversions() && kind.crcs() != 0;
            int crc = hasCrc ? crc(kind.crcs(), i) : 0;
            found.add(
                    Export.ofModule(
                            name,
                            module,
                            value,
                            kind.gplOnly(),
                            kind.gplFuture(),
                            namespace,
                            hasCrc,
                            crc));
        }
        exports.addAll(found);
        findable.addAll(reachable(found));
    }

    /** Bytes of an entry of the tables of exports. */
    static int exportSize(KernelState kernel) {
        boolean relative = kernel.architecture.relativeExports(kernel.config);
        int fieldSize = relative ? 4 : kernel.architecture.encoding().wordSize();
        return fieldSize * (kernel.config.atLeast(5, 4) ? 3 : 2);
    }

    /** Where a field of an export leads: it holds an address, or the distance from itself. */
    private long target(int section, long offset, boolean relative) {
        byte[] array = placement.blockOf(section).array;
        int at = placement.start(section) + (int) offset;
        if (relative) {
            return placement.address(section) + offset + Words.readInt(array, at, bigEndian);
        }
        return Words.readWord(array, at, wordSize, bigEndian);
    }

    private byte[] text(int section, long offset, long address) {
        PlacedBlock block = placement.find(address, 1);
        if (block == null) {
            throw Failures.exportOutsideModule(
                    module.name, placement.sections().get(section).name(), offset);
        }
        int from = (int) (address - block.base);
        int to = from;
        while (to < block.array.length && block.array[to] != 0) {
            to++;
        }
        nameBudget -= to - from;
        if (nameBudget < 0) { // names that overlap
            throw Failures.exportOutsideModule(module.name, placement.name(section), offset);
        }
        return Arrays.copyOfRange(block.array, from, to);
    }

    private int crc(int table, int index) {
        int size = kernel.config.atLeast(4, 10) ? 4 : wordSize;
        long offset = (long) index * size;
        if (offset + size > placement.sections().get(table).size()) {
            return 0;
        }
        int at = placement.start(table) + (int) offset;
        return (int) Words.readWord(placement.blockOf(table).array, at, size, bigEndian);
    }

    /**
     * The kernel finds an export by bisection: in a table that is not sorted some are never found.
     */
    private static List<Export> reachable(List<Export> table) {
        boolean sorted = true;
        for (int i = 1; i < table.size() && sorted; i++) {
            sorted = compare(table.get(i - 1), table.get(i)) < 0;
        }
        if (sorted) {
            return table;
        }
        List<Export> reachable = new ArrayList<>();
        for (Export wanted : table) {
            Export hit = bisect(table, wanted);
            if (hit == wanted) {
                reachable.add(hit);
            }
        }
        return reachable;
    }

    private static @Nullable Export bisect(List<Export> table, Export wanted) {
        int base = 0;
        int count = table.size();
        while (count > 0) {
            int pivot = base + (count >> 1);
            int order = compare(wanted, table.get(pivot));
            if (order == 0) {
                return table.get(pivot);
            }
            if (order > 0) {
                base = pivot + 1;
                count--;
            }
            count >>= 1;
        }
        return null;
    }

    private static int compare(Export one, Export other) {
        return Arrays.compareUnsigned(one.nameBytes(), other.nameBytes());
    }

    private void verify() {
        for (Export export : exports) {
            Export there = kernel.exports.find(export.nameBytes());
            if (there != null) {
                throw Failures.duplicateExport(
                        module.name,
                        export.name(),
                        there.owner == null ? "kernel" : there.owner.name);
            }
        }
    }

    // ---- rights ----

    private void protect() {
        for (PlacedBlock block : placement.blocks()) {
            for (int i = 0; i < block.regions.size(); i++) {
                Address base = block.regions.get(i).base();
                if (base.value() % kernel.architecture.pageSize() != 0) {
                    throw Failures.notPageAligned(module.name, base);
                }
                kernel.memory.protect(
                        block.regions.get(i), block.block.parts().get(i).type().rights());
            }
        }
    }

    /**
     * The kernel writes the module's state into its {@code struct module} from here on, which only
     * a file that lays that into read-only memory makes impossible.
     */
    private void refuseReadOnlyState(int structure) {
        Address state = new Address(placement.address(structure));
        Rights rights = kernel.memory.regionAt(state).map(Region::rights).orElse(Rights.READ_ONLY);
        if (!rights.writable()) {
            throw Failures.stateNotWritable(module.name, placement.name(structure), state, rights);
        }
    }

    /** Data that is read-only after init becomes so. */
    static void protectAfterInit(KernelState kernel, LoadedModule module) {
        for (PlacedBlock block : module.placement.blocks()) {
            List<Part> parts = block.block.parts();
            for (int i = 0; i < block.regions.size(); i++) {
                if (parts.get(i).type() == MemoryType.RO_AFTER_INIT) {
                    kernel.memory.protect(block.regions.get(i), Rights.READ_ONLY);
                }
            }
        }
    }

    // ---- entry points ----

    /** The address that a relocation has put into a field of {@code struct module}, or 0. */
    static long entry(
            KernelState kernel,
            LoadedModule module,
            int section,
            Optional<ThisModule.Entry> entry) {
        if (entry.isEmpty()) {
            return 0;
        }
        Architecture architecture = kernel.architecture;
        Placement placement = module.placement;
        long offset = entry.get().fieldOffset();
        int wordSize = architecture.encoding().wordSize();
        if (offset < 0 || offset > placement.sections().get(section).size() - wordSize) {
            throw Failures.entryOutsideStructure(module.name, offset);
        }
        return Words.readWord(
                placement.blockOf(section).array,
                placement.start(section) + (int) offset,
                wordSize,
                architecture.encoding().bigEndian());
    }
}

package io.github.koloader.internal;

import io.github.koloader.Module;
import io.github.koloader.ModuleParameter;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Modinfo;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.params.ParameterHeap;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.ModuleAllocator;
import io.github.koloader.memory.Region;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The kernel's record of one module: its {@code struct module}. {@link Module} is what users see of
 * it.
 */
public final class LoadedModule {
    /** Its name: the one in the structure. */
    public final String name;

    /**
     * What it is loaded from; let go when the load is over, as the kernel frees its copy of the
     * file.
     */
    public @Nullable ModuleImage image;

    /** Its modinfo. */
    public final Modinfo modinfo;

    /** Its symbols: all of them while it is being loaded, then those that stay. */
    public SymbolTable symbols;

    /** Where its sections went. */
    public final Placement placement;

    /** Its parameters, as given. */
    public final String arguments;

    /** Its parameters, once parsed. */
    public List<ModuleParameter> parameters = List.of();

    /** What sysfs has of a module. */
    public enum Sysfs {
        /** Nothing. */
        NONE,
        /** Its directory, without sections and notes. */
        PLAIN,
        /** All of it. */
        WITH_SECTIONS
    }

    /** What sysfs has of it. */
    public Sysfs sysfs = Sysfs.NONE;

    /** What its parameters have taken from the kernel's heap, if anything. */
    public @Nullable ParameterHeap parameterHeap;

    /** Whether its drivers' probing may go on after the load. */
    public boolean asyncProbe;

    /** How far it has come. */
    public ModuleState state = ModuleState.UNFORMED;

    /** Its taints. */
    public final EnumSet<Taint> taints = EnumSet.noneOf(Taint.class);

    /** References, including the base one. */
    public int references = 2;

    /** Modules whose symbols it uses, in order of first use. */
    public final List<LoadedModule> uses = new ArrayList<>();

    /** Modules that use its symbols, oldest first. */
    public final List<LoadedModule> users = new ArrayList<>();

    /** Its exports, once formed. */
    public List<ExportIndex.Export> exports = List.of();

    /** Those of its exports that a search finds: all, if its tables are sorted. */
    public List<ExportIndex.Export> findableExports = List.of();

    /** Whether it has been given a GPL-only symbol. */
    public boolean usesGplOnly;

    /** Final values of the image's symbols, while it is being loaded. */
    public long[] symbolValues = {};

    /** Entry points, 0 for none. */
    public long init;

    /** See {@link #init}. */
    public long exit;

    /** Offset of its per-CPU data in each CPU's area, 0 if it has none. */
    public long perCpuBase;

    /** What its per-CPU memory was asked for with, if it has any. */
    public ModuleAllocator.@Nullable Request perCpuRequest;

    /** Regions of its per-CPU data, one a CPU. */
    public List<Region> perCpuRegions = List.of();

    /** Relocations applied. */
    public int relocationCount;

    /** Undefined symbols that were resolved. */
    public int importCount;

    /** What init returned, if it ran. */
    public @Nullable Integer initResult;

    /** What users see. */
    public final Module facade;

    /** A record in state UNFORMED. */
    public LoadedModule(
            String name,
            ModuleImage image,
            Modinfo modinfo,
            Placement placement,
            String arguments,
            Set<Taint> taints,
            java.util.function.Function<LoadedModule, Module> facades) {
        this.name = name;
        this.image = image;
        this.modinfo = modinfo.copy();
        this.symbols = image.symbols();
        this.placement = placement;
        this.arguments = arguments;
        this.taints.addAll(taints);
        this.facade = facades.apply(this);
    }

    /** Whether somebody but its users and the kernel itself holds a reference on it. */
    public boolean hasReferenceToGive() {
        int kernels = state == ModuleState.LIVE || state == ModuleState.GOING ? 1 : 2;
        return references - kernels > users.size();
    }

    /** What it is loaded from, during the load. */
    public ModuleImage image() {
        ModuleImage current = image;
        if (current == null) {
            throw new IllegalStateException("the load of " + name + " is over");
        }
        return current;
    }

    /**
     * The load is over: the file is let go, and of the symbols those stay that kallsyms keeps in
     * core memory.
     */
    public void dropFile() {
        Layout.Kallsyms room = layout().kallsyms();
        if (room.present()) {
            Bytes block = Bytes.wrap(placement.blocks()[room.coreBlock()].array);
            int entries = room.coreCount() * symbols.encoding().symbolSize();
            symbols =
                    new SymbolTable(
                            block.slice((int) room.coreSymbols(), entries),
                            block.slice((int) room.coreStrings(), (int) room.coreStringSize()),
                            symbols.encoding());
        } else {
            symbols = symbolsThatStay();
        }
        symbolValues = new long[0];
        image = null;
        placement.dropFile();
    }

    /** Without kallsyms: a copy of the symbols whose sections stay, with their final values. */
    private SymbolTable symbolsThatStay() {
        int entrySize = symbols.encoding().symbolSize();
        int count = 0;
        int stringSize = 0;
        for (int i = 0; i < symbols.count(); i++) {
            if (stays(i)) {
                count++;
                stringSize += symbols.nameLength(i) + 1;
            }
        }
        byte[] entries = new byte[count * entrySize];
        byte[] strings = new byte[stringSize];
        int entryAt = 0;
        int nameAt = 0;
        for (int i = 0; i < symbols.count(); i++) {
            if (stays(i)) {
                nameAt += symbols.copyName(i, strings, nameAt);
                symbols.copyEntry(
                        i, entries, entryAt, symbolValues[i], nameAt - symbols.nameLength(i) - 1);
                entryAt += entrySize;
            }
        }
        return new SymbolTable(Bytes.wrap(entries), Bytes.wrap(strings), symbols.encoding());
    }

    private boolean stays(int symbol) {
        int section = symbols.sectionIndex(symbol);
        return symbol == 0
                || section < placement.count()
                        && placement.layout().blockOf(section) >= 0
                        && !placement.layout().isInit(section);
    }

    /** Its layout. */
    public Layout layout() {
        return placement.layout();
    }
}

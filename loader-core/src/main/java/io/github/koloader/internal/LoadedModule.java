package io.github.koloader.internal;

import io.github.koloader.Module;
import io.github.koloader.ModuleState;
import io.github.koloader.Taint;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.ModuleAllocator;
import io.github.koloader.memory.Region;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The kernel's record of one module: its {@code struct module}. {@link Module} is what users see of it. */
public final class LoadedModule {
    /** Its name: the one in the structure. */
    public final String name;

    /** What it was loaded from. */
    public final ModuleImage image;

    /** Where its sections went. */
    public final Placement placement;

    /** Its parameters, as given. */
    public final String parameters;

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

    /** Whether it has been given a GPL-only symbol. */
    public boolean usesGplOnly;

    /** Final values of its symbols. */
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
            Placement placement,
            String parameters,
            Set<Taint> taints,
            java.util.function.Function<LoadedModule, Module> facades) {
        this.name = name;
        this.image = image;
        this.placement = placement;
        this.parameters = parameters;
        this.taints.addAll(taints);
        this.facade = facades.apply(this);
    }

    /** Its layout. */
    public Layout layout() {
        return placement.layout();
    }
}

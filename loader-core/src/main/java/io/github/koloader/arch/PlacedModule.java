package io.github.koloader.arch;

import static java.util.Objects.requireNonNull;

import io.github.koloader.KernelConfig;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SymbolTable;
import java.util.function.IntFunction;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/**
 * A module at its final addresses, its symbols resolved: what an architecture needs to relocate and
 * finalise it. Lives as long as the load.
 */
public final class PlacedModule {
    private final KernelConfig config;
    private final String name;
    private final SectionPlan plan;
    private final long[] symbolValues;
    private final IntFunction<@Nullable PlacedSection> sections;
    private final LongPredicate inInit;
    private final PlacedSection textPrefix;
    private boolean symbolsChanged;

    /**
     * A module in memory.
     *
     * @param config the kernel
     * @param name name of the module
     * @param plan the module as its architecture has planned it
     * @param symbolValues the final value of each symbol, by index; shared, not copied
     * @param sections gives the memory of a section by index, or {@code null} if it takes none
     * @param inInit whether an address lies in the module's init memory
     * @param textPrefix the bytes before the first section that the plan asked for; may be empty
     */
    public PlacedModule(
            KernelConfig config,
            String name,
            SectionPlan plan,
            long[] symbolValues,
            IntFunction<@Nullable PlacedSection> sections,
            LongPredicate inInit,
            PlacedSection textPrefix) {
        this.config = requireNonNull(config);
        this.name = requireNonNull(name);
        this.plan = requireNonNull(plan);
        this.symbolValues = requireNonNull(symbolValues);
        this.sections = requireNonNull(sections);
        this.inInit = requireNonNull(inInit);
        this.textPrefix = requireNonNull(textPrefix);
    }

    /**
     * A module of which one section alone lies in memory, not init, as it is in its file: for tests
     * of relocations.
     *
     * @param config the kernel
     * @param image the module
     * @param symbolValues the final value of each symbol, by index; shared, not copied
     * @param index index of the section
     * @param section its memory
     * @return the module, named as in the image
     */
    public static PlacedModule ofSection(
            KernelConfig config,
            ModuleImage image,
            long[] symbolValues,
            int index,
            PlacedSection section) {
        return new PlacedModule(
                config,
                image.name().orElse("module"),
                SectionPlan.asIs(image),
                symbolValues,
                wanted -> wanted == index ? section : null,
                address -> false,
                new PlacedSection(new byte[0], 0, 0, 0, false));
    }

    /** {@return the kernel} */
    public KernelConfig config() {
        return config;
    }

    /** {@return name of the module} */
    public String name() {
        return name;
    }

    /** {@return the module's file, as the plan changed it} */
    public ModuleImage image() {
        return plan.image();
    }

    /** {@return what {@link Architecture#planSections} decided} */
    public SectionPlan plan() {
        return plan;
    }

    /** {@return the module's symbols} */
    public SymbolTable symbols() {
        return plan.image().symbols();
    }

    /** {@return number of symbols that have a value} */
    public int symbolCount() {
        return symbolValues.length;
    }

    /**
     * {@return final value of a symbol}
     *
     * @param symbol its index, {@code [0, symbolCount())}
     */
    public long symbolValue(int symbol) {
        return symbolValues[symbol];
    }

    /**
     * Gives a symbol another value.
     *
     * @param symbol its index, {@code [0, symbolCount())}
     * @param value the value
     */
    public void setSymbolValue(int symbol, long value) {
        symbolValues[symbol] = value;
        symbolsChanged = true;
    }

    /** {@return whether {@link #setSymbolValue} was called} */
    public boolean symbolsChanged() {
        return symbolsChanged;
    }

    /**
     * {@return the memory of a section, or {@code null} if it takes none}
     *
     * @param index index of the section
     */
    public @Nullable PlacedSection section(int index) {
        return sections.apply(index);
    }

    /**
     * {@return the memory of a section that the plan gave memory to}
     *
     * @param index index of the section
     * @throws IllegalStateException if it has none
     */
    public PlacedSection planned(int index) {
        PlacedSection section = section(index);
        if (section == null) {
            throw new IllegalStateException("section " + index + " takes no memory");
        }
        return section;
    }

    /**
     * {@return whether an address lies in the module's init memory}
     *
     * @param address any address
     */
    public boolean isInit(long address) {
        return inInit.test(address);
    }

    /** {@return the memory before the first section: as many bytes as the plan asked for} */
    public PlacedSection textPrefix() {
        return textPrefix;
    }
}

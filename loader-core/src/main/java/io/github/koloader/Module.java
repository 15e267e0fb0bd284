package io.github.koloader;

import static java.util.Objects.requireNonNull;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Modinfo;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Placement;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.Region;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A module in a kernel, live or on its way. Belongs to its kernel's thread. What it answers follows
 * the module through its life; one that is unloaded or has failed to load keeps what it last was.
 */
@SuppressWarnings("JavaLangClash") // the kernel's own word; java.lang.Module is not used here
public final class Module {
    private final LoadedModule record;

    Module(LoadedModule record) {
        this.record = requireNonNull(record);
    }

    LoadedModule record() {
        return record;
    }

    /** {@return its name: the one in its {@code struct module}} */
    public String name() {
        return record.name;
    }

    /** {@return how far it has come} */
    public ModuleState state() {
        return record.state;
    }

    /** {@return its modinfo} */
    public Modinfo modinfo() {
        return record.modinfo;
    }

    /** {@return the parameters it was given, as one line; see {@link #parameters()}} */
    public String arguments() {
        return record.arguments;
    }

    /** {@return its parameters, in the order of its table; empty before they are parsed} */
    public List<ModuleParameter> parameters() {
        return record.parameters;
    }

    /** {@return its taints} */
    public Set<Taint> taints() {
        EnumSet<Taint> copy = EnumSet.noneOf(Taint.class);
        copy.addAll(record.taints);
        return Collections.unmodifiableSet(copy);
    }

    /**
     * {@return the init function; empty if it has none} Its memory is gone once the module is live.
     */
    public Optional<Address> init() {
        return record.init == 0 ? Optional.empty() : Optional.of(new Address(record.init));
    }

    /** {@return the exit function; empty if it has none} */
    public Optional<Address> exit() {
        return record.exit == 0 ? Optional.empty() : Optional.of(new Address(record.exit));
    }

    /** {@return what init returned; empty if it has not run} */
    public OptionalInt initResult() {
        Integer result = record.initResult;
        return result == null ? OptionalInt.empty() : OptionalInt.of(result);
    }

    /** {@return the reference count, as {@code lsmod} shows it: users and other references} */
    public int referenceCount() {
        return record.references - 1;
    }

    /** {@return names of the modules that use its symbols, newest first} */
    public List<String> users() {
        List<String> names = new ArrayList<>(record.users.stream().map(user -> user.name).toList());
        Collections.reverse(names);
        return List.copyOf(names);
    }

    /** {@return names of the modules whose symbols it uses, in order of first use} */
    public List<String> uses() {
        return record.uses.stream().map(used -> used.name).toList();
    }

    /**
     * {@return its exports, plain ones first, in the order of its tables; none before it is formed}
     */
    public List<ExportedSymbol> exports() {
        return record.exports.stream()
                .map(
                        export ->
                                new ExportedSymbol(
                                        export.name(),
                                        new Address(export.address),
                                        export.gplOnly,
                                        export.namespace,
                                        export.hasCrc
                                                ? OptionalInt.of(export.crc)
                                                : OptionalInt.empty()))
                .toList();
    }

    /**
     * The final value of its first symbol of that name, as kallsyms knows it: until init has
     * returned every symbol, the resolved undefined ones included; then those of code and data that
     * stay.
     *
     * @param symbol name of the symbol, one character a byte
     * @return empty if it has no such symbol, or one that is undefined and was not resolved
     */
    public Optional<Address> addressOf(String symbol) {
        SymbolTable symbols = record.symbols;
        int index = symbols.indexOf(symbol);
        if (index <= 0) {
            return Optional.empty();
        }
        long[] values = record.symbolValues;
        long value = values.length == 0 ? symbols.value(index) : values[index];
        return symbols.sectionIndex(index) == SymbolTable.UNDEF && value == 0
                ? Optional.empty()
                : Optional.of(new Address(value));
    }

    /**
     * For a {@link LoadObserver}: final values of the symbols of the image that is being loaded, by
     * index.
     *
     * @return none before symbols are resolved, and none once the load is over
     */
    public long[] symbolValues() {
        return record.symbolValues.clone();
    }

    /** {@return its layout: blocks, parts and offsets} */
    public Layout layout() {
        return record.layout();
    }

    /** {@return addresses of the blocks of {@link #layout()}; NULL for one of size 0} */
    public List<Address> blockAddresses() {
        return Arrays.stream(record.placement.blocks())
                .map(block -> new Address(block.base))
                .toList();
    }

    /**
     * {@return whether the memory of the block of that index is still there}
     *
     * @param block index in {@link Layout#blocks()}
     */
    public boolean blockPresent(int block) {
        return record.placement.blocks()[block].present;
    }

    /**
     * {@return the bytes of a block of {@link #layout()} as they are now}
     *
     * @param block index in {@link Layout#blocks()}
     * @throws NoSuchElementException if its memory is gone
     */
    public Bytes blockContents(int block) {
        Placement.PlacedBlock placed = record.placement.blocks()[block];
        if (!placed.present) {
            throw new NoSuchElementException(
                    "the memory of block " + block + " of " + name() + " is gone");
        }
        return Bytes.copyOf(placed.array);
    }

    /** {@return its sections that take memory, in file order, symbol tables included} */
    public List<LoadedSection> sections() {
        List<LoadedSection> sections = new ArrayList<>();
        Placement placement = record.placement;
        for (int i = 1; i < placement.count(); i++) {
            if (placement.layout().blockOf(i) >= 0) {
                sections.add(section(i));
            }
        }
        return List.copyOf(sections);
    }

    /**
     * {@return the section of that name that takes memory; empty if there is none}
     *
     * @param name the whole name, such as {@code .text}
     */
    public Optional<LoadedSection> section(String name) {
        return sections().stream().filter(section -> section.name().equals(name)).findFirst();
    }

    private LoadedSection section(int index) {
        Placement placement = record.placement;
        Placement.PlacedBlock block = placement.blockOf(index);
        return new LoadedSection(
                index,
                placement.name(index),
                new Address(placement.address(index)),
                placement.size(index),
                placement.layout().typeOf(index),
                placement.rights(index),
                block.present);
    }

    /**
     * {@return the bytes of a section as they are now}
     *
     * @param section one of {@link #sections()}
     * @throws NoSuchElementException if it takes no memory, or its memory is gone
     */
    public Bytes contents(LoadedSection section) {
        Placement placement = record.placement;
        int index = section.index();
        if (placement.layout().blockOf(index) < 0 || !placement.blockOf(index).present) {
            throw new NoSuchElementException(
                    "section " + section.name() + " of " + name() + " has no memory");
        }
        int start = placement.start(index);
        return Bytes.wrap(
                Arrays.copyOfRange(
                        placement.blockOf(index).array,
                        start,
                        start + (int) placement.size(index)));
    }

    /** {@return offset of its per-CPU data in each CPU's area; empty if it has none} */
    public Optional<Address> perCpuBase() {
        return record.perCpuRegions.isEmpty()
                ? Optional.empty()
                : Optional.of(new Address(record.perCpuBase));
    }

    /** {@return memory of its per-CPU data, by CPU} */
    public List<Region> perCpuRegions() {
        return record.perCpuRegions;
    }

    /**
     * {@return address of the kernel's temporary copy of its file, which is gone after the load}
     */
    public Address imageAddress() {
        return new Address(record.placement.imageAddress());
    }

    /** {@return number of relocations that were applied} */
    public int relocationCount() {
        return record.relocationCount;
    }

    /** {@return number of undefined symbols that were resolved} */
    public int importCount() {
        return record.importCount;
    }

    /** Name and state. */
    @Override
    public String toString() {
        return "Module[" + name() + ", " + state().text() + "]";
    }
}

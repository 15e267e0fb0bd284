package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Modinfo;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A kernel as the linker leaves it: code and data at their addresses, symbols, exports, and tables
 * of initcalls. It is read from a file, linked from objects, or made of Java. Immutable.
 *
 * <p>Of a file without all symbols not everything can be known; {@link #unknown()} says what is
 * not, and why.
 */
public final class LinkedKernel {
    /**
     * A piece of the kernel's memory.
     *
     * @param start address of its first byte
     * @param contents its first bytes; what follows up to {@code size} is zero
     * @param size bytes
     * @param rights what may be done with it once the kernel is up
     * @param name name of the section or segment, for people
     */
    public record Block(Address start, Bytes contents, long size, Rights rights, String name) {
        /**
         * Checks the size.
         *
         * @param start address of its first byte
         * @param contents its first bytes
         * @param size bytes, at least those of the contents
         * @param rights what may be done with it
         * @param name name of the section or segment
         */
        public Block {
            requireNonNull(rights);
            requireNonNull(name);
            checkArgument(
                    size >= contents.size(), "%s bytes in a block of %s", contents.size(), size);
        }

        /** {@return its addresses} */
        public AddressRange range() {
            return new AddressRange(start, size);
        }
    }

    private final Architecture architecture;
    private final Optional<String> banner;
    private final Optional<String> vermagic;
    private final KernelSymbolTable symbols;
    private final Map<String, ExportedSymbol> exports;
    private final List<Initcall> initcalls;
    private final Optional<AddressRange> initArea;
    private final List<Block> memory;
    private final Map<Address, Executor> functions;
    private final Optional<AddressRange> parameterTable;
    private final Optional<AddressRange> setupTable;
    private final boolean initcallFormsKnown;
    private final Modinfo modinfo;
    private final List<String> unknown;

    private LinkedKernel(Builder builder) {
        this.architecture = builder.architecture;
        this.banner = builder.banner;
        this.vermagic = builder.vermagic;
        this.symbols = builder.symbols;
        this.exports = new LinkedHashMap<>(builder.exports);
        List<Initcall> sorted = new ArrayList<>(builder.initcalls);
        sorted.sort(Comparator.comparing(Initcall::level)); // stable: link order inside a level
        this.initcalls = List.copyOf(sorted);
        this.initArea = builder.initArea;
        this.memory = List.copyOf(builder.memory);
        this.functions = Map.copyOf(builder.functions);
        this.parameterTable = builder.parameterTable;
        this.setupTable = builder.setupTable;
        this.initcallFormsKnown = builder.initcallFormsKnown;
        this.modinfo = builder.modinfo;
        this.unknown = List.copyOf(builder.unknown);
    }

    /**
     * {@return a builder of a kernel without anything}
     *
     * @param architecture its architecture
     */
    public static Builder builder(Architecture architecture) {
        return new Builder(architecture);
    }

    /** {@return its architecture} */
    public Architecture architecture() {
        return architecture;
    }

    /** {@return the line that starts with {@code Linux version}, without its newline} */
    public Optional<String> banner() {
        return banner;
    }

    /** {@return its release, such as {@code 6.1.0-50-amd64}} */
    public Optional<String> release() {
        return vermagic.or(() -> banner.map(line -> line.replaceFirst("^Linux version ", "")))
                .map(text -> text.split(" ", 2)[0]);
    }

    /** {@return what its modules must have as vermagic, as in modinfo} */
    public Optional<String> vermagic() {
        return vermagic;
    }

    /** {@return all its symbols, exported or not, lowest address first; may be empty} */
    public KernelSymbolTable symbols() {
        return symbols;
    }

    /** {@return what it exports} */
    public List<ExportedSymbol> exports() {
        return List.copyOf(exports.values());
    }

    /** {@return what it exports, to look up} */
    public KernelSymbols exportedSymbols() {
        return new KernelSymbols() {
            @Override
            public Optional<ExportedSymbol> find(String name) {
                return Optional.ofNullable(exports.get(name));
            }

            @Override
            public Stream<String> names() {
                return exports.keySet().stream();
            }
        };
    }

    /** {@return its initcalls in running order} */
    public List<Initcall> initcalls() {
        return initcalls;
    }

    /**
     * {@return whether the levels of {@link #initcalls()} tell sync and rootfs forms from the plain
     * ones; else some that are {@linkplain InitcallLevel#plain plain} there may be of such a form}
     */
    public boolean initcallFormsKnown() {
        return initcallFormsKnown;
    }

    /** {@return what is freed after boot, {@code __init_begin} to {@code __init_end}} */
    public Optional<AddressRange> initArea() {
        return initArea;
    }

    /** {@return its code and data; blocks do not overlap} */
    public List<Block> memory() {
        return memory;
    }

    /** {@return functions that are Java, by their addresses} */
    public Map<Address, Executor> functions() {
        return functions;
    }

    /**
     * {@return where its {@code struct kernel_param} are, {@code __start___param} to {@code
     * __stop___param}}
     */
    public Optional<AddressRange> parameterTable() {
        return parameterTable;
    }

    /**
     * {@return where its {@code struct obs_kernel_param} are, {@code __setup_start} to {@code
     * __setup_end}}
     */
    public Optional<AddressRange> setupTable() {
        return setupTable;
    }

    /**
     * {@return the modinfo of what is built in, which no kernel has in memory: its build extracts
     * it to {@code modules.builtin.modinfo}. Tags begin with the module, such as {@code
     * loop.license}; nothing for a kernel read from a file}
     */
    public Modinfo modinfo() {
        return modinfo;
    }

    /** {@return what could not be found out, one sentence each, with the reason} */
    public List<String> unknown() {
        return unknown;
    }

    /**
     * {@return a builder of this kernel, to be booted or to load modules into: its memory mapped,
     * release and options as its vermagic lists them (those of the release alone, if it is not
     * known; without that too, Linux 6.1 that takes every vermagic), its exports at their
     * addresses, its symbols}
     *
     * @throws IllegalArgumentException if the release does not begin with two numbers
     */
    public Kernel.Builder kernel() {
        Kernel.Builder kernel = Kernel.builder(architecture).linked(this);
        vermagic.map(KernelConfig::forVermagic)
                .or(() -> release().map(KernelConfig::forRelease))
                .ifPresent(kernel::config);
        return kernel;
    }

    /** Collects what a kernel is made of. */
    public static final class Builder {
        private final Architecture architecture;
        private Optional<String> banner = Optional.empty();
        private Optional<String> vermagic = Optional.empty();
        private KernelSymbolTable symbols = KernelSymbolTable.EMPTY;
        private final Map<String, ExportedSymbol> exports = new LinkedHashMap<>();
        private final List<Initcall> initcalls = new ArrayList<>();
        private Optional<AddressRange> initArea = Optional.empty();
        private final List<Block> memory = new ArrayList<>();
        private final Map<Address, Executor> functions = new LinkedHashMap<>();
        private Optional<AddressRange> parameterTable = Optional.empty();
        private Optional<AddressRange> setupTable = Optional.empty();
        private boolean initcallFormsKnown = true;
        private Modinfo modinfo = Modinfo.EMPTY;
        private final List<String> unknown = new ArrayList<>();

        private Builder(Architecture architecture) {
            this.architecture = requireNonNull(architecture);
        }

        /**
         * Sets the version line.
         *
         * @param line {@code Linux version …}
         * @return this builder
         */
        public Builder banner(String line) {
            this.banner = Optional.of(line);
            return this;
        }

        /**
         * Sets what its modules must have.
         *
         * @param text a vermagic, as in modinfo
         * @return this builder
         */
        public Builder vermagic(String text) {
            this.vermagic = Optional.of(text);
            return this;
        }

        /**
         * Sets its symbols.
         *
         * @param table all symbols, lowest address first
         * @return this builder
         */
        public Builder symbols(KernelSymbolTable table) {
            this.symbols = requireNonNull(table);
            return this;
        }

        /**
         * Adds an export; of several of one name the first counts.
         *
         * @param export name, address, licence, namespace, CRC
         * @return this builder
         */
        public Builder export(ExportedSymbol export) {
            exports.putIfAbsent(export.name(), export);
            return this;
        }

        /**
         * Adds an initcall. Those of one level run in the order in which they are added.
         *
         * @param initcall an entry of a table
         * @return this builder
         */
        public Builder initcall(Initcall initcall) {
            initcalls.add(requireNonNull(initcall));
            return this;
        }

        /**
         * Sets what is freed after boot.
         *
         * @param range {@code __init_begin} to {@code __init_end}
         * @return this builder
         */
        public Builder initArea(AddressRange range) {
            this.initArea = Optional.of(range);
            return this;
        }

        /**
         * Adds code or data.
         *
         * @param block must not overlap what was added before
         * @return this builder
         */
        public Builder block(Block block) {
            memory.add(requireNonNull(block));
            return this;
        }

        /**
         * Says that levels of initcalls may be plain only because their form is not known.
         *
         * @return this builder
         */
        public Builder initcallFormsUnknown() {
            this.initcallFormsKnown = false;
            return this;
        }

        /**
         * Makes a function Java: a call of that address runs it.
         *
         * @param address its entry, of its own
         * @param function what is run
         * @return this builder
         */
        public Builder function(Address address, Executor function) {
            functions.put(requireNonNull(address), requireNonNull(function));
            return this;
        }

        /**
         * Sets where its parameters are.
         *
         * @param range {@code __start___param} to {@code __stop___param}
         * @return this builder
         */
        public Builder parameterTable(AddressRange range) {
            this.parameterTable = Optional.of(range);
            return this;
        }

        /**
         * Sets where the handlers of its options are.
         *
         * @param range {@code __setup_start} to {@code __setup_end}
         * @return this builder
         */
        public Builder setupTable(AddressRange range) {
            this.setupTable = Optional.of(range);
            return this;
        }

        /**
         * Sets the modinfo of what is built in.
         *
         * @param builtIn entries whose tags begin with a module's name and a dot
         * @return this builder
         */
        public Builder modinfo(Modinfo builtIn) {
            this.modinfo = requireNonNull(builtIn);
            return this;
        }

        /**
         * Says what could not be found out.
         *
         * @param sentence what, and why
         * @return this builder
         */
        public Builder unknown(String sentence) {
            unknown.add(requireNonNull(sentence));
            return this;
        }

        /** {@return the kernel} */
        public LinkedKernel build() {
            return new LinkedKernel(this);
        }
    }
}

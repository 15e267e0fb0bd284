package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.unsigned;
import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.OWN;
import static io.github.koloader.arch.Formula.PC_RELATIVE;
import static io.github.koloader.arch.Refusal.refuse;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.LongUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * RISC-V with words of 64 or 32 bits, little-endian, RELA only. What is odd: addresses are made by
 * pairs of instructions, and the second one of a pair (LO12) names the first one (HI20), not the
 * target, so the loader looks the first one's relocation up. Immediates lie scattered in their
 * instructions; those of branches are cut off without a word. Code that modules are built with is
 * not relaxed, so that an ALIGN is an error.
 *
 * <p>The rules are those of Linux 6.1, with the types that 6.3 added. Older ones are not told apart
 * (there was no loader before 4.15), and neither is the loader that 6.7 rewrote, with its further
 * types. {@code .alternative} is left as it is: what applies there depends on the processor's
 * vendor.
 *
 * <p>Asks for {@code CONFIG_MODULE_SECTIONS} (set: there are PLT and GOT), {@code
 * CONFIG_CMODEL_MEDLOW} (not set), and for the addresses of {@code _start} and {@code _end},
 * between which the 64-bit kernel lies: modules are placed below it.
 *
 * @kernel arch/riscv/kernel/module.c, apply_relocate_add(); arch/riscv/kernel/module-sections.c,
 *     module_frob_arch_sections()
 * @psabi RISC-V ELF psABI, Relocations
 */
final class RiscV implements Architecture {
    private static final int EM_RISCV = 243;

    private static final int R_32 = 1;
    private static final int CALL_PLT = 19;
    private static final int GOT_HI20 = 20;
    private static final int PCREL_HI20 = 23;
    private static final int PCREL_LO12_I = 24;
    private static final int PCREL_LO12_S = 25;
    private static final int HI20 = 26;
    private static final int ADD16 = 34;
    private static final int ADD32 = 35;
    private static final int ADD64 = 36;
    private static final int SUB16 = 38;
    private static final int SUB32 = 39;
    private static final int SUB64 = 40;
    private static final int ALIGN = 43;

    private static final String PLT = ".plt";
    private static final String GOT = ".got";
    private static final String GOT_PLT = ".got.plt";
    private static final int PLT_ENTRY = 12;
    private static final long CACHE_LINE = 64;
    private static final long CODE = SectionFlags.ALLOC | SectionFlags.EXECINSTR;

    private static final long REACH = 1L << 31;
    private static final long HALF_PAGE = 0x800;
    private static final long TWO_GIBIBYTES = 1L << 31;

    private final boolean wide;
    private final RelocationTypes types;
    private final RelocationTypes before63;

    private RiscV(boolean wide) {
        this.wide = wide;
        this.types = types(wide);
        this.before63 = types.without(ADD16, SUB16);
    }

    /** RISC-V with words of 64 bits. */
    static Architecture riscv64() {
        return new RiscV(true);
    }

    /** RISC-V with words of 32 bits. */
    static Architecture riscv32() {
        return new RiscV(false);
    }

    // ---- relocation types ----

    private static RelocationTypes types(boolean wide) {
        Immediate upper = new Immediate(4, 0xfffff000L, false, RiscV::upper);
        Immediate iType = new Immediate(4, 0xfff00000L, false, RiscV::iType);
        Immediate sType = new Immediate(4, 0xfe000f80L, false, RiscV::sType);
        Immediate branch = new Immediate(4, 0xfe000f80L, false, RiscV::branch);
        Immediate jump = new Immediate(4, 0xfffff000L, false, RiscV::jump);
        Immediate shortBranch = new Immediate(2, 0x1c7cL, false, RiscV::shortBranch);
        Immediate shortJump = new Immediate(2, 0x1ffcL, false, RiscV::shortJump);
        Immediate call = new Immediate(8, 0xfff00000_fffff000L, wide, RiscV::call);
        Immediate reachable = new Immediate(4, 0xfffff000L, wide, RiscV::upper);
        // on 32 bits a word is unsigned, and its upper half zero
        Field dword = wide ? word(64) : new Immediate(8, -1, false, value -> value & 0xffffffffL);
        return RelocationTypes.of(
                new RelocationType(R_32, "R_RISCV_32", ABSOLUTE, wide ? unsigned(32) : word(32)),
                new RelocationType(2, "R_RISCV_64", ABSOLUTE, dword),
                new RelocationType(16, "R_RISCV_BRANCH", PC_RELATIVE, branch),
                new RelocationType(17, "R_RISCV_JAL", PC_RELATIVE, jump),
                new RelocationType(18, "R_RISCV_CALL", PC_RELATIVE, call),
                new RelocationType(CALL_PLT, "R_RISCV_CALL_PLT", PC_RELATIVE, call),
                new RelocationType(GOT_HI20, "R_RISCV_GOT_HI20", OWN, upper),
                new RelocationType(PCREL_HI20, "R_RISCV_PCREL_HI20", PC_RELATIVE, reachable),
                new RelocationType(PCREL_LO12_I, "R_RISCV_PCREL_LO12_I", OWN, iType),
                new RelocationType(PCREL_LO12_S, "R_RISCV_PCREL_LO12_S", OWN, sType),
                new RelocationType(HI20, "R_RISCV_HI20", ABSOLUTE, upper),
                new RelocationType(27, "R_RISCV_LO12_I", ABSOLUTE, iType),
                new RelocationType(28, "R_RISCV_LO12_S", ABSOLUTE, sType),
                new RelocationType(ADD16, "R_RISCV_ADD16", OWN, word(16)),
                new RelocationType(ADD32, "R_RISCV_ADD32", OWN, word(32)),
                new RelocationType(ADD64, "R_RISCV_ADD64", OWN, word(64)),
                new RelocationType(SUB16, "R_RISCV_SUB16", OWN, word(16)),
                new RelocationType(SUB32, "R_RISCV_SUB32", OWN, word(32)),
                new RelocationType(SUB64, "R_RISCV_SUB64", OWN, word(64)),
                new RelocationType(ALIGN, "R_RISCV_ALIGN", OWN, DataField.NONE),
                new RelocationType(44, "R_RISCV_RVC_BRANCH", PC_RELATIVE, shortBranch),
                new RelocationType(45, "R_RISCV_RVC_JUMP", PC_RELATIVE, shortJump),
                new RelocationType(51, "R_RISCV_RELAX", NONE, DataField.NONE));
    }

    /**
     * The bits of one or two instructions that hold a value.
     *
     * @param limited whether only values are taken that an upper and a lower part reach: 2 GiB
     *     either way, less 2 KiB above and plus 2 KiB below
     * @param encode the value's bits at their places
     */
    private record Immediate(int size, long mask, boolean limited, LongUnaryOperator encode)
            implements Field {
        @Override
        public boolean fits(long value) {
            return !limited || value >= -REACH - HALF_PAGE && value < REACH - HALF_PAGE;
        }

        @Override
        public long insert(long old, long value) {
            return old & ~mask | encode.applyAsLong(value);
        }

        @Override
        public long implicitAddend(long old) {
            return 0; // addends are never there
        }
    }

    /** The upper 20 bits, so rounded that the lower 12, which are signed, can be added. */
    private static long upper(long value) {
        return value + HALF_PAGE & 0xfffff000L;
    }

    private static long iType(long value) {
        return bits(value, 11, 0, 20);
    }

    private static long sType(long value) {
        return bits(value, 11, 5, 25) | bits(value, 4, 0, 7);
    }

    private static long branch(long value) {
        return bits(value, 12, 12, 31)
                | bits(value, 11, 11, 7)
                | bits(value, 10, 5, 25)
                | bits(value, 4, 1, 8);
    }

    private static long jump(long value) {
        return bits(value, 20, 20, 31)
                | bits(value, 19, 12, 12)
                | bits(value, 11, 11, 20)
                | bits(value, 10, 1, 21);
    }

    private static long shortBranch(long value) {
        return bits(value, 8, 8, 12)
                | bits(value, 7, 6, 5)
                | bits(value, 5, 5, 2)
                | bits(value, 4, 3, 10)
                | bits(value, 2, 1, 3);
    }

    private static long shortJump(long value) {
        return bits(value, 11, 11, 12)
                | bits(value, 10, 10, 8)
                | bits(value, 9, 8, 9)
                | bits(value, 7, 7, 6)
                | bits(value, 6, 6, 7)
                | bits(value, 5, 5, 2)
                | bits(value, 4, 4, 11)
                | bits(value, 3, 1, 3);
    }

    /** AUIPC in the lower word, JALR in the upper one. */
    private static long call(long value) {
        return upper(value) | iType(value) << 32;
    }

    /** Bits {@code high} … {@code low} of a value, moved to where the lowest is bit {@code at}. */
    private static long bits(long value, int high, int low, int at) {
        return (value >>> low & (1L << high - low + 1) - 1) << at;
    }

    // ---- the machine ----

    @Override
    public String name() {
        return wide ? "riscv64" : "riscv32";
    }

    @Override
    public int elfMachine() {
        return EM_RISCV;
    }

    @Override
    public Encoding encoding() {
        return wide ? Encoding.ELF64_LSB : Encoding.ELF32_LSB;
    }

    @Override
    public boolean accepts(FileHeader header) {
        return header.machine() == EM_RISCV
                && header.encoding().wordSize() == encoding().wordSize();
    }

    /**
     * Two gibibytes that end with the kernel, less the kernel. With 32 bits a half of the vmalloc
     * area; that copies of files have the other half is our choice.
     */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        if (!wide) {
            return List.of(AddressRange.between(0xa000_0000L, 0xb000_0000L));
        }
        long start = address(config, "_start", 0xffffffff_80000000L);
        long end = address(config, "_end", 0xffffffff_81800000L);
        return List.of(AddressRange.between(pageUp(end) - TWO_GIBIBYTES, start & -pageSize()));
    }

    private static long address(KernelConfig config, String symbol, long otherwise) {
        return config.kernelAddress(symbol).map(Address::value).orElse(otherwise);
    }

    private long pageUp(long address) {
        return address + pageSize() - 1 & -pageSize();
    }

    /** The vmalloc area, with page tables of three levels where words have 64 bits. */
    @Override
    public AddressRange imageArea() {
        return wide
                ? AddressRange.between(0xffffffc8_00000000L, 0xffffffd8_00000000L)
                : AddressRange.between(0xb000_0000L, 0xc000_0000L);
    }

    @Override
    public AddressRange kernelText() {
        return wide
                ? AddressRange.between(0xffffffff_80000000L, 0xffffffff_81600000L)
                : AddressRange.between(0xc000_0000L, 0xc160_0000L);
    }

    /** Behind the kernel's own per-CPU data, which lies in its image. */
    @Override
    public AddressRange perCpuArea() {
        long start = wide ? 0xffffffff_81620000L : 0xc162_0000L;
        return AddressRange.between(start, start + 0x2000);
    }

    /** Areas of 256 KiB, one behind the other, in the direct map. */
    @Override
    public long perCpuOffset(int cpu) {
        long first = wide ? 0xffffffd8_7f000000L : 0xd000_0000L;
        return first + cpu * 0x40000L - perCpuArea().start().value();
    }

    @Override
    public RelocationTypes relocationTypes() {
        return types;
    }

    @Override
    public RelocationTypes relocationTypes(KernelConfig config) {
        return config.atLeast(6, 3) ? types : before63;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return withAddends;
    }

    @Override
    public String vermagicSuffix(KernelConfig config) {
        return "riscv";
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return false;
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return ExceptionTable.RELATIVE_WITH_DATA;
    }

    // ---- before layout: room for PLT and GOT ----

    private static boolean hasModuleSections(KernelConfig config) {
        return config.kconfig("CONFIG_MODULE_SECTIONS", true);
    }

    @Override
    public List<Section> scriptSections(KernelConfig config) {
        if (!hasModuleSections(config)) {
            return List.of();
        }
        return List.of(
                SectionPlan.placeholder(PLT, CODE),
                SectionPlan.placeholder(GOT, SectionFlags.ALLOC),
                SectionPlan.placeholder(GOT_PLT, SectionFlags.ALLOC));
    }

    /**
     * Gives {@code .plt} an entry for each function called, {@code .got} a slot for each address
     * wanted there: as many as executable sections have different relocations of the type, counted
     * table by table.
     */
    @Override
    public SectionPlan planSections(ModuleImage image, KernelConfig config, String name) {
        if (!hasModuleSections(config)) {
            return SectionPlan.asIs(image);
        }
        int plt = SectionPlan.needed(image, name, PLT, "PLT");
        int got = SectionPlan.needed(image, name, GOT, "GOT");
        int gotPlt = SectionPlan.needed(image, name, GOT_PLT, "GOT.PLT");
        long calls = 0;
        long wanted = 0;
        for (RelocationTable table : image.relocations()) {
            if (table.hasAddends() && SectionPlan.isExecutable(image, table.target())) {
                calls += different(table, CALL_PLT);
                wanted += different(table, GOT_HI20);
            }
        }
        long data = SectionFlags.ALLOC;
        int word = encoding().wordSize();
        return SectionPlan.asIs(
                image.toBuilder()
                        .replace(
                                plt,
                                SectionPlan.space(
                                        image.section(plt),
                                        CODE,
                                        CACHE_LINE,
                                        (calls + 1) * PLT_ENTRY))
                        .replace(
                                got,
                                SectionPlan.space(
                                        image.section(got), data, CACHE_LINE, (wanted + 1) * word))
                        .replace(
                                gotPlt,
                                SectionPlan.space(
                                        image.section(gotPlt),
                                        data,
                                        CACHE_LINE,
                                        (calls + 1) * word))
                        .build());
    }

    /** How many entries of that type differ from each other in symbol or addend. */
    private static int different(RelocationTable table, int type) {
        Set<Target> targets = new HashSet<>();
        for (int i = 0; i < table.count(); i++) {
            if (table.type(i) == type) {
                targets.add(new Target(table.symbolIndex(i), table.addend(i)));
            }
        }
        return targets.size();
    }

    /** Can be ordered, so that hash sets stay quick whatever the file has in it. */
    private record Target(int symbol, long addend) implements Comparable<Target> {
        @Override
        public int compareTo(Target other) {
            int bySymbol = Integer.compare(symbol, other.symbol);
            return bySymbol != 0 ? bySymbol : Long.compare(addend, other.addend);
        }
    }

    // ---- relocation ----

    @Override
    public Relocator relocator(PlacedModule module) {
        return new RiscVRelocator(module);
    }

    private final class RiscVRelocator extends Relocator {
        private final PlacedModule module;
        private final boolean lowAddressesOnly;
        private final boolean moduleSections;
        private final AddressSlots got;
        private final AddressSlots gotPlt;
        private final @Nullable PlacedSection plt;

        /** Index of the first HI20 at an offset of the section; made when first asked for. */
        private @Nullable Map<Long, Integer> upperParts;

        RiscVRelocator(PlacedModule module) {
            super(RiscV.this, module);
            this.module = module;
            this.lowAddressesOnly = module.config().kconfig("CONFIG_CMODEL_MEDLOW", false);
            this.moduleSections = hasModuleSections(module.config());
            int word = encoding().wordSize();
            this.got = new AddressSlots(module, GOT, word);
            this.gotPlt = new AddressSlots(module, GOT_PLT, word);
            int index = SectionPlan.lastNamed(module.image(), PLT);
            this.plt = index == 0 ? null : module.section(index);
        }

        @Override
        protected void begin(RelocationTable table) {
            upperParts = null;
        }

        @Override
        protected void apply(RelocationEntry entry) {
            if (entry.hasErrorPointer(wide)) {
                if (entry.isWeak()) {
                    return;
                }
                throw refuse(
                        Errno.ENOENT, "%s: Unknown symbol %s", module.name(), entry.symbolName());
            }
            RelocationType row = row(entry);
            switch (row.code()) {
                case ADD16, ADD32, ADD64 -> add(row, entry, unsignedWord(entry.s() + entry.a()));
                case SUB16, SUB32, SUB64 -> add(row, entry, -unsignedWord(entry.s() + entry.a()));
                case GOT_HI20 -> {
                    entry.checkPlace(4);
                    put(row, entry, gotSlot(entry, entry.s() + entry.a()) - entry.p());
                }
                case PCREL_LO12_I, PCREL_LO12_S -> {
                    entry.checkPlace(4);
                    put(row, entry, distanceOfUpperPart(entry));
                }
                case ALIGN ->
                        throw refuse(
                                Errno.EINVAL,
                                "%s: The unexpected relocation type 'R_RISCV_ALIGN' from PC = %s",
                                module.name(),
                                pointer(entry.p()));
                default -> {
                    if (row.code() == HI20 && lowAddressesOnly) {
                        throw entry.rejected(Kind.OVERFLOW, entry.s() + entry.a());
                    }
                    super.apply(entry);
                }
            }
        }

        private void add(RelocationType row, RelocationEntry entry, long summand) {
            int size = row.field().size();
            entry.write(size, entry.read(size) + summand);
        }

        private void put(RelocationType row, RelocationEntry entry, long value) {
            int size = row.field().size();
            entry.write(size, row.field().insert(entry.read(size), value));
        }

        /**
         * How far the HI20 relocation at address S leads from there. Relocations of an AUIPC and of
         * what follows it lie in one table.
         */
        private long distanceOfUpperPart(RelocationEntry entry) {
            RelocationTable table = entry.table();
            long place = entry.s();
            Map<Long, Integer> known = upperParts;
            if (known == null) {
                known = upperParts(table);
                upperParts = known;
            }
            Integer index = known.get(unsignedWord(place - entry.section().address()));
            if (index == null) {
                throw refuse(
                        Errno.EINVAL,
                        "%s: Can not find HI20 relocation information",
                        module.name());
            }
            int symbol = table.symbolIndex(index);
            if (symbol < 0 || symbol >= module.symbolCount()) {
                throw entry.rejected(Kind.NO_SUCH_SYMBOL, 0);
            }
            long target = module.symbolValue(symbol) + table.addend(index);
            if (moduleSections && table.type(index) == GOT_HI20) {
                target = gotSlot(entry, target);
            }
            return target - place;
        }

        private static Map<Long, Integer> upperParts(RelocationTable table) {
            Map<Long, Integer> found = new HashMap<>();
            for (int i = 0; i < table.count(); i++) {
                int type = table.type(i);
                if (type == PCREL_HI20 || type == GOT_HI20) {
                    found.putIfAbsent(table.offset(i), i);
                }
            }
            return found;
        }

        private long gotSlot(RelocationEntry entry, long value) {
            if (!moduleSections) {
                throw refuse(
                        Errno.EINVAL,
                        "%s: relocation %d of section %d needs a GOT, and this kernel makes none",
                        module.name(),
                        entry.index(),
                        entry.table().section());
            }
            int slot = got.slot(unsignedWord(value));
            if (slot == AddressSlots.FULL) {
                throw tooMany(entry, GOT);
            }
            return got.address(slot);
        }

        /** A call that does not reach goes through the PLT. */
        @Override
        protected long outOfRange(RelocationType row, RelocationEntry entry, long a, long value) {
            PlacedSection entries = plt;
            if (row.code() != CALL_PLT || !moduleSections || entries == null) {
                return super.outOfRange(row, entry, a, value);
            }
            int used = gotPlt.count();
            int slot = gotPlt.slot(entry.s() + a);
            long offset = (long) slot * PLT_ENTRY;
            if (slot == AddressSlots.FULL || !entries.holds(offset, PLT_ENTRY)) {
                throw tooMany(entry, PLT);
            }
            long veneer = entries.address() + offset;
            if (slot == used) {
                writeVeneer(entries, offset, gotPlt.address(slot) - veneer);
            }
            return veneer;
        }

        /** {@code auipc t0}, {@code ld t1} from the slot at that distance, {@code jr t1}. */
        private static void writeVeneer(PlacedSection entries, long offset, long distance) {
            entries.writeInt(offset, 0x00000297 | (int) upper(distance));
            entries.writeInt(offset + 4, 0x0002b303 | (int) iType(distance));
            entries.writeInt(offset + 8, 0x00030067);
        }

        /** Linux dies of this (BUG). */
        private LoadException tooMany(RelocationEntry entry, String section) {
            return refuse(
                    Errno.ENOEXEC,
                    "%s: relocation %d of section %d needs more of %s than was counted",
                    module.name(),
                    entry.index(),
                    entry.table().section(),
                    section);
        }
    }

    /** A result as an address of this machine. */
    private long unsignedWord(long value) {
        return wide ? value : value & 0xffffffffL;
    }

    /** What {@code %p} prints, but for hashing. */
    private String pointer(long address) {
        return String.format(Locale.ROOT, wide ? "%016x" : "%08x", unsignedWord(address));
    }

    // ---- refusals ----

    @Override
    public LoadException rejection(RelocationFailure failure) {
        long target = unsignedWord(failure.s() + failure.a());
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    refuse(
                            Errno.EINVAL,
                            "%s: Unknown relocation type %s",
                            failure.module(),
                            Integer.toUnsignedString(failure.type()));
            case OVERFLOW ->
                    failure.type() == R_32
                            ? refuse(
                                    Errno.EINVAL,
                                    "%s: value %016x out of range for 32-bit field",
                                    failure.module(),
                                    target)
                            : refuse(
                                    Errno.EINVAL,
                                    "%s: target %016x can not be addressed by the 32-bit offset"
                                            + " from PC = %s",
                                    failure.module(),
                                    target,
                                    pointer(failure.p()));
            case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Failures.relocation(failure);
        };
    }
}

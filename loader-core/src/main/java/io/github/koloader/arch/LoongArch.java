package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.OWN;
import static io.github.koloader.arch.Refusal.refuse;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.AddressRange;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * LoongArch with words of 64 bits, RELA only. What is odd: relocations of the first ABI are a
 * little stack machine, whose operations push and combine values until one is popped into a field;
 * those of the second are like other machines'. The loader sorts the relocations of code before it
 * counts PLT and GOT, and applies them in that order: stack operations survive only where sorting
 * leaves them alone.
 *
 * <p>The rules are those of Linux 6.1 with the second ABI. The first loader, of 5.19 and 6.0, is
 * not told apart, and the types that 6.3 added are not there. Pages have 16 KiB, cache lines 64
 * bytes.
 *
 * @kernel arch/loongarch/kernel/module.c, apply_relocate_add();
 *     arch/loongarch/kernel/module-sections.c, module_frob_arch_sections()
 * @psabi ELF for the LoongArch Architecture, Relocations
 */
final class LoongArch implements Architecture {
    private static final int EM_LOONGARCH = 258;

    private static final int PUSH_PCREL = 22;
    private static final int PUSH_ABSOLUTE = 23;
    private static final int PUSH_DUP = 24;
    private static final int PUSH_PLT_PCREL = 29;
    private static final int SUB = 32;
    private static final int SL = 33;
    private static final int SR = 34;
    private static final int ADD = 35;
    private static final int AND = 36;
    private static final int IF_ELSE = 37;
    private static final int POP_S_10_5 = 38;
    private static final int POP_U_10_12 = 39;
    private static final int POP_S_10_12 = 40;
    private static final int POP_S_10_16 = 41;
    private static final int POP_S_10_16_S2 = 42;
    private static final int POP_S_5_20 = 43;
    private static final int POP_S_0_5_10_16_S2 = 44;
    private static final int POP_S_0_10_10_16_S2 = 45;
    private static final int POP_U = 46;
    private static final int ADD32 = 50;
    private static final int ADD64 = 51;
    private static final int SUB32 = 55;
    private static final int SUB64 = 56;
    private static final int B26 = 66;
    private static final int PCALA_HI20 = 71;
    private static final int PCALA64_LO20 = 73;
    private static final int PCALA64_HI12 = 74;
    private static final int GOT_PC_HI20 = 75;
    private static final int GOT_PC_LO12 = 76;

    /** Types from here on are in no table of the kernel; those below are, with or without code. */
    private static final int TYPE_COUNT = 110;

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    nothing(0, "R_LARCH_NONE"),
                    new RelocationType(1, "R_LARCH_32", ABSOLUTE, word(32)),
                    new RelocationType(2, "R_LARCH_64", ABSOLUTE, word(64)),
                    nothing(20, "R_LARCH_MARK_LA"),
                    nothing(21, "R_LARCH_MARK_PCREL"),
                    operation(PUSH_PCREL, "R_LARCH_SOP_PUSH_PCREL"),
                    operation(PUSH_ABSOLUTE, "R_LARCH_SOP_PUSH_ABSOLUTE"),
                    operation(PUSH_DUP, "R_LARCH_SOP_PUSH_DUP"),
                    operation(PUSH_PLT_PCREL, "R_LARCH_SOP_PUSH_PLT_PCREL"),
                    operation(SUB, "R_LARCH_SOP_SUB"),
                    operation(SL, "R_LARCH_SOP_SL"),
                    operation(SR, "R_LARCH_SOP_SR"),
                    operation(ADD, "R_LARCH_SOP_ADD"),
                    operation(AND, "R_LARCH_SOP_AND"),
                    operation(IF_ELSE, "R_LARCH_SOP_IF_ELSE"),
                    operation(POP_S_10_5, "R_LARCH_SOP_POP_32_S_10_5"),
                    own(POP_U_10_12, "R_LARCH_SOP_POP_32_U_10_12", Immediate.unsigned(12)),
                    own(POP_S_10_12, "R_LARCH_SOP_POP_32_S_10_12", Immediate.signed(12, 10)),
                    own(POP_S_10_16, "R_LARCH_SOP_POP_32_S_10_16", Immediate.signed(16, 10)),
                    own(POP_S_10_16_S2, "R_LARCH_SOP_POP_32_S_10_16_S2", Immediate.branch(16)),
                    own(POP_S_5_20, "R_LARCH_SOP_POP_32_S_5_20", Immediate.signed(20, 5)),
                    own(
                            POP_S_0_5_10_16_S2,
                            "R_LARCH_SOP_POP_32_S_0_5_10_16_S2",
                            Immediate.branch(21)),
                    own(
                            POP_S_0_10_10_16_S2,
                            "R_LARCH_SOP_POP_32_S_0_10_10_16_S2",
                            Immediate.branch(26)),
                    own(POP_U, "R_LARCH_SOP_POP_32_U", DataField.unsigned(32)),
                    own(ADD32, "R_LARCH_ADD32", word(32)),
                    own(ADD64, "R_LARCH_ADD64", word(64)),
                    own(SUB32, "R_LARCH_SUB32", word(32)),
                    own(SUB64, "R_LARCH_SUB64", word(64)),
                    own(B26, "R_LARCH_B26", Immediate.branch(26)),
                    own(PCALA_HI20, "R_LARCH_PCALA_HI20", Immediate.part(20, 5, 12)),
                    new RelocationType(
                            72, "R_LARCH_PCALA_LO12", ABSOLUTE, Immediate.part(12, 10, 0)),
                    own(PCALA64_LO20, "R_LARCH_PCALA64_LO20", Immediate.part(20, 5, 32)),
                    own(PCALA64_HI12, "R_LARCH_PCALA64_HI12", Immediate.part(12, 10, 52)),
                    own(GOT_PC_HI20, "R_LARCH_GOT_PC_HI20", Immediate.part(20, 5, 12)),
                    own(GOT_PC_LO12, "R_LARCH_GOT_PC_LO12", Immediate.part(12, 10, 0)));

    private static final String GOT = ".got";
    private static final String PLT = ".plt";
    private static final String PLT_INDEX = ".plt.idx";
    private static final int WORD = 8;
    private static final int PLT_ENTRY = 16;
    private static final long CACHE_LINE = 64;
    private static final long CODE = SectionFlags.ALLOC | SectionFlags.EXECINSTR;
    private static final int PAGE_SIZE = 16384;

    /** What a branch reaches either way. */
    private static final long REACH = 1L << 27;

    private static RelocationType nothing(int code, String name) {
        return new RelocationType(code, name, NONE, DataField.NONE);
    }

    private static RelocationType operation(int code, String name) {
        return new RelocationType(code, name, OWN, DataField.NONE);
    }

    private static RelocationType own(int code, String name, Field field) {
        return new RelocationType(code, name, OWN, field);
    }

    /**
     * Bits of a value in an instruction word.
     *
     * @param count how many bits of the value
     * @param at where they begin; where more than 16 begin at 10, the others follow from bit 0 on
     * @param shift the lowest of them, in the value
     * @param range which values fit; of signed ones only those with zeros below {@code shift}
     */
    private record Immediate(int count, int at, int shift, DataField.Range range) implements Field {
        static Immediate unsigned(int count) {
            return new Immediate(count, 10, 0, DataField.Range.UNSIGNED);
        }

        static Immediate signed(int count, int at) {
            return new Immediate(count, at, 0, DataField.Range.SIGNED);
        }

        /** Of a distance in bytes; instructions have four. */
        static Immediate branch(int count) {
            return new Immediate(count, 10, 2, DataField.Range.SIGNED);
        }

        /** Some bits of a value, whatever the others are. */
        static Immediate part(int count, int at, int shift) {
            return new Immediate(count, at, shift, DataField.Range.ANY);
        }

        @Override
        public int size() {
            return 4;
        }

        @Override
        public long mask() {
            return encode(-1);
        }

        @Override
        public boolean fits(long value) {
            int spare = 64 - count - shift;
            return switch (range) {
                case ANY -> true;
                case SIGNED -> isAligned(value) && value == value << spare >> spare;
                case UNSIGNED -> value == value << spare >>> spare;
            };
        }

        boolean isAligned(long value) {
            return (value & (1L << shift) - 1) == 0;
        }

        @Override
        public long insert(long old, long value) {
            return old & ~mask() | encode(value >> shift);
        }

        private long encode(long value) {
            int first = at == 10 ? Math.min(count, 16) : count;
            return (value & (1L << first) - 1) << at | value >> first & (1L << count - first) - 1;
        }

        @Override
        public long implicitAddend(long old) {
            return 0; // addends are never there
        }
    }

    // ---- the machine ----

    @Override
    public String name() {
        return "loongarch64";
    }

    @Override
    public List<String> aliases() {
        return List.of("loong64");
    }

    @Override
    public int elfMachine() {
        return EM_LOONGARCH;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF64_LSB;
    }

    @Override
    public boolean accepts(FileHeader header) {
        return header.machine() == EM_LOONGARCH && header.encoding().wide();
    }

    @Override
    public int pageSize() {
        return PAGE_SIZE;
    }

    /** Behind 32 MiB for PCI and two pages, with virtual addresses of 48 bits. */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(AddressRange.between(0xffff8000_02008000L, 0xffff8000_12008000L));
    }

    /** The vmalloc area, behind that of modules. */
    @Override
    public AddressRange imageArea() {
        return AddressRange.between(0xffff8000_12008000L, 0xffffc000_00000000L);
    }

    /** In the cached window on all memory. */
    @Override
    public AddressRange kernelText() {
        return AddressRange.between(0x90000000_00200000L, 0x90000000_01600000L);
    }

    /** Behind the kernel's own per-CPU data, which lies in its image. */
    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0x90000000_01620000L, 0x90000000_01622000L);
    }

    /** Areas of 256 KiB, one behind the other, in the cached window. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0x90000000_f0000000L + cpu * 0x40000L - perCpuArea().start().value();
    }

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return withAddends;
    }

    @Override
    public String vermagicSuffix(KernelConfig config) {
        return "LOONGARCH 64BIT ";
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return false;
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return ExceptionTable.RELATIVE_WITH_DATA;
    }

    // ---- before layout: order of relocations, room for PLT and GOT ----

    @Override
    public List<Section> scriptSections(KernelConfig config) {
        return List.of(
                SectionPlan.placeholder(GOT, SectionFlags.ALLOC),
                SectionPlan.placeholder(PLT, CODE),
                SectionPlan.placeholder(PLT_INDEX, SectionFlags.ALLOC));
    }

    /**
     * Sorts the relocations of executable sections and gives {@code .plt} an entry for each
     * function called, {@code .got} a slot for each address wanted there.
     */
    @Override
    public SectionPlan planSections(ModuleImage image, KernelConfig config, String name) {
        int got = SectionPlan.needed(image, name, GOT, "GOT");
        int plt = SectionPlan.needed(image, name, PLT, "PLT");
        int pltIndex = SectionPlan.needed(image, name, PLT_INDEX, "PLT.IDX");
        ModuleImage.Builder changed = image.toBuilder();
        long calls = 0;
        long wanted = 0;
        for (RelocationTable table : image.relocations()) {
            if (!table.hasAddends() || !SectionPlan.isExecutable(image, table.target())) {
                continue;
            }
            RelocationOrder order = new RelocationOrder(table);
            order.sort(
                    table.count(),
                    (entries, i) ->
                            (long) entries.symbolIndex(i) << 32
                                    | Integer.toUnsignedLong(entries.type(i)),
                    RelocationTable::addend);
            RelocationTable sorted = order.table();
            if (order.changed()) {
                Section section = image.section(sorted.section());
                changed.replace(sorted.section(), section.withContents(sorted.entries()));
            }
            for (int i = 0; i < sorted.count(); i++) {
                if (i > 0 && compare(sorted, i - 1, i) == 0) {
                    continue;
                }
                int type = sorted.type(i);
                calls += type == PUSH_PLT_PCREL || type == B26 ? 1 : 0;
                wanted += type == GOT_PC_HI20 ? 1 : 0;
            }
        }
        long data = SectionFlags.ALLOC;
        return SectionPlan.asIs(
                changed.replace(
                                got,
                                SectionPlan.space(
                                        image.section(got), data, CACHE_LINE, (wanted + 1) * WORD))
                        .replace(
                                plt,
                                SectionPlan.space(
                                        image.section(plt),
                                        CODE,
                                        CACHE_LINE,
                                        (calls + 1) * PLT_ENTRY))
                        .replace(
                                pltIndex,
                                SectionPlan.space(
                                        image.section(pltIndex),
                                        data,
                                        CACHE_LINE,
                                        (calls + 1) * WORD))
                        .build());
    }

    /** By symbol, type and addend, of which the first two are unsigned. */
    private static int compare(RelocationTable table, int i, int j) {
        int order = Integer.compareUnsigned(table.symbolIndex(i), table.symbolIndex(j));
        if (order == 0) {
            order = Integer.compareUnsigned(table.type(i), table.type(j));
        }
        return order != 0 ? order : Long.compare(table.addend(i), table.addend(j));
    }

    // ---- relocation ----

    @Override
    public Relocator relocator(PlacedModule module) {
        return new LoongArchRelocator(module);
    }

    private final class LoongArchRelocator extends Relocator {
        private final PlacedModule module;
        private final AddressSlots got;
        private final AddressSlots pltTargets;
        private final @Nullable PlacedSection plt;
        private final long[] stack = new long[16];
        private int depth;

        LoongArchRelocator(PlacedModule module) {
            super(LoongArch.this, module);
            this.module = module;
            this.got = new AddressSlots(module, GOT, WORD);
            this.pltTargets = new AddressSlots(module, PLT_INDEX, WORD);
            int index = SectionPlan.lastNamed(module.image(), PLT);
            this.plt = index == 0 ? null : module.section(index);
        }

        @Override
        protected void begin(RelocationTable table) {
            depth = 0;
        }

        @Override
        protected void apply(RelocationEntry entry) {
            if (entry.hasErrorPointer(true)) {
                if (entry.isWeak()) {
                    return;
                }
                throw refuse(
                        Errno.ENOENT,
                        "kmod: %s: Unknown symbol %s",
                        module.name(),
                        entry.symbolName());
            }
            RelocationType row = row(entry);
            if (row.formula() != OWN) {
                super.apply(entry);
                return;
            }
            long v = entry.s() + entry.a();
            long p = entry.p();
            switch (row.code()) {
                case PUSH_PCREL -> push(v - p);
                case PUSH_ABSOLUTE -> push(v);
                case PUSH_DUP -> {
                    long top = pop();
                    push(top);
                    push(top);
                }
                case PUSH_PLT_PCREL -> push(reachable(entry, v) - p);
                case SUB, SL, SR, ADD, AND -> {
                    long second = pop();
                    push(combine(row.code(), pop(), second));
                }
                case IF_ELSE -> {
                    long otherwise = pop();
                    long then = pop();
                    push(pop() != 0 ? then : otherwise);
                }
                case POP_S_10_5 -> {
                    pop();
                    throw unsupported(module.name(), entry.type());
                }
                case ADD32, ADD64 -> add(row, entry, v);
                case SUB32, SUB64 -> add(row, entry, -v);
                case B26 -> {
                    entry.checkPlace(4);
                    long offset = reachable(entry, v) - p;
                    putChecked(row, entry, offset, "jump offset", "R_LARCH_B26");
                }
                case PCALA_HI20 -> put(row, entry, high(v, p));
                case PCALA64_LO20, PCALA64_HI12 -> put(row, entry, v - page(p) - high(v, p));
                case GOT_PC_HI20 -> put(row, entry, high(gotSlot(entry, v), p));
                case GOT_PC_LO12 -> put(row, entry, gotSlot(entry, v));
                default -> {
                    long top = pop();
                    putChecked(row, entry, top, "opr1", "apply_r_larch_sop_imm_field");
                }
            }
        }

        private void push(long value) {
            if (depth == stack.length) {
                throw stackFailure("seventeenth value on the relocation stack");
            }
            stack[depth++] = value;
        }

        private long pop() {
            if (depth == 0) {
                throw stackFailure("nothing left on the relocation stack");
            }
            return stack[--depth];
        }

        private LoadException stackFailure(String what) {
            return LoadException.silent(Errno.ENOEXEC, what + " of " + module.name());
        }

        private static long combine(int operation, long first, long second) {
            return switch (operation) {
                case SUB -> first - second;
                case SL -> first << second;
                case SR -> first >> second;
                case ADD -> first + second;
                case AND -> first & second;
                default -> throw new IllegalArgumentException("operation " + operation);
            };
        }

        private void add(RelocationType row, RelocationEntry entry, long summand) {
            int size = row.field().size();
            entry.write(size, entry.read(size) + summand);
        }

        private void put(RelocationType row, RelocationEntry entry, long value) {
            int size = row.field().size();
            entry.write(size, row.field().insert(entry.read(size), value));
        }

        private void putChecked(
                RelocationType row, RelocationEntry entry, long value, String what, String where) {
            if (!row.field().fits(value)) {
                boolean aligned =
                        !(row.field() instanceof Immediate immediate) || immediate.isAligned(value);
                throw refuse(
                        Errno.ENOEXEC,
                        "kmod: module %s: %s = 0x%x %s! dangerous %s (%d) relocation",
                        module.name(),
                        what,
                        value,
                        aligned ? "overflow" : "unaligned",
                        where,
                        row.code());
            }
            put(row, entry, value);
        }

        private static long page(long address) {
            return address & ~0xfffL;
        }

        /**
         * Distance of the pages of an address and a place, as 32 bits can hold it; so rounded that
         * the lower 12 bits, which are signed, can be added.
         */
        private static long high(long v, long p) {
            return (int) (page(v + 0x800) - page(p));
        }

        /** The address, or where a branch does not reach it that of its PLT entry. */
        private long reachable(RelocationEntry entry, long v) {
            long offset = v - entry.p();
            return offset >= -REACH && offset < REACH ? v : veneer(entry, v);
        }

        private long veneer(RelocationEntry entry, long v) {
            int used = pltTargets.count();
            int slot = pltTargets.slot(v);
            long offset = (long) slot * PLT_ENTRY;
            PlacedSection entries = plt;
            if (slot == AddressSlots.FULL || entries == null || !entries.holds(offset, PLT_ENTRY)) {
                throw refuse( // Linux dies of this (BUG)
                        Errno.ENOEXEC,
                        "%s: relocation %d of section %d needs more of .plt than was counted",
                        module.name(),
                        entry.index(),
                        entry.table().section());
            }
            if (slot == used) {
                writeVeneer(entries, offset, v);
            }
            return entries.address() + offset;
        }

        /** {@code lu12i.w t1}, {@code lu32i.d t1}, {@code lu52i.d t1}, {@code jirl zero, t1}. */
        private static void writeVeneer(PlacedSection entries, long offset, long v) {
            entries.writeInt(offset, 0x1400000d | (int) (v >> 12 & 0xfffff) << 5);
            entries.writeInt(offset + 4, 0x1600000d | (int) (v >> 32 & 0xfffff) << 5);
            entries.writeInt(offset + 8, 0x030001ad | (int) (v >> 52 & 0xfff) << 10);
            entries.writeInt(offset + 12, 0x4c0001a0 | (int) (v >> 2 & 0x3ff) << 10);
        }

        private long gotSlot(RelocationEntry entry, long v) {
            entry.checkPlace(4);
            int slot = got.slot(v);
            if (slot == AddressSlots.FULL) {
                throw refuse(Errno.EINVAL, "%s: module contains bad GOT relocation", module.name());
            }
            return got.address(slot);
        }
    }

    // ---- refusals ----

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE -> unknownType(failure.module(), failure.type());
            case OVERFLOW, PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL ->
                    Failures.relocation(failure);
        };
    }

    private static LoadException unknownType(String module, int type) {
        if (type < 0 || type >= TYPE_COUNT) {
            return refuse(
                    Errno.EINVAL,
                    "kmod: %s: Unknown relocation type %s",
                    module,
                    Integer.toUnsignedString(type));
        }
        if (type > ADD64 && type < SUB32) {
            return unsupported(module, type);
        }
        return refuse(
                Errno.EINVAL,
                "kmod: %s: Unsupport relocation type %d, please add its support.",
                module,
                type);
    }

    private static LoadException unsupported(String module, int type) {
        return refuse(Errno.EINVAL, "kmod: %s: Unsupport relocation type %d", module, type);
    }
}

package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The veneers of one module on 32-bit Arm: {@code .plt} for branches in core memory, {@code
 * .init.plt} for those in init memory. Veneers come in groups of two cache lines, the first full of
 * loads of the program counter, the second full of the addresses that they load.
 *
 * <p>Space is counted before the addresses are known, for every branch that leaves its section, so
 * it may be more than is used. Where the kernel stops itself (BUG) because it counted too little,
 * as it does for a branch far out of its own section, the module is refused.
 *
 * @kernel arch/arm/kernel/module-plts.c
 */
final class ArmPlt {
    /** Bytes that a veneer is counted with: a load and its address. */
    private static final int ENTRY_SIZE = 8;

    private final Arm.Options options;
    private final PlacedModule module;
    private final @Nullable Area core;
    private final @Nullable Area init;

    /** The veneers of a module, as {@link #plan} made room for them. */
    ArmPlt(PlacedModule module) {
        this.options = new Arm.Options(module.config());
        this.module = module;
        this.core = area(".plt");
        this.init = area(".init.plt");
    }

    private @Nullable Area area(String name) {
        int section = SectionPlan.lastNamed(module.image(), name);
        PlacedSection memory = options.hasPlts() ? module.section(section) : null;
        return memory == null ? null : new Area(memory);
    }

    // ---- before layout ----

    /**
     * Gives the two sections their size and the relocations of code their order.
     *
     * @throws LoadException if a section is missing
     */
    static SectionPlan plan(
            Arm architecture, ModuleImage image, KernelConfig config, String module) {
        Arm.Options options = new Arm.Options(config);
        int plt = SectionPlan.lastNamed(image, ".plt");
        int initPlt = SectionPlan.lastNamed(image, ".init.plt");
        if (plt == 0 || initPlt == 0) {
            throw missing(module, "PLT section(s)");
        }
        SymbolTable symbols = lastSymbols(image);
        if (symbols == null) {
            throw missing(module, "symtab section");
        }
        ModuleImage.Builder planned = image.toBuilder();
        long core = options.fixedVeneers();
        long init = options.fixedVeneers();
        for (RelocationTable table : image.relocations()) {
            int target = table.target();
            if (table.hasAddends() || !SectionPlan.isExecutable(image, target)) {
                continue;
            }
            Section patched = image.section(target);
            RelocationTable sorted = sort(table);
            if (sorted != table) {
                Section section = image.section(table.section());
                planned.replace(table.section(), section.withContents(sorted.entries()));
            }
            int count = count(sorted, symbols, patched.contents());
            if (SectionPlan.isInit(architecture, config, patched.name())) {
                init += count;
            } else {
                core += count;
            }
        }
        space(planned, plt, core, options.cacheLine());
        space(planned, initPlt, init, options.cacheLine());
        ModuleImage result = planned.build();
        if (result.symbolSection() != image.symbolSection()) {
            throw missing(module, "symtab section"); // it is the section for veneers itself
        }
        return new SectionPlan(result, 0);
    }

    private static LoadException missing(String module, String what) {
        return Arm.refuse("%s: module %s missing", module, what);
    }

    /** The last symbol table, or {@code null}. */
    private static @Nullable SymbolTable lastSymbols(ModuleImage image) {
        for (int i = image.sections().size() - 1; i > 0; i--) {
            if (image.section(i).type().equals(SectionType.SYMTAB)) {
                return i == image.symbolSection()
                        ? image.symbols()
                        : new SymbolTable(
                                image.section(i).contents(), Bytes.EMPTY, image.encoding());
            }
        }
        return null;
    }

    private static void space(ModuleImage.Builder image, int section, long count, int cacheLine) {
        long group = 2L * cacheLine;
        long size = (count * ENTRY_SIZE + group - 1) / group * group;
        long flags = SectionFlags.ALLOC | SectionFlags.EXECINSTR;
        image.replace(section, SectionPlan.space(image.get(section), flags, cacheLine, size));
    }

    /** The table in the kernel's order: by type, then by symbol. */
    private static RelocationTable sort(RelocationTable table) {
        RelocationOrder order = new RelocationOrder(table);
        order.sort(
                table.count(),
                (entries, i) -> (long) entries.type(i) << 24 | entries.symbolIndex(i),
                null);
        return order.table();
    }

    /**
     * How many veneers the branches of a sorted table may need: one each, but one for a run of
     * plain branches to the same symbol. A symbol or a place that is not there, of which the kernel
     * reads wild memory, counts as any other; the relocation itself is refused later.
     */
    private static int count(RelocationTable table, SymbolTable symbols, Bytes code) {
        int count = 0;
        for (int i = 0; i < table.count(); i++) {
            int symbol = table.symbolIndex(i);
            boolean near =
                    symbol < symbols.count() && symbols.sectionIndex(symbol) == table.target();
            if (!near && Arm.isBranch(table.type(i)) && !repeats(table, i, code)) {
                count++;
            }
        }
        return count;
    }

    /** Whether an entry is a plain branch to where the one before it goes as plainly. */
    private static boolean repeats(RelocationTable table, int i, Bytes code) {
        return i > 0
                && table.type(i) == table.type(i - 1)
                && table.symbolIndex(i) == table.symbolIndex(i - 1)
                && isPlain(table, i, code)
                && isPlain(table, i - 1, code);
    }

    /** Whether a branch, as it is in the file, goes to its symbol itself. */
    private static boolean isPlain(RelocationTable table, int i, Bytes code) {
        long offset = table.offset(i);
        if (offset > code.size() - 4) {
            return false;
        }
        long word = Integer.toUnsignedLong(code.readInt((int) offset, table.encoding()));
        return Arm.isThumbBranch(table.type(i))
                ? (word & 0x2fff_07ff) == 0x2ffe_07ff
                : (word & 0x00ff_ffff) == 0x00ff_fffe;
    }

    // ---- while relocating ----

    /**
     * The veneer that leads to {@code target}, for a branch at {@code place}: one that is there, or
     * a new one.
     *
     * @param entry the relocation of the branch, for the words if there is no room
     * @param target an address, with its Thumb bit
     * @return address of the veneer, or empty in a module without veneers
     * @throws LoadException if there is no room for another
     */
    Optional<Address> veneer(RelocationEntry entry, long target) {
        Area area = module.isInit(entry.p()) ? init : core;
        return area == null ? Optional.empty() : Optional.of(area.veneer(entry, (int) target));
    }

    /** One of the two sections. */
    private final class Area {
        private final PlacedSection memory;
        private final int cacheLine = options.cacheLine();
        private final int perGroup = cacheLine / 4;
        private int count;

        Area(PlacedSection memory) {
            this.memory = memory;
        }

        Address veneer(RelocationEntry entry, int target) {
            int[] fixed = options.fixedVeneers() == 0 ? new int[0] : fixedTargets();
            if (count == 0 && fixed.length > 0) {
                checkRoom(entry, fixed.length);
                fillLoads(0);
                for (int slot = 0; slot < fixed.length; slot++) {
                    memory.writeInt(literal(slot), fixed[slot]);
                }
                count = fixed.length;
            }
            for (int slot = 0; slot < fixed.length; slot++) {
                if (fixed[slot] == target) {
                    return load(slot);
                }
            }
            if (count > 0 && memory.readInt(literal(count - 1)) == target) {
                return load(count - 1);
            }
            checkRoom(entry, count + 1);
            int slot = count++;
            if (slot % perGroup == 0) {
                fillLoads(slot);
            }
            memory.writeInt(literal(slot), target);
            return load(slot);
        }

        private void checkRoom(RelocationEntry entry, int slots) {
            if ((long) slots * ENTRY_SIZE > memory.size()) {
                throw Arm.refuse(
                        "%s: section %d reloc %d sym '%s': no room for another PLT entry",
                        module.name(), entry.table().section(), entry.index(), entry.symbolName());
            }
        }

        /** A new group: loads, and addresses of zero. */
        private void fillLoads(int firstSlot) {
            for (int slot = firstSlot; slot < firstSlot + perGroup; slot++) {
                memory.writeInt(loadOffset(slot), options.veneerLoad());
                memory.writeInt(literal(slot), 0);
            }
        }

        private long loadOffset(int slot) {
            return (long) (slot / perGroup) * 2 * cacheLine + slot % perGroup * 4L;
        }

        private long literal(int slot) {
            return loadOffset(slot) + cacheLine;
        }

        private Address load(int slot) {
            return new Address(memory.address() + loadOffset(slot));
        }
    }

    private int @Nullable [] fixedTargets;

    /**
     * Where the first veneers lead: {@code ftrace_caller} and the mcount function. Without an
     * address for that, what the module's own import of it came to; else a made-up one.
     */
    private int[] fixedTargets() {
        int[] targets = fixedTargets;
        if (targets == null) {
            KernelConfig config = module.config();
            targets =
                    new int[] {
                        (int)
                                config.kernelAddress(Arm.FTRACE)
                                        .orElseGet(options::unknownFtrace)
                                        .value(),
                        (int)
                                config.kernelAddress(Arm.MCOUNT)
                                        .or(this::importedMcount)
                                        .orElseGet(options::unknownMcount)
                                        .value()
                    };
            fixedTargets = targets;
        }
        return targets;
    }

    private Optional<Address> importedMcount() {
        SymbolTable symbols = module.symbols();
        int symbol = symbols.indexOf(Arm.MCOUNT);
        return symbol < 0 || symbols.sectionIndex(symbol) != SymbolTable.UNDEF
                ? Optional.empty()
                : Optional.of(new Address(module.symbolValue(symbol)))
                        .filter(address -> !address.isNull());
    }
}

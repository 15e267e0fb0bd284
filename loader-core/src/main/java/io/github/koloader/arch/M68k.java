package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.PC_RELATIVE;
import static io.github.koloader.arch.Refusal.refuse;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.ThisModule;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Motorola 68000 family, big-endian. RELA, as GNU tools write it, and REL. What is odd: only words
 * of 32 bits are relocated, at any alignment and unchecked, and {@code R_68K_NONE} is refused; and
 * a module can bring a table of places that depend on where the machine has its memory. Its {@code
 * struct module} points to it, through {@code __start_fixup} and {@code __stop_fixup}.
 *
 * <p>Asked of {@link KernelConfig}: {@code kconfig("CONFIG_MMU")}, by default set, without which
 * that table is not looked at; and the numbers that the table's places get, by {@code
 * kernelAddress("m68k_memoffset")} and {@code kernelAddress("m68k_virt_to_node_shift")}: the
 * variables' values, not where they lie, and 0 where they were not given.
 *
 * <p>Where things lie depends on machine and memory. Taken is a classic Motorola MMU with 128 MiB.
 * Kernels for this family run on one processor and have no per-CPU areas; ours are for a
 * configuration that asks for them nevertheless.
 *
 * @kernel arch/m68k/kernel/module.c, apply_relocate(), apply_relocate_add(), module_fixup()
 * @psabi System V ABI, Motorola 68000 Processor Family Supplement, Relocation
 */
final class M68k implements Architecture {
    private static final int EM_68K = 4;

    private static final int FIXUP_SIZE = 8;
    private static final int FIXUP_MEMORY_OFFSET = 0;
    private static final int FIXUP_NODE_SHIFT = 1;

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(1, "R_68K_32", ABSOLUTE, word(32)),
                    new RelocationType(4, "R_68K_PC32", PC_RELATIVE, word(32)));

    @Override
    public String name() {
        return "m68k";
    }

    @Override
    public int elfMachine() {
        return EM_68K;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF32_MSB;
    }

    /** The first part of the vmalloc area, which begins 8 MiB behind the memory. */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(AddressRange.between(0x08800000L, 0xc0000000L));
    }

    /** The rest of the vmalloc area, up to where pages for devices are mapped. */
    @Override
    public AddressRange imageArea() {
        return AddressRange.between(0xc0000000L, 0xd0000000L);
    }

    /** Virtual addresses of the kernel are physical ones here, or nearly so. */
    @Override
    public AddressRange kernelText() {
        return AddressRange.between(0x2000L, 0x800000L);
    }

    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0x802000L, 0x804000L);
    }

    /** Areas of 8 KiB, one behind the other, in the memory behind the kernel. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0x1000000L - perCpuArea().start().value() + cpu * 0x2000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return true;
    }

    /** Never set: this architecture has no such option. */
    @Override
    public boolean hasStrictModuleRwx() {
        return false;
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return false;
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return ExceptionTable.ABSOLUTE32;
    }

    /**
     * Fills in what the module's table of fixups asks for. Linux reads and writes wherever the
     * table says; a module whose table leads out of it is refused here.
     */
    @Override
    public void finalizeModule(PlacedModule module) {
        ThisModule structure = module.image().thisModule().orElse(null);
        if (structure == null || !module.config().kconfig("CONFIG_MMU", true)) {
            return;
        }
        long start = pointer(module, structure.section(), "__start_fixup");
        long end = pointer(module, structure.section(), "__stop_fixup");
        if (start < end) {
            new Fixups(module).apply(start, end);
        }
    }

    /**
     * The field of {@code struct module} that a relocation has pointed to that symbol; 0 without
     * one.
     */
    private static long pointer(PlacedModule module, int structure, String symbol) {
        PlacedSection section = module.section(structure);
        int wanted = module.symbols().indexOf(symbol);
        long found = 0;
        for (RelocationTable table : module.image().relocationsFor(structure)) {
            for (int i = 0; i < table.count(); i++) {
                if (table.symbolIndex(i) == wanted
                        && section != null
                        && section.holds(table.offset(i), 4)) {
                    found = section.read(table.offset(i), 4);
                }
            }
        }
        return found;
    }

    /** The memory of a module by address, for the records of the table and the places they name. */
    private static final class Fixups {
        private final PlacedModule module;
        private final TreeMap<Long, PlacedSection> sections = new TreeMap<>();

        Fixups(PlacedModule module) {
            this.module = module;
            for (int i = 1; i < module.image().sections().size(); i++) {
                PlacedSection section = module.section(i);
                if (section != null && section.size() > 0) {
                    sections.put(section.address(), section);
                }
            }
        }

        void apply(long start, long end) {
            for (long record = start; record < end; record += FIXUP_SIZE) {
                PlacedSection table = holding(record, FIXUP_SIZE);
                long type = table.read(record - table.address(), 4);
                long address = table.read(record + 4 - table.address(), 4);
                if (type == FIXUP_MEMORY_OFFSET) {
                    PlacedSection place = holding(address, 4);
                    place.write(address - place.address(), 4, number("m68k_memoffset"));
                } else if (type == FIXUP_NODE_SHIFT) {
                    PlacedSection place = holding(address, 2);
                    long offset = address - place.address();
                    long shift = number("m68k_virt_to_node_shift");
                    place.write(offset, 2, place.read(offset, 2) + shift);
                }
            }
        }

        private long number(String variable) {
            return module.config().kernelAddress(variable).map(Address::value).orElse(0L);
        }

        private PlacedSection holding(long address, int length) {
            Map.Entry<Long, PlacedSection> below = sections.floorEntry(address);
            if (below == null || !below.getValue().holds(address - below.getKey(), length)) {
                throw refuse(
                        Errno.ENOEXEC,
                        "%s: table of fixups leads to 0x%x, which is outside the module",
                        module.name(),
                        address);
            }
            return below.getValue();
        }
    }

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    refuse(
                            Errno.ENOEXEC,
                            "module %s: Unknown relocation: %s",
                            failure.module(),
                            Integer.toUnsignedString(failure.type()));
            case OVERFLOW, PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL ->
                    Failures.relocation(failure);
        };
    }
}

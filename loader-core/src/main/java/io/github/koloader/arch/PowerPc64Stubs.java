package io.github.koloader.arch;

import static io.github.koloader.arch.PowerPc64.STUB_SIZE;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.memory.Address;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The stubs of a module, through which its calls leave it: one for each address, in the order of
 * the first calls. A slot whose address is zero counts as free, even if a stub for address zero was
 * made there.
 *
 * @kernel arch/powerpc/kernel/module_64.c, stub_for_addr(), create_stub(), create_ftrace_stub()
 */
final class PowerPc64Stubs {
    private static final int MAGIC_OFFSET = 28;
    private static final int ADDRESS_OFFSET = 32;
    private static final int MAGIC = 0x73747562;

    /** Bytes that a relocation writes at most, from its offset on. */
    private static final int LONGEST_PLACE = 8;

    private static final int ADDIS_R11_R2 = 0x3d620000;
    private static final int ADDI_R11_R11 = 0x396b0000;
    private static final int STD_R2_24_R1 = 0xf8410018;
    private static final int LD_R12_32_R11 = 0xe98b0020;
    private static final int LD_R12_R13 = 0xe98d0000;
    private static final int ADDIS_R12_R12 = 0x3d8c0000;
    private static final int ADDI_R12_R12 = 0x398c0000;
    private static final int MTCTR_R12 = 0x7d8903a6;
    private static final int BCTR = 0x4e800420;

    private static final Set<String> TRACERS =
            Set.of("_mcount", PowerPc64.FTRACE_CALLER, PowerPc64.FTRACE_REGS_CALLER);

    private static final Address DEFAULT_KERNEL_TOC = new Address(0xc0000000_01c08000L);
    private static final Address DEFAULT_PACA_OFFSET = new Address(0x10);

    private final PlacedModule module;
    private final PlacedSection section;
    private final long toc;
    private final long[] addresses;
    private final Map<Long, TreeSet<Integer>> slots = new HashMap<>();

    /** The first free slot, or the number of slots. Those behind it may be taken all the same. */
    private int used;

    /**
     * The stubs of a module as its memory has them.
     *
     * @throws LoadException if there is no section for them, or none that r2 can point into
     */
    PowerPc64Stubs(PlacedModule module) {
        this.module = module;
        PlacedSection found =
                module.section(SectionPlan.lastNamed(module.image(), PowerPc64.STUBS));
        if (found == null) {
            throw PowerPc64.noStubs(module.name());
        }
        this.section = found;
        this.toc = toc(module);
        this.addresses = new long[section.size() / STUB_SIZE];
        for (int slot = 0; slot < addresses.length; slot++) {
            look(slot);
        }
    }

    /**
     * Takes note of what was written into the section, without looking at all of it again.
     *
     * @param table relocations that were applied to the stubs
     */
    void patched(RelocationTable table) {
        for (int i = 0; i < table.count(); i++) {
            long offset = table.offset(i);
            if (section.holds(offset, 0)) {
                look((int) (offset / STUB_SIZE));
                look((int) ((offset + LONGEST_PLACE - 1) / STUB_SIZE));
            }
        }
    }

    /** Takes note of the address in a slot. */
    private void look(int slot) {
        if (!holds(slot) || addresses[slot] == addressIn(slot)) {
            return;
        }
        long before = addresses[slot];
        long now = addressIn(slot);
        addresses[slot] = now;
        if (before != 0) {
            TreeSet<Integer> others = slots.get(before);
            if (others != null) {
                others.remove(slot);
            }
        }
        if (now != 0) {
            slots.computeIfAbsent(now, address -> new TreeSet<>()).add(slot);
        } else {
            used = Math.min(used, slot);
        }
        while (used < addresses.length && addresses[used] != 0) {
            used++;
        }
    }

    /**
     * What r2 holds in a module.
     *
     * @throws LoadException if it has no section for it
     */
    static long toc(PlacedModule module) {
        PlacedSection section = module.section(PowerPc64.tocSection(module.image()));
        if (section == null) {
            throw PowerPc64.noStubs(module.name());
        }
        long start = section.address();
        return (PowerPc64.recent(module.config()) ? start & ~0xffL : start) + 0x8000;
    }

    private boolean holds(int slot) {
        return section.holds((long) slot * STUB_SIZE, STUB_SIZE);
    }

    private long addressIn(int slot) {
        return section.read((long) slot * STUB_SIZE + ADDRESS_OFFSET, 8);
    }

    /** Whether a function of that name is entered before the caller has a frame. */
    static boolean isTracer(KernelConfig config, String name) {
        return PowerPc64.profilesEntries(config) && TRACERS.contains(name);
    }

    /**
     * {@return address of the stub that leads to an address: one that is there, else a new one}
     *
     * @param target where the stub leads
     * @param name name of what is there; decides the form of a new stub
     * @throws LoadException ENOENT if a new one cannot reach what it needs
     */
    long find(long target, String name) {
        TreeSet<Integer> there = slots.get(target);
        if (there != null && !there.isEmpty() && there.first() < used) {
            return addressOf(there.first());
        }
        if (!holds(used)) {
            throw PowerPc64.refuse( // ours: a bug that stops Linux
                    Errno.ENOEXEC, "%s: no room for a stub to %s", module.name(), name);
        }
        int slot = used;
        if (isTracer(module.config(), name)) {
            makeTracerStub(slot, target, name);
        } else {
            makeStub(slot);
        }
        long offset = (long) slot * STUB_SIZE;
        section.writeInt(offset + MAGIC_OFFSET, MAGIC);
        section.write(offset + ADDRESS_OFFSET, 8, target);
        look(slot);
        return addressOf(slot);
    }

    private long addressOf(int slot) {
        return section.address() + (long) slot * STUB_SIZE;
    }

    /** Finds itself through r2, saves r2, and jumps to the address it holds. */
    private void makeStub(int slot) {
        long distance = addressOf(slot) - toc;
        if (distance != (int) distance) {
            throw PowerPc64.refuse(
                    Errno.ENOENT,
                    "%s: Address %016x of stub out of range of %016x.",
                    module.name(),
                    distance,
                    toc);
        }
        write(
                slot,
                ADDIS_R11_R2 | (int) PowerPc64.highAdjusted(distance),
                ADDI_R11_R11 | (int) PowerPc64.low(distance),
                STD_R2_24_R1,
                LD_R12_32_R11,
                MTCTR_R12,
                BCTR);
    }

    /** Goes by the kernel's own TOC, which the processor's area knows, and leaves r2 alone. */
    private void makeTracerStub(int slot, long target, String name) {
        KernelConfig config = module.config();
        long kernelToc =
                config.kernelAddress(PowerPc64.KERNEL_TOC).orElse(DEFAULT_KERNEL_TOC).value();
        long pacaOffset =
                config.kernelAddress(PowerPc64.PACA_KERNEL_TOC).orElse(DEFAULT_PACA_OFFSET).value();
        long distance = target - kernelToc;
        if (distance != (int) distance) {
            throw PowerPc64.refuse(
                    Errno.ENOENT,
                    "%s: Address of %s out of range of kernel_toc.",
                    module.name(),
                    name);
        }
        write(
                slot,
                LD_R12_R13 | (int) PowerPc64.low(pacaOffset),
                ADDIS_R12_R12 | (int) PowerPc64.highAdjusted(distance),
                ADDI_R12_R12 | (int) PowerPc64.low(distance),
                MTCTR_R12,
                BCTR);
    }

    private void write(int slot, int... words) {
        long offset = (long) slot * STUB_SIZE;
        for (int i = 0; i < words.length; i++) {
            section.writeInt(offset + 4L * i, words[i]);
        }
    }
}

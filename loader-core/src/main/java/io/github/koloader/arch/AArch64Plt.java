package io.github.koloader.arch;

import static io.github.koloader.arch.AArch64Fields.page;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.AArch64Fields.Adr;
import org.jspecify.annotations.Nullable;

/**
 * Relocates an AArch64 module and fills its PLTs, one for init and one for the rest: branches that
 * reach too far lead to an entry that loads the address into x16. A new entry is compared with the
 * one before only, which is why the relocations were sorted.
 *
 * <p>A Cortex-A53 with erratum 843419 may compute a wrong address in an {@code adrp} that is one of
 * the last two words of a page. There it is replaced by an {@code adr}, or by a branch to a PLT
 * entry that does its work. This is modelled since 5.0.
 *
 * @kernel arch/arm64/kernel/module-plts.c, module_emit_plt_entry(), module_emit_veneer_for_adrp()
 */
final class AArch64Plt extends Relocator {
    /** The PLT of what stays. */
    static final String CORE = ".plt";

    /** The PLT of init. */
    static final String INIT = ".init.plt";

    private static final int X16 = 16;
    private static final int BR_X16 = 0xd61f0200;
    private static final Adr ADR = new Adr(0, true);

    /** One of the two PLTs. */
    private static final class Table {
        final PlacedSection section;
        final int most;
        int count;

        Table(PlacedSection section, int entrySize) {
            this.section = section;
            this.most = section.size() / entrySize - 1;
        }
    }

    private final KernelConfig config;
    private final int entrySize;
    private final boolean erratum;
    private final @Nullable Table core;
    private final @Nullable Table init;

    AArch64Plt(Architecture architecture, PlacedModule module) {
        super(architecture, module);
        this.config = module.config();
        this.entrySize = entrySize(config);
        this.erratum = avoidsErratum(config);
        this.core = table(module, CORE);
        this.init = table(module, INIT);
    }

    private @Nullable Table table(PlacedModule module, String name) {
        int index = builtIn(config) ? SectionPlan.lastNamed(module.image(), name) : 0;
        PlacedSection section = index == 0 ? null : module.section(index);
        return section == null ? null : new Table(section, entrySize);
    }

    /** Whether that kernel has PLTs in modules. */
    static boolean builtIn(KernelConfig config) {
        return config.atLeast(6, 5)
                || config.atLeast(4, 5) && config.kconfig("CONFIG_ARM64_MODULE_PLTS", true);
    }

    /** Whether that kernel on its processor works around erratum 843419. */
    static boolean avoidsErratum(KernelConfig config) {
        return config.atLeast(5, 0)
                && config.kconfig("CONFIG_ARM64_ERRATUM_843419", true)
                && config.cpuCapability("ARM64_WORKAROUND_843419");
    }

    /** Bytes of a PLT entry: three instructions, or four until 4.20. */
    static int entrySize(KernelConfig config) {
        return config.atLeast(5, 0) ? 12 : 16;
    }

    /** Writes the entry that leads to {@code target}. */
    static void writeEntry(KernelConfig config, PlacedSection section, long slot, long target) {
        if (config.atLeast(5, 0)) {
            section.writeInt(slot, AArch64Fields.adrp(section.address() + slot, target, X16));
            section.writeInt(slot + 4, AArch64Fields.addLow12(target, X16));
            section.writeInt(slot + 8, BR_X16);
        } else {
            section.writeInt(slot, 0x92800000 | (int) (~target & 0xffff) << 5 | X16);
            section.writeInt(slot + 4, 0xf2a00000 | (int) (target >> 16 & 0xffff) << 5 | X16);
            section.writeInt(slot + 8, 0xf2c00000 | (int) (target >> 32 & 0xffff) << 5 | X16);
            section.writeInt(slot + 12, BR_X16);
        }
    }

    /** Whether an {@code adrp} must not lie at that address. */
    private boolean isForbidden(long address) {
        return erratum && (address & 0xfff) >= 0xff8;
    }

    private @Nullable Table tableFor(RelocationEntry entry) {
        return module().isInit(entry.p()) ? init : core;
    }

    private LoadException exhausted() { // Linux warns, without a line of its own
        return LoadException.silent(
                Errno.ENOEXEC, module().name() + " needs more PLT entries than were counted");
    }

    // ---- branches ----

    @Override
    protected long outOfRange(RelocationType row, RelocationEntry entry, long a, long value) {
        Table table = tableFor(entry);
        if (table == null || row.code() != AArch64.JUMP26 && row.code() != AArch64.CALL26) {
            return super.outOfRange(row, entry, a, value);
        }
        return entryFor(table, entry.s() + a);
    }

    /** The address of an entry that leads to {@code target}. */
    private long entryFor(Table table, long target) {
        PlacedSection section = table.section;
        int last = table.count - 1;
        int next = table.count;
        if (isForbidden(section.address() + (long) next * entrySize)) {
            next++;
        }
        long slot = (long) next * entrySize;
        if (!section.holds(slot, entrySize)) { // Linux would write behind the section
            throw exhausted();
        }
        writeEntry(config, section, slot, target);
        if (last >= 0 && leadToTheSame(section, slot, (long) last * entrySize)) {
            return section.address() + (long) last * entrySize;
        }
        table.count += next - last;
        if (table.count > table.most) {
            throw exhausted();
        }
        return section.address() + slot;
    }

    private boolean leadToTheSame(PlacedSection section, long one, long other) {
        for (int i = 4; i < entrySize; i += 4) {
            if (section.readInt(one + i) != section.readInt(other + i)) {
                return false;
            }
        }
        int first = section.readInt(one);
        int second = section.readInt(other);
        long p = section.address() + one;
        long q = section.address() + other;
        if (first == second && (!config.atLeast(5, 0) || page(p) == page(q))) {
            return true;
        }
        return AArch64Fields.isAdrp(first)
                && AArch64Fields.isAdrp(second)
                && AArch64Fields.adrpTarget(p, first) == AArch64Fields.adrpTarget(q, second);
    }

    // ---- erratum 843419 ----

    @Override
    protected void apply(RelocationEntry entry) {
        boolean adrp =
                entry.type() == AArch64.ADR_PREL_PG_HI21
                        || entry.type() == AArch64.ADR_PREL_PG_HI21_NC;
        if (adrp && isForbidden(entry.p())) {
            replaceAdrp(entry);
        } else {
            super.apply(entry);
        }
    }

    private void replaceAdrp(RelocationEntry entry) {
        long target = page(entry.s() + entry.a());
        long old = entry.read(4);
        long distance = target - entry.p();
        if (ADR.fits(distance)) {
            entry.write(4, ADR.insert(old, distance) & 0x7fffffff);
        } else {
            entry.write(4, AArch64Fields.branch(entry.p(), veneer(entry, target, (int) old & 31)));
        }
    }

    /** The address of an entry that loads {@code target} and goes on behind the place. */
    private long veneer(RelocationEntry entry, long target, int register) {
        Table table = tableFor(entry);
        if (table == null) {
            throw exhausted();
        }
        PlacedSection section = table.section;
        int next = table.count++;
        if (table.count > table.most) {
            throw exhausted();
        }
        if (isForbidden(section.address() + (long) next * entrySize)) {
            next = table.count++;
        }
        long slot = (long) next * entrySize;
        if (!section.holds(slot, entrySize)) { // Linux would write behind the section
            throw exhausted();
        }
        long address = section.address() + slot;
        section.writeInt(slot, AArch64Fields.adrp(address, target, register));
        section.writeInt(slot + 4, AArch64Fields.addLow12(target, register));
        section.writeInt(slot + 8, AArch64Fields.branch(address + 8, entry.p() + 4));
        return address;
    }
}

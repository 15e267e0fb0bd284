package io.github.koloader.arch;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.arch.RelocationFailure.Kind;
import java.util.BitSet;

/**
 * Applies what goes through GOT and PLT, and fills their slots when a symbol is first met. Both lie
 * before the module's first section, the GOT at the very start.
 *
 * @kernel arch/s390/kernel/module.c, apply_rela()
 */
final class S390Relocator extends Relocator {
    private static final long BASR = 0x0d10; // basr %r1,0
    private static final long LG = 0xe310100c0004L; // lg %r1,12(%r1)
    private static final long BR = 0x07f10000; // br %r1, and two bytes that the kernel leaves
    private static final long BRCL = 0xc0f4; // brcl 15,thunk

    private final boolean expoline;
    private final S390Slots slots;
    private final BitSet inGot = new BitSet();
    private final BitSet inPlt = new BitSet();

    S390Relocator(S390 architecture, PlacedModule module) {
        super(architecture, module);
        this.expoline = S390.expoline(module.config());
        this.slots = S390Slots.of(module.image(), module.config(), module.name());
    }

    @Override
    protected void apply(RelocationEntry entry) {
        RelocationType row = row(entry);
        switch (row.formula()) {
            case NONE -> {}
            case ABSOLUTE, PC_RELATIVE, PAGE_RELATIVE -> applyRow(row, entry);
            case OWN -> put(row, entry, value(entry, module().textPrefix().address()));
        }
    }

    private static void put(RelocationType row, RelocationEntry entry, long value) {
        Field field = row.field();
        long old = entry.read(field.size());
        if (!field.fits(value)) {
            throw entry.rejected(Kind.OVERFLOW, value);
        }
        entry.write(field.size(), field.insert(old, value));
    }

    /** The value of a relocation that has to do with GOT or PLT. */
    private long value(RelocationEntry entry, long got) {
        long s = entry.s();
        long a = entry.a();
        long p = entry.p();
        return switch (entry.type()) {
            case 26, 33 -> got + gotSlot(entry, s) + a - p;
            case 18 -> plt(entry, s, 0xffff, 0x1ffffe) + a - p;
            case 20 -> plt(entry, s, 0xffff_ffffL, 0x1_ffff_fffeL) + a - p;
            case 8, 25 -> got + pltEntry(entry, s) + a - p;
            case 34, 35, 36 -> pltEntry(entry, s) + a;
            case 13, 27, 28 -> s + a - got;
            case 14, 21 -> got + a - p;
            default -> gotSlot(entry, s) + a;
        };
    }

    /**
     * Where a branch leads: to its symbol if that is within the window around it, else to the PLT.
     */
    private long plt(RelocationEntry entry, long s, long below, long window) {
        long through = module().textPrefix().address() + pltEntry(entry, s);
        return Long.compareUnsigned(s - entry.p() + below, window) < 0 ? s : through;
    }

    /** Offset of a symbol's slot in the GOT, which holds its value. */
    private long gotSlot(RelocationEntry entry, long s) {
        long offset = slots.gotOffset(entry.symbol());
        if (!inGot.get(entry.symbol())) {
            checkRoom(offset, 8);
            module().textPrefix().write(offset, 8, s);
            inGot.set(entry.symbol());
        }
        return offset;
    }

    /** Offset from the GOT of a symbol's PLT entry, which branches to its value. */
    private long pltEntry(RelocationEntry entry, long s) {
        long offset = slots.pltOffset(entry.symbol());
        if (!inPlt.get(entry.symbol())) {
            checkRoom(offset, S390Slots.PLT_ENTRY);
            writePltEntry(offset, s);
            inPlt.set(entry.symbol());
        }
        return offset;
    }

    private void writePltEntry(long offset, long s) {
        PlacedSection prefix = module().textPrefix();
        prefix.write(offset, 2, BASR);
        prefix.write(offset + 2, 2, LG >>> 32);
        prefix.write(offset + 4, 4, LG);
        if (expoline) {
            prefix.write(offset + 8, 2, BRCL);
            prefix.write(offset + 10, 4, (slots.thunk() - (offset + 8)) / 2);
        } else {
            prefix.write(offset + 8, 4, BR);
            prefix.write(offset + 12, 2, 0);
        }
        prefix.write(offset + 14, 8, s);
    }

    /** Ours: what was planned always suffices, but a caller may have placed less. */
    private void checkRoom(long offset, int length) {
        if (!module().textPrefix().holds(offset, length)) {
            throw new LoadException(
                    Errno.ENOEXEC,
                    new LogLine(
                            LogLevel.ERR,
                            "module %s: no room for GOT and PLT".formatted(module().name())));
        }
    }
}

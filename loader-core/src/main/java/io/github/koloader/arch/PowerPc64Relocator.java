package io.github.koloader.arch;

import static io.github.koloader.arch.PowerPc64.ENTRY;
import static io.github.koloader.arch.PowerPc64.REL24;
import static io.github.koloader.arch.PowerPc64.TOC;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.SymbolTable;
import org.jspecify.annotations.Nullable;

/**
 * Applies what goes through the TOC or a stub.
 *
 * @kernel arch/powerpc/kernel/module_64.c, apply_relocate_add(), restore_r2()
 */
final class PowerPc64Relocator extends Relocator {
    private static final int NOP = 0x60000000;
    private static final int LD_R2_24_R1 = 0xe8410018;
    private static final int LD_R2_R12 = 0xe84c0000;
    private static final int ADD_R2_R2_R12 = 0x7c426214;
    private static final int ADDIS_R2_R12 = 0x3c4c0000;
    private static final int ADDI_R2_R2 = 0x38420000;

    private final int stubsSection;
    private boolean tocSymbolHasValue;
    private @Nullable Long toc;
    private @Nullable PowerPc64Stubs stubs;

    PowerPc64Relocator(PowerPc64 architecture, PlacedModule module) {
        super(architecture, module);
        this.stubsSection = SectionPlan.lastNamed(module.image(), PowerPc64.STUBS);
    }

    /** Before the very first entry the symbol of the TOC gets its value. */
    @Override
    protected void begin(RelocationTable table) {
        if (tocSymbolHasValue) {
            return;
        }
        tocSymbolHasValue = true;
        SymbolTable symbols = module().symbols();
        for (int i = 1; i < module().symbolCount(); i++) {
            if (symbols.sectionIndex(i) == SymbolTable.ABS && symbols.isNamed(i, "TOC.")) {
                module().setSymbolValue(i, toc());
                return;
            }
        }
    }

    /** A table that patches the stubs themselves may have made or removed some. */
    @Override
    protected void end(RelocationTable table) {
        PowerPc64Stubs known = stubs;
        if (known != null && table.target() == stubsSection) {
            known.patched(table);
        }
    }

    private long toc() {
        Long known = toc;
        if (known == null) {
            known = PowerPc64Stubs.toc(module());
            toc = known;
        }
        return known;
    }

    private PowerPc64Stubs stubs() {
        PowerPc64Stubs known = stubs;
        if (known == null) {
            known = new PowerPc64Stubs(module());
            stubs = known;
        }
        return known;
    }

    @Override
    protected void apply(RelocationEntry entry) {
        RelocationType row = row(entry);
        switch (row.formula()) {
            case NONE -> {}
            case ABSOLUTE, PC_RELATIVE, PAGE_RELATIVE -> applyRow(row, entry);
            case OWN -> {
                switch (row.code()) {
                    case REL24 -> branch(row, entry);
                    case ENTRY -> entry(entry);
                    case TOC -> {
                        entry.s(); // which Linux reads, too
                        put(row, entry, toc());
                    }
                    default -> put(row, entry, entry.s() + entry.a() - toc());
                }
            }
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

    /** A call that leaves the module goes through a stub and gets r2 back behind it. */
    private void branch(RelocationType row, RelocationEntry entry) {
        long s = entry.s();
        int instruction = (int) entry.read(4);
        int symbol = entry.symbol();
        int section = module().symbols().sectionIndex(symbol);
        boolean leaves = section == SymbolTable.UNDEF || section == SymbolTable.LIVEPATCH;
        long callee;
        boolean restores = false;
        if (leaves) {
            String name = entry.symbolName();
            callee = stubs().find(s + entry.a(), name);
            restores = isCall(instruction) && !PowerPc64Stubs.isTracer(module().config(), name);
            if (restores) {
                checkNop(entry);
            }
        } else {
            callee = s + entry.a() + localEntry(module().symbols().other(symbol));
        }
        put(row, entry, callee - entry.p());
        if (restores) {
            entry.section().writeInt(entry.offset() + 4, LD_R2_24_R1);
        }
    }

    /** Bytes from a function's entry to where it is entered with r2 already right. */
    private long localEntry(int other) {
        return PowerPc64.recent(module().config()) ? 1L << (other >> 5 & 7) >> 2 << 2 : 0;
    }

    /**
     * Whether an instruction is a relative branch, conditional or not, that sets the link register.
     */
    private static boolean isCall(int instruction) {
        int opcode = instruction >>> 26;
        return (opcode == 18 || opcode == 16) && (instruction & 3) == 1;
    }

    private void checkNop(RelocationEntry entry) {
        entry.checkPlace(8);
        int behind = entry.section().readInt(entry.offset() + 4);
        if (behind == NOP) {
            return;
        }
        LoadException refusal =
                PowerPc64.recent(module().config())
                        ? PowerPc64.refuse(
                                Errno.ENOEXEC,
                                "%s: Expected nop after call, got %08x at 0x%x",
                                module().name(),
                                behind,
                                entry.p() + 4)
                        : PowerPc64.refuse(
                                Errno.ENOEXEC,
                                "%s: Expect noop after relocate, got %08x",
                                module().name(),
                                behind);
        throw refusal;
    }

    /**
     * The beginning of a function that loads the distance to its TOC: where that is near it is
     * added instead.
     */
    private void entry(RelocationEntry entry) {
        entry.s(); // which Linux reads, too
        long distance = toc() - entry.p();
        if (distance < -0x80008000L || distance > 0x7fff7fffL) {
            return;
        }
        entry.checkPlace(8);
        int load = entry.section().readInt(entry.offset());
        int add = entry.section().readInt(entry.offset() + 4);
        if ((load & ~0xfffc) != LD_R2_R12 || add != ADD_R2_R2_R12) {
            return;
        }
        entry.section()
                .writeInt(entry.offset(), ADDIS_R2_R12 | (int) PowerPc64.highAdjusted(distance));
        entry.section().writeInt(entry.offset() + 4, ADDI_R2_R2 | (int) PowerPc64.low(distance));
    }
}

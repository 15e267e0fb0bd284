package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.RelocationFailure.Kind;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.internal.Failures;
import java.util.Arrays;

/**
 * Which symbols have a slot in the GOT or the PLT that the loader puts before a module's first
 * section, and where: in the order in which the file's relocations first ask for one. Those of
 * sections that take no memory ask too.
 *
 * @kernel arch/s390/kernel/module.c, check_rela(), module_frob_arch_sections()
 */
final class S390Slots {
    /** Bytes of a PLT entry. */
    static final int PLT_ENTRY = 22;

    private static final int GOT_ENTRY = 8;
    private static final int NONE = -1;

    private final int[] got;
    private final int[] plt;
    private final boolean expoline;
    private int gotCount;
    private int pltCount;

    private S390Slots(int symbols, boolean expoline) {
        this.got = new int[symbols];
        this.plt = new int[symbols];
        this.expoline = expoline;
        Arrays.fill(got, NONE);
        Arrays.fill(plt, NONE);
    }

    /**
     * {@return the slots of a module}
     *
     * @throws LoadException if a relocation that wants one has no symbol: Linux would write wild
     *     memory
     */
    static S390Slots of(ModuleImage image, KernelConfig config, String name) {
        int symtab = S390.symbolSection(image);
        int symbols = image.section(symtab).contents().size() / image.encoding().symbolSize();
        S390Slots slots = new S390Slots(symbols, S390.expoline(config));
        for (RelocationTable table : image.relocations()) {
            if (table.hasAddends()) {
                slots.add(table, config, name);
            }
        }
        return slots;
    }

    private void add(RelocationTable table, KernelConfig config, String name) {
        for (int i = 0; i < table.count(); i++) {
            int type = table.type(i);
            boolean inGot = usesGot(type);
            if (!inGot && !usesPlt(type)) {
                continue;
            }
            int symbol = table.symbolIndex(i);
            if (symbol < 0 || symbol >= got.length) {
                throw noSuchSymbol(table, i, config, name);
            }
            if (inGot && got[symbol] == NONE) {
                got[symbol] = gotCount++;
            } else if (!inGot && plt[symbol] == NONE) {
                plt[symbol] = pltCount++;
            }
        }
    }

    private static LoadException noSuchSymbol(
            RelocationTable table, int entry, KernelConfig config, String name) {
        return Failures.relocation(
                new RelocationFailure(
                        Kind.NO_SUCH_SYMBOL,
                        config,
                        name,
                        table.section(),
                        entry,
                        table.type(entry),
                        "",
                        0,
                        table.addend(entry),
                        0,
                        0,
                        table.offset(entry),
                        0));
    }

    /** Whether a relocation type is about a symbol's slot in the GOT. */
    static boolean usesGot(int type) {
        return switch (type) {
            case 6, 7, 15, 24, 26, 58, 29, 30, 31, 32, 33, 59 -> true;
            default -> false;
        };
    }

    /** Whether a relocation type is about a symbol's entry in the PLT. */
    static boolean usesPlt(int type) {
        return switch (type) {
            case 8, 18, 20, 25, 34, 35, 36 -> true;
            default -> false;
        };
    }

    /** Bytes from the start of the GOT to a symbol's slot. */
    long gotOffset(int symbol) {
        return (long) got[symbol] * GOT_ENTRY;
    }

    /** Bytes from the start of the GOT to a symbol's PLT entry. */
    long pltOffset(int symbol) {
        return pltStart() + (long) plt[symbol] * PLT_ENTRY;
    }

    private long pltStart() {
        return (long) gotCount * GOT_ENTRY;
    }

    /** Whether there is a thunk behind the PLT. */
    boolean hasThunk() {
        return expoline && pltCount > 0;
    }

    /** Bytes from the start of the GOT to the thunk. */
    long thunk() {
        return pltStart() + (long) pltCount * PLT_ENTRY;
    }

    /** Bytes of GOT, PLT and thunk. */
    long size() {
        return hasThunk() ? thunk() + PLT_ENTRY : thunk();
    }
}

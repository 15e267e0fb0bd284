package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.AddressRange;
import java.util.List;

/**
 * All that is special to one architecture. Immutable; one instance serves all kernels. Others than
 * ours are found through {@link java.util.ServiceLoader} by {@link Architectures#forMachine}.
 */
public interface Architecture {
    /** Its name, such as {@code x86_64}. */
    String name();

    /** The {@code e_machine} of its modules. */
    int elfMachine();

    /**
     * Whether the header's machine and flags are accepted.
     *
     * @kernel arch/&lt;arch&gt;/include/asm/elf.h, elf_check_arch()
     */
    default boolean accepts(int machine, int flags) {
        return machine == elfMachine();
    }

    /** Word size and byte order. */
    Encoding encoding();

    /** Bytes of a page: a power of two. */
    default int pageSize() {
        return 4096;
    }

    /** Where modules are placed. */
    AddressRange moduleArea(KernelConfig config);

    /** Where the kernel's temporary copies of files are placed. */
    AddressRange imageArea();

    /** Where the kernel's own text lies: stub addresses for its symbols are taken from here. */
    AddressRange kernelText();

    /** Offsets in each CPU's area that modules' per-CPU data is placed at. */
    AddressRange perCpuArea();

    /** Address of the area of processor {@code cpu} minus the offsets of {@link #perCpuArea()}. */
    long perCpuOffset(int cpu);

    /** The relocation types it accepts. */
    RelocationTypes relocationTypes();

    /** Whether relocation sections with addends (RELA), or without (REL), are accepted. */
    boolean acceptsRelocations(boolean withAddends);

    /** The last part of vermagic, with its trailing space where it has one. */
    default String vermagicSuffix(KernelConfig config) {
        return "";
    }

    /** Whether a section belongs to init, going by its name. */
    default boolean isInitSection(String name) {
        return name.startsWith(".init");
    }

    /** Whether a section belongs to exit, going by its name. */
    default boolean isExitSection(String name) {
        return name.startsWith(".exit");
    }

    /**
     * Whether exports are written as 32-bit distances from their own fields (PREL32) or as
     * addresses.
     */
    boolean relativeExports(KernelConfig config);

    /** How exception table entries look. */
    ExceptionTable exceptionTable(KernelConfig config);

    /** Whether an undefined symbol of that name is left unresolved without complaint. */
    default boolean toleratesUndefined(KernelConfig config, String symbol) {
        return false;
    }

    /** Whether this kernel looks for modinfo's {@code retpoline}. */
    default boolean checksRetpoline(KernelConfig config) {
        return false;
    }

    /**
     * Before layout: the sections with the sizes that the loader will give them ({@code .plt},
     * {@code .got} …), in file order.
     *
     * @kernel arch/&lt;arch&gt;/kernel/module.c, module_frob_arch_sections()
     */
    default List<Section> planSections(ModuleImage image) {
        return image.sections();
    }

    /** Applies one table to the bytes of its section, already at its final address. */
    default void apply(RelocationTable table, RelocationTarget target) {
        target.applyRows(this, table);
    }

    /** The failure of a relocation in this architecture's words. */
    default LoadException rejection(RelocationFailure failure) {
        return Failures.relocation(failure);
    }
}

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
    /** {@return its name, such as {@code x86_64}} */
    String name();

    /** {@return the {@code e_machine} of its modules} */
    int elfMachine();

    /**
     * {@return whether the header's machine and flags are accepted}
     *
     * @param machine {@code e_machine}, 0 … 65535
     * @param flags {@code e_flags}
     * @kernel arch/&lt;arch&gt;/include/asm/elf.h, elf_check_arch()
     */
    default boolean accepts(int machine, int flags) {
        return machine == elfMachine();
    }

    /** {@return word size and byte order} */
    Encoding encoding();

    /** {@return bytes of a page: a power of two} */
    default int pageSize() {
        return 4096;
    }

    /**
     * {@return where modules are placed}
     *
     * @param config the kernel
     */
    AddressRange moduleArea(KernelConfig config);

    /** {@return where the kernel's temporary copies of files are placed} */
    AddressRange imageArea();

    /**
     * {@return where the kernel's own text lies: stub addresses for its symbols are taken from
     * here}
     */
    AddressRange kernelText();

    /** {@return offsets in each CPU's area that modules' per-CPU data is placed at} */
    AddressRange perCpuArea();

    /**
     * {@return address of the area of processor {@code cpu} minus the offsets of {@link
     * #perCpuArea()}, modulo 2^64}
     *
     * @param cpu number of the processor, from 0
     */
    long perCpuOffset(int cpu);

    /** {@return the relocation types it accepts} */
    RelocationTypes relocationTypes();

    /**
     * {@return the relocation types that a kernel of that version accepts} All of them, unless an
     * architecture says otherwise.
     *
     * @param config the kernel
     */
    default RelocationTypes relocationTypes(KernelConfig config) {
        return relocationTypes();
    }

    /**
     * {@return whether relocation sections with addends (RELA), or without (REL), are accepted}
     *
     * @param withAddends {@code true} to ask about RELA, {@code false} about REL
     */
    boolean acceptsRelocations(boolean withAddends);

    /**
     * {@return the last part of vermagic, with its trailing space where it has one}
     *
     * @param config the kernel
     */
    default String vermagicSuffix(KernelConfig config) {
        return "";
    }

    /**
     * {@return whether a section belongs to init, going by its name}
     *
     * @param name name of the section
     */
    default boolean isInitSection(String name) {
        return name.startsWith(".init");
    }

    /**
     * {@return whether a section belongs to exit, going by its name}
     *
     * @param name name of the section
     */
    default boolean isExitSection(String name) {
        return name.startsWith(".exit");
    }

    /**
     * {@return whether exports are written as 32-bit distances from their own fields (PREL32), not
     * as addresses}
     *
     * @param config the kernel
     */
    boolean relativeExports(KernelConfig config);

    /**
     * {@return how exception table entries look}
     *
     * @param config the kernel
     */
    ExceptionTable exceptionTable(KernelConfig config);

    /**
     * {@return whether an undefined symbol of that name is left unresolved without complaint}
     *
     * @param config the kernel
     * @param symbol name of the symbol
     */
    default boolean toleratesUndefined(KernelConfig config, String symbol) {
        return false;
    }

    /**
     * {@return whether this kernel looks for modinfo's {@code retpoline}}
     *
     * @param config the kernel
     */
    default boolean checksRetpoline(KernelConfig config) {
        return false;
    }

    /**
     * {@return the sections, in file order, with the sizes that the loader will give them ({@code
     * .plt}, {@code .got} …); asked before layout}
     *
     * @param image the module
     * @kernel arch/&lt;arch&gt;/kernel/module.c, module_frob_arch_sections()
     */
    default List<Section> planSections(ModuleImage image) {
        return image.sections();
    }

    /**
     * Applies one table to the bytes of its section, already at its final address.
     *
     * @param table the entries
     * @param target the section, with what they need
     */
    default void apply(RelocationTable table, RelocationTarget target) {
        target.applyRows(this, table);
    }

    /**
     * {@return the failure of a relocation in this architecture's words}
     *
     * @param failure what is wrong with which entry
     */
    default LoadException rejection(RelocationFailure failure) {
        return Failures.relocation(failure);
    }
}

package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
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
     * {@return whether a file with that header is for this machine}
     *
     * @param header what the ELF header says
     * @kernel arch/&lt;arch&gt;/include/asm/elf.h, elf_check_arch()
     */
    default boolean accepts(FileHeader header) {
        return header.machine() == elfMachine();
    }

    /** {@return other names that it goes by, such as Debian's {@code amd64}} */
    default List<String> aliases() {
        return List.of();
    }

    /** {@return word size and byte order} */
    Encoding encoding();

    /** {@return bytes of a page: a power of two} */
    default int pageSize() {
        return 4096;
    }

    /**
     * {@return where modules are placed: disjoint ranges, of which a later one is used when those
     * before it have no room}
     *
     * @param config the kernel
     */
    List<AddressRange> moduleAreas(KernelConfig config);

    /** {@return where the kernel's temporary copies of files are placed} */
    AddressRange imageArea();

    /**
     * {@return where that kernel places its temporary copies of files} {@link #imageArea()}, unless
     * an architecture's memory map changed.
     *
     * @param config the kernel
     */
    default AddressRange imageArea(KernelConfig config) {
        return imageArea();
    }

    /**
     * {@return where the kernel's own text lies: stub addresses for its symbols are taken from
     * here}
     */
    AddressRange kernelText();

    /**
     * {@return where that kernel's own text lies} {@link #kernelText()}, unless an architecture's
     * memory map changed.
     *
     * @param config the kernel
     */
    default AddressRange kernelText(KernelConfig config) {
        return kernelText();
    }

    /** {@return offsets in each CPU's area that modules' per-CPU data is placed at} */
    AddressRange perCpuArea();

    /**
     * {@return offsets in each CPU's area that modules' per-CPU data is placed at by that kernel}
     * {@link #perCpuArea()}, unless an architecture's memory map changed.
     *
     * @param config the kernel
     */
    default AddressRange perCpuArea(KernelConfig config) {
        return perCpuArea();
    }

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
     * {@return the word for preemption in vermagic, where the configuration leaves that open, as
     * Debian builds this architecture: {@code preempt}, or empty}
     *
     * @param config the kernel
     */
    default String preemption(KernelConfig config) {
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
     * {@return whether exit code of what is built in is kept until the end of the boot, as other
     * tables refer to it, and freed with init memory; else the linker discards it}
     *
     * @kernel arch/&lt;arch&gt;/kernel/vmlinux.lds.S, RUNTIME_DISCARD_EXIT
     */
    default boolean keepsBuiltInExit() {
        return false;
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
     * {@return whether names of data are kept for kallsyms too (CONFIG_KALLSYMS_ALL), where the
     * configuration leaves that open: as Debian builds this architecture}
     *
     * @param config the kernel
     */
    default boolean kallsymsAll(KernelConfig config) {
        return false;
    }

    /**
     * {@return whether livepatch modules are taken (CONFIG_LIVEPATCH), where the configuration
     * leaves that open: as Debian builds this architecture}
     *
     * @param config the kernel
     */
    default boolean livepatch(KernelConfig config) {
        return false;
    }

    /**
     * {@return the sections that kbuild's linker script puts into each module for the loader to
     * fill, as they are in the file; without them a module is refused}
     *
     * @param config the kernel
     */
    default List<Section> scriptSections(KernelConfig config) {
        return List.of();
    }

    /**
     * {@return whether kernels of this architecture can have CONFIG_STRICT_MODULE_RWX} Where they
     * cannot, {@link KernelConfig#strictModuleRwx} does not count.
     */
    default boolean hasStrictModuleRwx() {
        return true;
    }

    /**
     * {@return the module with the sizes that the loader will give its sections ({@code .plt},
     * {@code .got} …) and its relocations in the order in which they will be applied; asked before
     * layout}
     *
     * @param image the module
     * @param config the kernel
     * @param name name of the module, for messages
     * @throws LoadException if something is missing that veneers or GOT need
     * @kernel arch/&lt;arch&gt;/kernel/module.c, module_frob_arch_sections()
     */
    default SectionPlan planSections(ModuleImage image, KernelConfig config, String name) {
        return SectionPlan.asIs(image);
    }

    /**
     * {@return what applies the relocations of one module}
     *
     * @param module the module, at its final addresses
     * @kernel arch/&lt;arch&gt;/kernel/module.c, apply_relocate(), apply_relocate_add()
     */
    default Relocator relocator(PlacedModule module) {
        return new Relocator(this, module);
    }

    /**
     * Changes a relocated module where this kernel on its processor does, before rights are set.
     *
     * @param module the module, relocated
     * @throws LoadException if the kernel would refuse it now
     * @kernel arch/&lt;arch&gt;/kernel/module.c, module_finalize()
     */
    default void finalizeModule(PlacedModule module) {}

    /**
     * {@return the failure of a relocation in this architecture's words}
     *
     * @param failure what is wrong with which entry
     */
    default LoadException rejection(RelocationFailure failure) {
        return Failures.relocation(failure);
    }
}

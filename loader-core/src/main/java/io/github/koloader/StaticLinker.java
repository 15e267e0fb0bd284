package io.github.koloader;

import static java.util.Objects.requireNonNull;

import io.github.koloader.arch.Architecture;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.internal.link.Link;
import io.github.koloader.internal.link.LinkInput;
import io.github.koloader.internal.link.LinkInput.JavaInput;
import io.github.koloader.internal.link.LinkInput.ObjectInput;
import io.github.koloader.memory.Address;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Links built-in code into a kernel, as {@code ld} does by the kernel's linker script: relocatable
 * objects, and functions that are Java, in link order, which is the order of {@code obj-y}.
 *
 * <pre>{@code
 * LinkedKernel kernel = StaticLinker.of(Architectures.X86_64, KernelConfig.linux6_1())
 *         .object("drivers/a.o", a)
 *         .builtIn(new BuiltIn(InitcallLevel.DEVICE, "loop_init", call -> 0))
 *         .symbols(KernelSymbols.of(Map.of("_printk", new Address(0xffffffff_8110_0000L))))
 *         .link();
 * }</pre>
 *
 * <p>In the image come text, read-only data, data and bss, then the init area: init text, exit text
 * where the architecture keeps it until the end of the boot, init data, {@code .init.setup}, the
 * initcalls and the template of per-CPU data, between page-aligned {@code __init_begin} and {@code
 * __init_end}. The bounds that the kernel's own linker script defines are symbols here too.
 *
 * <p>Options of {@link KernelConfig#kconfig}: {@code CONFIG_MEMORY_HOTPLUG} (by default on where
 * words have 64 bits) keeps {@code .meminit.*}, {@code CONFIG_HOTPLUG_CPU} (yes) keeps {@code
 * .cpuinit.*}, {@code CONFIG_DYNAMIC_FTRACE} (yes) keeps the places of tracing.
 *
 * <p>What differs from {@code ld}: equal strings are not merged; relocation types are those that
 * the newest modules of the architecture may have; an undefined symbol is an error only where code
 * or data that is kept refers to it, as with {@code ld}; veneers, GOT and PLT are made as the
 * module loader makes them, and only if something does not reach without them; per-CPU data is at
 * addresses in the image, also on x86-64, whose kernels before 6.15 link it at 0; alternatives stay
 * as they are in the objects. The image has at most 1 GiB.
 *
 * @kernel include/asm-generic/vmlinux.lds.h; scripts/link-vmlinux.sh
 */
public final class StaticLinker {
    private final Architecture architecture;
    private final KernelConfig config;
    private final List<LinkInput> inputs = new ArrayList<>();
    private KernelSymbols symbols = KernelSymbols.none();
    private Address base;

    private StaticLinker(Architecture architecture, KernelConfig config) {
        this.architecture = requireNonNull(architecture);
        this.config = requireNonNull(config);
        this.base = architecture.kernelText(config).start();
    }

    /**
     * {@return a linker without input}
     *
     * @param architecture the architecture of the objects
     * @param config the kernel: its version and options decide what is kept, and in what form
     *     entries of Java functions are made
     */
    public static StaticLinker of(Architecture architecture, KernelConfig config) {
        return new StaticLinker(architecture, config);
    }

    /**
     * Adds an object behind those before.
     *
     * @param name its name for messages, such as {@code drivers/block/loop.o}, in an archive {@code
     *     built-in.a(loop.o)}; initcalls whose entry does not name its module, as before 5.12,
     *     belong to one of that name without directory and {@code .o}
     * @param image what is in it
     * @return this linker
     */
    public StaticLinker object(String name, ModuleImage image) {
        inputs.add(new ObjectInput(name, Optional.empty(), image));
        return this;
    }

    /**
     * Adds an object of a module behind those before.
     *
     * @param name its name for messages
     * @param module its {@code KBUILD_MODNAME}, for initcalls whose entry does not name it
     * @param image what is in it
     * @return this linker
     */
    public StaticLinker object(String name, String module, ModuleImage image) {
        inputs.add(new ObjectInput(name, Optional.of(module), image));
        return this;
    }

    /**
     * Adds a function that is Java behind what was added before. It gets 16 bytes of its own in
     * init text, a local symbol, and an entry in the table of its level.
     *
     * @param function level, name, and what is run
     * @return this linker
     */
    public StaticLinker builtIn(BuiltIn function) {
        inputs.add(new JavaInput(function));
        return this;
    }

    /**
     * Sets where symbols are looked for that no object defines; by default nowhere.
     *
     * @param newSymbols symbols of the rest of the kernel
     * @return this linker
     */
    public StaticLinker symbols(KernelSymbols newSymbols) {
        this.symbols = requireNonNull(newSymbols);
        return this;
    }

    /**
     * Sets the address of the first byte; by default the start of the kernel's text.
     *
     * @param address where {@code _text} will be, if no section wants to be aligned further
     * @return this linker
     */
    public StaticLinker base(Address address) {
        this.base = requireNonNull(address);
        return this;
    }

    /**
     * Links what was added.
     *
     * @return the kernel; of its version line only {@code linux_banner} of an object is known
     * @throws LinkException if it cannot be linked: undefined symbols, all of them, symbols that
     *     are defined twice, what refers to a discarded section, relocations that do not reach,
     *     tables of initcalls that no kernel could run, objects for another machine, or an image of
     *     more than 1 GiB
     */
    public LinkedKernel link() {
        return new Link(architecture, config, List.copyOf(inputs), symbols, base).run();
    }
}

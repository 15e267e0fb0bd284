package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.PC_RELATIVE;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.AddressRange;
import java.util.List;

/**
 * 32-bit x86. REL only: the addend is the word in the place. What is odd: nothing is checked at
 * all, since every distance fits into 32 bits, and {@code R_386_NONE} is refused. The kernel is
 * built with {@code -mregparm=3}: the first three integer arguments of a function are in EAX, EDX
 * and ECX, the others on the stack.
 *
 * <p>Asked of {@link KernelConfig#kconfig}: the processor family that vermagic names, {@code
 * CONFIG_M586TSC}, {@code CONFIG_M686} (set for a release that ends in {@code -686-pae}, as
 * Debian's) and {@code CONFIG_MCORE2}. Without them it is {@code CONFIG_MGEODE_LX}, as Debian's
 * {@code 686}: our choice.
 *
 * <p>Where things lie depends on the size of the memory. Taken is a machine with 512 MiB, whose
 * area for modules holds all modules of a distribution.
 *
 * @kernel arch/x86/kernel/module.c, apply_relocate()
 * @psabi System V ABI, Intel386 Architecture Processor Supplement, Relocation
 */
final class I386 implements Architecture {
    private static final int EM_386 = 3;
    private static final int EM_486 = 6;

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(1, "R_386_32", ABSOLUTE, word(32)),
                    new RelocationType(2, "R_386_PC32", PC_RELATIVE, word(32)),
                    new RelocationType(4, "R_386_PLT32", PC_RELATIVE, word(32)));

    private static final RelocationTypes BEFORE_5_12 = TYPES.without(4);

    @Override
    public String name() {
        return "i386";
    }

    @Override
    public int elfMachine() {
        return EM_386;
    }

    @Override
    public boolean accepts(FileHeader header) {
        return header.machine() == EM_386 || header.machine() == EM_486;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF32_LSB;
    }

    /**
     * The first part of the vmalloc area, which begins 8 MiB behind the directly mapped memory and
     * ends below that for high memory.
     */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(AddressRange.between(0xe0800000L, 0xf8000000L));
    }

    /** The rest of the vmalloc area. */
    @Override
    public AddressRange imageArea() {
        return AddressRange.between(0xf8000000L, 0xff7fe000L);
    }

    @Override
    public AddressRange kernelText() {
        return AddressRange.between(0xc1000000L, 0xc1c00000L);
    }

    /**
     * What a kernel keeps for modules, 8 KiB. Offsets are addresses here: per-CPU symbols have
     * those of the template in the kernel image.
     */
    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0xc1e90000L, 0xc1e90000L + 0x2000);
    }

    /** Areas of 32 KiB, one behind the other, at the end of the directly mapped memory. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0xd0000000L - perCpuArea().start().value() + cpu * 0x8000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public RelocationTypes relocationTypes(KernelConfig config) {
        return config.atLeast(5, 12) ? TYPES : BEFORE_5_12;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return !withAddends;
    }

    @Override
    public String vermagicSuffix(KernelConfig config) {
        if (config.kconfig("CONFIG_M586TSC", false)) {
            return "586TSC ";
        }
        if (config.kconfig("CONFIG_M686", config.release().endsWith("-686-pae"))) {
            return "686 ";
        }
        return config.kconfig("CONFIG_MCORE2", false) ? "CORE2 " : "GEODE ";
    }

    @Override
    public String preemption(KernelConfig config) {
        return config.atLeast(5, 12) ? "preempt" : ""; // with dynamic preemption
    }

    @Override
    public boolean keepsBuiltInExit() {
        return true;
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return config.atLeast(4, 19);
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return config.atLeast(4, 6) ? ExceptionTable.RELATIVE_WITH_DATA : ExceptionTable.RELATIVE;
    }

    @Override
    public boolean toleratesUndefined(KernelConfig config, String symbol) {
        return config.atLeast(5, 12) && symbol.equals("_GLOBAL_OFFSET_TABLE_");
    }

    @Override
    public boolean checksRetpoline(KernelConfig config) {
        return config.atLeast(4, 15);
    }

    /** Applies alternatives, if the processor is known. */
    @Override
    public void finalizeModule(PlacedModule module) {
        X86Alternatives.apply(module, false);
    }

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    Refusal.refuse(
                            Errno.ENOEXEC,
                            "module: %s: Unknown relocation: %s",
                            failure.module(),
                            Integer.toUnsignedString(failure.type()));
            case OVERFLOW, PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL ->
                    Failures.relocation(failure);
        };
    }
}

package io.github.koloader.arch;

import static io.github.koloader.arch.DataField.signed;
import static io.github.koloader.arch.DataField.unsigned;
import static io.github.koloader.arch.DataField.word;
import static io.github.koloader.arch.Formula.ABSOLUTE;
import static io.github.koloader.arch.Formula.NONE;
import static io.github.koloader.arch.Formula.PC_RELATIVE;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.image.Encoding;
import io.github.koloader.internal.Failures;
import io.github.koloader.memory.AddressRange;
import java.util.List;
import java.util.Locale;

/**
 * x86-64. RELA only. What is odd: a place must be zero before it is relocated, so a module cannot
 * be relocated twice; and a distance that does not fit into 32 bits is cut off without a word, for
 * modules always lie within 2 GiB of the kernel.
 *
 * @kernel arch/x86/kernel/module.c, __apply_relocate_add()
 * @psabi System V ABI, AMD64 Architecture Processor Supplement, Relocation
 */
final class X86_64 implements Architecture {
    private static final int EM_X86_64 = 62;

    private static final RelocationTypes TYPES =
            RelocationTypes.of(
                    new RelocationType(0, "R_X86_64_NONE", NONE, DataField.NONE),
                    new RelocationType(1, "R_X86_64_64", ABSOLUTE, word(64).overZero()),
                    new RelocationType(2, "R_X86_64_PC32", PC_RELATIVE, word(32).overZero()),
                    new RelocationType(4, "R_X86_64_PLT32", PC_RELATIVE, word(32).overZero()),
                    new RelocationType(10, "R_X86_64_32", ABSOLUTE, unsigned(32).overZero()),
                    new RelocationType(11, "R_X86_64_32S", ABSOLUTE, signed(32).overZero()),
                    new RelocationType(24, "R_X86_64_PC64", PC_RELATIVE, word(64).overZero()));

    /** Linux 4.15 began to look at places, 4.16 took PLT32, 4.20 PC64. */
    private static final RelocationTypes BEFORE_4_15 =
            RelocationTypes.of(
                    new RelocationType(0, "R_X86_64_NONE", NONE, DataField.NONE),
                    new RelocationType(1, "R_X86_64_64", ABSOLUTE, word(64)),
                    new RelocationType(2, "R_X86_64_PC32", PC_RELATIVE, word(32)),
                    new RelocationType(10, "R_X86_64_32", ABSOLUTE, unsigned(32)),
                    new RelocationType(11, "R_X86_64_32S", ABSOLUTE, signed(32)));

    private static final RelocationTypes BEFORE_4_16 = TYPES.without(4, 24);
    private static final RelocationTypes BEFORE_4_20 = TYPES.without(24);

    @Override
    public String name() {
        return "x86_64";
    }

    @Override
    public List<String> aliases() {
        return List.of("amd64");
    }

    @Override
    public int elfMachine() {
        return EM_X86_64;
    }

    @Override
    public Encoding encoding() {
        return Encoding.ELF64_LSB;
    }

    /** From the end of the kernel image's 1 GiB (a kernel that can be randomised) to the fixmap. */
    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(AddressRange.between(0xffffffff_c0000000L, 0xffffffff_ff000000L));
    }

    /** The vmalloc area with four-level page tables. */
    @Override
    public AddressRange imageArea() {
        return AddressRange.between(0xffffc900_00000000L, 0xffffe900_00000000L);
    }

    @Override
    public AddressRange kernelText() {
        return AddressRange.between(0xffffffff_81000000L, 0xffffffff_c0000000L);
    }

    /**
     * A page-aligned place behind the kernel's own per-CPU data, and the 8 KiB that a kernel keeps
     * for modules.
     */
    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0x35000, 0x35000 + 0x2000);
    }

    /** Areas of 256 KiB, one behind the other, in the direct map. */
    @Override
    public long perCpuOffset(int cpu) {
        return 0xffff8882_37c00000L + cpu * 0x40000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return TYPES;
    }

    @Override
    public RelocationTypes relocationTypes(KernelConfig config) {
        if (config.atLeast(4, 20)) {
            return TYPES;
        }
        return config.atLeast(4, 16)
                ? BEFORE_4_20
                : config.atLeast(4, 15) ? BEFORE_4_16 : BEFORE_4_15;
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return withAddends;
    }

    @Override
    public String preemption(KernelConfig config) {
        return config.atLeast(5, 12) ? "preempt" : ""; // with dynamic preemption
    }

    @Override
    public boolean livepatch(KernelConfig config) {
        return true;
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
    public boolean kallsymsAll(KernelConfig config) {
        return true;
    }

    @Override
    public boolean checksRetpoline(KernelConfig config) {
        return config.atLeast(4, 15);
    }

    /** Applies alternatives, if the processor is known. */
    @Override
    public void finalizeModule(PlacedModule module) {
        X86Alternatives.apply(module, true);
    }

    @Override
    public LoadException rejection(RelocationFailure failure) {
        return switch (failure.kind()) {
            case UNKNOWN_TYPE ->
                    refuse(
                            "%s: Unknown rela relocation: %s",
                            failure.module(), Integer.toUnsignedString(failure.type()));
            case PLACE_NOT_ZERO -> placeNotZero(failure);
            case OVERFLOW ->
                    new LoadException(
                            Errno.ENOEXEC,
                            List.of(
                                    line(
                                            "overflow in relocation type %d val %x",
                                            failure.type(), failure.s() + failure.a()),
                                    line(
                                            "`%s' likely not compiled with -mcmodel=kernel",
                                            failure.module())));
            case OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Failures.relocation(failure);
        };
    }

    /**
     * Since 6.4 the value is the one that would have been written; before, P is not yet subtracted.
     * Where the place is, the kernel says as a hash, or as here while it has no key for that.
     */
    private static LoadException placeNotZero(RelocationFailure failure) {
        boolean recent = failure.config().atLeast(6, 4);
        return refuse(
                (recent
                                ? "x86/modules: Invalid relocation target"
                                : "x86/modules: Skipping invalid relocation target")
                        + ", existing value is nonzero for type %d, loc (____ptrval____), val %x",
                failure.type(),
                recent ? failure.value() : failure.s() + failure.a());
    }

    private static LoadException refuse(String format, Object... arguments) {
        return new LoadException(Errno.ENOEXEC, line(format, arguments));
    }

    private static LogLine line(String format, Object... arguments) {
        return new LogLine(
                LogLevel.ERR, "module: " + String.format(Locale.ROOT, format, arguments));
    }
}

package io.github.koloader.arch;

import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.function.Predicate;

/** The architectures there are. */
public final class Architectures {
    /** x86-64. */
    public static final Architecture X86_64 = new X86_64();

    /** 32-bit x86. */
    public static final Architecture I386 = new I386();

    /** 64-bit Arm. */
    public static final Architecture AARCH64 = new AArch64();

    /** 32-bit Arm, whose kernel is either all ARM or all Thumb-2 code. */
    public static final Architecture ARM = new Arm();

    /** RISC-V with words of 64 bits. */
    public static final Architecture RISCV64 = RiscV.riscv64();

    /** RISC-V with words of 32 bits. */
    public static final Architecture RISCV32 = RiscV.riscv32();

    /** 64-bit PowerPC, little-endian. */
    public static final Architecture PPC64LE = new PowerPc64();

    /** s390x: 64-bit, big-endian. */
    public static final Architecture S390X = new S390();

    /** MIPS with words of 32 bits (o32), big-endian. */
    public static final Architecture MIPS32 =
            new Mips("mips32", List.of("mips"), Encoding.ELF32_MSB);

    /** MIPS with words of 32 bits (o32), little-endian. */
    public static final Architecture MIPS32EL =
            new Mips("mips32el", List.of("mipsel"), Encoding.ELF32_LSB);

    /** MIPS with words of 64 bits (n64), big-endian. */
    public static final Architecture MIPS64 = new Mips("mips64", List.of(), Encoding.ELF64_MSB);

    /** MIPS with words of 64 bits (n64), little-endian. */
    public static final Architecture MIPS64EL = new Mips("mips64el", List.of(), Encoding.ELF64_LSB);

    /** LoongArch with words of 64 bits. */
    public static final Architecture LOONGARCH64 = new LoongArch();

    /** Motorola 68000 family. */
    public static final Architecture M68K = new M68k();

    private static final List<Architecture> OURS =
            List.of(
                    X86_64,
                    I386,
                    AARCH64,
                    ARM,
                    RISCV64,
                    RISCV32,
                    PPC64LE,
                    S390X,
                    MIPS32,
                    MIPS32EL,
                    MIPS64,
                    MIPS64EL,
                    LOONGARCH64,
                    M68K);

    private Architectures() {}

    /** {@return the architectures of this library} */
    public static List<Architecture> all() {
        return OURS;
    }

    /**
     * The architecture whose modules have that {@code e_machine}: ours, or one that a {@link
     * ServiceLoader} finds. Where several share the number, as MIPS of either word size and byte
     * order do, the first of {@link #all}.
     *
     * @param elfMachine {@code e_machine}, 0 … 65535
     * @return empty if there is none
     */
    public static Optional<Architecture> forMachine(int elfMachine) {
        return first(architecture -> architecture.elfMachine() == elfMachine);
    }

    /**
     * The architecture whose modules have that {@code e_machine}, word size and byte order.
     *
     * @param elfMachine {@code e_machine}, 0 … 65535; other numbers that an architecture takes for
     *     its own are found too
     * @param encoding word size and byte order
     * @return empty if there is none
     */
    public static Optional<Architecture> forMachine(int elfMachine, Encoding encoding) {
        FileHeader header = new FileHeader(encoding, elfMachine, 0, 0);
        return first(
                architecture ->
                        architecture.encoding().equals(encoding) && architecture.accepts(header));
    }

    /**
     * {@return the architecture of that name, such as {@code x86_64}, or alias, such as Debian's
     * {@code amd64}; empty if there is none}
     *
     * @param name the name, as {@link Architecture#name} or {@link Architecture#aliases} has it
     */
    public static Optional<Architecture> named(String name) {
        return first(
                architecture ->
                        architecture.name().equals(name) || architecture.aliases().contains(name));
    }

    /**
     * {@return the name that people know an {@code e_machine} by, such as {@code arm64}; {@code
     * machine N} if it is not a known one}
     *
     * @param elfMachine {@code e_machine}, 0 … 65535
     */
    public static String machineName(int elfMachine) {
        return Machines.name(elfMachine);
    }

    private static Optional<Architecture> first(Predicate<Architecture> wanted) {
        return OURS.stream()
                .filter(wanted)
                .findFirst()
                .or(
                        () ->
                                ServiceLoader.load(Architecture.class).stream()
                                        .map(ServiceLoader.Provider::get)
                                        .filter(wanted)
                                        .findFirst());
    }
}

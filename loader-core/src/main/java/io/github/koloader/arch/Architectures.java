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

    private static final List<Architecture> OURS = List.of(X86_64);

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

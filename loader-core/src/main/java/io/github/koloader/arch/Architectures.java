package io.github.koloader.arch;

import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;

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
     * ServiceLoader} finds.
     *
     * @param elfMachine {@code e_machine}, 0 … 65535
     * @return empty if there is none
     */
    public static Optional<Architecture> forMachine(int elfMachine) {
        for (Architecture architecture : OURS) {
            if (architecture.elfMachine() == elfMachine) {
                return Optional.of(architecture);
            }
        }
        return ServiceLoader.load(Architecture.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(architecture -> architecture.elfMachine() == elfMachine)
                .findFirst();
    }

    /**
     * {@return the architecture of that name, such as {@code x86_64}; empty if there is none}
     *
     * @param name the name, as {@link Architecture#name} has it
     */
    public static Optional<Architecture> named(String name) {
        for (Architecture architecture : OURS) {
            if (architecture.name().equals(name)) {
                return Optional.of(architecture);
            }
        }
        return ServiceLoader.load(Architecture.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(architecture -> architecture.name().equals(name))
                .findFirst();
    }
}

package io.github.koloader;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Things that functions of modules have registered with the kernel: devices, drivers, file systems
 * and whatever a test wants to name. What a module leaves behind when it is unloaded stays, so that
 * a test can see it. Belongs to its kernel's thread.
 */
public final class Registry {
    /**
     * Something registered.
     *
     * @param module name of the module that did it
     * @param kind what it is, such as {@code chrdev}
     * @param name its name among its kind
     * @param value what it stands for
     */
    public record Registration(String module, String kind, String name, Object value) {}

    private record Key(String kind, String name) {}

    private final Map<Key, Registration> registrations = new LinkedHashMap<>();

    Registry() {}

    /**
     * Registers something.
     *
     * @param module the module that does it
     * @param kind what it is, such as {@code chrdev}
     * @param name its name among its kind
     * @param value what it stands for
     * @return 0, or −EBUSY if the name is taken
     */
    public int register(Module module, String kind, String name, Object value) {
        Registration before =
                registrations.putIfAbsent(
                        new Key(kind, name), new Registration(module.name(), kind, name, value));
        return before == null ? 0 : -Errno.EBUSY.number();
    }

    /**
     * Takes a registration back.
     *
     * @param kind what it is, such as {@code chrdev}
     * @param name its name among its kind
     * @return whether there was one
     */
    public boolean unregister(String kind, String name) {
        return registrations.remove(new Key(kind, name)) != null;
    }

    /**
     * {@return the registration of that kind and name; empty if there is none}
     *
     * @param kind what it is, such as {@code chrdev}
     * @param name its name among its kind
     */
    public Optional<Registration> find(String kind, String name) {
        return Optional.ofNullable(registrations.get(new Key(kind, name)));
    }

    /** {@return all registrations, oldest first} */
    public List<Registration> all() {
        return List.copyOf(registrations.values());
    }

    /**
     * {@return the registrations of a module, oldest first}
     *
     * @param module name of the module
     */
    public List<Registration> of(String module) {
        return registrations.values().stream()
                .filter(entry -> entry.module().equals(module))
                .toList();
    }
}

package io.github.koloader.testkit;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Where a {@link Replay} finds what its recordings need, beyond what lies beside them.
 *
 * @param modules release directories ({@code lib/modules/RELEASE}), possibly none
 * @param symvers a {@code Module.symvers}: what the kernel exports, with CRCs
 * @param systemMap a {@code System.map}: addresses of the kernel's symbols
 * @param certificates X.509 certificates that the kernel trusts, DER or PEM
 * @param kernel the kernel itself, {@code vmlinuz} or {@code vmlinux}: what it has built in
 */
public record ReplayOptions(
        List<Path> modules,
        Optional<Path> symvers,
        Optional<Path> systemMap,
        List<Path> certificates,
        Optional<Path> kernel) {
    /**
     * Copies the lists.
     *
     * @param modules release directories
     * @param symvers a {@code Module.symvers}
     * @param systemMap a {@code System.map}
     * @param certificates X.509 certificates that the kernel trusts
     * @param kernel the kernel itself
     */
    public ReplayOptions {
        modules = List.copyOf(modules);
        certificates = List.copyOf(certificates);
    }

    /**
     * {@return options with release directories only}
     *
     * @param modules release directories
     */
    public static ReplayOptions of(List<Path> modules) {
        return new ReplayOptions(
                modules, Optional.empty(), Optional.empty(), List.of(), Optional.empty());
    }
}

/**
 * The Linux kernel's module loader outside the kernel: what {@code init_module(2)} does to a
 * module, in a simulated address space.
 */
module io.github.koloader {
    requires com.google.common;
    requires static transitive org.jspecify;

    exports io.github.koloader;
    exports io.github.koloader.arch;
    exports io.github.koloader.image;
    exports io.github.koloader.memory;

    uses io.github.koloader.arch.Architecture;
}

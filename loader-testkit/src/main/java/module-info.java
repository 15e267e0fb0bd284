/**
 * For tests of and with KoLoader: recordings of real kernels and their replay, generators of module
 * images, edits that break them.
 */
module io.github.koloader.testkit {
    requires transitive io.github.koloader.elf;
    requires com.google.gson;
    requires static transitive net.jqwik.api;
    requires static transitive org.junit.jupiter.api;
    requires static transitive org.jspecify;

    exports io.github.koloader.testkit;
}

/** The examples of the README and the javadoc as classes, each run by a test on the module path. */
module io.github.koloader.examples {
    requires io.github.koloader.elf;
    requires io.github.koloader.testkit;
    requires static net.jqwik.api;
}

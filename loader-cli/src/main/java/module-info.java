/** The {@code koloader} command. */
module io.github.koloader.cli {
    requires com.google.gson;
    requires info.picocli;
    requires io.github.koloader.elf;
    requires io.github.koloader.testkit;
    requires static org.jspecify;

    exports io.github.koloader.cli;

    opens io.github.koloader.cli to
            info.picocli;
}

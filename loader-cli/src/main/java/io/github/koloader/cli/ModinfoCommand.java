package io.github.koloader.cli;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.ModinfoText;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code koloader modinfo}: prints what kmod 30's {@code modinfo} prints. */
@Command(
        name = "modinfo",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Prints what module files say about themselves, as kmod's modinfo does.",
            "",
            "As there, a file counts as a module by its name: .ko, .ko.gz, .ko.xz or .ko.zst. What"
                    + " is",
            "installed in the running system is not searched. Of -F, -a, -d, -l, -p and -n the last"
                    + " counts.%n"
        },
        footer = {
            "",
            "Exit status: 0 done; 1 a file was not found or is no module; 2 wrong usage."
        })
final class ModinfoCommand implements Callable<Integer> {
    private static final List<String> EXTENSIONS = List.of(".ko", ".ko.gz", ".ko.xz", ".ko.zst");

    /** kmod looks at this many bytes to tell how a file is packed, and refuses a shorter one. */
    private static final int SHORTEST_FILE = 6;

    @ParentCommand private Main main;

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "Module files.")
    private List<String> files;

    private @Nullable String field;
    private char separator = '\n';

    @Option(
            names = {"-F", "--field"},
            paramLabel = "FIELD",
            description = "Print only the values of this field, one a line.")
    void field(String name) {
        field = name == null ? field : Output.bytesOf(name);
    }

    @Option(
            names = {"-0", "--null"},
            description = "End values with NUL instead of newline, and print field=value.")
    void nul(boolean on) {
        separator = on ? '\0' : separator;
    }

    @Option(
            names = {"-a", "--author"},
            description = "Print only the field author.")
    void author(boolean on) {
        field = on ? "author" : field;
    }

    @Option(
            names = {"-d", "--description"},
            description = "Print only the field description.")
    void description(boolean on) {
        field = on ? "description" : field;
    }

    @Option(
            names = {"-l", "--license"},
            description = "Print only the field license.")
    void license(boolean on) {
        field = on ? "license" : field;
    }

    @Option(
            names = {"-p", "--parameters"},
            description = "Print only the parameters.")
    void parameters(boolean on) {
        field = on ? "parm" : field;
    }

    @Option(
            names = {"-n", "--filename"},
            description = "Print only the absolute name of the file.")
    void filename(boolean on) {
        field = on ? "filename" : field;
    }

    @Override
    public Integer call() {
        int status = 0;
        for (String file : files) {
            status |= print(file);
        }
        return status;
    }

    private int print(String file) {
        Output output = main.output();
        Path path = modulePath(file);
        if (path == null) {
            output.error("modinfo: ERROR: Module " + Output.bytesOf(file) + " not found.");
            return 1;
        }
        String absolute =
                file.startsWith("/")
                        ? file
                        : Path.of("").toAbsolutePath() + "/" + file; // not normalised: as kmod
        if (field == null) {
            output.print(ModinfoText.filename(Output.bytesOf(absolute), separator));
        } else if (field.equals("filename")) {
            output.print(Output.bytesOf(absolute) + separator);
            return 0;
        }
        String problem;
        try {
            Bytes bytes = KoReader.any().unpackedBytes(path);
            if (bytes.size() < SHORTEST_FILE) {
                throw LoadException.silent(Errno.EINVAL, "too short");
            }
            print(ModinfoText.read(bytes));
            return 0;
        } catch (LoadException e) {
            problem = e.errno().text();
        } catch (IOException e) {
            problem = Main.reasonOf(e);
        }
        output.error(
                "modinfo: ERROR: could not get modinfo from '"
                        + Output.bytesOf(nameOf(path))
                        + "': "
                        + problem);
        return 1;
    }

    private void print(ModinfoText text) {
        Output output = main.output();
        if (field == null || field.equals("parm")) {
            for (String invalid : text.invalidParameters()) {
                output.error("modinfo: ERROR: Found invalid \"" + invalid + "\": missing ':'");
            }
        }
        output.print(field == null ? text.everything(separator) : text.field(field, separator));
    }

    /** The file, if it is one and named as modules are. */
    private static @Nullable Path modulePath(String file) {
        try {
            Path path = Path.of(file);
            boolean named =
                    EXTENSIONS.stream()
                            .anyMatch(end -> file.endsWith(end) && file.length() > end.length());
            return named && Files.isRegularFile(path) ? path : null;
        } catch (InvalidPathException e) {
            return null;
        }
    }

    /** The name of the module in a file of that name. */
    private static String nameOf(Path path) {
        String base = String.valueOf(path.getFileName());
        int dot = base.indexOf('.');
        return (dot < 0 ? base : base.substring(0, dot)).replace('-', '_');
    }
}

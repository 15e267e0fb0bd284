package io.github.koloader.cli;

import io.github.koloader.LoadException;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.ModuleImage;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Properties;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The {@code koloader} command; what it does is in its subcommands. */
@Command(
        name = "koloader",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Loads Linux kernel modules as the kernel does, in a simulated kernel: no root, no"
                    + " Linux needed.",
            "",
            "Modules may be packed (.ko.gz, .ko.xz, .ko.zst).%n"
        },
        commandListHeading = "%nCommands:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  Load a module with nothing else at hand, and see where everything went:",
            "    koloader insmod hello.ko",
            "  With parameters, a kernel that has just these exports, and the result as data:",
            "    koloader insmod --symvers Module.symvers --strict --json hello.ko debug=1 name=x",
            "  A module that needs the exports of another one:",
            "    koloader insmod --with exporter.ko importer.ko",
            "  Keep each section as it is in memory after relocation:",
            "    koloader insmod --dump out hello.ko",
            "  What the file says about itself:",
            "    koloader modinfo hello.ko.xz",
            "    koloader modinfo -F depends *.ko",
            "    koloader nm hello.ko",
            "    koloader relocs --section .text hello.ko",
            "  What a kernel calls at boot, in order, and as a picture with the times of a log:",
            "    koloader initcalls /boot/vmlinuz",
            "    koloader initcalls --log dmesg.txt --html boot.html /boot/vmlinuz",
            "    koloader diff-initcalls vmlinuz.old vmlinuz",
            "",
            "More about a command: koloader COMMAND --help",
            "",
            "Exit status: 0 done; 1 refused, different or failed; 2 wrong usage."
        },
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {
            InsmodCommand.class,
            RmmodCommand.class,
            ModinfoCommand.class,
            NmCommand.class,
            RelocsCommand.class,
            InitcallsCommand.class,
            KallsymsCommand.class,
            DiffInitcallsCommand.class,
            LoadTreeCommand.class,
            ReplayCommand.class
        })
public final class Main implements Runnable {
    private final Output output;

    @Spec private CommandSpec spec;

    private Main(Output output) {
        this.output = output;
    }

    /**
     * Runs the command and ends the process with its exit status.
     *
     * @param arguments the subcommand, its options and its arguments
     */
    public static void main(String[] arguments) {
        // Not System.out, which would encode what are bytes already, and flush every line.
        int status =
                run(
                        new FileOutputStream(FileDescriptor.out),
                        new FileOutputStream(FileDescriptor.err),
                        arguments);
        Runtime.getRuntime().halt(status); // nothing is left to be done: no hooks, no open files
    }

    /**
     * Runs the command.
     *
     * @param out standard output
     * @param err standard error
     * @param arguments the subcommand, its options and its arguments
     * @return its exit status: 0 done; 1 refused, different or failed; 2 wrong usage
     */
    public static int run(OutputStream out, OutputStream err, String... arguments) {
        Output output = new Output(out, err);
        int status =
                new CommandLine(new Main(output))
                        .setExpandAtFiles(false)
                        .setOut(output.outWriter())
                        .setErr(output.errWriter())
                        .setUsageHelpWidth(100)
                        .setUsageHelpLongOptionsMaxWidth(34)
                        .setParameterExceptionHandler(Main::wrongUsage)
                        .setExecutionExceptionHandler((e, line, result) -> failed(output, e))
                        .execute(arguments);
        try {
            output.flush();
        } catch (UncheckedIOException e) {
            return failed(output, e);
        }
        return status;
    }

    /** Without a subcommand there is nothing to do but to tell how it is done. */
    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "");
    }

    /** One line and where to read more; without any argument, the help itself. */
    private static int wrongUsage(ParameterException e, String[] arguments) {
        CommandLine line = e.getCommandLine();
        if (String.valueOf(e.getMessage()).isEmpty()) {
            line.usage(line.getErr());
        } else {
            line.getErr().println("koloader: ERROR: " + e.getMessage());
            line.getErr().println("Try: " + line.getCommandSpec().qualifiedName() + " --help");
        }
        return 2;
    }

    /** Where subcommands write. */
    Output output() {
        return output;
    }

    /** What went wrong, as one line; only a mistake of ours gets more. */
    private static int failed(Output output, Exception e) {
        if (e instanceof UncheckedIOException unwritten) {
            return outputFailed(output, unwritten);
        }
        if (e instanceof LoadException || e instanceof IOException) {
            output.error("koloader: ERROR: " + messageOf(e));
            return 1;
        }
        output.error("koloader: internal error, please report it: " + Output.bytesOf(e.toString()));
        for (StackTraceElement frame : e.getStackTrace()) {
            output.error("    at " + frame);
        }
        return 1;
    }

    private static int outputFailed(Output output, UncheckedIOException e) {
        IOException cause = e.getCause();
        String why = cause == null ? "unknown" : messageOf(cause);
        if (!why.contains("Broken pipe")) { // whoever closed the pipe has seen enough
            try {
                output.errorAlone("koloader: ERROR: cannot write: " + why);
            } catch (UncheckedIOException again) {
                return 1; // nor can we say so
            }
        }
        return 1;
    }

    /** Reads a module; what is wrong with it is said with the name of the file. */
    static ModuleImage read(Path file) throws IOException {
        try {
            return KoReader.read(file);
        } catch (FileSystemException e) {
            throw e; // names the file itself
        } catch (LoadException | IOException e) {
            throw new FileSystemException(file.toString(), null, Output.printable(messageOf(e)));
        }
    }

    /** The message of a failure on one line, one character a byte. */
    static String messageOf(Exception e) {
        if (e instanceof LoadException) {
            return String.valueOf(e.getMessage()).replace("\n", "; ");
        }
        if (e instanceof FileSystemException failure) {
            return Output.bytesOf(failure.getFile() + ": " + reasonOf(e));
        }
        return reasonOf(e);
    }

    /**
     * Why a file could not be read or written, in the words of {@code strerror(3)} where they are
     * known.
     */
    static String reasonOf(Exception e) {
        if (e instanceof NoSuchFileException) {
            return "No such file or directory";
        }
        if (e instanceof AccessDeniedException) {
            return "Permission denied";
        }
        if (e instanceof NotDirectoryException) {
            return "Not a directory";
        }
        String reason =
                e instanceof FileSystemException failure ? failure.getReason() : e.getMessage();
        return Output.bytesOf(
                reason == null ? e.getClass().getSimpleName() : reason.replace("\n", "; "));
    }

    /** The version that Maven has written into the jar. */
    static final class Version implements IVersionProvider {
        private static final String PROPERTIES =
                "/META-INF/maven/io.github.koloader/loader-cli/pom.properties";

        @Override
        public String[] getVersion() throws IOException {
            Properties properties = new Properties();
            try (InputStream input = Main.class.getResourceAsStream(PROPERTIES)) {
                if (input != null) {
                    properties.load(input);
                }
            }
            return new String[] {
                "koloader " + properties.getProperty("version", "(not from a jar)")
            };
        }
    }
}

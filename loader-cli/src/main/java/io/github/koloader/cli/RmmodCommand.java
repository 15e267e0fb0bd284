package io.github.koloader.cli;

import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.elf.SystemCalls;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code koloader rmmod}: loads modules and removes some of them again. */
@Command(
        name = "rmmod",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Loads modules into a kernel of their own and removes some of them, as rmmod does.",
            "",
            "Prints the kernel's log, and what rmmod says. A name may also be a module file's.%n"
        },
        footer = {
            "",
            "Example:",
            "  koloader rmmod --with exporter.ko --with importer.ko exporter",
            "",
            "Exit status: 0 removed; 1 refused, or a file could not be read (with --busybox the errno);",
            "2 wrong usage."
        })
final class RmmodCommand implements Callable<Integer> {
    @ParentCommand private Main main;

    @Parameters(arity = "1..*", paramLabel = "NAME", description = "The modules to remove.")
    private List<String> names = List.of();

    @Option(
            names = "--with",
            paramLabel = "FILE",
            required = true,
            description = "Load this module before; may be repeated, the first is loaded first.")
    private List<Path> files = List.of();

    @Mixin private KernelOptions kernelOptions;

    @Option(
            names = {"-f", "--force"},
            description = "Remove it even if it has no exit or is in use by something else.")
    private boolean force;

    @Option(
            names = "--busybox",
            description = "Report errors in busybox's words, and end with the errno.")
    private boolean busybox;

    private int status;

    @Override
    public Integer call() throws IOException {
        kernelOptions.readFiles();
        ToolWording wording = busybox ? ToolWording.BUSYBOX : ToolWording.KMOD;
        Optional<Kernel> kernel = load(wording);
        if (kernel.isPresent()) {
            for (String name : names) {
                boolean removed = remove(kernel.get(), moduleName(name), wording);
                if (!removed && busybox) {
                    break; // its applet stops at the first
                }
            }
        }
        return status;
    }

    /** The kernel with all the files loaded; empty if one of them was refused. */
    private Optional<Kernel> load(ToolWording wording) {
        Path current = files.get(0);
        try {
            Kernel kernel = Insertion.kernelFor(current, kernelOptions, (point, module) -> {});
            Insertion insertion = new Insertion(kernel, kernelOptions.calls(kernel), 0);
            for (Path file : files) {
                current = file;
                insertion.insert(file, "");
            }
            return Optional.of(kernel);
        } catch (LoadException e) {
            String file = Output.bytesOf(current.toString());
            failed(wording.notInserted(file, e.errnoNumber()), e, wording);
        } catch (IOException e) {
            String file = Output.bytesOf(current.toString());
            main.output().error(wording.notRead(file, Main.reasonOf(e)));
            status = 1;
        }
        return Optional.empty();
    }

    /** kmod's name of a module: that of its file without what follows the first dot. */
    private static String moduleName(String argument) {
        String base = argument.substring(argument.lastIndexOf('/') + 1);
        int dot = base.indexOf('.');
        return Output.bytesOf((dot < 0 ? base : base.substring(0, dot)).replace('-', '_'));
    }

    private boolean remove(Kernel kernel, String name, ToolWording wording) {
        if (!busybox && !force && refuses(kernel, name)) {
            status = 1;
            return false;
        }
        int before = kernel.log().entries().size();
        int flags = SystemCalls.O_NONBLOCK | (force ? SystemCalls.O_TRUNC : 0);
        SystemCalls.Result result = SystemCalls.of(kernel).deleteModule(name, flags);
        main.output().print(kernel.log().dmesg(before));
        if (result.ok()) {
            main.output().print(name + ": removed\n");
        }
        result.failure()
                .ifPresent(
                        e ->
                                failed(
                                        String.join(
                                                "\n", wording.notRemoved(name, e.errnoNumber())),
                                        e,
                                        wording));
        return result.ok();
    }

    /** kmod's own look, before it asks the kernel. */
    private boolean refuses(Kernel kernel, String name) {
        Optional<Module> module = kernel.module(name);
        String why = "";
        if (module.isEmpty()) {
            why = "Module " + name + " is not currently loaded";
        } else if (!module.get().users().isEmpty()) {
            why = "Module " + name + " is in use by: " + String.join(" ", module.get().users());
        } else if (module.get().referenceCount() > 0) {
            why = "Module " + name + " is in use";
        }
        if (!why.isEmpty()) {
            main.output().error("rmmod: ERROR: " + why);
        }
        return !why.isEmpty();
    }

    private void failed(String line, LoadException e, ToolWording wording) {
        status = Math.max(status, wording.status(e.errnoNumber()));
        main.output().error(line);
        main.output().error(Output.explained(e));
    }
}

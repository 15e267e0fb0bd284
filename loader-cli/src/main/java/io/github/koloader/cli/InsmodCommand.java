package io.github.koloader.cli;

import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver;
import io.github.koloader.Module;
import io.github.koloader.elf.SystemCalls;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code koloader insmod}: loads one module and shows what happened. */
@Command(
        name = "insmod",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Loads a module and shows what happened.",
            "",
            "Prints the kernel's log, where each section went, and what was resolved. The call of"
                    + " init",
            "is recorded and answered with 0: no machine code runs.",
            "",
            "By default the kernel is the one that the module was built for, and is permissive:"
                    + " what",
            "nobody exports gets an address of its own (a stub), so that a lone file loads.%n"
        },
        footer = {
            "",
            "Exit status: 0 loaded; 1 refused, or a file could not be read (with --busybox the errno);",
            "2 wrong usage."
        })
final class InsmodCommand implements Callable<Integer> {
    @ParentCommand private Main main;

    @Parameters(index = "0", paramLabel = "FILE", description = "The module; may be packed.")
    private Path file;

    @Parameters(
            index = "1..*",
            arity = "0..*",
            paramLabel = "name=value",
            description = "Parameters of the module. A name alone sets a flag.")
    private List<String> parameters = List.of();

    @Mixin private KernelOptions kernelOptions;

    @Option(
            names = {"-f", "--force"},
            description = "Ignore vermagic and CRCs: both of the next two.")
    private boolean force;

    @Option(names = "--force-vermagic", description = "Ignore the module's vermagic.")
    private boolean forceVermagic;

    @Option(names = "--force-modversion", description = "Ignore the module's CRCs.")
    private boolean forceModversion;

    @Option(
            names = "--busybox",
            description = "Report errors in busybox's words, and end with the errno.")
    private boolean busybox;

    @Option(
            names = "--with",
            paramLabel = "FILE",
            description = "Load this module before; may be repeated, the first is loaded first.")
    private List<Path> prerequisites = List.of();

    @Option(names = "--json", description = "Print one JSON object instead of text.")
    private boolean json;

    @Option(
            names = "--dump",
            paramLabel = "DIR",
            description = "Write each section as it is before init runs to a file named after it.")
    private @Nullable Path dump;

    @Option(
            names = "--cat",
            paramLabel = "PATH",
            description = {
                "Print a file as it is after the load: " + Views.PATHS + ".",
                "May be repeated."
            })
    private List<String> views = List.of();

    @Option(names = "--rmmod", description = "Unload the module again, which runs its exit.")
    private boolean unload;

    /** Sections as they are when the module is formed, if they are to be written. */
    private @Nullable SectionDump sections;

    private boolean prerequisitesLoaded;

    @Override
    public Integer call() throws IOException {
        kernelOptions.readFiles();
        sections = dump == null ? null : new SectionDump();
        LoadReport report = new LoadReport(file);
        ToolWording wording = busybox ? ToolWording.BUSYBOX : ToolWording.KMOD;
        int status = load(report, wording);
        if (sections != null && dump != null) {
            sections.write(dump);
        }
        Output output = main.output();
        if (json) {
            output.print(report.json());
        } else {
            output.print(report.text());
        }
        report.problems().forEach(output::error);
        report.failure().ifPresent(failure -> output.error(failure.message()));
        return status;
    }

    private int load(LoadReport report, ToolWording wording) {
        Path current = file;
        try {
            Kernel kernel = Insertion.kernelFor(file, kernelOptions, this::reached);
            report.kernel(kernel);
            Insertion insertion = new Insertion(kernel, kernelOptions.calls(kernel), flags());
            for (Path prerequisite : prerequisites) {
                current = prerequisite;
                insertion.insert(prerequisite, "");
            }
            current = file;
            prerequisitesLoaded = true;
            Module module = insertion.insert(file, arguments());
            report.module(module, kernel);
            views.forEach(view -> show(kernel, view, report));
            if (unload) {
                remove(kernel, module.name(), report, wording);
            }
        } catch (LoadException e) {
            report.refused(current, e, wording);
        } catch (IOException e) {
            report.unreadable(current, e, wording);
        }
        return report.failure()
                .map(LoadReport.Failure::status)
                .orElse(report.problems().isEmpty() ? 0 : 1);
    }

    private static void show(Kernel kernel, String path, LoadReport report) {
        try {
            report.view(path, Views.read(kernel, Output.bytesOf(path)));
        } catch (LoadException e) {
            report.unreadableView(path, ToolWording.strerror(e.errnoNumber()));
        } catch (IOException e) {
            report.unreadableView(path, Main.reasonOf(e));
        }
    }

    private static void remove(Kernel kernel, String name, LoadReport report, ToolWording wording) {
        try {
            kernel.unload(name);
            report.removed(name);
        } catch (LoadException e) {
            report.notRemoved(name, e, wording);
        }
    }

    private int flags() {
        return (force || forceModversion ? SystemCalls.MODULE_INIT_IGNORE_MODVERSIONS : 0)
                | (force || forceVermagic ? SystemCalls.MODULE_INIT_IGNORE_VERMAGIC : 0);
    }

    /** The words as one line, as kmod and busybox join them. */
    private String arguments() {
        return Output.bytesOf(String.join(" ", parameters));
    }

    private void reached(LoadObserver.Point point, Module module) {
        if (sections != null && prerequisitesLoaded && point == LoadObserver.Point.FORMED) {
            sections.take(module);
        }
    }
}

package io.github.koloader.cli;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.koloader.testkit.Difference;
import io.github.koloader.testkit.NotCompared;
import io.github.koloader.testkit.Replay;
import io.github.koloader.testkit.ReplayOptions;
import io.github.koloader.testkit.ReplayResult;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code koloader replay}: does again what was recorded of real kernels, and compares. */
@Command(
        name = "replay",
        description = {
            "Do again what a real kernel was recorded to do, and compare.",
            "",
            "A recording is a file of JSON lines (.jsonl or .jsonl.gz). Prints a line for each file, then each difference,"
                    + " and what was not compared, with the reason. What is compared, by kind of the records:",
            "  module (reloc-*): every address and byte of modules in memory after relocation; a difference is shown with"
                    + " the first differing byte and the relocation that covers it.",
            "  errno: system calls, case by case on a kernel with the taints recorded: errno of each step, every log line"
                    + " with its priority, what was read from /proc and /sys, the taints afterwards. Where the real kernel"
                    + " died, a refusal or a reported fault is right.",
            "  sysfs: modules loaded one after the other: errno, log, line of /proc/modules; then directories with modes and"
                    + " sizes, files, errors of reading, lines of /proc/kallsyms; then two attempts to remove each.",
            "  initcall: a boot with initcall_debug: which functions were called, in which order and by which thread, how they"
                    + " are named; lines about init memory; lines of /proc/kallsyms. Each is counted.",
            "  others: single relocations (vectors), what a loader plans before layout, the veneers that it makes.",
            "",
            "No machine code is run. The small modules of recordings are modelled: what they print is read from their"
                    + " memory as the loader has made it. Of other modules' code (drivers), the result and the lines that are"
                    + " not the loader's are taken from the recording, and named as not compared; so are dumps of a real"
                    + " processor's registers and stack, references that code holds, directories that code makes.",
            "",
            "What the recorded kernel is and exports is found in this order, and printed with --sources:",
            "  module files: in any .zip beside the recording, by SHA-256; below --modules.",
            "  vermagic, size of struct module: modules in own-*.zip beside the recording.",
            "  exports with CRC, licence, namespace: --symvers; Module.symvers in RELEASE_DIR or its build/, or in"
                    + " usr/src/linux-headers-RELEASE of the tree that has lib/modules; else CRCs that modules were built with.",
            "  addresses: --system-map; else relocation recordings of the same kernel beside this one.",
            "  certificates: --cert; else those in boot/vmlinuz-RELEASE of that tree. Without, cases with signed modules"
                    + " are not compared.",
            "  what is built in: --kernel; else boot/vmlinuz-RELEASE of that tree.",
            ""
        },
        footer = {
            "",
            "Exit code: 0 all identical, 1 something differs, is missing or cannot be read, 2 wrong usage.",
            "",
            "Example:",
            "  koloader replay reloc-x86_64.jsonl.gz --modules /lib/modules/6.1.0-50-amd64"
        },
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class)
final class ReplayCommand implements Callable<Integer> {
    @Parameters(paramLabel = "RECORDING", arity = "1..*", description = "Files to replay.")
    private List<Path> recordings = List.of();

    @Option(
            names = "--modules",
            paramLabel = "RELEASE_DIR",
            description =
                    "Where the recorded modules are: lib/modules/RELEASE of the package. May be given several times."
                            + " Modules in zip files beside a recording are found as well.")
    private List<Path> modules = List.of();

    @Option(
            names = "--symvers",
            paramLabel = "FILE",
            description = "Module.symvers of the recorded kernel: what it exports.")
    private Optional<Path> symvers = Optional.empty();

    @Option(
            names = "--system-map",
            paramLabel = "FILE",
            description = "System.map of the recorded kernel: addresses of its symbols.")
    private Optional<Path> systemMap = Optional.empty();

    @Option(
            names = "--cert",
            paramLabel = "FILE",
            description =
                    "Certificate that the recorded kernel trusts, PEM or DER. May be given several times.")
    private List<Path> certificates = List.of();

    @Option(
            names = "--kernel",
            paramLabel = "FILE",
            description = "vmlinuz or vmlinux of the recorded kernel: what it has built in.")
    private Optional<Path> kernel = Optional.empty();

    @Option(names = "--sources", description = "Print where what is known of the kernel is from.")
    private boolean sources;

    @Option(names = "--json", description = "Print one JSON object a file.")
    private boolean json;

    @Spec private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        Replay replay =
                new Replay(new ReplayOptions(modules, symvers, systemMap, certificates, kernel));
        int exitCode = 0;
        for (Path recording : recordings) {
            try {
                ReplayResult result = replay.run(recording);
                out.println(json ? toJson(result) : toText(result));
                exitCode = Math.max(exitCode, result.passed() ? 0 : 1);
            } catch (IOException e) {
                spec.commandLine().getErr().println("koloader: ERROR: " + Main.messageOf(e));
                exitCode = 1;
            }
            out.flush();
        }
        return exitCode;
    }

    private String toText(ReplayResult result) {
        StringBuilder text = new StringBuilder(result.toString());
        result.missing().forEach(missing -> text.append("\n  missing: ").append(missing));
        result.differences().forEach(difference -> text.append("\n  ").append(difference));
        result.notCompared().forEach(left -> text.append("\n  not compared: ").append(left));
        if (sources) {
            result.sources().forEach(source -> text.append("\n  source: ").append(source));
        }
        return text.toString();
    }

    private static String toJson(ReplayResult result) {
        JsonObject json = new JsonObject();
        json.addProperty("file", result.file());
        json.addProperty("kind", result.kind());
        json.addProperty("arch", result.architecture());
        json.addProperty("compared", result.compared());
        json.addProperty("identical", result.identical());
        json.addProperty("different", result.different());
        json.addProperty("missing", result.missing().size());
        JsonArray missing = new JsonArray();
        result.missing().forEach(missing::add);
        json.add("missing_files", missing);
        JsonArray differences = new JsonArray();
        for (Difference difference : result.differences()) {
            JsonObject entry = new JsonObject();
            entry.addProperty("subject", difference.subject());
            entry.addProperty("what", difference.what());
            entry.addProperty("recorded", difference.recorded());
            entry.addProperty("found", difference.found());
            entry.addProperty("detail", difference.detail());
            differences.add(entry);
        }
        json.add("differences", differences);
        JsonArray notCompared = new JsonArray();
        for (NotCompared left : result.notCompared()) {
            JsonObject entry = new JsonObject();
            entry.addProperty("subject", left.subject());
            entry.addProperty("what", left.what());
            entry.addProperty("reason", left.reason());
            notCompared.add(entry);
        }
        json.add("not_compared", notCompared);
        JsonArray sources = new JsonArray();
        result.sources().forEach(sources::add);
        json.add("sources", sources);
        return new GsonBuilder().disableHtmlEscaping().create().toJson(json);
    }
}

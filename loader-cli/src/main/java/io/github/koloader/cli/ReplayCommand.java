package io.github.koloader.cli;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.koloader.testkit.Difference;
import io.github.koloader.testkit.Replay;
import io.github.koloader.testkit.ReplayResult;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
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
            "Load what a real kernel was recorded to load, and compare every address and byte.",
            "",
            "A recording is a file of JSON lines (.jsonl or .jsonl.gz): modules in memory after relocation, single"
                    + " relocations (vectors), what a loader plans before layout, or the veneers that it makes. Prints a line for each file, and each difference with the first"
                    + " differing byte and the relocation that covers it.",
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
                            + " Modules in own-*.zip beside a recording are found as well.")
    private List<Path> modules = List.of();

    @Option(names = "--json", description = "Print one JSON object a file.")
    private boolean json;

    @Spec private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        Replay replay = new Replay(modules);
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

    private static String toText(ReplayResult result) {
        StringBuilder text = new StringBuilder(result.toString());
        result.missing().forEach(missing -> text.append("\n  missing: ").append(missing));
        result.differences().forEach(difference -> text.append("\n  ").append(difference));
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
        return new GsonBuilder().disableHtmlEscaping().create().toJson(json);
    }
}

package io.github.koloader.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.koloader.Initcall;
import io.github.koloader.InitcallDiff;
import io.github.koloader.InitcallDiff.Change;
import io.github.koloader.InitcallDiff.Kind;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code koloader diff-initcalls}: tells what changed in boot order between two kernels. */
@Command(
        name = "diff-initcalls",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Tells what changed in the order of initcalls between two kernels.",
            "",
            "As few changes as possible: removed, added, run at another level, or moved among those"
                    + " that",
            "stayed; from and to are the places that the command initcalls prints. Functions of the"
                    + " same",
            "name are told apart by their modules, where both files name these.%n"
        },
        footer = {
            "",
            "--json prints one object: unchanged (a count) and changes (change, level_from,"
                    + " level_to, from,",
            "to, function, module, behind).",
            "",
            "Exit status: 0 the same; 1 different, or a file could not be read or has no initcalls;",
            "2 wrong usage."
        })
final class DiffInitcallsCommand implements Callable<Integer> {
    @ParentCommand private Main main;

    @Parameters(
            index = "0",
            paramLabel = "A",
            description = "The first kernel, or its System.map, as for initcalls.")
    private Path first;

    @Parameters(index = "1", paramLabel = "B", description = "The second one.")
    private Path second;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        KernelFile one = kernel(first);
        KernelFile other = kernel(second);
        boolean forms = one.formsKnown() && other.formsKnown();
        List<Initcall> before = forms ? one.initcalls() : plain(one.initcalls());
        List<Initcall> after = forms ? other.initcalls() : plain(other.initcalls());
        InitcallDiff diff = InitcallDiff.between(before, after);
        main.output().print(json ? Output.utf8(toJson(diff, after)) : toText(diff, after));
        return diff.isEmpty() ? 0 : 1;
    }

    /** Where one kernel does not tell forms, those of the other are no difference. */
    private static List<Initcall> plain(List<Initcall> initcalls) {
        return initcalls.stream()
                .map(
                        call ->
                                new Initcall(
                                        call.level().plain(),
                                        call.function(),
                                        call.name(),
                                        call.module()))
                .toList();
    }

    private KernelFile kernel(Path file) throws IOException {
        KernelFile kernel = KernelFile.read(file);
        kernel.tellUnknown(main.output(), InitcallsCommand.ELSEWHERE);
        if (kernel.initcalls().isEmpty()) {
            throw KernelFile.named(file, new IOException("no initcalls found"));
        }
        return kernel;
    }

    private static String toText(InitcallDiff diff, List<Initcall> after) {
        StringBuilder text = new StringBuilder();
        if (!diff.isEmpty()) {
            Columns table = new Columns("<<>><<<");
            table.row("change", "level", "from", "to", "function", "module", "behind");
            for (Change change : diff.changes()) {
                table.row(
                        word(change.kind()),
                        levels(change),
                        place(change.from()),
                        place(change.to()),
                        title(change.initcall()),
                        change.initcall().module().orElse("-"),
                        behind(change, after).map(DiffInitcallsCommand::title).orElse(""));
            }
            text.append(table).append('\n');
        }
        text.append(diff.unchanged()).append(" unchanged");
        for (Kind kind : Kind.values()) {
            long count = diff.changes().stream().filter(change -> change.kind() == kind).count();
            text.append(", ").append(count).append(' ').append(inWords(kind));
        }
        return text.append('\n').toString();
    }

    private static String title(Initcall initcall) {
        return initcall.name().isEmpty() ? initcall.title() : initcall.sourceName();
    }

    private static String place(int index) {
        return index < 0 ? "-" : Integer.toString(index + 1);
    }

    private static String levels(Change change) {
        String from = change.before().map(call -> call.level().id()).orElse("");
        String to = change.after().map(call -> call.level().id()).orElse("");
        return change.kind() == Kind.LEVEL ? from + " -> " + to : from.isEmpty() ? to : from;
    }

    /** The one that the second kernel runs before. */
    private static Optional<Initcall> behind(Change change, List<Initcall> after) {
        return change.to() <= 0 ? Optional.empty() : Optional.of(after.get(change.to() - 1));
    }

    private static String word(Kind kind) {
        return kind.name().toLowerCase(Locale.ROOT);
    }

    private static String inWords(Kind kind) {
        return switch (kind) {
            case REMOVED -> "removed";
            case ADDED -> "added";
            case LEVEL -> "at another level";
            case ORDER -> "at another place";
        };
    }

    private static String toJson(InitcallDiff diff, List<Initcall> after) {
        JsonArray changes = new JsonArray();
        for (Change change : diff.changes()) {
            JsonObject object = new JsonObject();
            object.addProperty("change", word(change.kind()));
            change.before().ifPresent(call -> object.addProperty("level_from", call.level().id()));
            change.after().ifPresent(call -> object.addProperty("level_to", call.level().id()));
            if (change.from() >= 0) {
                object.addProperty("from", change.from() + 1);
            }
            if (change.to() >= 0) {
                object.addProperty("to", change.to() + 1);
            }
            object.addProperty("function", Output.decode(title(change.initcall())));
            change.initcall()
                    .module()
                    .ifPresent(name -> object.addProperty("module", Output.decode(name)));
            behind(change, after)
                    .ifPresent(call -> object.addProperty("behind", Output.decode(title(call))));
            changes.add(object);
        }
        JsonObject object = new JsonObject();
        object.addProperty("unchanged", diff.unchanged());
        object.add("changes", changes);
        return InitcallsCommand.GSON.toJson(object) + "\n";
    }
}

package io.github.koloader.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.koloader.InitcallLevel;
import io.github.koloader.InitcallLog;
import io.github.koloader.InitcallLog.Call;
import io.github.koloader.cli.BootOrder.Row;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** {@code koloader initcalls}: lists what a kernel calls at boot, in order. */
@Command(
        name = "initcalls",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Lists the functions that a kernel calls at boot, in running order.",
            "",
            "Level by level: its id, as in .initcall6s.init, and the pass that runs it; the"
                    + " function, the",
            "module whose code it is, and its address. What the file does not tell is a -; the"
                    + " reasons are",
            "on standard error.%n"
        },
        footer = {
            "",
            "--json prints one object: file, banner, architecture, initcalls (number, level, pass,"
                    + " function,",
            "module, address; with --log also logged, pid, called_at, usecs, result, blacklisted,"
                    + " complaint),",
            "levels (level, pass, calls; with --log also usecs, failed), other_calls (of the log"
                    + " only), unknown.",
            "",
            "Exit status: 0 done; 1 there are no initcalls, or a file could not be read; 2 wrong"
                    + " usage.",
            "",
            "Examples:",
            "  koloader initcalls /boot/vmlinuz",
            "  koloader initcalls --level device System.map",
            "  dmesg | koloader initcalls --log /dev/stdin --html boot.html /boot/vmlinuz"
        })
final class InitcallsCommand implements Callable<Integer> {
    static final Gson GSON = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

    /** What is not known of other things, and said by other commands and by {@code --json}. */
    static final String[] ELSEWHERE = {
        "Exports",
        "Init area",
        "Memory",
        "Parameters",
        "Options",
        "Version",
        "Vermagic",
        "Version and vermagic"
    };

    @ParentCommand private Main main;

    @Spec private CommandSpec spec;

    @Parameters(
            paramLabel = "FILE",
            description =
                    "The kernel: vmlinux, vmlinuz, bzImage, Image, zImage; or its System.map, or a"
                            + " copy of its /proc/kallsyms as root sees it.")
    private Path file;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Option(
            names = "--html",
            paramLabel = "OUT",
            description = "Also write a picture of the boot order to this file, for a browser.")
    private @Nullable Path html;

    @Option(
            names = "--log",
            paramLabel = "DMESG",
            description =
                    "Log of a boot of this kernel with initcall_debug: adds times and results.")
    private @Nullable Path log;

    @Option(
            names = "--level",
            paramLabel = "NAME",
            description =
                    "Only those of a level: its id (6s), its pass (device: 6 and 6s), or its macro"
                            + " (late_initcall).")
    private @Nullable String level;

    @Override
    public Integer call() throws IOException {
        Set<InitcallLevel> levels = levels();
        KernelFile kernel = KernelFile.read(file);
        BootOrder order = BootOrder.of(kernel.initcalls(), readLog());
        if (kernel.initcalls().isEmpty()) {
            kernel.tellUnknown(main.output(), ELSEWHERE);
            main.output()
                    .error("koloader: ERROR: " + Output.bytesOf(file + ": no initcalls found"));
            return 1;
        }
        if (html != null) {
            Files.writeString(html, BootPicture.of(kernel, order));
        }
        List<Row> rows =
                order.rows().stream()
                        .filter(row -> levels.contains(row.initcall().level()))
                        .toList();
        BootOrder shown = new BootOrder(rows, order.others(), order.logged());
        main.output().print(json ? Output.utf8(toJson(kernel, shown)) : toText(kernel, shown));
        if (!json) {
            kernel.tellUnknown(main.output(), ELSEWHERE);
            tellUnlogged(order);
        }
        return 0;
    }

    private Optional<InitcallLog> readLog() throws IOException {
        if (log == null) {
            return Optional.empty();
        }
        InitcallLog read = InitcallLog.read(log);
        if (read.calls().isEmpty()) {
            main.output()
                    .error(
                            "koloader: "
                                    + Output.bytesOf(log.toString())
                                    + ": no lines of initcall_debug");
        }
        return Optional.of(read);
    }

    private void tellUnlogged(BootOrder order) {
        if (order.logged()) {
            long missing = order.rows().stream().filter(row -> row.call().isEmpty()).count();
            if (missing > 0) {
                main.output().error("koloader: " + missing + " initcalls are not in the log");
            }
            if (!order.others().isEmpty()) {
                main.output()
                        .error(
                                "koloader: "
                                        + order.others().size()
                                        + " calls in the log are of none of them, such as those of"
                                        + " loaded modules");
            }
        }
    }

    private Set<InitcallLevel> levels() {
        Set<InitcallLevel> levels = EnumSet.allOf(InitcallLevel.class);
        String wanted = level;
        if (wanted != null) {
            Optional<InitcallLevel> one =
                    InitcallLevel.ofId(wanted).or(() -> InitcallLevel.ofMacro(wanted));
            levels.removeIf(
                    any -> one.isPresent() ? any != one.get() : !any.passName().equals(wanted));
            if (levels.isEmpty()) {
                throw new ParameterException(
                        spec.commandLine(),
                        "Invalid value for option '--level': "
                                + Output.printable(wanted)
                                + " is no id, pass or macro of a level; ids are "
                                + String.join(
                                        " ",
                                        Arrays.stream(InitcallLevel.values())
                                                .map(InitcallLevel::id)
                                                .toList()));
            }
        }
        return levels;
    }

    private static String toText(KernelFile kernel, BootOrder order) {
        boolean logged = order.logged();
        Columns table = new Columns(logged ? "><<>><<<" : "><<<<<");
        table.row(
                cells(
                        logged,
                        List.of("#", "level", ""),
                        List.of("usecs", "result"),
                        List.of("function", "module", "address")));
        String address = "%0" + 2 * kernel.wordSize() + "x";
        for (Row row : order.rows()) {
            var initcall = row.initcall();
            table.row(
                    cells(
                            logged,
                            List.of(
                                    Integer.toString(row.number()),
                                    initcall.level().id(),
                                    initcall.level().passName()),
                            List.of(
                                    row.call().flatMap(call -> boxed(call.duration())).orElse("-"),
                                    result(row.call())),
                            List.of(
                                    initcall.name().isEmpty() ? "-" : initcall.sourceName(),
                                    initcall.module().orElse("-"),
                                    initcall.function().isNull()
                                            ? "-"
                                            : address.formatted(initcall.function().value()))));
        }
        return table + "\n" + counts(order);
    }

    private static String[] cells(
            boolean logged, List<String> left, List<String> times, List<String> right) {
        List<String> cells = new ArrayList<>(left);
        cells.addAll(logged ? times : List.of());
        cells.addAll(right);
        return cells.toArray(String[]::new);
    }

    private static Optional<String> boxed(java.util.OptionalLong number) {
        return number.isPresent()
                ? Optional.of(Long.toString(number.getAsLong()))
                : Optional.empty();
    }

    /** What the log tells of the end of a call, in a word. */
    private static String result(Optional<Call> logged) {
        if (logged.isEmpty()) {
            return "-";
        }
        Call call = logged.get();
        if (call.blacklisted()) {
            return "blacklisted";
        }
        return call.result().isPresent() ? Integer.toString(call.result().getAsInt()) : "none";
    }

    private static String counts(BootOrder order) {
        Columns table = new Columns(order.logged() ? "<<>>>" : "<<>");
        table.row(
                cells(
                        order.logged(),
                        List.of("level", "", "calls"),
                        List.of("usecs", "failed"),
                        List.of()));
        for (InitcallLevel level : InitcallLevel.values()) {
            List<Row> rows = order.rowsOf(level);
            if (!rows.isEmpty()) {
                count(table, level.id(), level.passName(), rows, order.logged());
            }
        }
        count(table, "all", "", order.rows(), order.logged());
        return table.toString();
    }

    private static void count(
            Columns table, String id, String pass, List<Row> rows, boolean logged) {
        long failed = rows.stream().filter(Row::failed).count();
        table.row(
                cells(
                        logged,
                        List.of(id, pass, Integer.toString(rows.size())),
                        List.of(Long.toString(BootOrder.duration(rows)), Long.toString(failed)),
                        List.of()));
    }

    private static String toJson(KernelFile kernel, BootOrder order) {
        JsonObject object = new JsonObject();
        object.addProperty("file", kernel.file().toString());
        kernel.banner().ifPresent(text -> object.addProperty("banner", Output.decode(text)));
        kernel.architecture().ifPresent(name -> object.addProperty("architecture", name));
        JsonArray initcalls = new JsonArray();
        order.rows().forEach(row -> initcalls.add(toJson(row, order.logged())));
        object.add("initcalls", initcalls);
        JsonArray levels = new JsonArray();
        for (InitcallLevel level : InitcallLevel.values()) {
            List<Row> rows = order.rowsOf(level);
            if (!rows.isEmpty()) {
                JsonObject counted = new JsonObject();
                counted.addProperty("level", level.id());
                counted.addProperty("pass", level.passName());
                counted.addProperty("calls", rows.size());
                if (order.logged()) {
                    counted.addProperty("usecs", BootOrder.duration(rows));
                    counted.addProperty("failed", rows.stream().filter(Row::failed).count());
                }
                levels.add(counted);
            }
        }
        object.add("levels", levels);
        if (order.logged()) {
            JsonArray others = new JsonArray();
            for (Call call : order.others()) {
                JsonObject other = new JsonObject();
                other.addProperty("function", Output.decode(call.function()));
                call.module().ifPresent(name -> other.addProperty("module", Output.decode(name)));
                addCall(other, call);
                others.add(other);
            }
            object.add("other_calls", others);
        }
        JsonArray unknown = new JsonArray();
        kernel.unknown().forEach(unknown::add);
        object.add("unknown", unknown);
        return GSON.toJson(object) + "\n";
    }

    private static JsonObject toJson(Row row, boolean logged) {
        var initcall = row.initcall();
        JsonObject object = new JsonObject();
        object.addProperty("number", row.number());
        object.addProperty("level", initcall.level().id());
        object.addProperty("pass", initcall.level().passName());
        if (!initcall.name().isEmpty()) {
            object.addProperty("function", Output.decode(initcall.sourceName()));
        }
        initcall.module().ifPresent(name -> object.addProperty("module", Output.decode(name)));
        if (!initcall.function().isNull()) {
            object.addProperty("address", initcall.function().toString());
        }
        if (logged) {
            object.addProperty("logged", row.call().isPresent());
            row.call().ifPresent(call -> addCall(object, call));
        }
        return object;
    }

    private static void addCall(JsonObject object, Call call) {
        call.pid().ifPresent(pid -> object.addProperty("pid", pid));
        call.calledAt().ifPresent(time -> object.addProperty("called_at", time));
        call.duration().ifPresent(time -> object.addProperty("usecs", time));
        call.result().ifPresent(result -> object.addProperty("result", result));
        if (call.blacklisted()) {
            object.addProperty("blacklisted", true);
        }
        if (!call.complaint().isEmpty()) {
            object.addProperty("complaint", Output.decode(call.complaint()));
        }
    }
}

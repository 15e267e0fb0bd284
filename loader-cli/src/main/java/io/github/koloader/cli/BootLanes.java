package io.github.koloader.cli;

import static io.github.koloader.cli.PictureText.readable;
import static io.github.koloader.cli.PictureText.seconds;
import static io.github.koloader.cli.PictureText.time;

import io.github.koloader.Errno;
import io.github.koloader.Initcall;
import io.github.koloader.InitcallLevel;
import io.github.koloader.InitcallLog.Call;
import io.github.koloader.cli.BootOrder.Row;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/** What a picture of a boot shows: a lane for each level, in it its calls in order. */
final class BootLanes {
    private BootLanes() {}

    /**
     * What is shown of a call.
     *
     * @param id of its element
     * @param name what it is called
     * @param tip all that is known of it
     * @param call what the log tells of it
     */
    record Block(String id, String name, String tip, Optional<Call> call) {
        long duration() {
            return call.map(logged -> logged.duration().orElse(0)).orElse(0L);
        }

        double linear() {
            return (double) duration();
        }

        double logarithm() {
            return Math.log1p(linear());
        }
    }

    /**
     * A lane.
     *
     * @param id of its element
     * @param mark id of the level, in large letters
     * @param name name of its pass
     * @param parts its calls by level, plain before sync
     */
    record Lane(String id, String mark, String name, List<Part> parts) {
        List<Block> blocks() {
            return parts.stream().flatMap(part -> part.blocks().stream()).toList();
        }

        double sum(ToDoubleFunction<Block> width) {
            return blocks().stream().mapToDouble(width).sum();
        }
    }

    /** Calls of a lane that belong together, with a heading if there are others. */
    record Part(String heading, List<Block> blocks) {}

    /** The lanes of a boot, in running order; those without calls are left out. */
    static List<Lane> of(BootOrder order) {
        List<Lane> lanes = new ArrayList<>();
        List<String> passes =
                Arrays.stream(InitcallLevel.values())
                        .map(InitcallLevel::passName)
                        .distinct()
                        .toList();
        for (String pass : passes) {
            List<Part> parts = new ArrayList<>();
            for (InitcallLevel level : InitcallLevel.values()) {
                List<Row> rows = order.rowsOf(level);
                if (level.passName().equals(pass) && !rows.isEmpty()) {
                    parts.add(
                            new Part(
                                    level.id() + " · " + level.macroName(),
                                    rows.stream().map(BootLanes::block).toList()));
                }
            }
            if (!parts.isEmpty()) {
                lanes.add(new Lane("level-" + pass, mark(pass), pass, parts));
            }
        }
        List<Block> others = new ArrayList<>();
        for (Call call : order.others()) {
            others.add(block(call, others.size() + 1));
        }
        if (!others.isEmpty()) {
            lanes.add(
                    new Lane(
                            "others",
                            "ko",
                            "modules",
                            List.of(new Part("only in the log", others))));
        }
        return lanes;
    }

    private static String mark(String pass) {
        for (InitcallLevel level : InitcallLevel.values()) {
            if (level.passName().equals(pass)) {
                return level.number().isPresent()
                        ? Integer.toString(level.number().getAsInt())
                        : level.id();
            }
        }
        return pass;
    }

    private static Block block(Row row) {
        Initcall initcall = row.initcall();
        String name = initcall.name().isEmpty() ? initcall.title() : initcall.sourceName();
        StringBuilder tip = new StringBuilder();
        tip.append('#').append(row.number()).append(' ').append(readable(name));
        initcall.module().ifPresent(module -> tip.append(" · ").append(readable(module)));
        tip.append(" · ").append(initcall.level().macroName());
        if (!initcall.function().isNull()) {
            tip.append(" · ").append(initcall.function());
        }
        row.call().ifPresent(call -> addCall(tip, call));
        return new Block("c" + row.number(), readable(name), tip.toString(), row.call());
    }

    private static Block block(Call call, int number) {
        StringBuilder tip = new StringBuilder(readable(call.function()));
        call.module().ifPresent(module -> tip.append(" · ").append(readable(module)));
        addCall(tip, call);
        String name = readable(call.module().map(m -> m + ": ").orElse("") + call.function());
        return new Block("o" + number, name, tip.toString(), Optional.of(call));
    }

    private static void addCall(StringBuilder tip, Call call) {
        tip.append('\n').append(ending(call));
        call.pid().ifPresent(pid -> tip.append(" · pid ").append(pid));
        call.calledAt().ifPresent(time -> tip.append(" · at ").append(seconds(time)));
        if (!call.complaint().isEmpty()) {
            tip.append('\n').append(readable(call.complaint()));
        }
    }

    private static String ending(Call call) {
        if (call.blacklisted()) {
            return "blacklisted";
        }
        return call.result().isPresent()
                ? time((double) call.duration().orElse(0)) + " · returned " + result(call)
                : "did not return";
    }

    /** What a call returned; a negative errno with its name. */
    static String result(Call call) {
        int result = call.result().orElse(0);
        Errno errno = result < 0 && result > -4096 ? Errno.of(-result) : null;
        return errno == null ? Integer.toString(result) : result + " " + errno;
    }
}

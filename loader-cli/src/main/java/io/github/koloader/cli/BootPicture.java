package io.github.koloader.cli;

import static io.github.koloader.cli.PictureText.decimal;
import static io.github.koloader.cli.PictureText.escape;
import static io.github.koloader.cli.PictureText.grouped;
import static io.github.koloader.cli.PictureText.readable;
import static io.github.koloader.cli.PictureText.seconds;
import static io.github.koloader.cli.PictureText.time;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.koloader.InitcallLog.Call;
import io.github.koloader.cli.BootLanes.Block;
import io.github.koloader.cli.BootLanes.Lane;
import io.github.koloader.cli.BootLanes.Part;
import io.github.koloader.cli.BootOrder.Row;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;

/**
 * The boot order as one page of HTML that needs nothing else: a lane for each level, in it its
 * calls in order; with a log, blocks as wide as the calls took, and the slowest. It is complete
 * without its script, which only searches and points at what belongs together.
 *
 * <p>Names come out of files that may want to harm: all text goes through {@link
 * PictureText#escape}, and the page forbids the browser to load or run anything but its own style
 * and script.
 */
final class BootPicture {
    /** What a browser still shows well; the largest kernels have some 3,000. */
    private static final int MOST_CALLS = 20_000;

    private static final int SLOWEST = 20;
    private static final long[] HEAT = {10, 100, 1_000, 10_000, 100_000}; // microseconds
    private static final String[] HEAT_NAMES = {
        "< 10 µs", "< 100 µs", "< 1 ms", "< 10 ms", "< 100 ms", "slower"
    };

    private final KernelFile kernel;
    private final BootOrder order;
    private final List<Lane> lanes;
    private final StringBuilder html = new StringBuilder();

    private BootPicture(KernelFile kernel, BootOrder order) {
        this.kernel = kernel;
        this.order = order;
        this.lanes = BootLanes.of(order);
    }

    /**
     * Draws the picture.
     *
     * @throws IOException if there are too many calls for one
     */
    static String of(KernelFile kernel, BootOrder order) throws IOException {
        int calls = order.rows().size() + order.others().size();
        if (calls > MOST_CALLS) {
            throw new IOException(calls + " calls are too many for a picture");
        }
        BootPicture picture = new BootPicture(kernel, order);
        picture.draw();
        return picture.html.toString();
    }

    private void draw() throws IOException {
        String script = resource("boot-picture.js");
        String title = kernel.banner().map(BootPicture::release).orElse(fileName());
        html.append("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
        html.append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';")
                .append(" style-src 'unsafe-inline'; script-src 'sha256-")
                .append(digest(script))
                .append("'; base-uri 'none'; form-action 'none'\">\n");
        html.append(
                        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Boot order of ")
                .append(escape(readable(title)))
                .append("</title>\n<style>\n")
                .append(resource("boot-picture.css"))
                .append("</style>\n<body>\n");
        html.append("<h1>Boot order of ").append(escape(readable(title))).append("</h1>\n");
        html.append("<p class=\"sub\">")
                .append(escape(kernel.banner().map(PictureText::readable).orElse("")))
                .append("</p>\n");
        drawFacts();
        if (order.logged()) {
            drawWhole();
            drawSlowest();
        }
        drawBar();
        html.append("<main>\n");
        lanes.forEach(this::drawLane);
        html.append("</main>\n");
        drawFooter();
        html.append("<script>").append(script).append("</script>\n</body>\n</html>\n");
    }

    /** The name of the file without its folders, one character a byte. */
    private String fileName() {
        Path name = kernel.file().getFileName();
        return Output.utf8((name == null ? kernel.file() : name).toString());
    }

    private void drawFacts() {
        html.append("<ul class=\"facts\">\n");
        fact(grouped(order.rows().size()), "initcalls", false);
        if (order.logged()) {
            List<Row> rows = order.rows();
            fact(time((double) BootOrder.duration(rows)), "in all of them", false);
            long failed = rows.stream().filter(Row::failed).count();
            fact(grouped(failed), "returned an error", failed > 0);
            long open = rows.stream().filter(BootPicture::neverReturned).count();
            if (open > 0) {
                fact(grouped(open), "did not return", true);
            }
            long missing = rows.stream().filter(row -> row.call().isEmpty()).count();
            if (missing > 0) {
                fact(grouped(missing), "not in the log", false);
            }
        }
        html.append("</ul>\n");
    }

    private static boolean neverReturned(Row row) {
        return row.call().map(call -> !call.blacklisted() && call.result().isEmpty()).orElse(false);
    }

    private void fact(String number, String what, boolean bad) {
        html.append(bad ? "<li class=\"bad\"><b>" : "<li><b>")
                .append(escape(number))
                .append("</b><span>")
                .append(escape(what))
                .append("</span>\n");
    }

    /** One bar of all levels. */
    private void drawWhole() {
        double all = lanes.stream().mapToDouble(lane -> lane.sum(Block::linear)).sum();
        html.append("<h2>Where the time goes</h2>\n<div class=\"whole\">\n");
        for (Lane lane : lanes) {
            double sum = lane.sum(Block::linear);
            if (sum > 0) {
                double share = 100 * sum / all;
                String text = lane.name() + " " + time(sum);
                html.append("<a href=\"#").append(lane.id()).append('"');
                html.append(share < 5 ? " class=\"slim\"" : "");
                html.append(" style=\"flex-grow:").append(decimal(share)).append('"');
                html.append(" title=\"").append(escape(text + ", " + decimal(share) + " %"));
                html.append("\">").append(escape(text)).append("</a>\n");
            }
        }
        html.append("</div>\n");
    }

    private void drawSlowest() {
        List<Block> blocks = lanes.stream().flatMap(lane -> lane.blocks().stream()).toList();
        double all = blocks.stream().mapToDouble(Block::linear).sum();
        List<Block> slowest =
                blocks.stream()
                        .filter(block -> block.duration() > 0)
                        .sorted(Comparator.comparingLong(Block::duration).reversed())
                        .limit(SLOWEST)
                        .toList();
        if (slowest.isEmpty()) {
            return;
        }
        html.append("<h2>The slowest ").append(slowest.size()).append("</h2>\n");
        html.append("<div class=\"scroll\"><table>\n<tr><th class=\"n\">#<th>function<th>level")
                .append("<th class=\"n\">time<th class=\"n\">share<th><th>returned\n");
        for (Block block : slowest) {
            Call call = block.call().orElseThrow();
            String number = block.id().startsWith("c") ? block.id().substring(1) : "";
            double width = 100.0 * block.duration() / slowest.get(0).duration();
            html.append("<tr><td class=\"n\">").append(number);
            html.append("<td class=\"f\"><a href=\"#").append(block.id()).append("\" title=\"");
            html.append(escape(block.tip())).append("\">").append(escape(block.name()));
            html.append("</a><td>").append(escape(laneOf(block)));
            html.append("<td class=\"n\">").append(escape(time(block.linear())));
            html.append("<td class=\"n\">").append(decimal(100 * block.duration() / all));
            html.append(" %<td class=\"w\"><i class=\"h").append(heat(block.duration()));
            html.append("\" style=\"width:").append(decimal(width)).append("%\"></i>");
            html.append(call.failed() ? "<td class=\"bad\">" : "<td>");
            html.append(escape(BootLanes.result(call))).append('\n');
        }
        html.append("</table></div>\n");
    }

    private String laneOf(Block block) {
        for (Lane lane : lanes) {
            if (lane.blocks().contains(block)) {
                return lane.mark().equals(lane.name())
                        ? lane.name()
                        : lane.mark() + " " + lane.name();
            }
        }
        return "";
    }

    private void drawBar() {
        if (order.logged()) {
            html.append(
                    """
                    <input class="pick" type="radio" name="scale" id="linear" checked>
                    <input class="pick" type="radio" name="scale" id="filled">
                    <input class="pick" type="radio" name="scale" id="logarithmic">
                    """);
        }
        html.append("<div class=\"bar\">\n");
        html.append(
                """
                <input class="script" id="search" type="search" placeholder="Search functions, modules, results  ( / )"
                 aria-label="Search">
                <span class="script" id="found" aria-live="polite"></span>
                """);
        if (order.logged()) {
            html.append(
                    """
                    <span class="scale">widths <label for="linear">to scale</label>
                    <label for="filled">level by level</label>
                    <label for="logarithmic">logarithmic</label></span>
                    """);
            html.append("<span class=\"key\">");
            for (int i = 0; i < HEAT_NAMES.length; i++) {
                html.append("<i class=\"h").append(i).append("\">");
                html.append(escape(HEAT_NAMES[i])).append("</i> ");
            }
            html.append("<i class=\"f1\">error</i> <i class=\"n0\">not in the log</i></span>\n");
        }
        html.append("</div>\n");
    }

    private void drawLane(Lane lane) {
        List<Block> blocks = lane.blocks();
        html.append("<section class=\"lane\" id=\"")
                .append(lane.id())
                .append("\">\n<header><h3><b>");
        html.append(escape(lane.mark())).append("</b>");
        html.append(lane.mark().equals(lane.name()) ? "" : escape(lane.name()));
        html.append("</h3>\n<p>").append(grouped(blocks.size()));
        html.append(blocks.size() == 1 ? " call" : " calls");
        if (order.logged()) {
            html.append("<p>").append(escape(time(lane.sum(Block::linear))));
            blocks.stream()
                    .flatMap(block -> block.call().stream())
                    .filter(call -> call.calledAt().isPresent())
                    .findFirst()
                    .ifPresent(
                            call ->
                                    html.append("<p>from ")
                                            .append(seconds(call.calledAt().orElse(0))));
        }
        html.append("</header>\n<div>\n");
        drawStrip(lane);
        html.append("<ol>\n");
        for (Part part : lane.parts()) {
            if (lane.parts().size() > 1 || lane.id().equals("others")) {
                html.append("<li class=\"part\">").append(escape(part.heading())).append('\n');
            }
            part.blocks().forEach(this::drawCall);
        }
        html.append("</ol>\n</div>\n</section>\n");
    }

    /** Blocks as wide as calls took; those of all lanes have the same scale. */
    private void drawStrip(Lane lane) {
        double linear = lane.sum(Block::linear);
        if (linear == 0) {
            return;
        }
        double widest = lanes.stream().mapToDouble(any -> any.sum(Block::linear)).max().orElse(1);
        double widestLog =
                lanes.stream().mapToDouble(any -> any.sum(Block::logarithm)).max().orElse(1);
        html.append("<div class=\"strip\" style=\"--a:").append(decimal(100 * linear / widest));
        html.append("%;--b:").append(decimal(100 * lane.sum(Block::logarithm) / widestLog));
        html.append("%\">\n");
        for (Block block : lane.blocks()) {
            if (block.duration() > 0) {
                html.append("<a href=\"#").append(block.id()).append("\" class=\"h");
                html.append(heat(block.duration())).append("\" style=\"--t:");
                html.append(block.duration()).append(";--l:").append(decimal(block.logarithm()));
                html.append("\" title=\"").append(escape(block.name())).append(' ');
                html.append(escape(time(block.linear()))).append("\"></a>\n");
            }
        }
        html.append("</div>\n");
    }

    private void drawCall(Block block) {
        html.append("<li id=\"").append(block.id()).append('"');
        String look = look(block);
        html.append(look.isEmpty() ? "" : " class=\"" + look + "\"");
        html.append(" title=\"").append(escape(block.tip())).append("\">");
        html.append(escape(block.name()));
        String label = block.call().map(BootPicture::label).orElse("");
        html.append(label.isEmpty() ? "" : " <b>" + escape(label) + "</b>").append('\n');
    }

    private String look(Block block) {
        if (!order.logged()) {
            return "";
        }
        if (block.call().isEmpty()) {
            return "n0";
        }
        Call call = block.call().get();
        boolean bad = call.result().isEmpty() || call.failed() || !call.complaint().isEmpty();
        return "h" + heat(block.duration()) + (bad ? " f1" : "");
    }

    private static String label(Call call) {
        if (call.blacklisted()) {
            return "blacklisted";
        }
        if (call.result().isEmpty()) {
            return "did not return";
        }
        long duration = call.duration().orElse(0);
        String text = duration < HEAT[1] ? "" : time((double) duration);
        if (call.failed()) {
            text += (text.isEmpty() ? "" : ", ") + BootLanes.result(call);
        }
        if (!call.complaint().isEmpty()) {
            text += (text.isEmpty() ? "" : ", ") + readable(call.complaint());
        }
        return text;
    }

    private void drawFooter() {
        html.append("<footer>\n");
        if (!order.logged()) {
            html.append(
                    "<p>Boot this kernel with <code>initcall_debug ignore_loglevel"
                            + " log_buf_len=16M</code>, and give the log to <code>koloader"
                            + " initcalls --log</code>, to see times and results.\n");
        }
        for (String sentence : kernel.unknown()) {
            html.append("<p>Not known: ").append(escape(readable(sentence))).append('\n');
        }
        html.append("</footer>\n");
    }

    private static int heat(long microseconds) {
        int heat = 0;
        while (heat < HEAT.length && microseconds >= HEAT[heat]) {
            heat++;
        }
        return heat;
    }

    /** The release in a version line. */
    private static String release(String banner) {
        String[] words = banner.split(" ", 4);
        return words.length > 2 ? words[2] : banner;
    }

    private static String resource(String name) throws IOException {
        try (InputStream input =
                Objects.requireNonNull(BootPicture.class.getResourceAsStream(name), name)) {
            return new String(input.readAllBytes(), UTF_8);
        }
    }

    private static String digest(String script) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(script.getBytes(UTF_8));
            return Base64.getEncoder().encodeToString(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java has it
        }
    }
}

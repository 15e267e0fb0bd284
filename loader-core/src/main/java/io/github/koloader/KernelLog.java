package io.github.koloader;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * The kernel's log. Belongs to its kernel's thread.
 *
 * <p>Text is kept one character a byte, as the kernel has it. {@link #printk} takes Java text and
 * stores its UTF-8 bytes.
 */
public final class KernelLog {
    /**
     * A line with its time.
     *
     * @param line what was logged
     * @param time since the kernel came up
     */
    public record Entry(LogLine line, Duration time) {}

    /** Lines that are kept; beyond that the oldest are dropped, as a kernel's ring buffer does. */
    public static final int LIMIT = 1 << 18;

    private final Clock clock;
    private final Instant start;
    private final int lineLimit;
    private final List<Entry> entries = new ArrayList<>();
    private long added;

    /**
     * An empty log; {@code clock} says how much time has passed since now.
     *
     * @param clock read now, and for each line
     */
    public KernelLog(Clock clock) {
        this(clock, LogLine.LIMIT);
    }

    private KernelLog(Clock clock, int lineLimit) {
        this.clock = clock;
        this.start = clock.instant();
        this.lineLimit = lineLimit;
    }

    /** The log of that kernel: a record of old ones has less room. */
    static KernelLog of(KernelConfig config, Clock clock) {
        return new KernelLog(clock, config.atLeast(6, 3) ? LogLine.LIMIT : LogLine.LIMIT - 32);
    }

    /**
     * Adds a line.
     *
     * @param line what was logged
     */
    public void add(LogLine line) {
        if (entries.size() == LIMIT) {
            entries.subList(0, LIMIT / 8).clear();
        }
        added++;
        LogLine kept =
                line.text().length() <= lineLimit
                        ? line
                        : new LogLine(line.level(), line.text().substring(0, lineLimit));
        entries.add(new Entry(kept, uptime()));
    }

    /**
     * Adds lines.
     *
     * @param lines what was logged, oldest first
     */
    public void addAll(List<LogLine> lines) {
        lines.forEach(this::add);
    }

    /**
     * Adds a line as {@code printk()} does: a newline at its end is dropped.
     *
     * @param level its priority
     * @param text what it says, any Java text
     */
    public void printk(LogLevel level, String text) {
        String bytes = new String(text.getBytes(UTF_8), ISO_8859_1);
        add(
                new LogLine(
                        level,
                        bytes.endsWith("\n") ? bytes.substring(0, bytes.length() - 1) : bytes));
    }

    /** {@return time since the kernel came up, by its clock} */
    public Duration uptime() {
        return Duration.between(start, clock.instant());
    }

    /** {@return all entries, oldest first; a view} */
    public List<Entry> entries() {
        return Collections.unmodifiableList(entries);
    }

    /** {@return how many lines were ever added, those dropped or cleared since included} */
    public long added() {
        return added;
    }

    /**
     * {@return the lines added since there were {@code before} of them, oldest first, as far as
     * they are still there}
     *
     * @param before what {@link #added()} was
     */
    public List<LogLine> since(long before) {
        int kept = (int) Math.min(entries.size(), Math.max(0, added - before));
        return entries.subList(entries.size() - kept, entries.size()).stream()
                .map(Entry::line)
                .toList();
    }

    /** {@return the texts of all lines, oldest first} */
    public List<String> lines() {
        return entries.stream().map(entry -> entry.line().text()).toList();
    }

    /**
     * {@return the log as {@code dmesg} prints it: {@code [ 0.000123] text}, one line each, with
     * seconds since start}
     */
    public String dmesg() {
        return dmesg(0);
    }

    /**
     * {@return the log as {@link #dmesg()} gives it, from the entry of index {@code from} on}
     *
     * @param from index in {@link #entries()}, at most their number
     */
    public String dmesg(int from) {
        StringBuilder text = new StringBuilder();
        for (Entry entry : entries.subList(from, entries.size())) {
            String stamp = stamp(entry);
            for (String line : entry.line().text().split("\n", -1)) {
                text.append(stamp).append(line).append('\n');
            }
        }
        return text.toString();
    }

    private static String stamp(Entry entry) {
        long micros = entry.time().toNanos() / 1000;
        return String.format(Locale.ROOT, "[%5d.%06d] ", micros / 1_000_000, micros % 1_000_000);
    }

    /**
     * {@return the log as {@code dmesg --raw} prints it: {@link #dmesg()} with the number of the
     * line's level before each line, {@code <6>[ 0.000123] text}}
     */
    public String raw() {
        StringBuilder text = new StringBuilder();
        for (Entry entry : entries) {
            String prefix = "<" + entry.line().level().ordinal() + ">" + stamp(entry);
            for (String line : entry.line().text().split("\n", -1)) {
                text.append(prefix).append(line).append('\n');
            }
        }
        return text.toString();
    }

    /**
     * {@return the log as {@code /dev/kmsg} gives it: {@code level,number,microseconds,-;text}, one
     * line each} What is not a printable ASCII character, and the backslash, is written {@code
     * \xNN}; so is a newline within a text. Numbers count from the first line ever logged.
     */
    public String kmsg() {
        StringBuilder text = new StringBuilder();
        long number = added - entries.size();
        for (Entry entry : entries) {
            text.append(entry.line().level().ordinal()).append(',').append(number++).append(',');
            text.append(entry.time().toNanos() / 1000).append(",-;");
            String line = entry.line().text();
            for (int i = 0; i < line.length(); i++) {
                char next = line.charAt(i);
                if (next < ' ' || next >= 0x7f || next == '\\') {
                    text.append(String.format(Locale.ROOT, "\\x%02x", next & 0xff));
                } else {
                    text.append(next);
                }
            }
            text.append('\n');
        }
        return text.toString();
    }

    /** Forgets everything: {@code dmesg --clear}. */
    public void clear() {
        entries.clear();
    }
}

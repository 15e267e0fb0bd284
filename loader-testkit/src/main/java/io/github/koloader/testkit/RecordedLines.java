package io.github.koloader.testkit;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.LogLine;
import java.util.ArrayList;
import java.util.List;

/** Log lines of recordings, and ours in the same form. */
final class RecordedLines {
    /**
     * A line.
     *
     * @param priority 0 to 7
     * @param text as {@code /dev/kmsg} shows it
     */
    record Entry(int priority, String text) {
        @Override
        public String toString() {
            return "<" + priority + ">" + text;
        }
    }

    private RecordedLines() {}

    /** The field {@code dmesg} of a record; nothing if it is absent. */
    static List<Entry> of(JsonObject record) {
        List<Entry> lines = new ArrayList<>();
        if (record.has("dmesg")) {
            for (JsonElement element : record.getAsJsonArray("dmesg")) {
                JsonArray line = element.getAsJsonArray();
                lines.add(new Entry(line.get(0).getAsInt(), line.get(1).getAsString()));
            }
        }
        return lines;
    }

    /** Our lines. */
    static List<Entry> of(List<LogLine> log) {
        return log.stream()
                .map(line -> new Entry(line.level().ordinal(), DmesgText.escape(line.text())))
                .toList();
    }
}

package io.github.koloader.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A table of text: every column as wide as what is in it, but not wider than 40. */
final class Columns {
    private static final int WIDEST = 40;

    private final boolean[] right;
    private final List<String[]> rows = new ArrayList<>();

    /**
     * Begins a table.
     *
     * @param alignment for each column {@code <} or {@code >}
     */
    Columns(String alignment) {
        this.right = new boolean[alignment.length()];
        for (int i = 0; i < right.length; i++) {
            right[i] = alignment.charAt(i) == '>';
        }
    }

    /** Adds a row, with as many cells as there are columns. */
    void row(String... cells) {
        rows.add(Arrays.stream(cells).map(Output::printable).toArray(String[]::new));
    }

    /** The table, two blanks between columns and none at the ends of lines. */
    @Override
    public String toString() {
        int[] widths = new int[right.length];
        for (String[] row : rows) {
            for (int i = 0; i < row.length; i++) {
                widths[i] = Math.max(widths[i], Math.min(WIDEST, row[i].length()));
            }
        }
        StringBuilder text = new StringBuilder();
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < row.length; i++) {
                String pad = " ".repeat(Math.max(0, widths[i] - row[i].length()));
                line.append(i == 0 ? "" : "  ").append(right[i] ? pad + row[i] : row[i] + pad);
            }
            text.append(line.toString().stripTrailing()).append('\n');
        }
        return text.toString();
    }
}

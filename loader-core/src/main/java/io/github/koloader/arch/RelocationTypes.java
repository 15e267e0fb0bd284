package io.github.koloader.arch;

import static com.google.common.base.Preconditions.checkArgument;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The rows of an architecture, in its order, and found by number. */
public final class RelocationTypes extends AbstractList<RelocationType> {
    private final List<RelocationType> rows;
    private final @Nullable RelocationType[] byCode;

    private RelocationTypes(List<RelocationType> rows) {
        this.rows = rows;
        this.byCode =
                new RelocationType
                        [1 + rows.stream().mapToInt(RelocationType::code).max().orElse(-1)];
        for (RelocationType row : rows) {
            checkArgument(
                    byCode[row.code()] == null, "two rows for relocation type %s", row.code());
            byCode[row.code()] = row;
        }
    }

    /**
     * {@return a table of these rows}
     *
     * @param rows the rows, each with a number of its own
     * @throws IllegalArgumentException if two have the same number
     */
    public static RelocationTypes of(RelocationType... rows) {
        return new RelocationTypes(List.of(rows));
    }

    /**
     * {@return the row of that number, or {@code null} if the kernel refuses it}
     *
     * @param code number of the type; any number
     */
    public @Nullable RelocationType byCode(int code) {
        return code >= 0 && code < byCode.length ? byCode[code] : null;
    }

    /**
     * {@return these rows without some}
     *
     * @param codes numbers of the rows to leave out
     */
    RelocationTypes without(int... codes) {
        return new RelocationTypes(
                rows.stream()
                        .filter(row -> Arrays.stream(codes).noneMatch(code -> code == row.code()))
                        .toList());
    }

    @Override
    public RelocationType get(int index) {
        return rows.get(index);
    }

    @Override
    public int size() {
        return rows.size();
    }
}

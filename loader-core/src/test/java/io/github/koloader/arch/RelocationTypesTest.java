package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

final class RelocationTypesTest {
    private static final RelocationType NONE =
            new RelocationType(0, "NONE", Formula.NONE, DataField.NONE);
    private static final RelocationType WORD =
            new RelocationType(9, "WORD", Formula.ABSOLUTE, DataField.word(32));

    @Test
    void rowsAreFoundByNumber() {
        RelocationTypes rows = RelocationTypes.of(WORD, NONE);
        assertThat(rows.byCode(9)).isSameAs(WORD);
        assertThat(rows.byCode(0)).isSameAs(NONE);
    }

    @Test
    void numbersWithoutARowHaveNone() {
        RelocationTypes rows = RelocationTypes.of(WORD, NONE);
        for (int code : new int[] {1, 8, 10, Integer.MAX_VALUE, -1, Integer.MIN_VALUE}) {
            assertThat(rows.byCode(code)).isNull();
        }
    }

    @Test
    void rowsKeepTheirOrder() {
        assertThat(RelocationTypes.of(WORD, NONE)).containsExactly(WORD, NONE);
    }

    @Test
    void twoRowsWithOneNumberAreTheCallersMistake() {
        assertThatThrownBy(() -> RelocationTypes.of(WORD, NONE, WORD))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("two rows for relocation type 9");
    }

    @Test
    void aTableMayBeEmpty() {
        assertThat(RelocationTypes.of()).isEmpty();
        assertThat(RelocationTypes.of().byCode(0)).isNull();
    }
}

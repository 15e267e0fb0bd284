package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

final class DataFieldPropertyTest {
    @Provide
    Arbitrary<DataField> fields() {
        return Combinators.combine(
                        Arbitraries.of(0, 1, 2, 4, 8),
                        Arbitraries.of(DataField.Range.class),
                        Arbitraries.of(true, false))
                .as(DataField::new);
    }

    /** What a place of the field's size can hold. */
    private static long place(Field field, long old) {
        return field.size() == 8 ? old : old & (1L << 8 * field.size()) - 1;
    }

    @Property
    void insertChangesNoBitOutsideTheMask(
            @ForAll("fields") DataField field, @ForAll long old, @ForAll long value) {
        long before = place(field, old);
        assertThat((field.insert(before, value) ^ before) & ~field.mask()).isZero();
    }

    @Property
    void theSecondInsertWins(
            @ForAll("fields") DataField field,
            @ForAll long old,
            @ForAll long first,
            @ForAll long second) {
        long before = place(field, old);
        assertThat(field.insert(field.insert(before, first), second))
                .isEqualTo(field.insert(before, second));
    }

    @Property
    void whatFitsSignedReadsBackAsTheAddend(
            @ForAll("fields") DataField field, @ForAll long old, @ForAll long value) {
        long small = field.implicitAddend(value);
        assertThat(field.implicitAddend(field.insert(place(field, old), small))).isEqualTo(small);
    }

    @Property
    void aFieldTakesAValueIfAndOnlyIfItCanBeReadBack(
            @ForAll("fields") DataField field, @ForAll long value) {
        if (field.size() == 0 || field.range() == DataField.Range.ANY) {
            return;
        }
        long inserted = field.insert(0, value);
        long back =
                field.range() == DataField.Range.SIGNED ? field.implicitAddend(inserted) : inserted;
        assertThat(field.fits(value)).isEqualTo(back == value);
    }
}

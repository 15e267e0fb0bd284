package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.DataField;
import io.github.koloader.arch.Field;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.testkit.Loads.Relocated;
import java.util.BitSet;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;
import net.jqwik.api.statistics.Statistics;

/** Moving a module changes its relocated places, each by what its row says, and nothing else. */
class OnlyTheTableMovesPropertyTest {
    @Property(tries = 400)
    @Domain(ImageArbitraries.class)
    @Domain(DomainContext.Global.class)
    void onlyTheTableMoves(
            @ForAll ModuleImage image,
            @ForAll @IntRange(max = 512) int pages,
            @ForAll boolean sevenBlocks) {
        Architecture architecture = Loads.architectureOf(image);
        long delta = (long) pages * architecture.pageSize();
        Relocated here = Loads.relocated(image, sevenBlocks, 0);
        Relocated there = Loads.relocated(image, sevenBlocks, delta);

        assertThat(there.sections().keySet()).isEqualTo(here.sections().keySet());
        for (Map.Entry<Integer, Bytes> section : here.contents().entrySet()) {
            int index = section.getKey();
            assertThat(there.sections().get(index).address())
                    .isEqualTo(
                            here.sections()
                                    .get(index)
                                    .address()
                                    .plus(moves(here, index) ? delta : 0));
            if (index == image.symbolSection()) {
                continue; // values of symbols, by now addresses
            }
            BitSet places = new BitSet();
            for (RelocationTable table : image.relocationsFor(index)) {
                for (int i = 0; i < table.count(); i++) {
                    places.or(checkPlace(architecture, image, table, i, here, there, delta));
                }
            }
            byte[] one = section.getValue().toByteArray();
            byte[] other = there.contents().get(index).toByteArray();
            byte[] file = image.section(index).contents().toByteArray();
            for (int at = 0; at < one.length; at++) {
                if (!places.get(at)) {
                    byte expected =
                            at < file.length ? file[at] : 0; // or space that the loader made
                    assertThat(one[at]).as("byte %d of section %d", at, index).isEqualTo(expected);
                    assertThat(other[at])
                            .as("byte %d of section %d, moved", at, index)
                            .isEqualTo(expected);
                }
            }
        }
        Statistics.label("formula")
                .coverage(
                        coverage -> {
                            for (Formula formula :
                                    new Formula[] {Formula.ABSOLUTE, Formula.PC_RELATIVE}) {
                                coverage.check(formula, true).count(count -> count > 0);
                                coverage.check(formula, false).count(count -> count > 0);
                            }
                        });
    }

    /**
     * Whether a section moves with its module; an empty one in a block that is empty lies at
     * address 0, as on Linux.
     */
    private static boolean moves(Relocated load, int section) {
        return load.sections().containsKey(section)
                && load.layout().blocks().get(load.layout().blockOf(section)).size() > 0;
    }

    /** Checks one place in both loads and returns the bytes it covers. */
    private static BitSet checkPlace(
            Architecture architecture,
            ModuleImage image,
            RelocationTable table,
            int entry,
            Relocated here,
            Relocated there,
            long delta) {
        RelocationType row = architecture.relocationTypes().byCode(table.type(entry));
        Field field = row.field();
        int size = field.size();
        int offset = (int) table.offset(entry);
        boolean big = image.encoding().bigEndian();
        boolean inModule = moves(here, image.symbols().sectionIndex(table.symbolIndex(entry)));
        Statistics.label("formula").collect(row.formula(), inModule);
        BitSet covered = new BitSet();
        covered.set(offset, offset + size);
        if (size == 0) {
            return covered;
        }
        long old =
                Words.read(
                        image.section(table.target()).contents().toByteArray(), offset, size, big);
        long before =
                Words.read(here.contents().get(table.target()).toByteArray(), offset, size, big);
        long after =
                Words.read(there.contents().get(table.target()).toByteArray(), offset, size, big);
        long a = table.hasAddends() ? table.addend(entry) : field.implicitAddend(old);
        long value = value(row, table, entry, a, here);
        long moved = value(row, table, entry, a, there);
        long shift =
                switch (row.formula()) {
                    case NONE -> 0;
                    case ABSOLUTE -> inModule ? delta : 0;
                    case PC_RELATIVE, PAGE_RELATIVE -> inModule ? 0 : -delta;
                    case OWN -> throw new AssertionError("not drawn: " + row);
                };
        long wordMask = image.encoding().wide() ? -1 : 0xffff_ffffL;
        assertThat(moved - value & wordMask).as("%s", row).isEqualTo(shift & wordMask);
        assertThat(before).as("%s", row).isEqualTo(field.insert(old, value));
        assertThat(after).as("%s, moved", row).isEqualTo(field.insert(old, moved));
        if (field instanceof DataField) {
            assertThat(after - before & field.mask()).as("%s", row).isEqualTo(shift & field.mask());
        }
        return covered;
    }

    private static long value(
            RelocationType row, RelocationTable table, int entry, long a, Relocated load) {
        long s = load.values()[table.symbolIndex(entry)];
        long p = load.sections().get(table.target()).address().value() + table.offset(entry);
        return row.formula().value(s, a, p);
    }
}

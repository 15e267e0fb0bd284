package io.github.koloader.arch;

import static io.github.koloader.arch.ArmModules.ARM;
import static io.github.koloader.arch.ArmModules.THUMB;
import static io.github.koloader.arch.ArmModules.code;
import static io.github.koloader.arch.ArmModules.symbol;
import static io.github.koloader.arch.ArmModules.withPlts;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.KernelConfig;
import io.github.koloader.arch.ArmModules.Placed;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Symbol;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.statistics.Statistics;

/** Laws of the fields of 32-bit Arm, and of its veneers. */
final class ArmPropertyTest {
    // ---- fields

    @Property
    void insertChangesNoBitOutsideTheMask(
            @ForAll ArmField field, @ForAll int bits, @ForAll int value) {
        long old = Integer.toUnsignedLong(bits);
        assertThat((field.insert(old, value) ^ old) & ~field.mask()).isZero();
    }

    @Property
    void theSecondInsertWins(
            @ForAll ArmField field, @ForAll int bits, @ForAll int first, @ForAll int second) {
        long old = Integer.toUnsignedLong(bits);
        assertThat(field.insert(field.insert(old, first), second))
                .isEqualTo(field.insert(old, second));
    }

    @Property
    void whatLiesOutsideTheMaskIsNoPartOfTheAddend(
            @ForAll ArmField field, @ForAll int bits, @ForAll int others) {
        long old = Integer.toUnsignedLong(bits);
        long other = old & field.mask() | others & ~field.mask() & 0xffff_ffffL;
        assertThat(field.implicitAddend(other)).isEqualTo(field.implicitAddend(old));
    }

    /** Of branches with the low bits dropped. */
    @Property
    void whatFitsIntoABranchIsReadBack(
            @ForAll int bits,
            @ForAll @IntRange(min = -0x1ffffff, max = 0x1ffffff) int far,
            @ForAll @IntRange(min = -0xffffff, max = 0xffffff) int near) {
        long old = Integer.toUnsignedLong(bits);
        assertThat(ArmField.BRANCH.fits(far)).isTrue();
        assertThat(ArmField.BRANCH.implicitAddend(ArmField.BRANCH.insert(old, far)))
                .isEqualTo(far & ~3);
        assertThat(ArmField.THUMB_BRANCH.fits(near)).isTrue();
        assertThat(ArmField.THUMB_BRANCH.implicitAddend(ArmField.THUMB_BRANCH.insert(old, near)))
                .isEqualTo(near & ~1);
    }

    @Property
    void movwAndMovtTogetherHaveTheWholeValue(@ForAll int bits, @ForAll int value) {
        long old = Integer.toUnsignedLong(bits);
        for (ArmField[] pair :
                new ArmField[][] {
                    {ArmField.MOVW, ArmField.MOVT}, {ArmField.THUMB_MOVW, ArmField.THUMB_MOVT}
                }) {
            long low = pair[0].implicitAddend(pair[0].insert(old, value));
            long high = pair[1].implicitAddend(pair[1].insert(old, value));
            assertThat((int) (high << 16 | low & 0xffff)).isEqualTo(value);
        }
    }

    @Property
    void threeGroupsMakeUpTheValue(@ForAll int value) {
        long first = ArmField.ALU_G0.implicitAddend(ArmField.ALU_G0.insert(0, value));
        long second = ArmField.ALU_G1.implicitAddend(ArmField.ALU_G1.insert(0, value));
        boolean fits = ArmField.LDR_G2.fits(value);
        Statistics.label("fits").collect(fits);
        if (fits) {
            long rest = ArmField.LDR_G2.implicitAddend(ArmField.LDR_G2.insert(0, value));
            assertThat((int) (first + second + rest)).isEqualTo(value);
        } else {
            assertThat(Math.abs(value - (int) (first + second))).isGreaterThan(0xfff);
        }
    }

    // ---- veneers

    private static final int[] BRANCHES = {1, 28, 29, 10, 30};

    /**
     * Branches of several sections, plain or not, to symbols of these sections and of the kernel,
     * so far away that each that leaves its section needs a veneer.
     */
    private static ImageBuilder module(Random random, boolean thumb, Map<String, Long> undefined) {
        ImageBuilder builder = withPlts();
        List<Integer> sections = new ArrayList<>();
        List<Integer> counts = new ArrayList<>();
        for (String name : new String[] {".text", ".init.text", ".text.unlikely", ".exit.text"}) {
            int[] words = new int[random.nextInt(40)];
            for (int i = 0; i < words.length; i++) {
                boolean plain = random.nextInt(4) != 0;
                int more = random.nextInt(3);
                words[i] =
                        thumb
                                ? plain ? 0xfffef7ff : 0xf800f000 + (more << 16)
                                : plain ? 0xebfffffe : 0xeb000000 + more;
            }
            sections.add(builder.section(code(name, words)));
            counts.add(words.length);
        }
        List<Integer> symbols = new ArrayList<>();
        int number = 1 + random.nextInt(12);
        for (int i = 0; i < number; i++) {
            String name = "f" + i;
            undefined.put(name, 0xc0400000L + 4 * random.nextInt(6));
            symbols.add(builder.symbol(symbol(name, Symbol.NOTYPE, new Symbol.Undefined(), 0)));
        }
        for (int section : sections) {
            symbols.add(builder.symbol(Symbol.section(section)));
        }
        for (int s = 0; s < sections.size(); s++) {
            for (int i = 0; i < counts.get(s); i++) {
                int type = BRANCHES[thumb ? 3 + random.nextInt(2) : random.nextInt(3)];
                int symbol = symbols.get(random.nextInt(symbols.size()));
                builder.relocate(sections.get(s), new Relocation(4L * i, type, symbol, 0));
            }
        }
        return builder;
    }

    /** A kernel with cache lines of {@code 32 << shift} bytes. */
    private static KernelConfig config(boolean thumb, boolean ftrace, int shift) {
        return (thumb ? THUMB : ARM)
                .toBuilder()
                        .kconfig("CONFIG_DYNAMIC_FTRACE", ftrace)
                        .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_6", shift == 1)
                        .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_7", shift == 2)
                        .build();
    }

    /**
     * Where a place leads: straight, or by the address that the load at that place takes. Both add
     * the same to the program counter.
     */
    private static long end(Placed placed, RelocationTable table, int i, boolean thumb, int line) {
        PlacedSection code = placed.module.planned(table.target());
        ArmField field = thumb ? ArmField.THUMB_BRANCH : ArmField.BRANCH;
        long branch = code.read(table.offset(i), 4);
        long target =
                code.address() + table.offset(i) + (thumb ? 4 : 8) + field.implicitAddend(branch);
        for (String name : new String[] {".plt", ".init.plt"}) {
            PlacedSection plt = placed.section(name);
            if (target >= plt.address() && target < plt.address() + plt.size()) {
                return Integer.toUnsignedLong(plt.readInt(target - plt.address() + line));
            }
        }
        return target;
    }

    @Property(tries = 300)
    void plannedVeneersSufficeAndEveryBranchArrives(
            @ForAll long seed,
            @ForAll boolean thumb,
            @ForAll boolean ftrace,
            @ForAll @IntRange(max = 2) int shift) {
        Random random = new Random(seed);
        Map<String, Long> undefined = new LinkedHashMap<>();
        ImageBuilder builder = module(random, thumb, undefined);
        Placed placed = new Placed(builder.build(), config(thumb, ftrace, shift), undefined);
        ArmField field = thumb ? ArmField.THUMB_BRANCH : ArmField.BRANCH;
        Map<String, Long> expected = new LinkedHashMap<>();
        int veneers = 0;
        for (RelocationTable table : placed.image.relocations()) {
            for (int i = 0; i < table.count(); i++) {
                long word = placed.module.planned(table.target()).read(table.offset(i), 4);
                long value =
                        placed.module.symbolValue(table.symbolIndex(i))
                                + field.implicitAddend(word)
                                + (thumb ? 4 : 8);
                expected.put(table.target() + ":" + table.offset(i), value);
                veneers += value < 0xd0000000L ? 1 : 0;
            }
        }
        placed.relocate();
        int line = 32 << shift;
        for (RelocationTable table : placed.image.relocations()) {
            for (int i = 0; i < table.count(); i++) {
                assertThat(end(placed, table, i, thumb, line))
                        .isEqualTo(expected.get(table.target() + ":" + table.offset(i)));
            }
        }
        Statistics.label("branches by veneers")
                .collect(veneers == 0 ? "none" : veneers < 30 ? "some" : "many");
    }

    @Property(tries = 200)
    void sortingKeepsEveryEntryAndLeavesThemInOrder(
            @ForAll @Size(max = 60) List<@IntRange(max = 7) Integer> keys) {
        ImageBuilder builder = withPlts();
        int text = builder.section(code(".text", new int[Math.max(1, keys.size())]));
        for (int i = 0; i < 4; i++) {
            builder.symbol(Symbol.undefined("f" + i));
        }
        for (int i = 0; i < keys.size(); i++) {
            int key = keys.get(i);
            builder.relocate(text, new Relocation(4L * i, key < 4 ? 2 : 28, 1 + key % 4, 0));
        }
        List<RelocationTable> tables =
                Architectures.ARM
                        .planSections(builder.build(), ARM, "m")
                        .image()
                        .relocationsFor(text);
        Set<Long> seen = new HashSet<>();
        long last = 0;
        for (RelocationTable table : tables) {
            for (int i = 0; i < table.count(); i++) {
                long key = (long) table.type(i) << 32 | table.symbolIndex(i);
                assertThat(key).isGreaterThanOrEqualTo(last);
                last = key;
                assertThat(seen.add(table.offset(i))).isTrue();
                assertThat(keys.get((int) table.offset(i) / 4))
                        .isEqualTo((table.type(i) == 2 ? 0 : 4) + table.symbolIndex(i) - 1);
            }
        }
        assertThat(seen).hasSameSizeAs(keys);
    }
}

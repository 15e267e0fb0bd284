package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.elf.internal.KallsymsBytes.Entry;
import io.github.koloader.elf.internal.KallsymsBytes.Layout;
import io.github.koloader.elf.internal.KallsymsTables.Form;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.statistics.Statistics;

final class KallsymsDecoderPropertyTest {
    private static final Encoding[] ENCODINGS = {
        Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB
    };
    private static final String CHARACTERS = "abcdefghijklmnopqrstuvwxyz_0123456789.$XYZ";

    /** What versions of Linux wrote: 3.10, 4.6, 4.20, 6.1, 6.2, 6.4. */
    static Layout layout(Random random) {
        Encoding encoding = ENCODINGS[random.nextInt(4)];
        int word = encoding.wordSize();
        int version = random.nextInt(6);
        boolean absolute = version == 0 || random.nextInt(4) == 0;
        Form form =
                absolute
                        ? Form.ABSOLUTE
                        : encoding.wide() && random.nextBoolean()
                                ? Form.RELATIVE_BUT_PER_CPU
                                : Form.RELATIVE;
        Statistics.label("layout").collect(version, form, encoding);
        return new Layout(
                encoding,
                version < 4 && random.nextBoolean() ? (encoding.wide() ? 256 : 16) : word,
                version < 2 ? word : 4,
                version < 2,
                version == 5,
                version >= 4,
                version >= 3,
                form);
    }

    static long kernelAddress(Encoding encoding) {
        return encoding.wide() ? 0xffff_ffff_8100_0000L : 0xc100_0000L;
    }

    static List<Entry> entries(Random random, int count, Layout layout) {
        List<Entry> entries = new ArrayList<>();
        long address = kernelAddress(layout.encoding());
        int perCpu = layout.form() == Form.RELATIVE_BUT_PER_CPU ? random.nextInt(1 + count / 4) : 0;
        long offset = 0;
        for (int i = 0; i < count; i++) {
            boolean absolute = i < perCpu;
            entries.add(
                    new Entry(
                            absolute ? offset : address,
                            absolute ? 'A' : "tTdDbBrRwWVi".charAt(random.nextInt(12)),
                            name(random, layout.longNames() && random.nextInt(40) == 0)));
            offset += random.nextInt(64);
            address +=
                    absolute
                            ? 0
                            : random.nextInt(i == count - 2 ? 1 : 4) * 13L
                                    + (i == count - 2 ? 4 : 0);
        }
        return entries;
    }

    private static String name(Random random, boolean verylong) {
        int length = verylong ? 200 + random.nextInt(300) : 1 + random.nextInt(30);
        StringBuilder name = new StringBuilder();
        for (int i = 0; i < length; i++) {
            name.append(CHARACTERS.charAt(random.nextInt(CHARACTERS.length())));
        }
        return name.toString();
    }

    static byte[] surrounded(Random random, byte[] tables, int before, int after) {
        byte[] bytes = new byte[before + tables.length + after];
        random.nextBytes(bytes);
        System.arraycopy(tables, 0, bytes, before, tables.length);
        return bytes;
    }

    static LinkedImage image(Encoding encoding, byte[] bytes) {
        return new LinkedImage(
                encoding,
                0,
                List.of(
                        new LinkedImage.Piece(
                                ".rodata",
                                kernelAddress(encoding),
                                Bytes.wrap(bytes),
                                1 << 24,
                                true,
                                true)));
    }

    static List<Entry> entries(KernelSymbolTable table) {
        List<Entry> entries = new ArrayList<>();
        for (int i = 0; i < table.count(); i++) {
            entries.add(new Entry(table.address(i).value(), table.letter(i), table.name(i)));
        }
        return entries;
    }

    @Property(tries = 200)
    void symbolsAreReadAsTheyWereWritten(
            @ForAll Random random, @ForAll @IntRange(min = 2, max = 1200) int count) {
        Layout layout = layout(random);
        List<Entry> entries = entries(random, count, layout);
        byte[] tables =
                KallsymsBytes.write(
                                layout,
                                entries,
                                kernelAddress(layout.encoding()),
                                random,
                                random.nextInt(4) != 0)
                        .bytes();
        byte[] bytes = surrounded(random, tables, 256 * random.nextInt(40), random.nextInt(5000));
        Optional<KernelSymbolTable> read = KallsymsDecoder.decode(image(layout.encoding(), bytes));
        assertThat(read).isPresent();
        assertThat(entries(read.get())).isEqualTo(entries);
    }

    @Property(tries = 100)
    void aChangedByteGivesTheSameNumberOfSymbolsOrNone(
            @ForAll Random random, @ForAll @IntRange(min = 2, max = 600) int count) {
        Layout layout = layout(random);
        List<Entry> entries = entries(random, count, layout);
        byte[] bytes =
                KallsymsBytes.write(layout, entries, kernelAddress(layout.encoding()), random, true)
                        .bytes();
        for (int i = 0; i < 50; i++) {
            byte[] changed = bytes.clone();
            changed[random.nextInt(changed.length)] = (byte) random.nextInt();
            KallsymsDecoder.decode(image(layout.encoding(), changed))
                    .ifPresent(table -> assertThat(table.count()).isEqualTo(count));
        }
    }

    @Property(tries = 20)
    void tablesThatAreCutOffAreNotTaken(
            @ForAll Random random, @ForAll @IntRange(min = 2, max = 300) int count) {
        Layout layout = layout(random);
        byte[] bytes =
                KallsymsBytes.write(
                                layout,
                                entries(random, count, layout),
                                kernelAddress(layout.encoding()),
                                random,
                                true)
                        .bytes();
        // behind the last table of the older order there are zeros, and the order of names
        int needed = layout.addressesLast() ? bytes.length - 3 * count - 600 : bytes.length - 512;
        for (int i = 0; i < 40; i++) {
            byte[] cut = Arrays.copyOf(bytes, random.nextInt(needed));
            assertThat(KallsymsDecoder.decode(image(layout.encoding(), cut))).isEmpty();
        }
    }
}

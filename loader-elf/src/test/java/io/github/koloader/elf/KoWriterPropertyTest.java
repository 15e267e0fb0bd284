package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.statistics.Statistics;

final class KoWriterPropertyTest {
    private static final Encoding[] ENCODINGS = {
        Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB
    };

    private static ModuleImage image(Random random) {
        Encoding encoding = ENCODINGS[random.nextInt(4)];
        boolean addends = random.nextBoolean();
        Statistics.label("encoding").collect(encoding, addends);
        ImageBuilder builder =
                new ImageBuilder(Kos.NO_MACHINE, encoding, addends)
                        .name("m" + random.nextInt(1000));
        int sections = 1 + random.nextInt(6);
        for (int i = 0; i < sections; i++) {
            String name = (random.nextBoolean() ? ".text" : ".data.x") + random.nextInt(4);
            long alignment = random.nextInt(8) == 0 ? random.nextInt(100) : 1L << random.nextInt(7);
            builder.section(
                    random.nextInt(4) == 0
                            ? Section.nobits(name, 3, alignment, random.nextInt(1 << 20))
                            : Section.progbits(
                                    name,
                                    random.nextInt(8),
                                    alignment,
                                    bytes(random, random.nextInt(64))));
        }
        int symbols = random.nextInt(8);
        for (int i = 0; i < symbols; i++) {
            int symbol =
                    builder.symbol(
                            new Symbol(
                                    "s" + random.nextInt(5),
                                    Binding.values()[random.nextInt(4)],
                                    random.nextInt(5),
                                    random.nextInt(4),
                                    place(random, sections),
                                    Integer.toUnsignedLong(random.nextInt()),
                                    random.nextInt(100)));
            builder.relocate(
                    1 + random.nextInt(sections),
                    new Relocation(
                            random.nextInt(100),
                            random.nextInt(256),
                            symbol,
                            addends ? random.nextInt() : 0));
        }
        return builder.build();
    }

    private static Bytes bytes(Random random, int size) {
        byte[] bytes = new byte[size];
        random.nextBytes(bytes);
        return Bytes.copyOf(bytes);
    }

    private static Symbol.Place place(Random random, int sections) {
        return switch (random.nextInt(5)) {
            case 0 -> new Symbol.Undefined();
            case 1 -> new Symbol.Absolute();
            case 2 -> new Symbol.Common();
            case 3 -> new Symbol.Reserved(0xff20);
            default -> new Symbol.InSection(1 + random.nextInt(sections));
        };
    }

    @Property(tries = 500)
    void readingWhatWasWrittenGivesAnEqualImage(@ForAll long seed) {
        ModuleImage image = image(new Random(seed));
        ModuleImage read = KoReader.read(KoWriter.write(image));
        assertThat(read).isEqualTo(image);
        for (int i = 0; i < image.symbols().count(); i++) {
            assertThat(read.symbols().symbol(i)).isEqualTo(image.symbols().symbol(i));
        }
    }

    @Property(tries = 500)
    void whatIsWrittenDependsOnTheImageOnly(@ForAll long seed) {
        assertThat(KoWriter.write(image(new Random(seed))))
                .isEqualTo(KoWriter.write(image(new Random(seed))));
    }
}

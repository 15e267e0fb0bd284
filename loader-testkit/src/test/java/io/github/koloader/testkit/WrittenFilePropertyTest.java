package io.github.koloader.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.KoWriter;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;
import net.jqwik.api.sessions.JqwikSession;
import net.jqwik.api.statistics.Statistics;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * An image as a file: what is written is read again, by us and by GNU readelf, and broken files are
 * refused.
 */
class WrittenFilePropertyTest {
    /** A line of {@code readelf -S -W}: index, name, type, address, offset, size. */
    private static final Pattern SECTION =
            Pattern.compile(
                    "^ +\\[ *(\\d+)] (\\S*) +(\\S+) +[0-9a-f]+ +([0-9a-f]+) +([0-9a-f]+) .*$");

    @Property(tries = 500)
    @Domain(ImageArbitraries.class)
    void readingWhatWasWrittenGivesAnEqualImage(@ForAll ModuleImage image) {
        byte[] file = KoWriter.write(image);
        ModuleImage read = KoReader.read(file);
        assertThat(read).isEqualTo(image);
        assertThat(read.name()).isEqualTo(image.name());
        assertThat(read.entryDisagreements()).isEmpty();
        assertThat(read.fileSize()).isEqualTo(file.length);
        assertThat(KoReader.of(Loads.architectureOf(image)).readImage(Bytes.wrap(file)))
                .isEqualTo(image);
        assertThat(KoWriter.write(read)).isEqualTo(file);
    }

    @Property(tries = 10, shrinking = ShrinkingMode.OFF)
    @Domain(ImageArbitraries.class)
    void everyProperPrefixIsRefusedWithEnoexec(@ForAll ModuleImage image) {
        Bytes file = Bytes.wrap(KoWriter.write(image));
        KoReader own = KoReader.of(Loads.architectureOf(image));
        for (int length = 0; length < file.size(); length++) {
            Bytes prefix = file.slice(0, length);
            Errno expected = length == 0 ? Errno.EINVAL : Errno.ENOEXEC;
            KoReader reader = length % 2 == 0 ? KoReader.any() : own;
            Throwable thrown = catchThrowable(() -> reader.readImage(prefix));
            if (!(thrown instanceof LoadException failure) || failure.errno() != expected) {
                fail("%d of %d bytes".formatted(length, file.size()), thrown);
            }
        }
        assertThat(KoReader.read(ImageEdits.truncatedAt(file.toByteArray(), file.size())))
                .isEqualTo(image);
    }

    @Property(tries = 2000)
    @Domain(ImageArbitraries.class)
    @Domain(DomainContext.Global.class)
    void changedBytesAreReadAndLoadedOrRefusedButNeverThrowAnythingElse(
            @ForAll ModuleImage image,
            @ForAll long seed,
            @ForAll @IntRange(min = 1, max = 8) int changes,
            @ForAll boolean sevenBlocks) {
        byte[] file = KoWriter.write(image);
        Random random = new Random(seed);
        for (int i = 0; i < changes; i++) {
            change(file, image, random);
        }
        String outcome = "loaded";
        try {
            ModuleImage read = KoReader.of(Loads.architectureOf(image)).readImage(Bytes.wrap(file));
            Kernel kernel =
                    Kernel.builder(Loads.architectureOf(image))
                            .config(Loads.config(sevenBlocks))
                            .memoryLimit(16 << 20)
                            .build();
            try {
                kernel.load(read, "");
            } catch (LoadException e) {
                outcome = "refused at load";
                assertThat(kernel.modules()).isEmpty();
                assertThat(kernel.memory().regions()).isEmpty();
            }
        } catch (LoadException e) {
            outcome = "refused by reader";
        }
        Statistics.label("outcome").collect(outcome);
    }

    /** Gives a byte, or a number in a section header, a relocation or a symbol, another value. */
    private static void change(byte[] file, ModuleImage image, Random random) {
        int word = image.encoding().wordSize();
        boolean big = image.encoding().bigEndian();
        int count = image.sections().size();
        int headerSize = 16 + 6 * word;
        int headers = file.length - count * headerSize;
        switch (random.nextInt(4)) {
            case 0 ->
                    file[random.nextInt(file.length)] =
                            (byte) interesting(random, count, file.length);
            case 1 -> {
                int[] fields = {
                    0, 4, 8, 8 + 2 * word, 8 + 3 * word, 8 + 4 * word, 12 + 4 * word, 16 + 4 * word
                };
                int field = random.nextInt(fields.length);
                int size = field < 2 || field == 5 || field == 6 ? 4 : word;
                int at = headers + random.nextInt(count) * headerSize + fields[field];
                int other = headers + random.nextInt(count) * headerSize + fields[field];
                boolean borrow = random.nextBoolean();
                long value =
                        borrow
                                ? Words.read(file, other, size, big)
                                : interesting(random, count, file.length);
                Words.write(file, at, size, value, big);
            }
            default -> {
                Section section = image.section(random.nextInt(count));
                int size = 1 << random.nextInt(4);
                int places = section.contents().size() / size;
                if (places > 0) {
                    int at = (int) section.offset() + random.nextInt(places) * size;
                    Words.write(file, at, size, interesting(random, count, file.length), big);
                }
            }
        }
    }

    private static long interesting(Random random, int sections, int length) {
        long[] values = {
            0,
            1,
            2,
            3,
            4,
            6,
            7,
            8,
            9,
            14,
            -1,
            -8,
            sections - 1,
            sections,
            length - 1,
            length,
            0xff20,
            0xfff1,
            0xfff2,
            4096,
            1 << 20,
            1L << 31,
            1L << 32,
            Integer.MAX_VALUE,
            Long.MAX_VALUE,
            Long.MIN_VALUE,
            random.nextInt(256),
            random.nextInt(),
            random.nextLong()
        };
        return values[random.nextInt(values.length)];
    }

    @Test
    void readelfAgrees(@TempDir Path directory) throws IOException, InterruptedException {
        assumeTrue(installed(), "GNU readelf is not installed");
        List<ModuleImage> images = new ArrayList<>();
        JqwikSession.run(
                () -> {
                    for (Architecture architecture : Architectures.all()) {
                        Arbitrary<ModuleImage> arbitrary = ImageArbitraries.images(architecture);
                        images.addAll(arbitrary.list().ofSize(25).sample());
                    }
                });
        for (ModuleImage image : images) {
            Path file = directory.resolve("written.ko");
            KoWriter.write(image, file);
            compare(image, readelf(file));
        }
    }

    private static void compare(ModuleImage image, String text) {
        assertThat(text.toLowerCase(Locale.ROOT))
                .doesNotContain("warning")
                .doesNotContain("error:");
        List<String> names = new ArrayList<>();
        for (String line : text.lines().toList()) {
            Matcher matcher = SECTION.matcher(line);
            if (matcher.matches() && !matcher.group(1).equals("0")) {
                Section section = image.section(Integer.parseInt(matcher.group(1)));
                names.add(section.name());
                assertThat(matcher.group(2)).isEqualTo(section.name());
                assertThat(matcher.group(3)).isEqualTo(section.type().toString());
                assertThat(Long.parseLong(matcher.group(4), 16)).isEqualTo(section.offset());
                assertThat(Long.parseLong(matcher.group(5), 16)).isEqualTo(section.size());
            }
        }
        assertThat(names).hasSize(image.sections().size() - 1);
        for (int i = 1; i < image.symbols().count(); i++) {
            assertThat(text).contains(image.symbols().name(i));
        }
    }

    private static boolean installed() {
        try {
            return readelf(Path.of("--version")).contains("GNU readelf");
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static String readelf(Path file) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder("readelf", "-a", "-W", file.toString())
                        .redirectErrorStream(true)
                        .start();
        process.getOutputStream().close();
        String text = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(text).isZero();
        return text;
    }
}

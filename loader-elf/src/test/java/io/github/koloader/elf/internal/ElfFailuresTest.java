package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Diagnosis;
import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.KoWriter;
import io.github.koloader.elf.Kos;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Provokes every failure by one edit of a valid file. */
final class ElfFailuresTest {
    private record Scenario(
            String failure, KoReader reader, byte[] file, Errno errno, String dmesg) {
        @Override
        public String toString() {
            return failure + ": " + dmesg;
        }
    }

    /** A valid file after one edit; the consumer is given the file as a buffer and as an array. */
    private static Scenario edited(
            String failure, String dmesg, BiConsumer<ByteBuffer, byte[]> edit) {
        byte[] file = Kos.small();
        edit.accept(Kos.edit(file), file);
        return new Scenario(failure, KoReader.any(), file, Errno.ENOEXEC, dmesg);
    }

    private static int count() {
        return Kos.edit(Kos.small()).getShort(60);
    }

    private static int index(String section) {
        return KoReader.read(Kos.small()).sectionIndex(section);
    }

    static Stream<Scenario> scenarios() {
        return Stream.of(headers(), names(), sections(), packed()).flatMap(List::stream);
    }

    private static List<Scenario> headers() {
        byte[] other = KoWriter.write(Kos.image(Kos.NO_MACHINE, Encoding.ELF64_LSB, true));
        byte[] classless = other.clone();
        classless[4] = 9;
        byte[] orderless = other.clone();
        orderless[5] = (byte) 200;
        return List.of(
                new Scenario(
                        "headerTooShort",
                        KoReader.any(),
                        Arrays.copyOf(Kos.small(), 19),
                        Errno.ENOEXEC,
                        "Invalid ELF header len 19"),
                new Scenario(
                        "headerTooShort",
                        KoReader.of(Architectures.X86_64),
                        Arrays.copyOf(Kos.small(), 63),
                        Errno.ENOEXEC,
                        "Invalid ELF header len 63"),
                edited(
                        "wrongMagic",
                        "Invalid ELF header magic: != \u007fELF",
                        (file, array) -> file.put(3, (byte) 'f')),
                edited(
                        "wrongType",
                        "Invalid ELF header type: 2 != 1",
                        (file, array) -> file.putShort(16, (short) 2)),
                new Scenario(
                        "wrongMachine",
                        KoReader.of(Architectures.X86_64),
                        other,
                        Errno.ENOEXEC,
                        "Invalid architecture in ELF header: 32343"),
                new Scenario(
                        "unknownClass",
                        KoReader.any(),
                        classless,
                        Errno.ENOEXEC,
                        "ELF class 9 and data encoding 1 at file offset 4: unknown"),
                new Scenario(
                        "unknownClass",
                        KoReader.any(),
                        orderless,
                        Errno.ENOEXEC,
                        "ELF class 2 and data encoding 200 at file offset 4: unknown"),
                edited(
                        "wrongSectionHeaderSize",
                        "Invalid ELF section header size",
                        (file, array) -> file.putShort(58, (short) 40)),
                edited(
                        "sectionHeadersBeyondEnd",
                        "Invalid ELF section header overflow",
                        (file, array) -> file.putLong(40, array.length)),
                edited(
                        "sectionHeadersBeyondEnd",
                        "Invalid ELF section header overflow",
                        (file, array) -> file.putLong(40, -64)),
                edited(
                        "sectionHeadersBeyondEnd",
                        "Invalid ELF section header overflow",
                        (file, array) -> file.putShort(60, (short) -1)));
    }

    private static List<Scenario> names() {
        int shstrtab = index(".shstrtab");
        return List.of(
                edited(
                        "wrongNameIndex",
                        "Invalid ELF section name index: 0 || e_shstrndx (0) >= e_shnum ("
                                + count()
                                + ")",
                        (file, array) -> file.putShort(62, (short) 0)),
                edited(
                        "wrongNameIndex",
                        "Invalid ELF section name index: 65535 || e_shstrndx (65535) >= e_shnum ("
                                + count()
                                + ")",
                        (file, array) -> file.putShort(62, (short) 0xffff)),
                edited(
                        "wrongNameIndex",
                        "Invalid ELF section name index: "
                                + shstrtab
                                + " || e_shstrndx ("
                                + shstrtab
                                + ") >= e_shnum (0)",
                        (file, array) -> file.putShort(60, (short) 0)),
                edited(
                        "nameTableBeyondEnd",
                        "Invalid ELF section hdr(type 3)",
                        (file, array) ->
                                file.putLong(Kos.header(array, shstrtab) + 24, array.length)),
                edited(
                        "nameTableBeyondEnd",
                        "Invalid ELF section hdr(type 3)",
                        (file, array) ->
                                file.putLong(Kos.header(array, shstrtab) + 32, Long.MAX_VALUE)),
                edited(
                        "emptyNameTable",
                        "empty section name table",
                        (file, array) -> file.putLong(Kos.header(array, shstrtab) + 32, 0)),
                edited(
                        "nameTableUnterminated",
                        "ELF Spec violation: section name table isn't null terminated",
                        (file, array) -> {
                            int at = Kos.header(array, shstrtab) + 32;
                            file.putLong(at, file.getLong(at) - 1);
                        }));
    }

    private static List<Scenario> sections() {
        int text = index(".text");
        int symtab = index(".symtab");
        int strtab = index(".strtab");
        long namesAt = KoReader.read(Kos.small()).section(index(".shstrtab")).offset();
        return List.of(
                edited(
                        "sectionZeroInUse",
                        "ELF Spec violation: section 0 type(1)!=SH_NULL or non-zero len or addr",
                        (file, array) -> file.putInt(Kos.header(array, 0) + 4, 1)),
                edited(
                        "sectionZeroInUse",
                        "ELF Spec violation: section 0 type(0)!=SH_NULL or non-zero len or addr",
                        (file, array) -> file.putLong(Kos.header(array, 0) + 32, 1)),
                edited(
                        "sectionZeroInUse",
                        "ELF Spec violation: section 0 type(0)!=SH_NULL or non-zero len or addr",
                        (file, array) -> file.putLong(Kos.header(array, 0) + 16, 1)),
                edited(
                        "wrongLink",
                        "Invalid ELF sh_link!=SHN_UNDEF(0) or (sh_link(0) >= hdr->e_shnum("
                                + count()
                                + ")",
                        (file, array) -> file.putInt(Kos.header(array, symtab) + 40, 0)),
                edited(
                        "wrongLink",
                        "Invalid ELF sh_link!=SHN_UNDEF(99) or (sh_link(99) >= hdr->e_shnum("
                                + count()
                                + ")",
                        (file, array) -> file.putInt(Kos.header(array, symtab) + 40, 99)),
                edited(
                        "sectionBeyondEnd",
                        "Invalid ELF section in module (section " + text + " type 1)",
                        (file, array) -> file.putLong(Kos.header(array, text) + 32, array.length)),
                edited(
                        "sectionBeyondEnd",
                        "Invalid ELF section in module (section " + text + " type 1)",
                        (file, array) -> file.putLong(Kos.header(array, text) + 24, -8)),
                edited(
                        "sectionBeyondEnd",
                        "Invalid ELF section in module (section " + text + " type 4294967295)",
                        (file, array) -> {
                            file.putInt(Kos.header(array, text) + 4, -1);
                            file.putLong(Kos.header(array, text) + 32, Long.MAX_VALUE);
                        }),
                edited(
                        "sectionNameOutside",
                        "Invalid ELF section name in module (section " + text + " type 1)",
                        (file, array) -> file.putInt(Kos.header(array, text), -1)),
                edited(
                        "nameBeyondEnd",
                        "name of section "
                                + strtab
                                + " at file offset 0x"
                                + Long.toHexString(namesAt + 0xffffffffL)
                                + " lies beyond the end of the file",
                        (file, array) -> file.putInt(Kos.header(array, strtab), -1)));
    }

    /** Forty sections that share one name of 200,000 bytes. */
    private static Scenario sharedName() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true);
        int first = builder.section(Section.progbits("n".repeat(200_000), 0, 1, Bytes.EMPTY));
        for (int i = 1; i < 40; i++) {
            builder.section(Section.progbits(".s", 0, 1, Bytes.EMPTY));
        }
        byte[] array = KoWriter.write(builder.build());
        ByteBuffer file = ByteBuffer.wrap(array).order(ByteOrder.LITTLE_ENDIAN);
        int name = file.getInt(Kos.header(array, first));
        for (int i = 1; i < 40; i++) {
            file.putInt(Kos.header(array, first + i), name);
        }
        int namesAt = (int) file.getLong(Kos.header(array, file.getShort(62)) + 24);
        long reached = (1L << 20) + 4L * array.length;
        int section = first + (int) (reached / 200_000);
        return new Scenario(
                "namesTooLong",
                KoReader.any(),
                array,
                Errno.ENOEXEC,
                "names of sections up to section "
                        + section
                        + ", whose name is at file offset 0x"
                        + Integer.toHexString(namesAt + name)
                        + ", are larger than the file");
    }

    /** A thousand symbols whose names all end where one of 100,000 bytes does. */
    private static Scenario overlappingSymbolNames() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true);
        builder.symbol(Symbol.undefined("s".repeat(100_000)));
        for (int i = 1; i < 1000; i++) {
            builder.symbol(Symbol.undefined("t"));
        }
        ModuleImage image = builder.build();
        byte[] array = KoWriter.write(image);
        int symtab = (int) image.section(image.symbolSection()).offset();
        for (int i = 1; i <= 1000; i++) {
            Kos.edit(array).putInt(symtab + 24 * i, 1 + i % 7);
        }
        long budget = (1L << 20) + 4L * image.symbols().strings().size();
        int symbol = 0;
        while (budget >= 0) {
            symbol++;
            budget -= 100_000 - symbol % 7;
        }
        return new Scenario(
                "symbolNamesTooLong",
                KoReader.any(),
                array,
                Errno.ENOEXEC,
                "names of symbols up to symbol "
                        + symbol
                        + ", whose name is at offset 0x"
                        + Integer.toHexString(1 + symbol % 7)
                        + ", are larger than their table");
    }

    /** Two relocation sections that share most of a file. */
    private static Scenario overlappingRelocations() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true);
        int data = builder.section(Section.progbits("data", 0, 1, Bytes.copyOf(new byte[90_000])));
        int second = builder.section(Section.progbits("second", 0, 1, Bytes.EMPTY));
        byte[] array = KoWriter.write(builder.build());
        for (int section : new int[] {data, second}) {
            int header = Kos.header(array, section);
            Kos.edit(array).putInt(header + 4, 4);
            Kos.edit(array).putLong(header + 24, 64);
            Kos.edit(array).putLong(header + 32, 90_000);
        }
        return new Scenario(
                "relocationsOverlap",
                KoReader.any(),
                array,
                Errno.ENOEXEC,
                "relocations up to section "
                        + second
                        + " at file offset 0x40 are larger than the file");
    }

    private static List<Scenario> packed() {
        byte[] gzip = gzip(Kos.small());
        return List.of(
                new Scenario("empty", KoReader.any(), new byte[0], Errno.EINVAL, ""),
                sharedName(),
                overlappingSymbolNames(),
                overlappingRelocations(),
                new Scenario(
                        "tooLarge",
                        KoReader.any().withLimit(100),
                        Kos.small(),
                        Errno.EFBIG,
                        "module is larger than 100 bytes"),
                new Scenario(
                        "tooLarge",
                        KoReader.any().withLimit(100),
                        gzip,
                        Errno.EFBIG,
                        "module is larger than 100 bytes"),
                new Scenario(
                        "corrupt",
                        KoReader.any(),
                        Arrays.copyOf(gzip, gzip.length / 2),
                        Errno.EINVAL,
                        "gzip decompression failed: Unexpected end of ZLIB input stream"));
    }

    private static byte[] gzip(byte[] bytes) {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
            out.write(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return packed.toByteArray();
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void aFailureHasItsErrnoAndItsLine(Scenario scenario) {
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class,
                        () -> scenario.reader().readImage(Bytes.copyOf(scenario.file())));
        assertThat(failure).isNotNull();
        assertThat(failure.errno()).isEqualTo(scenario.errno());
        assertThat(failure.dmesg()).isEqualTo(scenario.dmesg());
        assertThat(failure.lines()).allMatch(line -> line.level() == LogLevel.ERR);
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void aFailureIsExplainedBeyondWhatItsErrorMeans(Scenario scenario) {
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class,
                        () -> scenario.reader().readImage(Bytes.copyOf(scenario.file())));
        assertThat(failure.isDiagnosed()).isTrue();
        Diagnosis diagnosis = failure.diagnosis();
        assertThat(diagnosis.cause()).matches("(?s).{20,}\\.").isNotEqualTo(failure.getMessage());
        assertThat(diagnosis.advice()).matches("(?s).{20,}\\.");
    }

    @Test
    void theFileThatIsEditedIsValid() {
        assertThat(KoReader.read(Kos.small()).name()).contains("small");
    }

    @Test
    void aFileForWhichThereIsNoMemoryIsEnomem(@TempDir Path directory) throws IOException {
        Path file = Files.write(directory.resolve("small.ko"), Kos.small());
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                FileBytes.read(
                                        file,
                                        KoReader.DEFAULT_LIMIT,
                                        size -> {
                                            throw new OutOfMemoryError("none left");
                                        }));
        assertThat(failure.errno()).isEqualTo(Errno.ENOMEM);
        assertThat(failure.lines()).isEmpty();
        assertThat(failure).hasMessageContaining(Kos.small().length + " bytes of the file");
    }

    @Test
    void everyFailureIsProvoked() {
        Set<String> methods =
                Arrays.stream(ElfFailures.class.getDeclaredMethods())
                        .filter(method -> Modifier.isPublic(method.getModifiers()))
                        .map(method -> method.getName())
                        .collect(Collectors.toCollection(TreeSet::new));
        Set<String> provoked =
                scenarios().map(Scenario::failure).collect(Collectors.toCollection(TreeSet::new));
        provoked.add("noMemory"); // by the test above
        assertThat(provoked).isEqualTo(methods);
    }
}

package io.github.koloader.elf.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.github.luben.zstd.Zstd;
import com.google.common.hash.Hashing;
import io.github.koloader.Diagnosis;
import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.KoWriter;
import io.github.koloader.elf.Kos;
import io.github.koloader.elf.SigningKeys;
import io.github.koloader.elf.SystemCalls;
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
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Provokes every failure by one edit of a valid file. */
final class ElfFailuresTest {
    private static final Errno EINVAL = Errno.EINVAL;

    private record Scenario(
            String failure, KoReader reader, byte[] file, Errno errno, String dmesg) {
        /** The same on another kernel. */
        Scenario by(String release) {
            KernelConfig config = KernelConfig.linux6_1().toBuilder().release(release).build();
            return new Scenario(
                    failure, KoReader.of(Architectures.X86_64, config), file, errno, dmesg);
        }

        Scenario named(String newFailure) {
            return new Scenario(newFailure, reader, file, errno, dmesg);
        }

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
        return Stream.of(headers(), names(), sections(), packed(), old(), unique(), strings())
                .flatMap(List::stream);
    }

    // ---- other kernels than 6.1 ----

    private static Scenario edited(
            String release, String failure, String dmesg, BiConsumer<ByteBuffer, byte[]> edit) {
        Scenario scenario = edited(failure, dmesg, edit);
        return scenario.by(release);
    }

    /** Before 5.18: silence about the header, nothing else than lengths. */
    private static List<Scenario> old() {
        int text = index(".text");
        return List.of(
                edited("3.10", "unnamed", "", (file, array) -> file.put(3, (byte) 'f')),
                edited("3.10", "unnamed", "", (file, array) -> file.putShort(16, (short) 2)),
                edited("3.10", "unnamed", "", (file, array) -> file.putShort(18, (short) 3)),
                edited("3.10", "unnamed", "", (file, array) -> file.putShort(58, (short) 40)),
                edited("3.10", "unnamed", "", (file, array) -> file.putLong(40, array.length)),
                new Scenario(
                                "unnamed",
                                KoReader.any(),
                                Arrays.copyOf(Kos.small(), 63),
                                Errno.ENOEXEC,
                                "")
                        .by("3.10"),
                edited(
                        "3.10",
                        "truncated",
                        "Module len " + Kos.small().length + " truncated",
                        (file, array) -> file.putLong(Kos.header(array, text) + 24, array.length)),
                edited(
                        "3.10",
                        "truncated",
                        "Module len " + Kos.small().length + " truncated",
                        (file, array) -> file.putLong(Kos.header(array, text) + 32, -1)),
                edited(
                        "3.10",
                        "namesOutside",
                        "names of sections are said to be in section 99, which there is not",
                        (file, array) -> file.putShort(62, (short) 99)));
    }

    private static List<Scenario> unique() {
        int text = index(".text");
        int symtab = index(".symtab");
        int strtab = index(".strtab");
        int shstrtab = index(".shstrtab");
        int modinfo = index(".modinfo");
        int structure = index(ModuleImage.THIS_MODULE);
        BiConsumer<ByteBuffer, byte[]> secondStructure =
                (file, array) ->
                        file.putInt(
                                Kos.header(array, text), file.getInt(Kos.header(array, structure)));
        BiConsumer<ByteBuffer, byte[]> secondModinfo =
                (file, array) ->
                        file.putInt(
                                Kos.header(array, text), file.getInt(Kos.header(array, modinfo)));
        return List.of(
                edited(
                        "6.12",
                        "nameTableType",
                        "Invalid ELF section name table type: 8",
                        (file, array) -> file.putInt(Kos.header(array, shstrtab) + 4, 8)),
                edited(
                        "6.12",
                        "stringTableType",
                        "Invalid ELF symbol string table type: 1",
                        (file, array) -> file.putInt(Kos.header(array, strtab) + 4, 1)),
                edited(
                        "6.12",
                        "wrongLink",
                        "Invalid ELF sh_link!=SHN_UNDEF(-1) or (sh_link(-1) >= hdr->e_shnum("
                                + count()
                                + ")",
                        (file, array) -> file.putInt(Kos.header(array, symtab) + 40, -1)),
                edited(
                        "6.12",
                        "wrongNameIndex",
                        "Invalid ELF section name index: 99 || e_shstrndx (99) >= e_shnum ("
                                + count()
                                + ")",
                        (file, array) -> file.putShort(62, (short) 99)),
                edited(
                        "6.12",
                        "wrongNameIndex",
                        "Invalid ELF section name index: "
                                + shstrtab
                                + " || e_shstrndx ("
                                + shstrtab
                                + ") >= e_shnum (0)",
                        (file, array) ->
                                file.putShort(60, (short) 0).putLong(40, array.length - 1)),
                edited(
                        "6.12",
                        "sectionBeyondEnd",
                        "Invalid ELF section in module (section " + shstrtab + " type 3)",
                        (file, array) ->
                                file.putLong(Kos.header(array, shstrtab) + 32, Long.MAX_VALUE)),
                edited(
                        "6.12",
                        "sectionNameOutside",
                        "Invalid ELF section name in module (section " + strtab + " type 3)",
                        (file, array) -> file.putInt(Kos.header(array, strtab), -1)),
                edited(
                        "6.12",
                        "severalModinfo",
                        "Only one .modinfo section must exist.",
                        secondModinfo),
                edited(
                        "6.6",
                        "severalModinfo",
                        "Only one .modinfo section must exist.",
                        secondModinfo),
                edited(
                        "6.12",
                        "noSymbols",
                        "small: module has no symbols (stripped?)",
                        (file, array) -> file.putInt(Kos.header(array, symtab) + 4, 1)),
                edited(
                        "6.12",
                        "noSymbols",
                        "small: module has no symbols (stripped?)",
                        (file, array) ->
                                file.putInt(Kos.header(array, text) + 4, 2)
                                        .putInt(Kos.header(array, text) + 40, strtab)),
                edited(
                        "6.6",
                        "severalThisModules",
                        "module small: Only one .gnu.linkonce.this_module section must exist.",
                        secondStructure),
                edited(
                        "6.6",
                        "severalThisModules",
                        "module small: Only one .gnu.linkonce.this_module section must exist.",
                        (file, array) -> file.putInt(Kos.header(array, structure) + 4, 8)),
                edited(
                        "6.12",
                        "notOneThisModule",
                        "module small: Exactly one .gnu.linkonce.this_module section must exist.",
                        secondStructure),
                edited(
                        "6.12",
                        "notOneThisModule",
                        "module (missing .modinfo section or name field): Exactly one "
                                + ".gnu.linkonce.this_module section must exist.",
                        (file, array) -> {
                            file.putInt(Kos.header(array, structure), 0);
                            file.putInt(Kos.header(array, modinfo), 0);
                        }),
                edited(
                        "6.12",
                        "thisModuleWithoutContents",
                        "module small: .gnu.linkonce.this_module section must have a size set",
                        (file, array) -> file.putInt(Kos.header(array, structure) + 4, 8)),
                edited(
                        "6.12",
                        "thisModuleNotAllocated",
                        "module small: .gnu.linkonce.this_module must occupy memory during process"
                                + " execution",
                        (file, array) -> file.putLong(Kos.header(array, structure) + 8, 1)),
                new Scenario(
                        "thisModuleSize",
                        KoReader.of(
                                Architectures.X86_64,
                                KernelConfig.linux6_12().toBuilder()
                                        .structModuleSize(OptionalLong.of(1))
                                        .build()),
                        Kos.small(),
                        Errno.ENOEXEC,
                        "module small: .gnu.linkonce.this_module section size must match the "
                                + "kernel's built struct module size at run time"));
    }

    private static List<Scenario> strings() {
        int strtab = index(".strtab");
        ModuleImage image = KoReader.read(Kos.small());
        int stringsAt = (int) image.section(strtab).offset();
        int last = stringsAt + (int) image.section(strtab).size() - 1;
        int symbolsAt = (int) image.section(image.symbolSection()).offset();
        return List.of(
                edited(
                        "6.13",
                        "emptyStringTable",
                        "empty symbol string table",
                        (file, array) -> file.putLong(Kos.header(array, strtab) + 32, 0)),
                edited(
                        "6.13",
                        "stringTableBeginning",
                        "symbol string table missing leading NUL",
                        (file, array) -> file.put(stringsAt, (byte) 'x')),
                edited(
                        "6.13",
                        "stringTableUnterminated",
                        "symbol string table isn't NUL terminated",
                        (file, array) -> file.put(last, (byte) 'x')),
                edited(
                        "6.13",
                        "symbolNameOutside",
                        "symbol name out of bounds in string table",
                        (file, array) -> file.putInt(symbolsAt + 24, last + 1 - stringsAt)),
                versions("extended version crc+name presence does not match", 4, -1)
                        .named("extendedVersionsIncomplete"),
                versions("extended version crc+name presence does not match", -1, 4)
                        .named("extendedVersionsIncomplete"),
                versions("more extended version crcs than names", 16, 6)
                        .named("extendedVersionsWithoutNames"));
    }

    /** A module with so many bytes of CRCs, and of names, which are of one letter; −1 for none. */
    private static Scenario versions(String dmesg, int crcs, int names) {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true).name("small");
        builder.section(Section.progbits(".text", 6, 16, Bytes.copyOf(new byte[32])));
        if (crcs >= 0) {
            builder.section(
                    Section.progbits("__version_ext_crcs", 2, 4, Bytes.copyOf(new byte[crcs])));
        }
        if (names >= 0) {
            builder.section(
                    Section.progbits(
                            "__version_ext_names",
                            2,
                            1,
                            Bytes.wrap("a\0".repeat(names / 2).getBytes(ISO_8859_1))));
        }
        return new Scenario(
                        "", KoReader.any(), KoWriter.write(builder.build()), Errno.ENOEXEC, dmesg)
                .by("6.14");
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
        LogLevel level = scenario.failure().equals("noSymbols") ? LogLevel.WARNING : LogLevel.ERR;
        assertThat(failure.lines()).allMatch(line -> line.level() == level);
    }

    @ParameterizedTest
    @ValueSource(strings = {"3.10", "5.18", "6.1", "6.6", "6.12", "6.13", "6.14"})
    void theFileThatIsEditedIsValidOnEveryKernel(String release) {
        KernelConfig config = KernelConfig.linux6_1().toBuilder().release(release).build();
        KoReader reader = KoReader.of(Architectures.X86_64, config);
        assertThat(reader.readImage(Bytes.copyOf(Kos.small())))
                .isEqualTo(KoReader.read(Kos.small()));
        Scenario versions = versions("", 12, 6);
        assertThat(reader.readImage(Bytes.wrap(versions.file())).name()).contains("small");
    }

    private static final Set<String> REFUSED_BY_6_1 =
            Set.of("wrongLink", "wrongNameIndex", "sectionBeyondEnd", "sectionNameOutside");

    @Test
    void aKernelTakesWhatItDoesNotLookAt() {
        assertThat(Stream.concat(unique().stream(), strings().stream()))
                .filteredOn(scenario -> !REFUSED_BY_6_1.contains(scenario.failure()))
                .noneMatch(scenario -> isRefused(scenario.by("6.1")));
        assertThat(strings())
                .filteredOn(scenario -> !scenario.failure().startsWith("extended"))
                .noneMatch(scenario -> isRefused(scenario.by("6.12")));
        assertThat(Stream.concat(names().stream(), sections().stream()))
                .filteredOn(scenario -> !REFUSED_BY_3_10.contains(scenario.failure()))
                .noneMatch(scenario -> isRefused(scenario.by("3.10")));
    }

    private static final Set<String> REFUSED_BY_3_10 =
            Set.of(
                    "wrongNameIndex",
                    "nameTableBeyondEnd",
                    "sectionBeyondEnd",
                    "sectionNameOutside",
                    "nameBeyondEnd");

    private static boolean isRefused(Scenario scenario) {
        try {
            scenario.reader().readImage(Bytes.copyOf(scenario.file()));
            return false;
        } catch (LoadException e) {
            return true;
        }
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void aFailureIsExplainedBeyondWhatItsErrorMeans(Scenario scenario) {
        LoadException failure =
                catchThrowableOfType(
                        LoadException.class,
                        () -> scenario.reader().readImage(Bytes.copyOf(scenario.file())));
        assertExplained(failure);
    }

    private static void assertExplained(LoadException failure) {
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

    // ---- system calls ----

    /** A call that fails, on which kernel, and what it says. */
    private record Call(
            String failure,
            KernelConfig config,
            UnaryOperator<SystemCalls> caller,
            Function<SystemCalls, SystemCalls.Result> call,
            Errno errno,
            List<LogLine> lines) {
        Call on(KernelConfig other) {
            return new Call(failure, other, caller, call, errno, lines);
        }

        Call by(UnaryOperator<SystemCalls> other) {
            return new Call(failure, config, other, call, errno, lines);
        }

        @Override
        public String toString() {
            return failure + ": " + errno + " " + lines;
        }
    }

    private static Call call(
            String failure,
            Function<SystemCalls, SystemCalls.Result> call,
            Errno errno,
            LogLine... lines) {
        return new Call(
                failure, config("6.1").build(), caller -> caller, call, errno, List.of(lines));
    }

    private static Call init(String failure, byte[] file, Errno errno, LogLine... lines) {
        return call(failure, calls -> calls.initModule(file, ""), errno, lines);
    }

    private static Call finit(String failure, byte[] file, int flags, Errno errno, LogLine line) {
        return call(failure, calls -> inFile(file, calls, flags), errno, line);
    }

    private static SystemCalls.Result inFile(byte[] file, SystemCalls calls, int flags) {
        try {
            Path path = Files.createTempFile("koloader", ".ko");
            try {
                Files.write(path, file);
                return calls.finitModule(path, flags, "");
            } finally {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static SystemCalls.Result opened(SystemCalls calls, OpenOption... options) {
        try {
            Path path = Files.createTempFile("koloader", ".ko");
            try {
                Files.write(path, Kos.small());
                try (FileChannel channel = FileChannel.open(path, options)) {
                    return calls.finitModule(channel, 0, "");
                }
            } finally {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static KernelConfig.Builder config(String release) {
        return KernelConfig.linux6_1().toBuilder().release(release).checkVermagic(false);
    }

    private static LogLine line(LogLevel level, String text) {
        return new LogLine(level, text);
    }

    private static LogLine error(String text) {
        return line(LogLevel.ERR, text);
    }

    static Stream<Call> calls() {
        return Stream.of(wrongCalls(), wrongFiles(), packedFiles(), signatures())
                .flatMap(List::stream);
    }

    private static List<Call> wrongCalls() {
        byte[] module = Kos.small();
        String longName = "m".repeat(56);
        return List.of(
                init("notPermitted", module, Errno.EPERM).by(SystemCalls::withoutCapability),
                init("notPermitted", module, Errno.EPERM)
                        .on(config("6.1").modulesDisabled(true).build()),
                call(
                        "notPermitted",
                        calls -> calls.withoutCapability().deleteModule("", 0),
                        Errno.EPERM),
                call(
                        "notPermitted",
                        calls -> calls.withoutCapability().finitModule(Path.of("/"), 99, ""),
                        Errno.EPERM),
                init("shorterThanHeader", Arrays.copyOf(module, 63), Errno.ENOEXEC),
                init("shorterThanHeader", new byte[0], Errno.ENOEXEC),
                call("shorterThanHeader", calls -> calls.initModule(null, 9, ""), Errno.ENOEXEC),
                call("noMemory", calls -> calls.initModule(module, -1, ""), Errno.ENOMEM),
                call("noMemory", calls -> calls.initModule(null, 1L << 40, ""), Errno.ENOMEM),
                call("badPointer", calls -> calls.initModule(null, ""), Errno.EFAULT),
                call("badPointer", calls -> calls.initModule(null, 64, ""), Errno.EFAULT),
                call(
                        "badPointer",
                        calls -> calls.initModule(module, module.length + 1, ""),
                        Errno.EFAULT),
                call("badPointer", calls -> calls.deleteModule(null, 0), Errno.EFAULT),
                call("nameTooLong", calls -> calls.deleteModule(longName, 0), Errno.ENOENT),
                call("unknownFlags", calls -> inFile(module, calls, 8), Errno.EINVAL),
                call("unknownFlags", calls -> inFile(module, calls, 12), Errno.EINVAL),
                call("unknownFlags", calls -> inFile(module, calls, 4), Errno.EINVAL)
                        .on(config("5.16").moduleCompression("xz").build()),
                call(
                        "unknownFlags",
                        calls -> calls.finitModule((FileChannel) null, -1, ""),
                        Errno.EINVAL));
    }

    private static List<Call> wrongFiles() {
        return List.of(
                call(
                        "badDescriptor",
                        calls -> calls.finitModule((FileChannel) null, 0, ""),
                        Errno.EBADF),
                call(
                                "badDescriptor",
                                calls -> calls.finitModule((FileChannel) null, 0, ""),
                                Errno.ENOEXEC)
                        .on(config("3.10").build()),
                call(
                        "badDescriptor",
                        calls -> opened(calls, StandardOpenOption.WRITE),
                        Errno.EBADF),
                call(
                        "openForWriting",
                        calls -> opened(calls, StandardOpenOption.READ, StandardOpenOption.WRITE),
                        Errno.ETXTBSY),
                call("notRegular", calls -> calls.finitModule(Path.of("/"), 0, ""), Errno.EINVAL),
                call("empty", calls -> inFile(new byte[0], calls, 0), Errno.EINVAL),
                call("fileTooLarge", calls -> sparse(calls, 1L << 31), Errno.EFBIG),
                call("noMemory", calls -> sparse(calls, (1L << 31) - 1), Errno.ENOMEM),
                call(
                        "unreadable",
                        calls -> calls.finitModule(Path.of("/there/is/none.ko"), 0, ""),
                        Errno.ENOENT));
    }

    private static SystemCalls.Result sparse(SystemCalls calls, long size) {
        try {
            Path path = Files.createTempFile("koloader", ".ko");
            try {
                try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
                    channel.write(ByteBuffer.allocate(1), size - 1);
                }
                return calls.finitModule(path, 0, "");
            } finally {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<Call> packedFiles() {
        byte[] module = Kos.small();
        byte[] zstd = Zstd.compress(module);
        byte[] brokenZstd = zstd.clone();
        Arrays.fill(brokenZstd, 12, brokenZstd.length, (byte) 0xff);
        byte[] gzip = gzip(module);
        byte[] brokenGzip = gzip.clone();
        Arrays.fill(brokenGzip, 10, 20, (byte) 0xff);
        byte[] unendingName = Arrays.copyOf(gzip, 12);
        unendingName[3] = 8;
        Arrays.fill(unendingName, 10, 12, (byte) 'n');
        KernelConfig forGzip = config("6.1").moduleCompression("gzip").build();
        KernelConfig forXz = config("6.1").moduleCompression("xz").build();
        KernelConfig forZstd = config("6.12").moduleCompression("zstd").build();
        return List.of(
                call("cannotDecompress", calls -> inFile(module, calls, 4), Errno.EOPNOTSUPP),
                finit("notCompressed", module, 4, EINVAL, error("not an xz compressed module"))
                        .on(forXz),
                finit("notCompressed", module, 4, EINVAL, error("not a gzip compressed module"))
                        .on(forGzip),
                finit(
                                "notCompressed",
                                unendingName,
                                4,
                                EINVAL,
                                error("not a gzip compressed module"))
                        .on(forGzip),
                finit("notCompressed", module, 4, EINVAL, error("not a zstd compressed module"))
                        .on(forZstd),
                finit(
                                "decompressionStatus",
                                Arrays.copyOf(gzip, gzip.length / 2),
                                4,
                                EINVAL,
                                error("decompression failed with status -5"))
                        .on(forGzip),
                finit(
                                "decompressionStatus",
                                brokenGzip,
                                4,
                                EINVAL,
                                error("decompression failed with status -3"))
                        .on(forGzip),
                finit(
                                "zstdHeader",
                                Arrays.copyOf(zstd, 5),
                                4,
                                EINVAL,
                                error("ZSTD-compressed data has an incomplete frame header"))
                        .on(forZstd),
                finit(
                                "zstdStatus",
                                brokenZstd,
                                4,
                                EINVAL,
                                error("ZSTD-decompression failed with status 20"))
                        .on(forZstd));
    }

    private static List<Call> signatures() {
        Bytes module = Bytes.wrap(Kos.small());
        byte[] signed = SigningKeys.RSA.signer().sign(module).toByteArray();
        int information = signed.length - 40;
        byte[] changed = signed.clone();
        changed[100] ^= 1;
        byte[] attributes = signed.clone();
        attributes[information] = 1;
        byte[] unending = signed.clone();
        unending[information + 8] = 1;
        byte[] pgp = signed.clone();
        pgp[information + 2] = 0;
        byte[] garbage = signed.clone();
        Arrays.fill(garbage, module.size(), information, (byte) 0);
        UnaryOperator<SystemCalls> trusting = calls -> calls.trusting(SigningKeys.RSA.trusted());
        KernelConfig enforcing = config("6.1").sigEnforce(true).build();
        KernelConfig lockedDown = config("6.1").lockdown(true).build();
        String hash = Hashing.sha256().hashBytes(signed).toString();
        return List.of(
                init("badSignature", changed, Errno.EKEYREJECTED).by(trusting),
                init("badSignature", garbage, Errno.EBADMSG),
                init("badSignature", unending, Errno.EBADMSG),
                init(
                        "signatureInformation",
                        attributes,
                        Errno.EBADMSG,
                        error("module: PKCS#7 signature info has unexpected non-zero params")),
                init(
                                "blacklistedHash",
                                signed,
                                Errno.EKEYREJECTED,
                                error("Module hash " + hash + " is blacklisted"))
                        .by(
                                calls ->
                                        calls.trusting(
                                                SigningKeys.RSA
                                                        .trusted()
                                                        .blacklisting(
                                                                Bytes.wrap(
                                                                        Hashing.sha256()
                                                                                .hashBytes(signed)
                                                                                .asBytes())))),
                init(
                                "unsignedRejected",
                                module.toByteArray(),
                                Errno.EKEYREJECTED,
                                line(LogLevel.NOTICE, "Loading of unsigned module is rejected"))
                        .on(enforcing),
                init(
                                "unsignedRejected",
                                signed,
                                Errno.EKEYREJECTED,
                                line(
                                        LogLevel.NOTICE,
                                        "Loading of module with unavailable key is rejected"))
                        .on(enforcing),
                init(
                                "unsignedRejected",
                                pgp,
                                Errno.EKEYREJECTED,
                                error("module: not signed with expected PKCS#7 message"),
                                line(
                                        LogLevel.NOTICE,
                                        "Loading of module with unsupported crypto is rejected"))
                        .on(enforcing),
                finit(
                                "unsignedRejected",
                                signed,
                                1,
                                Errno.EKEYREJECTED,
                                line(LogLevel.NOTICE, "Loading of unsigned module is rejected"))
                        .on(enforcing)
                        .by(trusting),
                init("unsignedRejectedSilently", module.toByteArray(), Errno.ENOKEY)
                        .on(config("3.10").sigEnforce(true).build()),
                init(
                                "lockedDown",
                                module.toByteArray(),
                                Errno.EPERM,
                                line(
                                        LogLevel.NOTICE,
                                        "Lockdown: init: unsigned module loading is restricted; see"
                                                + " man kernel_lockdown.7"))
                        .on(lockedDown),
                init(
                                "lockedDown",
                                signed,
                                Errno.EPERM,
                                line(
                                        LogLevel.NOTICE,
                                        "Lockdown: insmod: unsigned module loading is restricted;"
                                                + " see man kernel_lockdown.7"))
                        .on(lockedDown)
                        .by(calls -> calls.named("insmod")));
    }

    @ParameterizedTest
    @MethodSource("calls")
    void aCallThatFailsHasItsErrnoAndItsLinesAndChangesNothing(Call scenario) {
        Kernel kernel = Kernel.builder(Architectures.X86_64).config(scenario.config()).build();
        kernel.log().printk(LogLevel.INFO, "before");
        SystemCalls calls = scenario.caller().apply(SystemCalls.of(kernel));
        SystemCalls.Result result = scenario.call().apply(calls);
        assertThat(result.failure()).isPresent();
        assertThat(result.failure().get().errno()).isEqualTo(scenario.errno());
        assertThat(result.errno()).isEqualTo(scenario.errno().number());
        assertThat(result.lines()).isEqualTo(scenario.lines());
        assertThat(kernel.log().entries()).hasSize(1 + scenario.lines().size());
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
        assertThat(kernel.taints()).isEmpty();
        assertExplained(result.failure().get());
    }

    private static Diagnosis diagnosis(Call scenario) {
        Kernel kernel = Kernel.builder(Architectures.X86_64).config(scenario.config()).build();
        SystemCalls calls = scenario.caller().apply(SystemCalls.of(kernel));
        return scenario.call().apply(calls).failure().orElseThrow().diagnosis();
    }

    @Test
    void aSignatureThatIsRefusedIsExplainedWithItsReasonAndItsSigner() {
        List<Diagnosis> rejected =
                signatures().stream()
                        .filter(call -> call.failure().equals("unsignedRejected"))
                        .map(ElfFailuresTest::diagnosis)
                        .toList();
        assertThat(rejected).hasSize(4);
        assertThat(rejected.get(0).cause())
                .isEqualTo(
                        "The module has no signature, and this kernel takes only signed modules"
                                + " (module.sig_enforce).");
        assertThat(rejected.get(1).cause())
                .startsWith("The module is signed by a key that the kernel does not trust, and")
                .contains(" signed by `", "key id `");
        assertThat(rejected.get(1).advice()).contains("mokutil --import");
        assertThat(rejected.get(2).cause()).contains("does not know");
        assertThat(rejected.get(3).cause()).contains("a flag to ignore versions", "key id `");
        List<Diagnosis> bad =
                signatures().stream()
                        .filter(call -> call.failure().equals("badSignature"))
                        .map(ElfFailuresTest::diagnosis)
                        .toList();
        assertThat(bad.get(0).cause()).contains("changed after it was signed", "key id `");
        assertThat(bad.get(1).cause()).contains("cannot be parsed").doesNotContain("key id");
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
        calls().map(Call::failure).forEach(provoked::add);
        provoked.add("noMemory"); // by the test above
        assertThat(provoked).isEqualTo(methods);
    }
}

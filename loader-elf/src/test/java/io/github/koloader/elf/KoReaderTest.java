package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.ParameterEntry;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.ThisModule;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class KoReaderTest {
    private static final List<String> REAL =
            List.of(
                    "x86_64/hello.ko",
                    "x86_64/exporter.ko",
                    "x86_64/importer.ko",
                    "x86_64/params.ko",
                    "x86_64/percpu.ko",
                    "x86_64/extable.ko",
                    "x86_64/sections.ko",
                    "x86_64/weakref.ko");

    private static LoadException refusal(Bytes bytes) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> KoReader.any().readImage(bytes));
        assertThat(refusal).as("refused").isNotNull();
        return refusal;
    }

    private static LoadException refusal(byte[] bytes) {
        return refusal(Bytes.copyOf(bytes));
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
            out.write(bytes);
        }
        return packed.toByteArray();
    }

    // ---- real files ----

    @Test
    void aRealModuleHasItsSectionsSymbolsAndModinfo() {
        byte[] file = Kos.real("x86_64/hello.ko");
        ModuleImage image = KoReader.read(file);
        assertThat(image.machine()).isEqualTo(62);
        assertThat(image.encoding()).isEqualTo(Encoding.ELF64_LSB);
        assertThat(image.fileSize()).isEqualTo(file.length);
        assertThat(image.sections()).hasSize(Kos.edit(file).getShort(60));
        assertThat(image.name()).contains("hello");
        assertThat(image.modinfo().first("license")).isPresent();
        assertThat(image.buildId()).isPresent();
        assertThat(image.versions().indexOf("module_layout")).isNotNegative();
        int init = image.symbols().indexOf("init_module");
        assertThat(image.symbols().type(init)).isEqualTo(Symbol.FUNC);
        assertThat(image.section(image.symbols().sectionIndex(init)).name())
                .startsWith(".init.text");
    }

    @Test
    void theEntriesOfRealModulesAreFoundInBothWays() {
        for (String name : REAL) {
            ModuleImage image = KoReader.read(Kos.real(name));
            ThisModule structure = image.thisModule().orElseThrow();
            assertThat(structure.init().map(entry -> image.symbols().name(entry.symbolIndex())))
                    .as(name)
                    .isEqualTo(
                            image.symbols().indexOf("init_module") < 0
                                    ? Optional.empty()
                                    : Optional.of("init_module"));
            assertThat(image.entryDisagreements()).as(name).isEmpty();
        }
    }

    @Test
    void symbolValuesLieInTheirSections() {
        for (String name : REAL) {
            ModuleImage image = KoReader.read(Kos.real(name));
            for (int i = 1; i < image.symbols().count(); i++) {
                if (image.symbols().place(i) instanceof Symbol.InSection in) {
                    assertThat(image.symbols().value(i) + image.symbols().size(i))
                            .as(name + " " + image.symbols().name(i))
                            .isLessThanOrEqualTo(image.section(in.index()).size());
                }
            }
        }
    }

    @Test
    void theExportsOfARealModuleAreKnown() {
        assertThat(KoReader.read(Kos.real("x86_64/exporter.ko")).exports())
                .isNotEmpty()
                .allMatch(export -> export.crc().isPresent());
    }

    @ParameterizedTest
    @ValueSource(strings = {"gz", "xz", "zst"})
    void packedModulesReadAsThePlainOne(String suffix) {
        assertThat(KoReader.read(Kos.real("x86_64/hello.ko." + suffix)))
                .isEqualTo(KoReader.read(Kos.real("x86_64/hello.ko")));
    }

    @Test
    void everyRealModuleLoadsIntoAPermissiveKernel() {
        for (String tree : new String[] {"x86_64", "x86_64-6.12", "arm64", "arm64-6.12"}) {
            KernelConfig config =
                    (tree.endsWith("6.12") ? KernelConfig.linux6_12() : KernelConfig.linux6_1())
                            .toBuilder().checkVermagic(false).build();
            for (String name :
                    new String[] {
                        "hello", "exporter", "importer", "sections", "percpu", "extable"
                    }) {
                ModuleImage image = KoReader.read(Kos.real(tree + "/" + name + ".ko"));
                Architecture architecture =
                        Architectures.forMachine(image.machine(), image.encoding()).orElseThrow();
                Kernel kernel = Kernel.builder(architecture).config(config).build();
                Module module = kernel.load(image, "");
                assertThat(module.name()).isEqualTo(name);
                assertThat(module.relocationCount()).isPositive();
                kernel.forceUnload(name);
                assertThat(kernel.memory().regions()).isEmpty();
            }
        }
    }

    // ---- what Linux does not look at ----

    @ParameterizedTest
    @CsvSource({"4, 0", "4, 1", "4, 255", "5, 0", "5, 2", "6, 9", "7, 77", "20, 9", "52, 1"})
    void headerBytesThatTheKernelIgnoresMayHoldAnything(int offset, int value) {
        byte[] file = Kos.small();
        ModuleImage whole = KoReader.read(file);
        file[offset] = (byte) value;
        assertThat(KoReader.read(file)).isEqualTo(whole);
        assertThat(KoReader.of(Architectures.X86_64).readImage(Bytes.copyOf(file)))
                .isEqualTo(whole);
    }

    @Test
    void bytesBehindTheSectionHeadersAreIgnored() {
        byte[] file = Kos.small();
        assertThat(KoReader.read(Arrays.copyOf(file, file.length + 100)))
                .isEqualTo(KoReader.read(file));
    }

    @Test
    void aSectionWithoutMemoryMayLieAnywhere() {
        byte[] file = Kos.small();
        Kos.edit(file).putLong(Kos.header(file, ".bss") + 24, -1);
        assertThat(KoReader.read(file).section(".bss").orElseThrow().offset()).isEqualTo(-1);
    }

    @Test
    void sectionTypesThatNobodyKnowsAreKept() {
        byte[] file = Kos.small();
        Kos.edit(file).putInt(Kos.header(file, ".text") + 4, 0x70000001);
        assertThat(KoReader.read(file).section(".text").orElseThrow().type())
                .isEqualTo(new SectionType(0x70000001));
    }

    @Test
    void theArchitectureOfAFileGoesByItsMachine() {
        assertThat(KoReader.architectureOf(Bytes.copyOf(Kos.small())))
                .contains(Architectures.X86_64);
        assertThat(
                        KoReader.architectureOf(
                                Bytes.copyOf(
                                        KoWriter.write(
                                                Kos.image(
                                                        Kos.NO_MACHINE,
                                                        Encoding.ELF32_MSB,
                                                        true)))))
                .isEmpty();
        assertThat(KoReader.architectureOf(Bytes.copyOf(new byte[64]))).isEmpty();
        assertThat(KoReader.architectureOf(Bytes.EMPTY)).isEmpty();
    }

    // ---- limits and damage ----

    @ParameterizedTest
    @ValueSource(strings = {"hello.ko", "hello.ko.gz", "hello.ko.xz", "hello.ko.zst"})
    void moreBytesThanTheLimitAreRefused(String name) {
        int size = Kos.real("x86_64/hello.ko").length;
        Bytes file = Bytes.copyOf(Kos.real("x86_64/" + name));
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () -> KoReader.any().withLimit(size - 1).readImage(file));
        assertThat(refusal.errno()).isEqualTo(Errno.EFBIG);
        assertThat(KoReader.any().withLimit(size).readImage(file).name()).contains("hello");
    }

    @Test
    void aSmallFileThatUnpacksToMuchIsRefused() throws IOException {
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                KoReader.any()
                                        .withLimit(1 << 20)
                                        .readImage(Bytes.copyOf(gzip(new byte[1 << 24]))));
        assertThat(refusal.errno()).isEqualTo(Errno.EFBIG);
    }

    @ParameterizedTest
    @ValueSource(strings = {"gz", "xz", "zst"})
    void packedModulesThatBreakOffAreRefused(String suffix) {
        byte[] file = Kos.real("x86_64/hello.ko." + suffix);
        for (int length : new int[] {6, 12, file.length / 2, file.length - 1}) {
            assertThat(refusal(Arrays.copyOf(file, length)).errno()).isEqualTo(Errno.EINVAL);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gz", "xz", "zst"})
    void damagedPackedModulesAreReadOrRefusedAndNothingElse(String suffix) {
        byte[] whole = Kos.real("x86_64/hello.ko." + suffix);
        Random random = new Random(5);
        for (int round = 0; round < 300; round++) {
            byte[] file = whole.clone();
            for (int i = 0; i <= random.nextInt(3); i++) {
                file[random.nextInt(round % 2 == 0 ? 40 : file.length)] = (byte) random.nextInt();
            }
            try {
                KoReader.read(file);
            } catch (LoadException refused) {
                assertThat(refused.errno()).isIn(Errno.EINVAL, Errno.ENOEXEC, Errno.EFBIG);
            }
        }
    }

    @Test
    void everyProperPrefixIsRefused() {
        for (Encoding encoding : new Encoding[] {Encoding.ELF64_LSB, Encoding.ELF32_MSB}) {
            byte[] file =
                    KoWriter.write(
                            Kos.image(encoding.wide() ? 62 : Kos.NO_MACHINE, encoding, true));
            for (int length = 0; length < file.length; length++) {
                assertThat(refusal(Bytes.wrap(file).slice(0, length)).errno())
                        .as("%s bytes", length)
                        .isEqualTo(length == 0 ? Errno.EINVAL : Errno.ENOEXEC);
            }
        }
    }

    /** Damages real files in a way that can be repeated; {@code round} tells what went wrong. */
    @Test
    void damagedModulesAreLoadedOrRefusedAndNothingElse() {
        List<KernelConfig> configs =
                List.of(
                        KernelConfig.linux6_1().toBuilder().checkVermagic(false).cpus(2).build(),
                        KernelConfig.linux6_12().toBuilder().checkVermagic(false).build());
        for (String name : REAL) {
            byte[] whole = Kos.real(name);
            ModuleImage image = KoReader.read(whole);
            Random random = new Random(name.hashCode());
            for (int round = 0; round < 500; round++) {
                byte[] file = whole.clone();
                for (int i = 0; i <= random.nextInt(4); i++) {
                    file[place(random, image, file)] ^= (byte) (1 << random.nextInt(8));
                }
                Kernel kernel =
                        Kernel.builder(Architectures.X86_64)
                                .config(configs.get(round % 2))
                                .memoryLimit(16 << 20)
                                .build();
                try {
                    Module module = kernel.load(KoReader.read(file), "");
                    kernel.forceUnload(module.name());
                } catch (LoadException refused) {
                    assertThat(refused.getMessage()).isNotEmpty();
                } catch (RuntimeException e) {
                    Assertions.fail(name + ", round " + round + ": " + e, e);
                }
                assertThat(kernel.modules()).isEmpty();
                assertThat(kernel.memory().regions()).as("%s, round %s", name, round).isEmpty();
            }
        }
    }

    /** Anywhere, in the headers, in symbols or in relocations: where damage is noticed. */
    private static int place(Random random, ModuleImage image, byte[] file) {
        int headers = Kos.header(file, 0);
        return switch (random.nextInt(6)) {
            case 0 -> random.nextInt(file.length);
            case 1 -> random.nextInt(64);
            case 2 -> within(random, image, image.symbolSection());
            case 3 ->
                    within(
                            random,
                            image,
                            image.relocations()
                                    .get(random.nextInt(image.relocations().size()))
                                    .section());
            default ->
                    headers >= 0 && headers < whole(file, headers, image)
                            ? headers + random.nextInt(64 * image.sections().size())
                            : random.nextInt(file.length);
        };
    }

    private static int whole(byte[] file, int headers, ModuleImage image) {
        return headers + 64 * image.sections().size() <= file.length ? file.length : 0;
    }

    private static int within(Random random, ModuleImage image, int section) {
        return (int) image.section(section).offset()
                + random.nextInt(Math.max(1, image.section(section).contents().size()));
    }

    // ---- files ----

    @Test
    void aFileIsReadByItsPath(@TempDir Path directory) throws IOException {
        Path file = Files.write(directory.resolve("a.ko"), Kos.small());
        assertThat(KoReader.read(file)).isEqualTo(KoReader.read(Kos.small()));
        assertThat(KoReader.any().unpackedBytes(file)).isEqualTo(Bytes.copyOf(Kos.small()));
    }

    @Test
    void aFileBeyondTheLimitIsNotRead(@TempDir Path directory) throws IOException {
        Path file = Files.write(directory.resolve("a.ko"), Kos.small());
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class, () -> KoReader.any().withLimit(10).readImage(file));
        assertThat(refusal.errno()).isEqualTo(Errno.EFBIG);
    }

    @Test
    void aFileThatIsNotThereIsAnIoException(@TempDir Path directory) {
        Assertions.assertThatThrownBy(() -> KoReader.read(directory.resolve("missing.ko")))
                .isInstanceOf(NoSuchFileException.class);
    }

    @Test
    void theImageDoesNotSeeLaterChangesOfTheArray() {
        byte[] file = Kos.small();
        ModuleImage image = KoReader.read(file);
        Arrays.fill(file, (byte) 0);
        assertThat(image).isEqualTo(KoReader.read(Kos.small()));
    }

    @Test
    void parametersAreReadWithTheSymbolsThatTheyLeadTo() throws IOException {
        var parameters =
                KoReader.read(Path.of("src/test/resources/ko/x86_64/params.ko")).parameters();
        assertThat(parameters)
                .contains(
                        new ParameterEntry("p_int", "param_ops_int", "p_int", 0644, -1, 0),
                        new ParameterEntry("p_unsafe", "param_ops_int", "p_unsafe", 0444, -1, 1));
        assertThat(parameters).extracting(ParameterEntry::name).doesNotContain("").hasSize(24);
    }

    @Test
    void aModuleWithoutParametersHasNone() throws IOException {
        assertThat(KoReader.read(Path.of("src/test/resources/ko/x86_64/hello.ko")).parameters())
                .isEmpty();
    }

    @Test
    void aSectionOfTypeNullWithMemoryIsLoadedAsLinuxDoes() {
        byte[] array = Kos.small();
        ModuleImage before = KoReader.read(array);
        int text = before.sectionIndex(".text");
        ByteBuffer.wrap(array)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(Kos.header(array, text) + 4, SectionType.NULL.code());
        ModuleImage image = KoReader.read(array);
        assertThat(image.section(text).contents()).isEqualTo(before.section(text).contents());
        Module module = Kernel.builder(Architectures.X86_64).build().load(image, "");
        assertThat(module.section(".text").orElseThrow().size())
                .isEqualTo(before.section(text).size());
    }

    // ---- other machines ----

    @ParameterizedTest
    @CsvSource({"4, LITTLE_ENDIAN", "4, BIG_ENDIAN", "8, LITTLE_ENDIAN", "8, BIG_ENDIAN"})
    void filesOfEveryClassAndByteOrderAreRead(int wordSize, String order) {
        for (boolean addends : new boolean[] {false, true}) {
            Encoding encoding =
                    new Encoding(
                            wordSize,
                            order.equals("BIG_ENDIAN")
                                    ? ByteOrder.BIG_ENDIAN
                                    : ByteOrder.LITTLE_ENDIAN);
            ModuleImage image = Kos.image(Kos.NO_MACHINE, encoding, addends);
            ModuleImage read = KoReader.read(KoWriter.write(image));
            assertThat(read).isEqualTo(image);
            assertThat(read.encoding()).isEqualTo(encoding);
            assertThat(read.name()).contains("small");
            assertThat(read.thisModule().orElseThrow().exit()).isPresent();
            assertThat(read.relocations().get(0).hasAddends()).isEqualTo(addends);
        }
    }

    @Test
    void veryManyEmptyGzipMembersAreRefusedOrReadAsEmpty() {
        byte[] member = {0x1f, (byte) 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        ByteBuffer file = ByteBuffer.allocate(40_000 * member.length);
        while (file.hasRemaining()) {
            file.put(member);
        }
        assertThatThrownBy(() -> KoReader.read(file.array())).isInstanceOf(LoadException.class);
    }
}

package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.image.Bytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ObjectReaderTest {
    private static final Path LINK = Path.of("src/test/resources/link");

    @TempDir Path folder;

    private static byte[] hello() throws IOException {
        return Files.readAllBytes(LINK.resolve("x86_64/hello.o"));
    }

    /** A member's header as {@code ar} writes it. */
    private static String header(String name, int size) {
        return "%-16s%-12s%-6s%-6s%-8s%-10d`\n".formatted(name, "0", "0", "0", "644", size);
    }

    private static ByteArrayOutputStream archive(String magic) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(magic.getBytes(ISO_8859_1));
        return bytes;
    }

    private static void add(ByteArrayOutputStream archive, String name, byte[] contents) {
        archive.writeBytes(header(name, contents.length).getBytes(ISO_8859_1));
        archive.writeBytes(contents);
        if ((contents.length & 1) != 0) {
            archive.write('\n');
        }
    }

    private Path file(String name, byte[] bytes) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        return Files.write(file, bytes);
    }

    private Path file(String name, ByteArrayOutputStream bytes) throws IOException {
        return file(name, bytes.toByteArray());
    }

    private static List<String> names(List<ObjectFile> objects) {
        return objects.stream().map(object -> object.name().replaceAll(".*/", "")).toList();
    }

    @Test
    void anObjectNeedNotBeAModule() throws IOException {
        List<ObjectFile> objects = ObjectReader.read(LINK.resolve("x86_64/hello.o"));

        assertThat(names(objects)).containsExactly("hello.o");
        assertThat(objects.get(0).image().section(".initcall6.init")).isPresent();
        assertThat(objects.get(0).image().thisModule()).isEmpty();
    }

    @Test
    void membersOfAnArchiveKeepItsOrder() throws IOException {
        assertThat(names(ObjectReader.read(LINK.resolve("arm64/prel32.a"))))
                .containsExactly(
                        "prel32.a(main.o)",
                        "prel32.a(levels.o)",
                        "prel32.a(drv_a.o)",
                        "prel32.a(drv_b.o)",
                        "prel32.a(drv_c.o)");
    }

    @Test
    void longNamesAndTablesOfSymbolsAreKnown() throws IOException {
        ByteArrayOutputStream archive = archive("!<arch>\n");
        add(archive, "/", new byte[] {0, 0, 0, 0, 1});
        add(archive, "/SYM64/", new byte[8]);
        add(
                archive,
                "//",
                "a_name_of_many_letters.o/\nanother_name_of_many.o/\n".getBytes(ISO_8859_1));
        add(archive, "/26", hello());
        add(archive, "short.o/", hello());
        add(archive, "/0", hello());
        add(archive, "#1/20", bsd("name-before-bytes.o", hello()));

        assertThat(names(ObjectReader.read(file("x.a", archive))))
                .containsExactly(
                        "x.a(another_name_of_many.o)",
                        "x.a(short.o)",
                        "x.a(a_name_of_many_letters.o)",
                        "x.a(name-before-bytes.o)");
    }

    private static byte[] bsd(String name, byte[] contents) {
        byte[] all = Arrays.copyOf(name.getBytes(ISO_8859_1), 20 + contents.length);
        System.arraycopy(contents, 0, all, 20, contents.length);
        return all;
    }

    @Test
    void anEmptyArchiveHasNoObjects() throws IOException {
        assertThat(ObjectReader.read(file("x.a", archive("!<arch>\n")))).isEmpty();
        assertThat(ObjectReader.read(file("y.a", archive("!<thin>\n")))).isEmpty();
    }

    @Test
    void membersOfAThinArchiveLieBesideIt() throws IOException {
        file("drivers/net/one.o", hello());
        file("drivers/two.o", hello());
        ByteArrayOutputStream inner = archive("!<thin>\n");
        add(inner, "//", "one.o/\n".getBytes(ISO_8859_1));
        inner.writeBytes(header("/0", hello().length).getBytes(ISO_8859_1));
        file("drivers/net/built-in.a", inner);
        ByteArrayOutputStream outer = archive("!<thin>\n");
        add(outer, "//", "net/built-in.a/\ntwo.o/\n".getBytes(ISO_8859_1));
        outer.writeBytes(header("/16", hello().length).getBytes(ISO_8859_1));
        outer.writeBytes(header("/0", inner.size()).getBytes(ISO_8859_1));

        List<ObjectFile> objects = ObjectReader.read(file("drivers/built-in.a", outer));

        assertThat(names(objects)).containsExactly("two.o", "one.o");
        assertThat(objects.get(0).image()).isEqualTo(objects.get(1).image());
    }

    @Test
    void aMemberThatIsMissingIsNamed() throws IOException {
        ByteArrayOutputStream thin = archive("!<thin>\n");
        add(thin, "//", "gone.o/\n".getBytes(ISO_8859_1));
        thin.writeBytes(header("/0", 5).getBytes(ISO_8859_1));
        Path archive = file("x.a", thin);

        assertThatThrownBy(() -> ObjectReader.read(archive))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("gone.o");
    }

    @Test
    void aMemberThatIsNoFileIsNotOpened() throws IOException {
        java.nio.file.Files.createDirectories(folder.resolve("pipe.o"));
        ByteArrayOutputStream thin = archive("!<thin>\n");
        add(thin, "//", "pipe.o/\n".getBytes(ISO_8859_1));
        thin.writeBytes(header("/0", 5).getBytes(ISO_8859_1));
        Path archive = file("x.a", thin);

        assertThatThrownBy(() -> ObjectReader.read(archive))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("pipe.o: a member of")
                .hasMessageEndingWith("x.a, and no file");
    }

    @Test
    void filesThatAreNamedAgainAndAgainEndWithAnError() throws IOException {
        file("empty", archive("!<arch>\n"));
        for (String[] names : new String[][] {{"b.a", "empty"}, {"a.a", "b.a"}}) {
            ByteArrayOutputStream thin = archive("!<thin>\n");
            add(thin, "//", (names[1] + "/\n").getBytes(ISO_8859_1));
            for (int i = 0; i < 4000; i++) {
                thin.writeBytes(header("/0", 5).getBytes(ISO_8859_1));
            }
            file(names[0], thin);
        }

        org.junit.jupiter.api.Assertions.assertTimeoutPreemptively(
                java.time.Duration.ofSeconds(60),
                () ->
                        assertThatThrownBy(() -> ObjectReader.read(folder.resolve("a.a")))
                                .isInstanceOf(IOException.class)
                                .hasMessageContaining("the objects have more than"));
    }

    @Test
    void archivesThatHoldEachOtherEndWithAnError() throws IOException {
        for (String[] names : new String[][] {{"a.a", "b.a"}, {"b.a", "a.a"}}) {
            ByteArrayOutputStream thin = archive("!<thin>\n");
            add(thin, "//", (names[1] + "/\n").getBytes(ISO_8859_1));
            thin.writeBytes(header("/0", 5).getBytes(ISO_8859_1));
            file(names[0], thin);
        }

        assertThatThrownBy(() -> ObjectReader.read(folder.resolve("a.a")))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("lie in each other without end");
    }

    @Test
    void archivesInArchivesEndAtSomeDepth() throws IOException {
        byte[] contents = hello();
        for (int i = 0; i < 20; i++) {
            ByteArrayOutputStream archive = archive("!<arch>\n");
            add(archive, "x/", contents);
            contents = archive.toByteArray();
        }
        Path file = file("deep.a", contents);

        assertThatThrownBy(() -> ObjectReader.read(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("lie in each other without end");
    }

    @ParameterizedTest
    @ValueSource(ints = {9, 30, 67, 68, 69, 200})
    void aCutArchiveIsRefusedWithTheOffset(int size) throws IOException {
        ByteArrayOutputStream archive = archive("!<arch>\n");
        add(archive, "x.o/", hello());
        Path file = file("cut.a", Arrays.copyOf(archive.toByteArray(), size));

        assertThatThrownBy(() -> ObjectReader.read(file))
                .isInstanceOf(IOException.class)
                .hasMessageMatching(".*cut\\.a: offset 0x8: .*");
    }

    @Test
    void everyPrefixAndEveryChangedByteOfAnArchiveEndsInObjectsOrAnIoException()
            throws IOException {
        ByteArrayOutputStream whole = archive("!<arch>\n");
        add(whole, "//", "a_name_of_many_letters.o/\n".getBytes(ISO_8859_1));
        add(whole, "/0", new byte[] {1, 2, 3});
        byte[] bytes = whole.toByteArray();
        for (int i = 0; i < bytes.length; i++) {
            read(Arrays.copyOf(bytes, i));
            for (int value : new int[] {0, '/', '9', 0xff}) {
                byte[] changed = bytes.clone();
                changed[i] = (byte) value;
                read(changed);
            }
        }
    }

    private void read(byte[] bytes) throws IOException {
        Path file = file("fuzz.a", bytes);
        try {
            assertThat(ObjectReader.read(file)).isEmpty();
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("fuzz.a");
        }
    }

    @Test
    void whatIsNoObjectIsRefusedByName() throws IOException {
        byte[] linked = hello();
        linked[16] = 2; // ET_EXEC
        Path executable = file("vmlinux", linked);
        Path text = file("notes.o", "these are no machine code".getBytes(ISO_8859_1));
        Path bitcode = file("lto.o", new byte[] {'B', 'C', (byte) 0xc0, (byte) 0xde, 0, 0});

        assertThatThrownBy(() -> ObjectReader.read(executable))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("vmlinux: is no relocatable object");
        assertThatThrownBy(() -> ObjectReader.read(text))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("notes.o: is no relocatable object");
        assertThatThrownBy(() -> ObjectReader.read(bitcode))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("lto.o: is LLVM bitcode");
    }

    @Test
    void bytesCanBeReadWithoutAFile() throws IOException {
        ObjectFile object = ObjectReader.read("hello.o", Bytes.copyOf(hello()));

        assertThat(object.name()).isEqualTo("hello.o");
        assertThat(object.image().machine()).isEqualTo(62);
    }
}

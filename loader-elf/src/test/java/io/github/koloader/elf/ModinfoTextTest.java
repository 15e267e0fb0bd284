package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModinfoTextTest {
    private static final Path RESOURCES = Path.of("src/test/resources");

    private static Bytes module(String name) throws IOException {
        return Bytes.wrap(Files.readAllBytes(RESOURCES.resolve("ko/x86_64").resolve(name)));
    }

    private static String expected(String name) throws IOException {
        return Files.readString(RESOURCES.resolve("modinfo").resolve(name), ISO_8859_1);
    }

    /**
     * The module params with other text in its {@code .modinfo}, which is 1,000 bytes long at
     * least.
     */
    private static ModinfoText withStrings(String... strings) throws IOException {
        byte[] file = module("params.ko").toByteArray();
        int at = new String(file, ISO_8859_1).indexOf("license=");
        Arrays.fill(file, at, at + KoReader.read(file).modinfo().bytes().size(), (byte) 0);
        byte[] text = String.join("\0", strings).getBytes(ISO_8859_1);
        System.arraycopy(text, 0, file, at, text.length);
        return ModinfoText.read(Bytes.wrap(file));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"params", "aliases", "hello-signed", "hello-signed-sha512", "kofix-combo"})
    void everythingIsWhatKmodPrints(String name) throws IOException {
        assertThat(ModinfoText.read(module(name + ".ko")).everything('\n'))
                .isEqualTo(expected(name + ".txt"));
    }

    @Test
    void nulSeparatesTagEqualsValue() throws IOException {
        assertThat(ModinfoText.read(module("params.ko")).everything('\0'))
                .isEqualTo(expected("params.nul.txt"));
    }

    @Test
    void fieldParmGivesParametersWithTypes() throws IOException {
        assertThat(ModinfoText.read(module("params.ko")).field("parm", '\n'))
                .isEqualTo(expected("params.parm.txt"));
    }

    @Test
    void anotherFieldGivesItsValuesAlone() throws IOException {
        ModinfoText text = ModinfoText.read(module("hello-signed.ko"));
        assertThat(text.field("license", '\n')).isEqualTo("Dual MIT/GPL\n");
        assertThat(text.field("sig_hashalgo", '\0')).isEqualTo("sha256\0");
        assertThat(text.field("nosuch", '\n')).isEmpty();
    }

    @Test
    void filenameIsPaddedLikeAField() {
        assertThat(ModinfoText.filename("/a/b.ko", '\n')).isEqualTo("filename:       /a/b.ko\n");
    }

    @Test
    void tagsOfAnyLengthArePaddedAsKmodDoes() throws IOException {
        ModinfoText text =
                withStrings(
                        "fourteencharac=4",
                        "fifteencharacte=5",
                        "sixteencharacter=6",
                        "seventeencharacte=7");
        assertThat(text.everything('\n'))
                .isEqualTo(
                        """
                        fourteencharac: 4
                        fifteencharacte:5
                        sixteencharacter: 6
                        seventeencharacte:  7
                        """);
    }

    @Test
    void stringsWithoutEqualsSignAreTagsWithoutValue() throws IOException {
        assertThat(withStrings("intree").everything('\n')).isEqualTo("intree:         \n");
    }

    @Test
    void bytesThatAreNoTextPassUnchanged() throws IOException {
        assertThat(withStrings("author=\u00ff\u0080\u00e9").field("author", '\n'))
                .isEqualTo("\u00ff\u0080\u00e9\n");
    }

    @Test
    void parametersAreJoinedByNameAndPrintedLastFirst() throws IOException {
        ModinfoText text =
                withStrings("parm=a:first", "parmtype=b:int", "parmtype=a:bool", "parm=c:third");
        assertThat(text.everything('\n'))
                .isEqualTo(
                        """
                        parm:           c:third
                        parm:           b:int
                        parm:           a:first (bool)
                        """);
        assertThat(text.field("parm", '\n')).isEqualTo("c:third\nb: (int)\na:first (bool)\n");
    }

    @Test
    void parametersWithoutColonAreInvalidAndLeftOut() throws IOException {
        ModinfoText text = withStrings("parm=x", "parmtype=y");
        assertThat(text.everything('\n')).isEmpty();
        assertThat(text.invalidParameters()).containsExactly("parm=x", "parmtype=y");
    }

    @Test
    void aFileThatIsNotElfIsRefusedWithEnoexec() {
        assertErrno(Bytes.copyOf("no ELF file, but some text".getBytes(ISO_8859_1)), Errno.ENOEXEC);
    }

    @Test
    void aFileCutBeforeItsSectionHeadersIsRefusedWithEinval() throws IOException {
        assertErrno(module("hello.ko").slice(0, 1000), Errno.EINVAL);
    }

    @Test
    void aFileWithoutModinfoIsRefusedWithEnoent() throws IOException {
        byte[] file = module("hello.ko").toByteArray();
        file[new String(file, ISO_8859_1).indexOf(".modinfo")] = '_';
        assertErrno(Bytes.wrap(file), Errno.ENOENT);
    }

    private static void assertErrno(Bytes file, Errno errno) {
        assertThatThrownBy(() -> ModinfoText.read(file))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Test
    void everyPrefixIsReadOrRefused() throws IOException {
        Bytes file = module("hello-signed.ko");
        for (int size = 0; size < file.size(); size++) {
            Bytes prefix = file.slice(0, size);
            try {
                assertThat(ModinfoText.read(prefix).entries()).isNotEmpty();
            } catch (LoadException e) {
                assertThat(e.errno()).isIn(Errno.ENOEXEC, Errno.EINVAL, Errno.ENOENT);
            }
        }
    }
}

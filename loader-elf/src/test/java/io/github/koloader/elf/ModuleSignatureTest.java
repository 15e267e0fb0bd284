package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.elf.ModuleSignature.Trailer;
import io.github.koloader.image.Bytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModuleSignatureTest {
    private static final Path MODULES = Path.of("src/test/resources/ko/x86_64");
    private static final String MARKER = "~Module signature appended~\n";

    private static Bytes module(String name) throws IOException {
        return Bytes.wrap(Files.readAllBytes(MODULES.resolve(name)));
    }

    /** Something, then a body, then a trailer with these numbers. */
    private static Bytes signed(
            String body, int algorithm, int hash, int idType, int signer, int keyId, int length) {
        return signed(body.getBytes(ISO_8859_1), algorithm, hash, idType, signer, keyId, length);
    }

    private static Bytes signed(
            byte[] body, int algorithm, int hash, int idType, int signer, int keyId, int length) {
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.writeBytes("module".getBytes(ISO_8859_1));
        file.writeBytes(body);
        file.writeBytes(
                new byte[] {
                    (byte) algorithm,
                    (byte) hash,
                    (byte) idType,
                    (byte) signer,
                    (byte) keyId,
                    0,
                    0,
                    0
                });
        file.writeBytes(ByteBuffer.allocate(4).putInt(length).array());
        file.writeBytes(MARKER.getBytes(ISO_8859_1));
        return Bytes.wrap(file.toByteArray());
    }

    private static byte[] pkcs7() throws IOException {
        Bytes file = module("hello-signed.ko");
        Trailer trailer = ModuleSignature.trailer(file).orElseThrow();
        int length = (int) trailer.signatureLength();
        return file.slice((int) trailer.offset() - length, length).toByteArray();
    }

    @Test
    void anUnsignedModuleHasNone() throws IOException {
        assertThat(ModuleSignature.of(module("hello.ko"))).isEmpty();
        assertThat(ModuleSignature.trailer(module("hello.ko"))).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"hello-signed.ko, sha256", "hello-signed-sha512.ko, sha512"})
    void pkcs7NamesIssuerSerialNumberAndHash(String name, String hash) throws Exception {
        ModuleSignature signature = ModuleSignature.of(module(name)).orElseThrow();
        X509Certificate certificate = certificate();
        assertThat(signature.idType()).isEqualTo("PKCS#7");
        assertThat("CN=" + signature.signer().toLatin1())
                .isEqualTo(certificate.getIssuerX500Principal().getName());
        assertThat(signature.keyId().toByteArray())
                .isEqualTo(certificate.getSerialNumber().toByteArray());
        assertThat(signature.hashAlgorithm()).isEqualTo(hash);
        assertThat(signature.signature().size()).isEqualTo(256);
    }

    private static X509Certificate certificate() throws IOException, GeneralSecurityException {
        try (InputStream pem = Files.newInputStream(MODULES.resolve("hello-signed.cert.pem"))) {
            return (X509Certificate)
                    CertificateFactory.getInstance("X.509").generateCertificate(pem);
        }
    }

    @Test
    void theTrailerTellsWhereTheModuleEnds() throws IOException {
        Trailer trailer = ModuleSignature.trailer(module("hello-signed.ko")).orElseThrow();
        assertThat(trailer.offset() - trailer.signatureLength())
                .isEqualTo(module("hello.ko").size());
        assertThat(trailer.idType()).isEqualTo(Trailer.PKCS7);
        assertThat(trailer.padding()).isZero();
    }

    @Test
    void olderKindsHaveSignerAndKeyBeforeTheSignature() {
        ModuleSignature signature =
                ModuleSignature.of(signed("signerKEYsig", 1, 3, 1, 6, 3, 3)).orElseThrow();
        assertThat(signature.idType()).isEqualTo("X509");
        assertThat(signature.signer().toLatin1()).isEqualTo("signer");
        assertThat(signature.keyId().toLatin1()).isEqualTo("KEY");
        assertThat(signature.hashAlgorithm()).isEqualTo("rmd160");
        assertThat(signature.signature().toLatin1()).isEqualTo("sig");
    }

    @ParameterizedTest
    @CsvSource({
        "2, 4, 1, 0, 0, 3", // unknown algorithm
        "1, 9, 1, 0, 0, 3", // unknown hash
        "1, 4, 3, 0, 0, 3", // unknown kind
        "1, 4, 1, 0, 0, 0", // no bytes
        "1, 4, 1, 0, 0, 19", // one more than there are
        "1, 4, 1, 0, 0, -1", // 2^32 - 1
        "1, 4, 1, 255, 255, 3",
        "0, 0, 2, 0, 0, 3" // not PKCS#7
    })
    void aTrailerThatCannotBeRightIsNone(
            int algorithm, int hash, int idType, int signer, int keyId, int length) {
        Bytes file = signed("signerKEYsig", algorithm, hash, idType, signer, keyId, length);
        assertThat(ModuleSignature.of(file)).isEmpty();
        assertThat(ModuleSignature.trailer(file)).isPresent();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", MARKER, "\0\0\0\0\0\0\0\0\0\0\0" + MARKER})
    void aFileTooShortForATrailerHasNone(String text) {
        assertThat(ModuleSignature.trailer(Bytes.wrap(text.getBytes(ISO_8859_1)))).isEmpty();
    }

    @Test
    void everyPrefixOfAMessageIsNone() throws IOException {
        byte[] message = pkcs7();
        for (int size = 1; size < message.length; size++) {
            assertThat(
                            ModuleSignature.of(
                                    signed(Arrays.copyOf(message, size), 0, 0, 2, 0, 0, size)))
                    .isEmpty();
        }
    }

    @Test
    void aMessageWithABitTurnedIsReadOrNone() throws IOException {
        byte[] message = pkcs7();
        for (int bit = 0; bit < 8 * 160; bit++) {
            byte[] changed = message.clone();
            changed[bit / 8] ^= (byte) (1 << bit % 8);
            ModuleSignature.of(signed(changed, 0, 0, 2, 0, 0, changed.length))
                    .ifPresent(signature -> assertThat(signature.signature().isEmpty()).isFalse());
        }
    }

    @Test
    void aMessageNestedAsDeepAsCanBeIsNone() {
        byte[] message = new byte[40_000];
        for (int i = 0; i < message.length; i += 2) {
            message[i] = 0x30;
            message[i + 1] = (byte) 0x80;
        }
        assertThat(ModuleSignature.of(signed(message, 0, 0, 2, 0, 0, message.length))).isEmpty();
    }

    @Test
    void aHashWithoutANameIsNone() throws IOException {
        byte[] message = pkcs7();
        int signerHash =
                new String(message, ISO_8859_1).lastIndexOf("`\u0086H\u0001e\u0003\u0004\u0002");
        message[signerHash + 8] = 0x20;
        assertThat(ModuleSignature.of(signed(message, 0, 0, 2, 0, 0, message.length))).isEmpty();
    }
}

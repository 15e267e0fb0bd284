package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.koloader.KernelVersion;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

final class KoSignerTest {
    private static final Bytes MODULE = Bytes.wrap(Kos.small());
    private static final KernelVersion LINUX_6_12 = new KernelVersion(6, 12);

    @TempDir Path directory;

    @Test
    void theTrailerIsThatOfSignFile() {
        Bytes signed = SigningKeys.RSA.signer().sign(MODULE);
        ModuleSignature signature = ModuleSignature.of(signed).orElseThrow();
        assertThat(signed.slice(0, MODULE.size())).isEqualTo(MODULE);
        assertThat(signature.idType()).isEqualTo("PKCS#7");
        assertThat(signature.signer().toLatin1()).isEqualTo("Test RSA");
        assertThat(signature.hashAlgorithm()).isEqualTo("sha256");
        assertThat(signature.trailer().algorithm()).isZero();
        assertThat(signature.trailer().hash()).isZero();
        assertThat(signature.trailer().padding()).isZero();
        assertThat(signature.trailer().signerLength()).isZero();
        assertThat(signature.trailer().offset() - signature.trailer().signatureLength())
                .isEqualTo(MODULE.size());
    }

    @Test
    void theMessageHasTheFormOfOneThatSignFileMade() {
        Bytes real = Bytes.wrap(Kos.real("x86_64/hello-signed.ko"));
        ModuleSignature.Trailer trailer = ModuleSignature.trailer(real).orElseThrow();
        Bytes theirs =
                real.slice(
                        (int) (trailer.offset() - trailer.signatureLength()),
                        (int) trailer.signatureLength());
        Bytes ours = SigningKeys.RSA.signer().signatureOf(MODULE);
        assertThat(shape(ours)).isEqualTo(shape(theirs));
    }

    /** The message's structure, without the values that differ: name, number, signature. */
    private static List<String> shape(Bytes message) {
        try {
            String dump =
                    org.bouncycastle.asn1.util.ASN1Dump.dumpAsString(
                            org.bouncycastle.asn1.ASN1Primitive.fromByteArray(
                                    message.toByteArray()));
            return dump.lines()
                    .map(line -> line.replaceAll("Integer\\(\\d{2,}\\)", "Integer(n)"))
                    .map(line -> line.replaceAll("(UTF8|Printable)String\\(.*\\)", "name"))
                    .toList();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void theSameModuleGivesTheSameBytes() {
        for (SigningKeys keys : List.of(SigningKeys.RSA, SigningKeys.EC)) {
            assertThat(keys.signer().sign(MODULE)).isEqualTo(keys.signer().sign(MODULE));
        }
    }

    @Test
    void strippingGivesTheModuleBack() {
        Bytes signed = SigningKeys.RSA.signer().sign(MODULE);
        assertThat(KoSigner.strip(signed)).isEqualTo(MODULE);
        assertThat(KoSigner.strip(MODULE)).isSameAs(MODULE);
        Bytes twice = SigningKeys.EC.signer().sign(signed);
        assertThat(KoSigner.strip(twice)).isEqualTo(signed);
        assertThat(KoSigner.strip(Bytes.wrap(Kos.real("x86_64/hello-signed.ko"))).toByteArray())
                .isEqualTo(Kos.real("x86_64/hello.ko"));
    }

    @Test
    void strippingLeavesASignatureAloneThatIsLongerThanTheFile() {
        byte[] signed = SigningKeys.RSA.signer().sign(MODULE).toByteArray();
        signed[signed.length - 32] = 0x7f;
        Bytes file = Bytes.wrap(signed);
        assertThat(KoSigner.strip(file)).isSameAs(file);
    }

    // ---- keys ----

    @Test
    void aKeyAndItsCertificateMayBeInOneFile() throws IOException {
        Path file = directory.resolve("signing_key.pem");
        Files.writeString(
                file,
                SigningKeys.RSA.keyPem().toLatin1() + SigningKeys.RSA.certificatePem().toLatin1(),
                ISO_8859_1);
        assertThat(KoSigner.of(file, file).sign(MODULE))
                .isEqualTo(SigningKeys.RSA.signer().sign(MODULE));
    }

    @Test
    void keysOfOpensslsOldFormsAreRead() throws IOException {
        for (SigningKeys keys : List.of(SigningKeys.RSA, SigningKeys.EC)) {
            PrivateKeyInfo info = PrivateKeyInfo.getInstance(keys.pair().getPrivate().getEncoded());
            String kind = keys == SigningKeys.EC ? "EC PRIVATE KEY" : "RSA PRIVATE KEY";
            byte[] old = info.parsePrivateKey().toASN1Primitive().getEncoded();
            if (keys == SigningKeys.EC) {
                old = withCurve(info);
            }
            KoSigner signer = KoSigner.of(SigningKeys.pem(kind, old), keys.certificate());
            assertThat(signer.sign(MODULE)).isEqualTo(keys.signer().sign(MODULE));
        }
    }

    private static byte[] withCurve(PrivateKeyInfo info) throws IOException {
        org.bouncycastle.asn1.sec.ECPrivateKey key =
                org.bouncycastle.asn1.sec.ECPrivateKey.getInstance(info.parsePrivateKey());
        return new org.bouncycastle.asn1.sec.ECPrivateKey(
                        256, key.getKey(), info.getPrivateKeyAlgorithm().getParameters())
                .getEncoded();
    }

    @Test
    void keysThatCannotBeUsedAreRefused() {
        Bytes key = SigningKeys.RSA.keyPem();
        assertThatIOException()
                .isThrownBy(() -> KoSigner.of(key, SigningKeys.OTHER.certificate()))
                .withMessageContaining("no certificate there is for that private key");
        assertThatIOException()
                .isThrownBy(() -> KoSigner.of(Bytes.EMPTY, SigningKeys.RSA.certificate()))
                .withMessageContaining("no private key");
        assertThatIOException()
                .isThrownBy(
                        () ->
                                KoSigner.of(
                                        SigningKeys.pem("ENCRYPTED PRIVATE KEY", new byte[9]),
                                        SigningKeys.RSA.certificate()))
                .withMessageContaining("encrypted");
        assertThatIOException()
                .isThrownBy(
                        () ->
                                KoSigner.of(
                                        SigningKeys.pem("PRIVATE KEY", new byte[9]),
                                        SigningKeys.RSA.certificate()))
                .withMessageContaining("a private key cannot be read");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SigningKeys.RSA.signer().withHash("md5"));
    }

    // ---- others' opinions ----

    static Stream<KoSigner> signers() {
        return Stream.of(SigningKeys.RSA, SigningKeys.EC)
                .flatMap(
                        keys ->
                                Stream.of("sha1", "sha224", "sha256", "sha384", "sha512")
                                        .map(hash -> keys.signer().withHash(hash)))
                .flatMap(signer -> Stream.of(signer, signer.byKeyId()));
    }

    @ParameterizedTest
    @MethodSource("signers")
    void opensslVerifiesWhatItSigns(KoSigner signer) throws IOException, InterruptedException {
        assumeTrue(opensslIsInstalled(), "openssl is not installed");
        Path content = Files.write(directory.resolve("m.ko"), MODULE.toByteArray());
        Path message =
                Files.write(directory.resolve("m.p7s"), signer.signatureOf(MODULE).toByteArray());
        Path certificates = directory.resolve("certificates.pem");
        Files.writeString(
                certificates,
                SigningKeys.RSA.certificatePem().toLatin1()
                        + SigningKeys.EC.certificatePem().toLatin1());
        List<String> verify =
                List.of(
                        "openssl",
                        "cms",
                        "-verify",
                        "-binary",
                        "-inform",
                        "DER",
                        "-in",
                        message.toString(),
                        "-content",
                        content.toString(),
                        "-certfile",
                        certificates.toString(),
                        "-nointern",
                        "-noverify",
                        "-out",
                        directory.resolve("out").toString());
        assertThat(run(verify)).isZero();
        byte[] changed = MODULE.toByteArray();
        changed[100] ^= 1;
        Files.write(content, changed);
        assertThat(run(verify)).isNotZero();
    }

    private static boolean opensslIsInstalled() {
        return Arrays.stream(System.getenv("PATH").split(":"))
                .anyMatch(place -> Files.isExecutable(Path.of(place, "openssl")));
    }

    private int run(List<String> command) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(directory.resolve("log").toFile())
                        .start();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        return process.exitValue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"sha3-256", "sha3-384", "sha3-512"})
    void kernelsSince6_7VerifySha3(String hash) {
        for (SigningKeys keys : List.of(SigningKeys.RSA, SigningKeys.EC)) {
            Bytes message = keys.signer().withHash(hash).signatureOf(MODULE);
            assertThat(Pkcs7Verifier.verify(keys.trusted(), LINUX_6_12, message, MODULE))
                    .isEqualTo(Pkcs7Verifier.Verdict.VALID);
        }
    }
}

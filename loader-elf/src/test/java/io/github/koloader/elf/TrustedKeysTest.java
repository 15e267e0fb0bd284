package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.koloader.Errno;
import io.github.koloader.KernelVersion;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.elf.Pkcs7Verifier.Verdict;
import io.github.koloader.image.Bytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1Primitive;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1Set;
import org.bouncycastle.asn1.ASN1TaggedObject;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERTaggedObject;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

final class TrustedKeysTest {
    private static final Bytes MODULE = Bytes.wrap(new byte[] {1, 2, 3});
    private static final KernelVersion LINUX_6_1 = new KernelVersion(6, 1);

    @TempDir Path directory;

    // ---- where they come from ----

    @Test
    void certificatesAreReadAsPemOrDerOneOrMany() throws IOException {
        Bytes rsa = SigningKeys.RSA.certificate();
        Bytes ec = SigningKeys.EC.certificate();
        assertThat(TrustedKeys.of(rsa).subjects()).containsExactly("CN=Test RSA");
        assertThat(TrustedKeys.of(join(rsa, ec)).subjects())
                .containsExactly("CN=Test RSA", "CN=Test EC");
        Bytes pem =
                join(
                        SigningKeys.RSA.keyPem(),
                        SigningKeys.RSA.certificatePem(),
                        SigningKeys.EC.certificatePem());
        Path file = Files.write(directory.resolve("keys.pem"), pem.toByteArray());
        assertThat(TrustedKeys.read(file).subjects()).containsExactly("CN=Test RSA", "CN=Test EC");
        assertThat(SigningKeys.RSA.trusted().and(SigningKeys.EC.trusted()).subjects())
                .containsExactly("CN=Test RSA", "CN=Test EC");
        assertThat(TrustedKeys.none().subjects()).isEmpty();
    }

    @Test
    void whatIsNoCertificateIsRefused() {
        assertThatIOException().isThrownBy(() -> TrustedKeys.of(Bytes.EMPTY));
        assertThatIOException().isThrownBy(() -> TrustedKeys.of(SigningKeys.RSA.keyPem()));
        Bytes cut = SigningKeys.RSA.certificate().slice(0, 300);
        assertThatIOException().isThrownBy(() -> TrustedKeys.of(cut));
        assertThatIOException()
                .isThrownBy(
                        () -> TrustedKeys.of(SigningKeys.pem("CERTIFICATE", cut.toByteArray())));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TrustedKeys.none().blacklisting(MODULE));
    }

    private static Bytes join(Bytes... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (Bytes part : parts) {
            all.writeBytes(part.toByteArray());
        }
        return Bytes.wrap(all.toByteArray());
    }

    /** A kernel of 400,000 bytes, somewhere in which a certificate lies. */
    private static byte[] kernel() {
        byte[] kernel = new byte[400_000];
        new Random(1).nextBytes(kernel);
        byte[] certificate = SigningKeys.RSA.certificate().toByteArray();
        System.arraycopy(certificate, 0, kernel, 123_456, certificate.length);
        return kernel;
    }

    @ParameterizedTest
    @ValueSource(strings = {"plain", "gzip", "xz", "zstd"})
    void certificatesAreFoundInAKernelHoweverItIsPacked(String format) throws IOException {
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.write("something to boot with".getBytes());
        try (OutputStream packed =
                switch (format) {
                    case "gzip" -> new GZIPOutputStream(file);
                    case "xz" -> new XZOutputStream(file, new LZMA2Options(0));
                    case "zstd" -> new com.github.luben.zstd.ZstdOutputStream(file);
                    default -> file;
                }) {
            packed.write(kernel());
        }
        file.write("and its size".getBytes());
        Path vmlinuz = Files.write(directory.resolve("vmlinuz"), file.toByteArray());
        assertThat(TrustedKeys.builtInto(vmlinuz).subjects()).containsExactly("CN=Test RSA");
    }

    @Test
    void whatABootFileIsSignedWithForTheFirmwareIsNotTrusted() throws IOException {
        byte[] kernel = kernel();
        byte[] signer = SigningKeys.OTHER.certificate().toByteArray();
        byte[] file = java.util.Arrays.copyOf(kernel, kernel.length + signer.length);
        System.arraycopy(signer, 0, file, kernel.length, signer.length);
        ByteBuffer edit = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        edit.put(0, (byte) 'M').put(1, (byte) 'Z').putInt(0x3c, 0x80).putInt(0x80, 0x4550);
        edit.putShort(0x80 + 24, (short) 0x20b).putInt(0x80 + 24 + 112 + 32, kernel.length);
        Path vmlinuz = Files.write(directory.resolve("vmlinuz"), file);
        assertThat(TrustedKeys.builtInto(vmlinuz).subjects()).containsExactly("CN=Test RSA");
    }

    @Test
    void aFileWithoutCertificatesHasNone() throws IOException {
        Path file = Files.write(directory.resolve("none"), new byte[1000]);
        assertThat(TrustedKeys.builtInto(file).subjects()).isEmpty();
    }

    // ---- what is verified with them ----

    private static Verdict verify(TrustedKeys keys, ASN1Encodable message) throws IOException {
        return Pkcs7Verifier.verify(
                keys, LINUX_6_1, Bytes.wrap(message.toASN1Primitive().getEncoded()), MODULE);
    }

    private static Verdict verdict(Errno errno) {
        return new Verdict(Optional.of(errno), Optional.empty());
    }

    private static Verdict verdict(Errno errno, LogLevel level, String text) {
        return new Verdict(Optional.of(errno), Optional.of(new LogLine(level, text)));
    }

    /** The message of a signer, taken apart: its data can be changed and put together again. */
    private static ASN1Encodable[] data(KoSigner signer) throws IOException {
        ASN1Sequence outer = ASN1Sequence.getInstance(signer.signatureOf(MODULE).toByteArray());
        return ASN1Sequence.getInstance(
                        ASN1TaggedObject.getInstance(outer.getObjectAt(1)).getExplicitBaseObject())
                .toArray();
    }

    private static DERSequence message(ASN1Encodable... data) {
        return sequence(
                PKCSObjectIdentifiers.signedData,
                new DERTaggedObject(true, 0, new DERSequence(data)));
    }

    private static DERSequence sequence(ASN1Encodable... parts) {
        return new DERSequence(parts);
    }

    private static ASN1Encodable[] signer(ASN1Encodable[] data) {
        ASN1Set signers = ASN1Set.getInstance(data[data.length - 1]);
        return ASN1Sequence.getInstance(signers.getObjectAt(0)).toArray();
    }

    @Test
    void aMessageThatHoldsTheModuleIsABadMessage() throws IOException {
        ASN1Encodable[] data = data(SigningKeys.RSA.signer());
        data[2] =
                sequence(
                        PKCSObjectIdentifiers.data,
                        new DERTaggedObject(true, 0, new DEROctetString(MODULE.toByteArray())));
        assertThat(verify(SigningKeys.RSA.trusted(), message(data)))
                .isEqualTo(
                        verdict(
                                Errno.EBADMSG,
                                LogLevel.ERR,
                                "PKCS#7 signature with non-detached data"));
    }

    @Test
    void aMessageAboutOtherThanDataIsRejected() throws IOException {
        ASN1Encodable[] data = data(SigningKeys.RSA.signer());
        data[2] = new DERSequence(PKCSObjectIdentifiers.envelopedData);
        assertThat(verify(SigningKeys.RSA.trusted(), message(data)))
                .isEqualTo(
                        verdict(
                                Errno.EKEYREJECTED,
                                LogLevel.WARNING,
                                "PKCS7: Invalid module sig (not pkcs7-data)"));
    }

    @Test
    void aMessageWithAttributesIsRejected() throws IOException {
        ASN1Encodable[] data = data(SigningKeys.RSA.signer());
        ASN1Encodable[] signer = signer(data);
        data[3] =
                new DERSet(
                        sequence(
                                signer[0],
                                signer[1],
                                signer[2],
                                new DERTaggedObject(false, 0, new DERSet()),
                                signer[3],
                                signer[4]));
        assertThat(verify(SigningKeys.RSA.trusted(), message(data)))
                .isEqualTo(
                        verdict(
                                Errno.EKEYREJECTED,
                                LogLevel.WARNING,
                                "PKCS7: Invalid module sig (has authattrs)"));
    }

    @Test
    void aMessageOfAnotherKindIsInvalid() throws IOException {
        DERSequence other =
                sequence(
                        PKCSObjectIdentifiers.envelopedData,
                        new DERTaggedObject(true, 0, DERNull.INSTANCE));
        assertThat(verify(SigningKeys.RSA.trusted(), other))
                .isEqualTo(
                        verdict(
                                Errno.EINVAL,
                                LogLevel.WARNING,
                                "PKCS7: Only support pkcs7_signedData type"));
    }

    @Test
    void versionsThatAreUnknownOrDisagreeAreRefused() throws IOException {
        ASN1Encodable[] data = data(SigningKeys.RSA.signer());
        data[0] = new ASN1Integer(2);
        assertThat(verify(SigningKeys.RSA.trusted(), message(data)).errno()).contains(Errno.EINVAL);
        data[0] = new ASN1Integer(3);
        assertThat(verify(SigningKeys.RSA.trusted(), message(data)))
                .isEqualTo(
                        verdict(
                                Errno.EBADMSG,
                                LogLevel.WARNING,
                                "PKCS7: SignedData-SignerInfo version mismatch"));
        data[0] = new ASN1Integer(1);
        ASN1Encodable[] signer = signer(data);
        signer[0] = new ASN1Integer(2);
        data[3] = new DERSet(new DERSequence(signer));
        assertThat(verify(SigningKeys.RSA.trusted(), message(data)))
                .isEqualTo(
                        verdict(
                                Errno.EINVAL,
                                LogLevel.WARNING,
                                "PKCS7: Unsupported SignerInfo version"));
    }

    @Test
    void anUnknownHashOrAlgorithmIsNoPackage() throws IOException {
        for (int part : new int[] {2, 3}) {
            ASN1Encodable[] data = data(SigningKeys.RSA.signer());
            ASN1Encodable[] signer = signer(data);
            signer[part] = new AlgorithmIdentifier(PKCSObjectIdentifiers.dhKeyAgreement);
            data[3] = new DERSet(new DERSequence(signer));
            assertThat(verify(SigningKeys.RSA.trusted(), message(data)))
                    .isEqualTo(verdict(Errno.ENOPKG));
        }
        Bytes sha3 = SigningKeys.RSA.signer().withHash("sha3-256").signatureOf(MODULE);
        assertThat(Pkcs7Verifier.verify(SigningKeys.RSA.trusted(), LINUX_6_1, sha3, MODULE))
                .isEqualTo(verdict(Errno.ENOPKG));
    }

    @Test
    void aMessageWithoutSignatureIsNoPackage() throws IOException {
        ASN1Encodable[] data = data(SigningKeys.RSA.signer());
        data[3] = new DERSet();
        assertThat(verify(SigningKeys.RSA.trusted(), message(data)))
                .isEqualTo(verdict(Errno.ENOPKG));
    }

    @Test
    void aSignatureOfAnotherKindThanTheKeyIsRejected() throws IOException {
        ASN1Encodable[] data = data(SigningKeys.EC.signer());
        ASN1Encodable[] signer = signer(data);
        signer[3] = new AlgorithmIdentifier(PKCSObjectIdentifiers.rsaEncryption, DERNull.INSTANCE);
        data[3] = new DERSet(new DERSequence(signer));
        assertThat(verify(SigningKeys.EC.trusted(), message(data)))
                .isEqualTo(verdict(Errno.EKEYREJECTED));
    }

    /** A certificate with other bytes in one place, of the same length. */
    private static Bytes changed(SigningKeys keys, byte[] old, byte[] now) {
        byte[] bytes = keys.certificate().toByteArray();
        String text = keys.certificate().toLatin1();
        int at = text.lastIndexOf(Bytes.wrap(old).toLatin1());
        assertThat(at).isPositive();
        System.arraycopy(now, 0, bytes, at, now.length);
        return Bytes.wrap(bytes);
    }

    /** An authority key identifier whose content is a number and not a key's. */
    private static Bytes withoutAuthority() {
        // the sequence of the extension's value, with the tag of a set
        return changed(
                SigningKeys.CHILD,
                new byte[] {4, 24, 0x30, 22, (byte) 0x80, 20},
                new byte[] {4, 24, 0x31, 22, (byte) 0x80, 20});
    }

    /** A name's part that is a set of nothing that it can be. */
    private static Bytes withoutSubject() {
        return changed(
                SigningKeys.RSA,
                new byte[] {6, 3, 0x55, 4, 3, 0x0c},
                new byte[] {4, 3, 0x55, 4, 3, 0x0c});
    }

    @Test
    void aMalformedPartIsFoundWhenACertificateIsRead() throws IOException {
        for (Bytes malformed : new Bytes[] {withoutAuthority(), withoutSubject()}) {
            assertThatIOException().isThrownBy(() -> TrustedKeys.of(malformed));
            ASN1Encodable[] data = data(SigningKeys.CHILD.signer());
            DERSequence message =
                    message(
                            data[0],
                            data[1],
                            data[2],
                            new DERTaggedObject(
                                    false,
                                    0,
                                    new DERSet(
                                            ASN1Primitive.fromByteArray(malformed.toByteArray()))),
                            data[3]);
            assertThat(verify(SigningKeys.RSA.trusted(), message))
                    .isEqualTo(verdict(Errno.EBADMSG));
        }
    }

    @Test
    void manySignaturesTakeNoTime() throws IOException {
        ASN1Encodable[] data = data(SigningKeys.RSA.signer());
        ASN1Encodable[] signers = new ASN1Encodable[65];
        java.util.Arrays.fill(signers, new DERSequence(signer(data)));
        // a set is sorted when it is encoded, and the longer name comes last
        signers[64] = new DERSequence(signer(data(SigningKeys.OTHER.signer())));
        data[3] = new DERSet(signers);
        assertThat(verify(SigningKeys.OTHER.trusted(), message(data)))
                .isEqualTo(verdict(Errno.ENOKEY));
        data[3] = new DERSet(java.util.Arrays.copyOfRange(signers, 1, 65));
        assertThat(verify(SigningKeys.OTHER.trusted(), message(data))).isEqualTo(Verdict.VALID);
    }

    @Test
    void whatOnlyLooksLikeCertificatesTakesNoTime() throws IOException {
        byte[] header = {
            0x30, (byte) 0x82, 0x3f, 0, 0x30, (byte) 0x82, 0x3e, 0, (byte) 0xa0, 3, 2, 1
        };
        byte[] kernel = new byte[4 << 20];
        for (int at = 0; at + 13 <= kernel.length; at += 13) {
            System.arraycopy(header, 0, kernel, at, header.length);
        }
        Path file = Files.write(directory.resolve("headers"), kernel);
        org.junit.jupiter.api.Assertions.assertTimeout(
                java.time.Duration.ofSeconds(30),
                () -> assertThat(TrustedKeys.builtInto(file).subjects()).isEmpty());
    }

    // ---- certificates in the message ----

    private static DERSequence withCertificates(SigningKeys signedBy, SigningKeys... others)
            throws IOException {
        ASN1Encodable[] data = data(signedBy.signer());
        ASN1Encodable[] certificates = new ASN1Encodable[others.length];
        for (int i = 0; i < others.length; i++) {
            certificates[i] = ASN1Primitive.fromByteArray(others[i].certificate().toByteArray());
        }
        return message(
                data[0],
                data[1],
                data[2],
                new DERTaggedObject(false, 0, new DERSet(certificates)),
                data[3]);
    }

    @Test
    void aCertificateInTheMessageIsTrustedIfATrustedKeyHasSignedIt() throws IOException {
        DERSequence message = withCertificates(SigningKeys.CHILD, SigningKeys.CHILD);
        assertThat(verify(SigningKeys.RSA.trusted(), message)).isEqualTo(Verdict.VALID);
        assertThat(verify(SigningKeys.CHILD.trusted(), message)).isEqualTo(Verdict.VALID);
        assertThat(verify(SigningKeys.OTHER.trusted(), message)).isEqualTo(verdict(Errno.ENOKEY));
        assertThat(verify(SigningKeys.RSA.trusted(), message(data(SigningKeys.CHILD.signer()))))
                .isEqualTo(verdict(Errno.ENOKEY));
    }

    @Test
    void aChainOfCertificatesLeadsToATrustedKey() throws IOException {
        DERSequence message =
                withCertificates(SigningKeys.CHILD, SigningKeys.RSA, SigningKeys.CHILD);
        assertThat(verify(SigningKeys.RSA.trusted(), message)).isEqualTo(Verdict.VALID);
        assertThat(verify(SigningKeys.OTHER.trusted(), message)).isEqualTo(verdict(Errno.ENOKEY));
    }

    @Test
    void aSelfSignedCertificateInTheMessageIsNotTrustedForThat() throws IOException {
        DERSequence message = withCertificates(SigningKeys.OTHER, SigningKeys.OTHER);
        assertThat(verify(SigningKeys.RSA.trusted(), message)).isEqualTo(verdict(Errno.ENOKEY));
    }

    @Test
    void aSignatureThatItsCertificateHasNotMadeIsRejectedWhateverIsTrusted() throws IOException {
        DERSequence message = withCertificates(SigningKeys.OTHER, SigningKeys.OTHER);
        assertThat(
                        Pkcs7Verifier.verify(
                                TrustedKeys.none(),
                                LINUX_6_1,
                                Bytes.wrap(message.getEncoded()),
                                Bytes.EMPTY))
                .isEqualTo(verdict(Errno.EKEYREJECTED));
    }
}

package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.Date;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERBitString;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.AuthorityKeyIdentifier;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.Extensions;
import org.bouncycastle.asn1.x509.SubjectKeyIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.asn1.x509.TBSCertificate;
import org.bouncycastle.asn1.x509.Time;
import org.bouncycastle.asn1.x509.V3TBSCertificateGenerator;

/** Keys with certificates, made by the JDK's own cryptography, new for each run. */
public record SigningKeys(String name, KeyPair pair, Bytes certificate) {
    /** An RSA key of 2,048 bits. */
    public static final SigningKeys RSA = make("Test RSA", "RSA", null);

    /** Another one. */
    public static final SigningKeys OTHER = make("Test other", "RSA", null);

    /** A key on the curve P-256. */
    public static final SigningKeys EC = make("Test EC", "EC", null);

    /** A key whose certificate the first one has signed. */
    public static final SigningKeys CHILD = make("Test child", "RSA", RSA);

    private static SigningKeys make(String name, String algorithm, SigningKeys issuer) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
            if (algorithm.equals("EC")) {
                generator.initialize(new ECGenParameterSpec("secp256r1"));
            } else {
                generator.initialize(2048);
            }
            KeyPair pair = generator.generateKeyPair();
            return new SigningKeys(name, pair, certificate(name, pair, issuer));
        } catch (GeneralSecurityException | IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Bytes certificate(String name, KeyPair pair, SigningKeys issuer)
            throws GeneralSecurityException, IOException {
        KeyPair signer = issuer == null ? pair : issuer.pair();
        boolean ec = signer.getPrivate().getAlgorithm().equals("EC");
        AlgorithmIdentifier algorithm =
                new AlgorithmIdentifier(
                        new ASN1ObjectIdentifier(
                                ec ? "1.2.840.10045.4.3.2" : "1.2.840.113549.1.1.11"));
        String issuerName = issuer == null ? name : issuer.name();
        V3TBSCertificateGenerator generator = new V3TBSCertificateGenerator();
        generator.setSerialNumber(
                new org.bouncycastle.asn1.ASN1Integer(
                        BigInteger.valueOf(name.hashCode() & 0xffff)));
        generator.setSignature(algorithm);
        generator.setIssuer(new X500Name("CN=" + issuerName));
        generator.setSubject(new X500Name("CN=" + name));
        generator.setStartDate(new Time(new Date(0)));
        generator.setEndDate(new Time(new Date(1L << 41)));
        generator.setSubjectPublicKeyInfo(
                SubjectPublicKeyInfo.getInstance(pair.getPublic().getEncoded()));
        generator.setExtensions(
                new Extensions(
                        new Extension[] {
                            new Extension(
                                    Extension.subjectKeyIdentifier,
                                    false,
                                    new DEROctetString(new SubjectKeyIdentifier(idOf(name)))),
                            new Extension(
                                    Extension.authorityKeyIdentifier,
                                    false,
                                    new DEROctetString(
                                            new AuthorityKeyIdentifier(idOf(issuerName))))
                        }));
        TBSCertificate body = generator.generateTBSCertificate();
        Signature signature = Signature.getInstance(ec ? "SHA256withECDSA" : "SHA256withRSA");
        signature.initSign(signer.getPrivate());
        signature.update(body.getEncoded());
        return Bytes.wrap(
                new DERSequence(
                                new org.bouncycastle.asn1.ASN1Encodable[] {
                                    body, algorithm, new DERBitString(signature.sign())
                                })
                        .getEncoded());
    }

    /** The subject key identifier of a certificate made here. */
    static byte[] idOf(String name) {
        byte[] id = new byte[20];
        byte[] text = name.getBytes(ISO_8859_1);
        System.arraycopy(text, 0, id, 0, Math.min(20, text.length));
        return id;
    }

    /** The private key as PKCS #8 in PEM. */
    public Bytes keyPem() {
        return pem("PRIVATE KEY", pair.getPrivate().getEncoded());
    }

    /** The certificate in PEM. */
    public Bytes certificatePem() {
        return pem("CERTIFICATE", certificate.toByteArray());
    }

    /** Bytes as PEM. */
    public static Bytes pem(String kind, byte[] der) {
        String text =
                "-----BEGIN "
                        + kind
                        + "-----\n"
                        + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der)
                        + "\n-----END "
                        + kind
                        + "-----\n";
        return Bytes.wrap(text.getBytes(ISO_8859_1));
    }

    /** What signs with it. */
    public KoSigner signer() {
        try {
            return KoSigner.of(keyPem(), certificatePem());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A keyring with this certificate alone. */
    public TrustedKeys trusted() {
        try {
            return TrustedKeys.of(certificate);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}

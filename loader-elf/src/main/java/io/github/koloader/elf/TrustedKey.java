package io.github.koloader.elf;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AuthorityKeyIdentifier;
import org.bouncycastle.asn1.x509.Certificate;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.Extensions;
import org.bouncycastle.crypto.Digest;
import org.bouncycastle.crypto.Signer;
import org.bouncycastle.crypto.digests.Prehash;
import org.bouncycastle.crypto.params.AsymmetricKeyParameter;
import org.bouncycastle.crypto.params.ECPublicKeyParameters;
import org.bouncycastle.crypto.params.RSAKeyParameters;
import org.bouncycastle.crypto.signers.DSADigestSigner;
import org.bouncycastle.crypto.signers.ECDSASigner;
import org.bouncycastle.crypto.signers.RSADigestSigner;
import org.bouncycastle.crypto.util.PublicKeyFactory;
import org.jspecify.annotations.Nullable;

/** A certificate, as far as kernels look at it. */
final class TrustedKey {
    /** What a certificate is found by. */
    sealed interface Id permits IssuerAndSerial, KeyId {}

    /** Its number among those of its issuer. */
    record IssuerAndSerial(Bytes issuer, BigInteger serial) implements Id {}

    /** The number of its key. */
    record KeyId(Bytes value) implements Id {}

    private static final Pattern PEM =
            Pattern.compile(
                    "-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([^-]*)-----END ",
                    Pattern.DOTALL);

    /** No certificate of a kernel is larger. */
    private static final int LARGEST = 1 << 14;

    /** So many places that only look like a certificate are tried. */
    private static final int MOST_TRIES = 10_000;

    private final Certificate certificate;
    private final IssuerAndSerial number;
    private final Bytes subject;
    private final Bytes signedPart;
    private final Optional<KeyId> keyId;
    private final Optional<KeyId> authorityKeyId;
    private final String subjectText;
    private @Nullable AsymmetricKeyParameter publicKey; // found when first asked for

    private TrustedKey(Certificate certificate) throws IOException {
        this.certificate = certificate;
        this.number =
                new IssuerAndSerial(
                        encoded(certificate.getIssuer()), certificate.getSerialNumber().getValue());
        this.subject = encoded(certificate.getSubject());
        this.signedPart = Bytes.wrap(certificate.getTBSCertificate().getEncoded());
        Extensions extensions = certificate.getTBSCertificate().getExtensions();
        this.keyId = keyId(extensions);
        this.authorityKeyId = authorityKeyId(extensions);
        this.subjectText = certificate.getSubject().toString();
    }

    /** A name as the bytes that kernels compare. */
    static Bytes encoded(X500Name name) throws IOException {
        return Bytes.wrap(name.getEncoded());
    }

    private static Optional<KeyId> keyId(@Nullable Extensions extensions) {
        Extension extension =
                extensions == null ? null : extensions.getExtension(Extension.subjectKeyIdentifier);
        return Optional.ofNullable(extension)
                .map(found -> ASN1OctetString.getInstance(found.getParsedValue()).getOctets())
                .map(octets -> new KeyId(Bytes.wrap(octets)));
    }

    // ---- reading ----

    /** All certificates of a PEM file, or one DER certificate behind the other. */
    static List<TrustedKey> parse(Bytes file) throws IOException {
        List<TrustedKey> keys = new ArrayList<>();
        if (!file.isEmpty() && file.get(0) == 0x30) {
            for (int at = 0; at < file.size(); ) {
                int size = sizeOfSequence(file, at);
                if (size == 0) {
                    throw new IOException("no certificate at byte " + at);
                }
                keys.add(read(file.slice(at, size)));
                at += size;
            }
            return keys;
        }
        Matcher matcher = PEM.matcher(file.toLatin1());
        while (matcher.find()) {
            try {
                keys.add(read(Bytes.wrap(Base64.getMimeDecoder().decode(matcher.group(1)))));
            } catch (IllegalArgumentException e) {
                throw new IOException("a certificate is no base64", e);
            }
        }
        return keys;
    }

    /** All certificates that lie anywhere in some bytes. */
    static List<TrustedKey> search(Bytes bytes) {
        List<TrustedKey> keys = new ArrayList<>();
        int failed = 0;
        for (int at = bytes.indexOf((byte) 0x30, 0); at >= 0 && failed < MOST_TRIES; ) {
            int size = looksLikeCertificate(bytes, at) ? sizeOfSequence(bytes, at) : 0;
            if (size > 0) {
                try {
                    keys.add(read(bytes.slice(at, size)));
                    at += size - 1;
                } catch (IOException e) {
                    failed++; // it only looked like one
                }
            }
            at = bytes.indexOf((byte) 0x30, at + 1);
        }
        return keys;
    }

    /** Two sequences that begin together, the second shorter and with a version. */
    private static boolean looksLikeCertificate(Bytes bytes, int at) {
        return at + 13 <= bytes.size()
                && (bytes.get(at + 1) & 0xff) == 0x82
                && bytes.get(at + 4) == 0x30
                && (bytes.get(at + 5) & 0xff) == 0x82
                && (bytes.get(at + 8) & 0xff) == 0xa0
                && bytes.get(at + 9) == 3
                && bytes.get(at + 10) == 2
                && bytes.get(at + 11) == 1
                && unsignedShort(bytes, at + 6) + 4 < unsignedShort(bytes, at + 2);
    }

    /** Bytes of a sequence whose length takes two bytes; 0 if it is none. */
    private static int sizeOfSequence(Bytes bytes, int at) {
        if (at + 4 > bytes.size() || bytes.get(at) != 0x30 || (bytes.get(at + 1) & 0xff) != 0x82) {
            return 0;
        }
        int size = 4 + unsignedShort(bytes, at + 2);
        return size <= LARGEST && size <= bytes.size() - at ? size : 0;
    }

    private static int unsignedShort(Bytes bytes, int at) {
        return (bytes.get(at) & 0xff) << 8 | bytes.get(at + 1) & 0xff;
    }

    static TrustedKey read(Bytes der) throws IOException {
        try {
            return new TrustedKey(
                    Certificate.getInstance(ASN1Sequence.fromByteArray(der.toByteArray())));
        } catch (RuntimeException | StackOverflowError e) {
            // Bouncy Castle answers a malformed certificate with several kinds of these
            throw new IOException("a certificate cannot be read: " + e.getMessage(), e);
        }
    }

    // ---- what it says ----

    Certificate certificate() {
        return certificate;
    }

    String subject() {
        return subjectText;
    }

    IssuerAndSerial number() {
        return number;
    }

    Optional<KeyId> keyId() {
        return keyId;
    }

    boolean has(Id id) {
        return id.equals(number) || keyId.filter(id::equals).isPresent();
    }

    boolean isSelfSigned() {
        return number.issuer().equals(subject);
    }

    boolean isRsa() {
        return certificate
                .getSubjectPublicKeyInfo()
                .getAlgorithm()
                .getAlgorithm()
                .equals(PKCSObjectIdentifiers.rsaEncryption);
    }

    /** Whether this certificate's key is the one that another was signed with, going by names. */
    boolean issued(TrustedKey other) {
        return other.authorityKeyId
                .map(id -> keyId.filter(id::equals).isPresent())
                .orElseGet(() -> subject.equals(other.number.issuer()));
    }

    private static Optional<KeyId> authorityKeyId(@Nullable Extensions extensions) {
        AuthorityKeyIdentifier found =
                extensions == null ? null : AuthorityKeyIdentifier.fromExtensions(extensions);
        return Optional.ofNullable(found)
                .map(AuthorityKeyIdentifier::getKeyIdentifierOctets)
                .map(octets -> new KeyId(Bytes.wrap(octets)));
    }

    // ---- what it has signed ----

    /** Whether this key has made a signature of another certificate. */
    boolean hasSigned(TrustedKey other) {
        ASN1ObjectIdentifier algorithm = other.certificate.getSignatureAlgorithm().getAlgorithm();
        return SignatureHash.ofCertificate(algorithm)
                .filter(
                        hash ->
                                verifies(
                                        hash,
                                        hash.of(other.signedPart),
                                        Bytes.wrap(other.certificate.getSignature().getOctets())))
                .isPresent();
    }

    /**
     * Whether this key has made a signature: RSA as PKCS #1 v1.5 has it, or ECDSA.
     *
     * @param hashed the hash of what was signed
     */
    boolean verifies(SignatureHash hash, Bytes hashed, Bytes signature) {
        try {
            AsymmetricKeyParameter key = publicKey();
            Digest digest = Prehash.forDigest(hash.digest());
            Signer signer;
            if (key instanceof RSAKeyParameters rsa) {
                if (signature.size() != (rsa.getModulus().bitLength() + 7) / 8) {
                    return false;
                }
                signer = new RSADigestSigner(digest, hash.oid());
            } else if (key instanceof ECPublicKeyParameters) {
                signer = new DSADigestSigner(new ECDSASigner(), digest);
            } else {
                return false;
            }
            signer.init(false, key);
            signer.update(hashed.toByteArray(), 0, hashed.size());
            return signer.verifySignature(signature.toByteArray());
        } catch (IOException | RuntimeException e) {
            // a key or a signature that there cannot be; Bouncy Castle answers with several kinds
            return false;
        }
    }

    private AsymmetricKeyParameter publicKey() throws IOException {
        AsymmetricKeyParameter key = publicKey;
        if (key == null) {
            KeyRules.check(certificate.getSubjectPublicKeyInfo());
            key = PublicKeyFactory.createKey(certificate.getSubjectPublicKeyInfo());
            publicKey = key;
        }
        return key;
    }
}

package io.github.koloader.elf;

import io.github.koloader.Errno;
import io.github.koloader.KernelVersion;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1InputStream;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1Set;
import org.bouncycastle.asn1.ASN1TaggedObject;
import org.bouncycastle.asn1.pkcs.IssuerAndSerialNumber;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.jspecify.annotations.Nullable;

/**
 * Verifies a PKCS#7 message that signs a module's bytes, as a kernel does: against keys that are
 * trusted by themselves, or have signed certificates in the message. Unlike a kernel it looks at
 * the first 64 signatures and certificates of a message alone, and passes over the others.
 *
 * @kernel certs/system_keyring.c, verify_pkcs7_message_sig()
 * @kernel crypto/asymmetric_keys/pkcs7_verify.c, pkcs7_verify()
 * @kernel crypto/asymmetric_keys/pkcs7_trust.c, pkcs7_validate_trust()
 */
final class Pkcs7Verifier {
    /**
     * What came of it.
     *
     * @param errno why it is not valid; empty if it is
     * @param line what the kernel logs, if anything
     */
    record Verdict(Optional<Errno> errno, Optional<LogLine> line) {
        static final Verdict VALID = new Verdict(Optional.empty(), Optional.empty());

        static Verdict of(Errno errno) {
            return new Verdict(Optional.of(errno), Optional.empty());
        }
    }

    /** Ends the verification. */
    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1L;
        private final transient Verdict verdict;

        Refused(Errno errno) {
            this(errno, null, "");
        }

        Refused(Errno errno, @Nullable LogLevel level, String text) {
            super(errno + " " + text, null, false, false);
            this.verdict =
                    new Verdict(
                            Optional.of(errno),
                            Optional.ofNullable(level).map(there -> new LogLine(there, text)));
        }
    }

    /** One signature of the message. */
    private record Signature(TrustedKey.Id id, SignatureHash hash, boolean rsa, Bytes bytes) {}

    /** Signatures, and certificates, that are looked at; more take time and nothing else. */
    private static final int MOST = 64;

    private final TrustedKeys keys;
    private final KernelVersion version;
    private final Bytes content;
    private final List<TrustedKey> certificates = new ArrayList<>();
    private final List<Signature> signatures = new ArrayList<>();
    private final Map<SignatureHash, Bytes> hashes = new EnumMap<>(SignatureHash.class);
    private boolean hasAttributes;

    private Pkcs7Verifier(TrustedKeys keys, KernelVersion version, Bytes content) {
        this.keys = keys;
        this.version = version;
        this.content = content;
    }

    /**
     * Verifies a message.
     *
     * @param content what was signed
     */
    static Verdict verify(TrustedKeys keys, KernelVersion version, Bytes message, Bytes content) {
        try {
            new Pkcs7Verifier(keys, version, content).verify(message);
            return Verdict.VALID;
        } catch (Refused refused) {
            return refused.verdict;
        }
    }

    private void verify(Bytes message) throws Refused {
        boolean attached;
        ASN1ObjectIdentifier contentType;
        try (ASN1InputStream input = new ASN1InputStream(message.toByteArray())) {
            ASN1Sequence outer = ASN1Sequence.getInstance(input.readObject());
            ASN1Sequence data = signedData(outer);
            ASN1Sequence inner = ASN1Sequence.getInstance(data.getObjectAt(2));
            contentType = ASN1ObjectIdentifier.getInstance(inner.getObjectAt(0));
            attached = inner.size() > 1;
            read(data);
        } catch (IOException | RuntimeException | StackOverflowError e) {
            // Bouncy Castle answers a malformed message with several kinds of these
            throw new Refused(Errno.EBADMSG);
        }
        if (attached) {
            throw new Refused(
                    Errno.EBADMSG, LogLevel.ERR, "PKCS#7 signature with non-detached data");
        }
        if (!contentType.equals(PKCSObjectIdentifiers.data)) {
            throw new Refused(
                    Errno.EKEYREJECTED,
                    LogLevel.WARNING,
                    "PKCS7: Invalid module sig (not pkcs7-data)");
        }
        if (hasAttributes) {
            throw new Refused(
                    Errno.EKEYREJECTED,
                    LogLevel.WARNING,
                    "PKCS7: Invalid module sig (has authattrs)");
        }
        verifyByCertificates();
        findTrust();
    }

    // ---- reading ----

    private static ASN1Sequence signedData(ASN1Sequence outer) throws Refused {
        if (!PKCSObjectIdentifiers.signedData.equals(outer.getObjectAt(0))) {
            ASN1ObjectIdentifier.getInstance(outer.getObjectAt(0));
            throw new Refused(
                    Errno.EINVAL, LogLevel.WARNING, "PKCS7: Only support pkcs7_signedData type");
        }
        ASN1TaggedObject tagged = ASN1TaggedObject.getInstance(outer.getObjectAt(1));
        if (!tagged.hasContextTag(0)) {
            throw new Refused(Errno.EBADMSG);
        }
        return ASN1Sequence.getInstance(tagged.getExplicitBaseObject());
    }

    private void read(ASN1Sequence data) throws IOException, Refused {
        int dataVersion = version(data);
        if (dataVersion != 1 && dataVersion != 3) {
            throw new Refused(
                    Errno.EINVAL, LogLevel.WARNING, "PKCS7: Unsupported SignedData version");
        }
        ASN1Set.getInstance(data.getObjectAt(1)).forEach(AlgorithmIdentifier::getInstance);
        int at = 3;
        for (; data.getObjectAt(at) instanceof ASN1TaggedObject tagged; at++) {
            if (tagged.hasContextTag(0)) {
                for (ASN1Encodable certificate : ASN1Set.getInstance(tagged, false)) {
                    if (certificates.size() == MOST) {
                        break;
                    }
                    certificates.add(
                            TrustedKey.read(
                                    Bytes.wrap(certificate.toASN1Primitive().getEncoded())));
                }
            }
        }
        for (ASN1Encodable signer : ASN1Set.getInstance(data.getObjectAt(at))) {
            readSigner(ASN1Sequence.getInstance(signer), dataVersion);
        }
    }

    private static int version(ASN1Sequence sequence) {
        return ASN1Integer.getInstance(sequence.getObjectAt(0)).intValueExact();
    }

    private void readSigner(ASN1Sequence signer, int dataVersion) throws IOException, Refused {
        int signerVersion = version(signer);
        if (signerVersion != 1 && signerVersion != 3) {
            throw new Refused(
                    Errno.EINVAL, LogLevel.WARNING, "PKCS7: Unsupported SignerInfo version");
        }
        if ((signerVersion == 1) != (dataVersion == 1)) {
            throw new Refused(
                    Errno.EBADMSG,
                    LogLevel.WARNING,
                    "PKCS7: SignedData-SignerInfo version mismatch");
        }
        TrustedKey.Id id;
        if (signerVersion == 1) {
            IssuerAndSerialNumber number = IssuerAndSerialNumber.getInstance(signer.getObjectAt(1));
            BigInteger serial = number.getCertificateSerialNumber().getValue();
            id = new TrustedKey.IssuerAndSerial(TrustedKey.encoded(number.getName()), serial);
        } else {
            ASN1TaggedObject tagged = ASN1TaggedObject.getInstance(signer.getObjectAt(1));
            id =
                    new TrustedKey.KeyId(
                            Bytes.wrap(ASN1OctetString.getInstance(tagged, false).getOctets()));
        }
        AlgorithmIdentifier digest = AlgorithmIdentifier.getInstance(signer.getObjectAt(2));
        SignatureHash hash =
                SignatureHash.of(digest.getAlgorithm())
                        .filter(this::isKnown)
                        .orElseThrow(() -> new Refused(Errno.ENOPKG));
        int at = 3;
        if (signer.getObjectAt(at) instanceof ASN1TaggedObject) {
            hasAttributes = true;
            at++;
        }
        ASN1ObjectIdentifier algorithm =
                AlgorithmIdentifier.getInstance(signer.getObjectAt(at)).getAlgorithm();
        boolean rsa = algorithm.equals(PKCSObjectIdentifiers.rsaEncryption);
        if (!rsa && SignatureHash.ofEcdsa(algorithm).filter(this::isKnown).isEmpty()) {
            throw new Refused(Errno.ENOPKG);
        }
        ASN1OctetString bytes = ASN1OctetString.getInstance(signer.getObjectAt(at + 1));
        if (signatures.size() == MOST) {
            return;
        }
        signatures.add(new Signature(id, hash, rsa, Bytes.wrap(bytes.getOctets())));
    }

    /** MD5 went in 6.7, and SHA-3 came. */
    private boolean isKnown(SignatureHash hash) {
        return version.atLeast(6, 7) ? hash != SignatureHash.MD5 : !hash.isSha3();
    }

    // ---- verifying ----

    /** Every signature whose certificate is in the message must be that certificate's. */
    private void verifyByCertificates() throws Refused {
        if (signatures.isEmpty()) {
            throw new Refused(Errno.ENOPKG);
        }
        for (Signature signature : signatures) {
            Optional<TrustedKey> signer = certificate(signature.id());
            if (signer.isPresent() && !made(signer.get(), signature)) {
                throw new Refused(Errno.EKEYREJECTED);
            }
        }
    }

    /** One signature must lead to a key that is trusted. */
    private void findTrust() throws Refused {
        for (Signature signature : signatures) {
            Optional<Boolean> trusted = isTrusted(signature);
            if (trusted.isPresent()) {
                if (!trusted.get()) {
                    throw new Refused(Errno.EKEYREJECTED);
                }
                return;
            }
        }
        throw new Refused(Errno.ENOKEY);
    }

    /** Whether the key that a signature leads to has made it; empty if it leads to none. */
    private Optional<Boolean> isTrusted(Signature signature) {
        Optional<TrustedKey> step = certificate(signature.id());
        List<TrustedKey> chain = new ArrayList<>();
        while (step.isPresent() && !chain.contains(step.get())) {
            TrustedKey certificate = step.get();
            Optional<TrustedKey> trusted = keys.find(certificate.number());
            if (trusted.isPresent()) {
                return Optional.of(
                        chain.isEmpty()
                                ? made(trusted.get(), signature)
                                : trusted.get().hasSigned(chain.get(chain.size() - 1)));
            }
            if (certificate.isSelfSigned()) {
                return Optional.empty();
            }
            if (!chain.isEmpty() && !certificate.hasSigned(chain.get(chain.size() - 1))) {
                return Optional.of(false);
            }
            chain.add(certificate);
            step = certificates.stream().filter(next -> next.issued(certificate)).findFirst();
        }
        if (!chain.isEmpty()) {
            TrustedKey last = chain.get(chain.size() - 1);
            Optional<TrustedKey> root = keys.issuerOf(last);
            if (root.isPresent()) {
                return Optional.of(root.get().hasSigned(last));
            }
        }
        return keys.find(signature.id()).map(key -> made(key, signature));
    }

    private boolean made(TrustedKey key, Signature signature) {
        return key.isRsa() == signature.rsa()
                && key.verifies(
                        signature.hash(),
                        hashes.computeIfAbsent(signature.hash(), hash -> hash.of(content)),
                        signature.bytes());
    }

    /** Only issuer and serial number lead to a certificate in the message. */
    private Optional<TrustedKey> certificate(TrustedKey.Id id) {
        return certificates.stream()
                .filter(certificate -> certificate.number().equals(id))
                .findFirst();
    }
}

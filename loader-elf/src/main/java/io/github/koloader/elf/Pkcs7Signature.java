package io.github.koloader.elf;

import static com.google.common.base.Preconditions.checkArgument;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.koloader.elf.ModuleSignature.Trailer;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Optional;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1InputStream;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1TaggedObject;
import org.bouncycastle.asn1.ASN1UTF8String;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.SignedData;
import org.bouncycastle.asn1.pkcs.SignerInfo;
import org.bouncycastle.asn1.x500.AttributeTypeAndValue;
import org.bouncycastle.asn1.x500.RDN;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;

/**
 * Reads a PKCS#7 message as kmod does through OpenSSL: the first signer's issuer, serial number,
 * digest algorithm and encrypted digest. A class of its own, so that Bouncy Castle is loaded only
 * for a module that is signed.
 */
final class Pkcs7Signature {
    /** The hash algorithms that kmod has a name for. */
    private static final Map<String, String> HASHES =
            Map.of(
                    "1.2.840.113549.2.4", "md4",
                    "1.2.840.113549.2.5", "md5",
                    "1.3.14.3.2.26", "sha1",
                    "1.3.36.3.2.1", "rmd160",
                    "2.16.840.1.101.3.4.2.1", "sha256",
                    "2.16.840.1.101.3.4.2.2", "sha384",
                    "2.16.840.1.101.3.4.2.3", "sha512",
                    "2.16.840.1.101.3.4.2.4", "sha224",
                    "1.2.156.10197.1.401", "sm3");

    private Pkcs7Signature() {}

    static Optional<ModuleSignature> parse(Trailer trailer, String idType, Bytes message) {
        try (ASN1InputStream input = new ASN1InputStream(message.toByteArray())) {
            SignerInfo signer = firstSigner(ASN1Sequence.getInstance(input.readObject()));
            Bytes name = commonName(signer.getIssuerAndSerialNumber().getName());
            String hash = HASHES.get(signer.getDigestAlgorithm().getAlgorithm().getId());
            if (hash == null) {
                return Optional.empty();
            }
            return Optional.of(
                    new ModuleSignature(
                            trailer,
                            idType,
                            name,
                            magnitude(
                                    signer.getIssuerAndSerialNumber()
                                            .getCertificateSerialNumber()
                                            .getValue()),
                            hash,
                            Bytes.wrap(signer.getEncryptedDigest().getOctets())));
        } catch (IOException | RuntimeException | StackOverflowError e) {
            // Bouncy Castle answers a malformed message with several kinds of these; to us all say
            // "no signature".
            return Optional.empty();
        }
    }

    private static SignerInfo firstSigner(ASN1Sequence contentInfo) {
        ASN1TaggedObject content = ASN1TaggedObject.getInstance(contentInfo.getObjectAt(1));
        checkArgument(
                PKCSObjectIdentifiers.signedData.equals(contentInfo.getObjectAt(0))
                        && content.hasContextTag(0));
        SignedData data = SignedData.getInstance(content.getExplicitBaseObject());
        data.getDigestAlgorithms().forEach(AlgorithmIdentifier::getInstance);
        return SignerInfo.getInstance(data.getSignerInfos().getObjectAt(0));
    }

    /**
     * The first common name, else the last part whatever it is, up to its first NUL: as kmod does.
     */
    private static Bytes commonName(X500Name name) throws IOException {
        ASN1Encodable last = null;
        ASN1Encodable found = null;
        for (RDN part : name.getRDNs()) {
            for (AttributeTypeAndValue pair : part.getTypesAndValues()) {
                last = pair.getValue();
                checkText(last);
                if (found == null && pair.getType().equals(BCStyle.CN)) {
                    found = last;
                }
            }
        }
        found = found == null ? last : found;
        return found == null ? Bytes.EMPTY : contents(found);
    }

    /** OpenSSL takes no name with a part that is no text. */
    private static void checkText(ASN1Encodable value) throws IOException {
        checkArgument(!(value instanceof ASN1OctetString));
        if (value instanceof ASN1UTF8String) {
            UTF_8.newDecoder().decode(ByteBuffer.wrap(rawContents(value).toByteArray()));
        }
    }

    private static Bytes contents(ASN1Encodable text) throws IOException {
        Bytes contents = rawContents(text);
        return contents.slice(0, contents.textLength(0));
    }

    /** The bytes of a string of any kind, without ASN.1's tag and length. */
    private static Bytes rawContents(ASN1Encodable text) throws IOException {
        byte[] encoded = text.toASN1Primitive().getEncoded(ASN1Encoding.DER);
        int lengthBytes = encoded[1] < 0 ? encoded[1] & 0x7f : 0;
        return Bytes.wrap(encoded).slice(2 + lengthBytes);
    }

    private static Bytes magnitude(BigInteger serial) {
        byte[] bytes = serial.abs().toByteArray();
        if (serial.signum() == 0) {
            return Bytes.EMPTY;
        }
        return Bytes.wrap(bytes).slice(bytes[0] == 0 ? 1 : 0);
    }
}

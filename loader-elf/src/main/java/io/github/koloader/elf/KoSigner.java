package io.github.koloader.elf;

import static com.google.common.base.Preconditions.checkArgument;
import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.image.Bytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERTaggedObject;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.sec.ECPrivateKey;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x9.X9ObjectIdentifiers;
import org.bouncycastle.crypto.CryptoException;
import org.bouncycastle.crypto.Signer;
import org.bouncycastle.crypto.params.AsymmetricKeyParameter;
import org.bouncycastle.crypto.params.ECPrivateKeyParameters;
import org.bouncycastle.crypto.params.RSAKeyParameters;
import org.bouncycastle.crypto.signers.DSADigestSigner;
import org.bouncycastle.crypto.signers.ECDSASigner;
import org.bouncycastle.crypto.signers.HMacDSAKCalculator;
import org.bouncycastle.crypto.signers.RSADigestSigner;
import org.bouncycastle.crypto.util.PrivateKeyFactory;

/**
 * Signs modules as the kernel's {@code scripts/sign-file} does: PKCS#7 behind the module, without
 * certificates and attributes, by RSA (PKCS #1 v1.5) or ECDSA. The same module gives the same bytes
 * each time. Immutable.
 *
 * <pre>{@code
 * KoSigner signer = KoSigner.of(Path.of("signing_key.pem"), Path.of("signing_key.x509"));
 * Bytes signed = signer.sign(Bytes.wrap(Files.readAllBytes(Path.of("hello.ko"))));
 * }</pre>
 */
public final class KoSigner {
    private static final Pattern PEM =
            Pattern.compile(
                    "-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----([^-]*)-----END ",
                    Pattern.DOTALL);

    private final AsymmetricKeyParameter key;
    private final TrustedKey certificate;
    private final SignatureHash hash;
    private final boolean byKeyId;

    private KoSigner(
            AsymmetricKeyParameter key,
            TrustedKey certificate,
            SignatureHash hash,
            boolean byKeyId) {
        this.key = key;
        this.certificate = certificate;
        this.hash = hash;
        this.byKeyId = byKeyId;
    }

    /**
     * {@return a signer that uses SHA-256, and names its key by the certificate's issuer and serial
     * number}
     *
     * @param privateKey PEM file with an RSA or EC key that is not encrypted
     * @param certificate PEM or DER file with the certificate for it; may be the same file
     * @throws IOException if one cannot be read, or they do not belong together
     */
    public static KoSigner of(Path privateKey, Path certificate) throws IOException {
        return of(
                Bytes.wrap(FileBytes.text(privateKey).getBytes(ISO_8859_1)),
                Bytes.wrap(FileBytes.text(certificate).getBytes(ISO_8859_1)));
    }

    /**
     * {@return a signer as {@link #of(Path, Path)} gives it}
     *
     * @param privateKey PEM with an RSA or EC key that is not encrypted
     * @param certificate PEM or DER with the certificate for it
     * @throws IOException if one cannot be read, or they do not belong together
     */
    public static KoSigner of(Bytes privateKey, Bytes certificate) throws IOException {
        AsymmetricKeyParameter key = readKey(privateKey.toLatin1());
        if (!(key instanceof RSAKeyParameters) && !(key instanceof ECPrivateKeyParameters)) {
            throw new IOException("the private key is neither RSA nor EC");
        }
        for (TrustedKey candidate : TrustedKey.parse(certificate)) {
            KoSigner signer = new KoSigner(key, candidate, SignatureHash.SHA256, false);
            Bytes probe = Bytes.wrap(new byte[] {1});
            if (candidate.verifies(
                    SignatureHash.SHA256, SignatureHash.SHA256.of(probe), signer.probe(probe))) {
                return signer;
            }
        }
        throw new IOException("no certificate there is for that private key");
    }

    /**
     * {@return a signer by another hash}
     *
     * @param name {@code sha1}, {@code sha224}, {@code sha256}, {@code sha384}, {@code sha512}, or
     *     for kernels since 6.7 {@code sha3-256}, {@code sha3-384}, {@code sha3-512}
     * @throws IllegalArgumentException if it is none of these
     */
    public KoSigner withHash(String name) {
        Optional<SignatureHash> found =
                SignatureHash.named(name).filter(there -> there != SignatureHash.MD5);
        checkArgument(found.isPresent(), "hash %s", name);
        return new KoSigner(key, certificate, found.get(), byKeyId);
    }

    /**
     * {@return a signer that names its key by the certificate's subject key identifier, as {@code
     * sign-file -k} does}
     *
     * @throws IllegalArgumentException if the certificate has none
     */
    public KoSigner byKeyId() {
        checkArgument(certificate.keyId().isPresent(), "no subject key identifier");
        return new KoSigner(key, certificate, hash, true);
    }

    /**
     * {@return a module with its signature} One that is signed already keeps that, and is signed
     * with it, as sign-file does; see {@link #strip}.
     *
     * @param module all bytes of an unpacked module file
     */
    public Bytes sign(Bytes module) {
        Bytes message = signatureOf(module);
        ByteArrayOutputStream signed = new ByteArrayOutputStream();
        signed.writeBytes(module.toByteArray());
        signed.writeBytes(message.toByteArray());
        ByteBuffer information = ByteBuffer.allocate(ModuleSignature.Trailer.SIZE);
        information.put(2, (byte) ModuleSignature.Trailer.PKCS7).putInt(8, message.size());
        signed.writeBytes(information.array());
        signed.writeBytes(ModuleSignature.marker());
        return Bytes.wrap(signed.toByteArray());
    }

    /**
     * {@return the signature alone: a PKCS#7 message, DER-encoded}
     *
     * @param module all bytes of an unpacked module file
     */
    public Bytes signatureOf(Bytes module) {
        boolean rsa = key instanceof RSAKeyParameters;
        AlgorithmIdentifier digest = new AlgorithmIdentifier(hash.oid());
        AlgorithmIdentifier encryption =
                rsa
                        ? new AlgorithmIdentifier(
                                PKCSObjectIdentifiers.rsaEncryption, DERNull.INSTANCE)
                        : new AlgorithmIdentifier(hash.ecdsaOid());
        ASN1Integer version = new ASN1Integer(byKeyId ? 3 : 1);
        DERSequence signer =
                sequence(
                        version,
                        signerName(),
                        digest,
                        encryption,
                        new DEROctetString(encrypt(module).toByteArray()));
        DERSequence data =
                sequence(
                        version,
                        new DERSet(digest),
                        new DERSequence(PKCSObjectIdentifiers.data),
                        new DERSet(signer));
        DERSequence message =
                sequence(PKCSObjectIdentifiers.signedData, new DERTaggedObject(true, 0, data));
        try {
            return Bytes.wrap(message.getEncoded(ASN1Encoding.DER));
        } catch (IOException e) {
            throw new UncheckedIOException("a signature that cannot be encoded", e);
        }
    }

    private ASN1Encodable signerName() {
        if (byKeyId) {
            byte[] id = certificate.keyId().orElseThrow().value().toByteArray();
            return new DERTaggedObject(false, 0, new DEROctetString(id));
        }
        return sequence(
                certificate.certificate().getIssuer(), certificate.certificate().getSerialNumber());
    }

    private static DERSequence sequence(ASN1Encodable... parts) {
        return new DERSequence(parts);
    }

    /** What is signed at first, with a key that may be damaged. */
    private Bytes probe(Bytes content) throws IOException {
        try {
            return encrypt(content);
        } catch (RuntimeException e) {
            // Bouncy Castle answers numbers that do not belong together with several kinds of these
            throw new IOException("the private key cannot sign: " + e.getMessage(), e);
        }
    }

    private Bytes encrypt(Bytes content) {
        Signer signer =
                key instanceof RSAKeyParameters
                        ? new RSADigestSigner(hash.digest(), hash.oid())
                        : new DSADigestSigner(
                                new ECDSASigner(new HMacDSAKCalculator(hash.digest())),
                                hash.digest());
        signer.init(true, key);
        signer.update(content.toByteArray(), 0, content.size());
        try {
            return Bytes.wrap(signer.generateSignature());
        } catch (CryptoException e) {
            throw new IllegalArgumentException("the key is too short for " + hash, e);
        }
    }

    /**
     * {@return a module without its signature; the module itself if it has none whose length can
     * be}
     *
     * @param module all bytes of an unpacked module file
     */
    public static Bytes strip(Bytes module) {
        return ModuleSignature.trailer(module)
                .filter(
                        trailer ->
                                trailer.signatureLength()
                                                + trailer.signerLength()
                                                + trailer.keyIdLength()
                                        <= trailer.offset())
                .map(
                        trailer ->
                                module.slice(
                                        0,
                                        (int)
                                                (trailer.offset()
                                                        - trailer.signatureLength()
                                                        - trailer.signerLength()
                                                        - trailer.keyIdLength())))
                .orElse(module);
    }

    // ---- the key ----

    private static AsymmetricKeyParameter readKey(String pem) throws IOException {
        Matcher matcher = PEM.matcher(pem);
        if (!matcher.find()) {
            throw new IOException("no private key as PEM");
        }
        try {
            byte[] der = Base64.getMimeDecoder().decode(matcher.group(2));
            PrivateKeyInfo info = keyInfo(matcher.group(1), der);
            KeyRules.check(info);
            return PrivateKeyFactory.createKey(info);
        } catch (RuntimeException e) {
            // no base64, or Bouncy Castle answers a malformed key with several kinds of these
            throw new IOException("a private key cannot be read: " + e.getMessage(), e);
        }
    }

    private static PrivateKeyInfo keyInfo(String kind, byte[] der) throws IOException {
        return switch (kind) {
            case "PRIVATE KEY" -> PrivateKeyInfo.getInstance(der);
            case "RSA PRIVATE KEY" ->
                    new PrivateKeyInfo(
                            new AlgorithmIdentifier(
                                    PKCSObjectIdentifiers.rsaEncryption, DERNull.INSTANCE),
                            ASN1Sequence.getInstance(der));
            case "EC PRIVATE KEY" -> {
                ECPrivateKey ec = ECPrivateKey.getInstance(ASN1Sequence.getInstance(der));
                yield new PrivateKeyInfo(
                        new AlgorithmIdentifier(
                                X9ObjectIdentifiers.id_ecPublicKey, ec.getParametersObject()),
                        ec);
            }
            default -> throw new IOException("the private key is encrypted");
        };
    }
}

package io.github.koloader.elf;

import io.github.koloader.image.Bytes;
import java.util.Optional;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.crypto.Digest;
import org.bouncycastle.crypto.digests.MD5Digest;
import org.bouncycastle.crypto.digests.SHA1Digest;
import org.bouncycastle.crypto.digests.SHA224Digest;
import org.bouncycastle.crypto.digests.SHA256Digest;
import org.bouncycastle.crypto.digests.SHA384Digest;
import org.bouncycastle.crypto.digests.SHA3Digest;
import org.bouncycastle.crypto.digests.SHA512Digest;

/** A hash that a module may be signed by. */
enum SignatureHash {
    MD5("md5", "1.2.840.113549.2.5", "1.2.840.113549.1.1.4", ""),
    SHA1("sha1", "1.3.14.3.2.26", "1.2.840.113549.1.1.5", "1.2.840.10045.4.1"),
    SHA224("sha224", "2.16.840.1.101.3.4.2.4", "1.2.840.113549.1.1.14", "1.2.840.10045.4.3.1"),
    SHA256("sha256", "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"),
    SHA384("sha384", "2.16.840.1.101.3.4.2.2", "1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"),
    SHA512("sha512", "2.16.840.1.101.3.4.2.3", "1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"),
    SHA3_256(
            "sha3-256",
            "2.16.840.1.101.3.4.2.8",
            "2.16.840.1.101.3.4.3.14",
            "2.16.840.1.101.3.4.3.10"),
    SHA3_384(
            "sha3-384",
            "2.16.840.1.101.3.4.2.9",
            "2.16.840.1.101.3.4.3.15",
            "2.16.840.1.101.3.4.3.11"),
    SHA3_512(
            "sha3-512",
            "2.16.840.1.101.3.4.2.10",
            "2.16.840.1.101.3.4.3.16",
            "2.16.840.1.101.3.4.3.12");

    private final String text;
    private final String oid;
    private final String rsaOid;
    private final String ecdsaOid;

    SignatureHash(String text, String oid, String rsaOid, String ecdsaOid) {
        this.text = text;
        this.oid = oid;
        this.rsaOid = rsaOid;
        this.ecdsaOid = ecdsaOid;
    }

    static Optional<SignatureHash> named(String text) {
        for (SignatureHash hash : values()) {
            if (hash.text.equals(text)) {
                return Optional.of(hash);
            }
        }
        return Optional.empty();
    }

    static Optional<SignatureHash> of(ASN1ObjectIdentifier oid) {
        for (SignatureHash hash : values()) {
            if (hash.oid.equals(oid.getId())) {
                return Optional.of(hash);
            }
        }
        return Optional.empty();
    }

    /** The hash of an algorithm that names a key as well. */
    static Optional<SignatureHash> ofCertificate(ASN1ObjectIdentifier oid) {
        for (SignatureHash hash : values()) {
            if (hash.rsaOid.equals(oid.getId()) || hash.ecdsaOid.equals(oid.getId())) {
                return Optional.of(hash);
            }
        }
        return Optional.empty();
    }

    ASN1ObjectIdentifier oid() {
        return new ASN1ObjectIdentifier(oid);
    }

    /** ECDSA with this hash; MD5 has none. */
    ASN1ObjectIdentifier ecdsaOid() {
        return new ASN1ObjectIdentifier(ecdsaOid);
    }

    /** The hash of an algorithm that is ECDSA with it. */
    static Optional<SignatureHash> ofEcdsa(ASN1ObjectIdentifier oid) {
        return ofCertificate(oid).filter(hash -> hash.ecdsaOid.equals(oid.getId()));
    }

    boolean isSha3() {
        return this == SHA3_256 || this == SHA3_384 || this == SHA3_512;
    }

    Digest digest() {
        return switch (this) {
            case MD5 -> new MD5Digest();
            case SHA1 -> new SHA1Digest();
            case SHA224 -> new SHA224Digest();
            case SHA256 -> new SHA256Digest();
            case SHA384 -> new SHA384Digest();
            case SHA512 -> new SHA512Digest();
            case SHA3_256 -> new SHA3Digest(256);
            case SHA3_384 -> new SHA3Digest(384);
            case SHA3_512 -> new SHA3Digest(512);
        };
    }

    /** The hash of some bytes. */
    Bytes of(Bytes content) {
        Digest digest = digest();
        digest.update(content.toByteArray(), 0, content.size());
        byte[] hash = new byte[digest.getDigestSize()];
        digest.doFinal(hash, 0);
        return Bytes.wrap(hash);
    }

    @Override
    public String toString() {
        return text;
    }
}

package io.github.koloader.elf;

import java.io.IOException;
import java.math.BigInteger;
import java.util.Set;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.pkcs.RSAPrivateKey;
import org.bouncycastle.asn1.pkcs.RSAPublicKey;
import org.bouncycastle.asn1.sec.SECObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.asn1.x9.X9ObjectIdentifiers;

/**
 * What a key may be: Bouncy Castle examines a key when it reads it, and for a large one or a curve
 * of one's own that takes as long as whoever made it likes.
 */
final class KeyRules {
    private static final int MODULUS_BITS = 8192;
    private static final int EXPONENT_BITS = 64;

    private static final Set<ASN1ObjectIdentifier> CURVES =
            Set.of(
                    X9ObjectIdentifiers.prime192v1,
                    SECObjectIdentifiers.secp224r1,
                    X9ObjectIdentifiers.prime256v1,
                    SECObjectIdentifiers.secp384r1,
                    SECObjectIdentifiers.secp521r1);

    private KeyRules() {}

    /**
     * Checks a public key.
     *
     * @throws IOException if it is none that may be
     * @throws RuntimeException if it is malformed
     */
    static void check(SubjectPublicKeyInfo info) throws IOException {
        if (isRsa(info.getAlgorithm())) {
            RSAPublicKey key = RSAPublicKey.getInstance(info.parsePublicKey());
            checkRsa(key.getModulus(), key.getPublicExponent());
        } else {
            checkCurve(info.getAlgorithm());
        }
    }

    /**
     * Checks a private key.
     *
     * @throws IOException if it is none that may be
     * @throws RuntimeException if it is malformed
     */
    static void check(PrivateKeyInfo info) throws IOException {
        if (!isRsa(info.getPrivateKeyAlgorithm())) {
            checkCurve(info.getPrivateKeyAlgorithm());
            return;
        }
        RSAPrivateKey key = RSAPrivateKey.getInstance(info.parsePrivateKey());
        checkRsa(key.getModulus(), key.getPublicExponent());
        BigInteger[] parts = {
            key.getPrivateExponent(),
            key.getPrime1(),
            key.getPrime2(),
            key.getExponent1(),
            key.getExponent2(),
            key.getCoefficient()
        };
        for (BigInteger part : parts) {
            if (part.bitLength() > key.getModulus().bitLength()) {
                throw new IOException("an RSA key has a part that is larger than its modulus");
            }
        }
    }

    private static boolean isRsa(AlgorithmIdentifier algorithm) {
        return algorithm.getAlgorithm().equals(PKCSObjectIdentifiers.rsaEncryption);
    }

    private static void checkRsa(BigInteger modulus, BigInteger exponent) throws IOException {
        if (modulus.signum() <= 0 || modulus.bitLength() > MODULUS_BITS) {
            throw new IOException("an RSA key of " + modulus.bitLength() + " bits");
        }
        if (exponent.signum() <= 0 || exponent.bitLength() > EXPONENT_BITS) {
            throw new IOException("an RSA exponent of " + exponent.bitLength() + " bits");
        }
    }

    private static void checkCurve(AlgorithmIdentifier algorithm) throws IOException {
        if (!algorithm.getAlgorithm().equals(X9ObjectIdentifiers.id_ecPublicKey)) {
            throw new IOException("a key that is neither RSA nor EC");
        }
        if (!(algorithm.getParameters() instanceof ASN1ObjectIdentifier curve)
                || !CURVES.contains(curve)) {
            throw new IOException("an EC key on none of the curves P-192 to P-521");
        }
    }
}

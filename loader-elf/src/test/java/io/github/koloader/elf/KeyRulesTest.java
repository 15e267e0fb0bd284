package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatNoException;

import java.io.IOException;
import java.math.BigInteger;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.pkcs.RSAPrivateKey;
import org.bouncycastle.asn1.pkcs.RSAPublicKey;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.asn1.x9.X9ObjectIdentifiers;
import org.junit.jupiter.api.Test;

final class KeyRulesTest {
    private static final AlgorithmIdentifier RSA =
            new AlgorithmIdentifier(PKCSObjectIdentifiers.rsaEncryption, DERNull.INSTANCE);

    private static SubjectPublicKeyInfo rsa(int modulusBits, int exponentBits) throws IOException {
        return new SubjectPublicKeyInfo(
                RSA,
                new RSAPublicKey(
                        BigInteger.ONE.shiftLeft(modulusBits).subtract(BigInteger.ONE),
                        BigInteger.ONE.shiftLeft(exponentBits).subtract(BigInteger.ONE)));
    }

    @Test
    void anRsaKeyHasALimit() {
        assertThatNoException().isThrownBy(() -> KeyRules.check(rsa(8192, 64)));
        assertThatIOException().isThrownBy(() -> KeyRules.check(rsa(8193, 64)));
        assertThatIOException().isThrownBy(() -> KeyRules.check(rsa(8192, 65)));
        assertThatIOException().isThrownBy(() -> KeyRules.check(rsa(0, 17)));
    }

    @Test
    void anEcKeyIsOnANamedCurve() {
        assertThatIOException()
                .isThrownBy(
                        () ->
                                KeyRules.check(
                                        new SubjectPublicKeyInfo(
                                                new AlgorithmIdentifier(
                                                        X9ObjectIdentifiers.id_ecPublicKey,
                                                        new DERSequence()),
                                                new byte[65])))
                .withMessageContaining("curves");
    }

    @Test
    void aDamagedPrivateKeyIsNoSigner() throws IOException {
        RSAPrivateKey key =
                RSAPrivateKey.getInstance(
                        PrivateKeyInfo.getInstance(SigningKeys.RSA.pair().getPrivate().getEncoded())
                                .parsePrivateKey());
        BigInteger[] exponents = {BigInteger.ONE, BigInteger.ZERO, key.getExponent1()};
        BigInteger[] primes = {key.getPrime1(), key.getPrime1(), BigInteger.TWO.negate()};
        for (int i = 0; i < exponents.length; i++) {
            RSAPrivateKey damaged =
                    new RSAPrivateKey(
                            key.getModulus(),
                            key.getPublicExponent(),
                            key.getPrivateExponent(),
                            primes[i],
                            key.getPrime2(),
                            exponents[i],
                            key.getExponent2(),
                            key.getCoefficient());
            byte[] der = new PrivateKeyInfo(RSA, damaged).getEncoded();
            assertThatIOException()
                    .isThrownBy(
                            () ->
                                    KoSigner.of(
                                            SigningKeys.pem("PRIVATE KEY", der),
                                            SigningKeys.RSA.certificate()));
        }
        assertThat(SigningKeys.RSA.signer()).isNotNull();
    }
}

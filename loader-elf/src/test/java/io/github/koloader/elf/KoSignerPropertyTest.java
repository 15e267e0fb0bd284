package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.KernelVersion;
import io.github.koloader.image.Bytes;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;

final class KoSignerPropertyTest {
    private static final KernelVersion LINUX_6_1 = new KernelVersion(6, 1);

    @Provide
    Arbitrary<SigningKeys> keys() {
        return Arbitraries.of(SigningKeys.RSA, SigningKeys.EC);
    }

    @Provide
    Arbitrary<String> hashes() {
        return Arbitraries.of("sha1", "sha224", "sha256", "sha384", "sha512");
    }

    @Property(tries = 60)
    void whatIsSignedVerifiesAndAnyChangedByteIsRejected(
            @ForAll("keys") SigningKeys keys,
            @ForAll("hashes") String hash,
            @ForAll boolean byKeyId,
            @ForAll byte[] content,
            @ForAll int place,
            @ForAll @IntRange(min = 1, max = 255) int change) {
        KoSigner signer = keys.signer().withHash(hash);
        Bytes module = Bytes.copyOf(content);
        Bytes message = (byKeyId ? signer.byKeyId() : signer).signatureOf(module);
        assertThat(verify(keys.trusted(), message, module)).isEmpty();
        assertThat(verify(SigningKeys.OTHER.trusted(), message, module)).contains(Errno.ENOKEY);
        if (content.length > 0) {
            content[Math.floorMod(place, content.length)] ^= (byte) change;
            assertThat(verify(keys.trusted(), message, Bytes.copyOf(content)))
                    .contains(Errno.EKEYREJECTED);
        }
    }

    /**
     * A kernel may not look at each byte, but it never stumbles, and never takes another module.
     */
    @Property(tries = 300)
    void aChangedMessageIsAVerdictAndNeverSignsSomethingElse(
            @ForAll("keys") SigningKeys keys,
            @ForAll int place,
            @ForAll @IntRange(min = 1, max = 255) int change) {
        Bytes module = Bytes.copyOf(new byte[] {1, 2, 3});
        byte[] message = keys.signer().signatureOf(module).toByteArray();
        message[Math.floorMod(place, message.length)] ^= (byte) change;
        Optional<Errno> verdict = verify(keys.trusted(), Bytes.wrap(message), module);
        if (verdict.isPresent()) {
            assertThat(verdict.get())
                    .isIn(
                            Errno.EBADMSG,
                            Errno.EINVAL,
                            Errno.ENOPKG,
                            Errno.ENOKEY,
                            Errno.EKEYREJECTED);
        }
        assertThat(verify(keys.trusted(), Bytes.wrap(message), Bytes.copyOf(new byte[] {1, 2, 4})))
                .isPresent();
    }

    @Property(tries = 100)
    void aMessageCutShortIsABadMessage(
            @ForAll("keys") SigningKeys keys, @ForAll @IntRange(min = 0, max = 400) int lost) {
        Bytes module = Bytes.copyOf(new byte[] {1, 2, 3});
        Bytes message = keys.signer().signatureOf(module);
        int length = Math.max(0, message.size() - 1 - lost);
        assertThat(verify(keys.trusted(), message.slice(0, length), module))
                .contains(Errno.EBADMSG);
    }

    private static Optional<Errno> verify(TrustedKeys keys, Bytes message, Bytes module) {
        return Pkcs7Verifier.verify(keys, LINUX_6_1, message, module).errno();
    }
}

package io.github.koloader.elf;

import static com.google.common.base.Preconditions.checkArgument;

import com.google.common.collect.ImmutableList;
import com.google.common.collect.ImmutableSet;
import io.github.koloader.LinkedKernel;
import io.github.koloader.elf.internal.FileBytes;
import io.github.koloader.elf.internal.KernelPayload;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * The certificates that a kernel trusts when it verifies modules, as its keyrings {@code
 * .builtin_trusted_keys} and {@code .secondary_trusted_keys} hold them, and the hashes of modules
 * that it refuses all the same. Immutable.
 *
 * <pre>{@code
 * TrustedKeys keys = TrustedKeys.read(Path.of("signing_key.x509"));
 * SystemCalls calls = SystemCalls.of(kernel).trusting(keys);
 * }</pre>
 *
 * <p>A kernel does not look at names, dates and purposes of a certificate, nor at who signed it:
 * only at its key.
 */
public final class TrustedKeys {
    private static final TrustedKeys NONE = new TrustedKeys(ImmutableList.of(), ImmutableSet.of());
    private static final int SHA256_SIZE = 32;

    private final ImmutableList<TrustedKey> keys;
    private final ImmutableSet<Bytes> blacklist;

    private TrustedKeys(ImmutableList<TrustedKey> keys, ImmutableSet<Bytes> blacklist) {
        this.keys = keys;
        this.blacklist = blacklist;
    }

    /** {@return no certificates: every signature is by an unknown key} */
    public static TrustedKeys none() {
        return NONE;
    }

    /**
     * Reads certificates: PEM, in which other things than certificates are passed over, or DER, one
     * behind the other.
     *
     * @param file the file
     * @return its certificates, at least one
     * @throws IOException if it cannot be read, or has none
     */
    public static TrustedKeys read(Path file) throws IOException {
        return of(FileBytes.read(file, 1 << 26, byte[]::new));
    }

    /**
     * Takes certificates from memory, as {@link #read} does from a file.
     *
     * @param certificates PEM or DER
     * @return the certificates, at least one
     * @throws IOException if there is none, or what looks like one cannot be read
     */
    public static TrustedKeys of(Bytes certificates) throws IOException {
        List<TrustedKey> keys = TrustedKey.parse(certificates);
        if (keys.isEmpty()) {
            throw new IOException("no certificate, neither as PEM nor as DER");
        }
        return new TrustedKeys(ImmutableList.copyOf(keys), ImmutableSet.of());
    }

    /**
     * Finds the certificates that are built into a kernel: all that are in a {@code vmlinuz},
     * packed in any way that kernels are, or in a {@code vmlinux}.
     *
     * @param kernel file of the kernel
     * @return its certificates; none if it has none
     * @throws IOException if it cannot be read, or is larger than 512 MiB
     * @kernel certs/system_certificates.S
     */
    public static TrustedKeys builtInto(Path kernel) throws IOException {
        Bytes file = FileBytes.read(kernel, 1 << 29, byte[]::new);
        for (Bytes payload : KernelPayload.candidates(file)) {
            List<TrustedKey> keys = TrustedKey.search(payload);
            if (!keys.isEmpty()) {
                return new TrustedKeys(ImmutableList.copyOf(keys), ImmutableSet.of());
            }
        }
        return NONE;
    }

    /**
     * {@return the certificates in the memory of a kernel that has been read; none if it has none}
     *
     * @param kernel the kernel
     */
    public static TrustedKeys builtInto(LinkedKernel kernel) {
        ImmutableList.Builder<TrustedKey> keys = ImmutableList.builder();
        for (LinkedKernel.Block block : kernel.memory()) {
            keys.addAll(TrustedKey.search(block.contents()));
        }
        return new TrustedKeys(keys.build(), ImmutableSet.of());
    }

    /**
     * {@return these and those}
     *
     * @param others more certificates and hashes
     */
    public TrustedKeys and(TrustedKeys others) {
        return new TrustedKeys(
                ImmutableList.<TrustedKey>builder().addAll(keys).addAll(others.keys).build(),
                ImmutableSet.<Bytes>builder().addAll(blacklist).addAll(others.blacklist).build());
    }

    /**
     * {@return the same, with a module that is refused although its signature is valid, as Debian's
     * kernels do}
     *
     * @param sha256 SHA-256 of the whole file, signature included: 32 bytes
     */
    public TrustedKeys blacklisting(Bytes sha256) {
        checkArgument(sha256.size() == SHA256_SIZE, "%s bytes", sha256.size());
        return new TrustedKeys(
                keys, ImmutableSet.<Bytes>builder().addAll(blacklist).add(sha256).build());
    }

    /** {@return whom the certificates are for, such as {@code CN=Signer}, in order} */
    public List<String> subjects() {
        return keys.stream().map(TrustedKey::subject).toList();
    }

    boolean blacklists(Bytes sha256) {
        return blacklist.contains(sha256);
    }

    boolean hasBlacklist() {
        return !blacklist.isEmpty();
    }

    /** The key that has signed a certificate, going by names. */
    Optional<TrustedKey> issuerOf(TrustedKey certificate) {
        return keys.stream().filter(key -> key.issued(certificate)).findFirst();
    }

    Optional<TrustedKey> find(TrustedKey.Id id) {
        return keys.stream().filter(key -> key.has(id)).findFirst();
    }
}

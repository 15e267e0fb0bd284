package io.github.koloader.elf;

import static io.github.koloader.Diagnosis.quote;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelLog;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.elf.Pkcs7Verifier.Verdict;
import io.github.koloader.elf.internal.ElfFailures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import org.bouncycastle.crypto.digests.SHA256Digest;
import org.jspecify.annotations.Nullable;

/**
 * Looks at the signature behind a module before anything else is looked at, and says whether the
 * module may be loaded with it, or without.
 *
 * @kernel kernel/module/signing.c, module_sig_check(), mod_verify_sig()
 */
final class SignatureCheck {
    /**
     * What came of it.
     *
     * @param module the module without its signature
     * @param valid whether it has a valid one
     */
    record Outcome(Bytes module, boolean valid) {}

    private static final byte[] MARKER = ModuleSignature.marker();
    private static final int INFORMATION_SIZE = ModuleSignature.Trailer.SIZE;
    private static final int X509 = 1;
    private static final HexFormat HEX = HexFormat.ofDelimiter(":");
    private static final int RSA = 1;

    /** The hashes of old signatures, by number; MD4 and RIPEMD-160 are not known here. */
    private static final @Nullable SignatureHash[] OLD_HASHES = {
        null,
        SignatureHash.MD5,
        SignatureHash.SHA1,
        null,
        SignatureHash.SHA256,
        SignatureHash.SHA384,
        SignatureHash.SHA512,
        SignatureHash.SHA224
    };

    private final KernelConfig config;
    private final KernelLog log;
    private final TrustedKeys keys;
    private final String process;
    private final Bytes file;
    private int length;

    private SignatureCheck(
            KernelConfig config, KernelLog log, TrustedKeys keys, String process, Bytes file) {
        this.config = config;
        this.log = log;
        this.keys = keys;
        this.process = process;
        this.file = file;
        this.length = file.size();
    }

    /**
     * Looks at the signature.
     *
     * @param log gets what is said about one that does not keep the module from being loaded
     * @param process who loads the module
     * @param ignored whether a flag says to ignore versions: then no signature is looked for
     * @throws LoadException EKEYREJECTED, EBADMSG, ENOKEY, EPERM …
     */
    static Outcome run(
            KernelConfig config,
            KernelLog log,
            TrustedKeys keys,
            String process,
            Bytes file,
            boolean ignored) {
        if (!config.moduleSig()) {
            return new Outcome(file, false);
        }
        SignatureCheck check = new SignatureCheck(config, log, keys, process, file);
        boolean valid = config.atLeast(4, 3) ? check.check(ignored) : check.checkOld();
        return new Outcome(file.slice(0, check.length), valid);
    }

    private boolean isMarked() {
        return length > MARKER.length && file.matches(length - MARKER.length, MARKER);
    }

    /** Who has signed the file, with which key, for people; empty if that cannot be told. */
    private String signer() {
        return ModuleSignature.of(file).map(SignatureCheck::describe).orElse("");
    }

    private static String describe(ModuleSignature signature) {
        String signer = signature.signer().isEmpty() ? "" : quote(signature.signer().toLatin1());
        if (signature.keyId().isEmpty()) {
            return signer;
        }
        String key = "key id " + quote(HEX.formatHex(signature.keyId().toByteArray()));
        return signer.isEmpty() ? key : signer + ", " + key;
    }

    // ---- since 4.3 ----

    private boolean check(boolean ignored) {
        Errno errno = Errno.ENODATA;
        if (!ignored && isMarked()) {
            length -= MARKER.length;
            Verdict verdict = verify();
            if (verdict.errno().isEmpty()) {
                refuseBlacklisted();
                return true;
            }
            errno = verdict.errno().get();
            if (errno != Errno.ENOPKG && errno != Errno.ENOKEY) {
                throw ElfFailures.badSignature(errno, verdict.line().stream().toList(), signer());
            }
            verdict.line().ifPresent(log::add);
        }
        String reason =
                switch (errno) {
                    case ENODATA -> "unsigned module";
                    case ENOPKG -> "module with unsupported crypto";
                    default -> "module with unavailable key";
                };
        if (config.sigEnforce()) {
            throw ElfFailures.unsignedRejected(reason, signer(), ignored && isMarked());
        }
        if (config.lockdown() && config.atLeast(5, 4)) {
            throw ElfFailures.lockedDown(process, reason, signer(), ignored && isMarked());
        }
        return false;
    }

    private Verdict verify() {
        if (length <= INFORMATION_SIZE) {
            return Verdict.of(Errno.EBADMSG);
        }
        int at = length - INFORMATION_SIZE;
        long size = Integer.toUnsignedLong(file.readInt(at + 8, Encoding.ELF64_MSB));
        if (size >= at) {
            return Verdict.of(Errno.EBADMSG);
        }
        if (file.get(at + 2) != ModuleSignature.Trailer.PKCS7) {
            return new Verdict(
                    Optional.of(Errno.ENOPKG),
                    Optional.of(
                            new LogLine(
                                    LogLevel.ERR,
                                    "module: not signed with expected PKCS#7 message")));
        }
        for (int i : new int[] {0, 1, 3, 4, 5, 6, 7}) {
            if (file.get(at + i) != 0) {
                throw ElfFailures.signatureInformation();
            }
        }
        length = at - (int) size;
        return Pkcs7Verifier.verify(
                keys, config.version(), file.slice(length, (int) size), file.slice(0, length));
    }

    private void refuseBlacklisted() {
        if (!keys.hasBlacklist()) {
            return;
        }
        SHA256Digest digest = new SHA256Digest();
        byte[] bytes = file.toByteArray();
        digest.update(bytes, 0, bytes.length);
        byte[] hash = new byte[digest.getDigestSize()];
        digest.doFinal(hash, 0);
        if (keys.blacklists(Bytes.wrap(hash))) {
            throw ElfFailures.blacklistedHash(HexFormat.of().formatHex(hash));
        }
    }

    // ---- before ----

    /**
     * As kernels from 3.7 to 4.2: RSA, and the key named behind the module.
     *
     * @kernel kernel/module_signing.c, mod_verify_sig()
     */
    private boolean checkOld() {
        Errno errno = Errno.ENOKEY;
        if (isMarked()) {
            length -= MARKER.length;
            Optional<Errno> answer = verifyOld();
            if (answer.isEmpty()) {
                return true;
            }
            errno = answer.get();
        }
        if (errno != Errno.ENOKEY) {
            throw ElfFailures.badSignature(errno, List.of(), signer());
        }
        if (config.sigEnforce()) {
            throw ElfFailures.unsignedRejectedSilently(
                    ModuleSignature.trailer(file).isPresent(), signer());
        }
        return false;
    }

    private Optional<Errno> verifyOld() {
        if (length <= INFORMATION_SIZE) {
            return Optional.of(Errno.EBADMSG);
        }
        int at = length - INFORMATION_SIZE;
        int signerLength = file.get(at + 3) & 0xff;
        int keyIdLength = file.get(at + 4) & 0xff;
        long size = Integer.toUnsignedLong(file.readInt(at + 8, Encoding.ELF64_MSB));
        if (size >= at || signerLength + keyIdLength >= at - size) {
            return Optional.of(Errno.EBADMSG);
        }
        int signatureAt = at - (int) size;
        length = signatureAt - signerLength - keyIdLength;
        int hash = file.get(at + 1) & 0xff;
        if (file.get(at) != RSA
                || file.get(at + 2) != X509
                || hash >= OLD_HASHES.length
                || OLD_HASHES[hash] == null) {
            return Optional.of(Errno.ENOPKG);
        }
        Bytes keyId = file.slice(signatureAt - keyIdLength, keyIdLength);
        Optional<TrustedKey> key = keys.find(new TrustedKey.KeyId(keyId));
        if (key.isEmpty()) {
            return Optional.of(Errno.ENOKEY);
        }
        if (size < 2 || size - 2 != file.unsignedShort(signatureAt, Encoding.ELF64_MSB)) {
            return Optional.of(Errno.EBADMSG);
        }
        boolean verified =
                key.get()
                        .verifies(
                                OLD_HASHES[hash],
                                OLD_HASHES[hash].of(file.slice(0, length)),
                                file.slice(signatureAt + 2, (int) size - 2));
        return verified ? Optional.empty() : Optional.of(Errno.EKEYREJECTED);
    }
}

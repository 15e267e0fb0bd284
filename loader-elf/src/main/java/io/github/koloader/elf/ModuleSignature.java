package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.util.List;
import java.util.Optional;

/**
 * The signature at the end of a module file, as kmod's {@code modinfo} shows it; it is not
 * verified. A signed file is
 *
 * <pre>
 * module | signer | key id | signature | 12 bytes of information | "~Module signature appended~\n"
 * </pre>
 *
 * <p>where signer and key id are empty for PKCS#7, which holds both, and is what kernels since 4.3
 * take.
 *
 * <pre>{@code
 * Bytes file = KoReader.any().unpackedBytes(Path.of("hello-signed.ko"));
 * ModuleSignature signature = ModuleSignature.of(file).orElseThrow();
 * System.out.println(signature.signer().toLatin1());
 * }</pre>
 *
 * @param trailer the information at the end of the file
 * @param idType {@code PGP}, {@code X509} or {@code PKCS#7}
 * @param signer who signed: for PKCS#7 the common name of the certificate's issuer; empty if there
 *     is none
 * @param keyId which key: for PKCS#7 the certificate's serial number without sign; may be empty
 * @param hashAlgorithm name of the hash: {@code md4}, {@code md5}, {@code sha1}, {@code rmd160},
 *     {@code sha256}, {@code sha384}, {@code sha512}, {@code sha224} or {@code sm3}
 * @param signature the signature itself: for PKCS#7 the encrypted digest
 */
public record ModuleSignature(
        Trailer trailer,
        String idType,
        Bytes signer,
        Bytes keyId,
        String hashAlgorithm,
        Bytes signature) {
    private static final byte[] MARKER = "~Module signature appended~\n".getBytes(ISO_8859_1);
    private static final List<String> HASHES =
            List.of("md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3");
    private static final List<String> ID_TYPES = List.of("PGP", "X509", "PKCS#7");
    private static final int ALGORITHMS = 2; // DSA and RSA

    /**
     * The 12 bytes before the marker, whatever they say. Numbers are unsigned.
     *
     * @param algorithm kind of key: 0 DSA, 1 RSA; 0 for PKCS#7
     * @param hash kind of hash; 0 for PKCS#7
     * @param idType how the key is named: 0 PGP, 1 X.509, 2 PKCS#7, the only one that kernels since
     *     4.3 take
     * @param signerLength bytes of the signer's name, 0 … 255
     * @param keyIdLength bytes of the key's id, 0 … 255
     * @param padding three bytes that should be 0
     * @param signatureLength bytes of the signature, 0 … 2^32 − 1
     * @param offset where in the file the 12 bytes begin
     * @kernel include/linux/module_signature.h, struct module_signature
     */
    public record Trailer(
            int algorithm,
            int hash,
            int idType,
            int signerLength,
            int keyIdLength,
            int padding,
            long signatureLength,
            long offset) {
        /** Bytes of it in a file, without the marker. */
        public static final int SIZE = 12;

        /** {@link #idType()} of PKCS#7. */
        public static final int PKCS7 = 2;
    }

    static byte[] marker() {
        return MARKER.clone();
    }

    /**
     * The end of a file that is marked as signed.
     *
     * @param file all bytes of the unpacked file
     * @return empty if it is not marked, or too short for the information
     */
    public static Optional<Trailer> trailer(Bytes file) {
        int at = file.size() - MARKER.length - Trailer.SIZE;
        if (at < 0 || !file.matches(file.size() - MARKER.length, MARKER)) {
            return Optional.empty();
        }
        return Optional.of(
                new Trailer(
                        file.get(at) & 0xff,
                        file.get(at + 1) & 0xff,
                        file.get(at + 2) & 0xff,
                        file.get(at + 3) & 0xff,
                        file.get(at + 4) & 0xff,
                        file.readInt(at + 4, Encoding.ELF64_MSB) & 0xff_ffff,
                        Integer.toUnsignedLong(file.readInt(at + 8, Encoding.ELF64_MSB)),
                        at));
    }

    /**
     * The signature of a module file. What kmod does not take for one is none: no marker, numbers
     * out of range, lengths beyond the file, a signature of length 0, PKCS#7 that cannot be parsed,
     * names no signer by issuer and serial number, or uses another hash. Hostile bytes give that
     * answer, never an exception.
     *
     * @param file all bytes of the unpacked file
     * @return the signature; empty if there is none
     */
    public static Optional<ModuleSignature> of(Bytes file) {
        return trailer(file)
                .filter(ModuleSignature::isSound)
                .flatMap(trailer -> read(file, trailer));
    }

    private static boolean isSound(Trailer trailer) {
        return trailer.algorithm() < ALGORITHMS
                && trailer.hash() < HASHES.size()
                && trailer.idType() < ID_TYPES.size()
                && trailer.signatureLength() != 0
                && trailer.signerLength() + trailer.keyIdLength() + trailer.signatureLength()
                        <= trailer.offset();
    }

    private static Optional<ModuleSignature> read(Bytes file, Trailer trailer) {
        int signatureAt = (int) (trailer.offset() - trailer.signatureLength());
        Bytes signature = file.slice(signatureAt, (int) trailer.signatureLength());
        if (trailer.idType() == Trailer.PKCS7) {
            return Pkcs7Signature.parse(trailer, ID_TYPES.get(Trailer.PKCS7), signature);
        }
        int keyIdAt = signatureAt - trailer.keyIdLength();
        return Optional.of(
                new ModuleSignature(
                        trailer,
                        ID_TYPES.get(trailer.idType()),
                        file.slice(keyIdAt - trailer.signerLength(), trailer.signerLength()),
                        file.slice(keyIdAt, trailer.keyIdLength()),
                        HASHES.get(trailer.hash()),
                        signature));
    }
}

package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.Signature;

/** Signatures as kernels from 3.7 to 4.2 know them, made by the JDK's own cryptography. */
final class OldSignatures {
    private OldSignatures() {}

    static byte[] sign(byte[] module, SigningKeys keys, String name)
            throws GeneralSecurityException {
        Signature signature = Signature.getInstance("SHA256withRSA");
        signature.initSign(keys.pair().getPrivate());
        signature.update(module);
        byte[] bytes = signature.sign();
        byte[] signer = name.getBytes(ISO_8859_1);
        byte[] keyId = SigningKeys.idOf(name);
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.writeBytes(module);
        file.writeBytes(signer);
        file.writeBytes(keyId);
        file.writeBytes(ByteBuffer.allocate(2).putShort((short) bytes.length).array());
        file.writeBytes(bytes);
        file.writeBytes(new byte[] {1, 4, 1, (byte) signer.length, (byte) keyId.length, 0, 0, 0});
        file.writeBytes(ByteBuffer.allocate(4).putInt(bytes.length + 2).array());
        file.writeBytes(ModuleSignature.marker());
        return file.toByteArray();
    }
}

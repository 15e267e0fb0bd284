package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Reads section names. The same few hundred occur in all modules, so a name that was read before is
 * used again instead of made anew; two threads that read at once may each make one, which does no
 * harm.
 */
final class SectionNames {
    private static final AtomicReferenceArray<String> KNOWN = new AtomicReferenceArray<>(1 << 12);

    private SectionNames() {}

    static String read(Bytes file, int at) {
        int length = file.textLength(at);
        int hash = length;
        for (int i = 0; i < length; i++) {
            hash = 31 * hash + file.get(at + i);
        }
        int slot = (hash ^ hash >>> 12) & KNOWN.length() - 1;
        String known = KNOWN.getPlain(slot);
        if (known != null && known.length() == length && matches(known, file, at)) {
            return known;
        }
        String name = file.text(at);
        if (length < 64) {
            KNOWN.setRelease(slot, name);
        }
        return name;
    }

    private static boolean matches(String known, Bytes file, int at) {
        for (int i = 0; i < known.length(); i++) {
            if (known.charAt(i) != (file.get(at + i) & 0xff)) {
                return false;
            }
        }
        return true;
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;

/**
 * What may be the code of a kernel in a boot file: the file itself, and what is packed in it,
 * wherever that begins.
 */
public final class KernelPayload implements Iterator<Bytes> {
    private static final byte[] DOS = {'M', 'Z'};
    private static final byte[] PE = {'P', 'E', 0, 0};
    private static final int PE_OFFSET = 0x3c;
    private static final int PE32_PLUS = 0x20b;
    private static final int LIMIT = 1 << 27;

    /** What only looks packed costs time: how much of it is tried, in bytes that are unpacked. */
    private static final long WORK = 1L << 30;

    /** What a try costs apart from that; it may be an array for a large dictionary. */
    private static final int TRY = 1 << 16;

    private static final int DICTIONARY_TRY = 1 << 24;

    /** Less than this is no kernel. */
    private static final int SMALLEST = 1 << 18;

    private final Bytes file;
    private int at = -1;
    private Bytes next;
    private long work;

    private KernelPayload(Bytes file) {
        this.file = file;
        this.next = file;
    }

    /** All there may be, lazily. */
    public static Iterable<Bytes> candidates(Bytes file) {
        Bytes unsigned = withoutSignature(file);
        return () -> new KernelPayload(unsigned);
    }

    /**
     * A boot file without what it is itself signed with, for the firmware: the certificates there
     * are none of the kernel's.
     */
    private static Bytes withoutSignature(Bytes file) {
        Encoding order = Encoding.ELF64_LSB;
        if (!file.matches(0, DOS) || file.size() < PE_OFFSET + 4) {
            return file;
        }
        int header = file.readInt(PE_OFFSET, order);
        if (header < 0 || header > file.size() - 0x200 || !file.matches(header, PE)) {
            return file;
        }
        boolean wide = file.unsignedShort(header + 24, order) == PE32_PLUS;
        int signature = file.readInt(header + 24 + (wide ? 112 : 96) + 4 * 8, order);
        return signature > 0 && signature < file.size() ? file.slice(0, signature) : file;
    }

    @Override
    public boolean hasNext() {
        while (next.isEmpty() && work < WORK && ++at < file.size()) {
            next = unpack();
        }
        return !next.isEmpty();
    }

    @Override
    public Bytes next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        Bytes found = next;
        next = Bytes.EMPTY;
        return found;
    }

    /** What is packed from here on; nothing if there is nothing, or little. */
    private Bytes unpack() {
        if (!Packing.beginsWith(file.get(at))) {
            return Bytes.EMPTY;
        }
        Optional<Packing> packing = Packing.at(file, at);
        if (packing.isEmpty()) {
            return Bytes.EMPTY;
        }
        work += packing.get().hasDictionary() ? DICTIONARY_TRY : TRY;
        try {
            return unpack(packing.get());
        } catch (OutOfMemoryError e) {
            return Bytes.EMPTY; // no kernel needs as much
        }
    }

    private Bytes unpack(Packing packing) {
        ByteArrayOutputStream unpacked = new ByteArrayOutputStream();
        try (InputStream in = packing.open(file.slice(at))) {
            byte[] part = new byte[1 << 16];
            for (int count; (count = in.read(part)) >= 0 && unpacked.size() < LIMIT; ) {
                unpacked.write(part, 0, count);
                work += count;
            }
        } catch (IOException e) {
            // What follows the packed kernel is taken for more of it; what came before counts.
        }
        return unpacked.size() < SMALLEST ? Bytes.EMPTY : Bytes.wrap(unpacked.toByteArray());
    }
}

package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.IOException;
import java.util.Optional;

/** Reads a linked kernel out of what a machine boots: {@code vmlinux}, {@code vmlinuz}. */
public final class LinkedImages {
    private static final Encoding LITTLE = Encoding.ELF64_LSB;
    private static final byte[] SETUP = {'H', 'd', 'r', 'S'};
    private static final int SETUP_AT = 0x202;
    private static final int SETUP_END = 0x250;

    /** What a kernel may unpack to. */
    private static final int LIMIT = 1 << 28;

    private LinkedImages() {}

    /**
     * The kernel in a file, at the addresses that it is linked for.
     *
     * @param file all of its bytes
     * @param name name of the file, for messages
     * @throws IOException if it is no kernel that is known here, or broken
     */
    public static LinkedImage read(Bytes file, String name) throws IOException {
        return LinkedElf.read(kernel(file, name), name);
    }

    /**
     * The kernel itself, out of what unpacks it: an ELF file with all that the file has of symbol
     * tables, or a raw image.
     *
     * @throws IOException if it is no kernel that is known here, or broken
     */
    public static Bytes kernel(Bytes file, String name) throws IOException {
        if (LinkedElf.isElf(file)) {
            return file;
        }
        if (file.matches(SETUP_AT, SETUP) && file.size() >= SETUP_END) {
            return bzImage(file, name);
        }
        throw new IOException(name + ": offset 0: no kernel of a kind that is known");
    }

    /** x86: the header of the boot protocol says where the packed ELF file lies. */
    private static Bytes bzImage(Bytes file, String name) throws IOException {
        int sectors = file.get(0x1f1) & 0xff;
        long from = file.readInt(0x248, LITTLE) & 0xffff_ffffL;
        long size = file.readInt(0x24c, LITTLE) & 0xffff_ffffL;
        long at = ((sectors == 0 ? 4 : sectors) + 1) * 512L + from;
        if (file.unsignedShort(0x206, LITTLE) < 0x208) {
            throw new IOException(name + ": offset 518: boot protocol before 2.08");
        }
        if (at > file.size() || size > file.size() - at) {
            throw new IOException(
                    name
                            + ": offset 584: "
                            + size
                            + " bytes from offset "
                            + at
                            + " on: beyond end");
        }
        Bytes payload = file.slice((int) at, (int) size);
        if (LinkedElf.isElf(payload)) {
            return payload;
        }
        Optional<Packing> packing = Packing.at(payload, 0);
        if (packing.isEmpty()) {
            throw new IOException(name + ": offset " + at + ": packed in an unknown way");
        }
        try {
            return packing.get().unpack(payload, LIMIT);
        } catch (IOException e) {
            throw new IOException(name + ": offset " + at + ": " + e.getMessage(), e);
        }
    }
}

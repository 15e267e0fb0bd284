package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.IOException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reads a linked kernel out of what a machine boots. Around it may lie, several times:
 *
 * <ul>
 *   <li>x86: a {@code bzImage}, whose header says where the packed ELF file is;
 *   <li>arm64, RISC-V: an EFI program whose header says the same ({@code vmlinuz.efi});
 *   <li>arm: a {@code zImage}; s390: a {@code bzImage}; MIPS, PowerPC: an ELF file that unpacks
 *       another. Where the packed kernel begins is not written there, so that all of it is looked
 *       through;
 *   <li>any: a packed file.
 * </ul>
 *
 * Inside is an ELF file, or a raw image.
 */
public final class LinkedImages {
    private static final Encoding LITTLE = Encoding.ELF64_LSB;
    private static final byte[] SETUP = {'H', 'd', 'r', 'S'};
    private static final int SETUP_AT = 0x202;
    private static final int SETUP_END = 0x250;
    private static final byte[] DOS = {'M', 'Z'};
    private static final byte[] ZBOOT = {'z', 'i', 'm', 'g'};
    private static final int ZBOOT_END = 0x40;
    private static final byte[] S390 = {'S', '3', '9', '0', 'E', 'P'};
    private static final int S390_AT = 0x10008;
    private static final int ZIMAGE_MAGIC = 0x016f2818;
    private static final int ZIMAGE_AT = 0x24;
    private static final byte[] CPIO = {'0', '7', '0', '7', '0'};
    private static final int EM_MIPS = 8;
    private static final int EM_PPC = 20;
    private static final int EM_PPC64 = 21;
    private static final int EM_S390 = 22;
    private static final int EM_ARM = 40;

    /** What a kernel may unpack to. */
    private static final int LIMIT = 1 << 28;

    /** What only looks packed costs time: how many bytes are unpacked. */
    private static final long WORK = 1L << 29;

    /** What a try costs apart from that; it may be an array for a large dictionary. */
    private static final int TRY = 1 << 20;

    private static final int DICTIONARY_TRY = 1 << 24;

    /** A packed file in a packed file in … */
    private static final int DEPTH = 4;

    /**
     * A kernel, or what one may be in.
     *
     * @param encoding of a raw image, as far as what it was packed in says
     * @param elfMachine of a raw image
     */
    private record Candidate(Bytes bytes, @Nullable Encoding encoding, int elfMachine) {}

    private final String name;
    private long work;

    private LinkedImages(String name) {
        this.name = name;
    }

    /**
     * A kernel out of what unpacks it.
     *
     * @param file an ELF file, with all that it has of symbol tables, or a raw image
     * @param image the kernel at the addresses that it is linked for; words that a relocatable
     *     kernel writes itself when it starts have their values
     */
    public record Unpacked(Bytes file, LinkedImage image) {}

    /**
     * Finds and reads the kernel in a file.
     *
     * @param file all of its bytes
     * @param name name of the file, for messages
     * @throws IOException if it is no kernel of a kind that is known here, or broken, or a raw
     *     image without a symbol table
     */
    public static Unpacked unpack(Bytes file, String name) throws IOException {
        try {
            Candidate kernel = new LinkedImages(name).unwrap(new Candidate(file, null, 0), 0);
            return new Unpacked(kernel.bytes(), image(kernel, name));
        } catch (OutOfMemoryError e) {
            throw new IOException(name + ": too large to be read here", e);
        }
    }

    /**
     * The kernel in a file, as {@link #unpack} reads it.
     *
     * @throws IOException as there
     */
    public static LinkedImage read(Bytes file, String name) throws IOException {
        return unpack(file, name).image();
    }

    private static LinkedImage image(Candidate kernel, String name) throws IOException {
        if (LinkedElf.isElf(kernel.bytes())) {
            return RelativeRelocations.apply(LinkedElf.read(kernel.bytes(), name));
        }
        return kernel.encoding() == null
                ? RawKernel.readWithHeader(kernel.bytes(), name)
                : RawKernel.read(kernel.bytes(), name, kernel.encoding(), kernel.elfMachine());
    }

    private Candidate unwrap(Candidate outer, int depth) throws IOException {
        Bytes file = outer.bytes();
        if (depth > DEPTH) {
            throw failure(0, "packed more than " + DEPTH + " times");
        }
        if (LinkedElf.isElf(file)) {
            return elf(outer, depth);
        }
        if (file.matches(SETUP_AT, SETUP) && file.size() >= SETUP_END) {
            return unwrap(bzImage(file), depth + 1);
        }
        if (file.matches(0, DOS) && file.matches(4, ZBOOT) && file.size() >= ZBOOT_END) {
            long at = file.readInt(8, LITTLE) & 0xffff_ffffL;
            long size = file.readInt(12, LITTLE) & 0xffff_ffffL;
            return unwrap(payload(file, 8, at, size), depth + 1);
        }
        if (RawKernel.hasHeader(file)) {
            return new Candidate(file, null, 0);
        }
        if (file.matches(S390_AT, S390)) {
            return unwrap(new Candidate(scan(file), Encoding.ELF64_MSB, EM_S390), depth + 1);
        }
        for (Encoding encoding : new Encoding[] {Encoding.ELF32_LSB, Encoding.ELF32_MSB}) {
            if (file.size() >= ZIMAGE_AT + 4 && file.readInt(ZIMAGE_AT, encoding) == ZIMAGE_MAGIC) {
                return unwrap(new Candidate(scan(file), encoding, EM_ARM), depth + 1);
            }
        }
        Optional<Packing> packing = Packing.at(file, 0);
        if (packing.isPresent()) {
            Bytes unpacked = unpack(packing.get(), file, 0, file.size());
            return unwrap(new Candidate(unpacked, outer.encoding(), outer.elfMachine()), depth + 1);
        }
        if (outer.encoding() != null) {
            return outer;
        }
        for (Encoding encoding : new Encoding[] {Encoding.ELF32_LSB, Encoding.ELF32_MSB}) {
            if (RawKernel.looksLikeArm(file, encoding)) {
                return new Candidate(file, encoding, EM_ARM);
            }
        }
        throw failure(0, "no kernel of a kind that is known");
    }

    /** On some machines an ELF file is booted that unpacks the kernel: one that is larger. */
    private Candidate elf(Candidate outer, int depth) throws IOException {
        Bytes file = outer.bytes();
        LinkedElf.Header header = LinkedElf.header(file, name);
        int machine = header.elfMachine();
        if (machine != EM_MIPS && machine != EM_PPC && machine != EM_PPC64) {
            return outer;
        }
        Bytes inner = tryScan(file).bytes();
        return inner.size() <= file.size() || inner.matches(0, CPIO)
                ? outer
                : unwrap(new Candidate(inner, header.encoding(), machine), depth + 1);
    }

    /** x86: where the payload is, from the end of the setup code on. */
    private Candidate bzImage(Bytes file) throws IOException {
        if (file.unsignedShort(0x206, LITTLE) < 0x208) {
            throw failure(
                    0x206, "a boot protocol before 2.08, which does not say where the kernel is");
        }
        int sectors = file.get(0x1f1) & 0xff;
        long from = file.readInt(0x248, LITTLE) & 0xffff_ffffL;
        long size = file.readInt(0x24c, LITTLE) & 0xffff_ffffL;
        return payload(file, 0x248, ((sectors == 0 ? 4 : sectors) + 1) * 512L + from, size);
    }

    private Candidate payload(Bytes file, int header, long at, long size) throws IOException {
        if (at > file.size() || size > file.size() - at) {
            throw failure(
                    header,
                    size + " bytes from offset " + at + " on are not in the " + file.size());
        }
        Bytes payload = file.slice((int) at, (int) size);
        Optional<Packing> packing = Packing.at(payload, 0);
        if (packing.isPresent()) {
            return new Candidate(unpack(packing.get(), file, (int) at, (int) size), null, 0);
        }
        if (LinkedElf.isElf(payload) || RawKernel.hasHeader(payload)) {
            return new Candidate(payload, null, 0);
        }
        throw failure((int) at, "a kernel that is packed in a way that is not known");
    }

    private Bytes unpack(Packing packing, Bytes file, int at, int size) throws IOException {
        try {
            return packing.unpack(file.slice(at, size), LIMIT, count -> work += count);
        } catch (IOException e) {
            throw new IOException(failure(at, e.getMessage()).getMessage(), e);
        }
    }

    /** The largest thing that is packed somewhere in the file. */
    private Bytes scan(Bytes file) throws IOException {
        Scan scan = tryScan(file);
        if (scan.bytes().isEmpty()) {
            throw scan.failure() != null
                    ? scan.failure()
                    : failure(file.size(), "ends without anything that is packed");
        }
        return scan.bytes();
    }

    /**
     * What was found.
     *
     * @param failure the first of what could not be unpacked
     */
    private record Scan(Bytes bytes, @Nullable IOException failure) {}

    private Scan tryScan(Bytes file) {
        Bytes largest = Bytes.EMPTY;
        IOException failure = null;
        for (int at = 0; at < file.size(); at++) {
            if (!Packing.beginsWith(file.get(at))) {
                continue;
            }
            Optional<Packing> packing = Packing.at(file, at);
            if (packing.isEmpty()) {
                continue;
            }
            if (work > WORK) {
                IOException more = failure(at, "too much looks as if it were packed");
                return new Scan(largest, failure == null ? more : failure);
            }
            work += packing.get().hasDictionary() ? DICTIONARY_TRY : TRY;
            try {
                Bytes unpacked = unpack(packing.get(), file, at, file.size() - at);
                largest = unpacked.size() > largest.size() ? unpacked : largest;
            } catch (IOException e) {
                failure = failure == null ? e : failure;
            }
        }
        return new Scan(largest, failure);
    }

    private IOException failure(int offset, @Nullable String what) {
        return new IOException(name + ": offset " + offset + ": " + what);
    }
}

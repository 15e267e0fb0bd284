package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.CheckedOutputStream;
import org.jspecify.annotations.Nullable;
import org.tukaani.xz.ARM64Options;
import org.tukaani.xz.ARMOptions;
import org.tukaani.xz.ARMThumbOptions;
import org.tukaani.xz.ArrayCache;
import org.tukaani.xz.BasicArrayCache;
import org.tukaani.xz.FilterOptions;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.PowerPCOptions;
import org.tukaani.xz.RISCVOptions;
import org.tukaani.xz.X86Options;

/**
 * Unpacks xz as the kernel's own decoder does, which takes less than others: only CRC32 or no
 * check, only LZMA2, behind at most one of the branch filters it was built with. It reads the first
 * stream and leaves alone what follows. The container is read here, because what is wrong with it
 * decides on the status; the LZMA2 data is left to the xz library.
 *
 * @kernel lib/xz/xz_dec_stream.c, xz_dec_run()
 * @kernel kernel/module/decompress.c, module_xz_decompress()
 */
final class XzModule {
    private static final int MAGIC_SIZE = 6;

    /** What the decoder has come to when it is out of input. */
    private static final int UNFINISHED = 0;

    /** No memory for the dictionary. */
    private static final int NO_MEMORY = 3;

    /** Something that the decoder does not know. */
    private static final int UNSUPPORTED = 6;

    /** What cannot be. */
    private static final int CORRUPT = 7;

    private static final int HEADER_SIZE = 12;
    private static final int CHECK_NONE = 0;
    private static final int CHECK_CRC32 = 1;
    private static final int LZMA2 = 0x21;
    private static final int LARGEST_DICTIONARY = 39;

    /** Beyond this a machine is said to have no room for a dictionary. */
    private static final long DICTIONARY_LIMIT = 1L << 30;

    /** A branch filter that a kernel may be built with. */
    private enum Filter {
        X86(4),
        POWERPC(5),
        ARM(7),
        ARMTHUMB(8),
        ARM64(10),
        RISCV(11);

        private final int id;

        Filter(int id) {
            this.id = id;
        }

        FilterOptions options() {
            return switch (this) {
                case X86 -> new X86Options();
                case POWERPC -> new PowerPCOptions();
                case ARM -> new ARMOptions();
                case ARMTHUMB -> new ARMThumbOptions();
                case ARM64 -> new ARM64Options();
                case RISCV -> new RISCVOptions();
            };
        }
    }

    /** Ends the decoding with a status. */
    private static final class Stop extends Exception {
        private static final long serialVersionUID = 1L;
        private final int status;

        Stop(int status) {
            super("status " + status, null, false, false);
            this.status = status;
        }
    }

    private record BlockSizes(long unpadded, long uncompressed) {}

    private final byte[] file;
    private final long limit;
    private final Set<String> filters;
    private final List<BlockSizes> blocks = new ArrayList<>();
    private final ByteArrayOutputStream unpacked = new ByteArrayOutputStream();
    private final ArrayCache arrays = new BasicArrayCache();
    private int check;
    private int at;

    private XzModule(byte[] file, long limit, Set<String> filters) {
        this.file = file;
        this.limit = limit;
        this.filters = filters;
    }

    /**
     * The bytes in a file.
     *
     * @param limit how many there may be
     * @param filters names of the branch filters that the kernel knows, such as {@code X86}
     * @throws io.github.koloader.LoadException EINVAL with the kernel's status, ENOMEM beyond the
     *     limit
     */
    static Bytes unpack(Bytes file, long limit, Set<String> filters) {
        if (!Packing.XZ.beginsAt(file, 0)) {
            throw ElfFailures.notCompressed("an xz");
        }
        XzModule module = new XzModule(file.toByteArray(), limit, filters);
        try {
            module.stream();
        } catch (Stop stop) {
            throw ElfFailures.decompressionStatus(stop.status).causedBy(stop);
        }
        return Bytes.wrap(module.unpacked.toByteArray());
    }

    // ---- the container ----

    private void stream() throws Stop {
        need(HEADER_SIZE);
        if (crc(MAGIC_SIZE, 2) != littleEndian(8)) {
            throw new Stop(CORRUPT);
        }
        if (file[6] != 0 || (file[7] & 0xff) > CHECK_CRC32) {
            throw new Stop(UNSUPPORTED);
        }
        check = file[7];
        at = HEADER_SIZE;
        for (need(1); file[at] != 0; need(1)) {
            block();
        }
        index();
    }

    private void block() throws Stop {
        int start = at;
        int headerSize = ((file[at] & 0xff) + 1) * 4;
        need(headerSize);
        int end = start + headerSize - 4;
        if (crc(start, headerSize - 4) != littleEndian(end)) {
            throw new Stop(CORRUPT);
        }
        int flags = file[start + 1] & 0xff;
        if ((flags & 0x3e) != 0) {
            throw new Stop(UNSUPPORTED);
        }
        at = start + 2;
        long compressed = (flags & 0x40) == 0 ? -1 : number(end, CORRUPT);
        long uncompressed = (flags & 0x80) == 0 ? -1 : number(end, CORRUPT);
        @Nullable Filter filter = (flags & 1) == 0 ? null : filter(end);
        long dictionary = dictionary(end);
        for (; at < end; at++) {
            if (file[at] != 0) {
                throw new Stop(UNSUPPORTED);
            }
        }
        at = start + headerSize;
        int dataAt = at;
        int outputAt = unpacked.size();
        int crc = decode(filter, dictionary);
        long packedSize = (long) at - dataAt;
        long size = (long) unpacked.size() - outputAt;
        if (compressed >= 0 && compressed != packedSize
                || uncompressed >= 0 && uncompressed != size) {
            throw new Stop(CORRUPT);
        }
        padding(dataAt);
        if (check == CHECK_CRC32) {
            need(4);
            if (crc != littleEndian(at)) {
                throw new Stop(CORRUPT);
            }
            at += 4;
        }
        blocks.add(new BlockSizes(headerSize + packedSize + (check == CHECK_NONE ? 0 : 4), size));
    }

    private Filter filter(int end) throws Stop {
        if (end - at < 2) {
            throw new Stop(UNSUPPORTED);
        }
        int id = file[at++];
        for (Filter filter : Filter.values()) {
            if (filter.id == id && filters.contains(filter.name())) {
                if (file[at++] != 0) { // it would start counting elsewhere
                    throw new Stop(UNSUPPORTED);
                }
                return filter;
            }
        }
        throw new Stop(UNSUPPORTED);
    }

    private long dictionary(int end) throws Stop {
        if (end - at < 2) {
            throw new Stop(CORRUPT);
        }
        if (file[at++] != LZMA2 || file[at++] != 1) {
            throw new Stop(UNSUPPORTED);
        }
        if (end - at < 1) {
            throw new Stop(CORRUPT);
        }
        int code = file[at++] & 0xff;
        if (code > LARGEST_DICTIONARY) {
            throw new Stop(UNSUPPORTED);
        }
        long size = (2L + (code & 1)) << (code >> 1) + 11;
        if (size > DICTIONARY_LIMIT) {
            throw new Stop(NO_MEMORY);
        }
        return size;
    }

    private void index() throws Stop {
        int start = at++;
        if (number(file.length, UNFINISHED) != blocks.size()) {
            throw new Stop(CORRUPT);
        }
        boolean equal = true;
        for (BlockSizes sizes : blocks) {
            equal &= number(file.length, UNFINISHED) == sizes.unpadded();
            equal &= number(file.length, UNFINISHED) == sizes.uncompressed();
        }
        padding(start);
        if (!equal) {
            throw new Stop(CORRUPT);
        }
        need(4);
        if (crc(start, at - start) != littleEndian(at)) {
            throw new Stop(CORRUPT);
        }
        int size = at - start;
        at += 4;
        footer(size);
    }

    private void footer(int indexSize) throws Stop {
        need(HEADER_SIZE);
        if (crc(at + 4, 6) != littleEndian(at)
                || littleEndian(at + 4) != indexSize / 4
                || file[at + 8] != 0
                || file[at + 9] != check
                || file[at + 10] != 'Y'
                || file[at + 11] != 'Z') {
            throw new Stop(CORRUPT);
        }
    }

    /** Zeros up to a multiple of four bytes from {@code start} on. */
    private void padding(int start) throws Stop {
        for (; (at - start & 3) != 0; at++) {
            need(1);
            if (file[at] != 0) {
                throw new Stop(CORRUPT);
            }
        }
    }

    /**
     * A number of seven bits a byte, lowest first.
     *
     * @param end where it has to end
     * @param beyond status if it does not
     */
    private long number(int end, int beyond) throws Stop {
        long value = 0;
        for (int shift = 0; shift < 63; shift += 7) {
            if (at == end) {
                throw new Stop(beyond);
            }
            int next = file[at++] & 0xff;
            value |= (next & 0x7fL) << shift;
            if (next < 0x80) {
                if (next == 0 && shift != 0) {
                    throw new Stop(CORRUPT);
                }
                return value;
            }
        }
        throw new Stop(CORRUPT);
    }

    // ---- LZMA2 ----

    /** Unpacks the data of a block, and gives its CRC32. */
    private int decode(@Nullable Filter filter, long dictionary) throws Stop {
        // A dictionary need not be larger than what is unpacked.
        long size = Math.min(uncompressedSize(), limit - unpacked.size());
        int enough = (int) Math.max(4096, Math.min(dictionary, size));
        ByteArrayInputStream data = new ByteArrayInputStream(file, at, file.length - at);
        CheckedOutputStream output = new CheckedOutputStream(unpacked, new CRC32());
        try (InputStream lzma2 = lzma2(enough).getInputStream(data, arrays);
                InputStream all =
                        filter == null ? lzma2 : filter.options().getInputStream(lzma2, arrays)) {
            byte[] part = new byte[1 << 13];
            for (int count; (count = all.read(part)) >= 0; ) {
                if (count > limit - unpacked.size()) {
                    throw ElfFailures.noMemory(unpacked.size() + (long) count);
                }
                output.write(part, 0, count);
            }
        } catch (EOFException e) {
            throw new Stop(UNFINISHED);
        } catch (IOException e) {
            throw new Stop(CORRUPT);
        } catch (OutOfMemoryError e) {
            throw new Stop(NO_MEMORY);
        }
        at = file.length - data.available();
        return (int) output.getChecksum().getValue();
    }

    private static LZMA2Options lzma2(int dictionary) throws IOException {
        LZMA2Options options = new LZMA2Options();
        options.setDictSize(dictionary);
        return options;
    }

    /** What the chunks say that they unpack to, up to the first that there cannot be. */
    private long uncompressedSize() {
        long size = 0;
        long next = at;
        while (next + 3 <= file.length) {
            int here = (int) next;
            int control = file[here] & 0xff;
            int low = (file[here + 1] & 0xff) << 8 | file[here + 2] & 0xff;
            if (control == 1 || control == 2) {
                size += low + 1;
                next += 3 + low + 1;
            } else if (control >= 0x80 && next + 5 <= file.length) {
                size += ((control & 0x1f) << 16) + low + 1;
                next +=
                        (control >= 0xc0 ? 6 : 5)
                                + ((file[here + 3] & 0xff) << 8 | file[here + 4] & 0xff)
                                + 1L;
            } else {
                break;
            }
        }
        return size;
    }

    // ---- bytes ----

    private void need(int count) throws Stop {
        if (count > file.length - at) {
            throw new Stop(UNFINISHED);
        }
    }

    private int littleEndian(int offset) {
        return ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(offset);
    }

    private int crc(int offset, int length) {
        CRC32 crc = new CRC32();
        crc.update(file, offset, length);
        return (int) crc.getValue();
    }
}

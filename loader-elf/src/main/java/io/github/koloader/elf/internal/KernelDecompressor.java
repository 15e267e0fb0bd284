package io.github.koloader.elf.internal;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdException;
import com.github.luben.zstd.ZstdIOException;
import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import io.github.koloader.KernelConfig;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Bytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Set;
import java.util.TreeSet;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * Unpacks a module as {@code finit_module(2)} does for {@code MODULE_INIT_COMPRESSED_FILE}: by the
 * one algorithm that the kernel was built for, with its status where that fails.
 *
 * @kernel kernel/module/decompress.c, module_decompress()
 */
public final class KernelDecompressor {
    private static final int GZIP_HEADER_SIZE = 10;
    private static final int GZIP_NAME = 8;
    private static final int Z_DATA_ERROR = -3;
    private static final int Z_BUF_ERROR = -5;
    private static final int LARGEST_WINDOW_LOG = 27;

    private KernelDecompressor() {}

    /**
     * The bytes in a file.
     *
     * @param limit how many there may be; beyond, a kernel is said to be out of memory
     * @throws io.github.koloader.LoadException EINVAL with the kernel's message, ENOMEM, EOPNOTSUPP
     *     for a kernel that cannot unpack
     */
    public static Bytes unpack(
            Bytes file, KernelConfig config, Architecture architecture, long limit) {
        try {
            return switch (config.moduleCompression()) {
                case "" -> throw ElfFailures.cannotDecompress();
                case "gzip" -> gzip(file, limit);
                case "xz" -> XzModule.unpack(file, limit, filters(config, architecture));
                default -> zstd(file, limit);
            };
        } catch (OutOfMemoryError e) {
            // where this host has no memory for it, a kernel has none either
            throw ElfFailures.noMemory(file.size()).causedBy(e);
        }
    }

    /**
     * The branch filters that the kernel's xz decoder knows. Where the options are not set: that of
     * the architecture, and since 6.12 those of arm64 and RISC-V on all.
     */
    private static Set<String> filters(KernelConfig config, Architecture architecture) {
        Set<String> filters = new TreeSet<>();
        String own =
                switch (architecture.elfMachine()) {
                    case 3, 62 -> "X86";
                    case 20, 21 -> "POWERPC";
                    case 40 -> "ARM ARMTHUMB";
                    default -> "";
                };
        for (String name : new String[] {"X86", "POWERPC", "ARM", "ARMTHUMB", "ARM64", "RISCV"}) {
            boolean usual =
                    Set.of(own.split(" ")).contains(name)
                            || config.atLeast(6, 12)
                                    && (name.equals("ARM64") || name.equals("RISCV"));
            if (config.kconfig("CONFIG_XZ_DEC_" + name, usual)) {
                filters.add(name);
            }
        }
        return filters;
    }

    /** Of the optional parts of the header the kernel knows the file's name alone. */
    private static Bytes gzip(Bytes file, long limit) {
        if (file.size() < GZIP_HEADER_SIZE || !Packing.GZIP.beginsAt(file, 0)) {
            throw ElfFailures.notCompressed("a gzip");
        }
        int at = GZIP_HEADER_SIZE;
        if ((file.get(3) & GZIP_NAME) != 0) {
            at = file.indexOf((byte) 0, at) + 1;
            if (at == 0) {
                throw ElfFailures.notCompressed("a gzip");
            }
        }
        byte[] packed = file.slice(at).toByteArray();
        Inflater inflater = new Inflater(true);
        try {
            inflater.setInput(packed);
            ByteArrayOutputStream unpacked = new ByteArrayOutputStream();
            byte[] part = new byte[1 << 16];
            while (!inflater.finished()) {
                int count = inflater.inflate(part);
                if (count == 0 && !inflater.finished()) {
                    throw ElfFailures.decompressionStatus(Z_BUF_ERROR);
                }
                append(part, count, unpacked, limit);
            }
            return Bytes.wrap(unpacked.toByteArray());
        } catch (DataFormatException e) {
            throw ElfFailures.decompressionStatus(Z_DATA_ERROR).causedBy(e);
        } finally {
            inflater.end();
        }
    }

    /** The first frame; one that ends too early is no error here, and gives what there is. */
    private static Bytes zstd(Bytes file, long limit) {
        if (!Packing.ZSTD.beginsAt(file, 0)) {
            throw ElfFailures.notCompressed("a zstd");
        }
        byte[] packed = file.toByteArray();
        checkZstdHeader(packed, limit);
        int length = sizeOfFirstFrame(packed);
        ByteArrayOutputStream unpacked = new ByteArrayOutputStream();
        try (ZstdInputStreamNoFinalizer frame =
                new ZstdInputStreamNoFinalizer(new ByteArrayInputStream(packed, 0, length))) {
            frame.setContinuous(true);
            frame.setLongMax(LARGEST_WINDOW_LOG + 4);
            byte[] part = new byte[1 << 16];
            for (int count; (count = frame.read(part)) > 0; ) {
                append(part, count, unpacked, limit);
            }
        } catch (ZstdIOException e) {
            throw ElfFailures.zstdStatus((int) e.getErrorCode()).causedBy(e);
        } catch (IOException e) {
            throw ElfFailures.zstdStatus(1).causedBy(e);
        }
        return Bytes.wrap(unpacked.toByteArray());
    }

    /** Bytes up to the end of the first frame; all if it has no end. */
    private static int sizeOfFirstFrame(byte[] file) {
        try {
            return (int) Zstd.findFrameCompressedSize(file);
        } catch (ZstdException e) { // the decoder will say what is wrong, if it gets there
            return file.length;
        }
    }

    private static void checkZstdHeader(byte[] file, long limit) {
        int descriptor = file.length > 4 ? file[4] & 0xff : -1;
        boolean single = (descriptor & 0x20) != 0;
        int dictionaryId = new int[] {0, 1, 2, 4}[descriptor & 3];
        int sizeField = new int[] {single ? 1 : 0, 2, 4, 8}[descriptor >> 6 & 3];
        int size = 5 + (single ? 0 : 1) + dictionaryId + sizeField;
        if (descriptor < 0 || (descriptor & 8) != 0 || file.length < size) {
            throw ElfFailures.zstdHeader();
        }
        long window = 0;
        if (!single) {
            int log = 10 + ((file[5] & 0xff) >> 3);
            if (log > 31) {
                throw ElfFailures.zstdHeader();
            }
            window = (1L << log) + (1L << log - 3) * (file[5] & 7);
        } else {
            for (int i = size - 1; i >= size - sizeField; i--) {
                window = window << 8 | file[i] & 0xff;
            }
            window += sizeField == 2 ? 256 : 0;
        }
        if (window < 0 || window > limit) {
            throw ElfFailures.noMemory(window);
        }
    }

    private static void append(byte[] part, int count, ByteArrayOutputStream unpacked, long limit) {
        if (count > limit - unpacked.size()) {
            throw ElfFailures.noMemory(unpacked.size() + (long) count);
        }
        unpacked.write(part, 0, count);
    }
}

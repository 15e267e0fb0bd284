package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.Kos;
import io.github.koloader.image.Bytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tukaani.xz.ARM64Options;
import org.tukaani.xz.ARMOptions;
import org.tukaani.xz.ARMThumbOptions;
import org.tukaani.xz.DeltaOptions;
import org.tukaani.xz.FilterOptions;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.PowerPCOptions;
import org.tukaani.xz.RISCVOptions;
import org.tukaani.xz.X86Options;
import org.tukaani.xz.XZ;
import org.tukaani.xz.XZOutputStream;

final class XzModuleTest {
    private static final long LIMIT = 1 << 20;
    private static final KernelConfig LINUX_6_12 = KernelConfig.linux6_12();

    /** Something that packs, but not to nothing. */
    private static byte[] content() {
        byte[] content = new byte[20_000];
        new Random(1).nextBytes(content);
        Arrays.fill(content, 5_000, 15_000, (byte) 0xe8);
        return content;
    }

    private static byte[] pack(byte[] content, int check, int blockSize, FilterOptions... chain) {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (XZOutputStream xz = new XZOutputStream(packed, chain, check)) {
            for (int at = 0; at < content.length; at += blockSize) {
                xz.write(content, at, Math.min(blockSize, content.length - at));
                xz.endBlock();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return packed.toByteArray();
    }

    private static byte[] small() {
        return pack(Kos.small(), XZ.CHECK_CRC32, 700, new LZMA2Options());
    }

    private static Bytes unpack(byte[] file, Architecture architecture) {
        return KernelDecompressor.unpack(Bytes.copyOf(file), LINUX_6_12, architecture, LIMIT);
    }

    private static LoadException refusal(byte[] file) {
        return catchThrowableOfType(LoadException.class, () -> unpack(file, Architectures.X86_64));
    }

    private static String status(byte[] file) {
        LoadException refusal = refusal(file);
        assertThat(refusal).isNotNull();
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        return refusal.dmesg().replace("decompression failed with status ", "");
    }

    @ParameterizedTest
    @CsvSource({"0, 20000", "1, 20000", "1, 3000", "0, 1"})
    void crc32AndNoCheckAreTakenOfOneBlockOrMany(int check, int blockSize) {
        byte[] content = content();
        byte[] packed = pack(content, check, blockSize, littleMemory());
        assertThat(unpack(packed, Architectures.X86_64)).isEqualTo(Bytes.wrap(content));
    }

    private static LZMA2Options littleMemory() {
        try {
            LZMA2Options options = new LZMA2Options(0);
            options.setDictSize(LZMA2Options.DICT_SIZE_MIN);
            return options;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @ParameterizedTest
    @CsvSource({"4", "10"})
    void otherChecksAreUnsupported(int check) {
        assertThat(status(pack(content(), check, 20_000, new LZMA2Options()))).isEqualTo("6");
    }

    private static FilterOptions filter(String name) {
        return switch (name) {
            case "X86" -> new X86Options();
            case "POWERPC" -> new PowerPCOptions();
            case "ARM" -> new ARMOptions();
            case "ARMTHUMB" -> new ARMThumbOptions();
            case "ARM64" -> new ARM64Options();
            case "RISCV" -> new RISCVOptions();
            default -> new DeltaOptions();
        };
    }

    @ParameterizedTest
    @CsvSource({
        "x86_64, X86, true",
        "x86_64, ARM64, true",
        "x86_64, RISCV, true",
        "x86_64, ARM, false",
        "x86_64, ARMTHUMB, false",
        "x86_64, POWERPC, false",
        "x86_64, delta, false",
        "arm64, X86, false",
        "arm64, ARM64, true",
        "arm, ARM, true",
        "arm, ARMTHUMB, true",
        "ppc64le, POWERPC, true"
    })
    void aBranchFilterIsTakenByKernelsThatWereBuiltWithIt(
            String machine, String name, boolean taken) {
        Architecture architecture =
                switch (machine) {
                    case "x86_64" -> Architectures.X86_64;
                    case "arm64" -> Architectures.AARCH64;
                    case "arm" -> Architectures.ARM;
                    default -> Architectures.PPC64LE;
                };
        byte[] content = content();
        byte[] packed = pack(content, XZ.CHECK_CRC32, 9_000, filter(name), new LZMA2Options());
        if (taken) {
            assertThat(unpack(packed, architecture)).isEqualTo(Bytes.wrap(content));
        } else {
            assertThat(
                            catchThrowableOfType(
                                            LoadException.class, () -> unpack(packed, architecture))
                                    .dmesg())
                    .isEqualTo("decompression failed with status 6");
        }
    }

    @Test
    void theKernelsOptionsDecideOnBranchFilters() {
        byte[] packed =
                pack(content(), XZ.CHECK_CRC32, 9_000, new X86Options(), new LZMA2Options());
        KernelConfig without = LINUX_6_12.toBuilder().kconfig("CONFIG_XZ_DEC_X86", false).build();
        assertThat(
                        catchThrowableOfType(
                                        LoadException.class,
                                        () ->
                                                KernelDecompressor.unpack(
                                                        Bytes.copyOf(packed),
                                                        without,
                                                        Architectures.X86_64,
                                                        LIMIT))
                                .dmesg())
                .isEqualTo("decompression failed with status 6");
    }

    /** How LZMA2 counts bits may make no difference to little data. */
    @Test
    void everyChangedByteIsFoundUnlessTheContentIsTheSame() {
        byte[] file = small();
        int same = 0;
        for (int at = 0; at < file.length; at++) {
            for (int change : new int[] {1, 0x80, 0xff}) {
                file[at] ^= (byte) change;
                LoadException refusal = refusal(file);
                if (refusal == null) {
                    same++;
                    assertThat(unpack(file, Architectures.X86_64))
                            .isEqualTo(Bytes.wrap(Kos.small()));
                } else {
                    assertThat(refusal.dmesg())
                            .isIn(
                                    "not an xz compressed module",
                                    "decompression failed with status 7",
                                    "decompression failed with status 0"); // sizes may grow
                }
                file[at] ^= (byte) change;
            }
        }
        assertThat(same).isLessThan(4);
    }

    @Test
    void everyBeginningIsUnfinished() {
        byte[] file = small();
        for (int length = 6; length < file.length; length++) {
            assertThat(status(Arrays.copyOf(file, length))).as("%s bytes", length).isEqualTo("0");
        }
        assertThat(refusal(Arrays.copyOf(file, 5)).dmesg())
                .isEqualTo("not an xz compressed module");
    }

    @Test
    void whatFollowsTheFirstStreamDoesNotMatter() {
        byte[] file = Arrays.copyOf(small(), small().length + 9);
        Arrays.fill(file, file.length - 9, file.length, (byte) 'x');
        assertThat(unpack(file, Architectures.X86_64)).isEqualTo(Bytes.wrap(Kos.small()));
    }

    /** Puts a byte into the first block's header and its CRC right. */
    private static byte[] withHeaderByte(int offset, int value) {
        byte[] file = pack(Kos.small(), XZ.CHECK_CRC32, 700, new LZMA2Options());
        file[12 + offset] = (byte) value;
        CRC32 crc = new CRC32();
        int size = (file[12] & 0xff) * 4;
        crc.update(file, 12, size);
        for (int i = 0; i < 4; i++) {
            file[12 + size + i] = (byte) (crc.getValue() >> 8 * i);
        }
        return file;
    }

    @ParameterizedTest
    @CsvSource({
        "1, 0x04, 6", // a reserved flag
        "1, 0x02, 6", // three filters
        "1, 0x01, 6", // two filters, the first of which is LZMA2
        "2, 0x03, 6", // delta alone
        "3, 0x02, 6", // two bytes of properties
        "4, 40, 6", // a dictionary of 4 GiB - 1
        "4, 39, 3", // of 3 GiB: no memory
        "4, 37, 3", // of 1.5 GiB
        "4, 36, ok", // of 1 GiB
        "5, 1, 6" // padding that is not zero
    })
    void aBlockHeaderSaysWhatTheDecoderMustKnow(int offset, String value, String expected) {
        byte[] file = withHeaderByte(offset, Integer.decode(value));
        if (expected.equals("ok")) {
            assertThat(unpack(file, Architectures.X86_64)).isEqualTo(Bytes.wrap(Kos.small()));
        } else {
            assertThat(status(file)).isEqualTo(expected);
        }
    }

    @Test
    void moreThanThereIsRoomForIsOutOfMemory() {
        byte[] bomb =
                pack(new byte[(int) LIMIT + 1], XZ.CHECK_NONE, (int) LIMIT + 1, new LZMA2Options());
        LoadException refusal = refusal(bomb);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM);
        assertThat(refusal.lines()).isEmpty();
    }
}

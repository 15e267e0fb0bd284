package io.github.koloader.elf.internal;

import static io.github.koloader.elf.internal.KallsymsDecoderPropertyTest.entries;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.elf.internal.TestKernels.Part;
import io.github.koloader.elf.internal.TestKernels.Raw;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class LinkedImagesTest {
    private static final long X86_64 = 0xffff_ffff_8100_0000L;
    private static final long ARM64 = 0xffff_8000_0800_0000L;
    private static final long ARM = 0xc000_8000L;
    private static final int ALLOC = 2;
    private static final int WRITE = 1;
    private static final int EXECUTE = 4;

    private static LinkedImage read(byte[] file) throws IOException {
        return LinkedImages.read(Bytes.copyOf(file), "vmlinuz");
    }

    private static byte[] vmlinux(Encoding encoding, long address, int machine) {
        byte[] raw = TestKernels.raw(encoding, address, true).bytes();
        return TestKernels.elf(
                encoding,
                machine,
                true,
                List.of(
                        new Part(".text", 1, ALLOC | EXECUTE, address, raw),
                        new Part(".comment", 1, 0, 0, new byte[10]),
                        new Part(
                                ".data",
                                1,
                                ALLOC | WRITE,
                                address + raw.length,
                                new byte[] {1, 2})));
    }

    private static void assertIsVmlinux(LinkedImage image, Encoding encoding, long address) {
        assertThat(image.encoding()).isEqualTo(encoding);
        assertThat(image.pieces())
                .extracting(LinkedImage.Piece::name)
                .containsExactly(".text", ".data");
        assertThat(image.section(".data").orElseThrow().address())
                .isEqualTo(address + TestKernels.SIZE);
        assertThat(image.section(".text").orElseThrow().bytes())
                .isEqualTo(Bytes.wrap(TestKernels.raw(encoding, address, true).bytes()));
    }

    private static void assertIsRaw(LinkedImage image, Raw raw, long address, int machine) {
        assertThat(image.elfMachine()).isEqualTo(machine);
        assertThat(image.pieces()).hasSize(1);
        assertThat(image.pieces().get(0).address()).isEqualTo(address);
        assertThat(KallsymsDecoder.decode(image))
                .hasValueSatisfying(table -> assertThat(entries(table)).isEqualTo(raw.symbols()));
    }

    // ---- ELF files ----

    @Test
    void anElfFileIsItsSectionsInMemory() throws IOException {
        assertIsVmlinux(read(vmlinux(Encoding.ELF64_LSB, X86_64, 62)), Encoding.ELF64_LSB, X86_64);
        assertIsVmlinux(read(vmlinux(Encoding.ELF32_MSB, ARM, 40)), Encoding.ELF32_MSB, ARM);
    }

    @Test
    void withoutSectionHeadersAnElfFileIsItsSegments() throws IOException {
        for (Encoding encoding : new Encoding[] {Encoding.ELF64_MSB, Encoding.ELF32_LSB}) {
            byte[] text = {1, 2, 3, 4};
            byte[] file =
                    TestKernels.elf(
                            encoding, 62, false, List.of(new Part(null, 0, 0, 0x10000, text)));
            LinkedImage.Piece piece = read(file).pieces().get(0);
            assertThat(piece.address()).isEqualTo(0x10000);
            assertThat(piece.bytes()).isEqualTo(Bytes.copyOf(text));
            assertThat(piece.size()).isEqualTo(0x1004);
            assertThat(piece.executable()).isTrue();
        }
    }

    @Test
    void anEmptySectionHidesNothing() throws IOException {
        LinkedImage image =
                read(
                        TestKernels.elf(
                                Encoding.ELF64_LSB,
                                62,
                                true,
                                List.of(
                                        new Part(".empty", 1, ALLOC, 0x1000, new byte[0]),
                                        new Part(".data", 1, ALLOC, 0x1000, new byte[] {7}))));
        assertThat(image.readByte(0x1000)).isEqualTo(7);
    }

    @Test
    void relocationsOfAnElfFileAreApplied() throws IOException {
        ByteBuffer table = ByteBuffer.allocate(24 * 10).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 10; i++) {
            table.putLong(ARM64 + 8 * i).putLong(1027).putLong(ARM64 + i);
        }
        LinkedImage image =
                read(
                        TestKernels.elf(
                                Encoding.ELF64_LSB,
                                183,
                                true,
                                List.of(
                                        new Part(".data", 1, ALLOC, ARM64, new byte[88]),
                                        new Part(
                                                ".rela.dyn",
                                                4,
                                                ALLOC,
                                                ARM64 + 88,
                                                table.array()))));
        assertThat(image.readWord(ARM64 + 72)).isEqualTo(ARM64 + 9);
        assertThat(image.readWord(ARM64 + 80)).isZero();
    }

    // ---- what is around a kernel ----

    @ParameterizedTest
    @EnumSource
    void aBzImageIsItsPackedElfFile(Packing packing) throws IOException {
        byte[] packed = Packers.packWithSize(packing, vmlinux(Encoding.ELF32_LSB, 0xc100_0000L, 3));
        assertIsVmlinux(read(TestKernels.bzImage(packed)), Encoding.ELF32_LSB, 0xc100_0000L);
    }

    @Test
    void aBzImageMayBeSetUpByFourSectors() throws IOException {
        byte[] file = TestKernels.bzImage(vmlinux(Encoding.ELF64_LSB, X86_64, 62));
        file[0x1f1] = 0;
        file[0x249] += 2; // 512 bytes more from an end of 512 bytes less
        assertIsVmlinux(read(file), Encoding.ELF64_LSB, X86_64);
    }

    @ParameterizedTest
    @EnumSource
    void aPackedFileIsWhatIsInIt(Packing packing) throws IOException {
        byte[] elf = vmlinux(Encoding.ELF64_LSB, X86_64, 62);
        assertIsVmlinux(read(Packers.pack(packing, elf)), Encoding.ELF64_LSB, X86_64);
        assertThat(LinkedImages.unpack(Bytes.wrap(Packers.pack(packing, elf)), "x").file())
                .isEqualTo(Bytes.wrap(elf));
    }

    @ParameterizedTest
    @EnumSource
    void anArm64ImageIsReadPackedOrNot(Packing packing) throws IOException {
        Raw raw = TestKernels.raw(Encoding.ELF64_LSB, ARM64, true);
        byte[] image = TestKernels.withImageHeader(raw.bytes(), "ARM\u0064", 0x50000);
        for (byte[] file :
                new byte[][] {
                    image,
                    Packers.pack(packing, image),
                    TestKernels.zboot(Packers.packWithSize(packing, image))
                }) {
            assertIsRaw(read(file), raw, ARM64, 183);
            assertThat(read(file).pieces().get(0).size()).isEqualTo(0x50000);
        }
    }

    @ParameterizedTest
    @EnumSource
    void anArmZImageIsLookedThrough(Packing packing) throws IOException {
        for (Encoding encoding : new Encoding[] {Encoding.ELF32_LSB, Encoding.ELF32_MSB}) {
            Raw raw = TestKernels.raw(encoding, ARM, false);
            byte[] file = TestKernels.zImage(Packers.packWithSize(packing, raw.bytes()), encoding);
            assertIsRaw(read(file), raw, ARM, 40);
        }
    }

    @Test
    void aRawArmImageIsToldByItsInstructions() throws IOException {
        Raw raw = TestKernels.raw(Encoding.ELF32_LSB, ARM, false);
        for (int i = 0; i < 8; i++) {
            raw.bytes()[4 * i + 3] = (byte) 0xe1;
        }
        assertIsRaw(read(raw.bytes()), raw, ARM, 40);
    }

    @ParameterizedTest
    @EnumSource
    void anS390BzImageIsLookedThrough(Packing packing) throws IOException {
        Raw raw = TestKernels.raw(Encoding.ELF64_MSB, 0x100000, false, 12, 22);
        byte[] file = TestKernels.s390(Packers.packWithSize(packing, raw.bytes()));
        assertIsRaw(read(file), raw, 0x100000, 22);
    }

    @Test
    void aMipsElfFileMayUnpackAnother() throws IOException {
        Raw raw = TestKernels.raw(Encoding.ELF32_LSB, 0x8010_0000L, false);
        byte[] program =
                TestKernels.elf(
                        Encoding.ELF32_LSB,
                        8,
                        true,
                        List.of(
                                new Part(
                                        ".data",
                                        1,
                                        ALLOC,
                                        0x8100_0000L,
                                        Packers.packWithSize(Packing.XZ, raw.bytes()))));
        assertIsRaw(read(program), raw, 0x8010_0000L, 8);
        assertIsVmlinux(
                read(vmlinux(Encoding.ELF32_LSB, 0x8010_0000L, 8)),
                Encoding.ELF32_LSB,
                0x8010_0000L);
    }

    // ---- where a raw kernel is linked for ----

    @ParameterizedTest
    @CsvSource({"true", "false"})
    void pointersThatRelocationsWriteAreInTheirPlaces(boolean first) throws IOException {
        for (String magic : new String[] {"ARM\u0064", "RSC\u0005"}) {
            boolean arm = magic.startsWith("ARM");
            Raw raw = TestKernels.raw(Encoding.ELF64_LSB, ARM64, first, arm ? 1027 : 3, 0);
            LinkedImage image = read(TestKernels.withImageHeader(raw.bytes(), magic, 0));
            assertIsRaw(image, raw, ARM64, arm ? 183 : 243);
            assertThat(image.readText(image.readWord(ARM64 + 0x8000 + 16 * 200)))
                    .contains("a text of 40000");
        }
    }

    @Test
    void withoutSymbolsPointersSayWhereAKernelIs() throws IOException {
        Raw raw = TestKernels.raw(Encoding.ELF64_LSB, ARM64, false);
        byte[] image = TestKernels.withImageHeader(raw.bytes(), "ARM\u0064", 0);
        Arrays.fill(image, 0x10000, image.length, (byte) 0);
        assertThat(read(image).pieces().get(0).address()).isEqualTo(ARM64);
        assertThat(KallsymsDecoder.decode(read(image))).isEmpty();
    }

    @Test
    void pointersInTheirPlacesCountWhereFewAreWrittenByRelocations() throws IOException {
        Raw raw = TestKernels.raw(Encoding.ELF64_LSB, ARM64, false);
        byte[] image = TestKernels.withImageHeader(raw.bytes(), "ARM\u0064", 0);
        ByteBuffer edit = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 10; i++) {
            edit.putLong(0x1c000 + 24 * i, ARM64 + 0x100 + 8 * i);
            edit.putLong(0x1c008 + 24 * i, 1027).putLong(0x1c010 + 24 * i, ARM64 + 0x300 + i);
        }
        assertIsRaw(read(image), raw, ARM64, 183);
        assertThat(read(image).readWord(ARM64 + 0x108)).isEqualTo(ARM64 + 0x301);
    }

    @Test
    void aKernelWithoutSymbolsAndPointersIsRefused() {
        byte[] image = TestKernels.withImageHeader(new byte[0x10000], "ARM\u0064", 0);
        assertThatThrownBy(() -> read(image))
                .isInstanceOf(IOException.class)
                .hasMessage(
                        "vmlinuz: the address that the 65536 bytes of the kernel are linked for"
                                + " cannot be found: neither a symbol _text nor enough pointers to"
                                + " texts");
    }

    // ---- what is no kernel ----

    private static void assertRefused(byte[] file, String message) {
        assertThatThrownBy(() -> read(file)).isInstanceOf(IOException.class).hasMessage(message);
    }

    @Test
    void anyOtherFileIsRefused() {
        assertRefused(new byte[0], "vmlinuz: offset 0: no kernel of a kind that is known");
        assertRefused(new byte[100_000], "vmlinuz: offset 0: no kernel of a kind that is known");
    }

    @Test
    void headersThatPointOutsideAreRefusedWithTheOffset() {
        byte[] file = TestKernels.bzImage(new byte[100]);
        assertRefused(
                file, "vmlinuz: offset 3172: a kernel that is packed in a way that is not known");
        ByteBuffer edit = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        edit.putInt(0x24c, -1);
        assertRefused(
                file,
                "vmlinuz: offset 584: 4294967295 bytes from offset 3172 on are not in the 3572");
        edit.putShort(0x206, (short) 0x207);
        assertRefused(
                file,
                "vmlinuz: offset 518: a boot protocol before 2.08, which does not say where the"
                        + " kernel is");
        byte[] zboot = TestKernels.zboot(new byte[10]);
        ByteBuffer.wrap(zboot).order(ByteOrder.LITTLE_ENDIAN).putInt(8, -1);
        assertRefused(
                zboot, "vmlinuz: offset 8: 10 bytes from offset 4294967295 on are not in the 4206");
    }

    @Test
    void aProgramWithoutAPackedKernelIsRefused() {
        assertRefused(
                TestKernels.zImage(new byte[10], Encoding.ELF32_LSB),
                "vmlinuz: offset 5170: ends without anything that is packed");
    }

    @Test
    void packedManyTimesIsRefused() {
        byte[] file = vmlinux(Encoding.ELF64_LSB, X86_64, 62);
        for (int i = 0; i < 6; i++) {
            file = Packers.pack(Packing.GZIP, file);
        }
        assertRefused(file, "vmlinuz: offset 0: packed more than 4 times");
    }

    @ParameterizedTest
    @EnumSource(
            value = Packing.class,
            names = {"GZIP", "XZ", "ZSTD", "LZ4"})
    void aKernelThatIsTooLargeIsRefused(Packing packing) {
        byte[] bomb = Packers.pack(packing, new byte[(1 << 28) + 1]);
        assertThatThrownBy(() -> read(bomb))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith("vmlinuz: ");
    }

    /** Reads, and lets nothing but an IOException out. */
    private static void readOrRefuse(byte[] file) {
        try {
            KallsymsDecoder.decode(read(file));
        } catch (IOException e) {
            assertThat(e).hasMessageStartingWith("vmlinuz: ");
        }
    }

    @Test
    void aFileMayEndAnywhere() {
        byte[] small =
                TestKernels.elf(
                        Encoding.ELF64_LSB,
                        62,
                        true,
                        List.of(new Part(".text", 1, ALLOC, X86_64, new byte[300])));
        byte[] segments =
                TestKernels.elf(
                        Encoding.ELF32_MSB,
                        20,
                        false,
                        List.of(new Part(null, 1, ALLOC, ARM, new byte[300])));
        for (byte[] file :
                new byte[][] {
                    small,
                    segments,
                    TestKernels.bzImage(Packers.pack(Packing.XZ, small)),
                    TestKernels.zboot(Packers.pack(Packing.ZSTD, small)),
                    Packers.pack(Packing.LZO, small)
                }) {
            int unused = file.length > 4096 ? 100 : file.length > 3172 ? 300 : 0;
            for (int size = 0; size < file.length - unused; size++) {
                byte[] cut = Arrays.copyOf(file, size);
                assertThatThrownBy(() -> read(cut)).isInstanceOf(IOException.class);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void anyHeaderMayBeAllOnes(boolean sections) {
        for (Encoding encoding : new Encoding[] {Encoding.ELF64_LSB, Encoding.ELF32_MSB}) {
            byte[] file =
                    TestKernels.elf(
                            encoding,
                            183,
                            sections,
                            List.of(new Part(".text", 1, ALLOC, ARM, new byte[30])));
            for (int at = 6; at < file.length - 8; at++) {
                for (int size = 1; size <= 8; size *= 2) {
                    byte[] changed = file.clone();
                    Arrays.fill(changed, at, at + size, (byte) -1);
                    readOrRefuse(changed);
                }
            }
        }
    }

    @Test
    void changedBytesAreNothingButAnIOException() {
        Random random = new Random(5);
        Raw raw = TestKernels.raw(Encoding.ELF64_LSB, ARM64, false, 1027, 0);
        byte[] image = TestKernels.withImageHeader(raw.bytes(), "ARM\u0064", 0);
        byte[] arm = TestKernels.raw(Encoding.ELF32_LSB, ARM, false).bytes();
        byte[] zImage = TestKernels.zImage(Packers.pack(Packing.LZ4, arm), Encoding.ELF32_LSB);
        for (byte[] file :
                new byte[][] {
                    image, zImage, TestKernels.bzImage(vmlinux(Encoding.ELF64_LSB, X86_64, 62))
                }) {
            for (int i = 0; i < 60; i++) {
                byte[] changed = file.clone();
                for (int k = 0; k < 30; k++) {
                    changed[random.nextInt(changed.length)] = (byte) random.nextInt();
                }
                readOrRefuse(changed);
            }
        }
    }

    @Test
    void whatOnlyLooksPackedTakesNoTime() {
        byte[] file = new byte[4 << 20];
        byte[] lzma = {0x5d, 0, 0, 0, 8, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3};
        byte[] gzip = {0x1f, (byte) 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
        for (byte[] magic : new byte[][] {lzma, gzip}) {
            for (int at = 0; at + magic.length <= file.length; at += magic.length) {
                System.arraycopy(magic, 0, file, at, magic.length);
            }
            ByteBuffer.wrap(file).put(0x10008, "S390EP".getBytes(ISO_8859_1));
            org.junit.jupiter.api.Assertions.assertTimeout(
                    java.time.Duration.ofSeconds(30), () -> readOrRefuse(file));
        }
    }
}

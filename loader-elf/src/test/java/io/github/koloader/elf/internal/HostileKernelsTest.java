package io.github.koloader.elf.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.LinkedKernel;
import io.github.koloader.elf.VmlinuxReader;
import io.github.koloader.elf.internal.TestKernels.Part;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

/** Kernels of a few megabytes that are made to take minutes, or all memory. */
final class HostileKernelsTest {
    private static final long TEXT = 0xffffffff81000000L;
    private static final long INIT = TEXT + 0x4000000;
    private static final int SYMTAB = 2;
    private static final int HEADERS = 64; // of sections, behind that of the file
    private static final int LINK = 40;
    private static final String BANNER = "Linux version 6.1.0 (a@b) #1 SMP";

    private static LinkedKernel read(byte[] file) throws IOException {
        return Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(30), () -> VmlinuxReader.read(Bytes.wrap(file), "vmlinux"));
    }

    private static byte[] elf(List<Part> parts) {
        return TestKernels.elf(Encoding.ELF64_LSB, 62, true, parts);
    }

    /** A kernel with symbols, all of them functions. */
    private static byte[] elf(List<Part> parts, byte[] symbols, byte[] names) {
        List<Part> all = new ArrayList<>(parts);
        all.add(new Part(".symtab", SYMTAB, 0, 0, symbols));
        all.add(new Part(".strtab", 3, 0, 0, names));
        byte[] file = elf(all);
        int link = HEADERS + 64 * (parts.size() + 1) + LINK;
        ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putInt(link, parts.size() + 2);
        return file;
    }

    private static Part text(int size) {
        return new Part(".text", 1, 6, TEXT, new byte[size]);
    }

    private static Part banner() {
        return new Part(".rodata", 1, 2, TEXT + 0x2000000, (BANNER + "\0").getBytes(ISO_8859_1));
    }

    private static ByteBuffer buffer(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static byte[] symbols(int count, IntUnaryOperator name, IntUnaryOperator offset) {
        ByteBuffer table = buffer(24 * (count + 1));
        for (int i = 0; i < count; i++) {
            int at = 24 * (i + 1);
            table.putInt(at, name.applyAsInt(i)).put(at + 4, (byte) 0x12);
            table.putShort(at + 6, (short) 1).putLong(at + 8, TEXT + offset.applyAsInt(i));
        }
        return table.array();
    }

    @Test
    void entriesAreComparedWithManySectionsOfCodeInTime() throws IOException {
        int count = 30_000;
        List<Part> parts = new ArrayList<>(List.of(banner()));
        ByteBuffer data = buffer(8 * 4 * count);
        for (int i = 0; i < count; i++) {
            parts.add(new Part(".t", 1, 6, TEXT + 16L * i, new byte[] {(byte) 0xc3}));
        }
        while (data.hasRemaining()) {
            data.putLong(TEXT + 16L * (count - 1));
        }
        parts.add(new Part(".init.data", 1, 3, INIT, data.array()));

        LinkedKernel kernel = read(elf(parts));

        assertThat(kernel.memory()).hasSize(count + 2);
        assertThat(kernel.initcalls()).isEmpty(); // without names nothing tells what they are
    }

    @Test
    void codeMayLieInOverlappingSections() throws IOException {
        List<Part> parts =
                List.of(
                        banner(),
                        new Part(".a", 1, 6, TEXT, new byte[0x100]),
                        new Part(".b", 1, 6, TEXT + 0x10, new byte[0x10]),
                        new Part(".c", 1, 6, TEXT + 0x80, new byte[0x100]),
                        new Part(".d", 1, 2, TEXT + 0x200, new byte[0x100]),
                        new Part(".e", 1, 6, -0x10L, new byte[0x10]));
        LinkedImage image = LinkedImages.read(Bytes.wrap(elf(parts)), "vmlinux");
        CodeRanges code =
                new CodeRanges(
                        image, new SymbolIndex(io.github.koloader.KernelSymbolTable.EMPTY, 62));

        assertThat(List.of(TEXT, TEXT + 0x20, TEXT + 0xff, TEXT + 0x17f, -0x10L, -1L))
                .allMatch(code::isCode);
        assertThat(List.of(TEXT - 1, TEXT + 0x180, TEXT + 0x200, -0x11L, 0L))
                .noneMatch(code::isCode);
    }

    @Test
    void entriesThatAnotherSectionCoversAreLeftOut() throws IOException {
        ByteBuffer data = buffer(8 * 64);
        while (data.hasRemaining()) {
            data.putLong(TEXT);
        }
        byte[] names = "\0f\0".getBytes(ISO_8859_1);
        byte[] file =
                elf(
                        List.of(
                                new Part(".init.text", 1, 6, TEXT, new byte[64]),
                                banner(),
                                new Part(".init.data", 1, 3, INIT, data.array()),
                                new Part(".data", 1, 3, INIT + 8 * 60, new byte[4])),
                        symbols(1, i -> 1, i -> 0),
                        names);

        LinkedKernel kernel = read(file);

        assertThat(kernel.initcalls()).hasSize(60);
        assertThat(kernel.unknown())
                .anyMatch(text -> text.startsWith("Initcalls: 4 entries lead to where"));
    }

    @Test
    void namesThatDoNotEndForLongAreNotReadToTheirEnd() throws IOException {
        int count = 200_000;
        byte[] names = new byte[8 * count];
        Arrays.fill(names, 1, names.length - 1, (byte) 'a');

        LinkedKernel kernel =
                read(elf(List.of(text(16), banner()), symbols(count, i -> 1 + i, i -> i), names));

        assertThat(kernel.banner()).contains(BANNER);
        assertThat(kernel.symbols().count()).isZero();
    }

    @Test
    void symbolsWhoseNamesLieInEachOtherAreRefused() {
        byte[] names = new byte[1 << 20];
        Arrays.fill(names, (byte) 'a');
        for (int i = 0; i < names.length; i += 1024) {
            names[i] = 0;
        }
        names[names.length - 1] = 0;
        byte[] file =
                elf(
                        List.of(text(16), banner()),
                        symbols(300_000, i -> i * 7 % 1000 * 1024 + 1 + i % 16, i -> i),
                        names);

        assertThatThrownBy(() -> read(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("vmlinux: offset")
                .hasMessageContaining("the symbols' names lie in each other");
    }

    @Test
    void manySymbolsOfOneFunctionThatManyEntriesLeadToTakeNoTime() throws IOException {
        int count = 60_000;
        StringBuilder names = new StringBuilder("\0f\0");
        List<Integer> places = new ArrayList<>();
        List<Integer> offsets = new ArrayList<>();
        for (String bound :
                "start 0_start 1_start 2_start 3_start 4_start 5_start 6_start".split(" ")) {
            places.add(names.length());
            offsets.add((int) (INIT - TEXT));
            names.append("__initcall").append(bound.equals("start") ? "_" : "").append(bound);
            names.append('\0');
        }
        for (String bound : new String[] {"7_start", "_end"}) {
            places.add(names.length());
            offsets.add((int) (INIT - TEXT) + 4 * count);
            names.append("__initcall").append(bound).append('\0');
        }
        int bounds = places.size();
        ByteBuffer entries = buffer(4 * count);
        for (int i = 0; i < count; i++) {
            entries.putInt((int) (TEXT + 16 - (INIT + 4L * i)));
        }
        byte[] file =
                elf(
                        List.of(
                                text(64),
                                banner(),
                                new Part(".init.data", 1, 3, INIT, entries.array())),
                        symbols(
                                bounds + count,
                                i -> i < bounds ? places.get(i) : 1,
                                i -> i < bounds ? offsets.get(i) : 16),
                        names.toString().getBytes(ISO_8859_1));

        LinkedKernel kernel = read(file);

        assertThat(kernel.initcalls())
                .hasSize(count)
                .allMatch(call -> call.name().equals("f") && call.level().id().equals("6"));
    }

    @Test
    void aReleaseThatIsLongerThanAnyIsNotLookedFor() throws IOException {
        String release = "1.1." + "1.".repeat(450);
        byte[] data = ("\0Linux version " + release + " (a)\0").getBytes(ISO_8859_1);
        data = Arrays.copyOf(data, 20_000_000);
        for (int i = 2000; i < data.length; i++) {
            data[i] = (byte) (i % 2 == 0 ? '1' : '.');
        }

        LinkedKernel kernel = read(elf(List.of(new Part(".rodata", 1, 2, TEXT, data))));

        assertThat(kernel.vermagic()).isEmpty();
        assertThat(kernel.unknown()).anyMatch(text -> text.startsWith("Vermagic: no text"));
    }

    @Test
    void manyThingsThatBecomeVeryLargeAreNotAllUnpacked() {
        byte[] packed = Packers.pack(Packing.GZIP, new byte[60 << 20]);
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.writeBytes(new byte[0x24]);
        file.writeBytes(new byte[] {0x18, 0x28, 0x6f, 0x01});
        for (int i = 0; i < 256; i++) {
            file.writeBytes(packed);
            file.write(0); // not one stream
        }

        assertThatThrownBy(() -> read(file.toByteArray()))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith("vmlinux: ");
    }
}

package io.github.koloader.elf;

import io.github.koloader.LinkedKernel;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.statistics.Statistics;

/** Whatever is wrong with a file, it is read as a kernel or refused with an IOException. */
final class VmlinuxReaderPropertyTest {
    private static byte[] file(Random random) {
        String name = MiniKernels.NAMES.get(random.nextInt(MiniKernels.NAMES.size()));
        return MiniKernels.bytes(random.nextBoolean() ? name : name + "-stripped");
    }

    private static void read(byte[] file) {
        String outcome;
        try {
            LinkedKernel kernel = VmlinuxReader.read(Bytes.wrap(file), "file");
            kernel.kernel().build();
            outcome = kernel.initcalls().isEmpty() ? "no initcalls" : "initcalls";
        } catch (IOException e) {
            outcome = "refused";
        }
        Statistics.label("outcome").collect(outcome);
    }

    @Property(tries = 300)
    void aFileWithWrongBytesIsReadOrRefused(@ForAll Random random) {
        byte[] file = file(random);
        for (int i = 1 + random.nextInt(20); i > 0; i--) {
            file[random.nextInt(file.length)] = (byte) random.nextInt();
        }
        read(file);
    }

    @Property(tries = 300)
    void aFileWithWrongHeadersIsReadOrRefused(@ForAll Random random) {
        byte[] file = file(random);
        int headers = Math.max(0, file.length - 1100); // the section headers come last
        for (int i = 1 + random.nextInt(4); i > 0; i--) {
            int at = random.nextBoolean() ? random.nextInt(240) : headers + random.nextInt(1100);
            file[at] = (byte) (random.nextBoolean() ? 0xff : random.nextInt());
        }
        read(file);
    }

    @Property(tries = 300)
    void aFileWithWrongTablesIsReadOrRefused(@ForAll Random random) {
        byte[] file = file(random);
        for (int i = 1 + random.nextInt(100); i > 0; i--) { // data follows the code
            file[0x2000 + random.nextInt(0x2700)] = (byte) random.nextInt();
        }
        read(file);
    }

    @Property(tries = 100)
    void aFileThatEndsTooEarlyIsReadOrRefused(@ForAll Random random) {
        byte[] file = file(random);
        read(Arrays.copyOf(file, random.nextInt(file.length)));
    }
}

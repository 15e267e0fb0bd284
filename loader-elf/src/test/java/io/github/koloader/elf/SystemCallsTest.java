package io.github.koloader.elf;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.luben.zstd.Zstd;
import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelLog;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.SystemCalls.Result;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SystemCallsTest {
    private static final byte[] MODULE = Kos.small();

    @TempDir Path directory;

    private static Kernel kernel(KernelConfig.Builder config) {
        return Kernel.builder(Architectures.X86_64)
                .config(config.checkVermagic(false).retpolineNeeded(false).build())
                .build();
    }

    private static Kernel linux6_1() {
        return kernel(KernelConfig.linux6_1().toBuilder());
    }

    private Path file(byte[] bytes) throws IOException {
        return Files.write(directory.resolve("m.ko"), bytes);
    }

    // ---- loading ----

    @Test
    void aModuleIsLoadedFromMemoryAndUnloaded() {
        Kernel kernel = linux6_1();
        SystemCalls calls = SystemCalls.of(kernel);
        Result loaded = calls.initModule(MODULE, "");
        assertThat(loaded.ok()).isTrue();
        assertThat(loaded.failure()).isEmpty();
        assertThat(loaded.lines()).isEqualTo(kernel.log().since(0)).isNotEmpty();
        assertThat(kernel.module("small")).isPresent();
        assertThat(calls.deleteModule("small", SystemCalls.O_NONBLOCK))
                .isEqualTo(new Result(0, List.of(), Optional.empty()));
        assertThat(kernel.modules()).isEmpty();
    }

    @Test
    void onlyAsManyBytesCountAsTheCallerSays() {
        byte[] longer = Arrays.copyOf(MODULE, MODULE.length + 100);
        Result result = SystemCalls.of(linux6_1()).initModule(longer, MODULE.length, "");
        assertThat(result.errno()).isZero();
        result = SystemCalls.of(linux6_1()).initModule(MODULE, 64, "");
        assertThat(result.lines())
                .containsExactly(new LogLine(LogLevel.ERR, "Invalid ELF section header overflow"));
    }

    @Test
    void aFileIsReadFromItsBeginningAndItsPositionStays() throws IOException {
        Kernel kernel = linux6_1();
        try (FileChannel channel = FileChannel.open(file(MODULE))) {
            channel.position(77);
            assertThat(SystemCalls.of(kernel).finitModule(channel, 0, "").errno()).isZero();
            assertThat(channel.position()).isEqualTo(77);
        }
        assertThat(kernel.module("small")).isPresent();
    }

    @Test
    void aChannelOfADirectoryIsInvalid() throws IOException {
        try (FileChannel channel = FileChannel.open(directory)) {
            assertThat(SystemCalls.of(linux6_1()).finitModule(channel, 0, "").errno())
                    .isEqualTo(Errno.EINVAL.number());
        }
    }

    @Test
    void aShortFileIsNamedButShortMemoryIsNot() throws IOException {
        Path file = file(Arrays.copyOf(MODULE, 4));
        Result result = SystemCalls.of(linux6_1()).finitModule(file, 0, "");
        assertThat(result.errno()).isEqualTo(Errno.ENOEXEC.number());
        assertThat(result.lines())
                .containsExactly(new LogLine(LogLevel.ERR, "Invalid ELF header len 4"));
        result = SystemCalls.of(linux6_1()).initModule(Arrays.copyOf(MODULE, 4), "");
        assertThat(result.errno()).isEqualTo(Errno.ENOEXEC.number());
        assertThat(result.lines()).isEmpty();
    }

    @Test
    void aClosedFileIsABadDescriptor() throws IOException {
        FileChannel channel = FileChannel.open(file(MODULE));
        channel.close();
        assertThat(SystemCalls.of(linux6_1()).finitModule(channel, 0, "").errno())
                .isEqualTo(Errno.EBADF.number());
    }

    @Test
    void linux3_10DoesNotMindAFileThatIsOpenForWriting() throws IOException {
        Kernel kernel = kernel(KernelConfig.linux3_10().toBuilder());
        Path file = file(MODULE);
        try (FileChannel channel =
                FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            assertThat(SystemCalls.of(kernel).finitModule(channel, 0, "").errno()).isZero();
        }
        assertThat(Files.readAllBytes(file)).isEqualTo(MODULE);
    }

    @Test
    void aPackedFileIsNotUnpackedUnlessAFlagSaysSo() throws IOException {
        byte[] xz = Kos.real("x86_64/hello.ko.xz");
        KernelConfig.Builder config = KernelConfig.linux6_1().toBuilder().moduleCompression("xz");
        Kernel kernel = kernel(config);
        Result plain = SystemCalls.of(kernel).finitModule(file(xz), 0, "");
        assertThat(plain.lines())
                .containsExactly(
                        new LogLine(LogLevel.ERR, "Invalid ELF header magic: != \u007fELF"));
        assertThat(SystemCalls.of(kernel).finitModule(file(xz), 4, "").errno()).isZero();
    }

    @Test
    void gzipAndZstdAreUnpackedByKernelsThatKnowThem() throws IOException {
        for (String[] pair : new String[][] {{"gzip", "gz"}, {"zstd", "zst"}}) {
            Kernel kernel = kernel(KernelConfig.linux6_1().toBuilder().moduleCompression(pair[0]));
            Path file = file(Kos.real("x86_64/hello.ko." + pair[1]));
            Result result = SystemCalls.of(kernel).finitModule(file, 4, "");
            assertThat(result.errno()).as(pair[0]).isZero();
            assertThat(kernel.module("hello")).isPresent();
        }
    }

    @Test
    void zstdThatEndsTooEarlyGivesWhatThereIsAndWhatFollowsAFrameDoesNotMatter()
            throws IOException {
        byte[] random = new byte[300_000];
        new Random(1).nextBytes(random);
        byte[] module = Arrays.copyOf(MODULE, MODULE.length + random.length);
        System.arraycopy(random, 0, module, MODULE.length, random.length);
        byte[] packed = Zstd.compress(module);
        KernelConfig.Builder config =
                KernelConfig.linux6_12().toBuilder().moduleCompression("zstd");
        // The last of three blocks is cut off: a module without what follows it all the same.
        Path cut = file(Arrays.copyOf(packed, packed.length - 10));
        assertThat(SystemCalls.of(kernel(config)).finitModule(cut, 4, "").errno()).isZero();
        Path longer = file(Arrays.copyOf(packed, packed.length + 10));
        assertThat(SystemCalls.of(kernel(config)).finitModule(longer, 4, "").errno()).isZero();
        // Of one block nothing is left.
        Path small = file(Arrays.copyOf(Zstd.compress(MODULE), 100));
        Result result = SystemCalls.of(kernel(config)).finitModule(small, 4, "");
        assertThat(result.errno()).isEqualTo(Errno.ENOEXEC.number());
        assertThat(result.lines())
                .containsExactly(new LogLine(LogLevel.ERR, "Invalid ELF header len 0"));
    }

    // ---- parameters that are a bad pointer ----

    @Test
    void badParametersAreFoundOutOnceTheModuleIsRelocated() {
        Kernel kernel = linux6_1();
        Result result = SystemCalls.of(kernel).initModule(MODULE, null);
        assertThat(result.errno()).isEqualTo(Errno.EFAULT.number());
        assertThat(result.lines())
                .extracting(LogLine::text)
                .containsExactly(
                        "small: loading out-of-tree module taints kernel.",
                        "small: module verification failed: signature and/or required key missing"
                                + " - tainting kernel");
        assertThat(kernel.taints()).contains(Taint.OOT_MODULE, Taint.UNSIGNED_MODULE);
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void whatComesBeforeIsFoundOutBeforeBadParameters() {
        byte[] wrong = MODULE.clone();
        wrong[16] = 2;
        assertThat(SystemCalls.of(linux6_1()).initModule(wrong, null).errno())
                .isEqualTo(Errno.ENOEXEC.number());
    }

    // ---- unloading ----

    @Test
    void aNameEndsAtItsFirstNul() {
        Kernel kernel = linux6_1();
        SystemCalls calls = SystemCalls.of(kernel);
        calls.initModule(MODULE, "");
        assertThat(calls.deleteModule("", 0).errno()).isEqualTo(Errno.ENOENT.number());
        assertThat(calls.deleteModule("small\0er", 0).errno()).isZero();
    }

    @Test
    void aLongNameIsNoneButOldKernelsCutItOff() {
        String longest = "m".repeat(55);
        byte[] file =
                KoWriter.write(
                        new ImageBuilder(62, Encoding.ELF64_LSB, true)
                                .name(longest)
                                .modinfo("license", "GPL")
                                .build());
        SystemCalls calls = SystemCalls.of(linux6_1());
        assertThat(calls.initModule(file, "").errno()).isZero();
        assertThat(calls.deleteModule(longest + "m", 0).errno()).isEqualTo(Errno.ENOENT.number());
        assertThat(calls.deleteModule(longest, 0).errno()).isZero();
        calls = SystemCalls.of(kernel(KernelConfig.linux3_10().toBuilder()));
        assertThat(calls.initModule(file, "").errno()).isZero();
        assertThat(calls.deleteModule(longest + "xyz", 0).errno()).isZero();
    }

    // ---- the log ----

    @Test
    void linesAreThereAlthoughTheLogDropsOldOnes() {
        Kernel kernel = linux6_1();
        for (int i = 0; i < KernelLog.LIMIT; i++) {
            kernel.log().printk(LogLevel.INFO, "x");
        }
        Result result = SystemCalls.of(kernel).initModule(MODULE, "");
        assertThat(kernel.log().entries().size()).isLessThan(KernelLog.LIMIT);
        assertThat(result.lines()).hasSize(2).noneMatch(line -> line.text().equals("x"));
    }

    // ---- signatures ----

    @Test
    void aModuleWithAValidSignatureTaintsNothing() {
        Bytes signed = SigningKeys.EC.signer().sign(Bytes.wrap(MODULE));
        Kernel kernel = linux6_1();
        SystemCalls calls = SystemCalls.of(kernel).trusting(SigningKeys.EC.trusted());
        assertThat(calls.initModule(signed.toByteArray(), "").errno()).isZero();
        assertThat(kernel.taints()).doesNotContain(Taint.UNSIGNED_MODULE);
        assertThat(kernel.module("small").orElseThrow().taints())
                .doesNotContain(Taint.UNSIGNED_MODULE);
    }

    @Test
    void aSignatureByAnUnknownKeyCountsAsNone() {
        byte[] signed = SigningKeys.EC.signer().sign(Bytes.wrap(MODULE)).toByteArray();
        Kernel kernel = linux6_1();
        assertThat(SystemCalls.of(kernel).initModule(signed, "").errno()).isZero();
        assertThat(kernel.taints()).contains(Taint.UNSIGNED_MODULE);
    }

    @Test
    void aKernelThatAsksForSignaturesTakesAValidOne() {
        byte[] signed = SigningKeys.RSA.signer().sign(Bytes.wrap(MODULE)).toByteArray();
        for (KernelConfig.Builder config :
                new KernelConfig.Builder[] {
                    KernelConfig.linux6_1().toBuilder().sigEnforce(true),
                    KernelConfig.linux6_12().toBuilder().lockdown(true)
                }) {
            SystemCalls calls = SystemCalls.of(kernel(config)).trusting(SigningKeys.RSA.trusted());
            assertThat(calls.initModule(signed, "").errno()).isZero();
        }
    }

    @Test
    void withoutConfigModuleSigNobodyLooksAtSignatures() {
        byte[] signed = SigningKeys.RSA.signer().sign(Bytes.wrap(MODULE)).toByteArray();
        signed[100] ^= 1;
        Kernel kernel =
                kernel(
                        KernelConfig.linux6_1().toBuilder()
                                .moduleSig(false)
                                .sigEnforce(true)
                                .lockdown(true));
        assertThat(SystemCalls.of(kernel).initModule(signed, "").errno()).isZero();
    }

    @Test
    void aFlagHidesTheSignatureAndItsBytesStayPartOfTheFile() throws IOException {
        byte[] signed = SigningKeys.RSA.signer().sign(Bytes.wrap(MODULE)).toByteArray();
        signed[100] ^= 1;
        for (int flags = 1; flags <= 3; flags++) {
            Kernel kernel = linux6_1();
            SystemCalls calls = SystemCalls.of(kernel).trusting(SigningKeys.RSA.trusted());
            assertThat(calls.finitModule(file(signed), flags, "").errno()).isZero();
            assertThat(kernel.taints()).contains(Taint.UNSIGNED_MODULE);
        }
    }

    @Test
    void theSignatureIsCutOffAlthoughItsKeyIsUnknown() {
        byte[] plain = MODULE.clone();
        // A section that ends within what the signature adds.
        int text = Kos.header(plain, ".text");
        Kos.edit(plain).putLong(text + 24, plain.length - 16);
        byte[] signed = SigningKeys.RSA.signer().sign(Bytes.wrap(plain)).toByteArray();
        Result result = SystemCalls.of(linux6_1()).initModule(signed, "");
        assertThat(result.errno()).isEqualTo(Errno.ENOEXEC.number());
        assertThat(result.lines()).hasSize(1);
        assertThat(result.lines().get(0).text()).startsWith("Invalid ELF section in module");
    }

    @Test
    void aMarkerAloneIsCutOffAndSaidToBeNoPkcs7() {
        byte[] marked = Arrays.copyOf(MODULE, MODULE.length + 40 + 28);
        byte[] marker = ModuleSignature.marker();
        System.arraycopy(marker, 0, marked, marked.length - 28, 28);
        Kernel kernel = linux6_1();
        Result result = SystemCalls.of(kernel).initModule(marked, "");
        assertThat(result.errno()).isZero();
        assertThat(result.lines().get(0))
                .isEqualTo(
                        new LogLine(
                                LogLevel.ERR, "module: not signed with expected PKCS#7 message"));
    }

    @Test
    void theFixturesSignaturesAreValidAndNoByteMayChange() throws IOException {
        TrustedKeys keys = TrustedKeys.of(Bytes.wrap(Kos.real("x86_64/hello-signed.cert.pem")));
        for (String name : new String[] {"hello-signed.ko", "hello-signed-sha512.ko"}) {
            byte[] file = Kos.real("x86_64/" + name);
            Kernel kernel = linux6_1();
            SystemCalls calls = SystemCalls.of(kernel).trusting(keys);
            assertThat(calls.initModule(file, "").errno()).isZero();
            assertThat(kernel.taints()).doesNotContain(Taint.UNSIGNED_MODULE);
            for (int at = 0; at < Kos.real("x86_64/hello.ko").length; at += 61) {
                file[at] ^= 1;
                assertThat(calls.initModule(file, "").errno())
                        .isEqualTo(Errno.EKEYREJECTED.number());
                file[at] ^= 1;
            }
        }
    }

    @Test
    void linux3_10KnowsAnotherKindOfSignature() throws Exception {
        Kernel kernel = kernel(KernelConfig.linux3_10().toBuilder());
        SystemCalls calls = SystemCalls.of(kernel).trusting(SigningKeys.RSA.trusted());
        byte[] signed = OldSignatures.sign(MODULE, SigningKeys.RSA, "Test RSA");
        assertThat(calls.initModule(signed, "").errno()).isZero();
        assertThat(kernel.taints()).doesNotContain(Taint.FORCED_MODULE);
        calls.deleteModule("small", 0);
        byte[] changed = signed.clone();
        changed[100] ^= 1;
        assertThat(calls.initModule(changed, "").errno()).isEqualTo(Errno.EKEYREJECTED.number());
        byte[] unknown = OldSignatures.sign(MODULE, SigningKeys.OTHER, "Test other");
        assertThat(calls.initModule(unknown, "").errno()).isZero();
        byte[] newer = SigningKeys.RSA.signer().sign(Bytes.wrap(MODULE)).toByteArray();
        assertThat(calls.initModule(newer, "").errno()).isEqualTo(Errno.ENOPKG.number());
        byte[] wrongLength = signed.clone();
        wrongLength[signed.length - 40 - 257] ^= 1;
        assertThat(calls.initModule(wrongLength, "").errno()).isEqualTo(Errno.EBADMSG.number());
    }
}

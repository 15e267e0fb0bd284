package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.code_intelligence.jazzer.mutation.annotation.NotNull;
import com.code_intelligence.jazzer.mutation.annotation.WithSize;
import com.github.luben.zstd.Zstd;
import io.github.koloader.LoadException;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.ModuleSignature;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

/** A fixture, edited, packed and edited again, is read as a module or refused. */
class ReaderFuzzTest {
    /** How a file is packed. New ones come last. */
    public enum Packing {
        NONE,
        GZIP,
        XZ,
        ZSTD
    }

    @FuzzTest
    void editedFileIsReadOrRefused(
            @NotNull Seed seed,
            @NotNull @WithSize(max = 12) List<@NotNull FileEdit> edits,
            @NotNull Packing packing,
            @NotNull @WithSize(max = 4) List<@NotNull FileEdit> editsOfPacked,
            FuzzedKernel.@Nullable Release release) {
        ModuleImage original = seed.image();
        byte[] file = seed.bytes();
        for (FileEdit edit : edits) {
            file = edit.apply(file, original);
        }
        byte[] packed = packed(file, packing);
        for (FileEdit edit : editsOfPacked) {
            packed = edit.apply(packed, original);
        }
        Cost cost = new Cost();
        KoReader reader =
                release == null
                        ? KoReader.any()
                        : KoReader.of(seed.tree().architecture, release.config);
        Bytes bytes = Bytes.wrap(packed);
        try {
            look(reader.withLimit(FuzzedKernel.FILE_LIMIT).readImage(bytes));
        } catch (LoadException e) {
            assertThat(e.errnoNumber()).isPositive();
            assertThat(e.diagnosis().toString()).isNotEmpty();
        }
        KoReader.architectureOf(bytes);
        ModuleSignature.trailer(bytes);
        ModuleSignature.of(bytes);
        cost.check();
    }

    /** Everything that is read only when it is asked for. */
    private static void look(ModuleImage image) {
        for (int i = 0; i < image.symbols().count(); i++) {
            assertThat(image.symbols().symbol(i)).isNotNull();
        }
        for (RelocationTable table : image.relocations()) {
            assertThat(sum(table)).isEqualTo(sum(table));
        }
        for (int i = 0; i < image.versions().count(); i++) {
            assertThat(image.versions().name(i)).isNotNull();
        }
        assertThat(image.name()).isNotNull();
        assertThat(image.modinfo().toString()).isNotNull();
    }

    private static long sum(RelocationTable table) {
        long sum = 0;
        for (int i = 0; i < table.count(); i++) {
            sum += table.offset(i) ^ table.type(i) ^ table.symbolIndex(i) ^ table.addend(i);
        }
        return sum;
    }

    private static byte[] packed(byte[] file, Packing packing) {
        if (packing == Packing.ZSTD) {
            return Zstd.compress(file, 1);
        }
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (OutputStream out =
                switch (packing) {
                    case NONE, ZSTD -> packed;
                    case GZIP -> new GZIPOutputStream(packed);
                    case XZ -> new XZOutputStream(packed, new LZMA2Options(0));
                }) {
            out.write(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return packed.toByteArray();
    }
}

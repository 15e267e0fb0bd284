package io.github.koloader;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.ThrowingSupplier;

/** Linked kernels that want to take time or memory without end. */
final class HostileKernelTest {
    private static final long TEXT = 0xffffffff81000000L;
    private static final long TABLE = TEXT + 0x1000000;
    private static final Duration LIMIT = Duration.ofSeconds(20);

    private static <T> T soon(ThrowingSupplier<T> action) {
        return Assertions.assertTimeoutPreemptively(LIMIT, action);
    }

    private static LinkedKernel.Builder linked() {
        return LinkedKernel.builder(Architectures.X86_64);
    }

    private static LinkedKernel.Block block(long address, byte[] bytes) {
        return new LinkedKernel.Block(
                new Address(address), Bytes.copyOf(bytes), bytes.length, Rights.READ_WRITE, "x");
    }

    /** Records of options whose texts have no end for long. */
    private static LinkedKernel.Builder options(int count) {
        byte[] text = new byte[8192];
        Arrays.fill(text, (byte) 'a');
        text[text.length - 1] = 0;
        ByteBuffer records = ByteBuffer.allocate(24 * count).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < count; i++) {
            records.putLong(TEXT + i % 4000).putLong(TEXT).putLong(i % 2);
        }
        return linked().block(block(TEXT, text))
                .block(block(TABLE, records.array()))
                .setupTable(new AddressRange(new Address(TABLE), 24L * count));
    }

    @Test
    void symbolsAllAtOneAddressTakeNoTime() {
        KernelSymbolTable.Builder builder = KernelSymbolTable.builder();
        for (int i = 0; i < 400_000; i++) {
            builder.symbol(new Address(TEXT), 't', "f" + i);
        }
        KernelSymbolTable table = builder.build();
        Optional<SymbolPlace> place =
                soon(
                        () -> {
                            for (int i = 0; i < 400_000; i++) {
                                table.placeOf(new Address(TEXT));
                            }
                            return table.placeOf(new Address(TEXT));
                        });
        assertThat(place.orElseThrow().symbol()).isEqualTo("f0");
    }

    @Test
    void theFirstSymbolMayBeAtAddressZero() {
        KernelSymbolTable table =
                KernelSymbolTable.builder()
                        .symbol(new Address(0), 'A', "zero")
                        .symbol(new Address(0), 'A', "too")
                        .symbol(new Address(8), 'A', "last")
                        .build();
        assertThat(table.placeOf(new Address(0)).orElseThrow().symbol()).isEqualTo("zero");
        assertThat(table.placeOf(new Address(7)).orElseThrow().symbol()).isEqualTo("zero");
    }

    @Test
    void aKernelOfManyPiecesIsProtectedInTime() {
        LinkedKernel.Builder builder = linked();
        for (int i = 0; i < 60_000; i++) {
            builder.block(
                    new LinkedKernel.Block(
                            new Address(TEXT + 16L * i),
                            Bytes.EMPTY,
                            8,
                            i % 2 == 0 ? Rights.READ_EXECUTE : Rights.READ_ONLY,
                            "x"));
        }
        Kernel kernel = builder.build().kernel().build();
        soon(() -> kernel.boot(""));
        assertThat(kernel.memory().regionAt(new Address(TEXT + 16)).orElseThrow().rights())
                .isEqualTo(Rights.READ_ONLY);
        assertThat(kernel.memory().regionAt(new Address(TEXT + 32)).orElseThrow().rights())
                .isEqualTo(Rights.READ_EXECUTE);
    }

    @Test
    void textsOfOptionsAreReadNoFurtherThanWordsAreLong() {
        Kernel kernel = options(200_000).build().kernel().build();
        assertThat(soon(() -> kernel.boot("quiet x=1")).initEnvironment()).contains("x=1");
    }

    @Test
    void manyWordsAreComparedWithManyOptionsInTime() {
        LinkedKernel.Builder builder = options(20_000);
        Kernel kernel = builder.build().kernel().build();
        assertThat(soon(() -> kernel.boot("w=1 ".repeat(20_000))).initEnvironment())
                .contains("w=1");
    }

    @Test
    void theFirstOptionThatTakesAWordHasItWhateverItsLength() {
        Kernel kernel = linked().build().kernel().build();
        StringBuilder seen = new StringBuilder();
        kernel.bootOptions()
                .setup("net-", value -> seen.append("a:").append(value.orElse("")).length() * 0)
                .setup("net_if", value -> seen.append(" b:").append(value.orElse("")).length())
                .setup("net", value -> seen.append(" c:").append(value.orElse("")).length());
        kernel.boot("net_if=eth0");
        assertThat(seen).hasToString("a:if=eth0 b:=eth0");
    }

    @Test
    void aTextThatLeadsNowhereIsAFault() {
        LinkedKernel linked =
                linked().block(block(TABLE, new byte[24]))
                        .setupTable(new AddressRange(new Address(TABLE), 24))
                        .build();
        Kernel kernel = linked.kernel().build();
        assertThatThrownBy(() -> kernel.boot("")).isInstanceOf(AddressFaultException.class);
    }

    @Test
    void aTextMayLieAcrossBlocksAndFaultsBehindTheLast() {
        byte[] letters = "abcdefgh".getBytes(ISO_8859_1);
        Kernel kernel =
                linked().block(block(TEXT, letters))
                        .block(block(TEXT + 8, letters))
                        .build()
                        .kernel()
                        .build();
        assertThat(kernel.memory().readText(new Address(TEXT + 6), 6)).isEqualTo("ghabcd");
        assertThat(kernel.memory().readText(new Address(TEXT + 8), 8)).isEqualTo("abcdefgh");
        assertThatThrownBy(() -> kernel.memory().readText(new Address(TEXT + 8), 9))
                .isInstanceOfSatisfying(
                        AddressFaultException.class,
                        e -> assertThat(e.address()).isEqualTo(new Address(TEXT + 16)));
    }

    @Test
    void manyRecordsOfExportsAreLinkedInTime() {
        int count = 60_000;
        LinkObjects objects = LinkObjects.x86();
        int code =
                objects.builder.section(
                        Section.progbits(".text", 6, 16, Bytes.copyOf(new byte[16])));
        int records =
                objects.builder.section(
                        Section.progbits(
                                ".export_symbol",
                                SectionFlags.ALLOC,
                                8,
                                Bytes.copyOf(new byte[16])));
        for (int i = 0; i < count; i++) {
            objects.builder.symbol(Symbol.function("f" + i, code, 0, 1));
            objects.builder.symbol(Symbol.object("__export_symbol_f" + i, records, 0, 0));
        }
        List<ExportedSymbol> exports =
                soon(() ->
                                StaticLinker.of(
                                                Architectures.X86_64,
                                                KernelConfig.forRelease("6.6.0"))
                                        .object("a.o", objects.build())
                                        .link())
                        .exports();
        assertThat(exports).hasSize(count);
    }
}

package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.memory.Address;
import org.junit.jupiter.api.Test;

final class KernelSymbolTableTest {
    private static final long TEXT = 0xffffffff_81000000L;

    private static final KernelSymbolTable TABLE =
            KernelSymbolTable.builder()
                    .symbol(new Address(0), 'A', "per_cpu")
                    .symbol(new Address(TEXT), 'T', "_stext")
                    .symbol(new Address(TEXT + 0x10), 't', "f")
                    .symbol(new Address(TEXT + 0x10), 'T', "g")
                    .symbol(new Address(TEXT + 0x30), 't', "f")
                    .symbol(new Address(TEXT + 0x40), 'B', "_end")
                    .build();

    private static String at(KernelSymbolTable table, long address) {
        return table.placeOf(new Address(address)).map(SymbolPlace::toString).orElse("");
    }

    @Test
    void symbolsAreKeptInTheirOrder() {
        assertThat(TABLE.count()).isEqualTo(6);
        assertThat(TABLE.name(2)).isEqualTo("f");
        assertThat(TABLE.letter(2)).isEqualTo('t');
        assertThat(TABLE.address(2)).isEqualTo(new Address(TEXT + 0x10));
        assertThat(TABLE).hasToString("KernelSymbolTable[6]");
    }

    @Test
    void theFirstOfANameCounts() {
        assertThat(TABLE.address("f")).contains(new Address(TEXT + 0x10));
        assertThat(TABLE.address("h")).isEmpty();
    }

    @Test
    void theFirstOfAnAddressCounts() {
        assertThat(at(TABLE, TEXT + 0x10)).isEqualTo("f+0x0/0x20");
        assertThat(at(TABLE, TEXT + 0x2f)).isEqualTo("f+0x1f/0x20");
        assertThat(at(TABLE, TEXT)).isEqualTo("_stext+0x0/0x10");
    }

    @Test
    void outsideTheImageNothingHasAName() {
        assertThat(at(TABLE, 8)).isEmpty();
        assertThat(at(TABLE, TEXT + 0x41)).isEmpty();
        assertThat(at(TABLE, TEXT + 0x40)).isEqualTo("_end+0x0/0x0");
        assertThat(at(KernelSymbolTable.EMPTY, TEXT)).isEmpty();
    }

    @Test
    void aTableOutOfOrderHasNoPlaces() {
        KernelSymbolTable table =
                KernelSymbolTable.builder()
                        .symbol(new Address(2), 't', "b")
                        .symbol(new Address(1), 't', "a")
                        .build();
        assertThat(at(table, 2)).isEmpty();
        assertThat(table.address("a")).contains(new Address(1));
    }

    @Test
    void aSymbolHasAName() {
        assertThatThrownBy(() -> KernelSymbolTable.builder().symbol(new Address(1), 't', ""))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void manySymbolsFit() {
        KernelSymbolTable.Builder builder = KernelSymbolTable.builder();
        for (int i = 0; i < 1000; i++) {
            builder.symbol(new Address(i * 16L), 't', "f" + i);
        }
        assertThat(at(builder.build(), 999 * 16 - 1)).isEqualTo("f998+0xf/0x10");
    }
}

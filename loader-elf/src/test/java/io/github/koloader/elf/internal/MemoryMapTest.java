package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.LinkedKernel.Block;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Rights;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class MemoryMapTest {
    private static LinkedImage.Piece piece(String name, long address, int bytes, long size) {
        return new LinkedImage.Piece(
                name, address, Bytes.copyOf(new byte[bytes]), size, true, false);
    }

    private static MemoryMap map(KernelSymbolTable symbols, LinkedImage.Piece... pieces) {
        LinkedImage image = new LinkedImage(Encoding.ELF64_LSB, 62, List.of(pieces));
        return new MemoryMap(image, new SymbolIndex(symbols, 62), Optional.empty(), 4096);
    }

    private static MemoryMap map(LinkedImage.Piece... pieces) {
        return map(KernelSymbolTable.EMPTY, pieces);
    }

    @Test
    void aRawImageIsCutWhereSymbolsTell() {
        TestImage image =
                new TestImage(Encoding.ELF64_LSB)
                        .symbol("_stext", 0)
                        .symbol("_etext", 0x1000)
                        .symbol("__start_rodata", 0x1000)
                        .symbol("__end_rodata", 0x2000)
                        .symbol("__init_begin", 0x3000)
                        .symbol("__init_end", 0x4000);

        MemoryMap map = new MemoryMap(image.image(), image.index(), Optional.empty(), 4096);

        assertThat(map.blocks())
                .extracting(Block::rights)
                .containsExactly(
                        Rights.READ_EXECUTE,
                        Rights.READ_ONLY,
                        Rights.READ_WRITE,
                        Rights.READ_WRITE_EXECUTE,
                        Rights.READ_WRITE);
        assertThat(map.blocks())
                .extracting(Block::size)
                .containsExactly(0x1000L, 0x1000L, 0x1000L, 0x1000L, 0x4000L);
        assertThat(map.blocks().get(4).start()).isEqualTo(new Address(image.at(0x4000)));
        assertThat(map.initArea())
                .contains(new AddressRange(new Address(image.at(0x3000)), 0x1000));
    }

    @Test
    void aRawImageWithoutSymbolsIsOneBlock() {
        TestImage image = new TestImage(Encoding.ELF32_LSB);

        MemoryMap map = new MemoryMap(image.image(), image.index(), Optional.empty(), 4096);

        assertThat(map.blocks())
                .extracting(Block::rights)
                .containsExactly(Rights.READ_WRITE_EXECUTE);
        assertThat(map.initArea()).isEmpty();
        assertThat(map.unknown())
                .containsExactly(
                        "Init area: there are no symbols or sections that tell where it is.");
    }

    @Test
    void ofOverlappingSectionsTheLowestStays() {
        MemoryMap map =
                map(
                        piece("b", 0x1800, 16, 16),
                        piece("a", 0x1000, 16, 0x1000),
                        piece("c", 0, 0, 0));

        assertThat(map.blocks()).extracting(Block::name).containsExactly("a");
        assertThat(map.unknown()).contains("Memory: 1 sections overlap others, and are left out.");
    }

    @Test
    void zeroBytesAreBounded() {
        MemoryMap map = map(piece(".bss", 0x1000, 0, Long.MAX_VALUE), piece("top", -16, 16, 16));

        assertThat(map.blocks())
                .extracting(Block::range)
                .containsExactly(
                        new AddressRange(new Address(0x1000), 1L << 29),
                        new AddressRange(new Address(-16), 16));
        assertThat(map.unknown()).contains("Memory: 1 sections are cut to 536870912 zero bytes.");
    }

    @Test
    void whatProcessorsCopyIsWhereItIsLoaded() {
        KernelSymbolTable symbols =
                KernelSymbolTable.builder()
                        .symbol(new Address(0x7000), 'D', "__per_cpu_load")
                        .build();
        LinkedImage.Piece template = piece(".data..percpu", 0, 64, 64);

        assertThat(map(symbols, template).blocks())
                .extracting(Block::start)
                .containsExactly(new Address(0x7000));
        assertThat(map(template).blocks()).isEmpty();
        assertThat(map(template).unknown())
                .contains("Memory: where .data..percpu is: there is no symbol __per_cpu_load.");
    }

    @Test
    void anInitAreaLargerThanTheImageIsNone() {
        KernelSymbolTable symbols =
                KernelSymbolTable.builder()
                        .symbol(new Address(0), 'D', "__init_begin")
                        .symbol(new Address(Long.MAX_VALUE), 'D', "__init_end")
                        .build();

        MemoryMap map = map(symbols, piece(".init.data", 0x1234, 16, 16));

        assertThat(map.initArea()).contains(new AddressRange(new Address(0x1000), 4096));
        assertThat(map.unknown()).anyMatch(text -> text.startsWith("Init area: "));
    }

    @Test
    void initSectionsApartAreNoArea() {
        MemoryMap map =
                map(
                        piece(".init.text", 0x1000, 16, 16),
                        piece("between", 0x2000, 16, 16),
                        piece(".init.data", 0x7f00_0000_0000L, 16, 16));

        assertThat(map.initArea()).isEmpty();
        assertThat(map.unknown())
                .containsExactly("Init area: what would have to be in it does not lie together.");
    }

    @Test
    void whatFollowsInitSectionsUpToDataThatStaysIsInit() {
        MemoryMap map =
                map(
                        piece(".init.text", 0x1000, 16, 16),
                        piece(".init.data", 0x2000, 0x100, 0x100),
                        piece(".altinstructions", 0x2100, 0x2000, 0x2000),
                        piece(".bss", 0x5000, 0, 0x2000),
                        piece(".init.scratch", 0x7000, 0x1000, 0x1000));

        assertThat(map.initArea()).contains(AddressRange.between(0x1000, 0x5000));
        assertThat(map.blocks())
                .extracting(Block::rights)
                .containsExactly(
                        Rights.READ_WRITE_EXECUTE,
                        Rights.READ_WRITE_EXECUTE,
                        Rights.READ_WRITE_EXECUTE,
                        Rights.READ_WRITE,
                        Rights.READ_WRITE);
    }
}

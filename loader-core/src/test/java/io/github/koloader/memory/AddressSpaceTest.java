package io.github.koloader.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.image.Encoding;
import org.junit.jupiter.api.Test;

final class AddressSpaceTest {
    private static final long BASE = 0xffffffff_c0000000L;

    private static Address at(long address) {
        return new Address(address);
    }

    private static Region region(long base, int size, Rights rights) {
        return Region.zeroed(at(base), size, rights, "test");
    }

    private static AddressSpace space(Encoding encoding, Region... regions) {
        AddressSpace space = new AddressSpace(encoding);
        for (Region region : regions) {
            space.map(region);
        }
        return space;
    }

    private static AddressSpace writable() {
        return space(Encoding.ELF64_LSB, region(BASE, 32, Rights.READ_WRITE));
    }

    @Test
    void numbersReadAsTheyWereWritten() {
        AddressSpace space = writable();
        space.writeByte(at(BASE), 0x1ff);
        space.writeShort(at(BASE + 1), 0x1fffe);
        space.writeInt(at(BASE + 3), 0x80000001);
        space.writeLong(at(BASE + 7), 0x80000000_00000002L);
        assertThat(space.readByte(at(BASE))).isEqualTo(0xff);
        assertThat(space.readShort(at(BASE + 1))).isEqualTo(0xfffe);
        assertThat(space.readInt(at(BASE + 3))).isEqualTo(0x80000001);
        assertThat(space.readLong(at(BASE + 7))).isEqualTo(0x80000000_00000002L);
    }

    @Test
    void littleEndianPutsTheLowByteFirst() {
        AddressSpace space = writable();
        space.writeInt(at(BASE), 0x01020304);
        assertThat(space.read(at(BASE), 4)).containsExactly(4, 3, 2, 1);
    }

    @Test
    void bigEndianPutsTheHighByteFirst() {
        AddressSpace space = space(Encoding.ELF64_MSB, region(BASE, 32, Rights.READ_WRITE));
        space.writeInt(at(BASE), 0x01020304);
        assertThat(space.read(at(BASE), 4)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void aWordHasTheSizeOfTheMachine() {
        AddressSpace narrow = space(Encoding.ELF32_LSB, region(0x1000, 8, Rights.READ_WRITE));
        narrow.writeWord(at(0x1000), 0x1_ffff_ffffL);
        assertThat(narrow.readWord(at(0x1000))).isEqualTo(0xffff_ffffL);
        assertThat(narrow.readInt(at(0x1004))).isZero();
        AddressSpace wide = writable();
        wide.writeWord(at(BASE), -1);
        assertThat(wide.readPointer(at(BASE))).isEqualTo(at(-1));
    }

    @Test
    void numbersMayLieAcrossRegionsSideBySideInEitherByteOrder() {
        for (Encoding encoding : new Encoding[] {Encoding.ELF64_LSB, Encoding.ELF64_MSB}) {
            AddressSpace space =
                    space(
                            encoding,
                            region(BASE, 3, Rights.READ_WRITE),
                            region(BASE + 3, 1, Rights.READ_WRITE),
                            region(BASE + 4, 8, Rights.READ_WRITE));
            space.writeLong(at(BASE + 1), 0x8102030405060708L);
            assertThat(space.readLong(at(BASE + 1))).isEqualTo(0x8102030405060708L);
            assertThat(space.readShort(at(BASE + 2)))
                    .isEqualTo(encoding.bigEndian() ? 0x0203 : 0x0607);
            byte[] bytes = space.read(at(BASE + 1), 8);
            assertThat(bytes[encoding.bigEndian() ? 0 : 7]).isEqualTo((byte) 0x81);
        }
    }

    @Test
    void bytesMayBeWrittenAcrossRegionsSideBySide() {
        AddressSpace space =
                space(
                        Encoding.ELF64_LSB,
                        region(BASE, 3, Rights.READ_WRITE),
                        region(BASE + 3, 3, Rights.READ_WRITE));
        space.write(at(BASE + 1), new byte[] {1, 2, 3, 4});
        assertThat(space.read(at(BASE), 6)).containsExactly(0, 1, 2, 3, 4, 0);
    }

    @Test
    void aTouchOfNothingFaultsWithItsAddress() {
        AddressSpace space = writable();
        assertThatThrownBy(() -> space.readByte(at(BASE + 32)))
                .isInstanceOfSatisfying(
                        AddressFaultException.class,
                        e -> assertThat(e.address()).isEqualTo(at(BASE + 32)))
                .hasMessage("read of unmapped memory at 0xffffffffc0000020");
        assertThatThrownBy(() -> space.writeInt(at(BASE - 8), 0))
                .isInstanceOf(AddressFaultException.class)
                .hasMessage("write to unmapped memory at 0xffffffffbffffff8");
    }

    @Test
    void aNumberThatReachesBeyondMappedMemoryFaultsAtTheFirstByteBeyond() {
        AddressSpace space = writable();
        assertThatThrownBy(() -> space.readLong(at(BASE + 28)))
                .isInstanceOfSatisfying(
                        AddressFaultException.class,
                        e -> assertThat(e.address()).isEqualTo(at(BASE + 32)));
    }

    @Test
    void aWriteThatFaultsWritesNothing() {
        AddressSpace space =
                space(
                        Encoding.ELF64_LSB,
                        region(BASE, 4, Rights.READ_WRITE),
                        region(BASE + 4, 4, Rights.READ_ONLY));
        assertThatThrownBy(() -> space.writeLong(at(BASE), -1))
                .isInstanceOf(AddressFaultException.class);
        assertThatThrownBy(() -> space.write(at(BASE), new byte[] {1, 1, 1, 1, 1}))
                .isInstanceOf(AddressFaultException.class);
        assertThatThrownBy(() -> space.writeText(at(BASE), "long text"))
                .isInstanceOf(AddressFaultException.class);
        assertThat(space.readLong(at(BASE))).isZero();
    }

    @Test
    void readOnlyMemoryCannotBeWritten() {
        for (Rights rights : new Rights[] {Rights.READ_ONLY, Rights.READ_EXECUTE}) {
            AddressSpace space = space(Encoding.ELF64_LSB, region(BASE, 8, rights));
            assertThatThrownBy(() -> space.writeByte(at(BASE), 1))
                    .isInstanceOf(AddressFaultException.class)
                    .hasMessage("write to " + rights + " memory at 0xffffffffc0000000");
            assertThat(space.readByte(at(BASE))).isZero();
        }
    }

    @Test
    void protectChangesWhatMayBeDone() {
        Region region = region(BASE, 8, Rights.READ_WRITE_EXECUTE);
        AddressSpace space = space(Encoding.ELF64_LSB, region);
        space.writeByte(at(BASE), 1);
        space.protect(region, Rights.READ_ONLY);
        assertThatThrownBy(() -> space.writeByte(at(BASE), 2))
                .isInstanceOf(AddressFaultException.class);
        assertThat(space.readByte(at(BASE))).isEqualTo(1);
    }

    @Test
    void regionsAreListedByUnsignedAddress() {
        Region high = region(BASE, 8, Rights.READ_ONLY);
        Region low = region(0x1000, 8, Rights.READ_ONLY);
        assertThat(space(Encoding.ELF64_LSB, high, low).regions()).containsExactly(low, high);
    }

    @Test
    void overlappingRegionsAreTheCallersMistake() {
        AddressSpace space = space(Encoding.ELF64_LSB, region(BASE, 0x1000, Rights.READ_ONLY));
        for (long base : new long[] {BASE, BASE - 1, BASE + 0xfff, BASE + 8}) {
            assertThatThrownBy(() -> space.map(region(base, 2, Rights.READ_ONLY)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("overlaps");
        }
        assertThatThrownBy(() -> space.map(region(BASE - 8, 0x2000, Rights.READ_ONLY)))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(space.regions()).hasSize(1);
    }

    @Test
    void regionsSideBySideDoNotOverlap() {
        AddressSpace space = space(Encoding.ELF64_LSB, region(BASE, 16, Rights.READ_ONLY));
        space.map(region(BASE - 16, 16, Rights.READ_ONLY));
        space.map(region(BASE + 16, 16, Rights.READ_ONLY));
        assertThat(space.regions()).hasSize(3);
    }

    @Test
    void theLastByteOfTheAddressSpaceCanBeMapped() {
        AddressSpace space = space(Encoding.ELF64_LSB, region(-16, 16, Rights.READ_WRITE));
        space.writeByte(at(-1), 7);
        assertThat(space.readByte(at(-1))).isEqualTo(7);
        assertThatThrownBy(() -> space.readShort(at(-1)))
                .isInstanceOfSatisfying(
                        AddressFaultException.class,
                        e -> assertThat(e.address()).isEqualTo(Address.NULL));
    }

    @Test
    void aRegionThatWrapsIsTheCallersMistake() {
        assertThatThrownBy(() -> region(-16, 17, Rights.READ_ONLY))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void a32BitMachineHasNoMemoryBeyond32Bits() {
        AddressSpace space = new AddressSpace(Encoding.ELF32_LSB);
        space.map(region(0xffff_f000L, 0x1000, Rights.READ_ONLY));
        assertThatThrownBy(() -> space.map(region(0xffff_fff0L, 0x20, Rights.READ_ONLY)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("beyond 32 bits");
        assertThatThrownBy(() -> space.map(region(BASE, 1, Rights.READ_ONLY)))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void anEmptyRegionTakesNoAddress() {
        Region empty = region(BASE, 0, Rights.READ_ONLY);
        AddressSpace space = space(Encoding.ELF64_LSB, empty);
        assertThat(space.regions()).isEmpty();
        space.unmap(empty);
        assertThat(space.regionAt(at(BASE))).isEmpty();
    }

    @Test
    void unmappedMemoryIsGone() {
        Region region = region(BASE, 8, Rights.READ_WRITE);
        AddressSpace space = space(Encoding.ELF64_LSB, region);
        space.unmap(region);
        assertThat(space.regions()).isEmpty();
        assertThatThrownBy(() -> space.readByte(at(BASE)))
                .isInstanceOf(AddressFaultException.class);
    }

    @Test
    void unmappingWhatIsNotMappedIsTheCallersMistake() {
        AddressSpace space = writable();
        assertThatThrownBy(() -> space.unmap(region(BASE, 32, Rights.READ_WRITE)))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(space.regions()).hasSize(1);
    }

    @Test
    void regionAtFindsTheRegionOfEachOfItsBytes() {
        Region region = region(BASE, 8, Rights.READ_WRITE);
        AddressSpace space = space(Encoding.ELF64_LSB, region);
        assertThat(space.regionAt(at(BASE))).contains(region);
        assertThat(space.regionAt(at(BASE + 7))).contains(region);
        assertThat(space.regionAt(at(BASE + 8))).isEmpty();
        assertThat(space.regionAt(at(BASE - 1))).isEmpty();
    }

    @Test
    void regionsCutFromOneArrayShowTheirOwnBytes() {
        byte[] array = {1, 2, 3, 4};
        Region first = new Region(at(BASE), array, 0, 2, Rights.READ_WRITE, "m", "a");
        Region second = new Region(at(BASE + 2), array, 2, 2, Rights.READ_WRITE, "m", "b");
        AddressSpace space = space(Encoding.ELF64_LSB, first, second);
        space.writeByte(at(BASE + 2), 9);
        assertThat(space.read(at(BASE), 4)).containsExactly(1, 2, 9, 4);
        assertThat(second.contents().get(0)).isEqualTo((byte) 9);
        assertThat(first).hasToString("0xffffffffc0000000+0x2 rw- m a");
    }

    @Test
    void textIsReadUpToItsNulOrTheLimit() {
        AddressSpace space = writable();
        space.writeText(at(BASE), "h\u00e9llo");
        assertThat(space.readText(at(BASE), 100)).isEqualTo("h\u00e9llo");
        assertThat(space.readText(at(BASE), 2)).isEqualTo("h\u00e9");
        assertThat(space.readByte(at(BASE + 5))).isZero();
    }

    @Test
    void readingOrWritingNoBytesTouchesNothing() {
        AddressSpace space = new AddressSpace(Encoding.ELF64_LSB);
        assertThat(space.read(at(BASE), 0)).isEmpty();
        space.write(at(BASE), new byte[0]);
        assertThat(space.regions()).isEmpty();
    }

    @Test
    void regionsCannotBeAddedThroughTheView() {
        AddressSpace space = writable();
        assertThatThrownBy(() -> space.regions().clear())
                .isInstanceOf(UnsupportedOperationException.class);
    }
}

package io.github.koloader.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.image.Encoding;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/** An address space against a map from address to byte and from address to rights. */
final class AddressSpacePropertyTest {
    private static final class Model {
        final Map<Long, Byte> bytes = new HashMap<>();
        final Map<Long, Rights> rights = new HashMap<>();

        boolean readable(long at, int size) {
            for (int i = 0; i < size; i++) {
                if (!bytes.containsKey(at + i)) {
                    return false;
                }
            }
            return true;
        }

        boolean writable(long at, int size) {
            for (int i = 0; i < size; i++) {
                if (!rights.containsKey(at + i) || !rights.get(at + i).writable()) {
                    return false;
                }
            }
            return true;
        }

        long number(long at, int size, boolean bigEndian) {
            long number = 0;
            for (int i = 0; i < size; i++) {
                number = number << 8 | bytes.get(at + (bigEndian ? i : size - 1 - i)) & 0xff;
            }
            return number;
        }

        void write(long at, int size, long value, boolean bigEndian) {
            for (int i = 0; i < size; i++) {
                bytes.put(at + (bigEndian ? size - 1 - i : i), (byte) (value >>> 8 * i));
            }
        }
    }

    @Property(tries = 150)
    void behavesAsAMapOfBytes(@ForAll long seed, @ForAll boolean wide, @ForAll boolean bigEndian) {
        Random random = new Random(seed);
        Encoding encoding =
                wide
                        ? bigEndian ? Encoding.ELF64_MSB : Encoding.ELF64_LSB
                        : bigEndian ? Encoding.ELF32_MSB : Encoding.ELF32_LSB;
        long base = wide ? 0x7fffffff_ffffffc0L : 0xffff_ff00L;
        AddressSpace space = new AddressSpace(encoding);
        List<Region> regions = new ArrayList<>();
        Model model = new Model();
        for (int step = 0; step < 200; step++) {
            long at = base + random.nextInt(0x80);
            switch (random.nextInt(5)) {
                case 0 -> map(space, model, regions, at, random);
                case 1 -> {
                    if (!regions.isEmpty()) {
                        Region region = regions.remove(random.nextInt(regions.size()));
                        space.unmap(region);
                        for (int i = 0; i < region.size(); i++) {
                            model.bytes.remove(region.base().value() + i);
                            model.rights.remove(region.base().value() + i);
                        }
                    }
                }
                case 2 -> {
                    if (!regions.isEmpty()) {
                        Region region = regions.get(random.nextInt(regions.size()));
                        Rights rights = Rights.values()[random.nextInt(4)];
                        space.protect(region, rights);
                        for (int i = 0; i < region.size(); i++) {
                            model.rights.put(region.base().value() + i, rights);
                        }
                    }
                }
                case 3 -> read(space, model, at, 1 << random.nextInt(4), encoding);
                default ->
                        write(
                                space,
                                model,
                                at,
                                1 << random.nextInt(4),
                                random.nextLong(),
                                encoding);
            }
            assertThat(space.regions().stream().mapToLong(Region::size).sum())
                    .isEqualTo(model.bytes.size());
        }
    }

    private static void map(
            AddressSpace space, Model model, List<Region> regions, long at, Random random) {
        int size = 1 + random.nextInt(12);
        Rights rights = Rights.values()[random.nextInt(4)];
        Region region = Region.zeroed(new Address(at), size, rights, "r");
        boolean free = true;
        for (int i = 0; i < size; i++) {
            free &= !model.bytes.containsKey(at + i);
        }
        if (!free) {
            assertThatThrownBy(() -> space.map(region))
                    .isInstanceOf(IllegalArgumentException.class);
            return;
        }
        space.map(region);
        regions.add(region);
        for (int i = 0; i < size; i++) {
            model.bytes.put(at + i, (byte) 0);
            model.rights.put(at + i, rights);
        }
    }

    private static void read(
            AddressSpace space, Model model, long at, int size, Encoding encoding) {
        Address address = new Address(at);
        if (!model.readable(at, size)) {
            assertThatThrownBy(() -> number(space, address, size))
                    .isInstanceOf(AddressFaultException.class);
            assertThatThrownBy(() -> space.read(address, size))
                    .isInstanceOf(AddressFaultException.class);
            return;
        }
        assertThat(number(space, address, size))
                .isEqualTo(model.number(at, size, encoding.bigEndian()));
        byte[] bytes = space.read(address, size);
        for (int i = 0; i < size; i++) {
            assertThat(bytes[i]).isEqualTo(model.bytes.get(at + i));
        }
    }

    private static long number(AddressSpace space, Address at, int size) {
        return switch (size) {
            case 1 -> space.readByte(at);
            case 2 -> space.readShort(at);
            case 4 -> Integer.toUnsignedLong(space.readInt(at));
            default -> space.readLong(at);
        };
    }

    private static void write(
            AddressSpace space, Model model, long at, int size, long value, Encoding encoding) {
        Runnable action =
                () -> {
                    switch (size) {
                        case 1 -> space.writeByte(new Address(at), (int) value);
                        case 2 -> space.writeShort(new Address(at), (int) value);
                        case 4 -> space.writeInt(new Address(at), (int) value);
                        default -> space.writeLong(new Address(at), value);
                    }
                };
        if (model.writable(at, size)) {
            action.run();
            model.write(at, size, value, encoding.bigEndian());
        } else {
            assertThatThrownBy(action::run).isInstanceOf(AddressFaultException.class);
        }
    }
}

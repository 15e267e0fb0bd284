package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.image.Binding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A section of 32 bytes at an address, four bytes beside it on either side, and four symbols beside
 * symbol 0: what relocations are tried on.
 */
final class OneSection {
    static final int SIZE = 32;

    private static final int MARGIN = 4;

    private final Architecture architecture;
    private final boolean addends;
    private final long address;
    private final byte[] bytes = new byte[SIZE + 2 * MARGIN];
    private long[] values = new long[5];
    private long fileValue;
    private KernelConfig config = KernelConfig.linux6_1();
    private @Nullable Relocator relocator;

    OneSection(Architecture architecture, boolean addends, long address) {
        this.architecture = architecture;
        this.addends = addends;
        this.address = address;
    }

    OneSection config(KernelConfig newConfig) {
        this.config = newConfig;
        return this;
    }

    /** Gives symbol 1, 2, 3 (undefined) or 4 (undefined and weak) a value. */
    OneSection symbol(int index, long value) {
        values[index] = value;
        return this;
    }

    /** Gives all symbols that value in the file, where it is 0 else. */
    OneSection fileValues(long value) {
        this.fileValue = value;
        return this;
    }

    /** Leaves only the first symbols, that of index 0 among them. */
    OneSection symbols(int count) {
        values = Arrays.copyOf(values, count);
        return this;
    }

    OneSection word(int offset, int value) {
        buffer().putInt(MARGIN + offset, value);
        return this;
    }

    int word(int offset) {
        return buffer().getInt(MARGIN + offset);
    }

    long dword(int offset) {
        return buffer().getLong(MARGIN + offset);
    }

    private ByteBuffer buffer() {
        return ByteBuffer.wrap(bytes).order(architecture.encoding().byteOrder());
    }

    /**
     * Applies one more table of the module, with these entries; what lies beside the section stays.
     */
    OneSection apply(Relocation... relocations) {
        ImageBuilder builder =
                new ImageBuilder(architecture.elfMachine(), architecture.encoding(), addends)
                        .name("m");
        int section = builder.section(Section.nobits("x", 2, 1, SIZE));
        for (int i = 1; i < 4; i++) {
            builder.symbol(undefined(Binding.GLOBAL, "f" + i));
        }
        builder.symbol(undefined(Binding.WEAK, "f4"));
        ModuleImage image = builder.relocate(section, relocations).build();
        PlacedModule module =
                PlacedModule.ofSection(
                        config,
                        image,
                        values,
                        section,
                        new PlacedSection(
                                bytes, MARGIN, SIZE, address, architecture.encoding().bigEndian()));
        architecture.relocator(module).apply(image.relocationsFor(section).get(0));
        assertThat(buffer().getInt(0)).as("before the section").isZero();
        assertThat(buffer().getInt(MARGIN + SIZE)).as("behind the section").isZero();
        return this;
    }

    private PlacedModule module(ModuleImage image, int section) {
        return PlacedModule.ofSection(
                config,
                image,
                values,
                section,
                new PlacedSection(
                        bytes, MARGIN, SIZE, address, architecture.encoding().bigEndian()));
    }

    private Symbol undefined(Binding binding, String name) {
        return new Symbol(name, binding, Symbol.NOTYPE, 0, new Symbol.Undefined(), fileValue, 0);
    }

    /** The failure of these entries, which leave all bytes as they were. */
    LoadException refusal(Relocation... relocations) {
        byte[] before = bytes.clone();
        LoadException refusal = catchThrowableOfType(LoadException.class, () -> apply(relocations));
        assertThat(refusal).isNotNull();
        assertThat(bytes).as("untouched").isEqualTo(before);
        assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
        return refusal;
    }
}

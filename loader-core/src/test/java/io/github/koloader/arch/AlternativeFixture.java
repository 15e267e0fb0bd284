package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;

/** A module with code, replacements and records of alternatives, each in a section of its own. */
final class AlternativeFixture {
    static final int RECORD = 12;
    private static final long CODE = SectionFlags.ALLOC | SectionFlags.EXECINSTR;

    private final Architecture architecture;
    private final KernelConfig config;
    private final ImageBuilder builder;
    private final Map<Integer, PlacedSection> memory = new HashMap<>();
    private final ByteArrayOutputStream records = new ByteArrayOutputStream();
    final long text;
    final long replacement;
    final long table;
    private final int textIndex;

    AlternativeFixture(Architecture architecture, KernelConfig config, String code, String with) {
        this.architecture = architecture;
        this.config = config;
        this.builder =
                new ImageBuilder(
                        architecture.elfMachine(),
                        architecture.encoding(),
                        architecture.acceptsRelocations(true));
        long base = architecture.moduleAreas(KernelConfig.linux6_1()).get(0).start().value();
        this.text = base + 0x10000;
        this.replacement = base + 0x20000;
        this.table = base + 0x30000;
        this.textIndex = section(".text", CODE, text, hex(code));
        section(".altinstr_replacement", CODE, replacement, hex(with));
    }

    private static byte[] hex(String text) {
        return HexFormat.of().parseHex(text.replace(" ", ""));
    }

    private int section(String name, long flags, long address, byte[] bytes) {
        int index = builder.section(Section.progbits(name, flags, 1, Bytes.copyOf(bytes)));
        memory.put(index, new PlacedSection(bytes.clone(), 0, bytes.length, address, false));
        return index;
    }

    /** Adds a record, with the offsets of the code and of its replacement in their sections. */
    AlternativeFixture record(long original, long with, int number, int length, int withLength) {
        return absolute(text + original, replacement + with, number, length, withLength);
    }

    /** Adds a record that leads to these addresses. */
    AlternativeFixture absolute(long original, long with, int number, int length, int withLength) {
        long at = table + records.size();
        records.writeBytes(
                ByteBuffer.allocate(RECORD)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt((int) (original - at))
                        .putInt((int) (with - at - 4))
                        .putShort((short) number)
                        .put((byte) length)
                        .put((byte) withLength)
                        .array());
        return this;
    }

    /** Adds bytes behind the records. */
    AlternativeFixture tail(int size) {
        records.writeBytes(new byte[size]);
        return this;
    }

    /** Adds a section with the records' name that has other records, and no sense. */
    AlternativeFixture namesake() {
        section(AlternativeRecords.SECTION, SectionFlags.ALLOC, table + 0x1000, new byte[5]);
        return this;
    }

    /** Puts the records into a section. */
    AlternativeFixture table() {
        section(AlternativeRecords.SECTION, SectionFlags.ALLOC, table, records.toByteArray());
        return this;
    }

    /** Puts the records into a section that takes no memory. */
    AlternativeFixture tableWithoutMemory() {
        builder.section(
                Section.progbits(
                        AlternativeRecords.SECTION, 0, 1, Bytes.copyOf(records.toByteArray())));
        return this;
    }

    /** Finishes the module; returns what its code is then. Once. */
    String code() {
        architecture.finalizeModule(
                new PlacedModule(
                        config,
                        "m",
                        SectionPlan.asIs(builder.build()),
                        new long[] {0},
                        memory::get,
                        address -> false,
                        new PlacedSection(new byte[0], 0, 0, 0, false)));
        PlacedSection section = memory.get(textIndex);
        byte[] bytes = new byte[section.size()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) section.read(i, 1);
        }
        return HexFormat.of().formatHex(bytes);
    }

    /** Finishes the module, which is refused and leaves its code as it was. Once. */
    String refusalThatWritesNothing() {
        PlacedSection code = memory.get(textIndex);
        long[] before = new long[code.size()];
        for (int i = 0; i < before.length; i++) {
            before[i] = code.read(i, 1);
        }
        String refusal = refusal();
        for (int i = 0; i < before.length; i++) {
            assertThat(code.read(i, 1)).as("byte %d", i).isEqualTo(before[i]);
        }
        return refusal;
    }

    /** Finishes the module, which is refused; returns the line. Once. */
    String refusal() {
        LoadException refusal = catchThrowableOfType(LoadException.class, this::code);
        assertThat(refusal).isNotNull();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).hasSize(1);
        assertThat(refusal.lines().get(0).level()).isEqualTo(LogLevel.ERR);
        return refusal.dmesg();
    }
}

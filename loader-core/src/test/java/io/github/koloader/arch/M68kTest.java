package io.github.koloader.arch;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.groups.Tuple.tuple;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.Module;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Rights;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class M68kTest extends ArchitectureContract {
    private static final long PLACE = 0xe0001000L;
    private static final int R_32 = 1;
    private static final int R_PC32 = 4;

    @Override
    Architecture architecture() {
        return Architectures.M68K;
    }

    private static OneSection section(boolean addends) {
        return new OneSection(Architectures.M68K, addends, PLACE);
    }

    // ---- relocation ----

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code, RelocationType::name)
                .containsExactly(tuple(R_32, "R_68K_32"), tuple(R_PC32, "R_68K_PC32"));
    }

    @Test
    void relaAndRelAreTaken() {
        assertThat(architecture().acceptsRelocations(true)).isTrue();
        assertThat(architecture().acceptsRelocations(false)).isTrue();
    }

    @Test
    void withAddendsWordsAreReplaced() {
        OneSection section = section(true).symbol(1, 0x2010).word(3, 5).word(8, 6);
        section.apply(new Relocation(3, R_32, 1, -0x10), new Relocation(8, R_PC32, 1, 4));
        assertThat(section.word(3)).isEqualTo(0x2000);
        assertThat(section.word(8)).isEqualTo((int) (0x2014 - (PLACE + 8)));
    }

    @Test
    void withoutAddendsTheyAreAddedTo() {
        OneSection section = section(false).symbol(1, 0x2010).word(3, 5).word(8, 6);
        section.apply(new Relocation(3, R_32, 1, 0), new Relocation(8, R_PC32, 1, 0));
        assertThat(section.word(3)).isEqualTo(0x2015);
        assertThat(section.word(8)).isEqualTo((int) (0x2016 - (PLACE + 8)));
    }

    @ParameterizedTest
    @CsvSource({
        "1, ffffffff, 2, 1",
        "1, 80000000, 7fffffff, ffffffff",
        "1, 0, ffffffff, ffffffff",
        "4, 0, 0, 1ffff000",
        "4, 60001000, 0, 80000000"
    })
    void everySumIsCutTo32Bits(int type, String symbol, String addend, String result) {
        int a = Integer.parseUnsignedInt(addend, 16);
        long s = Long.parseLong(symbol, 16);
        OneSection rela = section(true).symbol(1, s).apply(new Relocation(0, type, 1, a));
        assertThat(rela.word(0)).isEqualTo(Integer.parseUnsignedInt(result, 16));
        OneSection rel =
                section(false).symbol(1, s).word(0, a).apply(new Relocation(0, type, 1, 0));
        assertThat(rel.word(0)).isEqualTo(Integer.parseUnsignedInt(result, 16));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 3, 5, 6, 7, 13, 22, 43, 255})
    void anUnknownTypeIsRejectedAndNoneIsOne(int type) {
        for (boolean addends : new boolean[] {false, true}) {
            LoadException refusal = section(addends).refusal(new Relocation(0, type, 1, 0));
            assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
            assertThat(refusal.dmesg()).isEqualTo("module m: Unknown relocation: " + type);
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 29", "4, 32", "1, 4294967295", "4, 2147483648"})
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        for (boolean addends : new boolean[] {false, true}) {
            LoadException refusal = section(addends).refusal(new Relocation(offset, type, 1, 0));
            assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
            assertThat(refusal.dmesg())
                    .isEqualTo(
                            "m: relocation 0 of section 4 patches offset 0x"
                                    + Long.toHexString(offset)
                                    + ", which is outside its section");
        }
    }

    @Test
    void theLastPlaceThatFitsIsPatched() {
        OneSection section = section(true).symbol(1, 0x20);
        assertThat(section.apply(new Relocation(28, R_32, 1, 0)).word(28)).isEqualTo(0x20);
    }

    @Test
    void aSymbolThatIsNotThereIsRejected() {
        assertThat(section(true).symbols(2).refusal(new Relocation(0, R_32, 2, 0)).dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 refers to a symbol that is not in the symbol table");
    }

    // ---- the table of fixups ----

    /** In {@code struct module}, where no other field of the test's images is. */
    private static final int START_FIELD = 880;

    private static final int END_FIELD = 884;

    private static final KernelConfig MACHINE =
            KernelConfig.linux6_1().toBuilder()
                    .checkVermagic(false)
                    .kernelAddress("m68k_memoffset", new Address(0x12345678))
                    .kernelAddress("m68k_virt_to_node_shift", new Address(0x10005))
                    .build();

    /** A module whose data are a table of fixups, between the symbols, and 16 bytes behind it. */
    private static final class WithFixups {
        final byte[] data = new byte[48];
        int end = 32;
        private final ImageBuilder builder =
                new ImageBuilder(4, Encoding.ELF32_MSB, true).name("fix");

        /** The record of that index: a type, and a place at an offset in the data. */
        WithFixups record(int index, int type, int offset) {
            ByteBuffer.wrap(data).putInt(8 * index, type).putInt(8 * index + 4, offset);
            return this;
        }

        WithFixups end(int newEnd) {
            end = newEnd;
            return this;
        }

        /** With relocations for places in the data, as real records have, or as they are. */
        ModuleImage image(boolean placesRelocated) {
            int section =
                    builder.section(
                            Section.progbits(
                                    ".m68k_fixup",
                                    SectionFlags.ALLOC | SectionFlags.WRITE,
                                    4,
                                    Bytes.copyOf(data)));
            int start = builder.symbol(Symbol.object("__start_fixup", section, 0, 0));
            int stop = builder.symbol(Symbol.object("__stop_fixup", section, end, 0));
            if (placesRelocated) {
                for (int at = 4; at < 32; at += 8) {
                    int offset = ByteBuffer.wrap(data).getInt(at);
                    builder.relocate(section, new Relocation(at, R_32, start, offset));
                }
            }
            int structure = builder.section(structure());
            builder.relocate(
                    structure,
                    new Relocation(START_FIELD, R_32, start, 0),
                    new Relocation(END_FIELD, R_32, stop, 0));
            return builder.build();
        }

        /** Found before the one that the builder adds. */
        private Section structure() {
            byte[] bytes = new byte[896];
            System.arraycopy("fix".getBytes(US_ASCII), 0, bytes, 12, 3);
            return Section.progbits(
                    ModuleImage.THIS_MODULE,
                    SectionFlags.ALLOC | SectionFlags.WRITE,
                    64,
                    Bytes.copyOf(bytes));
        }
    }

    private static ByteBuffer loaded(KernelConfig config, ModuleImage image) {
        Kernel kernel = Kernel.builder(Architectures.M68K).config(config).build();
        Module module = kernel.load(image, "");
        return ByteBuffer.wrap(
                module.contents(module.section(".m68k_fixup").orElseThrow()).toByteArray());
    }

    private static LoadException refusal(ModuleImage image) {
        Kernel kernel = Kernel.builder(Architectures.M68K).config(MACHINE).build();
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(refusal).isNotNull();
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
        return refusal;
    }

    @Test
    void placesGetTheMemoryOffsetAndAddTheNodeShift() {
        WithFixups module = new WithFixups().record(0, 0, 33).record(1, 1, 38).record(2, 1, 46);
        module.record(3, 1, 46).data[39] = 7;
        module.data[46] = (byte) 0xff;
        module.data[47] = (byte) 0xff;
        ByteBuffer data = loaded(MACHINE, module.image(true));
        assertThat(data.getInt(33)).isEqualTo(0x12345678);
        assertThat(data.get(32)).isZero();
        assertThat(data.get(37)).isZero();
        assertThat(data.getShort(38)).isEqualTo((short) 12);
        assertThat(data.getInt(40)).isZero();
        assertThat(data.getShort(46)).as("twice, cut to 16 bits").isEqualTo((short) 9);
    }

    @Test
    void withoutNumbersTheyAreZero() {
        WithFixups module = new WithFixups().record(0, 0, 32).record(1, 1, 40);
        module.data[33] = 1;
        module.data[41] = 1;
        KernelConfig config = KernelConfig.linux6_1().toBuilder().checkVermagic(false).build();
        ByteBuffer data = loaded(config, module.end(16).image(true));
        assertThat(data.getInt(32)).isZero();
        assertThat(data.getShort(40)).isEqualTo((short) 1);
    }

    @Test
    void otherTypesOfFixupsAreLeftAlone() {
        WithFixups module = new WithFixups().record(0, 2, 32).record(1, -1, 40);
        ByteBuffer data = loaded(MACHINE, module.record(2, 2, 1 << 30).end(24).image(false));
        assertThat(data.getLong(32)).isZero();
        assertThat(data.getLong(40)).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -8, -0x1000})
    void anEmptyTableIsNotLookedAt(int end) {
        WithFixups module = new WithFixups().record(0, 0, 0).end(end);
        assertThat(loaded(MACHINE, module.image(false)).getLong(0)).isZero();
    }

    @Test
    void withoutMmuTheTableIsNotLookedAt() {
        KernelConfig config = MACHINE.toBuilder().kconfig("CONFIG_MMU", false).build();
        ByteBuffer data = loaded(config, new WithFixups().record(0, 0, 32).image(true));
        assertThat(data.getInt(32)).isZero();
    }

    /** As Linux, which goes on while a record begins before the end. */
    @Test
    void aRecordThatBeginsInTheTableCounts() {
        WithFixups module = new WithFixups().record(0, 0, 32).record(1, 0, 40).end(9);
        ByteBuffer data = loaded(MACHINE, module.image(true));
        assertThat(data.getInt(32)).isEqualTo(0x12345678);
        assertThat(data.getInt(40)).isEqualTo(0x12345678);
    }

    @ParameterizedTest
    @CsvSource({"0, 45", "0, 48", "0, -1", "1, 47", "1, 1073741824"})
    void aPlaceOutsideTheModuleIsRefused(int type, int offset) {
        LoadException refusal =
                refusal(new WithFixups().record(0, type, offset).end(8).image(true));
        assertThat(refusal.dmesg())
                .startsWith("fix: table of fixups leads to 0x")
                .endsWith(", which is outside the module");
    }

    @Test
    void theLastPlacesOfASectionAreFilled() {
        WithFixups module = new WithFixups().record(0, 0, 44);
        assertThat(loaded(MACHINE, module.end(8).image(true)).getInt(44)).isEqualTo(0x12345678);
    }

    @ParameterizedTest
    @ValueSource(ints = {49, 0x10000, 0x7fffffff})
    void aTableThatEndsOutsideItsSectionIsRefused(int end) {
        WithFixups module = new WithFixups().end(end);
        for (int i = 0; i < 6; i++) {
            module.record(i, 2, 0);
        }
        assertThat(refusal(module.image(false)).dmesg()).startsWith("fix: table of fixups");
    }

    @Test
    void aModuleWithoutTheSymbolsHasNoTable() {
        ImageBuilder builder = new ImageBuilder(4, Encoding.ELF32_MSB, true).name("plain");
        int data =
                builder.section(
                        Section.progbits(
                                ".m68k_fixup",
                                SectionFlags.ALLOC | SectionFlags.WRITE,
                                4,
                                Bytes.copyOf(new byte[16])));
        builder.init(data, 0, R_32);
        assertThat(loaded(MACHINE, builder.build()).getLong(0)).isZero();
    }

    /** The table would begin at address 0. */
    @Test
    void anEndWithoutAStartIsRefused() {
        ImageBuilder builder = new ImageBuilder(4, Encoding.ELF32_MSB, true).name("fix");
        int data =
                builder.section(
                        Section.progbits(
                                ".data",
                                SectionFlags.ALLOC | SectionFlags.WRITE,
                                4,
                                Bytes.copyOf(new byte[16])));
        int stop = builder.symbol(Symbol.object("__stop_fixup", data, 8, 0));
        int structure = builder.section(new WithFixups().structure());
        builder.relocate(structure, new Relocation(END_FIELD, R_32, stop, 0));
        assertThat(refusal(builder.build()).dmesg())
                .isEqualTo("fix: table of fixups leads to 0x0, which is outside the module");
    }

    // ---- the rest ----

    @ParameterizedTest
    @CsvSource({"4, true", "0, false", "3, false", "5, false", "1024, false"})
    void onlyThe68kIsTakenWhateverItsFlags(int machine, boolean taken) {
        assertThat(architecture().accepts(new FileHeader(Encoding.ELF32_MSB, machine, -1, 0)))
                .isEqualTo(taken);
    }

    @Test
    void vermagicHasNoSuffix() {
        assertThat(KernelConfig.linux3_10().vermagic(architecture()))
                .isEqualTo("3.10.0 SMP mod_unload modversions ");
    }

    @Test
    void exportsAndExceptionTablesHoldAddresses() {
        for (KernelConfig config : KERNELS) {
            assertThat(architecture().relativeExports(config)).isFalse();
            assertThat(architecture().exceptionTable(config)).isEqualTo(ExceptionTable.ABSOLUTE32);
        }
    }

    /** Whatever the configuration says. */
    @Test
    void rightsAreNeverSeparated() {
        Kernel kernel = Kernel.builder(Architectures.M68K).config(MACHINE).build();
        kernel.load(new WithFixups().end(0).image(false), "");
        assertThat(kernel.memory().regions())
                .isNotEmpty()
                .allMatch(region -> region.rights() == Rights.READ_WRITE_EXECUTE);
    }
}

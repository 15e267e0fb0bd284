package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class X86_64Test extends ArchitectureContract {
    private static final long PLACE = 0xffffffff_c0001000L;
    private static final int SIZE = 16;

    @Override
    Architecture architecture() {
        return Architectures.X86_64;
    }

    /**
     * Applies one relocation to these bytes, at {@link #PLACE}; the symbol has index 1 and value
     * {@code s}.
     */
    private static void apply(byte[] bytes, KernelConfig config, Relocation relocation, long s) {
        apply(bytes, config, new long[] {0, s}, relocation);
    }

    private static void apply(
            byte[] bytes, KernelConfig config, long[] values, Relocation... relocations) {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true).name("m");
        int section = builder.section(Section.nobits("x", 2, 1, SIZE));
        for (int i = 1; i < 4; i++) {
            builder.symbol(Symbol.undefined("f" + i));
        }
        ModuleImage image = builder.relocate(section, relocations).build();
        PlacedModule module =
                PlacedModule.ofSection(
                        config,
                        image,
                        values,
                        section,
                        new PlacedSection(bytes, 4, SIZE, PLACE, false));
        Architectures.X86_64.relocator(module).apply(image.relocationsFor(section).get(0));
    }

    private static byte[] zeros() {
        return new byte[SIZE + 8];
    }

    private static ByteBuffer le(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static LoadException refusal(
            byte[] bytes, KernelConfig config, Relocation relocation, long s) {
        byte[] before = bytes.clone();
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class, () -> apply(bytes, config, relocation, s));
        assertThat(refusal).isNotNull();
        assertThat(bytes).as("untouched").isEqualTo(before);
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
        return refusal;
    }

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code, RelocationType::name)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple(0, "R_X86_64_NONE"),
                        org.assertj.core.groups.Tuple.tuple(1, "R_X86_64_64"),
                        org.assertj.core.groups.Tuple.tuple(2, "R_X86_64_PC32"),
                        org.assertj.core.groups.Tuple.tuple(4, "R_X86_64_PLT32"),
                        org.assertj.core.groups.Tuple.tuple(10, "R_X86_64_32"),
                        org.assertj.core.groups.Tuple.tuple(11, "R_X86_64_32S"),
                        org.assertj.core.groups.Tuple.tuple(24, "R_X86_64_PC64"));
    }

    @Test
    void noneWritesNothingEvenOutsideItsSection() {
        byte[] bytes = zeros();
        Arrays.fill(bytes, (byte) 0x55);
        byte[] before = bytes.clone();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(1L << 40, 0, 1, 5), 0x1234);
        assertThat(bytes).isEqualTo(before);
    }

    @Test
    void type64WritesSymbolPlusAddend() {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(8, 1, 1, -4), 0xffffffff_81000004L);
        assertThat(le(bytes).getLong(4 + 8)).isEqualTo(0xffffffff_81000000L);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void pc32AndPlt32WriteTheDistance(int type) {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(4, type, 1, -4), PLACE + 0x100);
        assertThat(le(bytes).getInt(4 + 4)).isEqualTo(0x100 - 4 - 4);
        assertThat(le(bytes).getInt(4 + 8)).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void aDistanceBeyondTwoGibibytesIsCutOffWithoutAWord(int type) {
        byte[] bytes = zeros();
        apply(
                bytes,
                KernelConfig.linux6_1(),
                new Relocation(0, type, 1, 0),
                PLACE + 0x1_8000_0007L);
        assertThat(le(bytes).getInt(4)).isEqualTo(0x80000007);
        assertThat(le(bytes).getInt(8)).isZero();
    }

    @Test
    void pc64WritesTheLongDistance() {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(8, 24, 1, 2), 0x10);
        assertThat(le(bytes).getLong(12)).isEqualTo(0x12 - (PLACE + 8));
    }

    @ParameterizedTest
    @CsvSource({"0", "1", "2147483648", "4294967295"})
    void type32TakesUnsignedValues(long value) {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(0, 10, 1, 0), value);
        assertThat(Integer.toUnsignedLong(le(bytes).getInt(4))).isEqualTo(value);
        assertThat(le(bytes).getInt(8)).isZero();
    }

    @ParameterizedTest
    @CsvSource({"0", "2147483647", "-2147483648", "-1"})
    void type32sTakesSignedValues(long value) {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(0, 11, 1, 0), value);
        assertThat(le(bytes).getInt(4)).isEqualTo((int) value);
        assertThat(le(bytes).getInt(8)).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "10, 4294967296, 100000000",
        "10, -1, ffffffffffffffff",
        "11, 2147483648, 80000000",
        "11, -2147483649, ffffffff7fffffff"
    })
    void aValueBeyond32BitsIsRejectedAndLeavesBytesUntouched(int type, long value, String hex) {
        for (KernelConfig config : KERNELS) {
            LoadException refusal =
                    refusal(zeros(), config, new Relocation(0, type, 1, 1), value - 1);
            assertThat(refusal.dmesg())
                    .isEqualTo(
                            "module: overflow in relocation type "
                                    + type
                                    + " val "
                                    + hex
                                    + "\nmodule: `m' likely not compiled with -mcmodel=kernel");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4, 10, 11, 24})
    void aPlaceThatIsNotZeroIsRejected(int type) {
        byte[] bytes = zeros();
        bytes[4] = 1;
        assertThat(
                        refusal(
                                        bytes,
                                        KernelConfig.linux6_1(),
                                        new Relocation(0, type, 1, 0x10),
                                        0x20)
                                .dmesg())
                .isEqualTo(
                        "module: x86/modules: Skipping invalid relocation target, existing value is nonzero for type "
                                + type
                                + ", loc (____ptrval____), val 30");
    }

    @Test
    void since64TheTextShowsWhatWouldHaveBeenWritten() {
        byte[] bytes = zeros();
        bytes[5] = 1;
        assertThat(
                        refusal(
                                        bytes,
                                        KernelConfig.linux6_12(),
                                        new Relocation(0, 2, 1, -4),
                                        PLACE + 0x24)
                                .dmesg())
                .isEqualTo(
                        "module: x86/modules: Invalid relocation target, existing value is nonzero for type 2,"
                                + " loc (____ptrval____), val 20");
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4, 10, 11})
    void fourByteTypesLookAtFourBytesOnly(int type) {
        byte[] bytes = zeros();
        bytes[4 + 4] = 1;
        apply(bytes, KernelConfig.linux6_1(), new Relocation(0, type, 1, 0), 0x20);
        assertThat(bytes[8]).isEqualTo((byte) 1);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 24})
    void eightByteTypesLookAtEightBytes(int type) {
        byte[] bytes = zeros();
        bytes[4 + 7] = 1;
        assertThat(
                        refusal(bytes, KernelConfig.linux6_1(), new Relocation(0, type, 1, 0), 0x20)
                                .dmesg())
                .contains("existing value is nonzero");
    }

    @Test
    void theSameTableCannotBeAppliedTwice() {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(0, 1, 1, 0), 0x20);
        refusal(bytes, KernelConfig.linux6_1(), new Relocation(0, 1, 1, 0), 0x20);
    }

    /** Beside types of the psABI that modules may not have, numbers that are negative as an int. */
    @ParameterizedTest
    @CsvSource({
        "3, 3",
        "5, 5",
        "9, 9",
        "12, 12",
        "42, 42",
        "256, 256",
        "-1, 4294967295",
        "-2147483648, 2147483648"
    })
    void anUnknownTypeIsRejected(int type, String shown) {
        assertThat(
                        refusal(
                                        zeros(),
                                        KernelConfig.linux6_1(),
                                        new Relocation(0, type, 1, 0),
                                        0x20)
                                .dmesg())
                .isEqualTo("module: m: Unknown rela relocation: " + shown);
    }

    @ParameterizedTest
    @CsvSource({
        "1, 9",
        "2, 13",
        "1, 16",
        "2, -1",
        "24, -8",
        "10, 9223372036854775807",
        "11, 4294967296"
    })
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        assertThat(
                        refusal(
                                        zeros(),
                                        KernelConfig.linux6_1(),
                                        new Relocation(offset, type, 1, 0),
                                        0x20)
                                .dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 patches offset 0x"
                                + Long.toHexString(offset)
                                + ", which is outside its section");
    }

    @Test
    void theLastPlaceThatFitsIsPatched() {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(12, 10, 1, 0), 0x20);
        assertThat(le(bytes).getInt(16)).isEqualTo(0x20);
    }

    @Test
    void aSymbolThatIsNotThereIsRejected() {
        byte[] bytes = zeros();
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class,
                        () ->
                                apply(
                                        bytes,
                                        KernelConfig.linux6_1(),
                                        new long[] {0, 1},
                                        new Relocation(0, 1, 2, 0)));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 refers to a symbol that is not in the symbol table");
        assertThat(bytes).isEqualTo(zeros());
    }

    @Test
    void symbolZeroHasValueZero() {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new long[] {0, 1}, new Relocation(0, 1, 0, 7));
        assertThat(le(bytes).getLong(4)).isEqualTo(7);
    }

    @Test
    void entriesBeforeARejectedOneStayApplied() {
        byte[] bytes = zeros();
        assertThatThrownBy(
                        () ->
                                apply(
                                        bytes,
                                        KernelConfig.linux6_1(),
                                        new long[] {0, 5},
                                        new Relocation(0, 1, 1, 0),
                                        new Relocation(8, 9, 1, 0)))
                .isInstanceOf(LoadException.class);
        assertThat(le(bytes).getLong(4)).isEqualTo(5);
        assertThat(le(bytes).getLong(12)).isZero();
    }

    @Test
    void bytesBesideTheSectionAreNeverTouched() {
        byte[] bytes = zeros();
        apply(bytes, KernelConfig.linux6_1(), new Relocation(0, 1, 1, 0), -1);
        apply(bytes, KernelConfig.linux6_1(), new Relocation(8, 1, 1, 0), -1);
        assertThat(le(bytes).getInt(0)).isZero();
        assertThat(le(bytes).getInt(20)).isZero();
    }

    @Test
    void onlyRelaIsTaken() {
        assertThat(architecture().acceptsRelocations(true)).isTrue();
        assertThat(architecture().acceptsRelocations(false)).isFalse();
    }

    @Test
    void exportsAreRelativeSince419() {
        assertThat(architecture().relativeExports(KernelConfig.forRelease("4.18.0"))).isFalse();
        assertThat(architecture().relativeExports(KernelConfig.forRelease("4.19.0"))).isTrue();
    }

    @Test
    void theGotSymbolIsToleratedSince512() {
        assertThat(
                        architecture()
                                .toleratesUndefined(
                                        KernelConfig.forRelease("5.11.0"), "_GLOBAL_OFFSET_TABLE_"))
                .isFalse();
        assertThat(
                        architecture()
                                .toleratesUndefined(
                                        KernelConfig.forRelease("5.12.0"), "_GLOBAL_OFFSET_TABLE_"))
                .isTrue();
        assertThat(architecture().toleratesUndefined(KernelConfig.forRelease("5.12.0"), "other"))
                .isFalse();
    }

    @Test
    void exceptionTableEntriesHaveThreeFieldsSince46() {
        assertThat(architecture().exceptionTable(KernelConfig.linux3_10()).entrySize())
                .isEqualTo(8);
        assertThat(architecture().exceptionTable(KernelConfig.linux6_1()).entrySize())
                .isEqualTo(12);
    }

    @Test
    void modulesLieInTheTopGibibyte() {
        assertThat(architecture().moduleAreas(KernelConfig.linux6_1()).get(0).start().value())
                .isEqualTo(0xffffffff_c0000000L);
        assertThat(architecture().moduleAreas(KernelConfig.linux6_1()).get(0).size())
                .isEqualTo(0x3f000000);
    }
}

package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.groups.Tuple.tuple;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.Relocation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class I386Test extends ArchitectureContract {
    private static final long PLACE = 0xf7801000L;

    @Override
    Architecture architecture() {
        return Architectures.I386;
    }

    private static OneSection section() {
        return new OneSection(Architectures.I386, false, PLACE);
    }

    private static Relocation at(long offset, int type, int symbol) {
        return new Relocation(offset, type, symbol, 0);
    }

    // ---- relocation ----

    @Test
    void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code, RelocationType::name)
                .containsExactly(
                        tuple(1, "R_386_32"), tuple(2, "R_386_PC32"), tuple(4, "R_386_PLT32"));
    }

    @Test
    void type32AddsTheSymbolToTheWord() {
        assertThat(section().symbol(1, 0xc1000010L).word(8, 0x20).apply(at(8, 1, 1)).word(8))
                .isEqualTo(0xc1000030);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void pc32AndPlt32AddTheDistanceToTheWord(int type) {
        assertThat(section().symbol(1, PLACE + 0x100).word(5, -4).apply(at(5, type, 1)).word(5))
                .isEqualTo(0x100 - 5 - 4);
    }

    @ParameterizedTest
    @CsvSource({
        "1, ffffffff, 1, 0",
        "1, 80000000, 80000000, 0",
        "1, 0, ffffffff, ffffffff",
        "2, 0, 0, 87ff000",
        "4, ffffffff, 0, 87fefff",
        "2, 77801000, 0, 80000000"
    })
    void everySumIsCutTo32Bits(int type, String symbol, String word, String result) {
        assertThat(
                        section()
                                .symbol(1, Long.parseLong(symbol, 16))
                                .word(0, Integer.parseUnsignedInt(word, 16))
                                .apply(at(0, type, 1))
                                .word(0))
                .isEqualTo(Integer.parseUnsignedInt(result, 16));
    }

    @Test
    void theSameTableCanBeAppliedTwice() {
        OneSection section = section().symbol(1, 0x10);
        assertThat(section.apply(at(0, 1, 1)).apply(at(0, 1, 1)).word(0)).isEqualTo(0x20);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, 5, 6, 8, 9, 10, 20, 21, 22, 23, 43, 255})
    void anUnknownTypeIsRejectedAndNoneIsOne(int type) {
        LoadException refusal = section().symbol(1, 0x20).refusal(at(0, type, 1));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg()).isEqualTo("module: m: Unknown relocation: " + type);
    }

    @Test
    void plt32IsTakenSince512() {
        assertThat(section().config(KernelConfig.forRelease("5.11.0")).refusal(at(0, 4, 1)).dmesg())
                .isEqualTo("module: m: Unknown relocation: 4");
        assertThat(
                        section()
                                .config(KernelConfig.forRelease("5.12.0"))
                                .symbol(1, PLACE + 3)
                                .apply(at(0, 4, 1))
                                .word(0))
                .isEqualTo(3);
    }

    @ParameterizedTest
    @CsvSource({"1, 29", "2, 31", "4, 32", "1, 4294967295", "2, 2147483648"})
    void aPlaceOutsideTheSectionIsRejected(int type, long offset) {
        LoadException refusal = section().refusal(at(offset, type, 1));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 patches offset 0x"
                                + Long.toHexString(offset)
                                + ", which is outside its section");
    }

    @Test
    void theLastPlaceThatFitsIsPatched() {
        assertThat(section().symbol(1, 0x20).apply(at(28, 1, 1)).word(28)).isEqualTo(0x20);
    }

    @Test
    void aSymbolThatIsNotThereIsRejected() {
        LoadException refusal = section().symbols(2).refusal(at(0, 1, 2));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOEXEC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 refers to a symbol that is not in the symbol table");
    }

    // ---- the rest ----

    @Test
    void onlyRelIsTaken() {
        assertThat(architecture().acceptsRelocations(false)).isTrue();
        assertThat(architecture().acceptsRelocations(true)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"3, true", "6, true", "0, false", "4, false", "5, false", "7, false", "62, false"})
    void modulesForThe386AndThe486AreTaken(int machine, boolean taken) {
        assertThat(architecture().accepts(new FileHeader(Encoding.ELF32_LSB, machine, -1, 0)))
                .isEqualTo(taken);
        assertThat(
                        Architectures.forMachine(machine, Encoding.ELF32_LSB)
                                .filter(found -> found == architecture())
                                .isPresent())
                .isEqualTo(taken);
    }

    @Test
    void vermagicEndsWithTheProcessorFamily() {
        KernelConfig config = KernelConfig.linux6_1();
        assertThat(config.vermagic(architecture()))
                .isEqualTo("6.1.0 SMP preempt mod_unload modversions GEODE ");
        assertThat(suffix("CONFIG_M686")).isEqualTo("686 ");
        assertThat(suffix("CONFIG_M586TSC")).isEqualTo("586TSC ");
        assertThat(suffix("CONFIG_MCORE2")).isEqualTo("CORE2 ");
        assertThat(suffix("CONFIG_MGEODE_LX")).isEqualTo("GEODE ");
    }

    private String suffix(String option) {
        return architecture()
                .vermagicSuffix(KernelConfig.linux6_1().toBuilder().kconfig(option, true).build());
    }

    @Test
    void exportsAreRelativeSince419() {
        assertThat(architecture().relativeExports(KernelConfig.forRelease("4.18.0"))).isFalse();
        assertThat(architecture().relativeExports(KernelConfig.forRelease("4.19.0"))).isTrue();
    }

    @Test
    void theGotSymbolIsToleratedSince512() {
        String got = "_GLOBAL_OFFSET_TABLE_";
        assertThat(architecture().toleratesUndefined(KernelConfig.forRelease("5.11.0"), got))
                .isFalse();
        assertThat(architecture().toleratesUndefined(KernelConfig.forRelease("5.12.0"), got))
                .isTrue();
        assertThat(architecture().toleratesUndefined(KernelConfig.forRelease("5.12.0"), "other"))
                .isFalse();
    }

    @Test
    void exceptionTableEntriesHaveThreeFieldsSince46() {
        assertThat(architecture().exceptionTable(KernelConfig.forRelease("4.5.0")))
                .isEqualTo(ExceptionTable.RELATIVE);
        assertThat(architecture().exceptionTable(KernelConfig.forRelease("4.6.0")))
                .isEqualTo(ExceptionTable.RELATIVE_WITH_DATA);
    }

    @Test
    void retpolinesAreAskedForSince415() {
        assertThat(architecture().checksRetpoline(KernelConfig.forRelease("4.14.0"))).isFalse();
        assertThat(architecture().checksRetpoline(KernelConfig.forRelease("4.15.0"))).isTrue();
    }

    @Test
    void namesOfDataAreNotKept() {
        assertThat(architecture().kallsymsAll(KernelConfig.linux6_1())).isFalse();
    }

    @Test
    void perCpuAreasLieInTheDirectlyMappedMemory() {
        long first = architecture().perCpuArea().start().value() + architecture().perCpuOffset(0);
        assertThat(first).isEqualTo(0xd0000000L);
        assertThat(first + architecture().perCpuOffset(8191) - architecture().perCpuOffset(0))
                .isLessThan(
                        architecture().moduleAreas(KernelConfig.linux6_1()).get(0).start().value());
    }
}

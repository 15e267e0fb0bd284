package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.memory.Rights;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What holds for MIPS of either word size and byte order, with REL. */
abstract class MipsContract extends ArchitectureContract {
    static final int R_32 = 2;
    static final int R_26 = 4;
    static final int R_HI16 = 5;
    static final int R_LO16 = 6;
    static final int R_PC16 = 10;
    static final int R_64 = 18;
    static final int R_HIGHER = 28;
    static final int R_HIGHEST = 29;
    static final int R_PC21 = 60;
    static final int R_PC26 = 61;

    static final int JAL = 0x0c000000;
    static final int LUI = 0x3c020000;
    static final int ADDIU = 0x24420000;

    @Override
    final Errno errnoOf(RelocationFailure.Kind kind) {
        return kind == RelocationFailure.Kind.UNKNOWN_TYPE ? Errno.EINVAL : Errno.ENOEXEC;
    }

    final boolean wide() {
        return architecture().encoding().wide();
    }

    /** An address of 32 bits as this machine has it: sign-extended with 64 bits. */
    final long address(long low) {
        return wide() ? (int) low : low & 0xffffffffL;
    }

    final long place() {
        return address(0xc0001000L);
    }

    final OneSection rel() {
        return new OneSection(architecture(), false, place());
    }

    static Relocation at(long offset, int type, int symbol) {
        return new Relocation(offset, type, symbol, 0);
    }

    private static LoadException refused(LoadException refusal, Errno errno, String text) {
        assertThat(refusal.dmesg()).isEqualTo(text);
        assertThat(refusal.errno()).isEqualTo(errno);
        return refusal;
    }

    // ---- words ----

    @Test
    final void type32AddsTheSymbolToTheWord() {
        OneSection section = rel().symbol(1, address(0x80100000L)).word(8, 0x24);
        assertThat(section.apply(at(8, R_32, 1)).word(8)).isEqualTo(0x80100024);
        section = rel().symbol(1, address(0x80000000L)).word(4, 0x80000001);
        assertThat(section.apply(at(4, R_32, 1)).word(4)).isEqualTo(1);
    }

    @Test
    final void noneWritesNothing() {
        assertThat(rel().symbol(1, 0x1234).word(0, 5).apply(at(0, 0, 1)).word(0)).isEqualTo(5);
    }

    // ---- jumps ----

    @Test
    final void aJumpTakesWordsAndAddsThoseInThePlace() {
        OneSection section = rel().symbol(1, address(0xc0100008L)).word(4, JAL | 3);
        assertThat(section.apply(at(4, R_26, 1)).word(4)).isEqualTo(JAL | 0x40002 + 3);
    }

    @Test
    final void aJumpsSumIsCutTo26Bits() {
        OneSection section = rel().symbol(1, address(0xcffffffcL)).word(4, JAL | 0x3ffffff);
        assertThat(section.apply(at(4, R_26, 1)).word(4)).isEqualTo(JAL | 0x3fffffe);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    final void aJumpToAnOddAddressIsDangerous(int odd) {
        refused(
                rel().symbol(1, address(0xc0100000L + odd)).word(0, JAL).refusal(at(0, R_26, 1)),
                Errno.ENOEXEC,
                "module m: dangerous R_MIPS_26 relocation");
    }

    /** The region is that of the instruction behind the jump. */
    @ParameterizedTest
    @CsvSource({
        "c0000000, c0000000, true",
        "c0000000, cffffffc, true",
        "c0000000, bffffffc, false",
        "c0000000, d0000000, false",
        "cffffff8, cffffffc, true",
        "cffffffc, cffffffc, false",
        "cffffffc, d0000000, true"
    })
    final void aJumpStaysInThe256MebibytesOfItsDelaySlot(String p, String s, boolean reached) {
        OneSection section =
                new OneSection(architecture(), false, address(Long.parseLong(p, 16)))
                        .symbol(1, address(Long.parseLong(s, 16)))
                        .word(0, JAL);
        if (reached) {
            assertThat(section.apply(at(0, R_26, 1)).word(0))
                    .isEqualTo(JAL | (int) (Long.parseLong(s, 16) >> 2) & 0x3ffffff);
        } else {
            refused(
                    section.refusal(at(0, R_26, 1)),
                    Errno.ENOEXEC,
                    "module m: relocation overflow");
        }
    }

    /** The addend in the place has no part in the check. */
    @Test
    final void aJumpIsCheckedWithoutItsAddend() {
        OneSection section = rel().symbol(1, address(0xcffffffcL)).word(0, JAL | 1);
        assertThat(section.apply(at(0, R_26, 1)).word(0)).isEqualTo(JAL);
    }

    // ---- halves of addresses ----

    @ParameterizedTest
    @CsvSource({
        "80000000, 0, 0, 8000, 0",
        "80007fff, 0, 0, 8000, 7fff",
        "80008000, 0, 0, 8001, 8000",
        "80007fff, 0, 1, 8001, 8000",
        "80008000, 0, ffff, 8000, 7fff",
        "c0010008, 0, fff8, c001, 0",
        "80000000, 1, 8000, 8001, 8000",
        "ffff0000, 1, 0, 0, 0"
    })
    final void aHighHalfTakesTheCarryOfTheLowOne(
            String s, String high, String low, String newHigh, String newLow) {
        OneSection section =
                rel().symbol(1, address(Long.parseLong(s, 16)))
                        .word(highPlace(), LUI | Integer.parseInt(high, 16))
                        .word(16, ADDIU | Integer.parseInt(low, 16));
        section.apply(at(0, R_HI16, 1), at(16, R_LO16, 1));
        assertThat(section.word(highPlace())).isEqualTo(LUI | Integer.parseInt(newHigh, 16));
        assertThat(section.word(16)).isEqualTo(ADDIU | Integer.parseInt(newLow, 16));
    }

    /** Linux takes a word of the machine, whose low half is behind with 64 bits, big-endian. */
    private int highPlace() {
        return wide() && architecture().encoding().bigEndian() ? 4 : 0;
    }

    @Test
    final void severalHighHalvesWaitForOneLowOne() {
        OneSection section = rel().symbol(1, address(0x80018000L));
        for (int offset : new int[] {0, 8}) {
            section.word(offset + highPlace(), LUI | offset);
        }
        section.word(24, ADDIU).apply(at(0, R_HI16, 1), at(8, R_HI16, 1), at(24, R_LO16, 1));
        assertThat(section.word(highPlace())).isEqualTo(LUI | 0x8002);
        assertThat(section.word(8 + highPlace())).isEqualTo(LUI | 0x800a);
        assertThat(section.word(24)).isEqualTo(ADDIU | 0x8000);
    }

    @Test
    final void theSamePlaceMayWaitTwiceAndGetsBothCarries() {
        OneSection section = rel().symbol(1, address(0x80018000L)).word(highPlace(), LUI);
        section.word(24, ADDIU).apply(at(0, R_HI16, 1), at(0, R_HI16, 1), at(24, R_LO16, 1));
        assertThat(section.word(highPlace())).isEqualTo(LUI | 0x0004);
    }

    @Test
    final void lowHalvesAloneAreFine() {
        OneSection section = rel().symbol(1, address(0x80018004L)).word(0, ADDIU | 0xffff);
        section.word(16, ADDIU | 1).apply(at(0, R_LO16, 1), at(16, R_LO16, 1));
        assertThat(section.word(0)).isEqualTo(ADDIU | 0x8003);
        assertThat(section.word(16)).isEqualTo(ADDIU | 0x8005);
    }

    @Test
    final void anotherLowHalfFindsNoneWaiting() {
        OneSection section = rel().symbol(1, address(0x80018000L)).symbol(2, address(0x80020000L));
        section.word(highPlace(), LUI).word(16, ADDIU).word(20, ADDIU);
        section.apply(at(0, R_HI16, 1), at(16, R_LO16, 1), at(20, R_LO16, 2));
        assertThat(section.word(highPlace())).isEqualTo(LUI | 0x8002);
        assertThat(section.word(20)).isEqualTo(ADDIU);
    }

    @Test
    final void symbolsOfOneValueMatch() {
        OneSection section = rel().symbol(1, address(0x80010000L)).symbol(2, address(0x80010000L));
        section.word(highPlace(), LUI).apply(at(0, R_HI16, 1), at(16, R_LO16, 2));
        assertThat(section.word(highPlace())).isEqualTo(LUI | 0x8001);
    }

    /** The newest matches, and yet nothing is written. */
    @Test
    final void aHighHalfOfAnotherSymbolIsDangerous() {
        OneSection section = rel().symbol(1, address(0x80010000L)).symbol(2, address(0x80010004L));
        refused(
                section.refusal(at(0, R_HI16, 1), at(8, R_HI16, 2), at(24, R_LO16, 2)),
                Errno.ENOEXEC,
                "module m: dangerous R_MIPS_LO16 relocation");
    }

    @Test
    final void aHighHalfThatWaitsAtTheEndOfItsTableIsRefusedWithoutAWord() {
        LoadException refusal =
                rel().symbol(1, address(0x80010000L)).refusal(at(0, R_LO16, 2), at(0, R_HI16, 1));
        refused(refusal, Errno.ENOEXEC, "");
        assertThat(refusal).hasMessageContaining("1 relocations R_MIPS_HI16 of section 4");
    }

    @Test
    final void nothingWaitsFromOneTableToTheNext() {
        OneSection section = rel().symbol(1, address(0x80010000L)).symbol(2, 0x10);
        section.refusal(at(0, R_HI16, 1));
        assertThat(section.apply(at(4, R_LO16, 2)).word(4)).isEqualTo(0x10);
    }

    // ---- branches ----

    @ParameterizedTest
    @CsvSource({
        "10, 131068, 7fff",
        "10, -131072, 8000",
        "60, 4194300, fffff",
        "60, -4194304, 100000",
        "61, 134217724, 1ffffff",
        "61, -134217728, 2000000"
    })
    final void aBranchReachesAsFarAsItsBits(int type, long distance, String bits) {
        long middle = address(0xd0000000L);
        OneSection section = new OneSection(architecture(), false, middle);
        section.symbol(1, address(middle + distance)).word(0, 0xfc000000);
        assertThat(section.apply(at(0, type, 1)).word(0))
                .isEqualTo(0xfc000000 | Integer.parseInt(bits, 16));
        long step = distance > 0 ? 4 : -4;
        section = new OneSection(architecture(), false, middle);
        refused(
                section.symbol(1, address(middle + distance + step)).refusal(at(0, type, 1)),
                Errno.ENOEXEC,
                "module m: relocation overflow");
    }

    /** Unlike a jump's, the addend in the place counts for the range. */
    @Test
    final void aBranchAddsTheSignedWordsInThePlace() {
        OneSection section = rel().symbol(1, place() + 0x20).word(4, 0x1000ffff);
        assertThat(section.apply(at(4, R_PC16, 1)).word(4)).isEqualTo(0x10000006);
        section = rel().symbol(1, place() + 131072).word(0, 0x1000ffff);
        assertThat(section.apply(at(0, R_PC16, 1)).word(0)).isEqualTo(0x10007fff);
        refused(
                rel().symbol(1, place() + 131068).word(0, 0x10000001).refusal(at(0, R_PC16, 1)),
                Errno.ENOEXEC,
                "module m: relocation overflow");
    }

    @ParameterizedTest
    @CsvSource({"10, 16", "60, 21", "61, 26"})
    final void aBranchToAnOddAddressIsDangerous(int type, int bits) {
        for (int odd = 1; odd < 4; odd++) {
            refused(
                    rel().symbol(1, place() + odd).refusal(at(0, type, 1)),
                    Errno.ENOEXEC,
                    "module m: dangerous R_MIPS_PC" + bits + " relocation");
        }
    }

    /** From a place that is not aligned the distance is rounded down. */
    @Test
    final void onlyTheTargetOfABranchIsLookedAt() {
        OneSection section = rel().symbol(1, place() + 0x20);
        assertThat(section.apply(at(2, R_PC16, 1)).word(2)).isEqualTo(7);
    }

    @ParameterizedTest
    @ValueSource(ints = {R_PC16, R_PC21, R_PC26})
    final void branchesCameWith46(int type) {
        refused(
                rel().config(KernelConfig.forRelease("4.5.0")).refusal(at(0, type, 1)),
                Errno.EINVAL,
                "m: Unknown relocation type " + type);
        OneSection section = rel().config(KernelConfig.forRelease("4.6.0"));
        assertThat(section.symbol(1, place() + 8).apply(at(0, type, 1)).word(0)).isEqualTo(2);
    }

    // ---- what is refused ----

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 7, 9, 11, 12, 24, 62, 248, 255})
    final void anUnknownTypeIsRefused(int type) {
        refused(rel().refusal(at(0, type, 1)), Errno.EINVAL, "m: Unknown relocation type " + type);
    }

    @ParameterizedTest
    @CsvSource({"2, 29", "4, 32", "5, 29", "6, 30", "10, 31", "60, 4294967292", "61, 4294967295"})
    final void aPlaceOutsideTheSectionIsRefused(int type, long offset) {
        refused(
                rel().symbol(1, place()).refusal(at(offset, type, 1)),
                Errno.ENOEXEC,
                "m: relocation 0 of section 4 patches offset 0x"
                        + Long.toHexString(offset)
                        + ", which is outside its section");
    }

    @Test
    final void noneMayLieOutsideItsSection() {
        assertThat(rel().symbol(1, 0x1234).apply(at(29, 0, 1), at(0xfffffffcL, 0, 1)).word(28))
                .isZero();
    }

    @Test
    final void theLastPlaceThatFitsIsPatched() {
        assertThat(rel().symbol(1, 0x24).apply(at(28, R_32, 1)).word(28)).isEqualTo(0x24);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, R_32, R_LO16, 255})
    final void aSymbolThatIsNotThereIsRefused(int type) {
        refused(
                rel().symbols(2).refusal(at(0, type, 2)),
                Errno.ENOEXEC,
                "m: relocation 0 of section 4 refers to a symbol that is not in the symbol table");
    }

    // ---- unknown symbols ----

    /** Symbols of the image that relocation meets with the values they have in the file. */
    private OneSection unresolved(long value) {
        return rel().fileValues(address(value)).symbol(1, address(value)).symbol(4, address(value));
    }

    @ParameterizedTest
    @ValueSource(longs = {0xfffff001L, 0xffffffffL})
    final void anUnresolvedSymbolAmongTheErrorNumbersIsUnknown(long value) {
        refused(unresolved(value).refusal(at(0, 255, 1)), Errno.ENOENT, "m: Unknown symbol f1");
    }

    @Test
    final void anUnresolvedSymbolBelowTheErrorNumbersIsApplied() {
        assertThat(unresolved(0xfffff000L).apply(at(0, R_32, 1)).word(0)).isEqualTo(0xfffff000);
    }

    @Test
    final void aValueAmongTheErrorNumbersCountsAsUnknownAlsoWhenItWasResolved() {
        LoadException refusal = rel().symbol(1, address(-1)).refusal(at(0, R_32, 1));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg()).contains("Unknown symbol");
    }

    @Test
    final void behindAnUnknownWeakSymbolNothingIsApplied() {
        OneSection section = unresolved(0xfffff001L).symbol(2, 0x10);
        section.apply(at(0, R_32, 2), at(4, R_32, 4), at(8, R_32, 2), at(99, 255, 2));
        assertThat(section.word(0)).isEqualTo(0x10);
        assertThat(section.word(4)).isZero();
        assertThat(section.word(8)).isZero();
        assertThat(section.apply(at(8, R_32, 2)).word(8)).as("the next table").isEqualTo(0x10);
    }

    @Test
    final void aHighHalfBeforeAnUnknownWeakSymbolStillWaits() {
        LoadException refusal =
                unresolved(0xfffff001L).refusal(at(0, R_HI16, 2), at(4, R_32, 4), at(8, R_LO16, 2));
        refused(refusal, Errno.ENOEXEC, "");
    }

    @Test
    final void aWeakSymbolOfValueZeroIsApplied() {
        assertThat(rel().word(0, 7).apply(at(0, R_32, 4), at(0, R_32, 4)).word(0)).isEqualTo(7);
    }

    // ---- the rest ----

    @Test
    final void onlyMipsIsTaken() {
        for (int machine : new int[] {0, 7, 9, 10, 0x0800}) {
            assertThat(
                            architecture()
                                    .accepts(
                                            new FileHeader(
                                                    architecture().encoding(), machine, 0, 0)))
                    .isFalse();
        }
    }

    @Test
    final void itIsFoundByMachineWordSizeAndByteOrder() {
        assertThat(Architectures.forMachine(8, architecture().encoding())).contains(architecture());
    }

    @Test
    final void exportsAndExceptionTablesHoldAddresses() {
        for (KernelConfig config : KERNELS) {
            assertThat(architecture().relativeExports(config)).isFalse();
            assertThat(architecture().exceptionTable(config))
                    .isEqualTo(wide() ? ExceptionTable.ABSOLUTE64 : ExceptionTable.ABSOLUTE32);
        }
    }

    @Test
    final void vermagicEndsWithRevisionAndWordSize() {
        String bits = wide() ? "64" : "32";
        assertThat(KernelConfig.linux3_10().vermagic(architecture()))
                .isEqualTo(
                        "3.10.0 SMP mod_unload modversions MIPS%s_R2 %sBIT ".formatted(bits, bits));
        for (String revision : new String[] {"1", "2", "5", "6"}) {
            KernelConfig config =
                    KernelConfig.linux6_1().toBuilder()
                            .kconfig("CONFIG_CPU_MIPS" + bits + "_R" + revision, true)
                            .build();
            assertThat(architecture().vermagicSuffix(config))
                    .isEqualTo("MIPS%s_R%s %sBIT ".formatted(bits, revision, bits));
        }
    }

    /** Whatever the configuration says: parts are not whole pages, and nothing is protected. */
    @Test
    final void rightsAreNeverSeparated() {
        ImageBuilder builder = new ImageBuilder(8, architecture().encoding(), false);
        builder.section(
                Section.progbits(
                        ".text",
                        SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                        4,
                        Bytes.copyOf(new byte[16])));
        Kernel kernel =
                Kernel.builder(architecture())
                        .config(
                                KernelConfig.linux6_1().toBuilder()
                                        .checkVermagic(false)
                                        .strictModuleRwx(true)
                                        .build())
                        .build();
        Module module = kernel.load(builder.build(), "");
        assertThat(module.layout().blocks().get(0).size()).isLessThan(4096);
        assertThat(kernel.memory().regions())
                .isNotEmpty()
                .allMatch(region -> region.rights().equals(Rights.READ_WRITE_EXECUTE));
    }
}

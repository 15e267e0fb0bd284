package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.Relocation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class Mips64Test extends MipsContract {
    @Override
    Architecture architecture() {
        return Architectures.MIPS64;
    }

    private OneSection rela() {
        return new OneSection(architecture(), true, place());
    }

    private static Relocation to(long offset, int type, long addend) {
        return new Relocation(offset, type, 1, addend);
    }

    @Test
    final void itHasTheTypesThatTheKernelTakes() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::code, RelocationType::name)
                .extracting(Object::toString)
                .containsExactly(
                        "(0, \"R_MIPS_NONE\")",
                        "(2, \"R_MIPS_32\")",
                        "(4, \"R_MIPS_26\")",
                        "(5, \"R_MIPS_HI16\")",
                        "(6, \"R_MIPS_LO16\")",
                        "(10, \"R_MIPS_PC16\")",
                        "(18, \"R_MIPS_64\")",
                        "(28, \"R_MIPS_HIGHER\")",
                        "(29, \"R_MIPS_HIGHEST\")",
                        "(60, \"R_MIPS_PC21_S2\")",
                        "(61, \"R_MIPS_PC26_S2\")");
    }

    @Test
    final void relaAndRelAreTaken() {
        assertThat(architecture().acceptsRelocations(false)).isTrue();
        assertThat(architecture().acceptsRelocations(true)).isTrue();
    }

    @Test
    final void flagsAreNotLookedAt() {
        assertThat(architecture().accepts(new FileHeader(architecture().encoding(), 8, -1, 0)))
                .isTrue();
    }

    // ---- with addends ----

    @Test
    final void wordsAreReplaced() {
        OneSection section = rela().symbol(1, 0xffffffff_80100000L);
        section.word(0, 5).word(8, 6).word(12, 7);
        section.apply(to(0, R_32, 4), to(8, R_64, -4));
        assertThat(section.word(0)).isEqualTo(0x80100004);
        assertThat(section.word(4)).isZero();
        assertThat(section.dword(8)).isEqualTo(0xffffffff_800ffffcL);
    }

    @Test
    final void noneWritesNothingEvenOutsideItsSection() {
        rela().apply(to(1L << 40, 0, 1));
    }

    @ParameterizedTest
    @CsvSource({
        "5, 80008000, 0, 8001",
        "5, 80007ffc, 3, 8000",
        "5, 80007ffc, 4, 8001",
        "5, ffff8000, 0, 0",
        "6, 80007ffc, 8, 8004",
        "28, 80007fff7fff8000, 0, 8000",
        "28, 80007fff7fff7fff, 0, 7fff",
        "28, 7fff7fff, 1, 1",
        "28, 7fff7ffe, 1, 0",
        "29, 80007fff7fff8000, 0, 8001",
        "29, 80007fff7fff7fff, 0, 8000",
        "29, 7fff7fff7fff, 1, 1",
        "29, 7fff7fff7fff, 0, 0"
    })
    final void quartersOfAnAddressTakeTheCarryOfThoseBelow(
            int type, String s, long addend, String half) {
        OneSection section = rela().symbol(1, Long.parseUnsignedLong(s, 16));
        section.word(4, LUI | 0x5555).apply(to(4, type, addend));
        assertThat(section.word(4)).isEqualTo(LUI | Integer.parseInt(half, 16));
        assertThat(section.word(0)).isZero();
        assertThat(section.word(8)).isZero();
    }

    @Test
    final void halvesWithAddendsNeedNotBelongTogether() {
        OneSection section = rela().symbol(1, 0x12345678).symbol(2, 0x1000);
        section.apply(to(0, R_HI16, 0), new Relocation(4, R_LO16, 2, 0));
        assertThat(section.word(0)).isEqualTo(0x1234);
        assertThat(section.word(4)).isEqualTo(0x1000);
    }

    @Test
    final void aJumpIsCheckedWithItsAddendAndThePlaceIsNone() {
        OneSection section = rela().symbol(1, place() - 1).word(0, JAL | 0x155);
        assertThat(section.apply(to(0, R_26, 0x101)).word(0)).isEqualTo(JAL | (0x1100 >> 2));
        assertThat(rela().symbol(1, place()).refusal(to(0, R_26, 2)).dmesg())
                .isEqualTo("module m: dangerous R_MIPS_26 relocation");
        assertThat(rela().symbol(1, 0xffffffff_cffffffcL).refusal(to(0, R_26, 4)).dmesg())
                .isEqualTo("module m: relocation overflow");
    }

    /** Only bits 28 to 31 are compared. */
    @Test
    final void aJumpBetweenSegmentsOfThe64BitSpaceIsNotNoticed() {
        assertThat(rela().symbol(1, 0x12_c0000000L).apply(to(0, R_26, 0)).word(0)).isZero();
    }

    @Test
    final void aBranchIsCheckedWithItsAddendAndThePlaceIsNone() {
        OneSection section = rela().symbol(1, place() + 1).word(4, 0x1000ffff);
        assertThat(section.apply(to(4, R_PC16, 7)).word(4)).isEqualTo(0x10000001);
        assertThat(rela().symbol(1, place()).refusal(to(0, R_PC21, 2)).dmesg())
                .isEqualTo("module m: dangerous R_MIPS_PC21 relocation");
        assertThat(rela().symbol(1, place()).refusal(to(0, R_PC16, 0x20000)).dmesg())
                .isEqualTo("module m: relocation overflow");
    }

    @Test
    final void aBranchAcrossThe64BitSpaceOverflows() {
        assertThat(rela().symbol(1, place() + (1L << 32)).refusal(to(0, R_PC26, 0)).dmesg())
                .isEqualTo("module m: relocation overflow");
    }

    @ParameterizedTest
    @CsvSource({"2, 29", "18, 25", "4, 32", "5, 30", "6, -1", "28, -4", "29, 4294967296"})
    final void aPlaceOutsideTheSectionIsRefusedWithAddendsToo(int type, long offset) {
        assertThat(rela().symbol(1, place()).refusal(to(offset, type, 0)).dmesg())
                .isEqualTo(
                        "m: relocation 0 of section 4 patches offset 0x"
                                + Long.toHexString(offset)
                                + ", which is outside its section");
    }

    // ---- three types in one entry ----

    @Test
    final void onlyTheFirstOfThreeTypesCounts() {
        OneSection section = rela().symbol(1, 0x12345678);
        section.apply(to(0, R_64 << 16 | 24 << 8 | R_32, 0));
        assertThat(section.word(0)).isEqualTo(0x12345678);
        assertThat(section.word(4)).isZero();
        assertThat(section.apply(to(8, R_HI16 << 16 | 24 << 8, 0)).word(8)).isZero();
    }

    @Test
    final void anUnknownTypeIsNamedWithoutTheOthers() {
        LoadException refusal = rela().refusal(to(0, 5 << 16 | 24 << 8 | 7, 0));
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEqualTo("m: Unknown relocation type 7");
    }

    // ---- without addends ----

    @ParameterizedTest
    @ValueSource(ints = {R_64, R_HIGHER, R_HIGHEST})
    final void typesOf64BitsNeedAnAddend(int type) {
        LoadException refusal = rel().symbol(1, 0x10).refusal(at(0, type, 1));
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg()).isEmpty();
    }

    @Test
    final void aHighHalfWithoutAddendTakesEightBytes() {
        assertThat(rel().refusal(at(25, R_HI16, 1), at(0, R_LO16, 1)).dmesg())
                .contains("patches offset 0x19, which is outside its section");
        OneSection section = rel().symbol(1, 0x12340000);
        section.apply(at(24, R_HI16, 1), at(0, R_LO16, 1));
        assertThat(section.dword(24)).isEqualTo(0x1234);
    }
}

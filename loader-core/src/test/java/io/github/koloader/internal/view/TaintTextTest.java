package io.github.koloader.internal.view;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.KernelConfig;
import io.github.koloader.Taint;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class TaintTextTest {
    private static final KernelConfig NEW = KernelConfig.linux6_1();
    private static final KernelConfig OLD = KernelConfig.linux3_10();

    @Test
    void aCleanKernelIsNotTainted() {
        assertThat(TaintText.ofKernel(Set.of(), NEW)).isEqualTo("Not tainted");
    }

    @Test
    void eachBitOfTheKernelHasALetterOrABlank() {
        assertThat(TaintText.ofKernel(Set.of(Taint.OOT_MODULE, Taint.UNSIGNED_MODULE), NEW))
                .isEqualTo("Tainted: G           OE     ");
        assertThat(TaintText.ofKernel(EnumSet.allOf(Taint.class), NEW))
                .isEqualTo("Tainted: PFSRMBUDAWCIOELKXTN");
        assertThat(TaintText.ofKernel(Set.of(Taint.WARN), OLD)).isEqualTo("Tainted: G        W   ");
    }

    @ParameterizedTest
    @CsvSource({
        "3.10.0, 13",
        "3.15.0, 14",
        "3.18.0, 15",
        "4.0.0, 16",
        "4.17.0, 18",
        "5.10.0, 18",
        "6.0.0, 19",
        "6.12.0, 19"
    })
    void theTextHasAsManyLettersAsTheKernelHasTaints(String release, int letters) {
        assertThat(TaintText.ofKernel(EnumSet.allOf(Taint.class), KernelConfig.forRelease(release)))
                .hasSize("Tainted: ".length() + letters);
    }

    @Test
    void aModuleHasOnlyTheLettersThatAreOfModulesInTheOrderOfTheBits() {
        assertThat(TaintText.letters(EnumSet.allOf(Taint.class), NEW)).isEqualTo("PFCOEKXTN");
        assertThat(TaintText.letters(Set.of(), NEW)).isEmpty();
    }

    @Test
    void linux3_10HasItsOwnOrderAndFourLetters() {
        assertThat(TaintText.letters(EnumSet.allOf(Taint.class), OLD)).isEqualTo("POFC");
    }
}

package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.KernelConfig;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class X86AlternativesTest {
    private static final int FEATURE = 5;
    private static final int NOT = 0x8000;

    private static final KernelConfig WITHOUT = config("6.1.0");
    private static final KernelConfig WITH = config("6.1.0", "X86_FEATURE_5");

    private static KernelConfig config(String release, String... features) {
        return KernelConfig.forRelease(release).toBuilder()
                .cpuCapabilities(Set.of(features))
                .build();
    }

    private static AlternativeFixture wide(KernelConfig config, String code, String with) {
        return new AlternativeFixture(Architectures.X86_64, config, code, with);
    }

    private static AlternativeFixture narrow(KernelConfig config, String code, String with) {
        return new AlternativeFixture(Architectures.I386, config, code, with);
    }

    // ---- which records ----

    @Test
    void codeStaysAsInTheFileWhileTheProcessorIsUnknown() {
        for (KernelConfig config :
                new KernelConfig[] {
                    KernelConfig.linux6_1(),
                    KernelConfig.linux6_1().toBuilder().cpuCapability("X86_FEATURE_5", true).build()
                }) {
            assertThat(wide(config, "9090", "31c0").record(0, 0, FEATURE, 2, 2).table().code())
                    .isEqualTo("9090");
        }
    }

    @Test
    void aFeatureThatIsThereBringsTheReplacement() {
        assertThat(wide(WITH, "9090cc", "31c0").record(0, 0, FEATURE, 2, 2).table().code())
                .isEqualTo("31c0cc");
        assertThat(wide(WITHOUT, "9090cc", "31c0").record(0, 0, FEATURE, 2, 2).table().code())
                .isEqualTo("6690cc");
    }

    @Test
    void anInvertedRecordWantsTheFeatureAbsent() {
        assertThat(wide(WITH, "9090", "31c0").record(0, 0, NOT | FEATURE, 2, 2).table().code())
                .isEqualTo("6690");
        assertThat(wide(WITHOUT, "9090", "31c0").record(0, 0, NOT | FEATURE, 2, 2).table().code())
                .isEqualTo("31c0");
    }

    @Test
    void aLaterRecordFindsWhatAnEarlierOneLeft() {
        assertThat(
                        wide(WITH, "909090", "31c0 0faee8")
                                .record(0, 0, FEATURE, 3, 2)
                                .record(0, 2, NOT | FEATURE, 3, 3)
                                .record(0, 2, FEATURE, 3, 3)
                                .table()
                                .code())
                .isEqualTo("0faee8");
    }

    @Test
    void ofSeveralSectionsWithTheNameTheLastCounts() {
        assertThat(wide(WITHOUT, "9090", "").namesake().record(0, 0, FEATURE, 2, 0).table().code())
                .isEqualTo("6690");
        assertThat(
                        wide(WITHOUT, "9090", "")
                                .record(0, 0, FEATURE, 2, 0)
                                .table()
                                .namesake()
                                .refusal())
                .isEqualTo("m: alternative 0 is cut off by the end of .altinstructions");
    }

    @Test
    void aModuleWithoutRecordsStaysAsItIs() {
        assertThat(wide(WITH, "9090", "").code()).isEqualTo("9090");
        assertThat(wide(WITH, "9090", "").table().code()).isEqualTo("9090");
        assertThat(wide(WITH, "9090", "").tableWithoutMemory().code()).isEqualTo("9090");
    }

    @ParameterizedTest
    @CsvSource({"3.10.0, 9090", "5.12.0, 9090", "5.13.0, 6690", "6.2.0, 6690", "6.3.0, 9090"})
    void recordsOfOtherReleasesAreNotRead(String release, String code) {
        assertThat(wide(config(release), "9090", "").record(0, 0, 0, 2, 0).table().code())
                .isEqualTo(code);
    }

    // ---- replacements ----

    @Test
    void aReplacementThatIsLongerIsWrittenWhole() {
        assertThat(wide(WITH, "909090cc", "31c09090").record(0, 0, FEATURE, 2, 4).table().code())
                .isEqualTo("31c09090");
    }

    @Test
    void onlyACallOfItsOwnIsAdapted() {
        assertThat(
                        wide(WITH, "cccccccccccc", "e8100000006690")
                                .record(0, 0, FEATURE, 5, 5)
                                .record(5, 5, FEATURE, 1, 0)
                                .table()
                                .code())
                .isEqualTo("e81000010090");
        assertThat(
                        wide(WITH, "cccccccccccc", "e81000000090")
                                .record(0, 0, FEATURE, 6, 6)
                                .table()
                                .code())
                .isEqualTo("e81000000090");
        assertThat(
                        wide(WITH, "cccccccccccc", "90e810000000")
                                .record(0, 0, FEATURE, 6, 6)
                                .table()
                                .code())
                .isEqualTo("90e810000000");
    }

    /** Each target is so many bytes behind the original; the replacement 64 KiB behind. */
    @ParameterizedTest
    @CsvSource({
        "0, ebfe0f1f00, ebfe8d7600",
        "1, ebff0f1f00, ebff8d7600",
        "0x81, eb7f0f1f00, eb7f8d7600",
        "0x82, e97d000000, e97d000000",
        "-1, e9faffffff, e9faffffff"
    })
    void aJumpAheadBecomesShortIfItCan(String target, String code64, String code32) {
        int distance = Integer.decode(target) - 0x10000 - 5;
        String jump = "e9%08x".formatted(Integer.reverseBytes(distance));
        assertThat(wide(WITH, "cc".repeat(5), jump).record(0, 0, FEATURE, 5, 5).table().code())
                .isEqualTo(code64);
        assertThat(narrow(WITH, "cc".repeat(5), jump).record(0, 0, FEATURE, 5, 5).table().code())
                .isEqualTo(code32);
    }

    @Test
    void aJumpOf32BitsLeadsAroundTheEndOfTheAddresses() {
        AlternativeFixture jump = narrow(WITH, "cc".repeat(5), "e9fbff0080");
        assertThat(jump.record(0, 0, FEATURE, 5, 5).table().code()).isEqualTo("e9fbff0180");
    }

    @Test
    void aShortJumpIsCopiedAsItIs() {
        assertThat(wide(WITH, "cc".repeat(5), "eb10").record(0, 0, FEATURE, 5, 2).table().code())
                .isEqualTo("eb100f1f00");
    }

    // ---- NOPs ----

    @ParameterizedTest
    @CsvSource({
        "1, 90, 90",
        "2, 6690, 89f6",
        "3, 0f1f00, 8d7600",
        "4, 0f1f4000, 8d742600",
        "5, 0f1f440000, 3e8d742600",
        "6, 660f1f440000, 8db600000000",
        "7, 0f1f8000000000, 8db42600000000",
        "8, 0f1f840000000000, 3e8db42600000000",
        "9, 0f1f84000000000090, 3e8db4260000000090",
        "17, 0f1f8400000000000f1f84000000000090, 3e8db426000000003e8db4260000000090"
    })
    void runsOfNopsBecomeLongNops(int length, String code64, String code32) {
        String run = "90".repeat(length);
        assertThat(wide(WITHOUT, run + "90", "").record(0, 0, 0, length, 0).table().code())
                .isEqualTo(code64 + "90");
        assertThat(narrow(WITHOUT, run + "90", "").record(0, 0, 0, length, 0).table().code())
                .isEqualTo(code32 + "90");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "b890909090", // a MOV of this number
                "c3",
                "4190", // XCHG with R8
                "f390", // PAUSE
                "90c390"
            })
    void whatOnlyLooksLikeARunOfNopsStays(String code) {
        assertThat(wide(WITHOUT, code, "").record(0, 0, 0, code.length() / 2, 0).table().code())
                .isEqualTo(code);
    }

    @Test
    void everyRunIsFoundUntilSomethingIsNoInstruction() {
        assertThat(wide(WITHOUT, "9090c3909006 9090", "").record(0, 0, 0, 8, 0).table().code())
                .isEqualTo("6690c36690069090");
        assertThat(narrow(WITHOUT, "9090c3909006 9090", "").record(0, 0, 0, 8, 0).table().code())
                .isEqualTo("89f6c389f60689f6");
    }

    // ---- refusals ----

    @Test
    void lengthsThatTheKernelHasNoRoomForAreRefused() {
        String room = "90".repeat(255);
        assertThat(wide(WITHOUT, room, "").record(0, 0, 0, 255, 0).table().refusal())
                .isEqualTo(
                        "m: alternative 0: 255 bytes of code and 0 of replacement, more than 254");
        assertThat(
                        wide(WITHOUT, room, room)
                                .record(0, 0, 0, 254, 254)
                                .record(0, 0, 0, 2, 255)
                                .table()
                                .refusal())
                .isEqualTo(
                        "m: alternative 1: 2 bytes of code and 255 of replacement, more than 254");
    }

    @Test
    void aFeatureBeyondThoseThatThereAreIsRefused() {
        assertThat(wide(WITHOUT, "90", "").record(0, 0, NOT | 767, 1, 0).table().code())
                .isEqualTo("90");
        assertThat(wide(WITHOUT, "90", "").record(0, 0, NOT | 768, 1, 0).table().refusal())
                .isEqualTo("m: alternative 0: feature 768 of 768");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 11})
    void aRecordThatIsCutOffIsRefused(int tail) {
        assertThat(wide(WITHOUT, "90", "").record(0, 0, 0, 1, 0).tail(tail).table().refusal())
                .isEqualTo("m: alternative 1 is cut off by the end of .altinstructions");
    }

    @Test
    void recordsThatTakeNoMemoryAreRefused() {
        assertThat(wide(WITHOUT, "90", "").record(0, 0, 0, 1, 0).tableWithoutMemory().refusal())
                .isEqualTo("m: section .altinstructions takes no memory");
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 1, 2, -0x20000, 0x40000000})
    void codeOutsideTheSectionsIsRefused(long offset) {
        AlternativeFixture fixture = wide(WITHOUT, "9090", "");
        assertThat(fixture.record(offset, 0, 0, 2, 0).table().refusal())
                .isEqualTo(
                        "m: alternative 0: 2 bytes at 0x%x lie in no section of it"
                                .formatted(fixture.text + offset));
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 1, 2})
    void aReplacementOutsideTheSectionsIsRefusedOnceItIsRead(long offset) {
        AlternativeFixture fixture = narrow(WITH, "9090", "31c0");
        assertThat(fixture.record(0, offset, FEATURE, 2, 2).table().refusal())
                .isEqualTo(
                        "m: alternative 0: 2 bytes at 0x%x lie in no section of it"
                                .formatted(fixture.replacement + offset));
        assertThat(narrow(WITHOUT, "9090", "31c0").record(0, offset, FEATURE, 2, 2).table().code())
                .isEqualTo("89f6");
    }

    @Test
    void aReplacementThatIsLongerThanTheSectionIsRefused() {
        assertThat(wide(WITH, "9090", "0faee8").record(0, 0, FEATURE, 2, 3).table().refusal())
                .contains("alternative 0: 3 bytes at 0x");
    }

    @Test
    void whatHasNoBytesMayBeAnywhere() {
        assertThat(wide(WITH, "9090", "").absolute(8, 16, FEATURE, 0, 0).table().code())
                .isEqualTo("9090");
        assertThat(
                        wide(WITH, "9090", "")
                                .record(0, -0x30000, FEATURE, 2, 0)
                                .record(0x100, 0, FEATURE, 0, 0)
                                .table()
                                .code())
                .isEqualTo("6690");
    }
}

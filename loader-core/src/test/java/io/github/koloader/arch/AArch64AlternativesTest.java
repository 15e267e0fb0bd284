package io.github.koloader.arch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.KernelConfig;
import io.github.koloader.memory.Address;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The recorded vectors have more instructions. */
final class AArch64AlternativesTest {
    private static final int CAPABILITY = 7;
    private static final int CALLBACK = 0x8000;
    private static final String NOP = "1f2003d5";
    private static final String OLD = "000080d2";
    private static final String NEW = "200080d2";

    private static final KernelConfig WITHOUT = config("6.1.0");
    private static final KernelConfig WITH = config("6.1.0", "ARM64_CAP_7");

    /** Without function tracing: its trampolines are another matter. */
    private static KernelConfig config(String release, String... capabilities) {
        return KernelConfig.forRelease(release).toBuilder()
                .cpuCapabilities(Set.of(capabilities))
                .kconfig("CONFIG_DYNAMIC_FTRACE", false)
                .build();
    }

    private static AlternativeFixture module(KernelConfig config, String code, String with) {
        return new AlternativeFixture(Architectures.AARCH64, config, code, with);
    }

    private static String hex(int word) {
        return "%08x".formatted(Integer.reverseBytes(word));
    }

    // ---- which records ----

    @Test
    void aCapabilityThatIsThereBringsTheReplacement() {
        assertThat(module(WITH, OLD + OLD, NEW).record(4, 0, CAPABILITY, 4, 4).table().code())
                .isEqualTo(OLD + NEW);
        assertThat(module(WITHOUT, OLD, NEW).record(0, 0, CAPABILITY, 4, 4).table().code())
                .isEqualTo(OLD);
        assertThat(module(WITH, OLD, NEW).record(0, 0, CAPABILITY + 1, 4, 4).table().code())
                .isEqualTo(OLD);
    }

    @Test
    void codeStaysAsInTheFileWhileTheProcessorIsUnknown() {
        KernelConfig config =
                KernelConfig.linux6_1().toBuilder()
                        .cpuCapability("ARM64_CAP_7", true)
                        .kconfig("CONFIG_DYNAMIC_FTRACE", false)
                        .build();
        assertThat(module(config, OLD, NEW).record(0, 0, CAPABILITY, 4, 4).table().code())
                .isEqualTo(OLD);
    }

    @Test
    void recordsOfEarlierReleasesAreNotRead() {
        for (String release : new String[] {"3.10.0", "6.0.0"}) {
            KernelConfig config = config(release, "ARM64_CAP_7");
            assertThat(module(config, OLD, NEW).record(0, 0, CAPABILITY, 4, 4).table().code())
                    .isEqualTo(OLD);
        }
        KernelConfig later = config("6.12.0", "ARM64_CAP_7");
        assertThat(module(later, OLD, NEW).record(0, 0, CAPABILITY, 4, 4).table().code())
                .isEqualTo(NEW);
    }

    @Test
    void ofSeveralSectionsWithTheNameTheFirstCounts() {
        assertThat(module(WITH, OLD, NEW).record(0, 0, CAPABILITY, 4, 4).table().namesake().code())
                .isEqualTo(NEW);
        assertThat(module(WITH, OLD, NEW).namesake().table().refusal())
                .isEqualTo("m: alternative 0 is cut off by the end of .altinstructions");
    }

    @Test
    void alternativesComeBeforeTrampolines() {
        KernelConfig config =
                WITH.toBuilder().kconfig("CONFIG_DYNAMIC_FTRACE", true).build(); // there are none
        assertThat(module(config, OLD, NEW).record(0, 0, CAPABILITY, 4, 8).table().refusal())
                .startsWith("m: alternative 0:");
    }

    // ---- instructions ----

    /** Where a branch leads: a signed number of words in some bits. */
    private static long target(long from, int word, int shift, int width) {
        return from + ((long) (word << 32 - shift - width >> 32 - width) << 2);
    }

    @Property
    void aMovedBranchLeadsToTheSameTarget(
            @ForAll @IntRange(min = -0x2000000, max = 0x1fffffb) int words,
            @ForAll boolean link,
            @ForAll boolean conditional,
            @ForAll @IntRange(min = 0, max = 1) int second) {
        int shift = conditional ? 5 : 0;
        int width = conditional ? 19 : 26;
        int distance = conditional ? words >> 7 : words;
        int field = (distance & (1 << width) - 1) << shift;
        int word = (conditional ? 0x54000000 : link ? 0x94000000 : 0x14000000) | field;
        String with = second == 0 ? hex(word) + NOP : NOP + hex(word);
        AlternativeFixture module = module(WITH, OLD + OLD, with);
        String code = module.record(0, 0, CAPABILITY, 8, 8).table().code();
        int moved =
                Integer.reverseBytes(
                        Integer.parseUnsignedInt(code, 8 * second, 8 * second + 8, 16));
        long from = module.replacement + 4 * second;
        long target = target(from, word, shift, width);
        int mask = (1 << width) - 1 << shift;
        assertThat(moved & ~mask).isEqualTo(word & ~mask);
        if (target >= module.replacement && target <= module.replacement + 8) {
            assertThat(moved).isEqualTo(word);
        } else {
            long to = module.text + 4 * second;
            long reach = 4L << width - 1;
            long cut = Math.floorMod(target - to + reach, 2 * reach) - reach;
            assertThat(target(to, moved, shift, width)).isEqualTo(to + cut);
        }
    }

    /** 64 KiB lie between original and replacement: 0x4000 words. */
    @ParameterizedTest
    @CsvSource({
        "0x14000002, 0x14000002", // to the end
        "0x14000003, 0x14004003",
        "0x17ffffff, 0x14003fff", // to what is before
        "0x94000003, 0x94004003",
        "0x54000060, 0x54080060", // B.EQ
        "0x54000070, 0x54000070", // not B.cond
        "0x34000062, 0x34080062", // CBZ
        "0xb5000062, 0xb5080062", // CBNZ
        "0x36180064, 0x36180064", // TBZ: cut off at 14 bits, 0x4003 is 3
        "0x37fbffe4, 0x37fbffe4", // TBNZ: likewise
        "0x90000003, 0x90000083", // ADRP: 16 pages
        "0xb0ffffe3, 0xb0000063", // one that was 3 pages before
        "0xf9400000, 0xf9400000" // LDR from a register
    })
    void whatIsRelativeToItselfIsEncodedAnew(String given, String expected) {
        String with = hex(Long.decode(given).intValue()) + NOP;
        assertThat(module(WITH, OLD + OLD, with).record(0, 0, CAPABILITY, 8, 8).table().code())
                .isEqualTo(hex(Long.decode(expected).intValue()) + NOP);
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                0x10000000, // ADR
                0x70ffffe3,
                0x18000001, // LDR Wt
                0x58000001, // LDR Xt
                0x98000001, // LDRSW
                0xd8000001 // PRFM
            })
    void whatReadsALiteralIsRefused(int word) {
        assertThat(
                        module(WITH, OLD + OLD, NEW + hex(word))
                                .record(0, 0, 1, 8, 8)
                                .record(0, 0, CAPABILITY, 8, 8)
                                .table()
                                .refusal())
                .isEqualTo("m: alternative 1: instruction 0x%08x reads a literal".formatted(word));
    }

    @Test
    void bytesThatAreNoWholeInstructionStay() {
        assertThat(module(WITH, OLD + OLD, NEW + NEW).record(0, 0, CAPABILITY, 7, 7).table().code())
                .isEqualTo(NEW + OLD);
    }

    @Test
    void anAlternativePartlyOutsideItsSectionIsRefusedBeforeAnyOfItIsWritten() {
        assertThat(
                        module(WITH, OLD, NEW + NEW)
                                .record(0, 0, CAPABILITY, 8, 8)
                                .table()
                                .refusalThatWritesNothing())
                .startsWith("m: alternative 0:");
        assertThat(
                        module(WITH, OLD + OLD, NEW)
                                .record(0, 0, CAPABILITY, 8, 8)
                                .table()
                                .refusalThatWritesNothing())
                .startsWith("m: alternative 0:");
    }

    // ---- callbacks ----

    private static KernelConfig withPatcher(long address) {
        return WITH.toBuilder().kernelAddress("alt_cb_patch_nops", new Address(address)).build();
    }

    @Test
    void thePatcherOfNopsMakesNops() {
        long patcher = module(WITH, "", "").text - 0x100000;
        assertThat(
                        module(withPatcher(patcher), OLD + OLD + OLD, "")
                                .absolute(patcher + 0x100004, patcher, CALLBACK | CAPABILITY, 4, 0)
                                .absolute(patcher + 0x100008, patcher, CALLBACK | 1, 4, 0)
                                .table()
                                .code())
                .isEqualTo(OLD + NOP + OLD);
    }

    @Test
    void thePatcherMakesEveryInstructionANop() {
        long patcher = module(WITH, "", "").text - 0x100000;
        assertThat(
                        module(withPatcher(patcher), OLD + OLD + OLD + OLD, "")
                                .absolute(patcher + 0x100004, patcher, CALLBACK | CAPABILITY, 8, 0)
                                .table()
                                .code())
                .isEqualTo(OLD + NOP + NOP + OLD);
    }

    @Test
    void whatAnotherFunctionWouldChangeStays() {
        long patcher = module(WITH, "", "").text - 0x100000;
        for (KernelConfig config : new KernelConfig[] {WITH, withPatcher(patcher)}) {
            assertThat(
                            module(config, OLD, "")
                                    .absolute(
                                            patcher + 0x100000,
                                            patcher + 4,
                                            CALLBACK | CAPABILITY,
                                            4,
                                            0)
                                    .table()
                                    .code())
                    .isEqualTo(OLD);
        }
    }

    @Test
    void aCallbackWithAReplacementIsRefused() {
        assertThat(
                        module(WITH, OLD, NEW)
                                .record(0, 0, CALLBACK | CAPABILITY, 4, 4)
                                .table()
                                .refusal())
                .isEqualTo("m: alternative 0: a callback with a replacement of 4 bytes");
        assertThat(
                        module(WITHOUT, OLD, NEW)
                                .record(0, 0, CALLBACK | CAPABILITY, 4, 4)
                                .table()
                                .code())
                .isEqualTo(OLD);
    }

    // ---- refusals ----

    @Test
    void aReplacementOfAnotherLengthIsRefused() {
        assertThat(module(WITH, OLD + OLD, NEW).record(0, 0, CAPABILITY, 8, 4).table().refusal())
                .isEqualTo("m: alternative 0: a replacement of 4 bytes for 8");
        assertThat(module(WITHOUT, OLD + OLD, NEW).record(0, 0, CAPABILITY, 8, 4).table().code())
                .isEqualTo(OLD + OLD);
    }

    @ParameterizedTest
    @CsvSource({"-1, 0", "1, 0", "4, 0", "0, -1", "0, 1", "0, 0x10000000", "-0x10000000, 0"})
    void whatLeadsOutOfTheSectionsIsRefused(String original, String with) {
        AlternativeFixture module = module(WITH, OLD, NEW);
        long o = Long.decode(original);
        long r = Long.decode(with);
        assertThat(module.record(o, r, CAPABILITY, 4, 4).table().refusal())
                .isEqualTo(
                        "m: alternative 0: 4 bytes at 0x%x lie in no section of it"
                                .formatted(o != 0 ? module.text + o : module.replacement + r));
    }

    @Test
    void aCallbackForCodeOutsideTheSectionsIsRefused() {
        assertThat(
                        module(WITH, OLD, "")
                                .record(4, 0, CALLBACK | CAPABILITY, 4, 0)
                                .table()
                                .refusal())
                .startsWith("m: alternative 0: 4 bytes at 0x");
    }
}

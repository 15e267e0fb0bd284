package io.github.koloader.arch;

import static io.github.koloader.arch.PlacedFixture.CODE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Symbol;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What differs from {@link RiscV64Test}: words, and what reaches how far. */
final class RiscV32Test extends ArchitectureContract {
    private static final int AUIPC = 0x00000517;
    private static final long TEXT = 0xa0001000L;
    private static final long GOT = 0xa0003000L;

    @Override
    Architecture architecture() {
        return Architectures.RISCV32;
    }

    @Override
    Errno errnoOf(RelocationFailure.Kind kind) {
        return switch (kind) {
            case UNKNOWN_TYPE, OVERFLOW -> Errno.EINVAL;
            case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL -> Errno.ENOEXEC;
        };
    }

    private static PlacedFixture module() {
        return module(KernelConfig.linux6_1());
    }

    private static PlacedFixture module(KernelConfig config) {
        PlacedFixture module = new PlacedFixture(Architectures.RISCV32, config);
        module.placeholder(".plt", 0xa0002000L);
        module.placeholder(".got", GOT);
        module.placeholder(".got.plt", 0xa0004000L);
        return module;
    }

    /** Applies one relocation to some words, which are then the first words of the code. */
    private static long apply(int type, long s, long a, int... words) {
        PlacedFixture module = module();
        byte[] bytes = new byte[16];
        PlacedSection code = new PlacedSection(bytes, 0, 16, 0, false);
        for (int i = 0; i < words.length; i++) {
            code.writeInt(4 * i, words[i]);
        }
        int text = module.section(".text", CODE, TEXT, bytes);
        module.relocate(text, new Relocation(0, type, module.symbol(s), a)).load();
        return module.memory(text).read(0, 8);
    }

    @Test
    void bothMachineAndClassHaveToBeRight() {
        assertThat(accepts(243, Encoding.ELF32_LSB)).isTrue();
        assertThat(accepts(243, Encoding.ELF64_LSB)).isFalse();
        assertThat(accepts(40, Encoding.ELF32_LSB)).isFalse();
    }

    private boolean accepts(int machine, Encoding encoding) {
        return architecture().accepts(new FileHeader(encoding, machine, 0, 0));
    }

    @Test
    void itHasTheTypesOfTheOtherWordSize() {
        assertThat(architecture().relocationTypes())
                .extracting(RelocationType::name)
                .isEqualTo(
                        Architectures.RISCV64.relocationTypes().stream()
                                .map(RelocationType::name)
                                .toList());
        assertThat(architecture().relocationTypes(KernelConfig.linux6_1()))
                .extracting(RelocationType::code)
                .doesNotContain(34, 38);
    }

    @Test
    void vermagicEndsWithItsName() {
        assertThat(KernelConfig.linux6_1().vermagic(architecture())).endsWith("modversions riscv");
    }

    @ParameterizedTest
    @CsvSource({"fffff000, 0, fffff000", "fffff000, 1000, 0", "0, -1, ffffffff"})
    void type32WritesTheSumModulo32Bits(String s, String a, String expected) {
        assertThat(apply(1, Long.parseLong(s, 16), Long.parseLong(a, 16), 0x55555555))
                .isEqualTo(Long.parseLong(expected, 16));
    }

    /** Words are unsigned, so that the upper half becomes zero. */
    @Test
    void type64WritesEightBytes() {
        assertThat(apply(2, 0xc0000000L, 4, -1, -1)).isEqualTo(0xc0000004L);
    }

    @Test
    void add64AndSub64CountWithUnsignedWords() {
        assertThat(apply(36, 0xc0000000L, 0, 0x40000000, 1)).isEqualTo(0x2_00000000L);
        assertThat(apply(40, 0xc0000000L, 0, 0x40000000, 1)).isEqualTo(0x80000000L);
    }

    @Test
    void add32AndSub32CountOnWhatIsThere() {
        assertThat(apply(35, 0xffff0000L, 0, 0x10001, 7)).isEqualTo(0x7_00000001L);
        assertThat(apply(39, 0x2, 0, 1, 7)).isEqualTo(0x7_ffffffffL);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 0x7ffff800L, 0x80000000L, 0xffffe800L})
    void everyDistanceReaches(long s) {
        long distance = s - TEXT & 0xffffffffL;
        long upper = distance + 0x800 & 0xfffff000L;
        assertThat(apply(23, s, 0, AUIPC)).isEqualTo(upper | AUIPC);
        for (int type : new int[] {18, 19}) {
            assertThat(apply(type, s, 0, AUIPC, 0x67))
                    .isEqualTo(upper | AUIPC | (distance << 20 & 0xfff00000L | 0x67) << 32);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {0xffffffffL, 0xfffff001L})
    void aSymbolThatIsAnErrorIsUnknown(long value) {
        LoadException refusal = catchThrowableOfType(LoadException.class, () -> apply(1, value, 0));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
        assertThat(refusal.dmesg()).isEqualTo("m: Unknown symbol s1");
    }

    @Test
    void theLastValueThatIsNoErrorIsAnAddress() {
        assertThat(apply(1, 0xfffff000L, 0)).isEqualTo(0xfffff000L);
    }

    @Test
    void aWeakSymbolThatIsAnErrorIsSkipped() {
        PlacedFixture module = module();
        int text = module.section(".text", CODE, TEXT, new byte[4]);
        int weak = module.symbol(Symbol.weak("w"), 0xffffffffL);
        module.relocate(text, new Relocation(0, 1, weak, 0)).load();
        assertThat(module.word(text, 0)).isZero();
    }

    @Test
    void aLowPartFindsItsHighPartAcrossTheEndOfTheAddresses() {
        PlacedFixture module = module();
        int text = module.section(".text", CODE, 0xffffe000L, new byte[16]);
        int target = module.symbol(0x123);
        int high = module.symbol(0xffffe008L);
        module.relocate(text, new Relocation(12, 24, high, 0), new Relocation(8, 23, target, 0));
        module.load();
        assertThat(module.word(text, 8)).isEqualTo(0x00002000);
        assertThat(module.word(text, 12)).isEqualTo(0x11b << 20);
    }

    @Test
    void gotSlotsAreWords() {
        PlacedFixture module = module();
        int text = module.section(".text", CODE, TEXT, new byte[16]);
        int one = module.symbol(0xc0001000L);
        int other = module.symbol(0xc0002000L);
        int high = module.symbol(TEXT + 4);
        module.relocate(
                text,
                new Relocation(0, 20, one, 0),
                new Relocation(4, 20, other, 0),
                new Relocation(8, 24, high, 0));
        module.load();
        PlacedSection got = module.memory(2);
        assertThat(got.size()).isEqualTo(3 * 4);
        assertThat(got.read(0, 4)).isEqualTo(0xc0001000L);
        assertThat(got.read(4, 4)).isEqualTo(0xc0002000L);
        assertThat(got.read(8, 4)).isZero();
        assertThat(module.word(text, 8)).isZero(); // GOT + 4 − (TEXT + 4) is 0x2000
    }

    @Test
    void sectionsForVeneersAreSizedByWords() {
        PlacedFixture module = module();
        int text = module.section(".text", CODE, TEXT, new byte[16]);
        int one = module.symbol(0);
        module.relocate(text, new Relocation(0, 19, one, 0), new Relocation(8, 20, one, 0));
        ModuleImage planned = module.plan().image();
        assertThat(List.of(1, 2, 3))
                .extracting(index -> planned.section(index).size())
                .containsExactly(24L, 8L, 8L);
    }

    @Test
    void aKernelOfTheLowCodeModelRefusesHi20() {
        PlacedFixture module =
                module(
                        KernelConfig.linux6_1().toBuilder()
                                .kconfig("CONFIG_CMODEL_MEDLOW", true)
                                .build());
        int text = module.section(".text", CODE, TEXT, new byte[4]);
        module.relocate(text, new Relocation(0, 26, module.symbol(0xc0000000L), 0));
        LoadException refusal = catchThrowableOfType(LoadException.class, module::load);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "m: target 00000000c0000000 can not be addressed by the 32-bit offset from"
                                + " PC = a0001000");
    }
}

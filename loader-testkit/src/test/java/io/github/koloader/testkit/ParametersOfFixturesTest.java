package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.JavaExecutor;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.ParameterType;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Region;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The fixture {@code params} of every machine, in whatever word size and byte order that has. */
class ParametersOfFixturesTest {
    private static final String ARGUMENTS =
            "p_byte=255 p_short=-32768 p_ushort=65535 p_int=-0x10 p_uint=0777 p_long=-1"
                    + " p_ulong=12345678 p_ullong=18446744073709551615 p_hexint=0xff p_charp=hello"
                    + " p_bool p_invbool=1 p_bint=y p_enable_only=1 p_named=5 p_string=short"
                    + " p_array=9,8,7 p_strs=x,,z p_fixed=1,-1 p_unsafe=1 p_ioport=0x2f8 p_noperm=1"
                    + " p_cb=7 p_flag";

    private static final List<String> PRINTED =
            List.of(
                    "Setting dangerous option p_unsafe - tainting kernel",
                    "p_byte=255",
                    "p_short=-32768",
                    "p_ushort=65535",
                    "p_int=-16",
                    "p_uint=511",
                    "p_long=-1",
                    "p_ulong=12345678",
                    "p_ullong=18446744073709551615",
                    "p_hexint=ff",
                    "p_charp=hello",
                    "p_bool=1",
                    "p_invbool=0",
                    "p_bint=1",
                    "p_enable_only=1",
                    "p_named=5",
                    "p_string=short",
                    "p_array[0]=9",
                    "p_array[1]=8",
                    "p_array[2]=7",
                    "p_strs[0]=x",
                    "p_strs[1]=",
                    "p_strs[2]=z",
                    "p_fixed=1,-1",
                    "p_unsafe=1",
                    "p_ioport=2f8",
                    "p_noperm=1",
                    "p_cb=7 calls=1",
                    "p_flag=1");

    private static final List<String> SHOWN =
            List.of(
                    "p_array = 9,8,7",
                    "p_bint = 1",
                    "p_bool = Y",
                    "p_byte = 255",
                    "p_cb = 7",
                    "p_charp = hello",
                    "p_enable_only = Y",
                    "p_fixed = 1,-1",
                    "p_flag = Permission denied",
                    "p_hexint = 0x0000ff",
                    "p_int = -16",
                    "p_invbool = Y",
                    "p_ioport = 760",
                    "p_long = -1",
                    "p_named = 5",
                    "p_short = -32768",
                    "p_string = short",
                    "p_strs = x,,z",
                    "p_uint = 511",
                    "p_ullong = 18446744073709551615",
                    "p_ulong = 12345678",
                    "p_unsafe = 1",
                    "p_ushort = 65535");

    @ParameterizedTest
    @ValueSource(
            strings = {
                "x86_64",
                "x86_64-6.12",
                "arm64",
                "arm64-6.12",
                "arm",
                "arm-thumb2",
                "i386",
                "mips32el",
                "mips64el",
                "ppc64le",
                "s390x"
            })
    void everyParameterIsSetPrintedAndShown(String target) throws IOException {
        ModuleImage image = KoReader.read(Fixtures.ko(target + "/params.ko"));
        Kernel kernel =
                Kernel.builder(
                                Architectures.forMachine(image.machine(), image.encoding())
                                        .orElseThrow())
                        .config(
                                KernelConfig.forVermagic(
                                                image.modinfo().first("vermagic").orElse(""))
                                        .toBuilder()
                                        .moduleSig(false)
                                        .checkVermagic(false)
                                        .modversions(false)
                                        .build())
                        .executor(
                                JavaExecutor.builder()
                                        .bind("params", "params_init", ParamsFixture::init)
                                        .bind("params", "cb_set", ParamsFixture::setCallback)
                                        .bind(
                                                "params",
                                                "cb_get",
                                                call -> call.showAs(ParameterType.INT))
                                        .bind("params", "flag_set", ParamsFixture::setFlag)
                                        .build())
                        .build();
        Module module = kernel.load(image, ARGUMENTS);
        assertThat(kernel.log().lines()).filteredOn(line -> line.contains("p_")).isEqualTo(PRINTED);
        assertThat(ParamsFixture.files(module)).isEqualTo(SHOWN);
        kernel.unload("params");
        assertThat(kernel.memory().regions()).extracting(Region::toString).isEmpty();
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class, () -> kernel.load(image, "p_charp=a p_byte=256"));
        assertThat(refusal.dmesg()).isEqualTo("params: `256' invalid for parameter `p_byte'");
        assertThat(kernel.memory().regions()).isEmpty();
    }
}

package io.github.koloader.internal.params;

import static io.github.koloader.ParameterModule.parameter;
import static io.github.koloader.ParameterModule.shown;
import static io.github.koloader.ParameterModule.variable;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.Executor;
import io.github.koloader.Executor.Phase;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Images;
import io.github.koloader.JavaExecutor;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelLog;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.Module;
import io.github.koloader.ModuleParameter;
import io.github.koloader.ModuleState;
import io.github.koloader.ParameterModule;
import io.github.koloader.ParameterType;
import io.github.koloader.RecordingExecutor;
import io.github.koloader.Taint;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.memory.Region;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ModuleParametersTest {
    private static final KernelConfig NEW = Images.quiet6_1();
    private static final KernelConfig OLD = Images.quiet(KernelConfig.linux3_10());

    /** A module with one parameter of each kind. */
    private static ParameterModule all(KernelConfig config) {
        return new ParameterModule(Encoding.ELF64_LSB, config)
                .standard("i", "int")
                .standard("u", "uint")
                .standard("c", "charp")
                .standard("b", "bool")
                .standard("v", "invbool")
                .standard("k", "bint")
                .standard("e", "bool_enable_only")
                .string("s", 8)
                .array("a", "int", 4, 4, true)
                .array("f", "short", 3, 2, false)
                .array("t", "charp", 3, 8, true)
                .array("y", "bool", 2, 1, true)
                .standard("under_score-dash", "int")
                .standard("danger", "int", 0400, ParameterModule.UNSAFE)
                .standard("port", "uint", 0, ParameterModule.HARDWARE);
    }

    private static ParameterModule all() {
        return all(NEW);
    }

    private static Module load(ParameterModule module, String arguments) {
        return module.kernel().build().load(module.image(), arguments);
    }

    private static LoadException refusal(Kernel kernel, ParameterModule module, String arguments) {
        int before = kernel.memory().regions().size();
        LoadException refusal =
                catchThrowableOfType(
                        LoadException.class, () -> kernel.load(module.image(), arguments));
        assertThat(refusal).as("refusal of " + arguments).isNotNull();
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).hasSize(before);
        return refusal;
    }

    private static LoadException refusal(ParameterModule module, String arguments) {
        return refusal(module.kernel().build(), module, arguments);
    }

    private static List<LogLine> lines(Kernel kernel) {
        return kernel.log().entries().stream().map(KernelLog.Entry::line).toList();
    }

    private static List<Region> heap(Kernel kernel) {
        return kernel.memory().regions().stream()
                .filter(region -> region.name().equals("parameter heap"))
                .toList();
    }

    // ---- standard types ----

    static Stream<Encoding> encodings() {
        return Stream.of(
                Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB);
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void everyIntegerIsWrittenInItsWidthAndOrder(Encoding encoding) {
        for (KernelConfig config :
                List.of(
                        OLD,
                        Images.quiet(KernelConfig.forRelease("3.18.0")),
                        NEW,
                        Images.quiet6_12())) {
            ParameterModule module = new ParameterModule(encoding, config);
            List<ParameterType> types =
                    Stream.of(ParameterType.values()).filter(ParameterType::isInteger).toList();
            StringBuilder arguments = new StringBuilder();
            for (ParameterType type : types) {
                module.standard(type.text(), type.text());
                arguments.append(' ').append(type.text()).append("=0x7e");
            }
            Kernel kernel = module.kernel().build();
            Module loaded = kernel.load(module.image(), arguments.toString());
            for (ParameterType type : types) {
                int size = type.bits(encoding.wordSize()) / 8;
                byte[] expected = new byte[4];
                expected[encoding.bigEndian() ? Math.min(size, 4) - 1 : 0] = 0x7e;
                Address low = variable(loaded, type.text());
                byte[] bytes =
                        kernel.memory()
                                .read(encoding.bigEndian() && size == 8 ? low.plus(4) : low, 4);
                assertThat(bytes).as(type.text()).isEqualTo(expected);
                boolean hex = type == ParameterType.HEXINT;
                assertThat(shown(loaded, type.text())).isEqualTo(hex ? "0x00007e" : "126");
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "byte, 255, 256",
        "short, -32768, -32769",
        "ushort, 65535, 65536",
        "int, -2147483648, 2147483648",
        "uint, 4294967295, 4294967296",
        "long, -9223372036854775808, 9223372036854775808",
        "ulong, 18446744073709551615, 18446744073709551616",
        "ullong, 18446744073709551615, 18446744073709551616"
    })
    void aNumberOutOfRangeIsRefusedWithERANGE(String type, String last, String beyond) {
        ParameterModule module = ParameterModule.plain().standard("n", type);
        assertThat(shown(load(module, "n=" + last), "n")).isEqualTo(last);
        ParameterModule again = ParameterModule.plain().standard("n", type);
        LoadException refusal = refusal(again, "n=" + beyond);
        assertThat(refusal.errno()).isEqualTo(Errno.ERANGE);
        assertThat(refusal.dmesg()).isEqualTo("m: `" + beyond + "' invalid for parameter `n'");
    }

    @Test
    void aLongIsAWordOfTheMachine() {
        ParameterModule module = new ParameterModule(Encoding.ELF32_LSB, NEW).standard("n", "long");
        assertThat(refusal(module, "n=2147483648").errno()).isEqualTo(Errno.ERANGE);
    }

    @Test
    void aHexadecimalNumberIsShownWithSixDigitsAtLeast() {
        ParameterModule module = ParameterModule.plain().standard("h", "hexint");
        Module loaded = load(module, "");
        assertThat(shown(loaded, "h")).isEqualTo("0x000000");
        parameter(loaded, "h").write("0xfedcba98\n");
        assertThat(shown(loaded, "h")).isEqualTo("0xfedcba98");
    }

    @ParameterizedTest
    @CsvSource({
        "b, b, Y",
        "b=, b, !",
        "b=off, b, N",
        "b=yellow, b, Y",
        "v, v, !",
        "v=1, v, Y",
        "v=n, v, N",
        "k, k, 1",
        "k=on, k, 1",
        "k=2, k, !",
        "e, e, Y",
        "e=0, e, N",
        "y, y, !",
        "'y=1,n', y, 'Y,N'",
        "'y=1,', y, !",
        "i, i, !",
        "i=, i, !",
        "'i=1 i=2', i, 2",
        "'\"i=3\"', i, 3",
        "under-score_dash=5, under_score-dash, 5"
    })
    void aValueIsTakenOrInvalid(String arguments, String name, String value) {
        if (value.equals("!")) {
            assertThat(refusal(all(), arguments).errno()).isEqualTo(Errno.EINVAL);
        } else {
            assertThat(shown(load(all(), arguments), name)).isEqualTo(value);
        }
    }

    @Test
    void whatIsEnabledOnlyIsNotDisabledAgain() {
        Module module = load(all(), "e=1");
        parameter(module, "e").write("y");
        assertThatThrownBy(() -> parameter(module, "e").write("0"))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EROFS));
        assertThat(shown(module, "e")).isEqualTo("Y");
        assertThat(refusal(all(), "e=1 e=0").errno()).isEqualTo(Errno.EROFS);
    }

    // ---- texts ----

    @Test
    void aTextIsCopiedAndTheCopyIsGivenBack() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        long used = kernel.memory().regions().size();
        Module loaded = kernel.load(module.image(), "c=one c=\"two words\"");
        assertThat(shown(loaded, "c")).isEqualTo("two words");
        assertThat(heap(kernel))
                .singleElement()
                .satisfies(one -> assertThat(one.size()).isEqualTo(10));
        Address copy = kernel.memory().readPointer(variable(loaded, "c"));
        assertThat(kernel.memory().readText(copy, 99)).isEqualTo("two words");
        kernel.unload("m");
        assertThat(kernel.memory().regions()).hasSize((int) used);
    }

    @Test
    void aTextMayHave1024Bytes() {
        String longest = "x".repeat(1024);
        assertThat(shown(load(all(), "c=" + longest), "c")).isEqualTo(longest);
        LoadException refusal = refusal(all(), "c=" + longest + "x");
        assertThat(refusal.errno()).isEqualTo(Errno.ENOSPC);
        assertThat(refusal.lines())
                .extracting(LogLine::text)
                .first()
                .isEqualTo("c: string parameter too long");
        assertThat(refusal.lines().get(1).text()).startsWith("m: `xxx").hasSize(LogLine.LIMIT);
        assertThat(refusal.lines()).allMatch(line -> line.level() == LogLevel.ERR);
    }

    @Test
    void aNullTextIsShownAsSuch() {
        Module module = load(all(), "");
        assertThat(parameter(module, "c").read()).isEqualTo("(null)\n");
    }

    @Test
    void aTextWithoutMemoryIsENOMEM() {
        ParameterModule module = all();
        Kernel kernel =
                module.kernel()
                        .allocator(
                                new io.github.koloader.memory.FirstFitAllocator(
                                        List.of(Images.range(0xc000_0000L, 0x100000)),
                                        Images.range(0xd000_0000L, 0x4000), // no heap
                                        Images.range(0x1000, 0x1000),
                                        0x1000))
                        .build();
        assertThat(refusal(kernel, module, "c=x").errno()).isEqualTo(Errno.ENOMEM);
    }

    @Test
    void aStringFitsIntoItsBytes() {
        Module module = load(all(), "s=1234567");
        assertThat(shown(module, "s")).isEqualTo("1234567");
        LoadException refusal = refusal(all(), "s=12345678");
        assertThat(refusal.errno()).isEqualTo(Errno.ENOSPC);
        assertThat(refusal.dmesg())
                .isEqualTo(
                        "s: string doesn't fit in 7 chars.\nm: `12345678' too large for parameter `s'");
    }

    // ---- arrays ----

    @Test
    void anArrayTakesSomeElementsAndCountsThem() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        Module loaded = kernel.load(module.image(), "a=9,-8,7 f=1,2");
        assertThat(shown(loaded, "a")).isEqualTo("9,-8,7");
        assertThat(kernel.memory().readInt(variable(loaded, "a_n"))).isEqualTo(3);
        assertThat(shown(loaded, "f")).isEqualTo("1,2,0");
        assertThat(parameter(loaded, "t").read()).isEmpty();
        parameter(loaded, "a").write("1\n");
        assertThat(parameter(loaded, "a").read()).isEqualTo("1\n");
    }

    @Test
    void anArrayOfTextsKeepsCopiesUntilTheyAreReplacedOrTheModuleGoes() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        Module loaded = kernel.load(module.image(), "t=x,,\"y\"");
        assertThat(shown(loaded, "t")).isEqualTo("x,,\"y\"");
        assertThat(heap(kernel)).hasSize(3);
        parameter(loaded, "t").write("z");
        assertThat(shown(loaded, "t")).isEqualTo("z");
        assertThat(heap(kernel)).hasSize(3);
        kernel.unload("m");
        assertThat(heap(kernel)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a=1,2,3,4,5|a: can only take 4 arguments:m: `1' invalid for parameter `a'",
                "a=1,,2|m: `1' invalid for parameter `a'",
                "a=|m: `' invalid for parameter `a'",
                "a|m: `' invalid for parameter `a'",
                "a=1,x|m: `1' invalid for parameter `a'",
                "a=x,1|m: `x' invalid for parameter `a'",
            })
    void anArrayStopsAtTheFirstElementThatIsWrong(String arguments, String lines) {
        LoadException refusal = refusal(all(), arguments);
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal.dmesg().replace('\n', ':')).isEqualTo(lines);
    }

    @Test
    void elementsBeforeAWrongOneStay() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        Module loaded = kernel.load(module.image(), "a=1,2,3");
        assertThatThrownBy(() -> parameter(loaded, "a").write("7,x"))
                .isInstanceOf(LoadException.class);
        assertThat(shown(loaded, "a")).isEqualTo("7");
        assertThat(kernel.memory().readInt(variable(loaded, "a").plus(4))).isEqualTo(2);
    }

    // ---- the line ----

    @Test
    void settingGoesOnAfterAnErrorAndTheLastErrorCounts() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        LoadException refusal = refusal(kernel, module, "i=x nothing=1 u=99999999999 s=ok");
        assertThat(refusal.errno()).isEqualTo(Errno.ERANGE);
        assertThat(refusal.lines()).hasSize(2);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: `x' invalid for parameter `i'",
                        "m: unknown parameter 'nothing' ignored",
                        "m: `99999999999' invalid for parameter `u'");
    }

    @Test
    void oldKernelsStopAtTheFirstError() {
        ParameterModule module = all(OLD);
        Kernel kernel = module.kernel().build();
        assertThat(refusal(kernel, module, "i=x u=99999999999999999999").errno())
                .isEqualTo(Errno.EINVAL);
        assertThat(kernel.log().lines()).containsExactly("m: `x' invalid for parameter `i'");
    }

    @Test
    void anUnknownParameterIsWarnedAbout() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        kernel.load(module.image(), "x=1 I=2 async_probe async_probe=zz y.z=1 dyndbg=+p");
        assertThat(lines(kernel))
                .containsExactly(
                        LogLine.of(LogLevel.WARNING, "m: unknown parameter 'x' ignored"),
                        LogLine.of(LogLevel.WARNING, "m: unknown parameter 'I' ignored"),
                        LogLine.of(LogLevel.WARNING, "m: unknown parameter 'y' ignored"));
    }

    @Test
    void withoutDynamicDebugItsParameterIsRefusedPolitely() {
        KernelConfig config = NEW.toBuilder().dynamicDebug(false).build();
        ParameterModule module = all(config);
        Kernel kernel = module.kernel().build();
        kernel.load(module.image(), "dyndbg y.z=1");
        assertThat(kernel.log().lines())
                .containsExactly(
                        "dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds",
                        "m: unknown parameter 'y.z' ignored");
    }

    @Test
    void oldKernelsRefuseUnknownParameters() {
        for (String word : List.of("x=1", "--", "async_probe")) {
            LoadException refusal = refusal(all(OLD), word);
            assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
            assertThat(refusal.dmesg())
                    .isEqualTo("m: Unknown parameter `" + word.split("=")[0] + "'");
        }
    }

    @Test
    void oldKernelsTakeABoolWithoutValueByItsSetter() {
        assertThat(shown(load(all(OLD), "b k=0"), "b")).isEqualTo("Y");
        assertThat(refusal(all(OLD), "e").errno()).isEqualTo(Errno.EINVAL);
        ParameterModule own =
                new ParameterModule(Encoding.ELF64_LSB, OLD)
                        .callback("o", 0, "param_set_bool", "param_get_bool", "");
        assertThat(shown(load(own, "o"), "o")).isEqualTo("Y");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {"i=1 -- u=9 |u=9 ", "i=1 --|``", "i=1 \"--\"  x|x"})
    void whatFollowsTwoDashesIsIgnored(String arguments, String rest) {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        Module loaded = kernel.load(module.image(), arguments);
        assertThat(lines(kernel))
                .containsExactly(
                        LogLine.of(
                                LogLevel.WARNING,
                                "m: parameters '" + rest + "' after `--' ignored"));
        assertThat(shown(loaded, "i")).isEqualTo("1");
        assertThat(shown(loaded, "u")).isEqualTo("0");
    }

    @Test
    void anErrorBeforeTwoDashesIsNotForgotten() {
        assertThat(refusal(all(), "i=x -- u=1").dmesg())
                .isEqualTo("m: `x' invalid for parameter `i'");
    }

    @Test
    void aModuleWithoutTableTakesUnknownParametersAsWell() {
        ParameterModule module = ParameterModule.plain();
        Kernel kernel = module.kernel().build();
        assertThat(kernel.load(Images.onTest("m"), "a=1 -- b").parameters()).isEmpty();
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: unknown parameter 'a' ignored", "m: parameters 'b' after `--' ignored");
    }

    // ---- flags ----

    @Test
    void anUnsafeParameterTaintsTheKernelEachTimeEvenIfItIsRefused() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        assertThat(refusal(kernel, module, "danger=x").errno()).isEqualTo(Errno.EINVAL);
        assertThat(kernel.taints()).containsExactly(Taint.USER);
        assertThat(lines(kernel))
                .containsExactly(
                        LogLine.of(
                                LogLevel.NOTICE,
                                "Setting dangerous option danger - tainting kernel"),
                        LogLine.of(LogLevel.ERR, "m: `x' invalid for parameter `danger'"));
        kernel.log().clear();
        assertThat(refusal(kernel, all(), "danger").dmesg()) // nothing was tried
                .isEqualTo("m: `' invalid for parameter `danger'");
        Module loaded = kernel.load(all().image(), "danger=2");
        assertThat(shown(loaded, "danger")).isEqualTo("2");
        assertThat(loaded.taints()).isEmpty();
    }

    @Test
    void aHardwareParameterIsNotSetUnderLockdown() {
        ParameterModule module = all(NEW.toBuilder().lockdown(true).build());
        LoadException refusal = refusal(module, "port=1");
        assertThat(refusal.errno()).isEqualTo(Errno.EPERM);
        assertThat(refusal.dmesg()).isEqualTo("m: `1' invalid for parameter `port'");
        Kernel open = all().kernel().build();
        assertThat(shown(open.load(all().image(), "port=1"), "port")).isEqualTo("1");
    }

    // ---- callbacks ----

    private static ParameterModule callbacks() {
        return ParameterModule.plain()
                .callback("cb", 0, "set_cb", "get_cb", "free_cb")
                .callback("flag", 1, "set_flag", "", "")
                .callback("show", 0, "", "get_show", "")
                .callback("mixed", 0, "set_mixed", "param_get_int", "")
                .callback("text", 0, "param_set_charp", "param_get_charp", "param_free_charp");
    }

    @Test
    void functionsOfAModuleSetShowAndFree() {
        List<String> calls = new ArrayList<>();
        ParameterModule module = callbacks();
        Kernel kernel =
                module.kernel(
                        JavaExecutor.builder()
                                .bind(
                                        "m",
                                        "set_cb",
                                        call -> {
                                            calls.add("set " + call.parameterValue());
                                            return call.setAs(ParameterType.INT);
                                        })
                                .bind("m", "get_cb", call -> call.showAs(ParameterType.INT))
                                .bind(
                                        "m",
                                        "free_cb",
                                        call -> {
                                            calls.add("free " + call.parameterVariable());
                                            return -1;
                                        })
                                .bind(
                                        "m",
                                        "set_flag",
                                        call -> {
                                            calls.add("flag " + call.parameterValue());
                                            return 0;
                                        })
                                .bind("m", "get_show", call -> call.show("seen\n"))
                                .bind(
                                        "m",
                                        "set_mixed",
                                        call -> {
                                            call.memory().writeInt(call.parameterVariable(), 42);
                                            return 0;
                                        })
                                .build());
        Module loaded = kernel.load(module.image(), "cb=7 flag mixed=\"a b\" flag=x text=kept");
        assertThat(calls)
                .containsExactly("set Optional[7]", "flag Optional.empty", "flag Optional[x]");
        assertThat(parameter(loaded, "cb").read()).isEqualTo("7\n");
        assertThat(parameter(loaded, "show").read()).isEqualTo("seen\n");
        assertThat(parameter(loaded, "mixed").read()).isEqualTo("42\n");
        assertThat(parameter(loaded, "text").read()).isEqualTo("kept\n");
        for (String name : List.of("flag", "show")) {
            ModuleParameter parameter = parameter(loaded, name);
            assertThatThrownBy(name.equals("flag") ? parameter::read : () -> parameter.write("1"))
                    .isInstanceOfSatisfying(
                            LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EPERM));
        }
        calls.clear();
        parameter(loaded, "cb").write("8\n");
        assertThat(calls).containsExactly("set Optional[8\n]");
        calls.clear();
        Address variable = variable(loaded, "cb");
        kernel.unload("m");
        assertThat(calls).containsExactly("free " + variable);
        assertThat(heap(kernel)).isEmpty();
    }

    @Test
    void theArgumentsStayWhereASetterHasSeenThem() {
        Address[] seen = new Address[1];
        ParameterModule module = callbacks();
        Kernel kernel =
                module.kernel(
                        call -> {
                            if (call.phase() == Phase.SET_PARAMETER) {
                                seen[0] = call.arguments().get(0);
                            }
                            return 0;
                        });
        kernel.load(module.image(), "mixed=abc");
        assertThat(kernel.memory().readText(seen[0], 9)).isEqualTo("abc");
        kernel.unload("m");
        assertThat(kernel.memory().regionAt(seen[0])).isEmpty();
    }

    @Test
    void theErrorOfASetterIsTheErrorOfTheLoad() {
        ParameterModule module = callbacks();
        LoadException refusal = refusal(module.kernel(call -> -71), module, "cb=1");
        assertThat(refusal.errnoNumber()).isEqualTo(71);
        assertThat(refusal.dmesg()).isEqualTo("m: `1' invalid for parameter `cb'");
        ParameterModule again = callbacks();
        assertThat(refusal(again.kernel(call -> -2), again, "cb=1").dmesg())
                .isEqualTo("m: Unknown parameter `cb'");
    }

    @Test
    void aPositiveAnswerOfASetterIsTakenForTheRestOfTheLine() {
        ParameterModule module = callbacks();
        Kernel kernel = module.kernel(call -> call.phase() == Phase.SET_PARAMETER ? 5 : 0);
        assertThat(kernel.load(module.image(), "cb=1").state()).isEqualTo(ModuleState.LIVE);
        assertThat(kernel.log().lines())
                .containsExactly(
                        "m: `1' invalid for parameter `cb'",
                        "m: parameters '(efault)' after `--' ignored");
    }

    @Test
    void theErrorOfAGetterIsTheErrorOfTheRead() {
        ParameterModule module = callbacks();
        Kernel kernel = module.kernel(call -> call.phase() == Phase.GET_PARAMETER ? -5 : 0);
        Module loaded = kernel.load(module.image(), "");
        assertThatThrownBy(() -> parameter(loaded, "cb").read())
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO));
        assertThat(heap(kernel)).isEmpty();
    }

    @Test
    void aGetterOfAnOldKernelWritesNoNewline() {
        ParameterModule module =
                new ParameterModule(Encoding.ELF64_LSB, OLD).callback("cb", 0, "s", "g", "");
        Kernel kernel =
                module.kernel(call -> call.phase() == Phase.GET_PARAMETER ? call.show("7") : 0);
        assertThat(parameter(kernel.load(module.image(), ""), "cb").read()).isEqualTo("7\n");
    }

    @Test
    void aValueThatIsShownFitsIntoAPage() {
        ParameterModule module = callbacks();
        Kernel kernel = module.kernel(call -> call.phase() == Phase.GET_PARAMETER ? 1 << 30 : 0);
        Module loaded = kernel.load(module.image(), "");
        assertThat(parameter(loaded, "cb").read()).hasSize(4095);
    }

    @Test
    void elementsAreSetAndShownByFunctionsOfTheModule() {
        List<String> calls = new ArrayList<>();
        ParameterModule module = ParameterModule.plain().callbackArray("a", 3, 4);
        Executor java =
                call -> {
                    switch (call.phase()) {
                        case SET_PARAMETER -> {
                            calls.add(call.parameterValue().orElseThrow());
                            return call.setAs(ParameterType.INT);
                        }
                        case GET_PARAMETER -> {
                            return call.showAs(ParameterType.INT);
                        }
                        case FREE_PARAMETER -> calls.add("free");
                        case INIT, EXIT -> calls.add("other");
                    }
                    return 0;
                };
        Kernel kernel = module.kernel(java);
        Module loaded = kernel.load(module.image(), "a=4,5");
        assertThat(calls).containsExactly("4", "5");
        assertThat(shown(loaded, "a")).isEqualTo("4,5");
        kernel.unload("m");
        assertThat(calls).containsExactly("4", "5", "free", "free");
        assertThat(heap(kernel)).isEmpty();
    }

    @Test
    void whatInitReturnsAfterParametersFreesThem() {
        List<Phase> phases = new ArrayList<>();
        ParameterModule module = callbacks().standard("c", "charp").withInit();
        Kernel kernel =
                module.kernel(
                        call -> {
                            phases.add(call.phase());
                            return call.phase() == Phase.INIT ? -19 : 0;
                        });
        assertThat(refusal(kernel, module, "cb=1 c=copy").errno()).isEqualTo(Errno.ENODEV);
        assertThat(phases).containsExactly(Phase.SET_PARAMETER, Phase.INIT, Phase.FREE_PARAMETER);
        assertThat(heap(kernel)).isEmpty();
    }

    @Test
    void whatTheExecutorThrowsLeavesNothing() {
        ParameterModule module = callbacks().standard("c", "charp");
        Kernel kernel =
                module.kernel(
                        call -> {
                            if (call.phase() == Phase.SET_PARAMETER) {
                                throw new IllegalStateException("mine");
                            }
                            return 0;
                        });
        assertThatThrownBy(() -> kernel.load(module.image(), "c=1 cb=1"))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("mine");
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).isEmpty();
    }

    // ---- which operations they are ----

    @Test
    void theKernelsOperationsAreKnownByTheirAddresses() {
        ParameterModule module = all();
        List<String> names = new ArrayList<>();
        Kernel kernel =
                module.kernel()
                        .strict()
                        .symbols(
                                name -> {
                                    if (!name.startsWith("param_")) {
                                        return Optional.empty();
                                    }
                                    if (!names.contains(name)) {
                                        names.add(name);
                                    }
                                    Address address =
                                            new Address(0x8000_0000L + 64 * names.indexOf(name));
                                    return Optional.of(ExportedSymbol.of(name, address));
                                })
                        .build();
        Module loaded = kernel.load(module.image(), "i=-3 b a=1,2");
        assertThat(shown(loaded, "i")).isEqualTo("-3");
        assertThat(shown(loaded, "a")).isEqualTo("1,2");
    }

    // ---- files ----

    @Test
    void parametersAreThereInTheOrderOfTheTableWithTheirPermissions() {
        Module module = load(all(), "");
        assertThat(module.parameters())
                .extracting(ModuleParameter::name)
                .startsWith("i", "u", "c", "b")
                .hasSize(15);
        assertThat(parameter(module, "i").permissions()).isEqualTo(0644);
        assertThat(parameter(module, "danger").permissions()).isEqualTo(0400);
        assertThat(parameter(module, "port").permissions()).isZero();
    }

    @Test
    void aWriteTakesANewlineAsTheTypeDoes() {
        Module module = load(all(), "");
        parameter(module, "i").write("5\n");
        assertThat(shown(module, "i")).isEqualTo("5");
        parameter(module, "c").write("x\n");
        assertThat(parameter(module, "c").read()).isEqualTo("x\n\n");
        parameter(module, "b").write("Y\n");
        assertThat(shown(module, "b")).isEqualTo("Y");
        parameter(module, "i").write("");
        assertThat(shown(module, "i")).isEqualTo("5");
    }

    @Test
    void parametersGoWithTheModule() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        Module loaded = kernel.load(module.image(), "i=3");
        ModuleParameter held = parameter(loaded, "i");
        kernel.unload("m");
        assertThat(loaded.parameters()).isEmpty();
        kernel.load(all().image(), "");
        for (org.assertj.core.api.ThrowableAssert.ThrowingCallable use :
                List.<org.assertj.core.api.ThrowableAssert.ThrowingCallable>of(
                        held::read, held::name, held::permissions, () -> held.write("1"))) {
            assertThatThrownBy(use)
                    .isInstanceOfSatisfying(
                            LoadException.class,
                            e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
        }
    }

    @Test
    void aModuleThatFailedHasNoParameters() {
        Module[] failed = new Module[1];
        ParameterModule module = all().withInit();
        Kernel kernel =
                module.kernel(
                        call -> {
                            failed[0] = call.module();
                            assertThat(shown(call.module(), "i")).isEqualTo("4");
                            return -1;
                        });
        refusal(kernel, module, "i=4");
        assertThat(failed[0].parameters()).isEmpty();
    }

    // ---- tables that are wrong ----

    static Stream<ParameterModule> wildModules() {
        return Stream.of(
                ParameterModule.plain().wild(0x10, 0, 0),
                ParameterModule.plain().wild("i", 0, 0),
                ParameterModule.plain().wild("i", 0xdead_beef_0000L, 0),
                ParameterModule.plain().wild("i", -8, -8),
                ParameterModule.plain().integerAt("i", 0),
                ParameterModule.plain().integerAt("i", -2),
                ParameterModule.plain().readOnlyInteger("i"),
                ParameterModule.plain().arrayInItself("i"),
                ParameterModule.plain().arrayCountedAt("i", 0x18));
    }

    @ParameterizedTest
    @MethodSource("wildModules")
    void aPointerThatLeadsNowhereIsARefusal(ParameterModule module) {
        Kernel kernel = module.kernel().build();
        LoadException refusal = refusal(kernel, module, "i=1");
        assertThat(refusal.errno()).isEqualTo(Errno.EFAULT);
        assertThat(refusal.dmesg()).startsWith("m: parameters: ");
        assertThat(kernel.log().lines()).startsWith(refusal.dmesg());
    }

    @Test
    void aNameThatIsNowhereIsARefusalWithoutArgumentsAsWell() {
        ParameterModule module = ParameterModule.plain().wild(0x10, 0, 0);
        LoadException refusal = refusal(module, "");
        assertThat(refusal.errno()).isEqualTo(Errno.EFAULT);
        assertThat(refusal).hasCauseInstanceOf(AddressFaultException.class);
    }

    @Test
    void freeingStopsWhereAPointerLeadsNowhere() {
        ParameterModule module = ParameterModule.plain().standard("c", "charp").wild("i", 0x40, 0);
        Kernel kernel = module.kernel().build();
        kernel.load(module.image(), "c=1");
        kernel.unload("m");
        assertThat(kernel.log().lines())
                .containsExactly("m: parameters are not freed: read of unmapped memory at 0x48");
        assertThat(kernel.memory().regions()).isEmpty();
    }

    @Test
    void aSetterThatNeedsAValueReadsAtNullIfItsModuleSaysItDoesNot() {
        for (String setter : List.of("int", "charp", "copystring")) {
            ParameterModule module =
                    ParameterModule.plain().callback("o", 1, "param_set_" + setter, "", "");
            assertThat(refusal(module, "o").errno()).isEqualTo(Errno.EFAULT);
        }
    }

    @Test
    void theFaultOfACallbackIsARefusal() {
        ParameterModule module = callbacks();
        Kernel kernel =
                module.kernel(
                        call -> {
                            if (call.phase() == Phase.SET_PARAMETER) {
                                call.memory().writeInt(new Address(4), 1);
                            }
                            return 0;
                        });
        assertThat(refusal(kernel, module, "cb=1").errno()).isEqualTo(Errno.EFAULT);
    }

    @Test
    void equalNamesWouldBeOneFile() {
        ParameterModule module =
                ParameterModule.plain().standard("i", "int").standard("i", "uint", 0444, 0);
        LoadException refusal = refusal(module, "");
        assertThat(refusal.errno()).isEqualTo(Errno.EEXIST);
        assertThat(refusal.dmesg())
                .isEqualTo("sysfs: cannot create duplicate filename '/module/m/parameters/i'");
        ParameterModule hidden =
                ParameterModule.plain().standard("i", "int").standard("i", "uint", 0, 0);
        assertThat(load(hidden, "").parameters()).hasSize(2);
    }

    @Test
    void amongManyNamesOneThatIsThereTwiceIsFound() {
        ParameterModule good = ParameterModule.plain();
        ParameterModule bad = ParameterModule.plain();
        for (int i = 0; i < 200; i++) {
            good.standard("p" + i, "byte");
            bad.standard("p" + i, "byte");
        }
        assertThat(load(good, "").parameters()).hasSize(200);
        LoadException refusal = refusal(bad.standard("p7", "byte"), "");
        assertThat(refusal.errno()).isEqualTo(Errno.EEXIST);
        assertThat(refusal.dmesg()).endsWith("/parameters/p7'");
    }

    @Test
    void dataIsWrittenWithTheRightsOfTheMoment() {
        ParameterModule module = ParameterModule.plain().readOnlyInteger("i");
        Module loaded = load(module, "");
        assertThat(shown(loaded, "i")).isEqualTo("0");
        assertThatThrownBy(() -> parameter(loaded, "i").write("1"))
                .isInstanceOfSatisfying(
                        LoadException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EFAULT));
    }

    // ---- debug lines ----

    @Test
    void theKernelsDebugLinesAboutParametersAreSwitchedOnByAModuleNamedSo() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        kernel.load(module.image(), "params.dyndbg=+p async_probe x=1");
        assertThat(lines(kernel))
                .containsExactly(
                        LogLine.of(LogLevel.DEBUG, "doing m: async_probe='(null)'"),
                        LogLine.of(LogLevel.DEBUG, "doing m: x='1'"),
                        LogLine.of(LogLevel.WARNING, "m: unknown parameter 'x' ignored"));
        kernel.unload("m");
        kernel.log().clear();
        kernel.load(all().image(), "  i=1 ");
        kernel.unload("m");
        kernel.load(all().image(), "");
        assertThat(kernel.log().lines()).containsExactly("doing m, parsing ARGS: 'i=1 '");
    }

    @Test
    void aQueryThatIsWrongIsSaidAndIgnored() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        kernel.load(module.image(), "dyndbg=bogus");
        assertThat(lines(kernel))
                .containsExactly(
                        LogLine.of(LogLevel.ERR, "dyndbg: bad flag-op b, at start of bogus"),
                        LogLine.of(LogLevel.ERR, "dyndbg: flags parse failed"));
    }

    // ---- costs ----

    @Test
    void aModuleWhoseParametersAreNotGivenAsksForNoHeap() {
        RecordingExecutor executor = new RecordingExecutor();
        ParameterModule module = all();
        Kernel kernel = module.kernel(executor);
        kernel.load(module.image(), "");
        assertThat(heap(kernel)).isEmpty();
        assertThat(executor.calls()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"i=1", "c=x", "a=1,2", "s=x", "t=x,y", "b", "y=1"})
    void whatWasSetIsLikewiseSetInOldKernels(String arguments) {
        String name = arguments.substring(0, 1);
        assertThat(shown(load(all(OLD), arguments), name))
                .isEqualTo(shown(load(all(NEW), arguments), name));
    }

    // ---- what is hostile ----

    @Test
    @Timeout(60)
    void arraysOfArraysAreNotFollowedForEver() {
        ParameterModule module =
                ParameterModule.plain().standard("c", "charp").arraysOfArrays("n", 4, 65536);
        Kernel kernel = module.kernel().build();
        int before = kernel.memory().regions().size();
        Module loaded = kernel.load(module.image(), "c=text");
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> parameter(loaded, "n").read());
        assertThat(refusal.errno()).isEqualTo(Errno.EFAULT);
        assertThat(refusal).hasMessageContaining("too many elements");
        kernel.unload("m");
        assertThat(kernel.log().lines()).anyMatch(line -> line.contains("too many elements"));
        assertThat(kernel.memory().regions()).hasSize(before);
        assertThat(refusal(kernel, module, "c=text c=" + "x".repeat(1025)).errno())
                .isEqualTo(Errno.ENOSPC);
    }

    @Test
    void nothingIsWrittenOnceTheModuleIsGone() {
        ParameterModule module = all();
        Kernel kernel = module.kernel().build();
        Module loaded = kernel.load(module.image(), "");
        ModuleParameter parameter = parameter(loaded, "c");
        kernel.unload("m");
        for (String value : List.of("", "x")) {
            assertThat(
                            catchThrowableOfType(LoadException.class, () -> parameter.write(value))
                                    .errno())
                    .isEqualTo(Errno.ENODEV);
        }
    }

    private static ParameterModule many(int count, String prefix, boolean numbered) {
        ParameterModule module = ParameterModule.plain().standard("i-n", "int");
        for (int i = 0; i < count; i++) {
            module.integerAt(numbered ? prefix + i : prefix, 0);
        }
        return module;
    }

    @Test
    @Timeout(60)
    void manyWordsAndManyParametersAreNoProduct() {
        ParameterModule module = many(20_000, "p", true);
        Module loaded = load(module, "i_n=1 " + "a ".repeat(400_000) + "i-n=2 i_n=3");
        assertThat(shown(loaded, "i-n")).isEqualTo("3");
    }

    @Test
    @Timeout(60)
    void longNamesAreNotComparedForEver() {
        ParameterModule module = many(2_000, "x".repeat(60_000), false);
        String words = ("x".repeat(50_000) + " ").repeat(20);
        LoadException refusal = refusal(module, words);
        assertThat(refusal.errno()).isEqualTo(Errno.EFAULT);
        assertThat(refusal).hasMessageContaining("too many names are too long");
    }

    @Test
    void aWildNameIsAFaultOnlyIfAWordGetsThere() {
        String words = "i=1 ".repeat(40_000);
        ParameterModule module = ParameterModule.plain().standard("i", "int").wild(12345, 0, 0);
        assertThat(refusal(module, words + "i=x").errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal(module, words + "i=x other i=2").errno()).isEqualTo(Errno.EFAULT);
    }

    @Test
    void theMessageOfManyErrorsIsNotLong() {
        LoadException refusal =
                refusal(ParameterModule.plain().standard("i", "int"), "i=x ".repeat(10_000));
        assertThat(refusal.lines()).hasSize(10_000);
        assertThat(refusal.getMessage()).hasSizeLessThan(6000).endsWith(" more");
    }
}

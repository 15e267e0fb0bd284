package io.github.koloader;

import static io.github.koloader.LinkObjects.CODE;
import static io.github.koloader.LinkObjects.CONST;
import static io.github.koloader.LinkObjects.DATA;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.LinkedKernel.Block;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class StaticLinkerTest {
    private static final KernelConfig CONFIG = KernelConfig.linux6_1();
    private static final Executor OK = call -> 0;

    private static StaticLinker linker() {
        return StaticLinker.of(Architectures.X86_64, CONFIG);
    }

    private static List<String> names(LinkedKernel kernel) {
        return kernel.initcalls().stream().map(Initcall::name).toList();
    }

    private static Address address(LinkedKernel kernel, String symbol) {
        return kernel.symbols().address(symbol).orElseThrow();
    }

    private static long word(LinkedKernel kernel, Address address) {
        for (Block block : kernel.memory()) {
            if (block.range().contains(address)) {
                return block.contents()
                        .readWord(
                                (int) address.minus(block.start()),
                                kernel.architecture().encoding());
            }
        }
        throw new AssertionError("nothing at " + address);
    }

    private static String block(LinkedKernel kernel, Address address) {
        return kernel.memory().stream()
                .filter(block -> block.range().contains(address))
                .map(Block::name)
                .findFirst()
                .orElse("");
    }

    private static void assertFails(StaticLinker linker, String... parts) {
        assertThatThrownBy(linker::link)
                .isInstanceOf(LinkException.class)
                .satisfies(failure -> assertThat(failure.getMessage()).contains(parts));
    }

    // ---- Java ----

    @Test
    void functionsInJavaAndInObjectsStandInOneLinkOrder() {
        LinkedKernel kernel =
                linker().builtIn(new BuiltIn(InitcallLevel.DEVICE, "first", OK))
                        .object(
                                "drv.o",
                                LinkObjects.x86().initcall(InitcallLevel.DEVICE, "second").build())
                        .builtIn(new BuiltIn(InitcallLevel.DEVICE, "third", OK))
                        .builtIn(new BuiltIn(InitcallLevel.CORE, "zeroth", OK))
                        .link();

        assertThat(names(kernel)).containsExactly("zeroth", "first", "second", "third");
        assertThat(kernel.initcalls().get(2).module()).contains("drv");
        assertThat(kernel.initcalls().get(1).module()).isEmpty();
    }

    @Test
    void aJavaFunctionHasBytesOfItsOwnInInitTextAndItsEntryLeadsThere() {
        LinkedKernel kernel =
                linker().builtIn(new BuiltIn(InitcallLevel.DEVICE, "one", OK))
                        .builtIn(new BuiltIn(InitcallLevel.DEVICE, "two", call -> 2))
                        .link();
        Address one = address(kernel, "one");
        Address two = address(kernel, "two");

        assertThat(two.minus(one)).isEqualTo(16);
        assertThat(kernel.functions()).containsOnlyKeys(one, two).containsEntry(one, OK);
        assertThat(kernel.initArea().orElseThrow().contains(one)).isTrue();
        Address entry = address(kernel, "__initcall6_start");
        assertThat(entry.plus((int) word(kernel, entry))).isEqualTo(one);
        assertThat(kernel.symbols().placeOf(two.plus(3)).orElseThrow().symbol()).isEqualTo("two");
    }

    @Test
    void entriesOfJavaFunctionsHaveTheFormOfTheVersion() {
        LinkedKernel old =
                StaticLinker.of(Architectures.X86_64, KernelConfig.linux3_10())
                        .builtIn(new BuiltIn(InitcallLevel.LATE, "one", OK))
                        .link();

        assertThat(word(old, address(old, "__initcall7_start")))
                .isEqualTo(address(old, "one").value());
    }

    @Test
    void aKernelOfJavaAloneBootsAndFreesItsFunctions() {
        List<String> calls = new ArrayList<>();
        LinkedKernel linked =
                linker().builtIn(new BuiltIn(InitcallLevel.LATE, "late", call -> say(calls, call)))
                        .builtIn(
                                new BuiltIn(InitcallLevel.EARLY, "early", call -> say(calls, call)))
                        .link();
        Kernel kernel = Kernel.builder(Architectures.X86_64).linked(linked).build();

        kernel.boot("");

        assertThat(calls).containsExactly("early", "late");
        assertThat(kernel.log().dmesg())
                .contains("Freeing unused kernel image (initmem) memory: 4K");
        assertThatThrownBy(() -> kernel.call(address(linked, "late")))
                .isInstanceOf(AddressFaultException.class);
    }

    private static int say(List<String> calls, Executor.Call call) {
        calls.add(call.function().orElseThrow());
        return 0;
    }

    @Test
    void initMemoryStaysUntilTheEndOfTheBootNotOfInit() {
        List<Integer> answers = new ArrayList<>();
        LinkedKernel linked =
                linker().builtIn(new BuiltIn(InitcallLevel.DEVICE, "first", call -> 7))
                        .builtIn(
                                new BuiltIn(
                                        InitcallLevel.LATE,
                                        "second",
                                        call -> callFirst(answers, call)))
                        .link();

        Kernel.builder(Architectures.X86_64).linked(linked).build().boot("");

        assertThat(answers).containsExactly(7);
    }

    private static int callFirst(List<Integer> answers, Executor.Call call) {
        Address first = call.kernel().linked().symbols().address("first").orElseThrow();
        answers.add(call.kernel().call(first));
        return 0;
    }

    @Test
    void everyByteOfFreedInitMemoryIsPoison() {
        LinkedKernel linked =
                linker().object(
                                "a.o",
                                LinkObjects.x86()
                                        .pointer(".init.data", 0)
                                        .initcall(InitcallLevel.DEVICE, "a")
                                        .build())
                        .builtIn(new BuiltIn(InitcallLevel.LATE, "late", OK))
                        .link();
        Kernel kernel = Kernel.builder(Architectures.X86_64).linked(linked).build();
        kernel.boot("");

        Address start = linked.initArea().orElseThrow().start();
        assertThat(linked.initArea().orElseThrow().size()).isEqualTo(4096);
        for (int i = 0; i < 4096; i += 4) {
            assertThat(kernel.memory().readInt(start.plus(i))).isEqualTo(0xcccccccc);
        }
    }

    @Test
    void securityFrameworksAreRegisteredUpTo4_20Only() {
        BuiltIn selinux = new BuiltIn(InitcallLevel.SECURITY, "selinux_init", OK);
        StaticLinker old =
                StaticLinker.of(Architectures.X86_64, KernelConfig.linux3_10()).builtIn(selinux);

        assertThat(old.link().initcalls().get(0).level()).isEqualTo(InitcallLevel.SECURITY);
        assertFails(
                linker().builtIn(selinux), "selinux_init: this kernel has no security_initcall");
        LinkedKernel unrun =
                linker().object(
                                "lsm.o",
                                LinkObjects.x86().initcall(InitcallLevel.SECURITY, "s").build())
                        .link();
        assertThat(unrun.initcalls()).isEmpty();
        assertThat(unrun.unknown()).anyMatch(line -> line.contains("lsm.o: nothing runs"));
    }

    @Test
    void nothingAtAllLinksToAnEmptyKernelWithAllBounds() {
        LinkedKernel kernel = linker().base(new Address(0xffffffff_90000000L)).link();

        assertThat(kernel.initcalls()).isEmpty();
        assertThat(address(kernel, "_text")).isEqualTo(new Address(0xffffffff_90000000L));
        assertThat(kernel.initArea().orElseThrow().size()).isZero();
        assertThat(address(kernel, "__initcallrootfs_start"))
                .isEqualTo(address(kernel, "__initcall_end"));
    }

    // ---- order ----

    @Test
    void rootfsComesBehindFivePlainAndSync() {
        LinkObjects object = LinkObjects.x86();
        for (String id : List.of("7", "rootfss", "rootfs", "5s", "5", "early", "0")) {
            int text = object.section(".init.text", CODE, 16);
            int symbol = object.builder.symbol(Symbol.function("f" + id, text, 0, 16));
            object.entry(".initcall" + id + ".init", symbol);
        }
        object.entry(
                ".con_initcall.init",
                object.builder.symbol(
                        Symbol.function("con", object.section(".init.text", CODE, 16), 0, 16)));

        LinkedKernel kernel = linker().object("x.o", object.build()).link();

        assertThat(names(kernel))
                .containsExactly("con", "fearly", "f0", "f5", "f5s", "frootfs", "frootfss", "f7");
    }

    @Test
    void linkTimeOptimisedEntriesOfAnObjectGoByTheirCounters() {
        LinkObjects one = linkTime("a", 12, 3, 100);
        LinkObjects two = linkTime("b", 2, 1);

        LinkedKernel kernel = linker().object("a.o", one.build()).object("b.o", two.build()).link();

        assertThat(names(kernel)).containsExactly("a3", "a12", "a100", "b1", "b2");
        assertThat(kernel.initcalls()).allMatch(call -> call.level() == InitcallLevel.DEVICE);
    }

    @Test
    void linkTimeOptimisedEntriesOfEachLevelAreFound() {
        LinkObjects object = LinkObjects.x86();
        for (InitcallLevel level : InitcallLevel.values()) {
            int symbol = object.global("run_" + level.id(), ".init.text");
            object.entry(level.sectionName() + "..kmod_a__1_7_run_" + level.id(), symbol);
        }
        KernelConfig old = KernelConfig.linux6_1().toBuilder().release("4.20.0").build();

        LinkedKernel kernel =
                StaticLinker.of(Architectures.X86_64, old).object("a.o", object.build()).link();

        assertThat(names(kernel))
                .isEqualTo(
                        Arrays.stream(InitcallLevel.values())
                                .map(level -> "run_" + level.id())
                                .toList());
    }

    private static LinkObjects linkTime(String name, int... counters) {
        LinkObjects object = LinkObjects.x86();
        for (int counter : counters) {
            int text = object.section(".init.text", CODE, 16);
            int symbol = object.builder.symbol(Symbol.function(name + counter, text, 0, 16));
            object.entry(".initcall6.init..kmod_" + name + "__" + counter + "_7_" + name, symbol);
        }
        return object;
    }

    @Test
    void theEntrysSymbolTellsTheModule() {
        LinkObjects object = LinkObjects.x86().initcall(InitcallLevel.DEVICE, "loop_init");
        int entry = object.entry(".initcall7.init", object.global("late", ".init.text"));
        object.builder.symbol(
                Symbol.object("__initcall__kmod_my__mod__423_2271_late7", entry, 0, 4));

        LinkedKernel kernel = linker().object("dir/some-driver.o", object.build()).link();

        assertThat(kernel.initcalls().get(0).module()).contains("some_driver");
        assertThat(kernel.initcalls().get(1).module()).contains("my__mod");
    }

    // ---- names ----

    @Test
    void allUndefinedSymbolsAreNamedAtOnceAndOnceForEachObject() {
        LinkObjects a = LinkObjects.x86();
        int one = a.builder.symbol(Symbol.undefined("one"));
        a.pointer(".data", one).pointer(".data", one);
        LinkObjects b = LinkObjects.x86();
        b.pointer(".data", b.builder.symbol(Symbol.undefined("two")));

        assertThatThrownBy(linker().object("a.o", a.build()).object("b.o", b.build())::link)
                .isInstanceOfSatisfying(
                        LinkException.class,
                        failure ->
                                assertThat(failure.problems())
                                        .containsExactly(
                                                "a.o:(.data+0x0): undefined reference to `one'",
                                                "b.o:(.data+0x0): undefined reference to `two'"));
    }

    @Test
    void undefinedSymbolsAreLookedForInTheRestOfTheKernel() {
        LinkObjects a = LinkObjects.x86();
        a.pointer(".data", a.builder.symbol(Symbol.undefined("one")));
        Address one = new Address(0xffffffff_81234567L);

        LinkedKernel kernel =
                linker().object("a.o", a.build())
                        .symbols(KernelSymbols.of(Map.of("one", one)))
                        .link();

        assertThat(word(kernel, address(kernel, "_sdata"))).isEqualTo(one.value());
    }

    @Test
    void aSymbolThatNothingRefersToMayBeUndefined() {
        LinkObjects a = LinkObjects.x86();
        a.builder.symbol(Symbol.undefined("one"));

        assertThat(linker().object("a.o", a.build()).link().exports()).isEmpty();
    }

    @Test
    void aWeakSymbolMayStayUndefinedAndIsNull() {
        LinkObjects a = LinkObjects.x86();
        a.pointer(".data", a.builder.symbol(Symbol.weak("maybe")));

        LinkedKernel kernel = linker().object("a.o", a.build()).link();

        assertThat(word(kernel, address(kernel, "_sdata"))).isZero();
    }

    private static Symbol weakFunction(String name, int section) {
        return new Symbol(name, Binding.WEAK, Symbol.FUNC, 0, new Symbol.InSection(section), 0, 16);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aStrongDefinitionWinsOverAWeakOneInAnyOrder(boolean strongFirst) {
        LinkObjects weak = LinkObjects.x86();
        int section = weak.section(".text.weak", CODE, 16);
        weak.pointer(".data", weak.builder.symbol(weakFunction("f", section)));
        LinkObjects strong = LinkObjects.x86();
        strong.global("f", ".text.strong");
        StaticLinker linker = linker();
        if (strongFirst) {
            linker.object("s.o", strong.build());
        }
        linker.object("w.o", weak.build());
        if (!strongFirst) {
            linker.object("s.o", strong.build());
        }

        LinkedKernel kernel = linker.link();

        assertThat(word(kernel, address(kernel, "_sdata"))).isEqualTo(address(kernel, "f").value());
        assertThat(address(kernel, "f").minus(address(kernel, "_text")))
                .isEqualTo(strongFirst ? 0 : 16);
        assertThat(kernel.symbols().letter(0)).isEqualTo('T');
    }

    @Test
    void twoStrongDefinitionsAreAnErrorThatNamesBothPlaces() {
        LinkObjects a = LinkObjects.x86();
        a.global("f", ".text");
        LinkObjects b = LinkObjects.x86();
        b.global("f", ".init.text");

        assertFails(
                linker().object("a.o", a.build()).object("b.o", b.build()),
                "b.o:(.init.text+0x0): multiple definition of `f'; a.o:(.text+0x0): first defined here");
    }

    @Test
    void staticFunctionsOfOneNameAreTwo() {
        LinkedKernel kernel =
                linker().object(
                                "a.o",
                                LinkObjects.x86().initcall(InitcallLevel.LATE, "same").build())
                        .object(
                                "b.o",
                                LinkObjects.x86().initcall(InitcallLevel.LATE, "same").build())
                        .link();

        assertThat(names(kernel)).containsExactly("same", "same");
        assertThat(kernel.initcalls().get(0).function())
                .isNotEqualTo(kernel.initcalls().get(1).function());
    }

    @Test
    void commonSymbolsShareTheLargestSizeAndAlignmentInBss() {
        LinkObjects a = LinkObjects.x86();
        a.pointer(".data", a.builder.symbol(common("counter", 8, 4)));
        LinkObjects b = LinkObjects.x86();
        b.pointer(".data", b.builder.symbol(common("counter", 4, 64)));

        LinkedKernel kernel = linker().object("a.o", a.build()).object("b.o", b.build()).link();

        Address counter = address(kernel, "counter");
        assertThat(word(kernel, address(kernel, "_sdata"))).isEqualTo(counter.value());
        assertThat(word(kernel, address(kernel, "_sdata").plus(8))).isEqualTo(counter.value());
        assertThat(block(kernel, counter.plus(7))).isEqualTo(".bss");
        assertThat(counter.value() & 63).isZero();
        assertThat(address(kernel, "__bss_stop").minus(counter)).isEqualTo(8);
    }

    private static Symbol common(String name, long size, long alignment) {
        return new Symbol(
                name, Binding.GLOBAL, Symbol.OBJECT, 0, new Symbol.Common(), alignment, size);
    }

    @Test
    void aDefinitionWinsOverCommonSymbols() {
        LinkObjects a = LinkObjects.x86();
        a.builder.symbol(common("v", 64, 8));
        LinkObjects b = LinkObjects.x86();
        int data = b.section(".data", DATA, 8);
        b.builder.symbol(
                new Symbol(
                        "v", Binding.GLOBAL, Symbol.OBJECT, 0, new Symbol.InSection(data), 0, 8));

        LinkedKernel kernel = linker().object("a.o", a.build()).object("b.o", b.build()).link();

        assertThat(address(kernel, "v")).isEqualTo(address(kernel, "_sdata"));
    }

    @Test
    void theFirstOfEqualGroupsIsKept() {
        LinkedKernel kernel =
                linker().object("a.o", withGroup("thunk")).object("b.o", withGroup("thunk")).link();

        assertThat(address(kernel, "_etext").minus(address(kernel, "_text"))).isEqualTo(16);
        assertThat(word(kernel, address(kernel, "_sdata").plus(8)))
                .isEqualTo(address(kernel, "thunk").value());
    }

    /** An object with a function in a COMDAT group of its name, and a pointer to it. */
    private static ModuleImage withGroup(String name) {
        LinkObjects object = LinkObjects.x86();
        int text = object.section(".text." + name, CODE, 16);
        int symbol = object.builder.symbol(Symbol.function(name, text, 0, 16));
        object.pointer(".data", symbol);
        ModuleImage image = object.build();
        byte[] words = {1, 0, 0, 0, (byte) text, 0, 0, 0};
        int signature = image.symbols().indexOf(name);
        return image.toBuilder()
                .fileSize(-1)
                .section(
                        new Section(
                                ".group",
                                SectionType.of(17),
                                SectionFlags.NONE,
                                0,
                                words.length,
                                4,
                                image.symbolSection(),
                                signature,
                                4,
                                Bytes.wrap(words)))
                .build();
    }

    @Test
    void symbolsOfTheLinkerScriptCanBeReferredTo() {
        LinkObjects a = LinkObjects.x86();
        for (String name : List.of("__init_begin", "__initcall6_start", "__stop_my_table")) {
            a.pointer(".data", a.builder.symbol(Symbol.undefined(name)));
        }
        a.section("my_table", CONST, 24);

        LinkedKernel kernel = linker().object("a.o", a.build()).link();

        Address data = address(kernel, "_sdata");
        assertThat(word(kernel, data)).isEqualTo(kernel.initArea().orElseThrow().start().value());
        assertThat(word(kernel, data.plus(8)))
                .isEqualTo(address(kernel, "__initcall6_start").value());
        assertThat(block(kernel, new Address(word(kernel, data.plus(16)) - 24)))
                .isEqualTo("my_table");
    }

    // ---- what is kept ----

    @Test
    void aReferenceToADiscardedSectionIsAnError() {
        LinkObjects a = LinkObjects.x86();
        int entry = a.section(".exitcall.exit", DATA, 8);
        a.pointer(".data", a.builder.symbol(Symbol.object("__exitcall_x", entry, 0, 8)));

        assertFails(
                linker().object("a.o", a.build()),
                "`__exitcall_x' referenced in section `.data' of a.o: defined in discarded section"
                        + " `.exitcall.exit' of a.o");
    }

    @Test
    void aDebugSectionMayReferToADiscardedSection() {
        LinkObjects a = LinkObjects.x86();
        int entry = a.section(".exitcall.exit", DATA, 8);
        int symbol = a.builder.symbol(Symbol.object("__exitcall_x", entry, 0, 8));
        int debug = a.section(".debug_info", 0, 8);
        a.builder.relocate(debug, new Relocation(0, 1, symbol, 0));

        assertThat(linker().object("a.o", a.build()).link().memory())
                .extracting(Block::name)
                .containsExactly(ModuleImage.THIS_MODULE);
    }

    @Test
    void exitTextGoesWhereTheArchitectureDoesNotKeepIt() {
        LinkObjects arm = new LinkObjects(Architectures.ARM, false);
        arm.global("leave", ".exit.text");
        LinkObjects x86 = LinkObjects.x86();
        x86.global("leave", ".exit.text");

        LinkedKernel without =
                StaticLinker.of(Architectures.ARM, CONFIG).object("a.o", arm.build()).link();
        LinkedKernel with = linker().object("a.o", x86.build()).link();

        assertThat(without.symbols().address("leave")).isEmpty();
        assertThat(block(with, address(with, "leave"))).isEqualTo(".exit.text");
        assertThat(with.initArea().orElseThrow().contains(address(with, "leave"))).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"true,.text,false", "false,.init.text,true"})
    void meminitIsKeptWithMemoryHotplugOnly(boolean hotplug, String where, boolean inInit) {
        LinkObjects a = LinkObjects.x86();
        a.global("add_memory", ".meminit.text");
        KernelConfig config = CONFIG.toBuilder().kconfig("CONFIG_MEMORY_HOTPLUG", hotplug).build();

        LinkedKernel kernel =
                StaticLinker.of(Architectures.X86_64, config).object("a.o", a.build()).link();

        Address function = address(kernel, "add_memory");
        assertThat(block(kernel, function)).isEqualTo(where);
        assertThat(kernel.initArea().orElseThrow().contains(function)).isEqualTo(inInit);
    }

    @ParameterizedTest
    @CsvSource({
        ".ref.text,.text,r-x",
        ".ref.data,.data,rw-",
        ".ref.rodata,.rodata,r--",
        ".data..ro_after_init,.data..ro_after_init,r--",
        ".init.rodata,.init.data,rw-",
        ".data..percpu..read_mostly,.data..percpu,rw-",
        ".init.setup,.init.setup,rw-",
        "__param,__param,r--",
        ".altinstructions,.altinstructions,rw-",
        "own,own,rw-"
    })
    void sectionsGoWhereTheLinkerScriptSays(String section, String output, String rights) {
        LinkObjects a = LinkObjects.x86();
        int index = a.section(section, section.endsWith("text") ? CODE : DATA, 16);
        a.builder.symbol(Symbol.object("here", index, 0, 16));

        LinkedKernel kernel = linker().object("a.o", a.build()).link();

        Address here = address(kernel, "here");
        assertThat(block(kernel, here)).isEqualTo(output);
        assertThat(
                        kernel.memory().stream()
                                .filter(block -> block.range().contains(here))
                                .map(block -> block.rights().toString()))
                .containsExactly(rights);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                ".discard.addressable",
                ".modinfo",
                ".gnu.version_d",
                ".eh_frame",
                ".note.gnu.property",
                ".export_symbol"
            })
    void whatNoKernelHasInMemoryIsDiscarded(String section) {
        LinkObjects a = LinkObjects.x86();
        a.section(section, CONST, 16);

        assertThat(linker().object("a.o", a.build()).link().memory())
                .extracting(Block::name)
                .doesNotContain(section);
    }

    // ---- relocation ----

    static List<Architecture> architectures() {
        return Architectures.all();
    }

    @ParameterizedTest
    @org.junit.jupiter.params.provider.MethodSource("architectures")
    void everyArchitectureLinksInitcallsWithAddresses(Architecture architecture) {
        LinkedKernel kernel =
                StaticLinker.of(architecture, CONFIG)
                        .object(
                                "a.o",
                                new LinkObjects(architecture, false)
                                        .initcall(InitcallLevel.LATE, "last")
                                        .build())
                        .object(
                                "b.o",
                                new LinkObjects(architecture, false)
                                        .initcall(InitcallLevel.CORE, "first")
                                        .build())
                        .builtIn(new BuiltIn(InitcallLevel.DEVICE, "java", OK))
                        .link();

        assertThat(names(kernel)).containsExactly("first", "java", "last");
        for (Initcall call : kernel.initcalls()) {
            assertThat(call.function()).isEqualTo(address(kernel, call.name()));
        }
        Address table = address(kernel, "__initcall_start");
        int word = architecture.encoding().wordSize();
        assertThat(word(kernel, table.plus(word))).isEqualTo(address(kernel, "java").value());
    }

    @Test
    void aBranchThatDoesNotReachGetsAVeneer() {
        LinkObjects a = new LinkObjects(Architectures.AARCH64, true);
        int text = a.section(".text", CODE, 16);
        int far = a.builder.symbol(Symbol.undefined("far"));
        a.builder.relocate(text, new Relocation(4, 283, far, 0)); // R_AARCH64_CALL26
        Address target = new Address(0xffff8000_40000000L);

        LinkedKernel kernel =
                StaticLinker.of(Architectures.AARCH64, CONFIG)
                        .object("a.o", a.build())
                        .symbols(KernelSymbols.of(Map.of("far", target)))
                        .link();

        assertThat(kernel.memory()).extracting(Block::name).contains(".plt");
        long branch = word(kernel, address(kernel, "_text").plus(0)) >>> 32;
        Address veneer = address(kernel, "_text").plus(4 + ((branch & 0x3ffffff) << 38 >> 36));
        assertThat(block(kernel, veneer)).isEqualTo(".plt");
    }

    @Test
    void withoutNeedThereIsNoRoomForVeneers() {
        LinkObjects a = new LinkObjects(Architectures.AARCH64, true);
        int text = a.section(".init.text", CODE, 16);
        int near = a.global("near", ".text");
        a.builder.relocate(text, new Relocation(4, 283, near, 0));

        LinkedKernel kernel =
                StaticLinker.of(Architectures.AARCH64, CONFIG).object("a.o", a.build()).link();

        assertThat(kernel.memory())
                .extracting(Block::name)
                .containsExactly(".text", ModuleImage.THIS_MODULE, ".init.text");
    }

    @Test
    void aDistanceBeyond32BitsIsTruncatedToFit() {
        LinkObjects a = LinkObjects.x86();
        int text = a.section(".text", CODE, 16);
        int far = a.builder.symbol(Symbol.undefined("far"));
        int zeros = a.section(".text.zero", DATA | SectionFlags.EXECINSTR, 0);
        assertThat(zeros).isPositive();
        a.builder.relocate(text, new Relocation(4, 2, far, -4));

        assertFails(
                linker().object("a.o", a.build())
                        .symbols(KernelSymbols.of(Map.of("far", new Address(0x1000_0000L)))),
                "a.o:(.text+0x4): relocation truncated to fit: R_X86_64_PC32 against symbol `far'");
    }

    // ---- exports ----

    @Test
    void exportRecordsOfKernelsSince6_5AreExports() {
        LinkObjects a = LinkObjects.x86();
        a.global("my_export", ".text");
        byte[] record =
                "GPL\0NS\0\0\0\0\0\0\0\0\0".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
        int section =
                a.builder.section(
                        Section.progbits(".export_symbol", CONST, 8, Bytes.copyOf(record)));
        a.builder.symbol(Symbol.object("__export_symbol_my_export", section, 0, 0));

        LinkedKernel kernel = linker().object("a.o", a.build()).link();

        assertThat(kernel.exports())
                .containsExactly(
                        new ExportedSymbol(
                                "my_export",
                                address(kernel, "my_export"),
                                true,
                                "NS",
                                java.util.OptionalInt.empty()));
    }

    // ---- hostile ----

    @Test
    void objectsForAnotherMachineAreNamed() {
        assertFails(
                linker().object("arm.o", new LinkObjects(Architectures.ARM, false).build())
                        .object("ok.o", LinkObjects.x86().build())
                        .object("be.o", new LinkObjects(Architectures.S390X, false).build()),
                "arm.o: is for arm, and cannot be linked into a kernel for x86_64",
                "be.o: is for s390");
    }

    @Test
    void anEntryWithoutRelocationIsAnError() {
        LinkObjects a = LinkObjects.x86();
        a.section(".initcall6.init", CONST, 4);

        assertFails(
                linker().object("a.o", a.build()),
                "a.o:(.initcall6.init+0x0): no relocation gives the entry a function");
    }

    @Test
    void anEntrySectionOfOddSizeIsAnError() {
        LinkObjects a = LinkObjects.x86();
        int symbol = a.global("f", ".init.text");
        int entry = a.section(".initcall6.init", CONST, 6);
        a.builder.relocate(entry, new Relocation(0, a.entryType(), symbol, 0));

        assertFails(
                linker().object("a.o", a.build()),
                "a.o: section .initcall6.init has 6 bytes, which is no number of entries of 4");
    }

    @Test
    void entriesOfTwoKindsDoNotMix() {
        assertFails(
                linker().object(
                                "a.o",
                                new LinkObjects(Architectures.X86_64, true)
                                        .initcall(InitcallLevel.LATE, "a")
                                        .build())
                        .object(
                                "b.o",
                                new LinkObjects(Architectures.X86_64, false)
                                        .initcall(InitcallLevel.LATE, "b")
                                        .build()),
                "b.o: entries of section .initcall7.init are addresses of 64 bits, those of the"
                        + " objects before distances of 32 bits");
    }

    @Test
    void anEntryThatAnotherRelocationMakesIsAnError() {
        LinkObjects a = LinkObjects.x86();
        int symbol = a.global("f", ".init.text");
        int entry = a.section(".initcall6.init", CONST, 8);
        a.builder.relocate(entry, new Relocation(0, 11, symbol, 0)); // R_X86_64_32S

        assertFails(
                linker().object("a.o", a.build()),
                "a.o:(.initcall6.init+0x0): relocation R_X86_64_32S makes no entry");
    }

    @Test
    void anEntryOfNoFunctionIsAnError() {
        LinkObjects undefined = LinkObjects.x86();
        undefined.entry(".initcall6.init", undefined.builder.symbol(Symbol.undefined("gone")));
        LinkObjects weak = new LinkObjects(Architectures.X86_64, false);
        weak.entry(".initcall6.init", weak.builder.symbol(Symbol.weak("gone")));
        LinkObjects discarded = new LinkObjects(Architectures.ARM, false);
        discarded.entry(".initcall6.init", discarded.global("leave", ".exit.text"));

        assertFails(
                linker().object("a.o", undefined.build()),
                "a.o:(.initcall6.init+0x0): undefined reference to `gone'");
        assertFails(
                linker().object("a.o", weak.build()),
                "a.o:(.initcall6.init+0x0): the entry leads to address 0");
        assertFails(
                StaticLinker.of(Architectures.ARM, CONFIG).object("a.o", discarded.build()),
                "`leave' referenced in section `.initcall6.init' of a.o: defined in discarded"
                        + " section `.exit.text' of a.o");
    }

    @Test
    void aHoleInTheTableOfInitcallsIsAnError() {
        LinkObjects a = LinkObjects.x86().initcall(InitcallLevel.LATE, "a");
        LinkObjects b = LinkObjects.x86();
        int symbol = b.global("f", ".init.text");
        int entry =
                b.builder.section(
                        Section.progbits(".initcall7.init", CONST, 64, Bytes.wrap(new byte[4])));
        b.builder.relocate(entry, new Relocation(0, b.entryType(), symbol, 0));

        assertFails(
                linker().object("a.o", a.build()).object("b.o", b.build()),
                "b.o: alignment 64 of section .initcall7.init leaves a hole");
    }

    @ParameterizedTest
    @ValueSource(longs = {1L << 31, 1L << 40, 1L << 62, Long.MIN_VALUE})
    void aHugeAlignmentIsAnError(long alignment) {
        LinkObjects a = LinkObjects.x86();
        a.section(".data", DATA, 8);
        a.builder.section(Section.progbits(".data.x", DATA, alignment, Bytes.wrap(new byte[8])));

        assertFails(linker().object("a.o", a.build()), "the image has more than 1073741824 bytes");
    }

    @Test
    void anAlignmentThatIsNoPowerOfTwoIsAnError() {
        LinkObjects a = LinkObjects.x86();
        a.builder.section(Section.progbits(".data", DATA, 12, Bytes.wrap(new byte[8])));

        assertFails(
                linker().object("a.o", a.build()),
                "a.o: section .data has alignment 12, which is no power of two");
    }

    @ParameterizedTest
    @ValueSource(longs = {1L << 30, 1L << 40, Long.MAX_VALUE, -1})
    void aHugeSectionIsAnError(long size) {
        LinkObjects a = LinkObjects.x86();
        a.section(".text", CODE, 16);
        a.builder.section(Section.nobits(".bss", DATA, 1, size));

        assertFails(linker().object("a.o", a.build()), "the image has more than 1073741824 bytes");
    }

    @Test
    void alignmentsCannotMakeSmallObjectsFillTheHostsMemory() {
        LinkObjects a = LinkObjects.x86();
        for (int i = 0; i < 200; i++) {
            a.builder.section(Section.progbits(".data", DATA, 1 << 22, Bytes.wrap(new byte[] {1})));
        }

        assertFails(linker().object("a.o", a.build()), "alignments want more than");
    }

    @Test
    void hugeCommonSymbolsAreAnError() {
        LinkObjects a = LinkObjects.x86();
        a.builder.symbol(common("big", -1, 8));
        LinkObjects b = LinkObjects.x86();
        b.builder.symbol(common("odd", 8, 24));

        assertFails(linker().object("a.o", a.build()), "the image has more than");
        assertFails(
                linker().object("b.o", b.build()),
                "b.o: common symbol `odd' has alignment 24, which is no power of two");
    }

    @Test
    void relocationsOutsideOfTheirSectionsAndOfMissingSymbolsAreErrors() {
        LinkObjects a = LinkObjects.x86();
        int data = a.section(".data", DATA, 8);
        int symbol = a.builder.symbol(Symbol.section(data));
        a.builder.relocate(data, new Relocation(4, 1, symbol, 0));
        a.builder.relocate(data, new Relocation(-8, 1, symbol, 0));
        ModuleImage image = a.build();
        LinkObjects b = LinkObjects.x86();
        int other = b.section(".data", DATA, 8);
        b.builder.relocate(other, new Relocation(0, 1, b.builder.symbol(Symbol.section(other)), 0));
        ModuleImage cut = b.build();
        int symtab = cut.symbolSection();
        ModuleImage without =
                cut.toBuilder()
                        .replace(
                                symtab,
                                cut.section(symtab)
                                        .withContents(cut.section(symtab).contents().slice(0, 24)))
                        .build();

        assertFails(
                linker().object("a.o", image),
                "a.o:(.data+0x4): relocation outside of the section",
                "a.o:(.data+0xfffffffffffffff8): relocation outside");
        assertFails(
                linker().object("b.o", without),
                "b.o:(.data+0x0): relocation against symbol 1, which the object does not have");
    }

    @Test
    void aRelocationTypeThatIsNotKnownIsNamedWithItsObject() {
        LinkObjects a = LinkObjects.x86();
        int data = a.section(".data", DATA, 8);
        a.builder.relocate(data, new Relocation(0, 99, a.builder.symbol(Symbol.section(data)), 0));

        assertFails(
                linker().object("a.o", a.build()), "a.o:(.data): ", "Unknown rela relocation: 99");
    }

    @Test
    void aRelocationOfSpaceWithoutBytesIsAnError() {
        LinkObjects a = LinkObjects.x86();
        int bss = a.builder.section(Section.nobits(".bss", DATA, 8, 64));
        a.builder.relocate(bss, new Relocation(8, 1, a.builder.symbol(Symbol.section(bss)), 0));

        assertFails(
                linker().object("a.o", a.build()),
                "a.o:(.bss+0x8): relocation outside of the section");
    }

    @Test
    void anImageBeyond32BitsIsAnError() {
        LinkObjects a = new LinkObjects(Architectures.I386, false);
        a.section(".text", CODE, 4096);

        assertFails(
                StaticLinker.of(Architectures.I386, CONFIG)
                        .object("a.o", a.build())
                        .base(new Address(0xffff_f800L)),
                "section .text: the image has more than");
    }

    @Test
    void hundredsOfObjectsLink() {
        StaticLinker linker = linker();
        for (int i = 0; i < 600; i++) {
            LinkObjects object =
                    LinkObjects.x86().initcall(InitcallLevel.values()[i % 17 + 2], "f" + i);
            object.global("g" + i, ".text");
            object.pointer(".data", object.builder.symbol(Symbol.undefined("g" + (i + 1) % 600)));
            linker.object("o" + i + ".o", object.build());
        }

        LinkedKernel kernel = linker.link();

        assertThat(kernel.initcalls()).hasSize(600);
        assertThat(kernel.initcalls()).extracting(Initcall::level).isSorted();
    }
}

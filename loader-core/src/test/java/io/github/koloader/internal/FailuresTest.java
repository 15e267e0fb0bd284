package io.github.koloader.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.koloader.BuiltInModule;
import io.github.koloader.Diagnosis;
import io.github.koloader.Errno;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.FaultInjection;
import io.github.koloader.FaultPoint;
import io.github.koloader.Images;
import io.github.koloader.Images.Export;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.LoadRequest;
import io.github.koloader.Module;
import io.github.koloader.ModuleParameter;
import io.github.koloader.ParameterModule;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.TestArchitecture;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.FirstFitAllocator;
import io.github.koloader.memory.ModuleAllocator;
import io.github.koloader.memory.Region;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Provokes every failure, and looks at errno, log, and that nothing else has changed. */
final class FailuresTest {
    private static final LoadRequest SIGNED = new LoadRequest("", false, false, true);

    private static final int LONG = 0x1000_0000;

    /** A failure, how to provoke it, and what it says. */
    private record Scenario(
            String failure,
            Architecture architecture,
            UnaryOperator<Kernel.Builder> kernel,
            Consumer<Kernel> before,
            Consumer<Kernel> provoker,
            Errno errno,
            String dmesg) {
        Kernel kernelBefore() {
            Kernel built =
                    kernel.apply(
                                    Kernel.builder(architecture)
                                            .config(Images.quiet6_1())
                                            .clock(Images.STILL)
                                            .strict())
                            .build();
            before.accept(built);
            return built;
        }

        Scenario on(Architecture other) {
            return new Scenario(failure, other, kernel, before, provoker, errno, dmesg);
        }

        Scenario with(UnaryOperator<Kernel.Builder> newKernel) {
            return new Scenario(failure, architecture, newKernel, before, provoker, errno, dmesg);
        }

        Scenario config(UnaryOperator<KernelConfig.Builder> change) {
            return with(
                    builder -> builder.config(change.apply(Images.quiet6_1().toBuilder()).build()));
        }

        Scenario after(Consumer<Kernel> newBefore) {
            return new Scenario(failure, architecture, kernel, newBefore, provoker, errno, dmesg);
        }

        @Override
        public String toString() {
            return failure + ": " + (dmesg.isEmpty() ? errno : dmesg);
        }
    }

    private static Scenario load(String failure, ModuleImage image, Errno errno, String dmesg) {
        return call(failure, kernel -> kernel.load(image, ""), errno, dmesg);
    }

    private static Scenario call(
            String failure, Consumer<Kernel> provoker, Errno errno, String dmesg) {
        return new Scenario(
                failure,
                Architectures.X86_64,
                builder -> builder,
                kernel -> {},
                provoker,
                errno,
                dmesg);
    }

    static Stream<Scenario> scenarios() {
        return Stream.of(
                        policies(),
                        checks(),
                        admissions(),
                        resolutions(),
                        relocations(),
                        formations(),
                        parameters(),
                        unloads())
                .flatMap(List::stream);
    }

    private static List<Scenario> policies() {
        ModuleImage plain = Images.empty("m");
        return List.of(
                load("modulesDisabled", plain, Errno.EPERM, "")
                        .config(config -> config.modulesDisabled(true)),
                call("modulesDisabled", kernel -> kernel.unload("m"), Errno.EPERM, "")
                        .config(config -> config.modulesDisabled(true)),
                load(
                                "unsignedRejected",
                                plain,
                                Errno.EKEYREJECTED,
                                "Loading of unsigned module is rejected")
                        .config(config -> config.moduleSig(true).sigEnforce(true)),
                load("unsignedRejectedSilently", plain, Errno.ENOKEY, "")
                        .with(
                                builder ->
                                        builder.config(
                                                Images.quiet(KernelConfig.linux3_10()).toBuilder()
                                                        .moduleSig(true)
                                                        .sigEnforce(true)
                                                        .build())),
                load("lockedDown", plain, Errno.EPERM, "")
                        .config(config -> config.moduleSig(true).lockdown(true)));
    }

    private static List<Scenario> checks() {
        ModuleImage plain = Images.empty("m");
        ModuleImage noModinfo = Images.withRenamed(plain, ".modinfo", ".other");
        return List.of(
                load(
                        "wrongArchitecture",
                        new ImageBuilder(183, Encoding.ELF64_LSB, true).build(),
                        Errno.ENOEXEC,
                        "Invalid architecture in ELF header: 183"),
                load(
                        "noSymbols",
                        Images.withType(plain, ".symtab", SectionType.PROGBITS),
                        Errno.ENOEXEC,
                        "m: module has no symbols (stripped?)"),
                load(
                        "noSymbols",
                        Images.withType(noModinfo, ".symtab", SectionType.PROGBITS),
                        Errno.ENOEXEC,
                        "(missing .modinfo section or name field): module has no symbols (stripped?)"),
                call(
                        "unreadableParameters",
                        kernel -> kernel.load(plain, new LoadRequest(null, false, false, false)),
                        Errno.EFAULT,
                        ""),
                load(
                        "noModuleFound",
                        Images.withRenamed(plain, ModuleImage.THIS_MODULE, ".data"),
                        Errno.ENOEXEC,
                        "m: No module found in object"),
                load(
                                "noModuleFound",
                                Images.withRenamed(plain, ModuleImage.THIS_MODULE, ".data"),
                                Errno.ENOEXEC,
                                "No module found in object")
                        .with(builder -> builder.config(Images.quiet(KernelConfig.linux3_10()))),
                load(
                                "notExactlyOneModule",
                                Images.withRenamed(plain, ModuleImage.THIS_MODULE, ".data"),
                                Errno.ENOEXEC,
                                "module m: Exactly one .gnu.linkonce.this_module section must exist.")
                        .with(builder -> builder.config(Images.quiet6_12())),
                load(
                                "notExactlyOneModule",
                                withSection(Images.data(ModuleImage.THIS_MODULE, 896)),
                                Errno.ENOEXEC,
                                "module m: Exactly one .gnu.linkonce.this_module section must exist.")
                        .with(builder -> builder.config(Images.quiet6_12())),
                load(
                                "notExactlyOneModule",
                                Images.withRenamed(plain, ModuleImage.THIS_MODULE, ".data"),
                                Errno.ENOEXEC,
                                "module m: Only one .gnu.linkonce.this_module section must exist.")
                        .with(
                                builder ->
                                        builder.config(
                                                Images.quiet(KernelConfig.forRelease("6.6.0")))),
                load(
                                "thisModuleNotAllocated",
                                withStructureOf(0),
                                Errno.ENOEXEC,
                                "module m: .gnu.linkonce.this_module must occupy memory during process execution")
                        .with(builder -> builder.config(Images.quiet6_12())),
                load(
                                "halfExtendedVersions",
                                withSection(Images.rodata("__version_ext_names", (byte) 0)),
                                Errno.ENOEXEC,
                                "extended version crc+name presence does not match")
                        .with(builder -> builder.config(with6_14())),
                load(
                                "fewerExtendedNames",
                                withSection(
                                        Images.rodata("__version_ext_crcs", new byte[8]),
                                        Images.rodata("__version_ext_names", (byte) 'a', (byte) 0)),
                                Errno.ENOEXEC,
                                "more extended version crcs than names")
                        .with(builder -> builder.config(with6_14())),
                load(
                        "noStrings",
                        withStringsIn(plain, 99),
                        Errno.ENOEXEC,
                        "m: symbol table has section 99 for its strings"),
                load(
                        "thisModuleTooSmall",
                        Images.module("m").structSize(79).build(),
                        Errno.ENOEXEC,
                        "section .gnu.linkonce.this_module at offset 0x80: 79 bytes hold no struct module"),
                load(
                                "thisModuleSize",
                                Images.module("m").structSize(960).build(),
                                Errno.ENOEXEC,
                                "module m: .gnu.linkonce.this_module section size must match the kernel's built struct"
                                        + " module size at run time")
                        .with(
                                builder ->
                                        builder.config(
                                                Images.quiet6_12().toBuilder()
                                                        .structModuleSize(OptionalLong.of(896))
                                                        .build())),
                load("blacklisted", plain, Errno.EPERM, "Module m is blacklisted")
                        .config(config -> config.moduleBlacklist(List.of("x", "m"))),
                load(
                                "wrongStructModuleVersion",
                                Images.module("m").version("module_layout", 2).build(),
                                Errno.ENOEXEC,
                                "m: disagrees about version of symbol module_layout")
                        .with(FailuresTest::withModuleLayout),
                load("wrongStructModuleVersion", plain, Errno.ENOEXEC, "")
                        .with(FailuresTest::withModuleLayout),
                load("noVermagic", plain, Errno.ENOEXEC, "")
                        .config(config -> config.checkVermagic(true).forceLoad(false)),
                load(
                                "wrongVermagic",
                                Images.module("m").modinfo("vermagic", "5.0 SMP ").build(),
                                Errno.ENOEXEC,
                                "m: version magic '5.0 SMP ' should be '6.1.0 SMP preempt mod_unload '")
                        .config(config -> config.checkVermagic(true)),
                load(
                                "noLivepatch",
                                Images.module("m").modinfo("livepatch", "Y").build(),
                                Errno.ENOEXEC,
                                "m: module is marked as livepatch module, but livepatch support is disabled")
                        .config(config -> config.livepatch(false)),
                load(
                        "writableAndExecutable",
                        withSection(Section.progbits("wx", 5, 1, Bytes.copyOf((byte) 0))),
                        Errno.ENOEXEC,
                        "m: section wx (index 1) has invalid WRITE|EXEC flags"));
    }

    private static KernelConfig with6_14() {
        return Images.quiet(KernelConfig.forRelease("6.14.0")).toBuilder()
                .modversions(true)
                .build();
    }

    private static Kernel.Builder withModuleLayout(Kernel.Builder builder) {
        ExportedSymbol layout =
                new ExportedSymbol("module_layout", new Address(1), false, "", OptionalInt.of(1));
        return builder.symbols(
                        name ->
                                java.util.Optional.of(layout)
                                        .filter(symbol -> symbol.name().equals(name)))
                .config(Images.quiet6_1().toBuilder().modversions(true).forceLoad(false).build());
    }

    /** The image with another section for the names of its symbols. */
    private static ModuleImage withStringsIn(ModuleImage image, int link) {
        Section old = image.section(image.symbolSection());
        return Images.withSection(
                image,
                image.symbolSection(),
                new Section(
                        old.name(),
                        old.type(),
                        old.flags(),
                        old.offset(),
                        old.size(),
                        old.alignment(),
                        link,
                        old.info(),
                        old.entrySize(),
                        old.contents()));
    }

    private static ModuleImage withSection(Section... sections) {
        ImageBuilder image = Images.module("m");
        for (Section section : sections) {
            image.section(section);
        }
        return image.build();
    }

    private static Section nobits(String name, long size) {
        return Section.nobits(name, SectionFlags.ALLOC | SectionFlags.WRITE, 8, size);
    }

    /** Two integers that are both called p, and have files. */
    private static ModuleImage withParametersOfOneName() {
        ImageBuilder image = Images.module("m");
        int names =
                image.symbol(
                        Symbol.section(
                                image.section(Images.rodata(".rodata", (byte) 'p', (byte) 0))));
        int values = image.symbol(Symbol.section(image.section(Images.data(".data", 8))));
        int type = image.symbol(Symbol.undefined("param_ops_int"));
        byte[] entries = new byte[2 * 40];
        for (int at = 0; at < entries.length; at += 40) {
            entries[at + 24] = (byte) 0444;
            entries[at + 25] = 0444 >> 8;
            entries[at + 26] = -1; // level
        }
        int table = image.section(Images.rodata("__param", entries));
        for (int at = 0; at < entries.length; at += 40) {
            image.relocate(
                    table,
                    new Relocation(at, Images.ABS64, names, 0),
                    new Relocation(at + 16, Images.ABS64, type, 0),
                    new Relocation(at + 32, Images.ABS64, values, 0));
        }
        return image.build();
    }

    private static List<Scenario> admissions() {
        ModuleImage plain = Images.empty("m");
        return List.of(
                load("noMemory", withSection(nobits(".bss", LONG)), Errno.ENOMEM, "")
                        .with(builder -> builder.memoryLimit(0x10000)),
                load("noMemory", withSection(nobits(".bss", Long.MAX_VALUE)), Errno.ENOMEM, ""),
                load("alreadyLoaded", plain, Errno.EEXIST, "")
                        .after(kernel -> kernel.load(plain, "")),
                load("alreadyLoaded", plain, Errno.EEXIST, "")
                        .with(builder -> builder.config(Images.quiet6_12()))
                        .after(kernel -> kernel.load(plain, "")),
                load("builtIn", plain, Errno.EINVAL, "m: module is already loaded")
                        .after(
                                kernel ->
                                        kernel.addBuiltIn(
                                                new BuiltInModule(
                                                        "m", List.of(), Optional.of("1")))),
                load(
                                "parameterTwice",
                                withParametersOfOneName(),
                                Errno.EEXIST,
                                "sysfs: cannot create duplicate filename '/module/m/parameters/p'")
                        .with(
                                builder ->
                                        builder.symbols(
                                                KernelSymbols.of(
                                                        Map.of(
                                                                "param_ops_int",
                                                                new Address(0x1000))))),
                load("nameBusy", Images.withInit("m"), Errno.EBUSY, "")
                        .with(
                                builder ->
                                        builder.executor(
                                                call -> {
                                                    call.kernel().load(Images.empty("m"), "");
                                                    return 0;
                                                })),
                load(
                        "noPerCpuMemory",
                        withSection(nobits(".data..percpu", 0x2001)),
                        Errno.ENOMEM,
                        "m: Could not allocate 8193 bytes percpu data"),
                load(
                                "noVersionsForExports",
                                Images.exporting(Images.module("m"), false, Export.plain("f"))
                                        .build(),
                                Errno.ENOEXEC,
                                "")
                        .config(config -> config.modversions(true).forceLoad(false)),
                load(
                        "nameNotTerminated",
                        Images.withStructureName(Images.empty("m"), "n".repeat(56)),
                        Errno.ENOEXEC,
                        "name "
                                + "n".repeat(56)
                                + " in struct module fills all of its 56 bytes: Linux dies here"),
                load(
                                "bothConstructors",
                                withSection(
                                        Images.data(".ctors", 8), Images.data(".init_array", 8)),
                                Errno.EINVAL,
                                "m: has both .ctors and .init_array.")
                        .config(config -> config.kconfig("CONFIG_CONSTRUCTORS", true)));
    }

    private static List<Scenario> resolutions() {
        return List.of(
                load(
                        "unresolved",
                        Images.importing("m", "a", "b"),
                        Errno.ENOENT,
                        "m: Unknown symbol a (err -2)\nm: Unknown symbol b (err -2)"),
                load(
                                "unresolved",
                                Images.importing("m", "f", "b"),
                                Errno.ENOENT,
                                "m: Unknown symbol b (err -2)")
                        .after(kernel -> kernel.load(Images.exporting("a", "f"), "")),
                load(
                        "exportOutsideModule",
                        withSection(Images.rodata("__ksymtab", exportFarAway())),
                        Errno.ENOEXEC,
                        "m: export at offset 0x0 of section __ksymtab points outside the module"),
                load(
                                "duplicateExport",
                                Images.exporting("m", "f"),
                                Errno.ENOEXEC,
                                "m: exports duplicate symbol f (owned by a)")
                        .after(kernel -> kernel.load(Images.exporting("a", "f"), "")),
                load(
                                "duplicateExport",
                                Images.exporting("m", "f"),
                                Errno.ENOEXEC,
                                "m: exports duplicate symbol f (owned by kernel)")
                        .with(
                                builder ->
                                        builder.symbols(
                                                KernelSymbols.of(Map.of("f", new Address(1))))),
                load("injected", Images.withInitAndExit("m"), Errno.EINTR, "")
                        .with(
                                builder ->
                                        builder.faults(
                                                FaultInjection.failAt(FaultPoint.SYSFS, Errno.EINTR)
                                                        .onlyFor("m"))),
                load("initcallBlacklisted", namedInit(), Errno.EPERM, "")
                        .config(config -> config.initcallBlacklist(List.of("x", "start"))),
                load("initFailed", Images.withInitAndExit("m"), Errno.ENODEV, "")
                        .with(builder -> builder.executor(call -> -19)));
    }

    private static List<Scenario> formations() {
        return List.of(
                load(
                        "stateNotWritable",
                        withStructureOf(SectionFlags.ALLOC),
                        Errno.ENOEXEC,
                        "m: section .gnu.linkonce.this_module lies in r-- memory: Linux dies here,"
                                + " writing the state of the module to 0xffffffffc0000000"),
                load("notPageAligned", Images.empty("m"), Errno.EINVAL, "")
                        .with(builder -> builder.allocator(new Misaligned())));
    }

    private static ModuleImage withStructureOf(long flags) {
        ModuleImage image = Images.empty("m");
        int index = image.sectionIndex(ModuleImage.THIS_MODULE);
        Section old = image.section(index);
        return Images.withSection(
                image, index, Section.progbits(old.name(), flags, old.alignment(), old.contents()));
    }

    /** Gives memory for modules that begins in the middle of a page. */
    private static final class Misaligned implements ModuleAllocator {
        private final ModuleAllocator allocator;

        Misaligned() {
            KernelConfig config = Images.quiet6_1();
            Architecture machine = Architectures.X86_64;
            this.allocator =
                    new FirstFitAllocator(
                            machine.moduleAreas(config),
                            machine.imageArea(config),
                            machine.perCpuArea(config),
                            machine.pageSize());
        }

        @Override
        public java.util.Optional<Address> allocate(Request request) {
            long by = by(request);
            return allocator.allocate(request).map(address -> address.plus(by));
        }

        @Override
        public void free(Address address, Request request) {
            allocator.free(address.plus(-by(request)), request);
        }

        private static long by(Request request) {
            boolean moved = request.purpose() == Purpose.MODULE && request.module().equals("m");
            return moved ? 16 : 0;
        }
    }

    private static ModuleImage namedInit() {
        ImageBuilder builder = Images.module("m");
        int text = builder.section(Images.code(".init.text", 16));
        builder.symbol(new Symbol("start", Binding.LOCAL, 2, 0, new Symbol.InSection(text), 0, 4));
        return builder.init(text, 0, Images.ABS64).build();
    }

    /** A load with arguments of a module for the test machine. */
    private static Scenario withArguments(
            String failure, ParameterModule module, String arguments, Errno errno, String dmesg) {
        ModuleImage image = module.image();
        return call(failure, kernel -> kernel.load(image, arguments), errno, dmesg)
                .on(new TestArchitecture(Encoding.ELF64_LSB))
                .with(FailuresTest::withParameterOperations);
    }

    private static Consumer<Kernel> withParameter(Consumer<ModuleParameter> action) {
        return kernel -> action.accept(kernel.module("m").orElseThrow().parameters().get(0));
    }

    private static Kernel.Builder withParameterOperations(Kernel.Builder builder) {
        List<String> names = List.of("param_ops_int", "param_ops_charp", "param_array_ops");
        return builder.symbols(
                name ->
                        Optional.of(names.indexOf(name))
                                .filter(index -> index >= 0)
                                .map(
                                        index ->
                                                ExportedSymbol.of(
                                                        name,
                                                        new Address(0x8000_0000L + 64 * index))));
    }

    private static List<Scenario> parameters() {
        ModuleImage array = ParameterModule.plain().array("a", "int", 2, 4, true).image();
        ModuleImage mute = ParameterModule.plain().callback("i", 1, "", "", "").image();
        ModuleParameter[] held = new ModuleParameter[1];
        return List.of(
                withArguments(
                        "parameters",
                        ParameterModule.plain().standard("i", "int").standard("c", "charp"),
                        "c=1 i=x",
                        Errno.EINVAL,
                        "m: `x' invalid for parameter `i'"),
                withArguments(
                        "wildParameter",
                        ParameterModule.plain().integerAt("i", 0x20).standard("c", "charp"),
                        "c=1 i=1",
                        Errno.EFAULT,
                        "m: parameters: write to unmapped memory at 0x20"),
                withArguments(
                        "parameterTwice",
                        ParameterModule.plain().standard("i", "int").standard("i", "int"),
                        "i=1",
                        Errno.EEXIST,
                        "sysfs: cannot create duplicate filename '/module/m/parameters/i'"),
                call(
                                "parameterNotSet",
                                withParameter(parameter -> parameter.write("1,2,3")),
                                Errno.EINVAL,
                                "a: can only take 2 arguments")
                        .on(new TestArchitecture(Encoding.ELF64_LSB))
                        .with(FailuresTest::withParameterOperations)
                        .after(
                                kernel -> {
                                    kernel.load(array, "a=1,2");
                                }),
                call("parameterNotShown", withParameter(ModuleParameter::read), Errno.EPERM, "")
                        .on(new TestArchitecture(Encoding.ELF64_LSB))
                        .with(FailuresTest::withParameterOperations)
                        .after(kernel -> kernel.load(mute, "")),
                call("parameterGone", kernel -> held[0].read(), Errno.ENODEV, "")
                        .on(new TestArchitecture(Encoding.ELF64_LSB))
                        .with(FailuresTest::withParameterOperations)
                        .after(
                                kernel -> {
                                    held[0] = kernel.load(array, "").parameters().get(0);
                                    kernel.unload("m");
                                }));
    }

    private static byte[] exportFarAway() {
        byte[] entry = new byte[12];
        entry[7] = 0x40;
        return entry;
    }

    private static ModuleImage relocating(int type, long offset, long addend) {
        ImageBuilder image =
                new ImageBuilder(TestArchitecture.MACHINE, Encoding.ELF32_MSB, true)
                        .name("m")
                        .modinfo("license", "GPL")
                        .modinfo("intree", "Y");
        int data =
                image.section(
                        Section.progbits(
                                ".data",
                                SectionFlags.ALLOC | SectionFlags.WRITE,
                                8,
                                Bytes.copyOf(new byte[] {0, 0, 0, 0, 1, 1, 1, 1})));
        int symbol =
                image.symbol(new Symbol("f", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 0, 0));
        return image.relocate(data, new Relocation(offset, type, symbol, addend)).build();
    }

    private static Scenario onTestMachine(int type, long offset, long addend, String dmesg) {
        ModuleImage image = relocating(type, offset, addend);
        int table = image.relocations().get(0).section();
        return load(
                        "relocation",
                        image,
                        Errno.ENOEXEC,
                        "m: relocation 0 of section " + table + " " + dmesg)
                .on(new TestArchitecture(Encoding.ELF32_MSB));
    }

    private static ModuleImage withSymbolIndex(int index) {
        ImageBuilder builder = Images.module("m");
        int data = builder.section(Images.data(".data", 8));
        ModuleImage image =
                builder.relocate(
                                data,
                                new Relocation(
                                        0, Images.ABS64, builder.symbol(Symbol.weak("w")), 0))
                        .build();
        int table = image.relocations().get(0).section();
        byte[] entries = image.section(table).contents().toByteArray();
        entries[12] = (byte) index;
        return Images.withSection(
                image, table, image.section(table).withContents(Bytes.copyOf(entries)));
    }

    /**
     * A module whose init field is named by a relocation of type NONE, which is not checked itself.
     */
    private static ModuleImage withEntryAt(long offset) {
        ImageBuilder builder = Images.module("m");
        int text = builder.section(Images.text(16));
        int init = builder.symbol(Symbol.function("init_module", text, 0, 4));
        ModuleImage image = builder.relocate(text, new Relocation(offset, 0, init, 0)).build();
        int table = image.relocations().get(0).section();
        Section old = image.section(table);
        return Images.withSection(
                image,
                table,
                new Section(
                        old.name(),
                        old.type(),
                        old.flags(),
                        old.offset(),
                        old.size(),
                        old.alignment(),
                        old.link(),
                        image.sectionIndex(ModuleImage.THIS_MODULE),
                        old.entrySize(),
                        old.contents()));
    }

    /** A MIPS module with an R_MIPS_HI16 that no R_MIPS_LO16 follows. */
    private static ModuleImage withLoneHigh16() {
        ImageBuilder builder =
                new ImageBuilder(8, Encoding.ELF32_MSB, false)
                        .name("m")
                        .modinfo("license", "GPL")
                        .modinfo("intree", "Y");
        int text = builder.section(Images.text(16));
        int symbol = builder.symbol(Symbol.function("f", text, 0, 4));
        return builder.relocate(text, new Relocation(0, 5, symbol, 0)).build();
    }

    private static List<Scenario> relocations() {
        ImageBuilder rel =
                new ImageBuilder(62, Encoding.ELF64_LSB, false).name("m").modinfo("license", "GPL");
        rel.modinfo("intree", "Y").modinfo("retpoline", "Y");
        int data = rel.section(Images.data(".data", 8));
        rel.relocate(data, new Relocation(0, 1, rel.symbol(Symbol.weak("w")), 0));
        return List.of(
                load(
                        "relocationKindUnsupported",
                        rel.build(),
                        Errno.ENOEXEC,
                        "module m: REL relocation unsupported"),
                load(
                        "entryOutsideStructure",
                        withEntryAt(0x4000_0000L),
                        Errno.ENOEXEC,
                        "m: entry point at offset 0x40000000 lies outside struct module"),
                onTestMachine(99, 0, 0, "has unknown type 99"),
                onTestMachine(
                        TestArchitecture.BYTE, 0, 256, "of type 5 overflows with value 0x100"),
                onTestMachine(
                        TestArchitecture.ZERO32, 4, 0, "of type 4 meets a place that is not zero"),
                onTestMachine(
                        TestArchitecture.WORD32,
                        5,
                        0,
                        "patches offset 0x5, which is outside its section"),
                load("relocating", withLoneHigh16(), Errno.ENOEXEC, "").on(Architectures.MIPS32),
                load(
                        "relocation",
                        withSymbolIndex(77),
                        Errno.ENOEXEC,
                        "m: relocation 0 of section 4 refers to a symbol that is not in the symbol table"));
    }

    private static List<Scenario> unloads() {
        return List.of(
                call("notLoaded", kernel -> kernel.unload("m"), Errno.ENOENT, ""),
                call("notLoaded", kernel -> kernel.unload(""), Errno.ENOENT, ""),
                call("inUse", kernel -> kernel.unload("a"), Errno.EAGAIN, "")
                        .after(
                                kernel -> {
                                    kernel.load(Images.exporting("a", "f"), "");
                                    kernel.load(Images.importing("b", "f"), "");
                                }),
                call("inUse", kernel -> kernel.unload("a"), Errno.EAGAIN, "")
                        .after(
                                kernel -> {
                                    kernel.load(Images.withInitAndExit("a"), "");
                                    kernel.get("a");
                                }),
                load("notLive", Images.withInitAndExit("m"), Errno.EBUSY, "")
                        .with(
                                builder ->
                                        builder.executor(
                                                call -> {
                                                    call.kernel().unload("m");
                                                    return 0;
                                                })),
                call("permanent", kernel -> kernel.unload("m"), Errno.EBUSY, "")
                        .after(kernel -> kernel.load(Images.withInit("m"), "")),
                call("cannotUnload", kernel -> kernel.unload("m"), Errno.ENOSYS, "")
                        .config(config -> config.modUnload(false))
                        .after(kernel -> kernel.load(Images.empty("m"), "")));
    }

    /** What a failure must not change. */
    private static List<String> stateOf(Kernel kernel) {
        List<String> state =
                kernel.modules().stream()
                        .map(
                                module ->
                                        module
                                                + " "
                                                + module.referenceCount()
                                                + module.users()
                                                + module.uses()
                                                + module.taints()
                                                + module.blockAddresses())
                        .collect(Collectors.toList());
        for (Region region : kernel.memory().regions()) {
            state.add(region + " " + region.contents().hashCode());
        }
        for (String symbol : List.of("f", "a", "b", "module_layout")) {
            state.add(symbol + kernel.exported(symbol));
        }
        return state;
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void aFailureHasItsErrnoAndItsLines(Scenario scenario) {
        Kernel kernel = scenario.kernelBefore();
        int logged = kernel.log().entries().size();
        LoadException failure =
                catchThrowableOfType(LoadException.class, () -> scenario.provoker().accept(kernel));
        assertThat(failure).isNotNull();
        assertThat(failure.errno()).isEqualTo(scenario.errno());
        assertThat(failure.dmesg()).isEqualTo(scenario.dmesg());
        assertThat(failure.getMessage())
                .startsWith(scenario.errno().name() + " (" + scenario.errno().text() + "): ");
        assertThat(kernel.log().entries().subList(logged, kernel.log().entries().size()))
                .extracting(entry -> entry.line())
                .containsExactlyElementsOf(failure.lines());
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void aFailureIsExplainedBeyondWhatItsErrorMeans(Scenario scenario) {
        Kernel kernel = scenario.kernelBefore();
        LoadException failure =
                catchThrowableOfType(LoadException.class, () -> scenario.provoker().accept(kernel));
        assertThat(failure.isDiagnosed()).isTrue();
        Diagnosis diagnosis = failure.diagnosis();
        assertThat(diagnosis.cause()).matches("(?s).{20,}\\.").isNotEqualTo(failure.getMessage());
        assertThat(diagnosis.advice()).matches("(?s).{20,}\\.");
        assertThat(diagnosis.toString()).contains(diagnosis.cause(), diagnosis.advice());
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void aFailureLeavesModulesMemoryAndExportsAsTheyWere(Scenario scenario) {
        Kernel kernel = scenario.kernelBefore();
        List<String> before = stateOf(kernel);
        assertThatThrownBy(() -> scenario.provoker().accept(kernel))
                .isInstanceOf(LoadException.class);
        assertThat(stateOf(kernel)).isEqualTo(before);
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void afterAFailureTheNextModuleGetsTheAddressesItWouldHaveHad(Scenario scenario) {
        Kernel failed = scenario.kernelBefore();
        assumeFalse(failed.config().modulesDisabled(), "no module can follow");
        assertThatThrownBy(() -> scenario.provoker().accept(failed))
                .isInstanceOf(LoadException.class);
        Module after = failed.load(probe(failed), SIGNED);
        Kernel fresh = scenario.kernelBefore();
        Module expected = fresh.load(probe(fresh), SIGNED);
        assertThat(after.blockAddresses()).isEqualTo(expected.blockAddresses());
        assertThat(after.imageAddress()).isEqualTo(expected.imageAddress());
        assertThat(after.perCpuBase()).isEqualTo(expected.perCpuBase());
    }

    /** A module that every kernel here takes. */
    private static ModuleImage probe(Kernel kernel) {
        Architecture architecture = kernel.architecture();
        ImageBuilder image =
                new ImageBuilder(architecture.elfMachine(), architecture.encoding(), true)
                        .name("probe")
                        .modinfo("license", "GPL")
                        .modinfo("vermagic", kernel.config().vermagic(architecture))
                        .version("module_layout", 1);
        image.section(Images.text(16));
        image.section(Images.data(".data..percpu", 8));
        return image.build();
    }

    @Test
    void everyFailureIsProvoked() {
        Set<String> methods =
                Arrays.stream(Failures.class.getDeclaredMethods())
                        .filter(method -> Modifier.isPublic(method.getModifiers()))
                        .map(method -> method.getName())
                        .collect(Collectors.toCollection(TreeSet::new));
        Set<String> provoked =
                scenarios().map(Scenario::failure).collect(Collectors.toCollection(TreeSet::new));
        assertThat(provoked).isEqualTo(methods);
    }
}

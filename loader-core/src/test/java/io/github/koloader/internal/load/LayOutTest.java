package io.github.koloader.internal.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.github.koloader.Images;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.MemoryType;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Layouts of whole loads; {@code struct module} (896 bytes, aligned to 64) is the last of the
 * writable data.
 */
final class LayOutTest {
    private static final KernelConfig OLD = Images.quiet6_1().toBuilder().kallsyms(false).build();
    private static final KernelConfig NEW = Images.quiet6_12().toBuilder().kallsyms(false).build();
    private static final int CORE = 0;
    private static final int INIT = 1;

    private static Module load(KernelConfig config, ModuleImage image) {
        return Kernel.builder(Architectures.X86_64).config(config).build().load(image, "");
    }

    private static LoadedSection section(Module module, String name) {
        return module.section(name).orElseThrow();
    }

    /** Offset of a section in the block of that index. */
    private static long offset(Module module, String name, int block) {
        return section(module, name).address().minus(module.blockAddresses().get(block));
    }

    private static Section ro(String name, int size, long alignment) {
        return Section.progbits(name, SectionFlags.ALLOC, alignment, Bytes.copyOf(new byte[size]));
    }

    private static Section rw(String name, int size, long alignment) {
        return Section.progbits(
                name,
                SectionFlags.ALLOC | SectionFlags.WRITE,
                alignment,
                Bytes.copyOf(new byte[size]));
    }

    /** Sections of every kind, writable data first. */
    private static ModuleImage mixed() {
        ImageBuilder image = Images.module("m");
        image.section(rw(".data", 0x10, 8));
        image.section(rw(".data..ro_after_init", 8, 8));
        image.section(ro(".rodata", 0x20, 32));
        image.section(Images.code(".text", 0x18));
        image.section(Images.code(".text.b", 0x10));
        image.section(Images.code(".init.text", 0x30));
        image.section(ro(".init.rodata", 4, 4));
        image.section(rw(".init.data", 4, 4));
        image.section(Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 1, 3));
        return image.build();
    }

    @Test
    void upTo63CoreAndInitAreTwoBlocks() {
        Module module = load(OLD, mixed());
        assertThat(module.layout().blocks()).hasSize(2);
        assertThat(module.layout().blocks().get(CORE).parts())
                .extracting(Layout.Part::type, Layout.Part::offset, Layout.Part::size)
                .containsExactly(
                        tuple(MemoryType.TEXT, 0L, 0x1000L),
                        tuple(MemoryType.RODATA, 0x1000L, 0x1000L),
                        tuple(MemoryType.RO_AFTER_INIT, 0x2000L, 0x1000L),
                        tuple(MemoryType.DATA, 0x3000L, 0x1000L));
        assertThat(module.layout().blocks().get(INIT).parts())
                .extracting(Layout.Part::type, Layout.Part::offset, Layout.Part::size)
                .containsExactly(
                        tuple(MemoryType.INIT_TEXT, 0L, 0x1000L),
                        tuple(MemoryType.INIT_RODATA, 0x1000L, 0x1000L),
                        tuple(MemoryType.INIT_DATA, 0x2000L, 0x1000L));
    }

    @Test
    void upTo63SectionsFollowTheirPassInFileOrder() {
        Module module = load(OLD, mixed());
        assertThat(offset(module, ".text", CORE)).isZero();
        assertThat(offset(module, ".text.b", CORE)).isEqualTo(0x20);
        assertThat(offset(module, ".rodata", CORE)).isEqualTo(0x1000);
        assertThat(offset(module, ".data..ro_after_init", CORE)).isEqualTo(0x2000);
        assertThat(offset(module, ".data", CORE)).isEqualTo(0x3000);
        assertThat(offset(module, ".bss", CORE)).isEqualTo(0x3010);
        assertThat(offset(module, ModuleImage.THIS_MODULE, CORE)).isEqualTo(0x3040);
        assertThat(offset(module, ".init.text", INIT)).isZero();
        assertThat(offset(module, ".init.rodata", INIT)).isEqualTo(0x1000);
        assertThat(offset(module, ".init.data", INIT)).isEqualTo(0x2000);
    }

    @Test
    void since64EachTypeIsABlockOfItsOwn() {
        Module module = load(NEW, mixed());
        assertThat(module.layout().blocks())
                .extracting(block -> block.parts().get(0).type(), Layout.Block::size)
                .containsExactly(
                        tuple(MemoryType.TEXT, 0x1000L),
                        tuple(MemoryType.DATA, 0x1000L),
                        tuple(MemoryType.RODATA, 0x1000L),
                        tuple(MemoryType.RO_AFTER_INIT, 0x1000L),
                        tuple(MemoryType.INIT_TEXT, 0x1000L),
                        tuple(MemoryType.INIT_DATA, 0x1000L),
                        tuple(MemoryType.INIT_RODATA, 0x1000L));
        assertThat(offset(module, ".text.b", MemoryType.TEXT.ordinal())).isEqualTo(0x20);
        assertThat(offset(module, ".rodata", MemoryType.RODATA.ordinal())).isZero();
        assertThat(offset(module, ".data..ro_after_init", MemoryType.RO_AFTER_INIT.ordinal()))
                .isZero();
        assertThat(offset(module, ".data", MemoryType.DATA.ordinal())).isZero();
        assertThat(offset(module, ".bss", MemoryType.DATA.ordinal())).isEqualTo(0x10);
        assertThat(offset(module, ".init.data", MemoryType.INIT_DATA.ordinal())).isZero();
    }

    @Test
    void blocksAreAllocatedInTheKernelsOrderWithAGuardPageBetween() {
        assertThat(load(OLD, mixed()).blockAddresses())
                .extracting(address -> address.value() - 0xffffffff_c0000000L)
                .containsExactly(0L, 0x5000L);
        assertThat(load(NEW, mixed()).blockAddresses())
                .extracting(address -> address.value() - 0xffffffff_c0000000L)
                .containsExactly(0L, 0x2000L, 0x4000L, 0x6000L, 0x8000L, 0xa000L, 0xc000L);
    }

    @Test
    void typesThatNothingBelongsToTakeNoMemory() {
        Module module = load(NEW, Images.empty("m"));
        assertThat(module.blockAddresses().get(MemoryType.TEXT.ordinal()).isNull()).isTrue();
        assertThat(module.blockAddresses().get(MemoryType.DATA.ordinal()).isNull()).isFalse();
        assertThat(module.layout().blocks().get(MemoryType.TEXT.ordinal()).size()).isZero();
    }

    @Test
    void withoutStrictRwxNothingIsRoundedUpTo63() {
        Module module = load(OLD.toBuilder().strictModuleRwx(false).build(), mixed());
        assertThat(offset(module, ".rodata", CORE)).isEqualTo(0x40);
        assertThat(offset(module, ".data..ro_after_init", CORE)).isEqualTo(0x60);
        assertThat(offset(module, ".data", CORE)).isEqualTo(0x68);
        assertThat(offset(module, ".bss", CORE)).isEqualTo(0x78);
        assertThat(offset(module, ModuleImage.THIS_MODULE, CORE)).isEqualTo(0x80);
        assertThat(module.layout().blocks().get(CORE).size()).isEqualTo(0x80 + 896);
        assertThat(module.layout().blocks().get(INIT).size()).isEqualTo(0x38);
    }

    @Test
    void since64BlocksAreWholePagesEvenWithoutStrictRwx() {
        Module module = load(NEW.toBuilder().strictModuleRwx(false).build(), mixed());
        assertThat(module.layout().blocks()).allMatch(block -> block.size() == 0x1000);
    }

    @Test
    void readOnlyAfterInitIsOrdinaryDataIn310() {
        KernelConfig config =
                Images.quiet(KernelConfig.linux3_10()).toBuilder().kallsyms(false).build();
        Module module = load(config, mixed());
        assertThat(section(module, ".data..ro_after_init").type()).isEqualTo(MemoryType.DATA);
    }

    @Test
    void jumpTablesAreReadOnlyAfterInit() {
        for (KernelConfig config : List.of(OLD, NEW)) {
            assertThat(section(load(config, withData("__jump_table")), "__jump_table").type())
                    .isEqualTo(MemoryType.RO_AFTER_INIT);
        }
    }

    private static ModuleImage withData(String data) {
        ImageBuilder image = Images.module("m");
        image.section(rw(data, 16, 8));
        return image.build();
    }

    @Test
    void codeThatIsWritableCountsAsCodeWithoutStrictRwx() {
        ImageBuilder image = Images.module("m");
        image.section(
                Section.progbits(
                        "wx",
                        SectionFlags.ALLOC | SectionFlags.WRITE | SectionFlags.EXECINSTR,
                        1,
                        Bytes.copyOf((byte) 1)));
        Module module = load(OLD.toBuilder().strictModuleRwx(false).build(), image.build());
        assertThat(section(module, "wx").type()).isEqualTo(MemoryType.TEXT);
    }

    @Test
    void exitSectionsAreCoreWithUnloadSupportAndInitWithout() {
        for (KernelConfig config : List.of(OLD, NEW)) {
            assertThat(section(load(config, Images.withInitAndExit("m")), ".exit.text").type())
                    .isEqualTo(MemoryType.TEXT);
            KernelConfig without = config.toBuilder().modUnload(false).build();
            assertThat(section(load(without, Images.withInitAndExit("m")), ".exit.text").type())
                    .isEqualTo(MemoryType.INIT_TEXT);
        }
    }

    @Test
    void everyNameThatBeginsWithDotInitIsInit() {
        for (KernelConfig config : List.of(OLD, NEW)) {
            ImageBuilder image = Images.module("m");
            image.section(rw(".init_array", 8, 8));
            image.section(rw("x.init.data", 8, 8));
            Module module = load(config, image.build());
            assertThat(section(module, ".init_array").type()).isEqualTo(MemoryType.INIT_DATA);
            assertThat(section(module, "x.init.data").type()).isEqualTo(MemoryType.DATA);
        }
    }

    @Test
    void aSectionOfSizeZeroGetsAnOffsetAndItsAlignment() {
        for (KernelConfig config : List.of(OLD, NEW)) {
            int block = config == OLD ? CORE : MemoryType.DATA.ordinal();
            ImageBuilder image = Images.module("m");
            image.section(rw("a", 3, 1));
            image.section(rw("empty", 0, 256));
            image.section(rw("b", 3, 1));
            Module module = load(config, image.build());
            long start = offset(module, "a", block);
            assertThat(offset(module, "empty", block)).isEqualTo(start + 256);
            assertThat(offset(module, "b", block)).isEqualTo(start + 256);
        }
    }

    @Test
    void alignmentZeroCountsAsOne() {
        ImageBuilder image = Images.module("m");
        image.section(rw("a", 3, 0));
        image.section(rw("b", 3, 0));
        Module module = load(OLD, image.build());
        assertThat(section(module, "b").address().minus(section(module, "a").address()))
                .isEqualTo(3);
    }

    @Test
    void sectionsWithoutAllocTakeNoMemory() {
        ImageBuilder image = Images.module("m");
        image.section(Section.progbits(".comment", 0, 1, Bytes.copyOf(new byte[9])));
        for (KernelConfig config : List.of(OLD, NEW)) {
            assertThat(load(config, withData("x")).section(".symtab")).isEmpty();
        }
        assertThat(load(OLD, image.build()).section(".comment")).isEmpty();
    }

    // ---- symbol tables ----

    /**
     * Symbols: 0, local d (in .data), global init_module (in .init.text), global f (in .text),
     * undefined u.
     */
    private static ModuleImage withSymbols() {
        ImageBuilder image = Images.module("m");
        int text = image.section(Images.text(16));
        int data = image.section(rw(".data", 8, 8));
        image.symbol(Symbol.object("d", data, 0, 8));
        image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        image.symbol(Symbol.function("foo", text, 4, 8));
        image.symbol(Symbol.undefined("u"));
        return image.build();
    }

    @Test
    void symbolTablesLieBehindInitAndACutDownCopyBehindCore() {
        ModuleImage image = withSymbols();
        Module module = load(Images.quiet6_1(), image);
        Layout.Kallsyms room = module.layout().kallsyms();
        assertThat(room.coreCount()).isEqualTo(3);
        assertThat(room.coreStringSize()).isEqualTo(1 + "d".length() + 1 + "foo".length() + 1);
        assertThat(room.coreBlock()).isEqualTo(CORE);
        assertThat(room.coreSymbols()).isEqualTo(0x2000);
        assertThat(room.coreStrings()).isEqualTo(0x2000 + 3 * 24);
        assertThat(room.coreTypes()).isEqualTo(room.coreStrings() + room.coreStringSize());
        assertThat(module.layout().blocks().get(CORE).size()).isEqualTo(0x3000);
        assertThat(offset(module, ".symtab", INIT)).isEqualTo(0x1000);
        assertThat(offset(module, ".strtab", INIT)).isEqualTo(0x1000 + 5 * 24);
        long end = 0x1000 + 5 * 24 + image.section(".strtab").orElseThrow().size();
        assertThat(room.initRecord()).isEqualTo(end + 7 & -8);
        assertThat(room.initTypes()).isEqualTo(room.initRecord() + 32);
    }

    @Test
    void since64TheyLieBehindDataAndInitDataWithoutRoundingBetween() {
        Module module = load(Images.quiet6_12(), withSymbols());
        Layout.Kallsyms room = module.layout().kallsyms();
        assertThat(room.coreBlock()).isEqualTo(MemoryType.DATA.ordinal());
        assertThat(room.coreSymbols()).isEqualTo(64 + 896);
        assertThat(room.initBlock()).isEqualTo(MemoryType.INIT_DATA.ordinal());
        assertThat(offset(module, ".symtab", MemoryType.INIT_DATA.ordinal())).isZero();
    }

    @Test
    void withoutAllSymbolsOnlyThoseOfCodeStay() {
        Module module =
                load(Images.quiet6_1().toBuilder().kallsymsAll(false).build(), withSymbols());
        assertThat(module.layout().kallsyms().coreCount()).isEqualTo(2);
    }

    @Test
    void perCpuSymbolsStayWithAllSymbolsSince50() {
        ImageBuilder builder = Images.module("m");
        int section = builder.section(rw(".data..percpu", 8, 8));
        builder.symbol(Symbol.object("counter", section, 0, 8));
        ModuleImage image = builder.build();
        assertThat(load(Images.quiet6_1(), image).layout().kallsyms().coreCount()).isEqualTo(2);
        assertThat(
                        load(Images.quiet(KernelConfig.linux3_10()), image)
                                .layout()
                                .kallsyms()
                                .coreCount())
                .isEqualTo(1);
    }

    @Test
    void allSymbolsOfALivepatchModuleStay() {
        ImageBuilder builder = Images.module("m").modinfo("livepatch", "Y");
        builder.symbol(Symbol.undefined("u"));
        builder.symbol(Symbol.undefined("v"));
        assertThat(load(Images.quiet6_1(), builder.build()).layout().kallsyms().coreCount())
                .isEqualTo(3);
    }

    @Test
    void typeLettersFollowTheSectionsOfSymbols() {
        ImageBuilder builder = Images.module("m");
        int text = builder.section(Images.text(16));
        int rodata = builder.section(ro(".rodata", 8, 8));
        int data = builder.section(rw(".data", 8, 8));
        int bss =
                builder.section(
                        Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 1, 8));
        builder.symbol(Symbol.object("1t", text, 0, 0));
        builder.symbol(Symbol.object("2r", rodata, 0, 0));
        builder.symbol(Symbol.object("3d", data, 0, 0));
        builder.symbol(Symbol.object("4b", bss, 0, 0));
        builder.symbol(
                new Symbol(
                        "5w",
                        io.github.koloader.image.Binding.WEAK,
                        Symbol.FUNC,
                        0,
                        new Symbol.InSection(text),
                        0,
                        0));
        builder.symbol(
                new Symbol(
                        "6v",
                        io.github.koloader.image.Binding.WEAK,
                        Symbol.OBJECT,
                        0,
                        new Symbol.InSection(data),
                        0,
                        0));
        Kernel kernel = Kernel.builder(Architectures.X86_64).config(Images.quiet6_1()).build();
        Module module = kernel.load(builder.build(), "");
        Layout.Kallsyms room = module.layout().kallsyms();
        assertThat(room.coreCount()).isEqualTo(7);
        byte[] letters =
                kernel.memory()
                        .read(
                                module.blockAddresses()
                                        .get(room.coreBlock())
                                        .plus(room.coreTypes() + 1),
                                6);
        assertThat(new String(letters, java.nio.charset.StandardCharsets.ISO_8859_1))
                .isEqualTo("trdbwv");
    }
}

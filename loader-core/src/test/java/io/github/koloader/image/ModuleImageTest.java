package io.github.koloader.image;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.Images;
import io.github.koloader.Images.Export;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class ModuleImageTest {
    static Encoding[] encodings() {
        return SymbolTableTest.encodings();
    }

    @Test
    void imagesWithTheSamePartsAreEqual() {
        assertThat(Images.withInit("a"))
                .isEqualTo(Images.withInit("a"))
                .hasSameHashCodeAs(Images.withInit("a"));
    }

    @Test
    void anotherNameMachineFlagOrSectionMakesAnotherImage() {
        ModuleImage image = Images.withInit("a");
        assertThat(image).isNotEqualTo(Images.withInit("b"));
        assertThat(ModuleImage.builder(1, Encoding.ELF64_LSB).build())
                .isNotEqualTo(ModuleImage.builder(2, Encoding.ELF64_LSB).build())
                .isNotEqualTo(ModuleImage.builder(1, Encoding.ELF64_MSB).build())
                .isNotEqualTo(ModuleImage.builder(1, Encoding.ELF64_LSB).flags(1).build());
        assertThat(image).isNotEqualTo(Images.withRenamed(image, ".init.text", ".text"));
    }

    @Test
    void theNameIsThatOfModinfo() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true).name("outer");
        assertThat(builder.modinfo("name", "first").build().name()).contains("first");
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void withoutModinfoTheNameIsThatOfTheStructure(Encoding encoding) {
        ModuleImage image = new ImageBuilder(1, encoding, true).name("hello").build();
        assertThat(Images.withRenamed(image, ".modinfo", ".other").name()).contains("hello");
    }

    @Test
    void anImageWithoutStructureAndModinfoHasNoName() {
        assertThat(ModuleImage.builder(1, Encoding.ELF32_LSB).build().name()).isEmpty();
    }

    @Test
    void modinfoThatTakesNoMemoryIsNotSeen() {
        ModuleImage image = Images.empty("a");
        int index = image.sectionIndex(".modinfo");
        ModuleImage edited =
                Images.withSection(image, index, image.section(index).withFlags(SectionFlags.NONE));
        assertThat(edited.modinfo()).isEqualTo(Modinfo.EMPTY);
    }

    @Test
    void aStructureTooSmallForANameHasTheNameThatFits() {
        ModuleImage image =
                new ImageBuilder(62, Encoding.ELF64_LSB, true).name("abc").structSize(27).build();
        assertThat(image.thisModule().orElseThrow().name()).isEqualTo("abc");
        ModuleImage smaller =
                Images.withSection(
                        image,
                        image.sectionIndex(ModuleImage.THIS_MODULE),
                        Images.data(ModuleImage.THIS_MODULE, 3));
        assertThat(smaller.thisModule().orElseThrow().name()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void initAndExitAreFoundThroughTheRelocationsOfTheStructure(Encoding encoding) {
        for (boolean addends : new boolean[] {false, true}) {
            ImageBuilder builder = new ImageBuilder(1, encoding, addends);
            int text = builder.section(Images.text(16));
            ModuleImage image = builder.init(text, 0, 1).exit(text, 8, 1).build();
            ThisModule structure = image.thisModule().orElseThrow();
            assertThat(structure.init().orElseThrow().fieldOffset())
                    .isEqualTo(encoding.wide() ? 312 : 204);
            assertThat(structure.exit().orElseThrow().fieldOffset())
                    .isEqualTo(encoding.wide() ? 848 : 524);
            assertThat(image.entryDisagreements()).isEmpty();
        }
    }

    @Test
    void anEntryThroughTheSectionSymbolIsFound() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true);
        int text = builder.section(Images.text(32));
        builder.symbol(Symbol.function("init_module", text, 16, 4));
        int section = builder.symbol(Symbol.section(text));
        ModuleImage built = builder.relocate(1, new Relocation(312, 1, section, 16)).build();
        ModuleImage image = retarget(built, 1, built.sectionIndex(ModuleImage.THIS_MODULE));
        assertThat(image.thisModule().orElseThrow().init())
                .contains(new ThisModule.Entry(312, image.relocations().get(0).symbolIndex(0)));
        assertThat(image.entryDisagreements()).isEmpty();
    }

    /** Makes the relocations for section {@code from} patch section {@code to}. */
    private static ModuleImage retarget(ModuleImage image, int from, int to) {
        int index = image.relocationsFor(from).get(0).section();
        Section old = image.section(index);
        return Images.withSection(
                image,
                index,
                new Section(
                        old.name(),
                        old.type(),
                        old.flags(),
                        old.offset(),
                        old.size(),
                        old.alignment(),
                        old.link(),
                        to,
                        old.entrySize(),
                        old.contents()));
    }

    @Test
    void aDefinedInitWithoutRelocationIsADisagreement() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true);
        builder.symbol(Symbol.function("init_module", builder.section(Images.text(16)), 0, 4));
        assertThat(builder.build().entryDisagreements())
                .containsExactly(
                        "symbol init_module is defined, but no relocation of .gnu.linkonce.this_module leads to it");
    }

    @Test
    void aRelocationToNeitherEntryIsADisagreement() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true);
        int f = builder.symbol(Symbol.function("f", builder.section(Images.text(16)), 0, 4));
        ModuleImage built = builder.relocate(1, new Relocation(0x18, 1, f, 0)).build();
        ModuleImage image = retarget(built, 1, built.sectionIndex(ModuleImage.THIS_MODULE));
        assertThat(image.entryDisagreements())
                .containsExactly(
                        "relocation at offset 0x18 of .gnu.linkonce.this_module leads to neither init_module nor"
                                + " cleanup_module");
    }

    @Test
    void aRelocationToAnUndefinedEntryIsADisagreement() {
        ImageBuilder builder = new ImageBuilder(62, Encoding.ELF64_LSB, true);
        builder.section(Images.text(16));
        int init = builder.symbol(Symbol.undefined("init_module"));
        ModuleImage built = builder.relocate(1, new Relocation(312, 1, init, 0)).build();
        ModuleImage image = retarget(built, 1, built.sectionIndex(ModuleImage.THIS_MODULE));
        assertThat(image.entryDisagreements())
                .containsExactly(
                        "a relocation of .gnu.linkonce.this_module leads to init_module, which is not defined");
    }

    @Test
    void exportsHaveLicenceNamespaceAndCrc() {
        ModuleImage image =
                Images.exporting(
                        "a",
                        new Export("f", false, "", 0xcafe),
                        new Export("g", true, "NS", 0x80000001));
        assertThat(image.exports())
                .containsExactlyInAnyOrder(
                        new ExportEntry("f", false, "", OptionalInt.of(0xcafe)),
                        new ExportEntry("g", true, "NS", OptionalInt.of(0x80000001)));
    }

    @Test
    void anAbsoluteCrcSymbolIsTheCrc() {
        ImageBuilder builder = Images.exporting(Images.module("a"), false, Export.plain("f"));
        builder.symbol(
                new Symbol("__crc_f", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 0xfeed, 0));
        assertThat(builder.build().exports())
                .extracting(ExportEntry::crc)
                .containsExactly(OptionalInt.of(0xfeed));
    }

    @Test
    void exportsWithoutTablesAreNone() {
        assertThat(Images.empty("a").exports()).isEmpty();
    }

    private static ModuleImage withNote(long flags) {
        ByteBuffer note =
                ByteBuffer.allocate(20)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(4)
                        .putInt(4)
                        .putInt(3)
                        .put(new byte[] {'G', 'N', 'U', 0})
                        .putInt(0x44332211);
        ImageBuilder builder = Images.module("a");
        builder.section(
                new Section(
                        ".note.gnu.build-id",
                        SectionType.NOTE,
                        SectionFlags.of(flags),
                        0,
                        20,
                        4,
                        0,
                        0,
                        0,
                        Bytes.copyOf(note.array())));
        return builder.build();
    }

    @Test
    void theBuildIdIsThatOfTheAllocatedNote() {
        assertThat(withNote(SectionFlags.ALLOC).buildId())
                .contains(Bytes.copyOf((byte) 0x11, (byte) 0x22, (byte) 0x33, (byte) 0x44));
    }

    @Test
    void aNoteThatTakesNoMemoryHoldsNoBuildId() {
        assertThat(withNote(0).buildId()).isEmpty();
    }

    @Test
    void sectionZeroIsNeverFoundByName() {
        ModuleImage image = ModuleImage.builder(1, Encoding.ELF64_LSB).build();
        assertThat(image.section("")).isEmpty();
        assertThat(image.section(0)).isEqualTo(Section.NULL);
    }

    @Test
    void theFirstSectionThatTakesMemoryIsTheOneTheKernelFinds() {
        ModuleImage.Builder builder = ModuleImage.builder(1, Encoding.ELF64_LSB);
        builder.section(Section.progbits("x", 0, 1, Bytes.EMPTY));
        builder.section(Section.progbits("x", SectionFlags.ALLOC, 1, Bytes.EMPTY));
        ModuleImage image = builder.build();
        assertThat(image.sectionIndex("x")).isEqualTo(1);
        assertThat(image.allocatedSectionIndex("x")).isEqualTo(2);
    }

    @Test
    void modinfoWithoutMemoryIsFoundByNameAlone() {
        ModuleImage.Builder builder = ModuleImage.builder(1, Encoding.ELF64_LSB);
        builder.section(
                Section.progbits(".modinfo", 0, 1, Bytes.wrap("name=m\0".getBytes(ISO_8859_1))));
        ModuleImage image = builder.build();
        assertThat(image.name()).isEmpty();
        assertThat(image.foundByName().name()).contains("m");
        assertThat(image.foundByName().toBuilder().build().name()).contains("m");
        assertThat(image.foundByName()).isEqualTo(image);
        ModuleImage usual = new ImageBuilder(62, Encoding.ELF64_LSB, true).name("m").build();
        assertThat(usual.foundByName()).isSameAs(usual);
    }

    @Test
    void builtSectionsLieInTheFileOneBehindTheOtherAndAligned() {
        ModuleImage.Builder builder = ModuleImage.builder(1, Encoding.ELF64_LSB);
        builder.section(Section.progbits("a", 0, 1, Bytes.copyOf(new byte[3])));
        builder.section(Section.progbits("b", 0, 16, Bytes.copyOf(new byte[3])));
        ModuleImage image = builder.build();
        assertThat(image.section(1).offset()).isEqualTo(64);
        assertThat(image.section(2).offset()).isEqualTo(80);
        assertThat(image.fileSize()).isEqualTo(83);
    }

    @Test
    void aSectionWhoseSizeIsNotThatOfItsBytesIsTheCallersMistake() {
        assertThatThrownBy(
                        () ->
                                new Section(
                                        "x",
                                        SectionType.PROGBITS,
                                        SectionFlags.NONE,
                                        0,
                                        4,
                                        1,
                                        0,
                                        0,
                                        0,
                                        Bytes.EMPTY))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void sectionTypesAreNamedAsReadelfNamesThem() {
        assertThat(SectionType.of(7)).hasToString("NOTE");
        assertThat(SectionType.of(0x6ffffff5)).hasToString("0x6ffffff5");
        assertThat(SectionType.of(-1)).hasToString("0xffffffff");
        assertThat(SectionType.of(1)).isEqualTo(SectionType.PROGBITS);
    }

    @Test
    void sectionFlagsAreLettersAsReadelfPrintsThem() {
        assertThat(SectionFlags.of(7)).hasToString("WAX");
        assertThat(SectionFlags.of(0x32)).hasToString("AMS");
        assertThat(SectionFlags.of(SectionFlags.RELA_LIVEPATCH | 2)).hasToString("Ao");
        assertThat(SectionFlags.NONE).hasToString("");
    }
}

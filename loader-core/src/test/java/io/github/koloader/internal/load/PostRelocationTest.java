package io.github.koloader.internal.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.koloader.Errno;
import io.github.koloader.Images;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.Module;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.ExceptionTable;
import io.github.koloader.arch.TestArchitecture;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout.Kallsyms;
import io.github.koloader.memory.Region;
import io.github.koloader.memory.Rights;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

final class PostRelocationTest {
    static List<Encoding> encodings() {
        return FinalizeTest.encodings();
    }

    private static List<KernelConfig> configs() {
        return List.of(Images.quiet6_1(), Images.quiet6_12());
    }

    private static ImageBuilder module(Encoding encoding) {
        return new ImageBuilder(TestArchitecture.MACHINE, encoding, true)
                .name("m")
                .modinfo("license", "GPL")
                .modinfo("intree", "Y");
    }

    private static LoadException refusal(Kernel kernel, ModuleImage image) {
        LoadException refusal =
                catchThrowableOfType(LoadException.class, () -> kernel.load(image, ""));
        assertThat(refusal).as("refused").isNotNull();
        return refusal;
    }

    private static long word(Bytes bytes, long offset, Encoding encoding) {
        return bytes.readWord((int) offset, encoding);
    }

    // ---- kallsyms ----

    /** A symbol of every letter, by name, and the letter. */
    private static Map<String, Character> symbolsOfEveryLetter(ImageBuilder image) {
        Map<String, Character> letters = new LinkedHashMap<>();
        int text = image.section(Images.text(16));
        int rodata = image.section(Images.rodata(".rodata", new byte[16]));
        int data = image.section(Images.data(".data", 16));
        int bss =
                image.section(
                        Section.nobits(".bss", SectionFlags.ALLOC | SectionFlags.WRITE, 8, 16));
        int initText = image.section(Images.code(".init.text", 16));
        int debug = image.section(Section.progbits(".debug_info", 0, 1, Bytes.copyOf(new byte[4])));
        int comment = image.section(Section.progbits(".comment", 0, 1, Bytes.copyOf(new byte[4])));
        int perCpu = image.section(Images.data(".data..percpu", 16));
        image.symbol(Symbol.function("in_text", text, 4, 4));
        letters.put("in_text", 't');
        image.symbol(Symbol.object("in_rodata", rodata, 8, 4));
        letters.put("in_rodata", 'r');
        image.symbol(Symbol.object("in_data", data, 12, 4));
        letters.put("in_data", 'd');
        image.symbol(Symbol.object("in_bss", bss, 3, 1));
        letters.put("in_bss", 'b');
        image.symbol(Symbol.function("in_init", initText, 0, 4));
        letters.put("in_init", 't');
        image.symbol(Symbol.object("in_debug", debug, 1, 1));
        letters.put("in_debug", 'n');
        image.symbol(Symbol.object("in_comment", comment, 2, 1));
        letters.put("in_comment", '?');
        image.symbol(Symbol.object("in_percpu", perCpu, 8, 4));
        letters.put("in_percpu", 'a');
        image.symbol(new Symbol("absolute", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 77, 0));
        letters.put("absolute", 'a');
        image.symbol(weak("weak_object", Symbol.OBJECT, data));
        letters.put("weak_object", 'v');
        image.symbol(weak("weak_function", Symbol.FUNC, text));
        letters.put("weak_function", 'w');
        image.symbol(Symbol.undefined("undefined"));
        letters.put("undefined", 'U');
        return letters;
    }

    private static Symbol weak(String name, int type, int section) {
        return new Symbol(name, Binding.WEAK, type, 0, new Symbol.InSection(section), 5, 2);
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void theFullSymbolTableHasALetterForEachSymbolAndARecordThatPointsAtIt(Encoding encoding) {
        for (KernelConfig config : configs()) {
            ImageBuilder builder = module(encoding);
            Map<String, Character> letters = symbolsOfEveryLetter(builder);
            ModuleImage image = builder.build();
            SymbolTable symbols = image.symbols();
            int[] seen = {0};
            Kernel.builder(new TestArchitecture(encoding))
                    .config(config)
                    .observer(
                            (point, module) -> {
                                if (point != Point.RELOCATED) {
                                    return;
                                }
                                Kallsyms room = module.layout().kallsyms();
                                Bytes block = module.blockContents(room.initBlock());
                                for (int i = 1; i < symbols.count(); i++) {
                                    Character letter = letters.get(symbols.name(i));
                                    if (letter != null) {
                                        assertThat((char) block.get((int) room.initTypes() + i))
                                                .as(symbols.name(i))
                                                .isEqualTo(letter.charValue());
                                        seen[0]++;
                                    }
                                }
                                assertThat((char) block.get((int) room.initTypes())).isEqualTo('U');
                                int word = encoding.wordSize();
                                long record = room.initRecord();
                                assertThat(word(block, record, encoding))
                                        .isEqualTo(of(module, ".symtab"));
                                assertThat(block.readInt((int) record + word, encoding))
                                        .isEqualTo(symbols.count());
                                assertThat(word(block, record + 2 * word, encoding))
                                        .isEqualTo(of(module, ".strtab"));
                                assertThat(word(block, record + 3 * word, encoding))
                                        .isEqualTo(
                                                module.blockAddresses()
                                                                .get(room.initBlock())
                                                                .value()
                                                        + room.initTypes());
                            })
                    .build()
                    .load(image, "");
            assertThat(seen[0]).isEqualTo(letters.size());
        }
    }

    private static long of(Module module, String section) {
        return module.section(section).orElseThrow().address().value();
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void theSymbolTableInMemoryHasTheFinalValues(Encoding encoding) {
        for (KernelConfig config : configs()) {
            ImageBuilder builder = module(encoding);
            symbolsOfEveryLetter(builder);
            ModuleImage image = builder.build();
            List<Point> seen = new ArrayList<>();
            Kernel.builder(new TestArchitecture(encoding))
                    .config(config)
                    .observer(
                            (point, module) -> {
                                if (point == Point.RESOLVED || point == Point.RELOCATED) {
                                    SymbolTable inMemory =
                                            new SymbolTable(
                                                    module.contents(
                                                            module.section(".symtab")
                                                                    .orElseThrow()),
                                                    image.symbols().strings(),
                                                    encoding);
                                    long[] values = module.symbolValues();
                                    for (int i = 0; i < values.length; i++) {
                                        assertThat(inMemory.value(i)).isEqualTo(values[i]);
                                        assertThat(inMemory.info(i))
                                                .isEqualTo(image.symbols().info(i));
                                    }
                                    seen.add(point);
                                }
                            })
                    .build()
                    .load(image, "");
            assertThat(seen).containsExactly(Point.RESOLVED, Point.RELOCATED);
        }
    }

    @ParameterizedTest
    @MethodSource("encodings")
    void theSymbolsThatStayAreCopiedWithTheirNamesAndLetters(Encoding encoding) {
        for (KernelConfig config : configs()) {
            ImageBuilder builder = module(encoding);
            Map<String, Character> letters = symbolsOfEveryLetter(builder);
            ModuleImage image = builder.build();
            Module module =
                    Kernel.builder(new TestArchitecture(encoding))
                            .config(config.toBuilder().kallsymsAll(true).build())
                            .build()
                            .load(image, "");
            Kallsyms room = module.layout().kallsyms();
            Bytes block = module.blockContents(room.coreBlock());
            SymbolTable core =
                    new SymbolTable(
                            block.slice(
                                    (int) room.coreSymbols(),
                                    room.coreCount() * encoding.symbolSize()),
                            block.slice((int) room.coreStrings(), (int) room.coreStringSize()),
                            encoding);
            List<String> names = new ArrayList<>();
            for (int i = 1; i < core.count(); i++) {
                String name = core.name(i);
                if (name.isEmpty()) {
                    continue;
                }
                names.add(name);
                int old = image.symbols().indexOf(name);
                assertThat(core.size(i)).isEqualTo(image.symbols().size(old));
                assertThat(core.info(i)).isEqualTo(image.symbols().info(old));
                assertThat(core.sectionIndex(i)).isEqualTo(image.symbols().sectionIndex(old));
                assertThat(core.value(i)).isEqualTo(module.addressOf(name).orElseThrow().value());
                if (letters.containsKey(name)) {
                    assertThat((char) block.get((int) room.coreTypes() + i))
                            .as(name)
                            .isEqualTo(letters.get(name).charValue());
                }
            }
            assertThat(names)
                    .contains(
                            "in_text",
                            "in_rodata",
                            "in_data",
                            "in_bss",
                            "in_percpu",
                            "weak_object",
                            "weak_function")
                    .doesNotContain("in_init", "in_debug", "in_comment", "absolute", "undefined");
            assertThat(core.name(0)).isEmpty();
            assertThat((char) block.get((int) room.coreTypes())).isEqualTo('U');
            assertThat(core.value(names.size())).isNotZero();
        }
    }

    // ---- exception tables ----

    /**
     * What a table has in memory: of each entry the instruction, the fix-up, and in four
     * hexadecimal digits what else there is.
     */
    private static List<String> sorted(ExceptionTable form, Encoding encoding, long... entries) {
        ByteOrder order = encoding.bigEndian() ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
        int size = form.entrySize();
        ByteBuffer table = ByteBuffer.allocate(size * entries.length).order(order);
        boolean relative =
                form == ExceptionTable.RELATIVE || form == ExceptionTable.RELATIVE_WITH_DATA;
        for (int i = 0; i < entries.length; i++) {
            int at = i * size;
            if (relative) { // from the start of the table
                table.putInt(at, (int) (entries[i] - at));
                table.putInt(at + 4, (int) (entries[i] + 0x100000 - at - 4));
                if (size == 12) {
                    table.putInt(at + 8, (int) entries[i]);
                }
            } else if (size == 16) {
                table.putLong(at, entries[i]);
                table.putLong(at + 8, ~entries[i]);
            } else {
                table.putInt(at, (int) entries[i]);
                table.putInt(at + 4, (int) ~entries[i]);
            }
        }
        ImageBuilder image = module(encoding);
        image.section(Images.rodata("__ex_table", table.array()));
        Module module =
                Kernel.builder(new TestArchitecture(encoding, form))
                        .config(Images.quiet6_1())
                        .build()
                        .load(image.build(), "");
        ByteBuffer memory =
                ByteBuffer.wrap(
                                module.contents(module.section("__ex_table").orElseThrow())
                                        .toByteArray())
                        .order(order);
        List<String> found = new ArrayList<>();
        for (int at = 0; at < size * entries.length; at += size) {
            if (relative) {
                long instruction = at + (long) memory.getInt(at);
                assertThat(at + 4 + (long) memory.getInt(at + 4) - 0x100000)
                        .as("fix-up")
                        .isEqualTo(instruction);
                if (size == 12) {
                    assertThat(memory.getInt(at + 8)).as("data").isEqualTo((int) instruction);
                }
                found.add(Long.toHexString(instruction));
            } else if (size == 16) {
                assertThat(memory.getLong(at + 8)).isEqualTo(~memory.getLong(at));
                found.add(Long.toHexString(memory.getLong(at)));
            } else {
                assertThat(memory.getInt(at + 4)).isEqualTo(~memory.getInt(at));
                found.add(Integer.toHexString(memory.getInt(at)));
            }
        }
        return found;
    }

    @ParameterizedTest
    @EnumSource
    void exceptionTablesOfEveryFormAreSortedAndTheirEntriesStayWhole(ExceptionTable form) {
        for (Encoding encoding : encodings()) {
            if (form == ExceptionTable.ABSOLUTE64 && !encoding.wide()) {
                continue;
            }
            assertThat(sorted(form, encoding, 0x50, 0x10, 0x40, 0x30, 0x20))
                    .containsExactly("10", "20", "30", "40", "50");
            assertThat(sorted(form, encoding, 0x10, 0x20, 0x30)).containsExactly("10", "20", "30");
            assertThat(sorted(form, encoding, 0x30, 0x20, 0x10)).containsExactly("10", "20", "30");
            assertThat(sorted(form, encoding, 0x70)).containsExactly("70");
            long[] many = new Random(5).longs(200, 0x1000, 0xfffff).toArray();
            List<String> expected =
                    java.util.Arrays.stream(many).sorted().mapToObj(Long::toHexString).toList();
            assertThat(sorted(form, encoding, many)).isEqualTo(expected);
        }
    }

    @Test
    void addressesInExceptionTablesAreUnsigned() {
        for (Encoding encoding : encodings()) {
            assertThat(sorted(ExceptionTable.ABSOLUTE32, encoding, 0xc0000000L, 0x10, 0x7fffffff))
                    .containsExactly("10", "7fffffff", "c0000000");
            if (encoding.wide()) {
                assertThat(
                                sorted(
                                        ExceptionTable.ABSOLUTE64,
                                        encoding,
                                        0xffffffff_c0000000L,
                                        0x7fffffff_ffffffffL))
                        .containsExactly("7fffffffffffffff", "ffffffffc0000000");
            }
        }
    }

    @Test
    void aRestShorterThanAnExceptionEntryStaysWhereItIs() {
        ImageBuilder image = module(Encoding.ELF32_LSB);
        byte[] table = {9, 0, 0, 0, 1, 1, 1, 1, 5, 0, 0, 0, 2, 2, 2, 2, 3, 0, 0, 0};
        image.section(Images.rodata("__ex_table", table));
        Module module =
                Kernel.builder(new TestArchitecture(Encoding.ELF32_LSB))
                        .config(Images.quiet6_1())
                        .build()
                        .load(image.build(), "");
        assertThat(module.contents(module.section("__ex_table").orElseThrow()))
                .isEqualTo(
                        Bytes.copyOf(
                                new byte[] {
                                    5, 0, 0, 0, 2, 2, 2, 2, 9, 0, 0, 0, 1, 1, 1, 1, 3, 0, 0, 0
                                }));
    }

    // ---- per-CPU data ----

    @Test
    void perCpuMemoryOfALoadThatFailsLaterIsGivenBack() {
        for (KernelConfig config : configs()) {
            Kernel kernel =
                    Kernel.builder(Architectures.X86_64)
                            .config(config.toBuilder().cpus(3).build())
                            .executor(call -> -Errno.EIO.number())
                            .build();
            ImageBuilder image = Images.module("m");
            image.section(Images.data(".data..percpu", 0x1800));
            image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
            ModuleImage built = image.build();
            for (int i = 0; i < 3; i++) { // the area has no room for two
                assertThat(refusal(kernel, built).errno()).isEqualTo(Errno.EIO);
                assertThat(kernel.memory().regions()).isEmpty();
            }
        }
    }

    @Test
    void perCpuMemoryThatIsMappedAlreadyIsNoMemoryAndLeavesTheOtherProcessorsUnmapped() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1().toBuilder().cpus(3).build())
                        .build();
        ImageBuilder image = Images.module("m");
        image.section(Images.data(".data..percpu", 16));
        ModuleImage built = image.build();
        Module module = kernel.load(built, "");
        Address last = module.perCpuRegions().get(2).base();
        kernel.unload("m");
        Region there = Region.zeroed(last, 0x1000, Rights.READ_WRITE, "there");
        kernel.memory().map(there);
        assertThat(refusal(kernel, built).errno()).isEqualTo(Errno.ENOMEM);
        assertThat(kernel.memory().regions()).containsExactly(there);
    }
}

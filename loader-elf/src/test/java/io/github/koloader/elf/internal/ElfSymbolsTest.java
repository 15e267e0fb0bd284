package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.elf.KoWriter;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.Section;
import io.github.koloader.image.Symbol;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class ElfSymbolsTest {
    private static final int NO_TYPE = 0;
    private static final int FUNCTION = 2;
    private static final int EM_ARM = 40;

    private final ImageBuilder builder = new ImageBuilder(EM_ARM, Encoding.ELF64_LSB, true);
    private final int text =
            builder.section(Section.progbits(".text", 6, 16, Bytes.copyOf(new byte[64])));
    private final int data =
            builder.section(Section.progbits(".data", 3, 16, Bytes.copyOf(new byte[64])));
    private final int bss = builder.section(Section.nobits(".bss", 3, 16, 64));
    private final int comment =
            builder.section(Section.progbits(".comment", 0, 1, Bytes.copyOf(new byte[4])));

    private void symbol(String name, Binding binding, int type, int section, long value) {
        builder.symbol(new Symbol(name, binding, type, 0, new Symbol.InSection(section), value, 0));
    }

    private static List<String> read(byte[] file) throws IOException {
        LinkedImage image = new LinkedImage(Encoding.ELF64_LSB, EM_ARM, List.of());
        KernelSymbolTable table = ElfSymbols.read(Bytes.wrap(file), image, "file");
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < table.count(); i++) {
            lines.add(table.address(i) + " " + table.letter(i) + " " + table.name(i));
        }
        return lines;
    }

    private List<String> read() throws IOException {
        return read(KoWriter.write(builder.build()));
    }

    @Test
    void atOneAddressTheOrderIsThatOfTheKernelsOwnTable() throws IOException {
        symbol("__start_things", Binding.GLOBAL, NO_TYPE, data, 16);
        symbol("weak", Binding.WEAK, NO_TYPE, data, 16);
        symbol("__two", Binding.GLOBAL, NO_TYPE, data, 16);
        symbol("_one", Binding.GLOBAL, NO_TYPE, data, 16);
        symbol("none", Binding.GLOBAL, NO_TYPE, data, 16);
        symbol("before", Binding.LOCAL, NO_TYPE, data, 8);

        assertThat(read())
                .containsExactly(
                        "0x8 d before",
                        "0x10 D none",
                        "0x10 D _one",
                        "0x10 D __two",
                        "0x10 D __start_things",
                        "0x10 W weak");
    }

    @Test
    void lettersAreThoseOfTheSections() throws IOException {
        symbol("code", Binding.GLOBAL, NO_TYPE, text, 1);
        symbol("zero", Binding.LOCAL, NO_TYPE, bss, 2);
        symbol("object", Binding.WEAK, 1, data, 3);
        builder.symbol(new Symbol("number", Binding.GLOBAL, 0, 0, new Symbol.Absolute(), 4, 0));

        assertThat(read())
                .containsExactly("0x1 T code", "0x2 b zero", "0x3 V object", "0x4 A number");
    }

    @Test
    void whatIsNoPlaceInTheKernelIsLeftOut() throws IOException {
        builder.symbol(Symbol.undefined("undefined"));
        symbol("$a", Binding.LOCAL, NO_TYPE, text, 0);
        symbol(".Llabel", Binding.LOCAL, NO_TYPE, text, 0);
        symbol("__crc_memcpy", Binding.GLOBAL, NO_TYPE, text, 0);
        symbol("__kstrtab_memcpy", Binding.LOCAL, NO_TYPE, text, 0);
        symbol("remark", Binding.LOCAL, NO_TYPE, comment, 0);
        symbol("section", Binding.LOCAL, 3, text, 0);
        symbol("file.c", Binding.LOCAL, 4, text, 0);

        assertThat(read()).isEmpty();
    }

    @Test
    void aThumbFunctionIsAtAnEvenAddress() throws IOException {
        symbol("thumb", Binding.GLOBAL, FUNCTION, text, 0x11);

        assertThat(read()).containsExactly("0x10 T thumb");
    }

    @Test
    void namesThatOverlapMoreThanTheyCanAreRefused() {
        for (int i = 0; i < 2000; i++) {
            symbol("x".repeat(100), Binding.GLOBAL, NO_TYPE, text, 0);
        }
        byte[] file = KoWriter.write(builder.build());
        ByteBuffer view = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        int headers = (int) view.getLong(40);
        int symbols = 0;
        int names = 0;
        for (int i = 0; i < view.getShort(60); i++) {
            if (view.getInt(headers + 64 * i + 4) == 2) {
                symbols = headers + 64 * i;
                names = headers + 64 * view.getInt(symbols + 40);
            }
        }
        int table = (int) view.getLong(symbols + 24);
        int text = (int) view.getLong(names + 24);
        file[text + 101] = 0; // one name, for all
        view.putLong(names + 32, 102);
        for (int i = 1; i <= 2000; i++) {
            view.putInt(table + 24 * i, 1);
        }

        assertThatIOException()
                .isThrownBy(() -> read(file))
                .withMessageMatching("file: offset \\d+: the symbols' names lie in each other");
        view.putLong(names + 32, 101);
        assertThatIOException()
                .isThrownBy(() -> read(file))
                .withMessageMatching("file: offset \\d+: the symbols' names do not end");
        view.putLong(names + 32, Long.MAX_VALUE);
        assertThatIOException()
                .isThrownBy(() -> read(file))
                .withMessageMatching("file: offset \\d+: the section is not in the file");
        view.putInt(symbols + 40, 99);
        assertThatIOException()
                .isThrownBy(() -> read(file))
                .withMessageMatching("file: offset \\d+: the symbols' names are in section 99");
    }
}
